/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one table of command-line options: parser, -help, the manual page and completion all come
 * from it. Must never hold an option that is accepted and does nothing.
 */
#ifndef BULKHEAD_VMM_CONFIG_OPTIONS_H
#define BULKHEAD_VMM_CONFIG_OPTIONS_H

#include "vmm/config/parse.h"

enum opt_group {
    GROUP_STANDARD,
    GROUP_BLOCK,
    GROUP_NET,
    GROUP_CHAR,
    GROUP_DISPLAY,
    GROUP_BOOT,
    GROUP_EXPERT,
    GROUP_HIDDEN,
    OPT_GROUPS
};

struct option {
    const char *names; /* "h|help" */
    const char *form;  /* the argument as the help shows it; NULL = takes none */
    enum opt_group group;
    /* 0, 1 (a text was printed: stop with status 0) or -1 (reported). NULL: refused by name. */
    int (*set)(struct parse *c, const char *arg);
    const char *help; /* one or more lines; for a refused option the reason */
};
extern const struct option option_table[]; /* ends with names == NULL */

const struct option *option_find(const char *name, size_t len);
void option_help(FILE *out);
void option_markdown(FILE *out); /* docs/user/options.md */

/* Handlers, by file. machine-options.c: */
int set_memory(struct parse *c, const char *arg);
int set_machine(struct parse *c, const char *arg);
int set_accel(struct parse *c, const char *arg);
int set_smp(struct parse *c, const char *arg);
int set_rtc(struct parse *c, const char *arg);
/* firmware-options.c: */
int set_boot(struct parse *c, const char *arg);
/* smbios-options.c: */
int set_smbios(struct parse *c, const char *arg);
int set_pflash(struct parse *c, const char *arg);
int set_bios(struct parse *c, const char *arg);
int set_rom_dir(struct parse *c, const char *arg);
int set_option_rom(struct parse *c, const char *arg);
int set_fwcfg(struct parse *c, const char *arg);
int set_global(struct parse *c, const char *arg);
int set_no_fd_bootchk(struct parse *c, const char *arg);
/* cpu-options.c: */
int set_cpu(struct parse *c, const char *arg);
/* process-options.c: */
int set_name(struct parse *c, const char *arg);
int set_uuid(struct parse *c, const char *arg);
int set_sandbox(struct parse *c, const char *arg);
int set_msg(struct parse *c, const char *arg);
int set_pidfile(struct parse *c, const char *arg);
int set_kernel(struct parse *c, const char *arg);
int set_initrd(struct parse *c, const char *arg);
int set_append(struct parse *c, const char *arg);
int set_no_reboot(struct parse *c, const char *arg);
int set_no_shutdown(struct parse *c, const char *arg);
int set_daemonize(struct parse *c, const char *arg);
int set_paused(struct parse *c, const char *arg);
int set_nodefaults(struct parse *c, const char *arg);
int set_no_user_config(struct parse *c, const char *arg);
int set_snapshot(struct parse *c, const char *arg);
int set_nographic(struct parse *c, const char *arg);
int set_display(struct parse *c, const char *arg); /* vnc-options.c */
int set_vnc(struct parse *c, const char *arg);
int set_vga(struct parse *c, const char *arg);
int show_help(struct parse *c, const char *arg);
int show_version(struct parse *c, const char *arg);
int show_markdown(struct parse *c, const char *arg);
/* chardev.c: */
int set_chardev(struct parse *c, const char *arg);
/* chardev-users.c: */
int set_serial(struct parse *c, const char *arg);
int set_parallel(struct parse *c, const char *arg);
int set_monitor(struct parse *c, const char *arg);
int set_debugcon(struct parse *c, const char *arg);
int set_qmp(struct parse *c, const char *arg);
int set_qmp_pretty(struct parse *c, const char *arg);
int set_mon(struct parse *c, const char *arg);
/* disk.c, blockdev.c: */
int set_drive(struct parse *c, const char *arg);
int set_hda(struct parse *c, const char *arg);
int set_hdb(struct parse *c, const char *arg);
int set_hdc(struct parse *c, const char *arg);
int set_hdd(struct parse *c, const char *arg);
int set_cdrom(struct parse *c, const char *arg);
int set_blockdev(struct parse *c, const char *arg);
/* net.c: */
int set_netdev(struct parse *c, const char *arg);
int set_nic(struct parse *c, const char *arg);
int set_net(struct parse *c, const char *arg);
/* device.c: */
int set_device(struct parse *c, const char *arg);

#endif
