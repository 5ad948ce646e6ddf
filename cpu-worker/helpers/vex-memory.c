/* SPDX-License-Identifier: Apache-2.0 */
/*
 * VEX instructions that touch memory by element: gathers, which keep what they have when an element
 * faults, and masked moves, which do not touch what the mask leaves out. Must never read or write an
 * element whose mask bit is clear.
 */
#include "cpu-worker/helpers/vex.h"

/* imm = the slot for masked moves. aux2: element bytes, index bytes << 8, elements << 16. */
static inline unsigned element_bytes(const struct op *o)
{
    return o->aux2 & 0xff;
}
static inline unsigned index_bytes(const struct op *o)
{
    return o->aux2 >> 8 & 0xff;
}
static inline unsigned elements(const struct op *o)
{
    return o->aux2 >> 16;
}

static uint64_t element_va(struct cpu *c, const struct op *o, int64_t distance, bool write)
{
    return simd_part(c, o, distance, element_bytes(o), write);
}

static inline bool element_chosen(const uint8_t *mask, unsigned i, unsigned bytes)
{
    return mask[(i + 1) * bytes - 1] & 0x80;
}

/* dst = destination, src = index register, aux = mask; operand base, disp and segment as usual. */
static void gather_one(struct cpu *c, const struct op *o, unsigned i, const uint8_t *index)
{
    unsigned n = element_bytes(o);
    int64_t at;
    int32_t at32;
    if (index_bytes(o) == 8) {
        memcpy(&at, index + i * 8, 8);
    } else {
        memcpy(&at32, index + i * 4, 4);
        at = at32;
    }
    uint64_t va = element_va(c, o, (int64_t)((uint64_t)at << o->scale), false);
    uint64_t v = n == 4 ? mmu_ld32(c, o, va) : mmu_ld64(c, o, va);
    memcpy(c->s->ymm[o->dst] + i * n, &v, n);
}

WORKER_OP(gather)
{
    uint8_t index[32], *mask = c->s->ymm[o->aux];
    unsigned n = element_bytes(o);
    memcpy(index, c->s->ymm[o->src], 32);
    for (unsigned i = 0; i < elements(o); i++) {
        if (element_chosen(mask, i, n))
            gather_one(c, o, i, index);
        memset(mask + i * n, 0, n); /* this element is done, whatever the next ones do */
    }
    memset(mask, 0, 32);
    memset(c->s->ymm[o->dst] + elements(o) * n, 0, 32 - elements(o) * n);
}

/* ---- masked moves: dst = register, aux = mask ---- */

WORKER_OP(masked_load)
{
    uint8_t v[32] = {0};
    const uint8_t *mask = c->s->ymm[o->aux];
    unsigned n = element_bytes(o);
    for (unsigned i = 0; i < elements(o); i++) {
        if (!element_chosen(mask, i, n))
            continue;
        uint64_t va = element_va(c, o, i * n, false);
        uint64_t e = n == 4 ? mmu_ld32(c, o, va) : mmu_ld64(c, o, va);
        memcpy(v + i * n, &e, n);
    }
    memcpy(c->s->ymm[o->dst], v, 32);
}

/* All elements are probed first, so that a fault leaves none written. */
WORKER_OP(masked_store)
{
    const uint8_t *mask = c->s->ymm[o->aux], *v = c->s->ymm[o->dst];
    unsigned n = element_bytes(o);
    uint64_t va[8], e;
    for (unsigned i = 0; i < elements(o); i++) {
        if (!element_chosen(mask, i, n))
            continue;
        va[i] = element_va(c, o, i * n, true);
        mmu_probe_write(c, o, va[i], n);
    }
    for (unsigned i = 0; i < elements(o); i++) {
        if (!element_chosen(mask, i, n))
            continue;
        memcpy(&e, v + i * n, n);
        if (n == 4)
            mmu_st32(c, o, va[i], (uint32_t)e);
        else
            mmu_st64(c, o, va[i], e);
    }
}

static bool set(struct op *o, op_fn fn, unsigned count, unsigned bytes, unsigned index)
{
    o->fn = fn;
    o->aux2 = bytes | index << 8 | count << 16;
    return true;
}

static bool gather_decode(struct op *o, const struct simd_in *d, unsigned bytes, unsigned index)
{
    unsigned wider = bytes > index ? bytes : index;
    o->src = (uint8_t)ZydisRegisterGetId(d->ops[1].mem.index);
    o->index = REG_ZERO;
    if (o->src == o->dst || o->src == o->aux || o->dst == o->aux) {
        o->fn = NULL; /* #UD */
        return true;
    }
    return set(o, gather, (d->in->raw.vex.L ? 32 : 16) / wider, bytes, index);
}

static bool masked_decode(struct op *o, const struct simd_in *d, unsigned bytes)
{
    return set(o, d->shape == SHAPE_RM ? masked_load : masked_store,
               (d->in->raw.vex.L ? 32 : 16) / bytes, bytes, 0);
}

bool vex_memory_decode(struct op *o, const struct simd_in *d)
{
    switch (d->mn) {
    case ZYDIS_MNEMONIC_VGATHERDPS:
    case ZYDIS_MNEMONIC_VPGATHERDD:
        return gather_decode(o, d, 4, 4);
    case ZYDIS_MNEMONIC_VGATHERDPD:
    case ZYDIS_MNEMONIC_VPGATHERDQ:
        return gather_decode(o, d, 8, 4);
    case ZYDIS_MNEMONIC_VGATHERQPS:
    case ZYDIS_MNEMONIC_VPGATHERQD:
        return gather_decode(o, d, 4, 8);
    case ZYDIS_MNEMONIC_VGATHERQPD:
    case ZYDIS_MNEMONIC_VPGATHERQQ:
        return gather_decode(o, d, 8, 8);
    case ZYDIS_MNEMONIC_VMASKMOVPS:
    case ZYDIS_MNEMONIC_VPMASKMOVD:
        return masked_decode(o, d, 4);
    case ZYDIS_MNEMONIC_VMASKMOVPD:
    case ZYDIS_MNEMONIC_VPMASKMOVQ:
        return masked_decode(o, d, 8);
    default:
        return false;
    }
}
