/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Puts the plan's host ends, serial ports and monitors together, and sends events. One VM per
 * process, so the state is here. Must never be entered from another thread.
 */
#include "vmm/monitor/monitor.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static struct {
    struct chr *chr; /* plan.n_char of them */
    struct serial serial[PLAN_PORTS_MAX];
    struct hmp *hmp;
    struct qmp *qmp;
    unsigned n_chr, n_hmp, n_qmp;
} mon;

struct chr *monitor_chr(unsigned i)
{
    return i < mon.n_chr ? &mon.chr[i] : NULL;
}

/* ---- events
 * -------------------------------------------------------------------------------------- */
/* The two layouts, so that each session gets its own. */
static size_t format_event(char *buf, size_t cap, bool pretty, const char *name,
                           const struct json_doc *data, const struct timespec *ts)
{
    struct json_out o;

    jw_init(&o, buf, cap, pretty);
    jw_object(&o, NULL);
    jw_object(&o, "timestamp");
    jw_int(&o, "seconds", ts->tv_sec);
    jw_int(&o, "microseconds", ts->tv_nsec / 1000);
    jw_end_object(&o);
    jw_string(&o, "event", name);
    if (data)
        jw_node(&o, "data", data, json_root(data));
    jw_end_object(&o);
    return o.overflow ? 0 : o.len;
}

/* #syscalls:vmm clock_gettime */
void qmp_event(struct vm *vm, const char *name, const char *json_data)
{
    static struct json_doc data;
    static char text[16384];
    struct timespec ts;
    size_t len;

    (void)vm;
    if (json_data && json_parse(&data, json_data, strlen(json_data))) {
        log_error("event %s: %s", name, data.err); /* ours: the caller wrote no JSON */
        json_data = NULL;
    }
    clock_gettime(CLOCK_REALTIME, &ts);
    for (unsigned i = 0; i < mon.n_qmp; i++) {
        len = format_event(text, sizeof(text), mon.qmp[i].pretty, name, json_data ? &data : NULL,
                           &ts);
        if (len)
            qmp_send_event(&mon.qmp[i], text, len);
    }
}

/* ---- start and end
 * ------------------------------------------------------------------------------- */
static int open_all(struct vm *vm, char *err, size_t errlen)
{
    for (unsigned i = 0; i < vm->plan.n_char; i++) {
        mon.n_chr = i + 1; /* a half-opened one is closed, too */
        if (chr_open(&mon.chr[i], vm, &vm->plan.chardev[i], err, errlen))
            return -1;
    }
    for (unsigned i = 0; i < mon.n_chr; i++)
        if (chr_wait(&mon.chr[i], err, errlen))
            return -1;
    return 0;
}

/* Serial ports first: on a shared host end the console has the keys at start, as in QEMU. */
static int join_all(struct vm *vm)
{
    for (unsigned i = 0; i < PLAN_PORTS_MAX; i++)
        if (vm->plan.serial[i] >= 0 &&
            serial_init(&mon.serial[i], vm, i, &mon.chr[vm->plan.serial[i]]))
            return -1;
    for (unsigned i = 0; i < vm->plan.n_mon; i++) {
        const struct plan_monitor *m = &vm->plan.mon[i];
        struct chr *c = &mon.chr[m->chardev];

        if (m->qmp ? qmp_init(&mon.qmp[mon.n_qmp++], vm, c, m->pretty)
                   : hmp_init(&mon.hmp[mon.n_hmp++], vm, c))
            return -1;
    }
    return 0;
}

int monitor_init(struct vm *vm, char *err, size_t errlen)
{
    signal(SIGPIPE, SIG_IGN); /* a client that left is an error of write, not a signal */
    mon.chr = calloc(PLAN_CHAR_MAX, sizeof(*mon.chr));
    mon.hmp = calloc(PLAN_MON_MAX, sizeof(*mon.hmp));
    mon.qmp = calloc(PLAN_MON_MAX, sizeof(*mon.qmp));
    if (!mon.chr || !mon.hmp || !mon.qmp) {
        snprintf(err, errlen, "no memory for the monitor");
        return -1;
    }
    if (open_all(vm, err, errlen))
        return -1;
    if (join_all(vm)) {
        snprintf(err, errlen, "too many users of one character device");
        return -1;
    }
    for (unsigned i = 0; i < mon.n_chr; i++)
        chr_start(&mon.chr[i]);
    return 0;
}

void monitor_serial_poll(struct vm *vm)
{
    (void)vm;
    for (unsigned i = 0; i < PLAN_PORTS_MAX; i++)
        serial_pump(&mon.serial[i]);
}

void monitor_fini(struct vm *vm)
{
    if (mon.chr)
        monitor_serial_poll(vm); /* the guest's last words */
    for (unsigned i = 0; i < mon.n_chr; i++)
        chr_close(&mon.chr[i]);
    mon.n_chr = mon.n_hmp = mon.n_qmp = 0;
    memset(mon.serial, 0, sizeof(mon.serial));
    free(mon.chr);
    free(mon.hmp);
    free(mon.qmp);
    mon.chr = NULL;
    mon.hmp = NULL;
    mon.qmp = NULL;
    tty_restore();
}
