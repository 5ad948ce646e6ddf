/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stack accesses of any mode, and segment checks of the modes that have them. Owns the address rules;
 * instruction semantics are elsewhere.
 */
#ifndef BULKHEAD_CPU_WORKER_INTERP_STACK_H
#define BULKHEAD_CPU_WORKER_INTERP_STACK_H

#include "cpu-worker/interp/regs.h"

/* Outside 64-bit mode: limit, type and presence of [off, off+size) in the segment; #GP or #SS. */
void seg_check(struct cpu *c, const struct op *o, unsigned seg, uint64_t off, unsigned size, bool write);

static inline uint64_t stk_mask(const struct cpu *c)
{
    return c->mode & MODE_64 ? ~0ull : c->mode & MODE_SS32 ? 0xffffffffull : 0xffffull;
}
/* Write the stack pointer with the width the stack has. */
static inline void stk_set(struct cpu *c, uint64_t sp)
{
    uint64_t m = stk_mask(c);
    c->gpr[REG_RSP] = m == 0xffff ? (c->gpr[REG_RSP] & ~m) | (sp & m) : sp & m;
}
/* An operation with a memory operand of its own names that operand's segment: what it does to the stack
 * faults as the stack does. */
static inline void stk_canonical(struct cpu *c, const struct op *o, uint64_t sp, unsigned size)
{
    if (unlikely(!cpu_canonical(c, sp) || !cpu_canonical(c, sp + size - 1)))
        cpu_raise_err(c, o, VEC_SS, 0);
}
static inline uint64_t stk_linear(struct cpu *c, const struct op *o, uint64_t off, unsigned size, bool wr)
{
    off &= stk_mask(c);
    if (c->mode & MODE_64) {
        stk_canonical(c, o, off, size);
        return off;
    }
    seg_check(c, o, ABI_SS, off, size, wr);
    return (uint32_t)(c->segbase[ABI_SS] + off);
}
static inline uint64_t mem_load(struct cpu *c, const struct op *o, uint64_t va, unsigned bytes)
{
    switch (bytes) {
    case 1:
        return mmu_ld8(c, o, va);
    case 2:
        return mmu_ld16(c, o, va);
    case 4:
        return mmu_ld32(c, o, va);
    default:
        return mmu_ld64(c, o, va);
    }
}
static inline void mem_store(struct cpu *c, const struct op *o, uint64_t va, unsigned bytes, uint64_t v)
{
    switch (bytes) {
    case 1:
        mmu_st8(c, o, va, (uint8_t)v);
        break;
    case 2:
        mmu_st16(c, o, va, (uint16_t)v);
        break;
    case 4:
        mmu_st32(c, o, va, (uint32_t)v);
        break;
    default:
        mmu_st64(c, o, va, v);
        break;
    }
}
/* A push made of steps: store at sp - bytes and return the new sp; commit with stk_set at the end. */
static inline uint64_t stk_push_at(struct cpu *c, const struct op *o, uint64_t sp, unsigned bytes,
                                   uint64_t v)
{
    sp -= bytes;
    mem_store(c, o, stk_linear(c, o, sp, bytes, true), bytes, v);
    return sp;
}
static inline uint64_t stk_load_at(struct cpu *c, const struct op *o, uint64_t sp, unsigned bytes)
{
    return mem_load(c, o, stk_linear(c, o, sp, bytes, false), bytes);
}
/* Instruction pointer truncated to operand size (16, 32, 64 bits). */
static inline uint64_t ip_mask(uint64_t ip, unsigned bits)
{
    return bits == 64 ? ip : bits == 32 ? (uint32_t)ip : (uint16_t)ip;
}

#endif
