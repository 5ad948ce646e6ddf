/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CPUID: what this processor says it is, out of the model of the machine page. Owns the basic leaves and
 * the rules for leaves out of range; what is advertised is decided where the model is made.
 */
#include "cpu-worker/interp/cpuid.h"
#include "cpu-worker/chipset/chipset.h"
#include "cpu-worker/interp/handlers.h"
#include "cpu-worker/interp/regs.h"
#include "cpu-worker/run/watch.h"

#define BIT(n) (1u << (n))
#define CR4_OSXSAVE 0x40000u
#define CR4_PKE     0x400000u
#define APIC_ENABLE 0x800u
#define APIC_TIMER_HZ 1000000000u

uint32_t cpuid_signature(const struct abi_cpu_model *m)
{
    uint32_t family = m->family > 15 ? 15 : m->family;
    return (m->family - family) << 20 | (m->model >> 4) << 16 | family << 8 | (m->model & 15) << 4 |
           m->stepping;
}
static struct leaf leaf_0(const struct abi_cpu_model *m)
{
    struct leaf l = {.eax = m->level};
    memcpy(&l.ebx, m->vendor_id, 4);
    memcpy(&l.edx, m->vendor_id + 4, 4);
    memcpy(&l.ecx, m->vendor_id + 8, 4);
    return l;
}
static struct leaf leaf_1(struct cpu *c)
{
    uint32_t threads = cpuid_package(&c->model), line = cpu_has(c, FEAT_CLFLUSH) ? 8 : 0;
    uint64_t apic_base = 0;
    struct leaf l = {cpuid_signature(&c->model), cpuid_apic_id(c) << 24 | line << 8, c->feat[CPUW_1_ECX],
                     c->feat[CPUW_1_EDX]};
    l.edx &= ~BIT(28);
    if (threads > 1) {
        l.ebx |= (threads & 0xff) << 16;
        l.edx |= BIT(28); /* HTT: the count is valid */
    }
    if (!chipset_msr_read(c->chipset, c->index, 0x1b, &apic_base) || !(apic_base & APIC_ENABLE))
        l.edx &= ~BIT(9);
    if (c->s->cr4 & CR4_OSXSAVE)
        l.ecx |= BIT(27);
    if (!monitor_enabled(c))
        l.ecx &= ~BIT(3);
    return l;
}
/* Descriptors for processors without leaf 4; for the others one that says "see leaf 4". */
static struct leaf leaf_2(const struct cpu *c)
{
    if (c->vendor == ABI_CPU_AMD)
        return (struct leaf){0};
    if (c->model.level < 4)
        return (struct leaf){0x03020101, 0, 0, c->model.cache[2].size ? 0x0c040843 : 0x0c040840};
    return (struct leaf){0x00feff01, 0xf0, 0, 0};
}
struct leaf cpuid_cache(const struct cpu *c, uint32_t sub)
{
    static const uint32_t type[] = {1, 2, 3, 3}, level[] = {1, 1, 2, 3};
    const struct abi_cpu_model *m = &c->model;
    const struct abi_cpu_cache *k = &m->cache[sub];
    if (sub >= ABI_CPU_CACHES || !k->size)
        return (struct leaf){0};
    uint32_t share = (1u << cpuid_width(sub == 3 ? m->cores * m->threads : m->threads)) - 1;
    uint32_t cores = (1u << cpuid_width(m->dies * m->cores)) - 1;
    struct leaf l = {type[sub] | level[sub] << 5 | BIT(8) | share << 14,
                     (k->line - 1u) | (k->ways - 1u) << 22, k->size / (k->ways * k->line) - 1u, 0};
    if (c->vendor != ABI_CPU_AMD)
        l.eax |= cores << 26;
    return l;
}
static struct leaf leaf_7(const struct cpu *c, uint32_t sub)
{
    if (sub > 1)
        return (struct leaf){0};
    if (sub)
        return (struct leaf){c->feat[CPUW_71_EAX], 0, 0, 0};
    struct leaf l = {c->feat[CPUW_71_EAX] ? 1 : 0, c->feat[CPUW_7_EBX], c->feat[CPUW_7_ECX],
                     c->feat[CPUW_7_EDX]};
    if (c->s->cr4 & CR4_PKE)
        l.ecx |= BIT(4);
    return l;
}
/* Levels of the topology: threads, cores, and for leaf 1FH dies. */
static struct leaf topology(const struct cpu *c, uint32_t sub, bool with_dies)
{
    const struct abi_cpu_model *m = &c->model;
    unsigned t = cpuid_width(m->threads), k = cpuid_width(m->cores), d = cpuid_width(m->dies);
    struct leaf l = {0, 0, sub, cpuid_apic_id(c)};
    if (sub == 0)
        l = (struct leaf){t, m->threads, 1 << 8, cpuid_apic_id(c)};
    else if (sub == 1 && with_dies)
        l = (struct leaf){t + k, m->cores * m->threads, 2 << 8 | 1, cpuid_apic_id(c)};
    else if (sub == 1)
        l = (struct leaf){t + k + d, cpuid_package(m), 2 << 8 | 1, cpuid_apic_id(c)};
    else if (sub == 2 && with_dies)
        l = (struct leaf){t + k + d, cpuid_package(m), 5 << 8 | 2, cpuid_apic_id(c)};
    return l;
}

