/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The skeleton every child program is built on: bootstrap channels, BOOT, stages 4 and 5, READY,
 * heartbeat, orderly end. A device fills in struct devproc_ops and never touches the control channel
 * except through this file.
 */
#ifndef BULKHEAD_DEVICE_PROCS_RUNTIME_DEVPROC_H
#define BULKHEAD_DEVICE_PROCS_RUNTIME_DEVPROC_H

#include "ipc/control.h"
#include "ipc/log.h"
#include "ipc/loop.h"
#include "seccomp/sandbox.h"

enum { DEVPROC_EXIT_OK = 0, DEVPROC_EXIT_PEER = 65, DEVPROC_EXIT_BOOT = 66, DEVPROC_EXIT_SANDBOX = 67 };

struct devproc {
    struct ipc_loop loop;
    struct ctl_peer ctl;
    const struct devproc_ops *ops;
    void *opaque;
    enum sbx_mode sandbox;
    enum sbx_role sbx; /* ops->sbx; setup may choose a narrower one of the same program */
    char id[64];
};
struct devproc_ops {
    const char *program;      /* "bulkhead-block" */
    const char *role;         /* must equal Boot.role */
    enum sbx_role sbx;
    /* Before the lock: take over the descriptors (fds[i] belongs to boot->fds[i]), map memory, start
     * threads. boot is valid during the call only. 0, or -errno after logging why. */
    int (*setup)(struct devproc *p, const Ctl__Boot *boot, const int *fds, unsigned nfds);
    /* After the lock, before READY is sent: optional. */
    int (*started)(struct devproc *p);
    /* Messages beyond PING and SHUTDOWN: optional; an unexpected one ends the process. */
    int (*message)(struct devproc *p, enum ctl_msg type, ProtobufCMessage *msg);
    /* The same for a program whose messages carry descriptors, which it then owns. */
    int (*message_fds)(struct devproc *p, enum ctl_msg type, ProtobufCMessage *msg, int *fds, unsigned nfds);
    void (*shutdown)(struct devproc *p); /* optional: flush and close */
};

/* main() of a device program: parses --help/--version, runs until SHUTDOWN or hang-up, returns
 * the exit status. */
int devproc_main(int argc, char **argv, const struct devproc_ops *ops, void *opaque);
/* The descriptor of this kind and index, or -1. */
int devproc_fd(const Ctl__Boot *boot, const int *fds, unsigned nfds, Ctl__FdKind kind, unsigned index);
void devproc_event(struct devproc *p, const char *name, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#endif
