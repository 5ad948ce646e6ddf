/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Translations from the vCPU's side: asking for them, binding them to live blocks, running them. A translation
 * hangs on a block and lives no longer; what the block cache's rules say about a block holds for it. Must never
 * wait for the translator, nor run what does not match the block's bytes in memory now.
 */
#ifndef BULKHEAD_CPU_WORKER_RUN_XL_H
#define BULKHEAD_CPU_WORKER_RUN_XL_H

#include "cpu-worker/run/block.h"
#include "ipc/abi/xl-shared.h"

#define XL_CHUNK_SHIFT XL_PART_SHIFT /* no chunk has hot code and structures */

/* What the machine's vCPUs share. */
struct xl_memory {
    const uint8_t *cache; /* the code cache: readable, its two halves of code executable */
    uint64_t size;
    struct xl_ring *ring; /* [vcpus] */
    void (*bell)(void *opaque); /* wakes the translator; any vCPU's thread */
    void *opaque;
    unsigned heat_ask; /* entries after which a translation is asked for, 0: the usual number */
};

/* One vCPU's. */
struct xl {
    struct xl_memory mem;
    uint64_t half[XL_HALVES], half_size, hot_size; /* copied once and checked */
    uint32_t index_at, index_mask;
    struct xl_ring *ring;
    uint64_t page_seen[64];  /* pages, hashed, that the translated code's jump cache may name */
    uint32_t *chunk;         /* per XL_CHUNK of the cache: 1 + distance of the first bound hot code or structure in it, 0 none */
    struct block *owner[ABI_XL_SLOTS]; /* of each link slot */
};

enum xl_state {
    XL_OFF,   /* is never translated */
    XL_COLD,  /* entries are counted */
    XL_ASKED, /* a request went out */
    XL_BOUND,
};

/* Maps the code cache and takes its layout. fd_cache read-only; rings shared with the translator, which only reads.
 * 0 or -errno. */
int xl_memory_map(struct xl_memory *m, int fd_cache, uint64_t size, int fd_rings, unsigned vcpus);
/* Gives a vCPU translations. Before it runs. 0, or -errno: it interprets. -ENOTSUP: the host's processor lacks what
 * translated code uses. */
int xl_attach(struct cpu *c, const struct xl_memory *m);
/* The run loop's thread begins and ends executing guest code: gs, and what the translator may overwrite. */
void xl_enter_guest(struct cpu *c);
void xl_leave_guest(struct cpu *c);
/* At a block boundary: lets go of translations the translator wants to overwrite. */
void xl_boundary(struct cpu *c);

void xl_block_new(struct cpu *c, struct block *b);   /* decoded: may become hot */
void xl_unlink(struct cpu *c, struct block *b);      /* its translation's exits lead nowhere any more */
void xl_kill(struct cpu *c, struct block *b);        /* nothing leads to its translation by the jump cache */
void xl_page_drop(struct cpu *c, uint64_t va);       /* linear page: no indirect jumps to it by the jump cache */
void xl_linked(struct cpu *c, struct block *to);     /* c->link_slot is a translation's: lead it to this block */
bool xl_is_slot(const struct op *link_slot);

/* c->xl_cold is set: executes from the block's first operation by the interpreter, translation or not. */
const struct op *xl_cold_start(struct cpu *c, struct block *b);
/* xl-stub.S */
uint64_t xl_stub_enter(struct cpu *c, const uint8_t *code);
extern const uint8_t xl_stub_leave[], xl_stub_poll[], xl_stub_miss[], xl_stub_simd[], xl_stub_link[], xl_stub_jump[];
/* Called by the stubs. */
uint64_t xl_miss(struct cpu *c, uint64_t va, uint32_t what);
void xl_traps_init(const struct xl_memory *m);

#endif
