/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SSE4.1 widening moves, blends, PTEST and MPSADBW. Must never touch MXCSR; PTEST alone writes
 * flags.
 */
#include "cpu-worker/helpers/simd-op.h"

/* mnemonic, host instruction, loader of the memory operand */
#define WIDEN_OPS(X_)                                                                              \
    X_(PMOVSXBW, pmovsxbw, simd_ldv64) X_(PMOVSXBD, pmovsxbd, simd_ldv32)                          \
    X_(PMOVSXBQ, pmovsxbq, simd_ldv16) X_(PMOVSXWD, pmovsxwd, simd_ldv64)                          \
    X_(PMOVSXWQ, pmovsxwq, simd_ldv32) X_(PMOVSXDQ, pmovsxdq, simd_ldv64)                          \
    X_(PMOVZXBW, pmovzxbw, simd_ldv64) X_(PMOVZXBD, pmovzxbd, simd_ldv32)                          \
    X_(PMOVZXBQ, pmovzxbq, simd_ldv16) X_(PMOVZXWD, pmovzxwd, simd_ldv64)                          \
    X_(PMOVZXWQ, pmovzxwq, simd_ldv32) X_(PMOVZXDQ, pmovzxdq, simd_ldv64)
#define DEFINE(MN, insn, load)                                                                     \
    static OP(insn##_rr)                                                                           \
    {                                                                                              \
        __m128i a;                                                                                 \
        __asm__(#insn " %1, %0" : "=x"(a) : "x"(X(o->src)));                                       \
        X(o->dst) = a;                                                                             \
        NEXT();                                                                                    \
    }                                                                                              \
    static OP(insn##_rm)                                                                           \
    {                                                                                              \
        __m128i b = load(c, o), a;                                                                 \
        __asm__(#insn " %1, %0" : "=x"(a) : "x"(b));                                               \
        X(o->dst) = a;                                                                             \
        NEXT();                                                                                    \
    }
WIDEN_OPS(DEFINE)
#undef DEFINE

#define PAIR(name, RUN)                                                                            \
    static OP(name##_rr)                                                                           \
    {                                                                                              \
        __m128i b = X(o->src), a = X(o->dst);                                                      \
        RUN;                                                                                       \
        X(o->dst) = a;                                                                             \
        NEXT();                                                                                    \
    }                                                                                              \
    static OP(name##_rm)                                                                           \
    {                                                                                              \
        __m128i b = simd_ld_a16(c, o), a = X(o->dst);                                              \
        RUN;                                                                                       \
        X(o->dst) = a;                                                                             \
        NEXT();                                                                                    \
    }

/* Blends by XMM0. */
#define BLENDV_OPS(X_) X_(BLENDVPS, blendvps) X_(BLENDVPD, blendvpd) X_(PBLENDVB, pblendvb)
#define DEFINE(MN, insn)                                                                           \
    PAIR(insn, __asm__(#insn " %%xmm0, %1, %0" : "+x"(a) : "x"(b), "Yz"(X(0))))
BLENDV_OPS(DEFINE)
#undef DEFINE

/* Blends by immediate: decoding made one bit per word of it. */
static inline __m128i blend_words(__m128i a, __m128i b, unsigned bits)
{
    const __m128i each = _mm_set_epi16(128, 64, 32, 16, 8, 4, 2, 1);
    __m128i k = _mm_and_si128(_mm_set1_epi16((short)bits), each);
    k = _mm_cmpeq_epi16(k, each);
    return _mm_or_si128(_mm_and_si128(k, b), _mm_andnot_si128(k, a));
}
PAIR(blend, a = blend_words(a, b, (unsigned)o->imm))

static unsigned widen_bits(unsigned imm, unsigned lanes)
{
    unsigned per = 8 / lanes, r = 0;
    for (unsigned i = 0; i < lanes; i++)
        r |= (imm >> i & 1 ? (1u << per) - 1 : 0) << per * i;
    return r;
}

#define MPSAD_CASE(n)                                                                              \
    case n:                                                                                        \
        __asm__("mpsadbw $" #n ", %1, %0" : "+x"(a) : "x"(b));                                     \
        break;
static inline __m128i mpsadbw(__m128i a, __m128i b, unsigned imm)
{
    switch (imm & 7) {
        MPSAD_CASE(0) MPSAD_CASE(1) MPSAD_CASE(2) MPSAD_CASE(3)
        MPSAD_CASE(4) MPSAD_CASE(5) MPSAD_CASE(6) MPSAD_CASE(7)
    }
    return a;
}
PAIR(mpsadbw, a = mpsadbw(a, b, (unsigned)o->imm))

/* ZF and CF from the host, which clears the other four like the guest's processor. */
static inline uint32_t ptest(__m128i a, __m128i b)
{
    uint32_t f = 0;
    __asm__("ptest %2, %1\n\tlahf" : "+a"(f) : "x"(a), "x"(b) : "cc");
    return f;
}

static OP(ptest_rr)
{
    c->fl = ptest(X(o->dst), X(o->src));
    NEXT();
}

static OP(ptest_rm)
{
    __m128i b = simd_ld_a16(c, o);
    c->fl = ptest(X(o->dst), b);
    NEXT();
}

bool sse4_decode(struct op *o, const struct simd_in *d)
{
    unsigned imm = (unsigned)o->imm;
    switch (d->mn) {
#define CASE(MN, insn, ...)                                                                        \
    case ZYDIS_MNEMONIC_##MN:                                                                      \
        return simd_bind(o, d, insn##_rr, insn##_rm, NULL);
        WIDEN_OPS(CASE)
        BLENDV_OPS(CASE)
        CASE(PTEST, ptest)
        CASE(MPSADBW, mpsadbw)
#undef CASE
    case ZYDIS_MNEMONIC_PBLENDW:
        o->imm = imm & 0xff;
        return simd_bind(o, d, blend_rr, blend_rm, NULL);
    case ZYDIS_MNEMONIC_BLENDPS:
        o->imm = widen_bits(imm, 4);
        return simd_bind(o, d, blend_rr, blend_rm, NULL);
    case ZYDIS_MNEMONIC_BLENDPD:
        o->imm = widen_bits(imm, 2);
        return simd_bind(o, d, blend_rr, blend_rm, NULL);
    default:
        return false;
    }
}
