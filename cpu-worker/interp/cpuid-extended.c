/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The extended leaves of CPUID, 80000000H on, as each vendor fills them (AMD APM volume 3, appendix E.4;
 * SDM volume 2A, CPUID). Owns these tables.
 */
#include <string.h>
#include "cpu-worker/interp/cpuid.h"

#define BIT(n) (1u << (n))
/* Bits of leaf 1 EDX that AMD repeats in 80000001H EDX. */
#define X1_EDX_REPEATS 0x0183f3ffu

static struct leaf leaf_x1(const struct cpu *c)
{
    struct leaf l = {0, 0, c->feat[CPUW_X1_ECX], c->feat[CPUW_X1_EDX]};
    l.ecx &= ~BIT(1);
    if (c->vendor == ABI_CPU_AMD) {
        l.eax = cpuid_signature(&c->model);
        l.edx |= c->feat[CPUW_1_EDX] & X1_EDX_REPEATS;
        if (cpuid_package(&c->model) > 1)
            l.ecx |= BIT(1); /* CmpLegacy: cores, not threads */
    } else if (!(c->mode & MODE_64)) {
        l.edx &= ~BIT(11); /* Intel has SYSCALL in 64-bit mode only */
    }
    return l;
}
static struct leaf brand(const struct cpu *c, uint32_t part)
{
    struct leaf l;
    memcpy(&l, c->model.brand + part * 16, sizeof(l));
    return l;
}
/* Associativity of L2 and L3 as four bits. */
static uint32_t ways_code(uint32_t ways)
{
    static const uint8_t code[][2] = {{1, 1}, {2, 2}, {4, 4}, {8, 6}, {16, 8}, {32, 0xa}};
    for (unsigned i = 0; i < sizeof(code) / sizeof(code[0]); i++)
        if (code[i][0] >= ways)
            return code[i][1];
    return 0xf;
}
static uint32_t l1_word(const struct abi_cpu_cache *k)
{
    return k->size >> 10 << 24 | (uint32_t)k->ways << 16 | 1u << 8 | k->line;
}
static struct leaf leaf_x5(const struct cpu *c)
{
    if (c->vendor != ABI_CPU_AMD)
        return (struct leaf){0};
    return (struct leaf){0xff20ff20, 0xff20ff20, l1_word(&c->model.cache[0]),
                         l1_word(&c->model.cache[1])};
}
static struct leaf leaf_x6(const struct cpu *c)
{
    const struct abi_cpu_cache *l2 = &c->model.cache[2], *l3 = &c->model.cache[3];
    struct leaf l = {0};
    if (l2->size)
        l.ecx = l2->size >> 10 << 16 | ways_code(l2->ways) << 12 | l2->line;
    if (c->vendor != ABI_CPU_AMD)
        return l;
    l.ebx = 0x42004200; /* 512 entries, 4-way, for 4 KiB pages */
    l.ecx |= l2->size ? 1u << 8 : 0;
    if (l3->size)
        l.edx = l3->size >> 19 << 18 | ways_code(l3->ways) << 12 | 1u << 8 | l3->line;
    return l;
}
static struct leaf leaf_x8(const struct cpu *c)
{
    uint32_t threads = cpuid_package(&c->model);
    struct leaf l = {c->model.linear_bits << 8 | c->model.phys_bits, c->feat[CPUW_X8_EBX], 0, 0};
    if (c->vendor == ABI_CPU_AMD && threads > 1)
        l.ecx = cpuid_width(threads) << 12 | (threads - 1);
    return l;
}
/* Where this thread is: core and node numbers out of its APIC ID. */
static struct leaf leaf_x1e(const struct cpu *c)
{
    const struct abi_cpu_model *m = &c->model;
    unsigned t = cpuid_width(m->threads), package = cpuid_width(cpuid_package(m));
    if (!cpu_has(c, FEAT_TOPOEXT))
        return (struct leaf){0};
    uint32_t core = (cpuid_apic_id(c) & ((1u << package) - 1)) >> t;
    return (struct leaf){cpuid_apic_id(c), (m->threads - 1) << 8 | core, cpuid_apic_id(c) >> package, 0};
}

struct leaf cpuid_extended(const struct cpu *c, uint32_t leaf, uint32_t sub)
{
    switch (leaf) {
    case 0x80000000: {
        struct leaf l = {c->model.xlevel, 0, 0, 0};
        if (c->vendor == ABI_CPU_AMD) {
            memcpy(&l.ebx, c->model.vendor_id, 4);
            memcpy(&l.edx, c->model.vendor_id + 4, 4);
            memcpy(&l.ecx, c->model.vendor_id + 8, 4);
        }
        return l;
    }
    case 0x80000001:
        return leaf_x1(c);
    case 0x80000002:
    case 0x80000003:
    case 0x80000004:
        return brand(c, leaf - 0x80000002);
    case 0x80000005:
        return leaf_x5(c);
    case 0x80000006:
        return leaf_x6(c);
    case 0x80000007:
        return (struct leaf){0, 0, 0, c->feat[CPUW_X7_EDX]};
    case 0x80000008:
        return leaf_x8(c);
    case 0x8000001d:
        return cpu_has(c, FEAT_TOPOEXT) ? cpuid_cache(c, sub) : (struct leaf){0};
    case 0x8000001e:
        return leaf_x1e(c);
    case 0x80000021:
        return (struct leaf){c->feat[CPUW_X21_EAX], 0, 0, 0};
    default:
        return (struct leaf){0};
    }
}
