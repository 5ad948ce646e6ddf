/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The page walker: virtual to guest physical under the current paging mode, with permissions, accessed
 * and dirty bits. Owns page-table semantics; the TLB is mmu/tlb.c's.
 */
#ifndef BULKHEAD_CPU_WORKER_MMU_WALK_H
#define BULKHEAD_CPU_WORKER_MMU_WALK_H

#include "cpu-worker/run/cpu.h"

enum mmu_access { MMU_READ, MMU_WRITE, MMU_FETCH };

/* A page as its tables describe it: physical base, and in the low twelve bits: */
#define PAGE_W    1ull
#define PAGE_U    2ull
#define PAGE_NX   4ull
#define PAGE_D    8ull
#define PAGE_G    0x10ull
#define PAGE_KIND(p) ((unsigned)((p) >> 5) & 3) /* 4 KiB, 2 MiB, 4 MiB, 1 GiB */
#define PAGE_KEY(p)  ((unsigned)((p) >> 8) & 15)
enum page_kind { PAGE_4K, PAGE_2M, PAGE_4M, PAGE_1G };

static inline unsigned page_shift(unsigned kind)
{
    return kind == PAGE_4K ? 12 : kind == PAGE_2M ? 21 : kind == PAGE_4M ? 22 : 30;
}
static inline uint64_t page_gpa(uint64_t page, uint64_t va)
{
    uint64_t in = (1ull << page_shift(PAGE_KIND(page))) - 1;
    return (page & ~0xfffull & ~in) | (va & in);
}

/* What may be done with a page under the current rights. */
#define ALLOW_R 1u
#define ALLOW_W 2u
#define ALLOW_X 4u
/* cpu->allow[], after a control register changed. */
void page_rights_update(struct cpu *c);
/* Rights: CTX_SYSTEM, CTX_USER or CTX_AC. */
unsigned page_allows(const struct cpu *c, uint64_t page, unsigned rights);

struct walk {
    uint64_t page;
    uint32_t error; /* page-fault error code when walk_page returns false */
};
/* Rights of the current context. Sets A (and D for a write) where the access is allowed. */
bool walk_page(struct cpu *c, uint64_t va, enum mmu_access acc, struct walk *w);

#endif
