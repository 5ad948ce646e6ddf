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

void simd_gp(struct cpu *c, const struct op *o)
{
    cpu_raise_err(c, o, VEC_GP, 0);
}

/* Returns if the error is to be ignored. */
void simd_mf(struct cpu *c, const struct op *o)
{
    cpu_fp_error(c, o);
}
