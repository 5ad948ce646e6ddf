/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What every SIMD handler of this folder is written with: registers, aligned operands, MXCSR, and
 * how a file of handlers offers them to the decoder. Included by helpers/ only; must never be
 * included by other folders (simd.h is for them).
 *
 * Handlers keep no local variable in memory whose address leaves the function: the slow paths pass
 * vectors by value. Otherwise the compiler could not turn NEXT() into a jump.
 */
#ifndef BULKHEAD_CPU_WORKER_HELPERS_SIMD_OP_H
#define BULKHEAD_CPU_WORKER_HELPERS_SIMD_OP_H

#include <emmintrin.h>
#include <Zydis/Zydis.h>
#include "cpu-worker/run/op.h"

#define X(n) (*(__m128i *)c->s->ymm[n])
#define SIMD_COLD __attribute__((noinline, cold))

/* ---- memory operands ---- */

__m128i simd_ld128_slow(struct cpu *c, const struct op *o, uint64_t va);
void simd_st128_slow(struct cpu *c, const struct op *o, uint64_t va, __m128i v);
void simd_gp(struct cpu *c, const struct op *o) __attribute__((noreturn, cold));
uint64_t simd_operand_ea_slow(struct cpu *c, const struct op *o, unsigned size);
uint64_t simd_aligned_ea_slow(struct cpu *c, const struct op *o, unsigned size, bool write);
/* Instructions with large operands access them piece by piece: the address of the `bytes` that are `at`
 * bytes into the operand, after the segment's check of these alone ... */
uint64_t simd_part(struct cpu *c, const struct op *o, int64_t at, unsigned bytes, bool write);
/* ... and after the check that they may be accessed. */
uint64_t simd_part_probe(struct cpu *c, const struct op *o, int64_t at, unsigned bytes, bool write);

static inline __m128i simd_ld_u16(struct cpu *c, const struct op *o)
{
    uint64_t va = op_ea(c, o, 16, false);
    const void *p = mmu_ptr_r(c, va, 16);
    return likely(p) ? _mm_loadu_si128(p) : simd_ld128_slow(c, o, va);
}
/* Address of an operand that has to be aligned to its size; that is checked before the segment's limit. */
static inline __attribute__((always_inline)) uint64_t simd_aligned_ea(struct cpu *c, const struct op *o,
                                                                      unsigned size, bool write)
{
    if (unlikely(o->ea))
        return simd_aligned_ea_slow(c, o, size, write);
    uint64_t va = op_ea(c, o, size, write);
    if (unlikely(va & (size - 1)))
        simd_gp(c, o);
    return va;
}
/* Legacy SSE: a misaligned 16-byte operand is #GP(0) (SDM 2A, 2.4 "exceptions type 2 and 4"), unless an AMD's
 * MXCSR.MM says otherwise (APM 1, 4.2.2 "Misaligned exception mask"). */
void simd_misaligned(struct cpu *c, const struct op *o) __attribute__((cold));
static inline __attribute__((always_inline)) uint64_t simd_operand_ea(struct cpu *c, const struct op *o,
                                                                      unsigned size)
{
    if (unlikely(o->ea))
        return simd_operand_ea_slow(c, o, size);
    uint64_t va = op_ea(c, o, size, false);
    if (unlikely(va & 15))
        simd_misaligned(c, o);
    return va;
}
static inline __m128i simd_ld_a16(struct cpu *c, const struct op *o)
{
    uint64_t va = simd_operand_ea(c, o, 16);
    const void *p = mmu_ptr_r(c, va, 16);
    return likely(p) ? _mm_loadu_si128(p) : simd_ld128_slow(c, o, va);
}
/* The low half of such an operand, where the processor reads no more; addresses are checked as a whole. */
static inline __m128i simd_ld_low(struct cpu *c, const struct op *o)
{
    uint64_t va = simd_operand_ea(c, o, 16);
    if (unlikely((va & 0xfff) > 0xff0))
        mmu_canonical(c, o, va + 15);
    return _mm_cvtsi64_si128((long long)mmu_ld64(c, o, va));
}
/* MOVAPS and its kin: MM does not concern them. */
static inline __m128i simd_ld_aligned(struct cpu *c, const struct op *o)
{
    uint64_t va = simd_aligned_ea(c, o, 16, false);
    const void *p = mmu_ptr_r(c, va, 16);
    return likely(p) ? _mm_loadu_si128(p) : simd_ld128_slow(c, o, va);
}
static inline void simd_st_u16(struct cpu *c, const struct op *o, __m128i v)
{
    uint64_t va = op_ea(c, o, 16, true);
    void *p = mmu_ptr_w(c, va, 16);
    if (likely(p))
        _mm_storeu_si128(p, v);
    else
        simd_st128_slow(c, o, va, v);
}
static inline void simd_st_a16(struct cpu *c, const struct op *o, __m128i v)
{
    uint64_t va = simd_aligned_ea(c, o, 16, true);
    void *p = mmu_ptr_w(c, va, 16);
    if (likely(p))
        _mm_storeu_si128(p, v);
    else
        simd_st128_slow(c, o, va, v);
}
static inline uint16_t simd_ld16(struct cpu *c, const struct op *o)
{
    return mmu_ld16(c, o, op_ea(c, o, 2, false));
}
static inline uint32_t simd_ld32(struct cpu *c, const struct op *o)
{
    return mmu_ld32(c, o, op_ea(c, o, 4, false));
}
static inline uint64_t simd_ld64(struct cpu *c, const struct op *o)
{
    return mmu_ld64(c, o, op_ea(c, o, 8, false));
}
static inline __m128i simd_ldv16(struct cpu *c, const struct op *o)
{
    return _mm_cvtsi32_si128(simd_ld16(c, o));
}
static inline __m128i simd_ldv32(struct cpu *c, const struct op *o)
{
    return _mm_cvtsi32_si128((int)simd_ld32(c, o));
}
static inline __m128i simd_ldv64(struct cpu *c, const struct op *o)
{
    return _mm_cvtsi64_si128((long long)simd_ld64(c, o));
}

