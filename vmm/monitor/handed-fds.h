/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Descriptors that a monitor's client hands over (SCM_RIGHTS, getfd): how a machine that can open nothing any more
 * gets taps and sockets. Owns them until somebody takes them; must never look into one.
 */
#ifndef BULKHEAD_VMM_MONITOR_HANDED_FDS_H
#define BULKHEAD_VMM_MONITOR_HANDED_FDS_H

#include "vmm/vm.h"

void handed_fd_arrived(int fd);          /* with a monitor's input; it waits for its name */
int handed_fd_name(const char *name);    /* getfd: 0 or -errno after vm_fail */
int handed_fd_close(const char *name);   /* closefd */
int handed_fd_find(const char *name);    /* the descriptor, still ours; -1 */
void handed_fds_used(const struct plan_net *n); /* its descriptors belong to it now: their names are free */

#endif
