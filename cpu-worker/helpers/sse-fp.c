/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SSE..SSE4.1 floating-point arithmetic under the guest's MXCSR. Every operation exists twice: the
 * fast one for a guest with the default MXCSR controls, and a cold one that switches MXCSR and
 * looks for unmasked exceptions before it commits. Must never commit a destination before
 * simd_mx_leave.
 */
#include "cpu-worker/helpers/simd-op.h"

/* mnemonic, host instruction, loader of a memory operand */
#define SSE_FP_OPS(X_)                                                                             \
    X_(ADDPS, addps, simd_ld_a16) X_(ADDPD, addpd, simd_ld_a16)                  \
    X_(ADDSS, addss, simd_ldv32) X_(ADDSD, addsd, simd_ldv64)                    \
    X_(SUBPS, subps, simd_ld_a16) X_(SUBPD, subpd, simd_ld_a16)                  \
    X_(SUBSS, subss, simd_ldv32) X_(SUBSD, subsd, simd_ldv64)                    \
    X_(MULPS, mulps, simd_ld_a16) X_(MULPD, mulpd, simd_ld_a16)                  \
    X_(MULSS, mulss, simd_ldv32) X_(MULSD, mulsd, simd_ldv64)                    \
    X_(DIVPS, divps, simd_ld_a16) X_(DIVPD, divpd, simd_ld_a16)                  \
    X_(DIVSS, divss, simd_ldv32) X_(DIVSD, divsd, simd_ldv64)                    \
    X_(MINPS, minps, simd_ld_a16) X_(MINPD, minpd, simd_ld_a16)                  \
    X_(MINSS, minss, simd_ldv32) X_(MINSD, minsd, simd_ldv64)                    \
    X_(MAXPS, maxps, simd_ld_a16) X_(MAXPD, maxpd, simd_ld_a16)                  \
    X_(MAXSS, maxss, simd_ldv32) X_(MAXSD, maxsd, simd_ldv64)                    \
    X_(SQRTPS, sqrtps, simd_ld_a16) X_(SQRTPD, sqrtpd, simd_ld_a16)              \
    X_(SQRTSS, sqrtss, simd_ldv32) X_(SQRTSD, sqrtsd, simd_ldv64)                \
    X_(ADDSUBPS, addsubps, simd_ld_a16) X_(ADDSUBPD, addsubpd, simd_ld_a16)      \
    X_(HADDPS, haddps, simd_ld_a16) X_(HADDPD, haddpd, simd_ld_a16)              \
    X_(HSUBPS, hsubps, simd_ld_a16) X_(HSUBPD, hsubpd, simd_ld_a16)

