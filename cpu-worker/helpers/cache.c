/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fences, prefetches, cache-line flushes, MOVNTI and CRC32: instructions of the SSE extensions that
 * use no SIMD state, so that CR0.TS, CR0.EM and CR4.OSFXSR do not concern them.
 */
#include "cpu-worker/helpers/simd-op.h"

static OP(hint)
{
    (void)c;
    NEXT();
}

static OP(mfence)
{
    (void)c;
    __asm__ volatile("mfence" : : : "memory");
    NEXT();
}

static OP(lfence)
{
    (void)c;
    __asm__ volatile("lfence" : : : "memory");
    NEXT();
}

static OP(sfence)
{
    (void)c;
    __asm__ volatile("sfence" : : : "memory");
    NEXT();
}

/* CLFLUSH and its kin need only be allowed to read the line. */
static OP(flush_line)
{
    mmu_ld8(c, o, op_ea(c, o, 1, false));
    NEXT();
}

static OP(movnti32)
{
    mmu_st32(c, o, op_ea(c, o, 4, true), (uint32_t)c->gpr[o->src]);
    NEXT();
}

static OP(movnti64)
{
    mmu_st64(c, o, op_ea(c, o, 8, true), c->gpr[o->src]);
    NEXT();
}

/* ---- CRC32: dst is always written as a whole register ---- */

#define CRC32_OP(name, VALUE, T, text)                                                             \
    static OP(name)                                                                                \
    {                                                                                              \
        T v = (T)(VALUE);                                                                          \
        uint64_t r = (uint32_t)c->gpr[o->dst];                                                     \
        __asm__(text : "+r"(r) : "r"(v));                                                          \
        c->gpr[o->dst] = r;                                                                        \
        NEXT();                                                                                    \
    }
#define LD(n) mmu_ld##n(c, o, op_ea(c, o, n / 8, false))
/* src = byte offset into gpr[] for the 8-bit form */
CRC32_OP(crc32b_rr, ((const uint8_t *)c->gpr)[o->src], uint8_t, "crc32b %1, %k0")
CRC32_OP(crc32w_rr, c->gpr[o->src], uint16_t, "crc32w %1, %k0")
CRC32_OP(crc32l_rr, c->gpr[o->src], uint32_t, "crc32l %1, %k0")
CRC32_OP(crc32q_rr, c->gpr[o->src], uint64_t, "crc32q %1, %0")
CRC32_OP(crc32b_rm, LD(8), uint8_t, "crc32b %1, %k0")
CRC32_OP(crc32w_rm, LD(16), uint16_t, "crc32w %1, %k0")
CRC32_OP(crc32l_rm, LD(32), uint32_t, "crc32l %1, %k0")
CRC32_OP(crc32q_rm, LD(64), uint64_t, "crc32q %1, %0")

/* AH, CH, DH, BH are byte 1 of the first four registers. */
static uint8_t byte_offset(ZydisRegister r)
{
    if (r >= ZYDIS_REGISTER_AH && r <= ZYDIS_REGISTER_BH)
        return (uint8_t)(8 * (r - ZYDIS_REGISTER_AH) + 1);
    if (r >= ZYDIS_REGISTER_SPL)
        return (uint8_t)(8 * (r - ZYDIS_REGISTER_SPL + 4));
    return (uint8_t)(8 * (r - ZYDIS_REGISTER_AL));
}

static bool crc32_decode(struct op *o, const struct simd_in *d)
{
    switch (d->ops[1].size) {
    case 8:
        if (d->shape == SHAPE_RR)
            o->src = byte_offset(d->ops[1].reg.value);
        return simd_bind(o, d, crc32b_rr, crc32b_rm, NULL);
    case 16:
        return simd_bind(o, d, crc32w_rr, crc32w_rm, NULL);
    case 32:
        return simd_bind(o, d, crc32l_rr, crc32l_rm, NULL);
    default:
        return simd_bind(o, d, crc32q_rr, crc32q_rm, NULL);
    }
}

bool cache_decode(struct op *o, const struct simd_in *d)
{
    switch (d->mn) {
    case ZYDIS_MNEMONIC_PREFETCH:
    case ZYDIS_MNEMONIC_PREFETCHNTA:
    case ZYDIS_MNEMONIC_PREFETCHT0:
    case ZYDIS_MNEMONIC_PREFETCHT1:
    case ZYDIS_MNEMONIC_PREFETCHT2:
    case ZYDIS_MNEMONIC_PREFETCHW:
        o->fn = hint;
        return true;
    case ZYDIS_MNEMONIC_MFENCE:
        o->fn = mfence;
        return true;
    case ZYDIS_MNEMONIC_LFENCE:
        o->fn = lfence;
        return true;
    case ZYDIS_MNEMONIC_SFENCE:
        o->fn = sfence;
        return true;
    case ZYDIS_MNEMONIC_CLFLUSH:
    case ZYDIS_MNEMONIC_CLFLUSHOPT:
    case ZYDIS_MNEMONIC_CLWB:
        o->fn = flush_line;
        return true;
    case ZYDIS_MNEMONIC_MOVNTI:
        o->fn = d->wide ? movnti64 : movnti32;
        return true;
    case ZYDIS_MNEMONIC_CRC32:
        return crc32_decode(o, d);
    default:
        return false;
    }
}
