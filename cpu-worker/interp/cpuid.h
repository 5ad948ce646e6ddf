/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CPUID in pieces: leaves of the basic and of the extended range. Internal to interp/.
 */
#ifndef BULKHEAD_CPU_WORKER_INTERP_CPUID_H
#define BULKHEAD_CPU_WORKER_INTERP_CPUID_H

#include "cpu-worker/run/cpu.h"

struct leaf {
    uint32_t eax, ebx, ecx, edx;
};
/* Any leaf, with the rules for leaves out of range. */
struct leaf cpuid_leaf(struct cpu *c, uint32_t leaf, uint32_t sub);
struct leaf cpuid_extended(const struct cpu *c, uint32_t leaf, uint32_t sub);
/* Deterministic cache parameters in the form of leaf 4 and of 8000001DH. */
struct leaf cpuid_cache(const struct cpu *c, uint32_t sub);
/* Displayed family, model and stepping in the form of leaf 1 EAX. */
uint32_t cpuid_signature(const struct abi_cpu_model *m);

static inline uint32_t cpuid_apic_id(const struct cpu *c)
{
    return c->page->run[c->index].apic_id;
}
/* Bits of the APIC ID that number n things. */
static inline unsigned cpuid_width(uint32_t n)
{
    return n <= 1 ? 0 : 32 - (unsigned)__builtin_clz(n - 1);
}
/* Threads in a package. */
static inline uint32_t cpuid_package(const struct abi_cpu_model *m)
{
    return m->dies * m->cores * m->threads;
}

#endif
