/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SSE2..SSE4.2 operations on whole vectors that neither read nor write MXCSR: integer arithmetic,
 * logic, pack and unpack, shifts. One host instruction per handler. Must never touch MXCSR or
 * flags.
 */
#include "cpu-worker/helpers/simd-op.h"

/* mnemonic, host instruction */
#define SSE_INT_OPS(X_)                                                                            \
    X_(ANDNPD, andnpd) X_(ANDNPS, andnps) X_(ANDPD, andpd) X_(ANDPS, andps) X_(ORPD, orpd)         \
    X_(ORPS, orps) X_(XORPD, xorpd) X_(XORPS, xorps) X_(PAND, pand) X_(PANDN, pandn) X_(POR, por)  \
    X_(PXOR, pxor) X_(PADDB, paddb) X_(PADDD, paddd) X_(PADDQ, paddq) X_(PADDW, paddw)             \
    X_(PADDSB, paddsb) X_(PADDSW, paddsw) X_(PADDUSB, paddusb) X_(PADDUSW, paddusw)                \
    X_(PSUBB, psubb) X_(PSUBD, psubd) X_(PSUBQ, psubq) X_(PSUBW, psubw) X_(PSUBSB, psubsb)         \
    X_(PSUBSW, psubsw) X_(PSUBUSB, psubusb) X_(PSUBUSW, psubusw) X_(PAVGB, pavgb)                  \
    X_(PAVGW, pavgw) X_(PCMPEQB, pcmpeqb) X_(PCMPEQD, pcmpeqd) X_(PCMPEQW, pcmpeqw)                \
    X_(PCMPGTB, pcmpgtb) X_(PCMPGTD, pcmpgtd) X_(PCMPGTW, pcmpgtw) X_(PMADDWD, pmaddwd)            \
    X_(PMAXSW, pmaxsw) X_(PMAXUB, pmaxub) X_(PMINSW, pminsw) X_(PMINUB, pminub)                    \
    X_(PMULHUW, pmulhuw) X_(PMULHW, pmulhw) X_(PMULLW, pmullw) X_(PMULUDQ, pmuludq)                \
    X_(PSADBW, psadbw) X_(PACKSSDW, packssdw) X_(PACKSSWB, packsswb) X_(PACKUSWB, packuswb)        \
    X_(PUNPCKHBW, punpckhbw) X_(PUNPCKHDQ, punpckhdq) X_(PUNPCKHQDQ, punpckhqdq)                   \
    X_(PUNPCKHWD, punpckhwd) X_(UNPCKHPD, unpckhpd) X_(UNPCKHPS, unpckhps) X_(RCPPS, rcpps)        \
    X_(RSQRTPS, rsqrtps)                                                                           \
    /* SSE3, SSSE3 */                                                                              \
    X_(MOVSHDUP, movshdup) X_(MOVSLDUP, movsldup) X_(PABSB, pabsb) X_(PABSD, pabsd)                \
    X_(PABSW, pabsw) X_(PHADDD, phaddd) X_(PHADDSW, phaddsw) X_(PHADDW, phaddw)                    \
    X_(PHSUBD, phsubd) X_(PHSUBSW, phsubsw) X_(PHSUBW, phsubw) X_(PMADDUBSW, pmaddubsw)            \
    X_(PMULHRSW, pmulhrsw) X_(PSHUFB, pshufb) X_(PSIGNB, psignb) X_(PSIGND, psignd)                \
    X_(PSIGNW, psignw)                                                                             \
    /* SSE4.1, SSE4.2 */                                                                           \
    X_(PACKUSDW, packusdw) X_(PCMPEQQ, pcmpeqq) X_(PCMPGTQ, pcmpgtq) X_(PHMINPOSUW, phminposuw)    \
    X_(PMAXSB, pmaxsb) X_(PMAXSD, pmaxsd) X_(PMAXUD, pmaxud) X_(PMAXUW, pmaxuw)                    \
    X_(PMINSB, pminsb) X_(PMINSD, pminsd) X_(PMINUD, pminud) X_(PMINUW, pminuw)                    \
    X_(PMULDQ, pmuldq) X_(PMULLD, pmulld)

/* Of whose 16-byte operand in memory only the low half is read (SDM 2B, PUNPCKLBW). */
#define SSE_LOW_OPS(X_)                                                                            \
    X_(PUNPCKLBW, punpcklbw) X_(PUNPCKLDQ, punpckldq) X_(PUNPCKLQDQ, punpcklqdq)                   \
    X_(PUNPCKLWD, punpcklwd) X_(UNPCKLPD, unpcklpd) X_(UNPCKLPS, unpcklps)

