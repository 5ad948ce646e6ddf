/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guest's MXCSR: where it lives, when the host's register stands in for it, and when an
 * operation raises #XM. An operation of a guest with other than the reset controls runs under the guest's
 * MXCSR, unmasked exceptions too: the host's unit then raises exactly what the guest's would. Must never
 * leave the host's register with an unmasked exception.
 */
#include "cpu-worker/helpers/simd.h"
#include "cpu-worker/helpers/simd-op.h"
#include "cpu-worker/helpers/simd-trap.h"
#include "cpu-worker/helpers/x87-op.h"

#define CR4_OSXMMEXCPT (1u << 10)

static inline void host_ldmxcsr(uint32_t v)
{
    __asm__ volatile("ldmxcsr %0" : : "m"(v));
}

static inline uint32_t host_stmxcsr(void)
{
    uint32_t v;
    __asm__ volatile("stmxcsr %0" : "=m"(v));
    return v;
}

/* The operation that runs under the guest's MXCSR on this thread: who gets the exception. */
static _Thread_local struct {
    struct cpu *c;
    const struct op *o;
} trap;

void simd_mx_enter(struct cpu *c, const struct op *o)
{
    trap.o = o;
    trap.c = c;
    host_ldmxcsr(c->s->mxcsr);
}

void simd_mx_leave(struct cpu *c)
{
    c->s->mxcsr = host_stmxcsr();
    host_ldmxcsr(MXCSR_DEFAULT);
    trap.c = NULL;
}

/* The kernel gives a signal handler a clean FPU, which is what the rest of the worker runs with. */
bool simd_trap_take(uint32_t mxcsr)
{
    struct cpu *c = trap.c;
    const struct op *o = trap.o;

    if (!c)
        return false;
    trap.c = NULL;
    c->s->mxcsr = mxcsr;
    host_ldmxcsr(MXCSR_DEFAULT);
    cpu_raise(c, o, (c->s->cr4 & CR4_OSXMMEXCPT) ? VEC_XM : VEC_UD);
}

uint32_t simd_mxcsr(struct cpu *c)
{
    if (simd_mx_fast(c))
        c->s->mxcsr |= host_stmxcsr() & MXCSR_FLAGS;
    return c->s->mxcsr;
}

void simd_set_mxcsr(struct cpu *c, uint32_t v)
{
    c->s->mxcsr = v;
    host_ldmxcsr(MXCSR_DEFAULT);
}

/* DAZ is on every processor with 64-bit mode; MM only where CPUID says so (SDM 1, 11.6.6; APM 2, 11.5.9). */
uint32_t simd_mxcsr_mask(const struct cpu *c)
{
    return cpu_has(c, FEAT_MISALIGNSSE) ? 0xffffu | MXCSR_MM : 0xffffu;
}

void simd_state_load(struct cpu *c)
{
    simd_set_mxcsr(c, c->s->mxcsr);
    x87_host_clear();
}

void simd_state_save(struct cpu *c)
{
    simd_mxcsr(c);
    c->s->ftw = x87_full_tags(c->s);
}
