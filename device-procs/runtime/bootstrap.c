/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The first part of a child's life: command line, HELLO and BOOT. Never acts on a BOOT that is not
 * consistent in itself, never waits for the vmm longer than BOOT_WAIT_MS.
 */
#include "device-procs/runtime/bootstrap.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "ipc/chan.h"
#include "ipc/fds.h"

#define BOOT_WAIT_MS 30000

int bootstrap_args(int argc, char **argv, const struct devproc_ops *ops)
{
    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "--version")) {
            printf("%s %s\n", ops->program, BULKHEAD_VERSION);
            return DEVPROC_EXIT_OK;
        }
        if (!strcmp(argv[i], "--help")) {
            printf("usage: %s [--help] [--version]\n"
                   "The %s process of a virtual machine. It is started by bulkhead-spawner with its\n"
                   "control channel as descriptor %d and its log channel as descriptor %d.\n",
                   ops->program, ops->role, CTL_FD, CTL_LOG_FD);
            return DEVPROC_EXIT_OK;
        }
        fprintf(stderr, "%s: unknown option %s; see --help\n", ops->program, argv[i]);
        return 1;
    }
    if (!ipc_fd_is_socket(CTL_FD, AF_UNIX, SOCK_SEQPACKET)) {
        fprintf(stderr, "%s is started by bulkhead; see --help\n", ops->program);
        return 1;
    }
    return -1;
}

static int hello_send(struct devproc *p)
{
    Ctl__Hello hello = CTL__HELLO__INIT;

    hello.version = CTL_VERSION;
    hello.program = (char *)p->ops->program;
    return ctl_send(&p->ctl, CTL_HELLO, &hello, NULL, 0, 1000);
}

/* NULL when BOOT is meant for this program and complete, else what is wrong. */
static const char *boot_check(const struct devproc *p, const Ctl__Boot *boot, unsigned nfds)
{
    if (strcmp(boot->role, p->ops->role)) {
        return "another role";
    }
    if (boot->n_fds != nfds) {
        return "descriptors and their list differ in number";
    }
    if (boot->sandbox > SBX_OFF) {
        return "unknown sandbox mode";
    }
    if (!boot->id[0] || strlen(boot->id) >= sizeof(p->id)) {
        return "bad device id";
    }
    return NULL;
}

int bootstrap_receive(struct devproc *p, const Ctl__Boot **boot, int *fds, unsigned *nfds)
{
    ProtobufCMessage *msg = NULL;
    enum ctl_msg type = CTL_SHUTDOWN;
    const char *why;
    int r = hello_send(p);

    if (r == 0) {
        r = ctl_recv(&p->ctl, &type, &msg, fds, nfds, BOOT_WAIT_MS);
    }
    if (r != 1) {
        log_error("no BOOT from the vmm: %s", r == 0 ? "it hung up" : strerror(-r));
        return DEVPROC_EXIT_PEER;
    }
    if (type == CTL_SHUTDOWN) {
        ipc_fds_close(fds, *nfds);
        return DEVPROC_EXIT_PEER;
    }
    *boot = (const Ctl__Boot *)msg; /* the table lets nothing else through in this state */
    why = boot_check(p, *boot, *nfds);
    if (why) {
        log_error("BOOT refused: %s", why);
        ipc_fds_close(fds, *nfds);
        return DEVPROC_EXIT_PEER;
    }
    p->ctl.generation = (*boot)->generation;
    p->ctl.state = CTL_ST_BOOTING;
    p->sandbox = (enum sbx_mode)(*boot)->sandbox;
    snprintf(p->id, sizeof(p->id), "%s", (*boot)->id);
    return 0;
}
