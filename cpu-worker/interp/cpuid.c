/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CPUID: what this processor says it is. Advertises what the interpreter executes and nothing else; what
 * runs on the host's own units is masked by what the host has. Owns these tables.
 */
#include <cpuid.h>
#include "cpu-worker/chipset/chipset.h"
#include "cpu-worker/interp/handlers.h"
#include "cpu-worker/interp/regs.h"

#define BIT(n) (1u << (n))

/* Leaf 1 EDX: FPU PSE TSC MSR PAE MCE CX8 APIC SEP MTRR PGE MCA CMOV PAT PSE36 CLFSH MMX FXSR SSE SSE2 */
#define L1_EDX                                                                                     \
    (BIT(0) | BIT(3) | BIT(4) | BIT(5) | BIT(6) | BIT(7) | BIT(8) | BIT(9) | BIT(11) | BIT(12) |   \
     BIT(13) | BIT(14) | BIT(15) | BIT(16) | BIT(17) | BIT(19) | BIT(23) | BIT(24) | BIT(25) |     \
     BIT(26))
/* Leaf 1 ECX, host's own units: SSE3 PCLMUL SSSE3 CX16 SSE4.1 SSE4.2 MOVBE POPCNT AES RDRAND */
#define L1_ECX_HOST                                                                                \
    (BIT(0) | BIT(1) | BIT(9) | BIT(13) | BIT(19) | BIT(20) | BIT(22) | BIT(23) | BIT(25) | BIT(30))
/* ... and ours: PCID, x2APIC, TSC deadline, hypervisor present */
#define L1_ECX_OWN (BIT(17) | BIT(21) | BIT(24) | BIT(31))
/* Leaf 7 EBX: FSGSBASE SMEP ERMS INVPCID, and of the host RDSEED CLFLUSHOPT CLWB SHA */
#define L7_EBX_OWN  (BIT(0) | BIT(7) | BIT(9) | BIT(10))
#define L7_EBX_HOST (BIT(18) | BIT(23) | BIT(24) | BIT(29))
#define L7_ECX_OWN  (BIT(2) | BIT(22)) /* UMIP RDPID */
/* Leaf 7 EDX: FSRM, IBRS/IBPB controls (there is nothing to speculate on), ARCH_CAPABILITIES */
#define L7_EDX_OWN (BIT(4) | BIT(26) | BIT(29))
/* 0x80000001: LAHF, LZCNT (host), PREFETCHW; SYSCALL NX 1G pages RDTSCP LM */
#define X1_ECX_OWN  (BIT(0) | BIT(8))
#define X1_ECX_HOST (BIT(5))
#define X1_EDX      (BIT(11) | BIT(20) | BIT(26) | BIT(27) | BIT(29))

#define SIGNATURE 0x000606a6u /* family 6, model 0x6a, stepping 6 */

struct leaf {
    uint32_t eax, ebx, ecx, edx;
};

static struct leaf host_leaf(uint32_t leaf, uint32_t sub)
{
    struct leaf l = {0};
    __get_cpuid_count(leaf, sub, &l.eax, &l.ebx, &l.ecx, &l.edx);
    return l;
}
static struct leaf leaf_1(struct cpu *c)
{
    uint64_t apic_base = 0;
    struct leaf l = {SIGNATURE, c->index << 24 | 1u << 16 | 8u << 8, L1_ECX_OWN, L1_EDX};
    l.ecx |= host_leaf(1, 0).ecx & L1_ECX_HOST;
    if (!chipset_msr_read(c->chipset, c->index, 0x1b, &apic_base) || !(apic_base & 0x800))
        l.edx &= ~BIT(9);
    if (c->s->cr4 & 0x40000)
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
static struct leaf leaf_7(uint32_t sub)
{
    if (sub)
        return (struct leaf){0};
    return (struct leaf){0, L7_EBX_OWN | (host_leaf(7, 0).ebx & L7_EBX_HOST), L7_ECX_OWN, L7_EDX_OWN};
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
static struct leaf extended(uint32_t leaf)
{
    static const char brand[49] = "Bulkhead x86-64 processor";
    struct leaf l = {0};
    switch (leaf) {
    case 0x80000000:
        l.eax = 0x80000008;
        break;
    case 0x80000001:
        l.ecx = X1_ECX_OWN | (host_leaf(leaf, 0).ecx & X1_ECX_HOST);
        l.edx = X1_EDX;
        break;
    case 0x80000002:
    case 0x80000003:
    case 0x80000004:
        l = text(brand + (leaf - 0x80000002) * 16);
        break;
    case 0x80000006:
        l.ecx = 1024u << 16 | 6u << 12 | 64;
        break;
    case 0x80000007:
        l.edx = BIT(8); /* invariant TSC */
        break;
    case 0x80000008:
        l.eax = 48u << 8 | 40;
        break;
    }
    return l;
}
static struct leaf leaf_of(struct cpu *c, uint32_t leaf, uint32_t sub)
{
    if (leaf >= 0x80000000u)
        return extended(leaf);
    switch (leaf) {
    case 0:
        return (struct leaf){0xb, 0x756e6547, 0x6c65746e, 0x49656e69}; /* GenuineIntel */
    case 1:
        return leaf_1(c);
    case 2:
        return (struct leaf){0x00feff01, 0xf0, 0, 0}; /* caches are in leaf 4 */
    case 4:
        return leaf_4(sub);
    case 6:
        return (struct leaf){BIT(2), 0, 0, 0}; /* ARAT: the APIC timer never stops */
    case 7:
        return leaf_7(sub);
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
