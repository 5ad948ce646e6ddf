/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pieces of the monitor among themselves: serial pumps, human and JSON sessions. Internal to
 * vmm/monitor.
 */
#ifndef BULKHEAD_VMM_MONITOR_MONITOR_H
#define BULKHEAD_VMM_MONITOR_MONITOR_H

#include "vmm/monitor/chr.h"
#include "vmm/monitor/json-write.h"

/* ---- serial.c
 * ------------------------------------------------------------------------------------ */
struct serial {
    struct vm *vm;
    struct chr *c; /* NULL: no such port */
    unsigned n;
    struct chr_fe fe;
    struct ipc_timer again;
};
int serial_init(struct serial *s, struct vm *vm, unsigned n, struct chr *c);
void serial_pump(struct serial *s); /* guest output that waits in the ring, input that waits here */

/* ---- hmp.c, hmp-commands.c, hmp-info.c, hmp-edit.c
 * ------------------------------------------------ */
#define HMP_TEXT 32768
struct hmp_out { /* what one command prints */
    size_t len;
    char text[HMP_TEXT];
};
void hmp_print(struct hmp_out *o, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Runs one line. Lines end in '\n'. */
void hmp_execute(struct vm *vm, const char *line, struct hmp_out *out);
void hmp_info(struct vm *vm, const char *topic, struct hmp_out *out);
void hmp_mce(struct vm *vm, const char *arg, struct hmp_out *out); /* hmp-mce.c */
void hmp_info_help(struct hmp_out *out);
unsigned hmp_cpu(const struct vm *vm); /* the CPU chosen with `cpu N` */
bool hmp_cpu_choose(const struct vm *vm, unsigned long n); /* false: there is no such CPU */
/* Completes the word at the end of line (a command, or a topic of info) as far as it is unique.
 * Returns the text to add, "" for nothing; names of several candidates go to out. */
const char *hmp_complete(const char *line, struct hmp_out *out);
const char *hmp_info_name(unsigned i); /* NULL after the last */

#define HMP_LINE    512
#define HMP_HISTORY 32
struct hmp_edit {
    char line[HMP_LINE];
    unsigned len, pos;
    char history[HMP_HISTORY][HMP_LINE];
    unsigned n_history, at; /* at == n_history: the line being written */
    char kept[HMP_LINE];    /* what was written before going up */
    uint8_t esc[8];
    unsigned n_esc;
    bool after_cr;
};
enum hmp_edit_result { EDIT_MORE, EDIT_LINE, EDIT_TAB };
/* One byte of input. Echo goes through say. EDIT_LINE: e->line is complete, call hmp_edit_next. */
enum hmp_edit_result hmp_edit_byte(struct hmp_edit *e, uint8_t b,
                                   void (*say)(void *opaque, const char *s, size_t len),
                                   void *opaque);
void hmp_edit_next(struct hmp_edit *e); /* remembers the line and starts an empty one */
void hmp_edit_insert(struct hmp_edit *e, const char *s,
                     void (*say)(void *opaque, const char *s, size_t len), void *opaque);
void hmp_edit_redraw(struct hmp_edit *e, void (*say)(void *opaque, const char *s, size_t len),
                     void *opaque);

struct hmp {
    struct vm *vm;
    struct chr *c;
    struct chr_fe fe;
    struct hmp_edit edit;
    bool greeted;
};
int hmp_init(struct hmp *h, struct vm *vm, struct chr *c);
#define HMP_PROMPT "(qemu) "

/* ---- qmp.c, qmp-commands.c
 * ------------------------------------------------------------------------ */
struct qmp_frame { /* cuts a byte stream into JSON values */
    size_t len;
    unsigned depth;
    bool in_string, escaped, skip, scalar;
    char buf[JSON_INPUT];
};
enum qmp_frame_result { FRAME_MORE, FRAME_VALUE, FRAME_BAD };
/* One byte. FRAME_VALUE: buf[0..len) is one value, call qmp_frame_reset when done with it.
 * FRAME_BAD: the rest of the line is skipped. */
enum qmp_frame_result qmp_frame_byte(struct qmp_frame *f, uint8_t b);
void qmp_frame_reset(struct qmp_frame *f);

struct qmp {
    struct vm *vm;
    struct chr *c;
    struct chr_fe fe;
    bool pretty, open, negotiated;
    struct qmp_frame frame;
};
int qmp_init(struct qmp *q, struct vm *vm, struct chr *c, bool pretty);
void qmp_send_event(struct qmp *q, const char *text, size_t len); /* one object, no line end */

struct qmp_call { /* one command being carried out */
    struct vm *vm;
    const struct json_doc *doc;
    const struct json_node *args; /* an object, or NULL */
    struct json_out *out;         /* the command writes its value with key "return" here */
    const char *error_class;
    char error[256];
};
/* Carries out a command by name. 0, or -1 with error and error_class set. */
int qmp_execute(struct qmp_call *call, const char *name);

/* ---- monitor.c
 * ------------------------------------------------------------------------------------ */
/* Host end i of the plan, or NULL. */
struct chr *monitor_chr(unsigned i);

/* ---- status.c: what both monitors say about the VM
 * -------------------------------------------------- */
#define CHILDREN_MAX 64
const char *status_name(const struct vm *vm);
const char *layer_name(unsigned bit); /* name of 1u << bit of SPAWN_LAYER_*, NULL after the last */

#endif
