/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MMX moves, element access, stores and EMMS. Must never write an MMX register without marking the
 * x87 registers valid (mmx_enter), nor before an access that can fault; MASKMOVQ alone says otherwise.
 */
#include "cpu-worker/helpers/simd-op.h"

static OP(emms)
{
    mmx_wait(c, o);
    c->s->ftw = 0xffff;
    c->s->fsw &= (uint16_t)~0x3800;
    NEXT();
}

static OP(movq_rr)
{
    mmx_wait(c, o);
    mmx_enter(c);
    mmx_put(c, o->dst, mmx_get(c, o->src));
    NEXT();
}

static OP(movq_rm)
{
    mmx_wait(c, o);
    __m128i b = simd_ldv64(c, o);
    mmx_enter(c);
    mmx_put(c, o->dst, b);
    NEXT();
}

static OP(movd_rm)
{
    mmx_wait(c, o);
    __m128i b = simd_ldv32(c, o);
    mmx_enter(c);
    mmx_put(c, o->dst, b);
    NEXT();
}

static OP(movq_mr)
{
    mmx_wait(c, o);
    mmu_st64(c, o, op_ea(c, o, 8, true), c->s->fpr[o->src].mant);
    mmx_enter(c);
    NEXT();
}

static OP(movd_mr)
{
    mmx_wait(c, o);
    mmu_st32(c, o, op_ea(c, o, 4, true), (uint32_t)c->s->fpr[o->src].mant);
    mmx_enter(c);
    NEXT();
}

static OP(movd_from_gpr)
{
    mmx_wait(c, o);
    mmx_enter(c);
    mmx_put(c, o->dst, _mm_cvtsi32_si128((int)c->gpr[o->src]));
    NEXT();
}

static OP(movq_from_gpr)
{
    mmx_wait(c, o);
    mmx_enter(c);
    mmx_put(c, o->dst, _mm_cvtsi64_si128((long long)c->gpr[o->src]));
    NEXT();
}

static OP(movd_to_gpr)
{
    mmx_wait(c, o);
    mmx_enter(c);
    c->gpr[o->dst] = (uint32_t)c->s->fpr[o->src].mant;
    NEXT();
}

static OP(movq_to_gpr)
{
    mmx_wait(c, o);
    mmx_enter(c);
    c->gpr[o->dst] = c->s->fpr[o->src].mant;
    NEXT();
}

static OP(pmovmskb_rr)
{
    mmx_wait(c, o);
    mmx_enter(c);
    c->gpr[o->dst] = (uint32_t)_mm_movemask_epi8(mmx_get(c, o->src));
    NEXT();
}

static OP(pextrw_rr)
{
    mmx_wait(c, o);
    mmx_enter(c);
    c->gpr[o->dst] = (uint16_t)(c->s->fpr[o->src].mant >> 16 * (o->imm & 3));
    NEXT();
}

static inline void insert_word(struct cpu *c, const struct op *o, uint16_t w)
{
    unsigned at = 16 * ((unsigned)o->imm & 3);
    uint64_t v = c->s->fpr[o->dst].mant & ~(0xffffull << at);
    mmx_enter(c);
    mmx_put(c, o->dst, _mm_cvtsi64_si128((long long)(v | (uint64_t)w << at)));
}

static OP(pinsrw_rr)
{
    mmx_wait(c, o);
    insert_word(c, o, (uint16_t)c->gpr[o->src]);
    NEXT();
}

static OP(pinsrw_rm)
{
    mmx_wait(c, o);
    insert_word(c, o, simd_ld16(c, o));
    NEXT();
}

static void store_masked(struct cpu *c, const struct op *o, uint64_t v, unsigned mask)
{
    uint64_t va = op_ea(c, o, 8, true);
    if (c->vendor == ABI_CPU_AMD) /* all 8 bytes have to be writable there, whatever the mask */
        mmu_probe_write(c, o, va, 8);
    if (!mask)
        return;
    unsigned first = (unsigned)__builtin_ctz(mask), last = 31 - (unsigned)__builtin_clz(mask);
    mmu_probe_write(c, o, va + first, last - first + 1);
    for (unsigned i = first; i <= last; i++) {
        if (mask >> i & 1)
            mmu_st8(c, o, va + i, (uint8_t)(v >> 8 * i));
    }
}

static OP(maskmovq)
{
    mmx_wait(c, o);
    if (c->vendor == ABI_CPU_AMD) /* a fault of the store comes after the change to MMX state */
        mmx_enter(c);
    store_masked(c, o, c->s->fpr[o->dst].mant,
                 (unsigned)_mm_movemask_epi8(mmx_get(c, o->src)));
    mmx_enter(c);
    NEXT();
}

static bool from_gpr(const struct simd_in *d)
{
    return ZydisRegisterGetClass(d->ops[1].reg.value) != ZYDIS_REGCLASS_MMX;
}

static bool to_gpr(const struct simd_in *d)
{
    return ZydisRegisterGetClass(d->ops[0].reg.value) != ZYDIS_REGCLASS_MMX;
}

bool mmx_move_decode(struct op *o, const struct simd_in *d)
{
    bool rr = d->shape == SHAPE_RR;
    switch (d->mn) {
    case ZYDIS_MNEMONIC_EMMS:
    case ZYDIS_MNEMONIC_FEMMS:
        o->fn = emms;
        return true;
    case ZYDIS_MNEMONIC_MOVD:
        return simd_bind(o, d, rr && from_gpr(d) ? movd_from_gpr : movd_to_gpr, movd_rm, movd_mr);
    case ZYDIS_MNEMONIC_MOVQ:
        return simd_bind(o, d,
                         rr && from_gpr(d) ? movq_from_gpr
                         : rr && to_gpr(d) ? movq_to_gpr
                                           : movq_rr,
                         movq_rm, movq_mr);
    case ZYDIS_MNEMONIC_MOVNTQ:
        return simd_bind(o, d, NULL, NULL, movq_mr);
    case ZYDIS_MNEMONIC_PMOVMSKB:
        return simd_bind(o, d, pmovmskb_rr, NULL, NULL);
    case ZYDIS_MNEMONIC_PEXTRW:
        return simd_bind(o, d, pextrw_rr, NULL, NULL);
    case ZYDIS_MNEMONIC_PINSRW:
        return simd_bind(o, d, pinsrw_rr, pinsrw_rm, NULL);
    case ZYDIS_MNEMONIC_MASKMOVQ:
        o->fn = maskmovq;
        return true;
    default:
        return false;
    }
}
