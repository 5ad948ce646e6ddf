/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The whole of tier 1 in one process, for test rigs: with BULKHEAD_TIER=1 in the environment every block is translated
 * before its first instruction runs, by the translator's own code, called where the worker would ring its bell.
 * BULKHEAD_TIER=2: after a few entries, so that both tiers mix. Must never be linked into an installed program.
 */
#ifndef BULKHEAD_TESTS_LIB_XL_ENGINE_H
#define BULKHEAD_TESTS_LIB_XL_ENGINE_H

#include "cpu-worker/run/cpu.h"
#include "ipc/abi/xl-shared.h"

/* Before the vCPU runs. Does nothing without BULKHEAD_TIER, or where the host cannot run translations. */
void xl_engine_attach(struct cpu *c);
/* How many translations were made so far, 0 without tier 1. */
uint64_t xl_engine_made(void);
const struct xl_counts *xl_engine_counts(void);
uint64_t xl_engine_traps(const struct cpu *c); /* host faults in translated code */
/* Makes the cache of rigs attached after this so small. */
void xl_engine_size(uint64_t bytes);

#endif