#define FP_PAIR(name, OPERAND, RUN)                                                          \
    static SIMD_COLD OP(name##_cold)                                                               \
    {                                                                                              \
        __m128i b = OPERAND;                                                                       \
        simd_mx_enter(c, o);                                                                          \
        __m128i a = X(o->dst);                                                                     \
        RUN;                                                                                       \
        simd_mx_leave(c);                                                              \
        X(o->dst) = a;                                                                             \
        NEXT();                                                                                    \
    }                                                                                              \
    static OP(name)                                                                                \
    {                                                                                              \
        if (unlikely(!simd_mx_fast(c)))                                                            \
            return name##_cold(c, o);                                                              \
        __m128i b = OPERAND, a = X(o->dst);                                                        \
        RUN;                                                                                       \
        X(o->dst) = a;                                                                             \
        NEXT();                                                                                    \
    }

#define RUN_INSN(text) __asm__ volatile(text " %1, %0" : "+x"(a) : "x"(b))
#define DEFINE(MN, insn, load)                                                               \
    FP_PAIR(insn##_rr, X(o->src), RUN_INSN(#insn))                                           \
    FP_PAIR(insn##_rm, load(c, o), RUN_INSN(#insn))
SSE_FP_OPS(DEFINE)
#undef DEFINE

/* ROUNDxx: the immediate's low four bits choose the host instruction. */
#define ROUND_CASE(insn, n)                                                                        \
    case n:                                                                                        \
        __asm__ volatile(insn " $" #n ", %1, %0" : "+x"(a) : "x"(b));                              \
        break;
#define DEFINE_ROUND(insn)                                                                         \
    static inline __attribute__((always_inline)) __m128i run_##insn(__m128i a, __m128i b,          \
                                                                    unsigned imm)                  \
    {                                                                                              \
        switch (imm & 15) {                                                                        \
            ROUND_CASE(#insn, 0) ROUND_CASE(#insn, 1) ROUND_CASE(#insn, 2) ROUND_CASE(#insn, 3)    \
            ROUND_CASE(#insn, 4) ROUND_CASE(#insn, 5) ROUND_CASE(#insn, 6) ROUND_CASE(#insn, 7)    \
            ROUND_CASE(#insn, 8) ROUND_CASE(#insn, 9) ROUND_CASE(#insn, 10)                        \
            ROUND_CASE(#insn, 11) ROUND_CASE(#insn, 12) ROUND_CASE(#insn, 13)                      \
            ROUND_CASE(#insn, 14) ROUND_CASE(#insn, 15)                                            \
        }                                                                                          \
        return a;                                                                                  \
    }
DEFINE_ROUND(roundps)
DEFINE_ROUND(roundpd)
DEFINE_ROUND(roundss)
DEFINE_ROUND(roundsd)

#define SSE_ROUND_OPS(X_)                                                                          \
    X_(ROUNDPS, roundps, simd_ld_a16) X_(ROUNDPD, roundpd, simd_ld_a16)                            \
    X_(ROUNDSS, roundss, simd_ldv32) X_(ROUNDSD, roundsd, simd_ldv64)
#define RUN_ROUND(insn) a = run_##insn(a, b, (unsigned)o->imm)
#define DEFINE(MN, insn, load)                                                                     \
    FP_PAIR(insn##_rr, X(o->src), RUN_ROUND(insn))                                        \
    FP_PAIR(insn##_rm, load(c, o), RUN_ROUND(insn))
SSE_ROUND_OPS(DEFINE)
#undef DEFINE

/* DPPS, DPPD: inputs that the immediate leaves out count as +0 and raise nothing, so masking both
 * inputs and the output around the all-ones form is exact. imm: low byte lanes in, next lanes out.
 */
static inline __m128i lanes32(unsigned bits)
{
    const __m128i each = _mm_set_epi32(8, 4, 2, 1);
    __m128i k = _mm_and_si128(_mm_set1_epi32((int)bits), each);
    return _mm_cmpeq_epi32(k, each);
}

static inline __m128i lanes64(unsigned bits)
{
    return _mm_set_epi64x(-(long long)(bits >> 1 & 1), -(long long)(bits & 1));
}

#define DEFINE_DP(name, lanes, text)                                                               \
    static inline __m128i name(__m128i a, __m128i b, unsigned imm)                                 \
    {                                                                                              \
        __m128i in = lanes(imm >> 4 & 15), out = lanes(imm & 15);                                  \
        a = _mm_and_si128(a, in);                                                                  \
        b = _mm_and_si128(b, in);                                                                  \
        __asm__ volatile(text " $0xff, %1, %0" : "+x"(a) : "x"(b));                                \
        return _mm_and_si128(a, out);                                                              \
    }
DEFINE_DP(run_dpps, lanes32, "dpps")
DEFINE_DP(run_dppd, lanes64, "dppd")

#define RUN_DP(insn) a = insn(a, b, (unsigned)o->imm)
FP_PAIR(dpps_rr, X(o->src), RUN_DP(run_dpps))
FP_PAIR(dpps_rm, simd_ld_a16(c, o), RUN_DP(run_dpps))
FP_PAIR(dppd_rr, X(o->src), RUN_DP(run_dppd))
FP_PAIR(dppd_rm, simd_ld_a16(c, o), RUN_DP(run_dppd))

bool sse_fp_decode(struct op *o, const struct simd_in *d)
{
    switch (d->mn) {
#define CASE(MN, insn, ...)                                                                        \
    case ZYDIS_MNEMONIC_##MN:                                                                      \
        return simd_bind(o, d, insn##_rr, insn##_rm, NULL);
        SSE_FP_OPS(CASE)
        SSE_ROUND_OPS(CASE)
        CASE(DPPS, dpps)
        CASE(DPPD, dppd)
#undef CASE
    default:
        return false;
    }
}
