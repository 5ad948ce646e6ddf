/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Translation for the slow paths: find or walk, fill the TLB, say where the byte is. And the two levels'
 * sides towards each other. Internal to mmu/.
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
/* Second level. What it holds was accessed before; a page with PAGE_D has D set in its entry. */
bool tlb2_find(const struct cpu *c, uint64_t va, uint64_t *page);
void tlb2_insert(struct cpu *c, uint64_t va, uint64_t page);
/* Drops va in the generation and, if asked, among the global pages. True: pieces of a large page that
 * covers va may be in the first level, from *base on for *len bytes. */
bool tlb2_drop(struct cpu *c, uint64_t va, uint32_t gen, bool global, uint64_t *base, uint64_t *len);
void tlb2_clear(struct cpu *c, bool keep_global);
void tlb1_clear(struct cpu *c);

#endif