/* ---- MXCSR ---- With the reset control bits (all masked, nearest, no DAZ/FTZ) guest arithmetic
 * runs under the host's own MXCSR and its sticky flags accumulate there. Otherwise every arithmetic
 * handler goes through simd_mx_enter .. simd_mx_leave. */
#define MXCSR_FLAGS   0x003fu
#define MXCSR_DEFAULT 0x1f80u
#define MXCSR_MM      0x20000u /* AMD: misaligned operands are no #GP */

static inline bool simd_mx_fast(const struct cpu *c)
{
    return (c->s->mxcsr & ~MXCSR_FLAGS) == MXCSR_DEFAULT;
}

/* Run operation o under the guest's MXCSR. An exception that it leaves unmasked is taken by the host's
 * unit, and arrives as #XM (or #UD) of o; nothing may have been committed since. */
void simd_mx_enter(struct cpu *c, const struct op *o);
/* Back to the host's MXCSR; the guest's gets the flags. */
void simd_mx_leave(struct cpu *c);
/* The guest's MXCSR, complete; and setting it (value already checked). */
uint32_t simd_mxcsr(struct cpu *c);
void simd_set_mxcsr(struct cpu *c, uint32_t v);
uint32_t simd_mxcsr_mask(const struct cpu *c);

/* ---- MMX ---- */

void simd_mf(struct cpu *c, const struct op *o) __attribute__((cold)); /* a pending x87 error */
/* Every MMX instruction waits for x87 exceptions first ... */
static inline void mmx_wait(struct cpu *c, const struct op *o)
{
    if (unlikely(c->s->fsw & 0x80))
        simd_mf(c, o);
}
/* ... and leaves TOP = 0 and all tags valid (SDM 1, 9.5.1). */
static inline void mmx_enter(struct cpu *c)
{
    c->s->fsw &= (uint16_t)~0x3800;
    c->s->ftw = 0;
}
static inline __m128i mmx_get(struct cpu *c, unsigned n)
{
    return _mm_cvtsi64_si128((long long)c->s->fpr[n].mant);
}
static inline void mmx_put(struct cpu *c, unsigned n, __m128i v)
{
    c->s->fpr[n].mant = (uint64_t)_mm_cvtsi128_si64(v);
    c->s->fpr[n].se = 0xffff;
}

/* A handler with locals in memory: kept out of line, so that NEXT() stays a jump. */
#define WORKER_OP(name)                                                                            \
    static __attribute__((noinline)) void name##_run(struct cpu *c, const struct op *o);           \
    static OP(name)                                                                                \
    {                                                                                              \
        name##_run(c, o);                                                                          \
        NEXT();                                                                                    \
    }                                                                                              \
    static __attribute__((noinline)) void name##_run(struct cpu *c, const struct op *o)

/* ---- decoding ---- */

enum simd_shape { SHAPE_RR, SHAPE_RM, SHAPE_MR }; /* where the memory operand is */
struct simd_in {
    const ZydisDecodedInstruction *in;
    const ZydisDecodedOperand *ops;
    ZydisMnemonic mn;
    enum simd_shape shape;
    bool mmx;  /* no XMM operand, at least one MMX operand */
    bool wide; /* 64-bit general register or memory integer operand */
    uint32_t mode;
    bool amd; /* the guest's processor is an AMD */
};

/* Choose by shape; false if that form does not exist. dst and src are already set. */
static inline bool simd_bind(struct op *o, const struct simd_in *d, op_fn rr, op_fn rm, op_fn mr)
{
    o->fn = d->shape == SHAPE_RR ? rr : d->shape == SHAPE_RM ? rm : mr;
    return o->fn != NULL;
}

/* One per file: true if the mnemonic is theirs and the form is supported. */
bool sse_int_decode(struct op *o, const struct simd_in *d);
bool sse_shuffle_decode(struct op *o, const struct simd_in *d);
bool sse_fp_decode(struct op *o, const struct simd_in *d);
bool sse_fpcmp_decode(struct op *o, const struct simd_in *d);
bool sse_cvt_decode(struct op *o, const struct simd_in *d);
bool sse_move_decode(struct op *o, const struct simd_in *d);
bool sse_store_decode(struct op *o, const struct simd_in *d);
bool sse4_decode(struct op *o, const struct simd_in *d);
bool sse4a_decode(struct op *o, const struct simd_in *d);
bool sse_element_decode(struct op *o, const struct simd_in *d);
bool sse_string_decode(struct op *o, const struct simd_in *d);
bool crypto_decode(struct op *o, const struct simd_in *d);
bool mmx_int_decode(struct op *o, const struct simd_in *d);
bool now_decode(struct op *o, const struct simd_in *d);
bool mmx_move_decode(struct op *o, const struct simd_in *d);
bool cache_decode(struct op *o, const struct simd_in *d);
bool xsave_decode(struct op *o, const struct simd_in *d);
bool fxsave_decode(struct op *o, const struct simd_in *d);
bool x87_decode(struct op *o, const struct simd_in *d);
bool vex_decode(struct op *o, struct simd_in *d);
/* MASKMOVQ and MASKMOVDQU store to seg:[rDI], an operand that is not written in the instruction. */
void simd_implicit_destination(struct op *o, const struct simd_in *d);

#endif
