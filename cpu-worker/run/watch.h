/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The address monitor of MONITOR and MONITORX: one line of memory per vCPU, and who tells the vCPU that it was
 * stored to. A watched page has no fast stores in any soft TLB, by the same marks as a page with code
 * (docs/decisions/0005-code-coherence.md). Must never be told of a store before it is made.
 */
#ifndef BULKHEAD_CPU_WORKER_RUN_WATCH_H
#define BULKHEAD_CPU_WORKER_RUN_WATCH_H

#include "cpu-worker/run/team.h"

#define WATCH_LINE 64u /* as CPUID leaf 5 says */

/* What ends the wait of MWAIT besides a store and what ends HLT. */
enum { MWAIT_ON = 1, MWAIT_MASKED = 2 /* an interrupt that IF masks */, MWAIT_TIMER = 4 };

/* Own thread. Arms the monitor for the line at this RAM offset. */
void watch_arm(struct cpu *c, uint64_t off);
void watch_disarm(struct cpu *c);
/* May the processor wait now: armed, and no store can have gone unnoticed since? Disarms if not. */
bool watch_ready(struct cpu *c);
/* Is the wait over, as far as the monitor, a masked interrupt and the timer say? */
bool watch_over(const struct cpu *c);
/* Nanoseconds after which watch_over is to be asked again though nobody called. */
uint64_t watch_patience(const struct cpu *c);

/* [off, off + len) of RAM was stored to by the slow path, or by a device. */
void watch_stored(struct cpu *c, uint64_t off, unsigned len);
/* The host's own locked instruction is about to store there: tell the watchers at the next boundary. */
void watch_store_comes(struct cpu *c, uint64_t off, unsigned len);
void watch_store_done(struct cpu *c);

#endif
