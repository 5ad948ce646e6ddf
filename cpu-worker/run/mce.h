/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Machine-check errors: those the monitor injects, since the machine makes none of its own. Owns the bank
 * registers but for their CTL; must never believe a record's numbers.
 */
#ifndef BULKHEAD_CPU_WORKER_RUN_MCE_H
#define BULKHEAD_CPU_WORKER_RUN_MCE_H

#include "cpu-worker/run/cpu.h"

/* Own thread, or the one that sleeps for it. Has an error been reported that was not taken yet? */
bool mce_waits(const struct cpu *c);
/* Own thread, at an instruction boundary. Logs the error; an uncorrected one is delivered as #MC, or shuts the
 * processor down (SDM volume 3, 15.3 and chapter 6, interrupt 18). */
void mce_take(struct cpu *c);

#endif