static struct leaf basic(struct cpu *c, uint32_t leaf, uint32_t sub)
{
    switch (leaf) {
    case 0:
        return leaf_0(&c->model);
    case 1:
        return leaf_1(c);
    case 2:
        return leaf_2(c);
    case 4:
        return c->vendor == ABI_CPU_AMD ? (struct leaf){0} : cpuid_cache(c, sub);
    case 5: /* smallest and largest monitor line; interrupts end MWAIT even when masked; no C-states */
        return cpu_has(c, FEAT_MONITOR) || cpu_has(c, FEAT_MWAITX) ? (struct leaf){WATCH_LINE, WATCH_LINE, 3, 0} : (struct leaf){0};
    case 6:
        return (struct leaf){c->feat[CPUW_6_EAX], 0, 0, 0};
    case 7:
        return leaf_7(c, sub);
    case 0xb:
        return topology(c, sub, false);
    case 0x15: /* TSC = ECX * EBX / EAX; ECX is the rate of the local APIC's timer too */
        return c->model.tsc_khz && c->vendor != ABI_CPU_AMD ? (struct leaf){APIC_TIMER_HZ / 1000, c->model.tsc_khz, APIC_TIMER_HZ, 0}
                                                            : (struct leaf){0};
    case 0x16: { /* base, maximum and bus in MHz */
        uint32_t mhz = c->model.tsc_khz / 1000;
        return mhz && c->vendor != ABI_CPU_AMD ? (struct leaf){mhz, mhz, 100, 0} : (struct leaf){0};
    }
    case 0x1f:
        return c->model.dies > 1 ? topology(c, sub, true) : (struct leaf){0};
    case 0xd: {
        struct leaf l;
        xcr_cpuid(c, sub, (uint32_t *)&l);
        return l;
    }
    default:
        return (struct leaf){0};
    }
}
/* Out of range: Intel answers with the highest basic leaf, AMD with zeros. */
struct leaf cpuid_leaf(struct cpu *c, uint32_t leaf, uint32_t sub)
{
    const struct abi_cpu_model *m = &c->model;
    if (leaf >> 16 == 0x4000 && cpu_has(c, FEAT_HYPERVISOR) && m->hv_leaves) {
        if (leaf == 0x40000000)
            return (struct leaf){m->tsc_khz ? 0x40000010 : 0x40000000, 0x6b6c7542, 0x64616568, 0x20202020}; /* "Bulkhead    " */
        if (leaf == 0x40000010 && m->tsc_khz) /* kHz of the TSC and of the local APIC's timer */
            return (struct leaf){m->tsc_khz, APIC_TIMER_HZ / 1000, 0, 0};
        return (struct leaf){0};
    }
    if (leaf >= 0x80000000u && leaf <= m->xlevel)
        return cpuid_extended(c, leaf, sub);
    if (leaf <= m->level)
        return basic(c, leaf, sub);
    return c->vendor == ABI_CPU_AMD ? (struct leaf){0} : basic(c, m->level, sub);
}

OP(op_cpuid)
{
    struct leaf l = cpuid_leaf(c, (uint32_t)c->gpr[REG_RAX], (uint32_t)c->gpr[REG_RCX]);
    c->gpr[REG_RAX] = l.eax;
    c->gpr[REG_RBX] = l.ebx;
    c->gpr[REG_RCX] = l.ecx;
    c->gpr[REG_RDX] = l.edx;
    NEXT(); /* out of the block: CPUID serialises */
}
