/* SPDX-License-Identifier: Apache-2.0 */
/* See rig.h. */
#include "tests/unit/cpu/rig.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct bare rig;

static const uint64_t gdt[] = {
    0,
    0,
    0x00af9b000000ffff,
    0x00cf93000000ffff, /* 10 code64, 18 data */
    0x00cffb000000ffff,
    0x00cff3000000ffff, /* 20 user code32, 28 user data */
    0x00affb000000ffff,
    0x00009b000000ffff, /* 30 user code64, 38 code16 */
    0x00008b0000000067 | (uint64_t)RIG_TSS << 16,
    0, /* 40 TSS, two entries */
    0x000093000000ffff,
    0x0040930000000fff, /* 50 data16, 58 small data */
    0x00cf9b000000ffff,
    0x00409b1000000fff, /* 60 code32, 68 small code */
    0x0040970000000fff,
    0, /* 70 expand-down */
};

void rig_put(uint64_t gpa, const void *bytes, unsigned len)
{
    memcpy(rig.ram + gpa, bytes, len);
}
static void put64(uint64_t gpa, uint64_t v)
{
    rig_put(gpa, &v, 8);
}
void rig_gate(unsigned vector, uint64_t to, unsigned type_dpl_p)
{
    put64(RIG_IDT + vector * 16, (to & 0xffff) | (uint64_t)SEL_CODE64 << 16 |
                                     (uint64_t)type_dpl_p << 40 | (to & 0xffff0000) << 32);
    put64(RIG_IDT + vector * 16 + 8, to >> 32);
}
void rig_ist(unsigned vector, unsigned ist)
{
    rig.ram[RIG_IDT + vector * 16 + 4] = (uint8_t)ist;
}
static void stubs(void)
{
    static const uint8_t stop[] = {0x0f,          0x01, 0x1c, 0x25, RIG_ZERO & 0xff,
                                   RIG_ZERO >> 8, 0,    0,    0x0f, 0x0b};
    for (unsigned v = 0; v < 256; v++) {
        rig_put(RIG_STUBS + 16 * v, stop, sizeof(stop));
        rig_gate(v, RIG_STUBS + 16 * v, v == 0x80 || v == 3 ? 0xee : 0x8e);
    }
}
static void tables(void)
{
    uint64_t *t = (uint64_t *)rig.ram;
    memcpy(rig.ram + RIG_GDT, gdt, sizeof(gdt));
    memset(rig.ram + RIG_TSS, 0, 0x68);
    put64(RIG_TSS + 4, RIG_STACK0);
    put64(RIG_TSS + 0x24, RIG_IST1);
    memset(rig.ram + RIG_PT, 0, 4096);
    t[0x1000 / 8] |= 4;
    t[0x2000 / 8] |= 4;
    t[0x3000 / 8 + RIG_USER / 0x200000] |= 4;
    t[0x3000 / 8 + RIG_VA / 0x200000] = RIG_PT | 7;
    stubs();
}

void rig_load(const uint8_t *code, unsigned len)
{
    struct abi_vcpu_state *s;
    if (!rig.ram && bare_init(&rig, RIG_RAM))
        exit(1);
    memset(rig.ram, 0, RIG_RAM);
    chipset_reset(rig.cs);
    bare_long_mode(&rig, RIG_CODE, RIG_STACK);
    tables();
    rig_put(RIG_CODE, code, len);
    s = rig.cpu->s;
    s->gdtr = (struct abi_dtable){.base = RIG_GDT, .limit = sizeof(gdt) - 1};
    s->idtr = (struct abi_dtable){.base = RIG_IDT, .limit = 0xfff};
    s->seg[ABI_TR] =
        (struct abi_segment){.selector = SEL_TSS, .attr = 0x8b, .base = RIG_TSS, .limit = 0x67};
    s->cr0 |= 0x10000;
    s->efer |= 0x801; /* NXE, SCE */
    s->cr4 |= 0x80;   /* PGE */
    rig.cpu->internal_error = NULL;
    cpu_state_load(rig.cpu);
}
void rig_user(const uint8_t *code, unsigned len)
{
    struct abi_vcpu_state *s;
    rig_load(code, len);
    rig_put(RIG_USER, code, len);
    s = rig.cpu->s;
    s->rip = RIG_USER;
    s->gpr[RSP] = RIG_USER + 0x10000;
    s->rflags = 0x202;
    s->seg[ABI_CS] = (struct abi_segment){.selector = SEL_UCODE64, .attr = 0xa0fb, .limit = ~0u};
    s->seg[ABI_SS] = (struct abi_segment){.selector = SEL_UDATA, .attr = 0xc0f3, .limit = ~0u};
    cpu_state_load(rig.cpu);
}

uint64_t *rig_pte(unsigned n)
{
    return (uint64_t *)(rig.ram + RIG_PT) + n;
}
void rig_map(unsigned n, uint64_t pte)
{
    *rig_pte(n) = pte;
}
int rig_run(void)
{
    tlb_flush_all(rig.cpu); /* tests write control registers directly */
    int r = bare_run(&rig);
    uint64_t rip = rig.cpu->rip;
    if (r != CPU_EXIT_TRIPLE_FAULT) {
        printf("# cpu_run: %d %s\n", r, rig.cpu->internal_error ? rig.cpu->internal_error : "");
        return -1;
    }
    if (rip >= RIG_STUBS && rip < RIG_STUBS + 4096)
        return (int)((rip - RIG_STUBS) / 16);
    return STOPPED;
}
uint64_t rig_reg(unsigned r)
{
    return rig.cpu->gpr[r];
}
uint64_t rig_stack(unsigned n)
{
    uint64_t v;
    memcpy(&v, rig.ram + rig.cpu->gpr[RSP] + 8 * n, 8);
    return v;
}
uint32_t rig_mem32(uint64_t gpa)
{
    uint32_t v;
    memcpy(&v, rig.ram + gpa, 4);
    return v;
}
bool same_u64(const char *what, uint64_t got, uint64_t want)
{
    if (got != want)
        printf("#   %s: got %" PRIx64 ", want %" PRIx64 "\n", what, got, want);
    return got == want;
}
