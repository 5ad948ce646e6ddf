/* SPDX-License-Identifier: Apache-2.0 */
/*
 * 3DNow! and its extensions (AMD 21928, 22466; APM 5), which no host of today has: on SSE with denormals as zeros,
 * overflow to the largest number. Must never touch the guest's MXCSR.
 *
 * First approximations are of full precision here, so that the steps that refine them have nothing to do: they
 * give the approximation. What lies between is the processor's own affair (21928, "PFRCP").
 */
#include <xmmintrin.h>
#include "cpu-worker/helpers/simd-op.h"

#define NEAREST  0x9fc0u /* exceptions masked, denormals are zeros in and out */
#define TRUNCATE 0xffc0u

static inline uint32_t host_mxcsr_swap(uint32_t v)
{
    uint32_t old;
    __asm__ volatile("stmxcsr %0\n\tldmxcsr %1" : "=m"(old) : "m"(v));
    return old;
}
/* One SSE instruction on a and b; flags it raises are nobody's. */
#define UNDER(mxcsr, insn, a, b)                                                                   \
    do {                                                                                           \
        uint32_t old_ = host_mxcsr_swap(mxcsr);                                                    \
        __asm__ volatile(insn " %1, %0" : "+x"(a) : "x"(b));                                       \
        host_mxcsr_swap(old_);                                                                     \
    } while (0)

/* Infinity becomes the largest number of its sign. */
static __m128i saturate(__m128i v)
{
    const __m128i inf = _mm_set1_epi32(0x7f800000), magnitude = _mm_set1_epi32(0x7fffffff);
    return _mm_add_epi32(v, _mm_cmpeq_epi32(_mm_and_si128(v, magnitude), inf));
}
static __m128i choose(__m128i mask, __m128i a, __m128i b)
{
    return _mm_or_si128(_mm_and_si128(mask, a), _mm_andnot_si128(mask, b));
}
static __m128i twice(__m128i v)
{
    return _mm_shuffle_epi32(v, 0);
}

/* a = destination, b = source; the result in the low half. */
#define ARITH(name, insn, first, second)                                                           \
    static __m128i name(__m128i a, __m128i b)                                                      \
    {                                                                                              \
        __m128i x = first, y = second;                                                             \
        UNDER(NEAREST, insn, x, y);                                                                \
        return saturate(x);                                                                        \
    }
/* {a0, b0} and {a1, b1} */
#define EVEN _mm_unpacklo_epi32(a, b)
#define ODD  _mm_shuffle_epi32(_mm_unpacklo_epi32(a, b), 0xee)
ARITH(pfadd, "addps", a, b)
ARITH(pfsub, "subps", a, b)
ARITH(pfsubr, "subps", b, a)
ARITH(pfmul, "mulps", a, b)
ARITH(pfacc, "addps", EVEN, ODD)
ARITH(pfnacc, "subps", EVEN, ODD)
static __m128i pfpnacc(__m128i a, __m128i b)
{
    const __m128i low = _mm_set_epi32(0, 0, 0, -1);
    return choose(low, pfnacc(a, b), pfacc(a, b));
}

#define COMPARE(name, insn, first, second)                                                         \
    static __m128i name(__m128i a, __m128i b)                                                      \
    {                                                                                              \
        __m128i x = first, y = second;                                                             \
        UNDER(NEAREST, insn, x, y);                                                                \
        return x;                                                                                  \
    }
COMPARE(pfcmpeq, "cmpeqps", a, b)
COMPARE(pfcmpgt, "cmpltps", b, a)
COMPARE(pfcmpge, "cmpleps", b, a)
/* Zeros and denormals of either sign come out as +0. */
static __m128i plus_zero(__m128i v)
{
    const __m128i exponent = _mm_set1_epi32(0x7f800000);
    return _mm_andnot_si128(_mm_cmpeq_epi32(_mm_and_si128(v, exponent), _mm_setzero_si128()), v);
}
static __m128i pfmax(__m128i a, __m128i b)
{
    return plus_zero(choose(pfcmpgt(a, b), a, b));
}
static __m128i pfmin(__m128i a, __m128i b)
{
    return plus_zero(choose(pfcmpgt(b, a), a, b));
}

