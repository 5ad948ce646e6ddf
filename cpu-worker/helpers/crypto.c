/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AES-NI, PCLMULQDQ and SHA extensions, on the host's own. Must never touch MXCSR or flags, nor
 * decide whether the guest may see them (CPUID does).
 */
#include "cpu-worker/helpers/simd-op.h"

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

#define CRYPTO_OPS(X_)                                                                             \
    X_(AESDEC, aesdec) X_(AESDECLAST, aesdeclast) X_(AESENC, aesenc) X_(AESENCLAST, aesenclast)    \
    X_(AESIMC, aesimc) X_(SHA1MSG1, sha1msg1) X_(SHA1MSG2, sha1msg2) X_(SHA1NEXTE, sha1nexte)      \
    X_(SHA256MSG1, sha256msg1) X_(SHA256MSG2, sha256msg2)
#define DEFINE(MN, insn) PAIR(insn, __asm__(#insn " %1, %0" : "+x"(a) : "x"(b)))
CRYPTO_OPS(DEFINE)
#undef DEFINE

PAIR(sha256rnds2, __asm__("sha256rnds2 %%xmm0, %1, %0" : "+x"(a) : "x"(b), "Yz"(X(0))))

/* The round constant is only XORed into doublewords 1 and 3. */
PAIR(aeskeygenassist, __asm__("aeskeygenassist $0, %1, %0" : "=x"(a) : "x"(b));
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
PAIR(pclmulqdq, a = run_pclmul(a, b, (unsigned)o->imm))

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
PAIR(sha1rnds4, a = run_sha1rnds4(a, b, (unsigned)o->imm))

bool crypto_decode(struct op *o, const struct simd_in *d)
{
    unsigned imm = (unsigned)o->imm & 0xff;
    switch (d->mn) {
#define CASE(MN, insn)                                                                             \
    case ZYDIS_MNEMONIC_##MN:                                                                      \
        return simd_bind(o, d, insn##_rr, insn##_rm, NULL);
        CRYPTO_OPS(CASE)
        CASE(SHA1RNDS4, sha1rnds4)
        CASE(SHA256RNDS2, sha256rnds2)
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
