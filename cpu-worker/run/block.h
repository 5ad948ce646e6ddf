/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The block cache: pre-decoded straight-line code, keyed by guest physical address and mode, so that
 * address spaces share it. Blocks are never freed one by one: a store into a page unhooks the blocks
 * it hits, and a full arena empties the whole cache between blocks. Owns blocks and the HAS_CODE bits
 * of the code-page map; must never execute anything.
 */
#ifndef BULKHEAD_CPU_WORKER_RUN_BLOCK_H
#define BULKHEAD_CPU_WORKER_RUN_BLOCK_H

#include "cpu-worker/run/cpu.h"

#define BLOCK_OPS_MAX 64

struct block {
    uint64_t gpa;            /* of the first byte */
    uint64_t gpa2;           /* page of the bytes past a page crossing, ~0 if none */
    uint32_t mode;
    uint16_t n;              /* instructions */
    uint16_t len;            /* bytes of guest code */
    uint64_t ram_off[2];     /* RAM offset of first byte, and of the second page; ~0 none */
    struct block *hash_next;
    struct block *page_next[2]; /* lists of the blocks of a RAM page, for the first and second page */
    struct op *term;         /* terminator with links in imm and term[1].imm, or NULL */
    bool dead;
    uint8_t xl_state;        /* enum xl_state (run/xl.h): what stands in front of ops[0] */
    uint16_t heat;           /* entries counted while it has no translation */
    uint16_t xl_slots;       /* of the translation: link slots from xl_slot on */
    uint32_t xl_slot;
    op_fn first;             /* the handler of ops[0] */
    const uint8_t *xl_code;  /* the translation's entry, NULL none */
    const int32_t *xl_exits; /* where its exits lead, offsets in the page */
    uint64_t settle;         /* 0, or a mark: while others may not have obeyed it, bytes are compared */
    uint8_t *copy;           /* ... with what was decoded */
    struct op ops[];
};

int block_cache_init(struct cpu *c, uint64_t ram_size); /* 0 or -errno */
struct block *block_find(struct cpu *c, uint64_t gpa);
/* Decodes at linear address lip (= rip + CS base). NULL: not memory. Raises #PF or #GP if even
 * the first instruction cannot be fetched. */
struct block *block_make(struct cpu *c, uint64_t lip);
/* A store of len bytes went to RAM offset off, in a page that has code: unhook what it hits. When the
 * running block is hit, execution leaves it after the current instruction o. */
void block_store_hit(struct cpu *c, const struct op *o, uint64_t off, unsigned len);
void block_invalidate_page(struct cpu *c, uint64_t off);
/* Blocks are found by guest physical address: drops all of them if other memory lies there now. */
void block_layout_check(struct cpu *c);
void block_flush_all(struct cpu *c);
/* From now on the block is its first instruction alone; what follows becomes another one. Between blocks only. */
void block_split(struct cpu *c, struct block *b);
/* Of a block that was decoded while stores to its page could go unnoticed: it still holds what memory
 * holds, or it is dead now (false). When such stores are over, settle becomes 0. */
bool block_settle(struct cpu *c, struct block *b);

/* The pre-decoder (interp/decode.c). */
struct decode_in {
    const uint8_t *bytes; /* from lip on */
    unsigned avail;       /* bytes that may be looked at */
    uint32_t mode;
    uint32_t off;         /* of this instruction from the block's first byte */
    const uint32_t *feat; /* advertised features: what is absent decodes to #UD. ABI_CPU_WORDS words */
    uint32_t vendor;      /* enum abi_cpu_vendor */
};
enum decode_result {
    DECODE_OK,       /* one op appended; the block goes on */
    DECODE_END,      /* appended, and it ends the block (it needs two slots if it has links) */
    DECODE_MORE,     /* needs more bytes than avail */
};
enum decode_result decode_one(struct op *o, const struct decode_in *in);

#endif