#define DEFINE_BOTH(insn, LOAD)                                                                    \
    static OP(insn##_rr)                                                                           \
    {                                                                                              \
        __m128i a = X(o->dst);                                                                     \
        __asm__(#insn " %1, %0" : "+x"(a) : "xm"(X(o->src)));                                      \
        X(o->dst) = a;                                                                             \
        NEXT();                                                                                    \
    }                                                                                              \
    static OP(insn##_rm)                                                                           \
    {                                                                                              \
        __m128i b = LOAD(c, o), a = X(o->dst);                                                     \
        __asm__(#insn " %1, %0" : "+x"(a) : "x"(b));                                               \
        X(o->dst) = a;                                                                             \
        NEXT();                                                                                    \
    }
#define DEFINE(MN, insn) DEFINE_BOTH(insn, simd_ld_a16)
SSE_INT_OPS(DEFINE)
#undef DEFINE
#define DEFINE(MN, insn) DEFINE_BOTH(insn, simd_ld_low)
SSE_LOW_OPS(DEFINE)
#undef DEFINE

/* Shifts by a register, a 16-byte memory operand or an immediate that decoding left in imm. The
 * count is the low 64 bits in all three. */
#define SSE_SHIFT_OPS(X_)                                                                          \
    X_(PSLLD, pslld) X_(PSLLQ, psllq) X_(PSLLW, psllw) X_(PSRAD, psrad) X_(PSRAW, psraw)           \
    X_(PSRLD, psrld) X_(PSRLQ, psrlq) X_(PSRLW, psrlw)

#define DEFINE(MN, insn)                                                                           \
    DEFINE_BOTH(insn, simd_ld_low)                                                                 \
    static OP(insn##_ri)                                                                           \
    {                                                                                              \
        __m128i a = X(o->dst), n = _mm_cvtsi64_si128((long long)o->imm);                           \
        __asm__(#insn " %1, %0" : "+x"(a) : "x"(n));                                               \
        X(o->dst) = a;                                                                             \
        NEXT();                                                                                    \
    }
SSE_SHIFT_OPS(DEFINE)
#undef DEFINE

static bool shift_bind(struct op *o, const struct simd_in *d, op_fn rr, op_fn rm, op_fn ri)
{
    if (d->ops[1].type == ZYDIS_OPERAND_TYPE_IMMEDIATE) {
        o->imm = d->ops[1].imm.value.u & 0xff;
        o->fn = ri;
        return true;
    }
    return simd_bind(o, d, rr, rm, NULL);
}

/* Low element only: rcpss and rsqrtss do not report exceptions. */
#define SSE_ESTIMATE_OPS(X_) X_(RCPSS, rcpss) X_(RSQRTSS, rsqrtss)
#define DEFINE(MN, insn)                                                                           \
    static OP(insn##_rr)                                                                           \
    {                                                                                              \
        __m128i a = X(o->dst);                                                                     \
        __asm__(#insn " %1, %0" : "+x"(a) : "x"(X(o->src)));                                       \
        X(o->dst) = a;                                                                             \
        NEXT();                                                                                    \
    }                                                                                              \
    static OP(insn##_rm)                                                                           \
    {                                                                                              \
        __m128i b = simd_ldv32(c, o), a = X(o->dst);                                               \
        __asm__(#insn " %1, %0" : "+x"(a) : "x"(b));                                               \
        X(o->dst) = a;                                                                             \
        NEXT();                                                                                    \
    }
SSE_ESTIMATE_OPS(DEFINE)
#undef DEFINE

bool sse_int_decode(struct op *o, const struct simd_in *d)
{
    switch (d->mn) {
#define CASE(MN, insn)                                                                             \
    case ZYDIS_MNEMONIC_##MN:                                                                      \
        return simd_bind(o, d, insn##_rr, insn##_rm, NULL);
        SSE_INT_OPS(CASE)
        SSE_LOW_OPS(CASE)
        SSE_ESTIMATE_OPS(CASE)
#undef CASE
#define CASE(MN, insn)                                                                             \
    case ZYDIS_MNEMONIC_##MN:                                                                      \
        return shift_bind(o, d, insn##_rr, insn##_rm, insn##_ri);
        SSE_SHIFT_OPS(CASE)
#undef CASE
    default:
        return false;
    }
}
