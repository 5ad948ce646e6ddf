/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SSE..SSE4.1 moves between vector registers, general registers, MMX registers and memory. Must
 * never touch MXCSR or flags. Stores are in sse-store.c.
 */
#include "cpu-worker/helpers/simd-op.h"

#define PD(v) _mm_castsi128_pd(v)
#define PS(v) _mm_castsi128_ps(v)
#define SI(v) _mm_castpd_si128(v)

static OP(mov_rr)
{
    X(o->dst) = X(o->src);
    NEXT();
}

static OP(mova_rm)
{
    X(o->dst) = simd_ld_aligned(c, o);
    NEXT();
}

static OP(movu_rm)
{
    X(o->dst) = simd_ld_u16(c, o);
    NEXT();
}

/* Element loads clear the rest of the register; register forms of MOVSS and MOVSD merge. */
static OP(mov32_rm)
{
    X(o->dst) = simd_ldv32(c, o);
    NEXT();
}

static OP(mov64_rm)
{
    X(o->dst) = simd_ldv64(c, o);
    NEXT();
}

static OP(movss_rr)
{
    X(o->dst) = _mm_castps_si128(_mm_move_ss(PS(X(o->dst)), PS(X(o->src))));
    NEXT();
}

static OP(movsd_rr)
{
    X(o->dst) = SI(_mm_move_sd(PD(X(o->dst)), PD(X(o->src))));
    NEXT();
}

static OP(movq_rr)
{
    X(o->dst) = _mm_move_epi64(X(o->src));
    NEXT();
}

/* ---- halves ---- */

static OP(movl_rm)
{
    __m128i b = simd_ldv64(c, o);
    X(o->dst) = SI(_mm_move_sd(PD(X(o->dst)), PD(b)));
    NEXT();
}

static OP(movh_rm)
{
    __m128i b = simd_ldv64(c, o);
    X(o->dst) = _mm_unpacklo_epi64(X(o->dst), b);
    NEXT();
}

static OP(movhlps_rr)
{
    X(o->dst) = SI(_mm_move_sd(PD(X(o->dst)), PD(_mm_unpackhi_epi64(X(o->src), X(o->src)))));
    NEXT();
}

static OP(movlhps_rr)
{
    X(o->dst) = _mm_unpacklo_epi64(X(o->dst), X(o->src));
    NEXT();
}

static OP(movddup_rr)
{
    X(o->dst) = _mm_unpacklo_epi64(X(o->src), X(o->src));
    NEXT();
}

static OP(movddup_rm)
{
    __m128i b = simd_ldv64(c, o);
    X(o->dst) = _mm_unpacklo_epi64(b, b);
    NEXT();
}

/* ---- general registers ---- */

static OP(movd_from_gpr)
{
    X(o->dst) = _mm_cvtsi32_si128((int)c->gpr[o->src]);
    NEXT();
}

static OP(movq_from_gpr)
{
    X(o->dst) = _mm_cvtsi64_si128((long long)c->gpr[o->src]);
    NEXT();
}

static OP(movd_to_gpr)
{
    c->gpr[o->dst] = (uint32_t)_mm_cvtsi128_si32(X(o->src));
    NEXT();
}

static OP(movq_to_gpr)
{
    c->gpr[o->dst] = (uint64_t)_mm_cvtsi128_si64(X(o->src));
    NEXT();
}

static OP(pmovmskb_rr)
{
    c->gpr[o->dst] = (uint32_t)_mm_movemask_epi8(X(o->src));
    NEXT();
}

static OP(movmskps_rr)
{
    c->gpr[o->dst] = (uint32_t)_mm_movemask_ps(PS(X(o->src)));
    NEXT();
}

static OP(movmskpd_rr)
{
    c->gpr[o->dst] = (uint32_t)_mm_movemask_pd(PD(X(o->src)));
    NEXT();
}

/* ---- MMX registers ---- */

static OP(movq2dq_rr)
{
    mmx_wait(c, o);
    X(o->dst) = mmx_get(c, o->src);
    mmx_enter(c);
    NEXT();
}

static OP(movdq2q_rr)
{
    mmx_wait(c, o);
    mmx_enter(c);
    mmx_put(c, o->dst, X(o->src));
    NEXT();
}

/* MOVD and MOVQ: which kinds of register are on both sides. */
static bool mov_d_q(struct op *o, const struct simd_in *d)
{
    bool quad = d->mn == ZYDIS_MNEMONIC_MOVQ;
    if (d->shape == SHAPE_RM) {
        o->fn = quad ? mov64_rm : mov32_rm;
        return true;
    }
    if (d->shape != SHAPE_RR)
        return false;
    ZydisRegisterClass to = ZydisRegisterGetClass(d->ops[0].reg.value);
    ZydisRegisterClass from = ZydisRegisterGetClass(d->ops[1].reg.value);
    if (from != ZYDIS_REGCLASS_XMM)
        o->fn = quad ? movq_from_gpr : movd_from_gpr;
    else if (to != ZYDIS_REGCLASS_XMM)
        o->fn = quad ? movq_to_gpr : movd_to_gpr;
    else
        o->fn = movq_rr;
    return true;
}

/* The rest has one handler per shape; stores have theirs elsewhere. */
static bool load_form(ZydisMnemonic mn, op_fn *rr, op_fn *rm)
{
    switch (mn) {
#define FORM(MN, a, b)                                                                             \
    case ZYDIS_MNEMONIC_##MN:                                                                      \
        *rr = a;                                                                                   \
        *rm = b;                                                                                   \
        return true;
        FORM(MOVAPS, mov_rr, mova_rm)
        FORM(MOVAPD, mov_rr, mova_rm)
        FORM(MOVDQA, mov_rr, mova_rm)
        FORM(MOVUPS, mov_rr, movu_rm)
        FORM(MOVUPD, mov_rr, movu_rm)
        FORM(MOVDQU, mov_rr, movu_rm)
        FORM(LDDQU, NULL, movu_rm)
        FORM(MOVNTDQA, NULL, mova_rm)
        FORM(MOVSS, movss_rr, mov32_rm)
        FORM(MOVSD, movsd_rr, mov64_rm)
        FORM(MOVLPS, NULL, movl_rm)
        FORM(MOVLPD, NULL, movl_rm)
        FORM(MOVHPS, NULL, movh_rm)
        FORM(MOVHPD, NULL, movh_rm)
        FORM(MOVHLPS, movhlps_rr, NULL)
        FORM(MOVLHPS, movlhps_rr, NULL)
        FORM(MOVDDUP, movddup_rr, movddup_rm)
        FORM(PMOVMSKB, pmovmskb_rr, NULL)
        FORM(MOVMSKPS, movmskps_rr, NULL)
        FORM(MOVMSKPD, movmskpd_rr, NULL)
        FORM(MOVQ2DQ, movq2dq_rr, NULL)
        FORM(MOVDQ2Q, movdq2q_rr, NULL)
#undef FORM
    default:
        return false;
    }
}

bool sse_move_decode(struct op *o, const struct simd_in *d)
{
    op_fn rr, rm;
    if (d->shape == SHAPE_MR || d->in->meta.category == ZYDIS_CATEGORY_STRINGOP)
        return false;
    if (d->mn == ZYDIS_MNEMONIC_MOVD || d->mn == ZYDIS_MNEMONIC_MOVQ)
        return mov_d_q(o, d);
    return load_form(d->mn, &rr, &rm) && simd_bind(o, d, rr, rm, NULL);
}
