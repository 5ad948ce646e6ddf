/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CPUID: what this processor says it is. Advertises what the interpreter executes and nothing else; what
 * runs on the host's own units is masked by what the host has. Owns these tables.
 */
#include "cpu-worker/chipset/chipset.h"
#include "cpu-worker/interp/handlers.h"
#include "cpu-worker/interp/regs.h"
#include "ipc/abi/topology.h"

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
static struct abi_topology topology(const struct cpu *c)
{
    const struct abi_cpu_model *m = &c->model;
    return (struct abi_topology){m->sockets, m->dies, m->cores, m->threads};
}
static uint32_t apic_id(const struct cpu *c)
{
    return c->page->run[c->index].apic_id;
}
static struct leaf leaf_1(struct cpu *c)
{
    uint64_t apic_base = 0;
    struct abi_topology t = topology(c);
    unsigned logical = 1u << topo_core_shift(&t);
    struct leaf l = {signature(&c->model), apic_id(c) << 24 | (logical & 0xff) << 16 | 8u << 8,
                     c->feat[CPUW_1_ECX], c->feat[CPUW_1_EDX]};
    if (logical > 1)
        l.edx |= BIT(28); /* HTT: several logical processors in the package */
    if (!chipset_msr_read(c->chipset, c->index, 0x1b, &apic_base) || !(apic_base & 0x800))
        l.edx &= ~BIT(9);
    if ((c->s->cr4 & 0x40000) && cpu_has(c, FEAT_XSAVE))
        l.ecx |= BIT(27);
    return l;
}
/* Deterministic cache parameters: L1d and L1i 32 KiB, L2 1 MiB of a core, L3 16 MiB of a package. */
static struct leaf leaf_4(const struct cpu *c, uint32_t sub)
{
    static const struct {
        uint32_t type, level, ways, sets;
    } cache[] = {{1, 1, 8, 64}, {2, 1, 8, 64}, {3, 2, 16, 1024}, {3, 3, 16, 16384}};
    struct abi_topology t = topology(c);
    unsigned threads = topo_thread_shift(&t), package = topo_core_shift(&t);
    if (sub >= 4)
        return (struct leaf){0};
    uint32_t sharing = (1u << (cache[sub].level == 3 ? package : threads)) - 1;
    uint32_t cores = (1u << (package - threads)) - 1;
    return (struct leaf){cache[sub].type | cache[sub].level << 5 | 1u << 8 | (sharing & 0xfff) << 14 |
                             (cores & 0x3f) << 26,
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
/* Extended topology: threads of a core, then everything in a package (SDM volume 2, leaf 0BH). */
static struct leaf leaf_b(const struct cpu *c, uint32_t sub)
{
    struct abi_topology t = topology(c);
    uint32_t id = apic_id(c);
    if (sub == 0)
        return (struct leaf){topo_thread_shift(&t), topo_some(t.threads), 1 << 8 | 0, id};
    if (sub == 1)
        return (struct leaf){topo_core_shift(&t), topo_some(t.dies) * topo_some(t.cores) *
                             topo_some(t.threads), 2 << 8 | 1, id};
    return (struct leaf){0, 0, sub, id};
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
        return leaf_4(c, sub);
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
    NEXT(); /* out of the block: CPUID serialises */
}
