/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SSE conversions between integers and floating point, in vector, general and MMX registers. Same
 * two versions as sse-fp.c. Must never commit before simd_mx_leave.
 */
#include "cpu-worker/helpers/simd-op.h"

#define PAIR(name, SETUP, RUN, COMMIT)                                               \
    static SIMD_COLD OP(name##_cold)                                                               \
    {                                                                                              \
        SETUP;                                                                                     \
        simd_mx_enter(c, o);                                                                          \
        RUN;                                                                                       \
        simd_mx_leave(c);                                                         \
        COMMIT;                                                                                    \
        NEXT();                                                                                    \
    }                                                                                              \
    static OP(name)                                                                                \
    {                                                                                              \
        if (unlikely(!simd_mx_fast(c)))                                                            \
            return name##_cold(c, o);                                                              \
        SETUP;                                                                                     \
        RUN;                                                                                       \
        COMMIT;                                                                                    \
        NEXT();                                                                                    \
    }

/* ---- vector to vector ---- */
#define CVT_VV_OPS(X_)                                                                             \
    X_(CVTDQ2PD, cvtdq2pd, simd_ldv64) X_(CVTDQ2PS, cvtdq2ps, simd_ld_a16)       \
    X_(CVTPD2DQ, cvtpd2dq, simd_ld_a16) X_(CVTPD2PS, cvtpd2ps, simd_ld_a16)      \
    X_(CVTPS2DQ, cvtps2dq, simd_ld_a16) X_(CVTPS2PD, cvtps2pd, simd_ldv64)       \
    X_(CVTSD2SS, cvtsd2ss, simd_ldv64) X_(CVTSS2SD, cvtss2sd, simd_ldv32)        \
    X_(CVTTPD2DQ, cvttpd2dq, simd_ld_a16) X_(CVTTPS2DQ, cvttps2dq, simd_ld_a16)
#define VV_RUN(insn)                                                                               \
    __m128i a = X(o->dst);                                                                         \
    __asm__ volatile(#insn " %1, %0" : "+x"(a) : "x"(b))
#define DEFINE(MN, insn, load)                                                               \
    PAIR(insn##_rr, __m128i b = X(o->src), VV_RUN(insn), X(o->dst) = a)                   \
    PAIR(insn##_rm, __m128i b = load(c, o), VV_RUN(insn), X(o->dst) = a)
CVT_VV_OPS(DEFINE)
#undef DEFINE

/* ---- general register or integer in memory to scalar ---- */
#define CVT_IV_OPS(X_)                                                                             \
    X_(cvtsi2ss32, "cvtsi2ssl", uint32_t, simd_ld32)                                               \
    X_(cvtsi2ss64, "cvtsi2ssq", uint64_t, simd_ld64)                                               \
    X_(cvtsi2sd32, "cvtsi2sdl", uint32_t, simd_ld32)                                               \
    X_(cvtsi2sd64, "cvtsi2sdq", uint64_t, simd_ld64)
#define IV_RUN(text)                                                                               \
    __m128i a = X(o->dst);                                                                         \
    __asm__ volatile(text " %1, %0" : "+x"(a) : "r"(b))
#define DEFINE(name, text, T, load)                                                                \
    PAIR(name##_rr, T b = (T)c->gpr[o->src], IV_RUN(text), X(o->dst) = a)              \
    PAIR(name##_rm, T b = load(c, o), IV_RUN(text), X(o->dst) = a)
CVT_IV_OPS(DEFINE)
#undef DEFINE

/* ---- scalar to general register; a 32-bit result zero-extends ---- */
#define CVT_VI_OPS(X_)                                                                             \
    X_(CVTSS2SI, cvtss2si, simd_ldv32) X_(CVTSD2SI, cvtsd2si, simd_ldv64)                          \
    X_(CVTTSS2SI, cvttss2si, simd_ldv32) X_(CVTTSD2SI, cvttsd2si, simd_ldv64)
#define VI_RUN(text, T)                                                                            \
    T r;                                                                                           \
    __asm__ volatile(text " %1, %0" : "=r"(r) : "x"(b))
#define VI_PAIR(name, OPERAND, text, T)                                                            \
    PAIR(name, __m128i b = OPERAND, VI_RUN(text, T), c->gpr[o->dst] = r)
#define DEFINE(MN, insn, load)                                                                     \
    VI_PAIR(insn##32_rr, X(o->src), #insn, uint32_t)                                               \
    VI_PAIR(insn##32_rm, load(c, o), #insn, uint32_t)                                              \
    VI_PAIR(insn##64_rr, X(o->src), #insn, uint64_t)                                               \
    VI_PAIR(insn##64_rm, load(c, o), #insn, uint64_t)
CVT_VI_OPS(DEFINE)
#undef DEFINE

/* ---- MMX ----
 * Done with the XMM instruction on the low half; the upper half is zero, which converts exactly. */
/* The transition to MMX is made before the conversion, and stays if that raises #XM. */
#define MMX_SETUP(source)                                                                          \
    mmx_wait(c, o);                                                                                \
    __m128i b = source;                                                                            \
    mmx_enter(c)
#define PI_RUN(insn)                                                                               \
    __m128i a;                                                                                     \
    __asm__ volatile(#insn " %1, %0" : "=x"(a) : "x"(b))
#define LOW_HALF(v)                                                                                \
    _mm_castpd_si128(_mm_move_sd(_mm_castsi128_pd(X(o->dst)), _mm_castsi128_pd(v)))
PAIR(cvtpi2ps_rr, MMX_SETUP(mmx_get(c, o->src)), PI_RUN(cvtdq2ps),
     X(o->dst) = LOW_HALF(a))
PAIR(cvtpi2pd_rr, MMX_SETUP(mmx_get(c, o->src)), PI_RUN(cvtdq2pd), X(o->dst) = a)
/* From memory there is no transition to MMX, and x87 exceptions are not waited for. */
PAIR(cvtpi2ps_rm, __m128i b = simd_ldv64(c, o), PI_RUN(cvtdq2ps),
     X(o->dst) = LOW_HALF(a))
PAIR(cvtpi2pd_rm, __m128i b = simd_ldv64(c, o), PI_RUN(cvtdq2pd), X(o->dst) = a)

#define CVT_VP_OPS(X_)                                                                             \
    X_(CVTPS2PI, cvtps2pi, cvtps2dq, _mm_move_epi64(X(o->src)), simd_ldv64(c, o))                  \
    X_(CVTTPS2PI, cvttps2pi, cvttps2dq, _mm_move_epi64(X(o->src)), simd_ldv64(c, o))               \
    X_(CVTPD2PI, cvtpd2pi, cvtpd2dq, X(o->src), simd_ld_a16(c, o))                                 \
    X_(CVTTPD2PI, cvttpd2pi, cvttpd2dq, X(o->src), simd_ld_a16(c, o))
#define DEFINE(MN, name, insn, reg, mem)                                                           \
    PAIR(name##_rr, MMX_SETUP(reg), PI_RUN(insn), mmx_put(c, o->dst, a))               \
    PAIR(name##_rm, MMX_SETUP(mem), PI_RUN(insn), mmx_put(c, o->dst, a))
CVT_VP_OPS(DEFINE)
#undef DEFINE

static bool int_operand64(const struct simd_in *d)
{
    return d->ops[1].size == 64;
}

bool sse_cvt_decode(struct op *o, const struct simd_in *d)
{
    switch (d->mn) {
#define CASE(MN, insn, ...)                                                                        \
    case ZYDIS_MNEMONIC_##MN:                                                                      \
        return simd_bind(o, d, insn##_rr, insn##_rm, NULL);
        CVT_VV_OPS(CASE)
        CVT_VP_OPS(CASE)
        CASE(CVTPI2PS, cvtpi2ps)
        CASE(CVTPI2PD, cvtpi2pd)
#undef CASE
#define CASE(MN, insn, load)                                                                       \
    case ZYDIS_MNEMONIC_##MN:                                                                      \
        return d->wide ? simd_bind(o, d, insn##64_rr, insn##64_rm, NULL)                           \
                       : simd_bind(o, d, insn##32_rr, insn##32_rm, NULL);
        CVT_VI_OPS(CASE)
#undef CASE
    case ZYDIS_MNEMONIC_CVTSI2SS:
        return int_operand64(d) ? simd_bind(o, d, cvtsi2ss64_rr, cvtsi2ss64_rm, NULL)
                                : simd_bind(o, d, cvtsi2ss32_rr, cvtsi2ss32_rm, NULL);
    case ZYDIS_MNEMONIC_CVTSI2SD:
        return int_operand64(d) ? simd_bind(o, d, cvtsi2sd64_rr, cvtsi2sd64_rm, NULL)
                                : simd_bind(o, d, cvtsi2sd32_rr, cvtsi2sd32_rm, NULL);
    default:
        return false;
    }
}
