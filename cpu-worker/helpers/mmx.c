/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MMX arithmetic and shuffles, done in the low half of an XMM register with the instruction of the
 * same name. Owns the alias of MM0-7 with the x87 registers together with mmx-move.c; must never
 * use the host's own MMX registers (they are the host's x87 stack).
 */
#include "cpu-worker/helpers/simd-op.h"

#define MMX_PAIR(name, load, RUN)                                                                  \
    static OP(name##_rr)                                                                           \
    {                                                                                              \
        mmx_wait(c, o);                                                                            \
        __m128i b = mmx_get(c, o->src), a = mmx_get(c, o->dst);                                    \
        RUN;                                                                                       \
        mmx_enter(c);                                                                              \
        mmx_put(c, o->dst, a);                                                                     \
        NEXT();                                                                                    \
    }                                                                                              \
    static OP(name##_rm)                                                                           \
    {                                                                                              \
        mmx_wait(c, o);                                                                            \
        __m128i b = load(c, o), a = mmx_get(c, o->dst);                                            \
        RUN;                                                                                       \
        mmx_enter(c);                                                                              \
        mmx_put(c, o->dst, a);                                                                     \
        NEXT();                                                                                    \
    }
#define RUN_INSN(insn) __asm__(insn " %1, %0" : "+x"(a) : "x"(b))

/* Element by element: the upper half does not matter. */
#define MMX_LANE_OPS(X_)                                                                           \
    X_(PAND, pand) X_(PANDN, pandn) X_(POR, por) X_(PXOR, pxor) X_(PADDB, paddb) X_(PADDD, paddd)  \
    X_(PADDQ, paddq) X_(PADDW, paddw) X_(PADDSB, paddsb) X_(PADDSW, paddsw)                        \
    X_(PADDUSB, paddusb) X_(PADDUSW, paddusw) X_(PSUBB, psubb) X_(PSUBD, psubd) X_(PSUBQ, psubq)   \
    X_(PSUBW, psubw) X_(PSUBSB, psubsb) X_(PSUBSW, psubsw) X_(PSUBUSB, psubusb)                    \
    X_(PSUBUSW, psubusw) X_(PAVGB, pavgb) X_(PAVGW, pavgw) X_(PCMPEQB, pcmpeqb)                    \
    X_(PCMPEQD, pcmpeqd) X_(PCMPEQW, pcmpeqw) X_(PCMPGTB, pcmpgtb) X_(PCMPGTD, pcmpgtd)            \
    X_(PCMPGTW, pcmpgtw) X_(PMADDWD, pmaddwd) X_(PMAXSW, pmaxsw) X_(PMAXUB, pmaxub)                \
    X_(PMINSW, pminsw) X_(PMINUB, pminub) X_(PMULHUW, pmulhuw) X_(PMULHW, pmulhw)                  \
    X_(PMULLW, pmullw) X_(PMULUDQ, pmuludq) X_(PSADBW, psadbw) X_(PABSB, pabsb) X_(PABSD, pabsd)   \
    X_(PABSW, pabsw) X_(PMADDUBSW, pmaddubsw) X_(PMULHRSW, pmulhrsw) X_(PSIGNB, psignb)            \
    X_(PSIGND, psignd) X_(PSIGNW, psignw)
#define DEFINE(MN, insn) MMX_PAIR(insn, simd_ldv64, RUN_INSN(#insn))
MMX_LANE_OPS(DEFINE)
#undef DEFINE

/* Both operands side by side in one XMM register, which then meets itself. */
#define MMX_JOIN_OPS(X_)                                                                           \
    X_(PACKSSDW, packssdw) X_(PACKSSWB, packsswb) X_(PACKUSWB, packuswb) X_(PHADDD, phaddd)        \
    X_(PHADDSW, phaddsw) X_(PHADDW, phaddw) X_(PHSUBD, phsubd) X_(PHSUBSW, phsubsw)                \
    X_(PHSUBW, phsubw)
#define DEFINE(MN, insn)                                                                           \
    MMX_PAIR(insn, simd_ldv64, a = _mm_unpacklo_epi64(a, b);                                       \
             __asm__(#insn " %0, %0" : "+x"(a)))
MMX_JOIN_OPS(DEFINE)
#undef DEFINE

/* Unpack: the XMM form makes both halves; its memory operand is 32 bits for the low ones. */
#define MMX_UNPACK_OPS(X_)                                                                         \
    X_(PUNPCKLBW, punpcklbw, simd_ldv32, 0) X_(PUNPCKLWD, punpcklwd, simd_ldv32, 0)                \
    X_(PUNPCKLDQ, punpckldq, simd_ldv32, 0) X_(PUNPCKHBW, punpcklbw, simd_ldv64, 8)                \
    X_(PUNPCKHWD, punpcklwd, simd_ldv64, 8) X_(PUNPCKHDQ, punpckldq, simd_ldv64, 8)
#define DEFINE(MN, insn, load, half)                                                               \
    MMX_PAIR(MN, load, RUN_INSN(#insn); a = _mm_srli_si128(a, half))
MMX_UNPACK_OPS(DEFINE)
#undef DEFINE

#define MMX_SHIFT_OPS(X_)                                                                          \
    X_(PSLLD, pslld) X_(PSLLQ, psllq) X_(PSLLW, psllw) X_(PSRAD, psrad) X_(PSRAW, psraw)           \
    X_(PSRLD, psrld) X_(PSRLQ, psrlq) X_(PSRLW, psrlw)
#define DEFINE(MN, insn)                                                                           \
    MMX_PAIR(insn, simd_ldv64, RUN_INSN(#insn))                                                    \
    static OP(insn##_ri)                                                                           \
    {                                                                                              \
        mmx_wait(c, o);                                                                            \
        __m128i b = _mm_cvtsi64_si128((long long)o->imm), a = mmx_get(c, o->dst);                  \
        RUN_INSN(#insn);                                                                           \
        mmx_enter(c);                                                                              \
        mmx_put(c, o->dst, a);                                                                     \
        NEXT();                                                                                    \
    }
MMX_SHIFT_OPS(DEFINE)
#undef DEFINE

/* PSHUFB uses three index bits here, four in the XMM form. */
MMX_PAIR(pshufb, simd_ldv64, b = _mm_and_si128(b, _mm_set1_epi8((char)0x87)); RUN_INSN("pshufb"))

/* PSHUFW: imm is the byte control, made when decoding. */
MMX_PAIR(pshufw, simd_ldv64, a = b; b = _mm_cvtsi64_si128((long long)o->imm); RUN_INSN("pshufb"))

/* PALIGNR: a shift of the joined operands by whole bytes, in two steps of the 64-bit halves. */
static inline __m128i joined_shift(__m128i hi, __m128i lo, unsigned bytes)
{
    unsigned n = 8 * (bytes & 7);
    if (bytes >= 16)
        return _mm_setzero_si128();
    if (bytes >= 8)
        return _mm_srl_epi64(hi, _mm_cvtsi32_si128((int)n));
    return _mm_or_si128(_mm_srl_epi64(lo, _mm_cvtsi32_si128((int)n)),
                        _mm_sll_epi64(hi, _mm_cvtsi32_si128(64 - (int)n)));
}
MMX_PAIR(palignr, simd_ldv64, a = joined_shift(a, b, (unsigned)o->imm & 0xff))

static uint64_t pshufw_control(unsigned imm)
{
    uint64_t r = 0;
    for (unsigned k = 0; k < 4; k++) {
        uint64_t w = 2 * (imm >> 2 * k & 3);
        r |= (w | (w + 1) << 8) << 16 * k;
    }
    return r;
}

static bool shift_bind(struct op *o, const struct simd_in *d, op_fn rr, op_fn rm, op_fn ri)
{
    if (d->ops[1].type == ZYDIS_OPERAND_TYPE_IMMEDIATE) {
        o->imm = d->ops[1].imm.value.u & 0xff;
        o->fn = ri;
        return true;
    }
    return simd_bind(o, d, rr, rm, NULL);
}

bool mmx_int_decode(struct op *o, const struct simd_in *d)
{
    switch (d->mn) {
#define CASE(MN, insn)                                                                             \
    case ZYDIS_MNEMONIC_##MN:                                                                      \
        return simd_bind(o, d, insn##_rr, insn##_rm, NULL);
        MMX_LANE_OPS(CASE)
        MMX_JOIN_OPS(CASE)
        CASE(PSHUFB, pshufb)
        CASE(PALIGNR, palignr)
#undef CASE
#define CASE(MN, insn, load, half)                                                                 \
    case ZYDIS_MNEMONIC_##MN:                                                                      \
        return simd_bind(o, d, MN##_rr, MN##_rm, NULL);
        MMX_UNPACK_OPS(CASE)
#undef CASE
#define CASE(MN, insn)                                                                             \
    case ZYDIS_MNEMONIC_##MN:                                                                      \
        return shift_bind(o, d, insn##_rr, insn##_rm, insn##_ri);
        MMX_SHIFT_OPS(CASE)
#undef CASE
    case ZYDIS_MNEMONIC_PSHUFW:
        o->imm = pshufw_control((unsigned)o->imm & 0xff);
        return simd_bind(o, d, pshufw_rr, pshufw_rm, NULL);
    default:
        return false;
    }
}
