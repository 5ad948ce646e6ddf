/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parser's state while it reads a command line, shared by the option handlers of this folder.
 * Owns nothing that outlives plan_parse; must never be seen outside vmm/config.
 */
#ifndef BULKHEAD_VMM_CONFIG_PARSE_H
#define BULKHEAD_VMM_CONFIG_PARSE_H

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include "vmm/config/plan.h"

#define PARSE_DEV_MAX   32
#define PARSE_NODE_MAX  32
#define PARSE_FRONT_MAX 16

enum drive_if { IF_NONE, IF_VIRTIO, IF_IDE, IF_PFLASH };
enum dev_kind { DEV_BLK, DEV_CTL, DEV_UNIT, DEV_NET, DEV_SERIAL, DEV_DEBUG_EXIT, DEV_VGA, DEV_DEBUGCON };
struct pend_device { /* -device, attached to its back end after the whole line is read */
    enum dev_kind kind;
    const char *model;
    const char *opt, *arg; /* for error lines */
    char id[64], backend[64], serial[24];
    uint32_t logical_block, physical_block;
    uint8_t mac[6];
    bool has_mac, disable_legacy, disable_modern, share_rw;
    int slot, fn, index, bootindex;
    uint16_t iobase, iosize;
    unsigned vga_mib, vga_xres, vga_yres; /* 0 = not given */
    bool vga_no_edid, has_romfile;
    char romfile[512];
    enum plan_ctl_kind ctl; /* DEV_CTL; DEV_UNIT: behind such a controller */
    char bus[64], name[44];
    int unit;
    bool cd, has_drive;
};
struct pend_drive { /* runs beside plan.disk[] */
    enum drive_if iface; /* but for none: gets a device by itself */
    bool cd;
    char id[64];         /* of the disk, "" = an empty drive */
    int index;
    const char *arg;
};
struct pend_node { /* -blockdev */
    char name[64], file_ref[64], path[512];
    char format[16]; /* "" = a file node */
    bool readonly, direct, no_flush, discard, used;
    char detect_zeroes[8];
    const char *arg;
};
enum front_kind { FRONT_SERIAL, FRONT_HMP, FRONT_QMP, FRONT_DEBUGCON };
struct pend_front { /* -serial, -monitor, -qmp, -mon: resolved after every -chardev is known */
    enum front_kind kind;
    const char *opt, *spec, *arg;
    char chardev[64];
    bool pretty;
};

struct parse {
    struct plan *p;
    FILE *out; /* help texts */
    char *err;
    size_t errlen;
    const char *opt; /* "-drive", as the user wrote it */
    const char *arg; /* its argument, or NULL */
    struct pend_device dev[PARSE_DEV_MAX];
    struct pend_drive drive[PLAN_DISKS_MAX];
    struct pend_drive empty[PLAN_UNITS_MAX]; /* drives with nothing in them */
    unsigned n_empty;
    struct pend_node node[PARSE_NODE_MAX];
    struct pend_front front[PARSE_FRONT_MAX];
    unsigned n_dev, n_node, n_front, n_legacy_nic, n_legacy_user;
    int legacy_nic[PLAN_NETS_MAX], legacy_user[PLAN_NETS_MAX]; /* -net: indexes into plan.net[] */
    unsigned char chr_uses[PLAN_CHAR_MAX];
    bool snapshot; /* -snapshot */
    bool no_default_serial, no_default_monitor, no_default_net;
    int (*fd_find)(const char *name); /* at run time: descriptors have names */
    bool kvm_asked, tcg_asked, interp_asked, append_set, initrd_set, display_set, vga_set, vga_std;
};

/* Writes "bulkhead: -opt arg: text" as the one error line (the first one wins). Returns -1. */
int parse_fail(struct parse *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The same, naming another option than the one being read. opt or arg may be NULL. */
int parse_fail_at(struct parse *c, const char *opt, const char *arg, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
void parse_warn(struct parse *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* plan_parse with its output given, for tests. err receives one line without newline. */
int plan_parse_to(struct plan *p, int argc, char **argv, FILE *out, char *err, size_t errlen);
/* Every field of a finished plan that is not at its neutral value, one "key=value" per line. */
void plan_dump(const struct plan *p, FILE *out);

/* Resolution, after the last option (resolve.c, disk.c, net.c, chardev-users.c). 0 or -1. */
int parse_resolve(struct parse *c);
int disk_resolve(struct parse *c);
int controllers_resolve(struct parse *c);
int net_resolve(struct parse *c);
int chardev_resolve(struct parse *c);

void display_default(struct parse *c); /* vnc-options.c: a screen nobody decided about */

/* The processor of a plan without -cpu (cpu-options.c). */
void cpu_default(struct plan *p);

#endif
