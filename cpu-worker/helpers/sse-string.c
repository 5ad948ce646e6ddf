/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SSE4.2 text comparison: PCMPESTRI, PCMPESTRM, PCMPISTRI, PCMPISTRM. The immediate selects among
 * 128 host instructions. Memory operands need no alignment. Must never touch MXCSR.
 */
#include "cpu-worker/helpers/simd-op.h"

#define SIXTEEN(M, h)                                                                              \
    M(h##0) M(h##1) M(h##2) M(h##3) M(h##4) M(h##5) M(h##6) M(h##7)                                \
    M(h##8) M(h##9) M(h##a) M(h##b) M(h##c) M(h##d) M(h##e) M(h##f)
#define ALL_IMMEDIATES(M)                                                                          \
    SIXTEEN(M, 0x0) SIXTEEN(M, 0x1) SIXTEEN(M, 0x2) SIXTEEN(M, 0x3)                                \
    SIXTEEN(M, 0x4) SIXTEEN(M, 0x5) SIXTEEN(M, 0x6) SIXTEEN(M, 0x7)

/* lahf and seto bring the flags into AX in the order of cpu.h: OF in bit 0, the rest in AH. */
#define FLAGS_TO_AX "\n\tlahf\n\tseto %%al"

struct lengths {
    uint32_t a, b; /* explicit lengths, for the forms that take 32-bit ones */
};

#define INDEX_CASE(n)                                                                              \
    case n:                                                                                        \
        __asm__(INSN " $" #n ", %3, %2" FLAGS_TO_AX                                                \
                : "+a"(f), "=c"(r)                                                                 \
                : "x"(a), "x"(b), "d"(k.b)                                                         \
                : "cc");                                                                           \
        break;
#define INSN "pcmpistri"
static void run_istri(struct cpu *c, __m128i a, __m128i b, struct lengths k, unsigned imm)
{
    uint64_t f = k.a;
    uint32_t r = 0;
    switch (imm & 0x7f) {
        ALL_IMMEDIATES(INDEX_CASE)
    }
    c->gpr[REG_RCX] = r;
    c->fl = (uint16_t)f;
}
#undef INSN
#define INSN "pcmpestri"
static void run_estri(struct cpu *c, __m128i a, __m128i b, struct lengths k, unsigned imm)
{
    uint64_t f = k.a;
    uint32_t r = 0;
    switch (imm & 0x7f) {
        ALL_IMMEDIATES(INDEX_CASE)
    }
    c->gpr[REG_RCX] = r;
    c->fl = (uint16_t)f;
}
#undef INSN

#define MASK_CASE(n)                                                                               \
    case n:                                                                                        \
        __asm__(INSN " $" #n ", %3, %2" FLAGS_TO_AX                                                \
                : "+a"(f), "=Yz"(r)                                                                \
                : "x"(a), "x"(b), "d"(k.b)                                                         \
                : "cc");                                                                           \
        break;
#define INSN "pcmpistrm"
static void run_istrm(struct cpu *c, __m128i a, __m128i b, struct lengths k, unsigned imm)
{
    uint64_t f = k.a;
    __m128i r = a;
    switch (imm & 0x7f) {
        ALL_IMMEDIATES(MASK_CASE)
    }
    X(0) = r;
    c->fl = (uint16_t)f;
}
#undef INSN
#define INSN "pcmpestrm"
static void run_estrm(struct cpu *c, __m128i a, __m128i b, struct lengths k, unsigned imm)
{
    uint64_t f = k.a;
    __m128i r = a;
    switch (imm & 0x7f) {
        ALL_IMMEDIATES(MASK_CASE)
    }
    X(0) = r;
    c->fl = (uint16_t)f;
}
#undef INSN

/* The magnitude of a length counts up to the 8 or 16 elements of a register, so nothing is lost. */
static uint32_t saturate(int64_t v)
{
    return v > 16 ? 16 : v < -16 ? (uint32_t)-16 : (uint32_t)v;
}

/* aux: 1 = 64-bit lengths */
static struct lengths lengths_of(const struct cpu *c, const struct op *o)
{
    int64_t a = (int64_t)c->gpr[REG_RAX], b = (int64_t)c->gpr[REG_RDX];
    return o->aux ? (struct lengths){saturate(a), saturate(b)}
                  : (struct lengths){(uint32_t)a, (uint32_t)b};
}

#define STRING_OPS(X_)                                                                             \
    X_(PCMPISTRI, run_istri) X_(PCMPISTRM, run_istrm) X_(PCMPESTRI, run_estri)                     \
    X_(PCMPESTRM, run_estrm)
#define DEFINE(MN, run)                                                                            \
    static OP(run##_rr)                                                                            \
    {                                                                                              \
        run(c, X(o->dst), X(o->src), lengths_of(c, o), (unsigned)o->imm);                          \
        NEXT();                                                                                    \
    }                                                                                              \
    static OP(run##_rm)                                                                            \
    {                                                                                              \
        __m128i b = simd_ld_u16(c, o);                                                             \
        run(c, X(o->dst), b, lengths_of(c, o), (unsigned)o->imm);                                  \
        NEXT();                                                                                    \
    }
STRING_OPS(DEFINE)
#undef DEFINE

bool sse_string_decode(struct op *o, const struct simd_in *d)
{
    switch (d->mn) {
#define CASE(MN, run)                                                                              \
    case ZYDIS_MNEMONIC_##MN:                                                                      \
        o->aux = d->in->raw.rex.W != 0;                                                            \
        return simd_bind(o, d, run##_rr, run##_rm, NULL);
        STRING_OPS(CASE)
#undef CASE
    default:
        return false;
    }
}
