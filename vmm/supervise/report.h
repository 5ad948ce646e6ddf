/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The list of processes of this VM with what the kernel says about each. Reads only.
 */
#ifndef BULKHEAD_VMM_SUPERVISE_REPORT_H
#define BULKHEAD_VMM_SUPERVISE_REPORT_H

#include "vmm/supervise/supervisor.h"

/* Opens what can only be opened before the lock-down. Call once, after the spawner was started. */
void report_open(const struct supervisor *s);
/* A child's /proc/PID/status, or -1 where that cannot be opened. */
int report_open_child(int pid);
/* vmm, spawner, then the children in the plan's order; returns how many were written. */
unsigned report_children(const struct supervisor *s, struct child_info *out, unsigned max);

#endif
