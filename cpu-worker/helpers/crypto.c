/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AES-NI, PCLMULQDQ, SHA and GFNI extensions, on the host's own. Must never touch MXCSR or flags, nor
 * decide whether the guest may see them (CPUID does).
 */
#include "cpu-worker/helpers/simd-op.h"

/* AMD's SHA instructions take a misaligned operand. */
static inline __m128i load_sha(struct cpu *c, const struct op *o)
{
    return unlikely(c->vendor == ABI_CPU_AMD) ? simd_ld_u16(c, o) : simd_ld_a16(c, o);
}

#define PAIR(name, load, RUN)                                                                            \
    static OP(name##_rr)                                                                           \
    {                                                                                              \
        __m128i b = X(o->src), a = X(o->dst);                                                      \
        RUN;                                                                                       \
        X(o->dst) = a;                                                                             \
        NEXT();                                                                                    \
    }                                                                                              \
    static OP(name##_rm)                                                                           \
    {                                                                                              \
        __m128i b = load(c, o), a = X(o->dst);                                              \
        RUN;                                                                                       \
        X(o->dst) = a;                                                                             \
        NEXT();                                                                                    \
    }

#define CRYPTO_OPS(X_)                                                                             \
    X_(AESDEC, aesdec, simd_ld_a16) X_(AESDECLAST, aesdeclast, simd_ld_a16)                        \
    X_(AESENC, aesenc, simd_ld_a16) X_(AESENCLAST, aesenclast, simd_ld_a16)                        \
    X_(AESIMC, aesimc, simd_ld_a16) X_(GF2P8MULB, gf2p8mulb, simd_ld_a16)                          \
    X_(SHA1MSG1, sha1msg1, load_sha) X_(SHA1MSG2, sha1msg2, load_sha)                              \
    X_(SHA1NEXTE, sha1nexte, load_sha) X_(SHA256MSG1, sha256msg1, load_sha)                        \
    X_(SHA256MSG2, sha256msg2, load_sha)
#define DEFINE(MN, insn, load) PAIR(insn, load, __asm__(#insn " %1, %0" : "+x"(a) : "x"(b)))
CRYPTO_OPS(DEFINE)
#undef DEFINE

PAIR(sha256rnds2, load_sha, __asm__("sha256rnds2 %%xmm0, %1, %0" : "+x"(a) : "x"(b), "Yz"(X(0))))

/* The round constant is only XORed into doublewords 1 and 3. */
PAIR(aeskeygenassist, simd_ld_a16, __asm__("aeskeygenassist $0, %1, %0" : "=x"(a) : "x"(b));
     a = _mm_xor_si128(a, _mm_set1_epi64x((long long)(o->imm << 32))))

#define IMM_CASE(insn, value, n)                                                                   \
    case n:                                                                                        \
        __asm__(insn " $" #value ", %1, %0" : "+x"(a) : "x"(b));                                   \
        break;
static inline __m128i run_pclmul(__m128i a, __m128i b, unsigned which)
{
    switch (which & 3) {
        IMM_CASE("pclmulqdq", 0x00, 0)
        IMM_CASE("pclmulqdq", 0x01, 1)
        IMM_CASE("pclmulqdq", 0x10, 2)
        IMM_CASE("pclmulqdq", 0x11, 3)
    }
    return a;
}
PAIR(pclmulqdq, simd_ld_a16, a = run_pclmul(a, b, (unsigned)o->imm))

static inline __m128i run_sha1rnds4(__m128i a, __m128i b, unsigned which)
{
    switch (which & 3) {
        IMM_CASE("sha1rnds4", 0, 0)
        IMM_CASE("sha1rnds4", 1, 1)
        IMM_CASE("sha1rnds4", 2, 2)
        IMM_CASE("sha1rnds4", 3, 3)
    }
    return a;
}
PAIR(sha1rnds4, load_sha, a = run_sha1rnds4(a, b, (unsigned)o->imm))

/* GF2P8AFFINEQB and GF2P8AFFINEINVQB: the constant is only added, so it can be added to a zero one. The
 * inverse is of the source, before that. */
PAIR(gf2p8affineqb, simd_ld_a16, __asm__("gf2p8affineqb $0, %1, %0" : "+x"(a) : "x"(b));
     a = _mm_xor_si128(a, _mm_set1_epi8((char)o->imm)))
PAIR(gf2p8affineinvqb, simd_ld_a16, __asm__("gf2p8affineinvqb $0, %1, %0" : "+x"(a) : "x"(b));
     a = _mm_xor_si128(a, _mm_set1_epi8((char)o->imm)))

bool crypto_decode(struct op *o, const struct simd_in *d)
{
    unsigned imm = (unsigned)o->imm & 0xff;
    switch (d->mn) {
#define CASE(MN, insn, ...)                                                                        \
    case ZYDIS_MNEMONIC_##MN:                                                                      \
        return simd_bind(o, d, insn##_rr, insn##_rm, NULL);
        CRYPTO_OPS(CASE)
        CASE(SHA1RNDS4, sha1rnds4)
        CASE(SHA256RNDS2, sha256rnds2)
        CASE(GF2P8AFFINEQB, gf2p8affineqb)
        CASE(GF2P8AFFINEINVQB, gf2p8affineinvqb)
#undef CASE
    case ZYDIS_MNEMONIC_AESKEYGENASSIST:
        o->imm = imm;
        return simd_bind(o, d, aeskeygenassist_rr, aeskeygenassist_rm, NULL);
    case ZYDIS_MNEMONIC_PCLMULQDQ:
        o->imm = (imm & 1) | (imm >> 3 & 2);
        return simd_bind(o, d, pclmulqdq_rr, pclmulqdq_rm, NULL);
    default:
        return false;
    }
}
