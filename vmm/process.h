/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The vmm as a process of the host: daemonizing, signals, the terminal it was started on, giving up
 * its rights. Knows nothing of the guest.
 */
#ifndef BULKHEAD_VMM_PROCESS_H
#define BULKHEAD_VMM_PROCESS_H

#include <stddef.h>
#include "ipc/abi/spawn.h"
#include "vmm/vm.h"

/* -daemonize, part 1: forks. The parent waits for daemonize_done in the child and exits with its
 * status; only the child returns. 0 or -errno. */
int daemonize_fork(void);
/* Part 2: the VM runs; the parent may exit 0, and the child lets go of the terminal. Descriptors
 * for it were opened by part 1, because nothing can be opened any more. */
void daemonize_done(void);

/* picture-files.c: starts the process that opens pictures, as the user who started the VM and before
 * anything else exists. 0 or -errno. */
int picture_clerk_start(enum plan_sandbox mode);
/* A picture file, new or emptied: descriptor or -errno (-EEXIST: a file that is no picture). */
int picture_file_create(const char *path);

/* Where VNC clients connect to. 0 or -errno with one line in err. */
int vnc_sockets_open(struct vm *vm, char *err, size_t errlen);
void vnc_sockets_close(struct vm *vm);

/* Around the start of the spawner: what is started while it is on does not die of a terminal's
 * keys. */
void signals_shield(bool on);

/* Ignores SIGPIPE, remembers the terminal's settings for the fatal signals, blocks the others and
 * reads them from the loop. Call after the spawner was started: it must not inherit the blocked
 * mask. */
int signals_init(struct vm *vm);

/* The last stage before any child exists: own UID, no groups, no capabilities, system-call filter.
 * 0, or -errno with one line in err. */
int lockdown(const struct spawn_plan_reply *reply, enum plan_sandbox mode, char *err,
             size_t errlen);

#endif
