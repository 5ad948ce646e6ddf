/* SPDX-License-Identifier: Apache-2.0 */
/* The eventfds that come with BOOT, put where the pump and the kick table look for them. */
#ifndef BULKHEAD_CPU_WORKER_EVENTFDS_H
#define BULKHEAD_CPU_WORKER_EVENTFDS_H

#include "cpu-worker/irq/pump.h"
#include "ipc/control.h"

/* Fills m->kick[], m->doorbell_vmm, p->call[] and p->doorbell from the descriptors of boot and
 * makes them nonblocking. m must have been initialised. 0, or -errno after logging why. */
int pump_eventfds_take(struct pump *p, struct mmu_host *m, const Ctl__Boot *boot, const int *fds,
                       unsigned nfds);

#endif
