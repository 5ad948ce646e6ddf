/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cold halves of the SIMD handlers' memory operands and the faults they share. Must never commit
 * guest state.
 */
#include "cpu-worker/helpers/simd-op.h"

__m128i simd_ld128_slow(struct cpu *c, const struct op *o, uint64_t va)
{
    __m128i v;
    mmu_read_bytes(c, o, va, &v, sizeof(v));
    return v;
}

void simd_st128_slow(struct cpu *c, const struct op *o, uint64_t va, __m128i v)
{
    mmu_write_bytes(c, o, va, &v, sizeof(v));
}

void simd_misaligned(struct cpu *c, const struct op *o)
{
    if (!(c->s->mxcsr & MXCSR_MM))
        simd_gp(c, o);
}

uint64_t simd_operand_ea_slow(struct cpu *c, const struct op *o, unsigned size)
{
    if (!(c->s->mxcsr & MXCSR_MM))
        simd_aligned_ea_slow(c, o, 16, false);
    return op_ea(c, o, size, false);
}

uint64_t simd_aligned_ea_slow(struct cpu *c, const struct op *o, unsigned size, bool write)
{
    struct op t = *o;
    t.ea &= (uint8_t)~EA_LEGACY;
    if (cpu_ea_slow(c, &t, size, write) & (size - 1))
        simd_gp(c, o);
    return op_ea(c, o, size, write);
}

uint64_t simd_part(struct cpu *c, const struct op *o, int64_t at, unsigned bytes, bool write)
{
    if (!o->ea)
        return op_ea(c, o, bytes, write) + (uint64_t)at;
    struct op t = *o; /* 32-bit offsets wrap by themselves */
    t.disp = (int32_t)(t.disp + at);
    return op_ea(c, &t, bytes, write);
}

uint64_t simd_part_probe(struct cpu *c, const struct op *o, int64_t at, unsigned bytes, bool write)
{
    uint64_t va = simd_part(c, o, at, bytes, write);
    if (write)
        mmu_probe_write(c, o, va, bytes);
    else
        mmu_probe_read(c, o, va, bytes);
    return va;
}

void simd_gp(struct cpu *c, const struct op *o)
{
    cpu_raise_err(c, o, VEC_GP, 0);
}

/* Returns if the error is to be ignored. */
void simd_mf(struct cpu *c, const struct op *o)
{
    cpu_fp_error(c, o);
}
