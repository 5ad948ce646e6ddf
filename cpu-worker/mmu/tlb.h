/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Translation for the slow paths: walk, fill the TLB, say where the byte is. Internal to mmu/.
 */
#ifndef BULKHEAD_CPU_WORKER_MMU_TLB_H
#define BULKHEAD_CPU_WORKER_MMU_TLB_H

#include "cpu-worker/mmu/walk.h"

struct translation {
    uint64_t gpa;
    uint8_t *host;      /* NULL: MMIO or nothing */
    bool writable_host; /* false: ROM */
    uint64_t ram_off;
};
/* Raises #PF, #GP or #SS. Fills the TLB when the page is memory. */
void mmu_translate(struct cpu *c, const struct op *o, uint64_t va, enum mmu_access acc,
                   struct translation *t);
bool va_canonical(const struct cpu *c, uint64_t va);

#endif
