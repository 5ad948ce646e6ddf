/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The code cache from the writer's side: room, index, epochs. Owns everything in the memfd; must never believe
 * what it says about itself after a restart without checking it, nor overwrite code a vCPU may still run.
 */
#ifndef BULKHEAD_VMM_TRANSLATOR_PROCESS_CACHE_H
#define BULKHEAD_VMM_TRANSLATOR_PROCESS_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include "ipc/abi/xl-shared.h"

struct cache {
    struct xl_cache *head; /* the whole memfd, writable */
    uint64_t size;
    const struct xl_ring *ring; /* [vcpus], read-only */
    unsigned vcpus;
    bool turning; /* the next half is wanted and not yet free */
};

#define CACHE_SIZE_MIN (1u << 20)
#define CACHE_SIZE_MAX (2ull << 30) /* hot and cold code reach each other */

/* Takes over a memfd of this size: a new one is laid out, one that an earlier incarnation left is gone on with.
 * 0 or -errno. */
int cache_attach(struct cache *c, void *mem, uint64_t size, const struct xl_ring *ring, unsigned vcpus);
/* The translation of exactly this block, or NULL. */
const struct xl_tb *cache_find(const struct cache *c, const struct xl_ask *a, uint64_t hash);
/* Room for a translation of at most `code` bytes of hot code, `size` of all else, and `slots` link slots; NULL: not now (full, and the
 * other half is not free yet). cache_commit keeps what was used of it and publishes it. */
struct xl_tb *cache_room(struct cache *c, uint32_t code, uint32_t size, uint32_t slots);
void cache_commit(struct cache *c, struct xl_tb *tb, uint64_t hash);

#endif
