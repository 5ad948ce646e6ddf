/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SSE stores: whole registers, elements, masked bytes. Non-temporal hints are ordinary stores: the
 * guest sees no difference but stronger ordering. Must never touch registers.
 */
#include "cpu-worker/helpers/simd-op.h"

static OP(mova_mr)
{
    simd_st_a16(c, o, X(o->src));
    NEXT();
}

static OP(movu_mr)
{
    simd_st_u16(c, o, X(o->src));
    NEXT();
}

static OP(mov32_mr)
{
    mmu_st32(c, o, op_ea(c, o, 4, true), (uint32_t)_mm_cvtsi128_si32(X(o->src)));
    NEXT();
}

static OP(mov64_mr)
{
    mmu_st64(c, o, op_ea(c, o, 8, true), (uint64_t)_mm_cvtsi128_si64(X(o->src)));
    NEXT();
}

static OP(movh_mr)
{
    __m128i v = X(o->src);
    mmu_st64(c, o, op_ea(c, o, 8, true), (uint64_t)_mm_cvtsi128_si64(_mm_unpackhi_epi64(v, v)));
    NEXT();
}

/* Bytes whose mask has the top bit set; all are probed first, so that a fault leaves none written.
 */
static void store_masked(struct cpu *c, const struct op *o, const uint8_t *v, unsigned mask)
{
    uint64_t va;
    if (c->vendor == ABI_CPU_AMD) { /* two stores, which have to be allowed whatever the mask */
        va = simd_part_probe(c, o, 0, 8, true);
        simd_part_probe(c, o, 8, 8, true);
    } else {
        va = op_ea(c, o, 16, true);
    }
    if (!mask)
        return;
    unsigned first = (unsigned)__builtin_ctz(mask), last = 31 - (unsigned)__builtin_clz(mask);
    mmu_probe_write(c, o, va + first, last - first + 1);
    for (unsigned i = first; i <= last; i++) {
        if (mask >> i & 1)
            mmu_st8(c, o, va + i, v[i]);
    }
}

static OP(maskmovdqu)
{
    store_masked(c, o, c->s->ymm[o->dst], (unsigned)_mm_movemask_epi8(X(o->src)));
    NEXT();
}

bool sse_store_decode(struct op *o, const struct simd_in *d)
{
    if (d->mn == ZYDIS_MNEMONIC_MASKMOVDQU) {
        o->fn = maskmovdqu;
        return true;
    }
    if (d->shape != SHAPE_MR || d->in->meta.category == ZYDIS_CATEGORY_STRINGOP)
        return false;
    switch (d->mn) {
    case ZYDIS_MNEMONIC_MOVAPS:
    case ZYDIS_MNEMONIC_MOVAPD:
    case ZYDIS_MNEMONIC_MOVDQA:
    case ZYDIS_MNEMONIC_MOVNTPS:
    case ZYDIS_MNEMONIC_MOVNTPD:
    case ZYDIS_MNEMONIC_MOVNTDQ:
        o->fn = mova_mr;
        return true;
    case ZYDIS_MNEMONIC_MOVUPS:
    case ZYDIS_MNEMONIC_MOVUPD:
    case ZYDIS_MNEMONIC_MOVDQU:
        o->fn = movu_mr;
        return true;
    case ZYDIS_MNEMONIC_MOVSS:
    case ZYDIS_MNEMONIC_MOVNTSS:
    case ZYDIS_MNEMONIC_MOVD:
        o->fn = mov32_mr;
        return true;
    case ZYDIS_MNEMONIC_MOVSD:
    case ZYDIS_MNEMONIC_MOVNTSD:
    case ZYDIS_MNEMONIC_MOVQ:
    case ZYDIS_MNEMONIC_MOVLPS:
    case ZYDIS_MNEMONIC_MOVLPD:
        o->fn = mov64_mr;
        return true;
    case ZYDIS_MNEMONIC_MOVHPS:
    case ZYDIS_MNEMONIC_MOVHPD:
        o->fn = movh_mr;
        return true;
    default:
        return false;
    }
}
