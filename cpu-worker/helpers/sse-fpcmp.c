/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SSE floating-point comparisons: CMPccPS/PD/SS/SD into a mask, (U)COMISS/SD into the arithmetic
 * flags. Same two versions as sse-fp.c. Must never commit mask or flags before simd_mx_leave.
 */
#include "cpu-worker/helpers/simd-op.h"

#define CMP_PAIR(name, OPERAND, text)                                                              \
    static SIMD_COLD OP(name##_cold)                                                               \
    {                                                                                              \
        __m128i b = OPERAND;                                                                       \
        simd_mx_enter(c, o);                                                                          \
        __m128i a = X(o->dst);                                                                     \
        __asm__ volatile(text " %1, %0" : "+x"(a) : "x"(b));                                       \
        simd_mx_leave(c);                                                           \
        X(o->dst) = a;                                                                             \
        NEXT();                                                                                    \
    }                                                                                              \
    static OP(name)                                                                                \
    {                                                                                              \
        if (unlikely(!simd_mx_fast(c)))                                                            \
            return name##_cold(c, o);                                                              \
        __m128i b = OPERAND, a = X(o->dst);                                                        \
        __asm__ volatile(text " %1, %0" : "+x"(a) : "x"(b));                                       \
        X(o->dst) = a;                                                                             \
        NEXT();                                                                                    \
    }

#define CMP_KINDS(X_, n)                                                                           \
    X_(ps, n, simd_ld_a16) X_(pd, n, simd_ld_a16) X_(ss, n, simd_ldv32) X_(sd, n, simd_ldv64)
#define DEFINE(k, n, load)                                                                         \
    CMP_PAIR(cmp##k##_##n##_rr, X(o->src), "cmp" #k " $" #n ",")                                   \
    CMP_PAIR(cmp##k##_##n##_rm, load(c, o), "cmp" #k " $" #n ",")
CMP_KINDS(DEFINE, 0)
CMP_KINDS(DEFINE, 1)
CMP_KINDS(DEFINE, 2)
CMP_KINDS(DEFINE, 3)
CMP_KINDS(DEFINE, 4)
CMP_KINDS(DEFINE, 5)
CMP_KINDS(DEFINE, 6)
CMP_KINDS(DEFINE, 7)
#undef DEFINE

#define ROW(k, form)                                                                               \
    {                                                                                              \
        cmp##k##_0_##form, cmp##k##_1_##form, cmp##k##_2_##form, cmp##k##_3_##form,                \
            cmp##k##_4_##form, cmp##k##_5_##form, cmp##k##_6_##form, cmp##k##_7_##form             \
    }
static const op_fn cmp_rr[4][8] = {ROW(ps, rr), ROW(pd, rr), ROW(ss, rr), ROW(sd, rr)};
static const op_fn cmp_rm[4][8] = {ROW(ps, rm), ROW(pd, rm), ROW(ss, rm), ROW(sd, rm)};

static bool cmp_bind(struct op *o, const struct simd_in *d, unsigned kind)
{
    unsigned n = (unsigned)o->imm & 7; /* the legacy forms have eight predicates */
    return simd_bind(o, d, cmp_rr[kind][n], cmp_rm[kind][n], NULL);
}

/* ZF PF CF from the host; it clears OF, SF and AF as the guest's processor does. */
#define COMI_RUN(text)                                                                             \
    uint32_t f = 0;                                                                                \
    __asm__ volatile(text " %2, %1\n\tlahf" : "+a"(f) : "x"(a), "x"(b) : "cc")
#define COMI_PAIR(name, OPERAND, text)                                                             \
    static SIMD_COLD OP(name##_cold)                                                               \
    {                                                                                              \
        __m128i b = OPERAND;                                                                       \
        simd_mx_enter(c, o);                                                                          \
        __m128i a = X(o->dst);                                                                     \
        COMI_RUN(text);                                                                            \
        simd_mx_leave(c);                                                           \
        c->fl = f;                                                                                 \
        NEXT();                                                                                    \
    }                                                                                              \
    static OP(name)                                                                                \
    {                                                                                              \
        if (unlikely(!simd_mx_fast(c)))                                                            \
            return name##_cold(c, o);                                                              \
        __m128i b = OPERAND, a = X(o->dst);                                                        \
        COMI_RUN(text);                                                                            \
        c->fl = f;                                                                                 \
        NEXT();                                                                                    \
    }

#define COMI_OPS(X_)                                                                               \
    X_(COMISS, comiss, simd_ldv32) X_(COMISD, comisd, simd_ldv64)                                  \
    X_(UCOMISS, ucomiss, simd_ldv32) X_(UCOMISD, ucomisd, simd_ldv64)
#define DEFINE(MN, insn, load)                                                                     \
    COMI_PAIR(insn##_rr, X(o->src), #insn)                                                         \
    COMI_PAIR(insn##_rm, load(c, o), #insn)
COMI_OPS(DEFINE)
#undef DEFINE

bool sse_fpcmp_decode(struct op *o, const struct simd_in *d)
{
    switch (d->mn) {
    case ZYDIS_MNEMONIC_CMPPS:
        return cmp_bind(o, d, 0);
    case ZYDIS_MNEMONIC_CMPPD:
        return cmp_bind(o, d, 1);
    case ZYDIS_MNEMONIC_CMPSS:
        return cmp_bind(o, d, 2);
    case ZYDIS_MNEMONIC_CMPSD:
        return d->in->meta.category != ZYDIS_CATEGORY_STRINGOP && cmp_bind(o, d, 3);
#define CASE(MN, insn, load)                                                                       \
    case ZYDIS_MNEMONIC_##MN:                                                                      \
        return simd_bind(o, d, insn##_rr, insn##_rm, NULL);
        COMI_OPS(CASE)
#undef CASE
    default:
        return false;
    }
}
