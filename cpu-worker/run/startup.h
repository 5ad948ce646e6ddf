/* SPDX-License-Identifier: Apache-2.0 */
/*
 * INIT and start-up IPIs as the processor takes them (SDM volume 3, 9.4 and 11.4.7). Own thread,
 * between instructions.
 */
#ifndef BULKHEAD_CPU_WORKER_RUN_STARTUP_H
#define BULKHEAD_CPU_WORKER_RUN_STARTUP_H

#include "cpu-worker/chipset/chipset.h"
#include "cpu-worker/run/cpu.h"

static inline bool startup_pending(const struct cpu *c)
{
    return chipset_startup_pending(c->chipset, c->index);
}
void startup_take(struct cpu *c);
/* Registers as after INIT (SDM volume 3, table 9-1); power_on: and those that INIT leaves alone. Only
 * the shared state: the vCPU loads it when it runs next. */
void startup_state_reset(struct abi_vcpu_state *s, bool power_on);

#endif
