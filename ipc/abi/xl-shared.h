/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The memory the cpu-worker and the translator share: the request rings, which only the worker writes, and the
 * code cache, which only the translator writes. A translation belongs to the bytes of one block at one place in
 * guest memory, so it never becomes wrong, only useless; nothing is ever taken back. Layouts and the key; each
 * side copies what the other wrote before it looks at it.
 */
#ifndef BULKHEAD_IPC_ABI_XL_SHARED_H
#define BULKHEAD_IPC_ABI_XL_SHARED_H

#include <stdint.h>
#include <string.h>
#include "ipc/abi/xl.h"

#define XL_VERSION    2u
#define XL_VCPU_MAX   64u
#define XL_BYTES_MAX  976u /* guest code of one block */
#define XL_RING_SLOTS 256u  /* a power of two */

/* ---- requests: one ring per vCPU, written by its thread alone ---- */

struct xl_ask {
    uint64_t ram_off; /* of the block's first byte in guest memory: part of the key, never followed */
    uint32_t mode;    /* the worker's mode word of the block (ABI_XL_MODE_*) */
    uint32_t len;     /* of the guest code */
    uint8_t bytes[XL_BYTES_MAX];
    uint8_t pad[1024 - 16 - XL_BYTES_MAX];
};
/* What the vCPU counted: for info jit. */
enum xl_count { XL_N_ENTER, XL_N_POLL, XL_N_LINK, XL_N_LINKED, XL_N_FILL, XL_N_FILL_NO, XL_N_TRAP, XL_N_BIND,
                XL_N_NONE, XL_N_ASK, XL_N_FULL, XL_N_DROP, XL_N_JUMP, XL_N_LEAVE /* + abi_xl_why */, XL_N = 24 };
struct xl_ring {
    uint32_t head;    /* atomic: asks written so far */
    uint32_t epoch;   /* atomic: what this vCPU has let go of: everything of earlier epochs */
    uint32_t away;    /* atomic: executes no guest code, and will look at the epoch before it does */
    uint32_t pad[13];
    uint64_t n[XL_N];
    struct xl_ask ask[XL_RING_SLOTS];
};
static inline uint64_t xl_rings_size(unsigned vcpus)
{
    return (vcpus * sizeof(struct xl_ring) + 4095) & ~4095ull;
}

/* ---- the code cache: head, index, then two halves, each with code that runs in one part and all else behind ---- */

#define XL_MAGIC      0x314c5842u /* "BXL1" */
#define XL_HALVES     2u
#define XL_SLOTS      (ABI_XL_SLOTS / XL_HALVES) /* link slots of one half */
#define XL_INDEX_MAX  (1u << 20)
#define XL_PROBES     8u          /* places of the index a translation may be found at */
#define XL_ALIGN      32u
#define XL_PART_SHIFT 16  /* halves and their parts begin at multiples of this */
#define XL_CODE_ALIGN 16u /* of hot code; the four bytes in front of it say where its structure is, in XL_ALIGN */

/* Of a translation, with its cold code and tables behind. Its hot code lies dense among that of others. */
struct xl_tb {
    uint64_t ram_off;
    uint32_t mode;
    uint32_t epoch;
    uint16_t len;      /* guest bytes of the block: what the key has */
    uint16_t src_len;  /* of these so many are translated */
    uint16_t n_exits;  /* link slots */
    uint16_t n_faults;
    uint64_t code_at;  /* hot code, place in the cache */
    uint32_t code_len; /* 0: cannot be translated, do not ask again */
    uint32_t cold;     /* the following are offsets from this structure */
    uint32_t cold_len;
    uint32_t exits;    /* int32_t[n_exits]: where exit k leads, offset in the page */
    uint32_t faults;   /* struct abi_xl_fault[n_faults], by rising host offset */
    uint32_t bytes;    /* the guest code */
    uint32_t size;     /* all of it */
    uint32_t slot_base; /* number of exit 0's link slot */
    uint32_t insns;     /* guest instructions translated */
};

struct xl_counts {
    uint64_t asked, made, none, known, refused, dropped; /* by outcome; refused: not a valid ask */
    uint64_t guest_bytes, host_bytes, turns;
};
struct xl_cache {
    uint32_t magic, version;
    uint64_t size;        /* of everything */
    uint64_t half[XL_HALVES], half_size, hot_size; /* of each half: its first bytes are for hot code */
    uint32_t index_at, index_n; /* uint64_t[index_n], a power of two */
    uint32_t epoch;       /* atomic: translations are made in half epoch % XL_HALVES; those of epoch - 2 are gone */
    uint32_t asleep;      /* atomic: ring the bell after an ask */
    uint32_t incarnation;
    uint32_t slots_used[XL_HALVES];
    uint64_t used[XL_HALVES], hot_used[XL_HALVES];
    struct xl_counts n;
    uint32_t tail[XL_VCPU_MAX] __attribute__((aligned(64))); /* atomic: asks of each ring that were taken */
};

/* Index entry: high half of the hash, place of the struct xl_tb / XL_ALIGN. 0: free. */
static inline uint64_t xl_entry(uint64_t hash, uint64_t at)
{
    return (hash & 0xffffffff00000000ull) | (at / XL_ALIGN);
}
static inline uint64_t xl_entry_at(uint64_t e)
{
    return (e & 0xffffffffull) * XL_ALIGN;
}
static inline uint64_t xl_mix(uint64_t h, uint64_t v)
{
    h = (h ^ v) * 0x9e3779b97f4a7c15ull;
    return h ^ h >> 32;
}
static inline uint64_t xl_hash(uint64_t ram_off, uint32_t mode, const uint8_t *bytes, uint32_t len)
{
    uint64_t h = xl_mix(ram_off, (uint64_t)mode << 32 | len), v;
    for (; len >= 8; len -= 8, bytes += 8) {
        memcpy(&v, bytes, 8);
        h = xl_mix(h, v);
    }
    v = 0;
    memcpy(&v, bytes, len);
    return xl_mix(xl_mix(h, v), 0);
}

_Static_assert(sizeof(struct xl_ask) == 1024, "ABI");
_Static_assert(sizeof(struct xl_ring) == 64 + 8 * XL_N + 1024 * XL_RING_SLOTS, "ABI");
_Static_assert(sizeof(struct xl_cache) <= 4096, "ABI");
_Static_assert(sizeof(struct xl_tb) % 8 == 0, "ABI");

#endif
