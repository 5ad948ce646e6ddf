/* SPDX-License-Identifier: Apache-2.0 */
/*
 * System management mode (SDM volume 3, chapter 34; APM volume 2, chapter 10): taking an SMI and RSM. Owns
 * the save area and the SMM fields of the shared state; must never run inside a block. Own thread.
 */
#ifndef BULKHEAD_CPU_WORKER_RUN_SMM_H
#define BULKHEAD_CPU_WORKER_RUN_SMM_H

#include "cpu-worker/chipset/chipset.h"
#include "cpu-worker/run/cpu.h"

static inline bool smm_active(const struct cpu *c)
{
    return c->s->smm & ABI_SMM_ACTIVE;
}
/* May an SMI be taken: one waits, and SMM does not nest. */
static inline bool smm_smi_ready(const struct cpu *c)
{
    return !smm_active(c) && !c->s->wait_sipi && chipset_smi_pending(c->chipset, c->index);
}
void smm_enter(struct cpu *c); /* between instructions, with c->rip current */
/* RSM with c->rip at it. False: the save area holds no state a processor can be in, nothing was loaded. */
bool smm_leave(struct cpu *c);

#endif
