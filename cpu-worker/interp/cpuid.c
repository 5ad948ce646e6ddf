/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CPUID: what this processor says it is. Advertises what the interpreter executes and nothing else; what
 * runs on the host's own units is masked by what the host has. Owns these tables.
 */
#include "cpu-worker/chipset/chipset.h"
#include "cpu-worker/interp/handlers.h"
#include "cpu-worker/interp/regs.h"

#define BIT(n) (1u << (n))

struct leaf {
    uint32_t eax, ebx, ecx, edx;
};

/* Displayed family, model and stepping in the form of leaf 1 EAX (SDM volume 2A, CPUID). */
static uint32_t signature(const struct abi_cpu_model *m)
{
    uint32_t family = m->family > 15 ? 15 : m->family;
    return (m->family - family) << 20 | (m->model >> 4) << 16 | family << 8 | (m->model & 15) << 4 |
           m->stepping;
}
static struct leaf leaf_1(struct cpu *c)
{
    uint64_t apic_base = 0;
    struct leaf l = {signature(&c->model), c->index << 24 | 1u << 16 | 8u << 8, c->feat[CPUW_1_ECX],
                     c->feat[CPUW_1_EDX]};
    if (!chipset_msr_read(c->chipset, c->index, 0x1b, &apic_base) || !(apic_base & 0x800))
        l.edx &= ~BIT(9);
    if ((c->s->cr4 & 0x40000) && cpu_has(c, FEAT_XSAVE))
        l.ecx |= BIT(27);
    return l;
}
/* Deterministic cache parameters: L1d and L1i 32 KiB, L2 1 MiB, L3 16 MiB; 64-byte lines. */
static struct leaf leaf_4(uint32_t sub)
{
    static const struct {
        uint32_t type, level, ways, sets;
    } cache[] = {{1, 1, 8, 64}, {2, 1, 8, 64}, {3, 2, 16, 1024}, {3, 3, 16, 16384}};
    if (sub >= 4)
        return (struct leaf){0};
    return (struct leaf){cache[sub].type | cache[sub].level << 5 | 1u << 8,
                         63 | (cache[sub].ways - 1) << 22, cache[sub].sets - 1, 0};
}
static struct leaf leaf_7(const struct cpu *c, uint32_t sub)
{
    if (sub > 1)
        return (struct leaf){0};
    if (sub)
        return (struct leaf){c->feat[CPUW_71_EAX], 0, 0, 0};
    return (struct leaf){c->feat[CPUW_71_EAX] ? 1 : 0, c->feat[CPUW_7_EBX], c->feat[CPUW_7_ECX],
                         c->feat[CPUW_7_EDX]};
}
/* Topology: one thread per core, one core. */
static struct leaf leaf_b(const struct cpu *c, uint32_t sub)
{
    if (sub == 0)
        return (struct leaf){0, 1, 1 << 8 | 0, c->index};
    if (sub == 1)
        return (struct leaf){0, 1, 2 << 8 | 1, c->index};
    return (struct leaf){0, 0, sub, c->index};
}
static struct leaf text(const char *s)
{
    struct leaf l;
    memcpy(&l, s, sizeof(l));
    return l;
}
static struct leaf vendor(const struct abi_cpu_model *m)
{
    struct leaf l = {.eax = m->level};
    memcpy(&l.ebx, m->vendor_id, 4);
    memcpy(&l.edx, m->vendor_id + 4, 4);
    memcpy(&l.ecx, m->vendor_id + 8, 4);
    return l;
}
static struct leaf extended(const struct cpu *c, uint32_t leaf)
{
    struct leaf l = {0};
    switch (leaf) {
    case 0x80000000:
        l.eax = 0x80000008;
        break;
    case 0x80000001:
        l.ecx = c->feat[CPUW_X1_ECX];
        l.edx = c->feat[CPUW_X1_EDX];
        break;
    case 0x80000002:
    case 0x80000003:
    case 0x80000004:
        l = text(c->model.brand + (leaf - 0x80000002) * 16);
        break;
    case 0x80000006:
        l.ecx = 1024u << 16 | 6u << 12 | 64;
        break;
    case 0x80000007:
        l.edx = c->feat[CPUW_X7_EDX];
        break;
    case 0x80000008:
        l.eax = c->model.linear_bits << 8 | c->model.phys_bits;
        l.ebx = c->feat[CPUW_X8_EBX];
        break;
    }
    return l;
}
static struct leaf leaf_of(struct cpu *c, uint32_t leaf, uint32_t sub)
{
    if (leaf >= 0x80000000u)
        return extended(c, leaf);
    switch (leaf) {
    case 0:
        return vendor(&c->model);
    case 1:
        return leaf_1(c);
    case 2:
        return (struct leaf){0x00feff01, 0xf0, 0, 0}; /* caches are in leaf 4 */
    case 4:
        return leaf_4(sub);
    case 6:
        return (struct leaf){c->feat[CPUW_6_EAX], 0, 0, 0};
    case 7:
        return leaf_7(c, sub);
    case 0xb:
        return leaf_b(c, sub);
    case 0x40000000:
        return (struct leaf){0x40000000, 0x6b6c7542, 0x64616568, 0x20202020}; /* "Bulkhead    " */
    default:
        return (struct leaf){0};
    }
}

OP(op_cpuid)
{
    struct leaf l = leaf_of(c, (uint32_t)c->gpr[REG_RAX], (uint32_t)c->gpr[REG_RCX]);
    c->gpr[REG_RAX] = l.eax;
    c->gpr[REG_RBX] = l.ebx;
    c->gpr[REG_RCX] = l.ecx;
    c->gpr[REG_RDX] = l.edx;
    NEXT();
}
