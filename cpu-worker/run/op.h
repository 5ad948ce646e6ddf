/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What every operation handler is written with: going to the next operation, effective addresses,
 * memory access through the inline soft TLB. Included by helpers/ and interp/ only.
 */
#ifndef BULKHEAD_CPU_WORKER_RUN_OP_H
#define BULKHEAD_CPU_WORKER_RUN_OP_H

#include <string.h>
#include "cpu-worker/run/cpu.h"

#define likely(x)   __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

#define OP(name) const struct op *name(struct cpu *c, const struct op *o)
/* Threaded code: optimised builds turn this into a jump; sanitizer builds return to the loop. */
#if defined(__OPTIMIZE__) && !defined(__SANITIZE_ADDRESS__) && !defined(BH_NO_TAILCALLS)
#define NEXT() return (o + 1)->fn(c, o + 1)
#else
#define NEXT() return o + 1
#endif

/* Address of the memory operand (linear). */
uint64_t cpu_ea_slow(struct cpu *c, const struct op *o, unsigned size, bool write);
static inline __attribute__((always_inline)) uint64_t op_ea(struct cpu *c, const struct op *o, unsigned size, bool write)
{
    if (unlikely(o->ea))
        return cpu_ea_slow(c, o, size, write);
    return c->gpr[o->base] + (c->gpr[o->index] << o->scale) + (int64_t)o->disp + c->segbase[o->seg];
}

/* Slow paths: TLB miss, page crossing, MMIO, code pages, permission. May not return (fault). */
uint64_t mmu_read_slow(struct cpu *c, const struct op *o, uint64_t va, unsigned size);
void mmu_write_slow(struct cpu *c, const struct op *o, uint64_t va, unsigned size, uint64_t v);
void mmu_read_bytes(struct cpu *c, const struct op *o, uint64_t va, void *buf, unsigned len);
void mmu_write_bytes(struct cpu *c, const struct op *o, uint64_t va, const void *buf, unsigned len);
/* Check that [va, va+len) may be written (both pages of a crossing), fault otherwise; writes nothing. */
void mmu_probe_write(struct cpu *c, const struct op *o, uint64_t va, unsigned len);
/* The same for reading; reads nothing. */
void mmu_probe_read(struct cpu *c, const struct op *o, uint64_t va, unsigned len);

/* #GP or #SS. Of a crossing, the second page's address is checked before the first page is walked. */
void mmu_canonical(struct cpu *c, const struct op *o, uint64_t va);

/* Read-modify-write whose operand did not hit: checks it like a write. Host pointer when it is memory in
 * one piece, where the host's own instruction is as atomic as the guest's. NULL: the caller loads and
 * stores once each, alone among the vCPUs (an operand over two separate host pages, a device, ROM, a page
 * with code), and then calls mmu_rmw_end. */
void *mmu_rmw_slow(struct cpu *c, const struct op *o, uint64_t va, unsigned size);
void mmu_rmw_end(struct cpu *c);

/* Host pointer for an access that stays in one RAM page and is permitted, else NULL. */
static inline __attribute__((always_inline)) void *mmu_ptr_r(struct cpu *c, uint64_t va, unsigned size)
{
    unsigned i = (va >> 12) & (TLB_SIZE - 1);
    return likely((((va + size - 1) & ~0xfffull) | c->ctx) == c->rtag[i]) ? (void *)(va + c->addend[i]) : NULL;
}
static inline __attribute__((always_inline)) void *mmu_ptr_w(struct cpu *c, uint64_t va, unsigned size)
{
    unsigned i = (va >> 12) & (TLB_SIZE - 1);
    return likely((((va + size - 1) & ~0xfffull) | c->ctx) == c->wtag[i]) ? (void *)(va + c->addend[i]) : NULL;
}

static inline __attribute__((always_inline)) void *mmu_ptr_rmw(struct cpu *c, const struct op *o, uint64_t va, unsigned size)
{
    void *p = mmu_ptr_w(c, va, size);
    return likely(p) ? p : mmu_rmw_slow(c, o, va, size);
}

#define MMU_ACCESSORS(N, T)                                                                        \
    static inline __attribute__((always_inline)) T mmu_ld##N(struct cpu *c, const struct op *o, uint64_t va)                      \
    {                                                                                              \
        const void *p = mmu_ptr_r(c, va, N / 8);                                                   \
        T v;                                                                                       \
        if (likely(p)) {                                                                           \
            memcpy(&v, p, sizeof(v));                                                              \
            return v;                                                                              \
        }                                                                                          \
        return (T)mmu_read_slow(c, o, va, N / 8);                                                  \
    }                                                                                              \
    static inline __attribute__((always_inline)) void mmu_st##N(struct cpu *c, const struct op *o, uint64_t va, T v)              \
    {                                                                                              \
        void *p = mmu_ptr_w(c, va, N / 8);                                                         \
        if (likely(p))                                                                             \
            memcpy(p, &v, sizeof(v));                                                              \
        else                                                                                       \
            mmu_write_slow(c, o, va, N / 8, v);                                                    \
    }
MMU_ACCESSORS(8, uint8_t)
MMU_ACCESSORS(16, uint16_t)
MMU_ACCESSORS(32, uint32_t)
MMU_ACCESSORS(64, uint64_t)
#undef MMU_ACCESSORS

static inline __attribute__((always_inline)) void mmu_ld128(struct cpu *c, const struct op *o, uint64_t va, void *out)
{
    const void *p = mmu_ptr_r(c, va, 16);
    if (likely(p))
        memcpy(out, p, 16);
    else
        mmu_read_bytes(c, o, va, out, 16);
}
static inline __attribute__((always_inline)) void mmu_st128(struct cpu *c, const struct op *o, uint64_t va, const void *v)
{
    void *p = mmu_ptr_w(c, va, 16);
    if (likely(p))
        memcpy(p, v, 16);
    else
        mmu_write_bytes(c, o, va, v, 16);
}

#endif
