/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The page walker: virtual to guest physical under the current paging mode, with permissions, accessed
 * and dirty bits. Owns page-table semantics; the TLB is mmu/tlb.c's.
 */
#ifndef BULKHEAD_CPU_WORKER_MMU_WALK_H
#define BULKHEAD_CPU_WORKER_MMU_WALK_H

#include "cpu-worker/run/cpu.h"

enum mmu_access { MMU_READ, MMU_WRITE, MMU_FETCH };
struct walk {
    uint64_t gpa;      /* of the byte asked for */
    bool writable;     /* stores by the current rights are allowed and D is set */
    bool fetchable;    /* fetches by the current rights are allowed */
    bool large;        /* part of a page larger than 4 KiB */
    bool global;
    uint32_t error;    /* page-fault error code when walk_page returns false */
};
/* user: rights of CPL 3. Sets A (and D for a write). */
bool walk_page(struct cpu *c, uint64_t va, enum mmu_access acc, bool user, struct walk *w);

#endif
