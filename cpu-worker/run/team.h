/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The vCPUs of one machine together: who is executing guest code, stopping all others for a moment,
 * and the coherence of their block caches with stores (docs/decisions/0005-code-coherence.md). Owns
 * the code masks and the write-protect ring; must never touch another vCPU's TLB or blocks: it asks.
 */
#ifndef BULKHEAD_CPU_WORKER_RUN_TEAM_H
#define BULKHEAD_CPU_WORKER_RUN_TEAM_H

#include <pthread.h>
#include "cpu-worker/run/cpu.h"

#define TEAM_RING  256u /* pages to write-protect that a vCPU may lag behind */
#define TEAM_STALE 64u  /* stores to code that may wait for one vCPU */

struct vga;

struct team_stale { /* bytes of one RAM page that another vCPU or a device changed */
    uint64_t off;
    uint32_t len;
};
struct team_seat { /* what others need of a vCPU; never shares a line with another seat */
    uint32_t inside;    /* futex, atomic: 1 = executes guest code and may hold host pointers */
    uint32_t flush_ack; /* atomic: last value of flush_seq this vCPU has obeyed */
    uint32_t sweep_ack; /* atomic: last display sweep this vCPU has obeyed */
    uint64_t ack;       /* atomic: marks up to this one are obeyed: no fast stores to those pages */
    pthread_mutex_t lock;
    uint32_t n_stale;   /* atomic; list and overflow under lock */
    bool overflow;
    struct team_stale stale[TEAM_STALE];
    uint64_t watch;     /* atomic: RAM offset of the monitored line | 1; 0: not armed (run/watch.h) */
    uint32_t watch_hit; /* atomic: stored to since it was armed */
} __attribute__((aligned(128)));

struct team {
    unsigned n;
    struct cpu *cpu[ABI_VCPU_MAX];
    struct abi_codepage *cp;
    uint64_t pages;
    uint64_t *mask;      /* per RAM page: bit n = vCPU n has decoded code from it. Atomic */
    uint8_t *watched;    /* per RAM page: monitors in it. Atomic */
    uint32_t watchers;   /* atomic: vCPUs that have ever monitored a line */
    pthread_mutex_t code_lock; /* changes of mask[] and watched[] with HAS_CODE, ring[], dma_seq */
    uint64_t marks;      /* atomic: marks made so far */
    uint64_t ring[TEAM_RING]; /* ring[m % TEAM_RING] = RAM page of mark m + 1 */
    uint32_t dma_seq;    /* cp->seq up to which DIRTY pages were looked for */
    uint32_t flush_seq;  /* atomic: flushes of all TLBs asked for so far */
    pthread_mutex_t excl_lock;
    uint32_t excl;       /* futex, atomic: index + 1 of the vCPU that wants to be alone, 0 none */
    struct team_seat seat[ABI_VCPU_MAX];
};

/* n vCPUs that cpu_init_member joins. NULL: no memory. */
struct team *team_create(unsigned n, uint64_t ram_size, struct abi_codepage *cp);

/* Before and after executing guest code, own thread. Between leave and enter the vCPU counts as having
 * obeyed every request; enter obeys them. Holding host addresses across the pair is not allowed. */
void team_enter(struct cpu *c);
void team_leave(struct cpu *c);
/* At a block boundary, for a raised exit request: steps aside for an exclusive section, obeys marks
 * and the stores to code that happened since. */
void team_boundary(struct cpu *c);

/* Alone: no other vCPU executes guest code until the end. In an instruction (own thread), with no host
 * address held from before. A wait here counts as outside. Nests not. */
void cpu_exclusive_begin(struct cpu *c);
void cpu_exclusive_end(struct cpu *c);

/* All TLBs must go (address map, A20). Asks every vCPU and returns; the others' next guest access
 * after the wait is by the new map. Any thread; self NULL = not a vCPU's. */
void team_flush(struct team *t);
void team_flush_wait(struct cpu *self); /* until all others have flushed or are outside */

/* A new sweep of display memory: every vCPU gives up its fast stores there, soon. Any thread. */
void team_sweep(struct team *t, struct vga *v);
void team_sweep_obey(struct cpu *c); /* own thread, holding no host address */

/* This vCPU begins to decode from the page of RAM offset off: call before reading the bytes. */
void team_mark_code(struct cpu *c, uint64_t off);
void team_unmark_code(struct cpu *c, uint64_t page);
/* The two halves of marking any page, under code_lock and after it: no fast stores to it from now on. The
 * mark's number. */
uint64_t team_mark_page(struct cpu *c, uint64_t page);
void team_mark_ask(struct cpu *c, uint64_t page);
/* 0, or the mark that some other vCPU has not obeyed yet: it may still store unnoticed into a page
 * that this vCPU marked. */
uint64_t team_unsettled(struct cpu *c);
bool team_settled(const struct cpu *c, uint64_t mark);
/* Bytes were just stored by the slow path: tell every vCPU that has code there. o as in block.h. */
void team_code_written(struct cpu *c, const struct op *o, uint64_t off, unsigned len);
void team_marks_obey(struct cpu *c); /* own thread, holding no host address */
void team_stale_drop(struct cpu *c); /* own thread, at a block boundary */
/* cp->seq has moved: hand DIRTY pages to the vCPUs that have code there. */
void team_dma_sync(struct cpu *c);

static inline bool team_page_has_code(const struct team *t, uint64_t off)
{
    return off >> 12 < t->pages && __atomic_load_n(&t->mask[off >> 12], __ATOMIC_RELAXED);
}
static inline bool team_page_watched(const struct team *t, uint64_t off)
{
    return __builtin_expect(__atomic_load_n(&t->watchers, __ATOMIC_RELAXED), 0) && off >> 12 < t->pages &&
           __atomic_load_n(&t->watched[off >> 12], __ATOMIC_SEQ_CST);
}

#endif