static __m128i pi2fd(__m128i a, __m128i b)
{
    UNDER(TRUNCATE, "cvtdq2ps", a, b);
    return a;
}
static __m128i pi2fw(__m128i a, __m128i b)
{
    return pi2fd(a, _mm_srai_epi32(_mm_slli_epi32(b, 16), 16));
}
/* Truncated; SSE gives 80000000h for what is too large, of which positive numbers get one less. */
static __m128i pf2id(__m128i a, __m128i b)
{
    const __m128i lowest = _mm_set1_epi32((int)0x80000000u);
    UNDER(TRUNCATE, "cvttps2dq", a, b);
    __m128i over = _mm_andnot_si128(_mm_srai_epi32(b, 31), _mm_cmpeq_epi32(a, lowest));
    return _mm_add_epi32(a, over);
}
static __m128i pf2iw(__m128i a, __m128i b)
{
    __m128i w = _mm_packs_epi32(pf2id(a, b), _mm_setzero_si128());
    return _mm_srai_epi32(_mm_unpacklo_epi16(w, w), 16);
}

static __m128i pfrcp(__m128i a, __m128i b)
{
    a = _mm_set1_epi32(0x3f800000);
    UNDER(NEAREST, "divps", a, b);
    return twice(saturate(a));
}
/* Of the magnitude, with the sign of the operand. */
static __m128i pfrsqrt(__m128i a, __m128i b)
{
    const __m128i sign = _mm_set1_epi32((int)0x80000000u);
    UNDER(NEAREST, "sqrtps", a, _mm_andnot_si128(sign, b));
    return twice(_mm_or_si128(pfrcp(a, a), _mm_and_si128(sign, b)));
}
static __m128i refined(__m128i a, __m128i b)
{
    (void)a;
    return b;
}

static __m128i pavgusb(__m128i a, __m128i b)
{
    return _mm_avg_epu8(a, b);
}
static __m128i pmulhrw(__m128i a, __m128i b)
{
    __m128i carry = _mm_srli_epi16(_mm_mullo_epi16(a, b), 15);
    return _mm_add_epi16(_mm_mulhi_epi16(a, b), carry);
}
static __m128i pswapd(__m128i a, __m128i b)
{
    (void)a;
    return _mm_shuffle_epi32(b, 0xe1);
}

/* imm: the function */
typedef __m128i (*now_fn)(__m128i, __m128i);
static void finish(struct cpu *c, const struct op *o, __m128i b)
{
    now_fn fn = (now_fn)(uintptr_t)o->imm;
    mmx_enter(c);
    mmx_put(c, o->dst, fn(mmx_get(c, o->dst), b));
}
WORKER_OP(now_rr)
{
    mmx_wait(c, o);
    finish(c, o, mmx_get(c, o->src));
}
WORKER_OP(now_rm)
{
    mmx_wait(c, o);
    finish(c, o, simd_ldv64(c, o));
}

static now_fn function_of(ZydisMnemonic mn)
{
    switch (mn) {
#define CASE(MN, fn) case ZYDIS_MNEMONIC_##MN: return fn;
        CASE(PFADD, pfadd) CASE(PFSUB, pfsub) CASE(PFSUBR, pfsubr) CASE(PFMUL, pfmul) CASE(PFACC, pfacc)
        CASE(PFNACC, pfnacc) CASE(PFPNACC, pfpnacc) CASE(PFCMPEQ, pfcmpeq) CASE(PFCMPGT, pfcmpgt)
        CASE(PFCMPGE, pfcmpge) CASE(PFMAX, pfmax) CASE(PFMIN, pfmin) CASE(PI2FD, pi2fd) CASE(PI2FW, pi2fw)
        CASE(PF2ID, pf2id) CASE(PF2IW, pf2iw) CASE(PFRCP, pfrcp) CASE(PFSQRT, pfrsqrt)
        CASE(PFCPIT1, refined) CASE(PFRSQIT1, refined) CASE(PFRCPIT2, refined) CASE(PAVGUSB, pavgusb)
        CASE(PMULHRW, pmulhrw) CASE(PSWAPD, pswapd)
#undef CASE
    default:
        return NULL;
    }
}
bool now_decode(struct op *o, const struct simd_in *d)
{
    o->imm = (uintptr_t)function_of(d->mn);
    return o->imm && simd_bind(o, d, now_rr, now_rm, NULL);
}
