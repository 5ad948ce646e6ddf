/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The first part of a child's life: command line, the descriptors it was born with, HELLO and BOOT.
 * Private to the runtime.
 */
#ifndef BULKHEAD_DEVICE_PROCS_RUNTIME_BOOTSTRAP_H
#define BULKHEAD_DEVICE_PROCS_RUNTIME_BOOTSTRAP_H

#include "device-procs/runtime/devproc.h"

/* -1: go on; otherwise the exit status (a text was printed). */
int bootstrap_args(int argc, char **argv, const struct devproc_ops *ops);
/* HELLO out, BOOT in, BOOT checked; state becomes BOOTING. *boot lives in the peer's arena.
 * 0, or the exit status after logging why. */
int bootstrap_receive(struct devproc *p, const Ctl__Boot **boot, int *fds, unsigned *nfds);

#endif
