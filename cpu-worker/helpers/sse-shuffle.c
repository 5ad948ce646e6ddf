/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SSE shuffles and byte shifts whose pattern is an immediate. The pattern is turned into a PSHUFB
 * control at decode time, so that one handler serves all 256 immediates; needs SSSE3 of the host.
 * Must never look at the guest's state while decoding.
 */
#include "cpu-worker/helpers/simd-op.h"

/* A sliding window: 16 bytes from [16 + n] select source bytes n, n+1, ... and zero outside 0..15.
 */
static const uint8_t window[48] = {
    0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80,
    0,    1,    2,    3,    4,    5,    6,    7,    8,    9,    10,   11,   12,   13,   14,   15,
    0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80};

static inline __m128i pshufb(__m128i v, __m128i control)
{
    __asm__("pshufb %1, %0" : "+x"(v) : "x"(control));
    return v;
}

static inline __m128i window_at(unsigned n)
{
    return _mm_loadu_si128((const __m128i *)(window + n));
}

/* imm: eight bytes, byte k = 2 * (word of the source that goes to word k). */
static inline __m128i word_control(uint64_t imm)
{
    __m128i t = _mm_cvtsi64_si128((long long)imm);
    return _mm_add_epi8(_mm_unpacklo_epi8(t, t), _mm_set1_epi16(0x0100));
}

static OP(words_rr)
{
    X(o->dst) = pshufb(X(o->src), word_control(o->imm));
    NEXT();
}

static OP(words_rm)
{
    X(o->dst) = pshufb(simd_ld_a16(c, o), word_control(o->imm));
    NEXT();
}

/* SHUFPS, SHUFPD: low half picked from the destination, high half from the source. */
static inline __m128i two_sources(__m128i a, __m128i b, uint64_t imm)
{
    __m128i k = word_control(imm);
    __m128d lo = _mm_castsi128_pd(pshufb(a, k)), hi = _mm_castsi128_pd(pshufb(b, k));
    return _mm_castpd_si128(_mm_shuffle_pd(lo, hi, 2));
}

static OP(two_rr)
{
    X(o->dst) = two_sources(X(o->dst), X(o->src), o->imm);
    NEXT();
}

static OP(two_rm)
{
    __m128i b = simd_ld_a16(c, o);
    X(o->dst) = two_sources(X(o->dst), b, o->imm);
    NEXT();
}

/* PSLLDQ, PSRLDQ: imm = index into the window. */
static OP(byte_shift)
{
    X(o->dst) = pshufb(X(o->dst), window_at((unsigned)o->imm));
    NEXT();
}

/* PALIGNR: bytes imm.. of source, then destination; aux and aux2 = their window indexes. */
static inline __m128i align_right(__m128i a, __m128i b, const struct op *o)
{
    return _mm_or_si128(pshufb(b, window_at(o->aux)), pshufb(a, window_at(o->aux2)));
}

static OP(palignr_rr)
{
    X(o->dst) = align_right(X(o->dst), X(o->src), o);
    NEXT();
}

static OP(palignr_rm)
{
    __m128i b = simd_ld_a16(c, o);
    X(o->dst) = align_right(X(o->dst), b, o);
    NEXT();
}

/* Four words picked out of words base..base+3 by imm8, as bytes of 2*word. */
static uint32_t pick_words(unsigned imm, unsigned base)
{
    uint32_t r = 0;
    for (unsigned k = 0; k < 4; k++)
        r |= (2 * (base + (imm >> 2 * k & 3))) << 8 * k;
    return r;
}

static uint64_t pick_dwords(unsigned imm)
{
    uint64_t r = 0;
    for (unsigned k = 0; k < 4; k++) {
        uint64_t w = 4 * (imm >> 2 * k & 3);
        r |= (w | (w + 2) << 8) << 16 * k;
    }
    return r;
}

static uint64_t pick_qwords(unsigned imm)
{
    uint64_t r = 0;
    for (unsigned k = 0; k < 2; k++) {
        uint64_t w = 8 * (imm >> k & 1);
        r |= (w | (w + 2) << 8 | (w + 4) << 16 | (w + 6) << 24) << 32 * k;
    }
    return r;
}

static void align_prepare(struct op *o, unsigned n)
{
    o->aux = (uint16_t)(16 + (n > 16 ? 16 : n));
    o->aux2 = n > 32 ? 32 : n;
}

bool sse_shuffle_decode(struct op *o, const struct simd_in *d)
{
    unsigned imm = (unsigned)o->imm & 0xff;
    uint64_t low_words = pick_words(0xe4, 0), high_words = (uint64_t)pick_words(0xe4, 4) << 32;

    switch (d->mn) {
    case ZYDIS_MNEMONIC_PSHUFD:
        o->imm = pick_dwords(imm);
        return simd_bind(o, d, words_rr, words_rm, NULL);
    case ZYDIS_MNEMONIC_PSHUFLW:
        o->imm = pick_words(imm, 0) | high_words;
        return simd_bind(o, d, words_rr, words_rm, NULL);
    case ZYDIS_MNEMONIC_PSHUFHW:
        o->imm = (uint64_t)pick_words(imm, 4) << 32 | low_words;
        return simd_bind(o, d, words_rr, words_rm, NULL);
    case ZYDIS_MNEMONIC_SHUFPS:
        o->imm = pick_dwords(imm);
        return simd_bind(o, d, two_rr, two_rm, NULL);
    case ZYDIS_MNEMONIC_SHUFPD:
        o->imm = pick_qwords(imm);
        return simd_bind(o, d, two_rr, two_rm, NULL);
    case ZYDIS_MNEMONIC_PSLLDQ:
        o->imm = imm > 16 ? 0 : 16 - imm;
        o->fn = byte_shift;
        return true;
    case ZYDIS_MNEMONIC_PSRLDQ:
        o->imm = imm > 16 ? 32 : 16 + imm;
        o->fn = byte_shift;
        return true;
    case ZYDIS_MNEMONIC_PALIGNR:
        align_prepare(o, imm);
        return simd_bind(o, d, palignr_rr, palignr_rm, NULL);
    default:
        return false;
    }
}
