/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What flushes which translations: PCIDs and bit 63 of CR3, INVPCID's four types, global pages, INVLPG,
 * and the rights of SMAP, alignment checks and protection keys over cached translations (SDM volume 3,
 * 4.10). A test that finds an old translation relies on this TLB keeping it.
 */
#include <string.h>
#include <unistd.h>
#include "cpu-worker/mmu/control.h"
#include "tests/unit/cpu/rig.h"

#define PAGE(n) (0x1000000ull + (n)*0x1000ull) /* frames behind RIG_VA */
#define SPACE2 0x1f00000u /* PML4, PDPT, PD, PT of a second address space */
#define DESC 0x80100u     /* INVPCID descriptor */

static void value(unsigned frame, uint32_t v)
{
    rig_put(PAGE(frame), &v, 4);
}
/* Space 1 maps RIG_VA to frame 0, space 2 to frame 1. */
static void spaces(uint64_t flags)
{
    uint64_t *t = (uint64_t *)(rig.ram + SPACE2);
    memcpy(t, rig.ram + 0x1000, 4096);
    memcpy(t + 512, rig.ram + 0x2000, 4096);
    memcpy(t + 1024, rig.ram + 0x3000, 4096);
    t[0] = (SPACE2 + 0x1000) | 7;
    t[512] = (SPACE2 + 0x2000) | 7;
    t[1024 + RIG_VA / 0x200000] = (SPACE2 + 0x3000) | 7;
    t[1536] = PAGE(1) | flags;
    rig_map(0, PAGE(0) | flags);
    for (unsigned i = 0; i < 4; i++)
        value(i, 100 + i);
    rig.cpu->s->cr4 |= CR4_PCIDE;
    rig.cpu->gpr[RDI] = RIG_VA;
    rig.cpu->gpr[RSI] = RIG_PT; /* PTE of space 1 */
    rig.cpu->gpr[8] = SPACE2 + 0x3000;
    rig.cpu->gpr[9] = PAGE(2) | flags;
    rig.cpu->gpr[10] = 0x1001;
    rig.cpu->gpr[11] = SPACE2 | 2;
}
#define TO1 "mov %r10, %cr3\n"
#define TO2 "mov %r11, %cr3\n"
#define KEEP "bts $63, %r10; bts $63, %r11\n"

/* Both spaces filled, both entries changed to frame 2, then MIDDLE, then read 2 (ebx) and 1 (eax). */
#define SWITCH(NAME, MIDDLE)                                                                       \
    GUEST(NAME, TO1 "mov (%rdi), %eax\n" TO2 "mov (%rdi), %ebx\n" KEEP "mov %r9, (%rsi); mov %r9, (%r8)\n" MIDDLE \
                TO2 "mov (%rdi), %ebx\n" TO1 "mov (%rdi), %eax; " STOP)
#define INV(TYPE) "mov $" #TYPE ", %edx; invpcid 0x80100, %rdx\n"
SWITCH(g_keep, "");
SWITCH(g_inv0, INV(0));
SWITCH(g_inv1, INV(1));
SWITCH(g_inv2, INV(2));
SWITCH(g_inv3, INV(3));
SWITCH(g_invlpg2, "invlpg (%rdi)\n");
SWITCH(g_plain, "btr $63, %r11\n");

static void run(const uint8_t *code, const uint8_t *end, uint64_t flags, uint64_t d0, uint64_t d1,
                uint32_t want1, uint32_t want2, const char *name)
{
    rig_load(code, (unsigned)(end - code));
    spaces(flags);
    rig_put(DESC, &d0, 8);
    rig_put(DESC + 8, &d1, 8);
    int v = rig_run();
    ok(v == STOPPED && same_u64("space 1", (uint32_t)rig_reg(RAX), want1) &&
           same_u64("space 2", (uint32_t)rig_reg(RBX), want2), "%s", name);
}
#define RUN(CODE, ...) run(CODE, CODE##_end, __VA_ARGS__)
static void pcids(void)
{
    RUN(g_keep, 3, 0, 0, 100, 101, "bit 63 of CR3 keeps both spaces' translations");
    RUN(g_plain, 3, 0, 0, 100, 102, "without it the PCID loaded loses its own and no other's");
    RUN(g_inv0, 3, 1, RIG_VA, 102, 101, "INVPCID 0: one address of one PCID");
    RUN(g_inv0, 3, 1, RIG_VA + 0x1000, 100, 101, "INVPCID 0: another address");
    RUN(g_inv1, 3, 2, 0, 100, 102, "INVPCID 1: one PCID, the current one");
    RUN(g_inv1, 3, 1, 0, 102, 101, "INVPCID 1: one PCID, another");
    RUN(g_inv2, 3, 0, 0, 102, 102, "INVPCID 2: everything");
    RUN(g_inv3, 3, 0, 0, 102, 102, "INVPCID 3: every PCID");
    RUN(g_invlpg2, 3, 0, 0, 100, 102, "INVLPG: the current PCID only");
    /* The first space's global page is seen by the second as well. */
    RUN(g_keep, 0x103, 0, 0, 100, 100, "a global page outlives loads of CR3");
    RUN(g_plain, 0x103, 0, 0, 100, 100, "... that flush the PCID, too");
    RUN(g_inv1, 0x103, 2, 0, 100, 100, "... and INVPCID 1");
    RUN(g_inv3, 0x103, 0, 0, 100, 100, "... and INVPCID 3");
    RUN(g_inv2, 0x103, 0, 0, 102, 102, "INVPCID 2 drops global pages");
    RUN(g_invlpg2, 0x103, 0, 0, 102, 102, "INVLPG drops a global page");
}
GUEST(g_inv_bad, "invpcid 0x80100, %rdx; " STOP);
static void invpcid_bad(uint64_t type, uint64_t d0, uint64_t d1, bool pcide, int want, const char *name)
{
    LOAD(g_inv_bad);
    rig.cpu->s->cr4 |= pcide ? CR4_PCIDE : 0;
    rig.cpu->gpr[RDX] = type;
    rig_put(DESC, &d0, 8);
    rig_put(DESC + 8, &d1, 8);
    ok(rig_run() == want, "INVPCID: %s", name);
}
static void invpcid_faults(void)
{
    invpcid_bad(4, 0, 0, true, 13, "type 4");
    invpcid_bad(1ull << 32, 0, 0, true, 13, "type above 32 bits");
    invpcid_bad(2, 0x1000, 0, true, 13, "reserved bits of the descriptor, any type");
    invpcid_bad(1, 5, 0, false, 13, "a PCID without CR4.PCIDE");
    invpcid_bad(0, 0, 1ull << 47, true, 13, "type 0, address not canonical");
    invpcid_bad(1, 0, 1ull << 47, true, STOPPED, "type 1 looks at no address");
}

/* More spaces than the TLB has slots, and more loads of CR3 than it has generations. */
GUEST(g_many, "1: mov %r10, %cr3; mov (%rdi), %eax; mov %r11, %cr3; mov (%rdi), %ebx; inc %r12d\n"
              "cmp $101, %ebx; jne 2f; cmp $100, %eax; jne 2f; and $0xfff, %r12d\n"
              "mov $0x1000, %r10d; or %r12, %r10; dec %ecx; jnz 1b\n2: " STOP);
static void many(void)
{
    LOAD(g_many);
    spaces(3);
    rig.cpu->gpr[RCX] = 5000;
    rig.cpu->gpr[11] = SPACE2 | 0xfff;
    ok(rig_run() == STOPPED && rig_reg(RCX) == 0, "5000 address spaces");
}

/* A 2 MiB page held whole: INVLPG of one piece drops the others, filled in either space. */
GUEST(g_large, "mov (%rdi), %eax; mov 0x5000(%rdi), %eax; mov %r9, (%rsi); invlpg 0x9000(%rdi)\n"
               "mov (%rdi), %eax; mov 0x5000(%rdi), %ebx; " STOP);
static void large(void)
{
    uint32_t v[] = {1, 2, 3, 4};
    LOAD(g_large);
    rig_put(0xa00000, &v[0], 4);
    rig_put(0xa05000, &v[1], 4);
    rig_put(0xc00000, &v[2], 4);
    rig_put(0xc05000, &v[3], 4);
    rig.cpu->gpr[RDI] = 0xa00000;
    rig.cpu->gpr[RSI] = 0x3000 + 8 * 5;
    rig.cpu->gpr[9] = 0xc00183;
    ok(rig_run() == STOPPED && rig_reg(RAX) == 3 && rig_reg(RBX) == 4, "INVLPG drops all of a large page");
}

/* ---- rights over cached translations ---- */
GUEST(g_smap, "stac; mov (%rdi), %eax; clac; mov (%rdi), %ebx; " STOP);
GUEST(g_smap_push, "stac; pushf; pop %rax; clac; pushf; pop %rbx; movl $0, (%rdi); " STOP);
GUEST(g_smap_popf, "pushf; orl $0x40000, (%rsp); popf; mov (%rdi), %eax; pushf; andl $~0x40000, (%rsp); popf\n"
                   "mov (%rdi), %ebx; " STOP);
GUEST(g_smap_ldt, "stac; mov $0x1c, %eax; mov %eax, %ds; " STOP);
static void smap_setup(void)
{
    rig.cpu->s->cr4 |= CR4_SMAP;
    rig_map(0, PAGE(0) | 7);
    value(0, 77);
    rig.cpu->gpr[RDI] = RIG_VA;
}
static void smap(void)
{
    LOAD(g_smap);
    smap_setup();
    ok(rig_run() == 14 && rig_reg(RAX) == 77 && rig_stack(0) == 1 && rig_stack(1) == RIG_CODE + 8,
       "CLAC takes back what STAC allowed, cached or not");
    LOAD(g_smap_popf);
    smap_setup();
    ok(rig_run() == 14 && rig_reg(RAX) == 77 && rig_stack(0) == 1, "POPF of AC is the same");
    LOAD(g_smap_push);
    smap_setup();
    ok(rig_run() == 14 && (rig_reg(RAX) & 0x40000) && !(rig_reg(RBX) & 0x40000) && rig_stack(0) == 3,
       "STAC and CLAC in EFLAGS");
    LOAD(g_smap_ldt);
    smap_setup();
    rig.cpu->s->seg[ABI_LDTR] = (struct abi_segment){.attr = 0x82, .base = RIG_VA, .limit = 0x7f};
    ok(rig_run() == 14 && rig.cpu->s->cr2 == RIG_VA + 0x18, "a descriptor in a user page: AC does not help");
}
GUEST(g_stac3, "stac");
GUEST(g_pku, "xor %ecx, %ecx; xor %edx, %edx; mov %r8d, %eax; wrpkru; mov (%rdi), %ebx; rdpkru\n"
             "mov %eax, %r9d; mov $4, %eax; wrpkru; mov (%rdi), %ebx; int $0x80");
GUEST(g_rdpkru, "rdpkru; " STOP);
GUEST(g_wrpkru, "wrpkru; " STOP);
static void pku_insn(const uint8_t *code, bool pke, uint64_t rcx, uint64_t rdx, int want, const char *name)
{
    rig_load(code, 16);
    rig.cpu->feat[FEAT_PKU >> 5] |= 1u << (FEAT_PKU & 31);
    rig.cpu->s->cr4 |= pke ? CR4_PKE : 0;
    rig.cpu->gpr[RCX] = rcx;
    rig.cpu->gpr[RDX] = rdx;
    ok(rig_run() == want, "%s", name);
}
static void pku(void)
{
    LOAD_USER(g_stac3);
    ok(rig_run() == 6, "STAC at CPL 3");
    LOAD_USER(g_pku);
    rig.cpu->feat[FEAT_PKU >> 5] |= 1u << (FEAT_PKU & 31);
    rig.cpu->s->cr4 |= CR4_PKE;
    rig_map(0, PAGE(0) | 7 | 1ull << 59);
    value(0, 77);
    rig.cpu->gpr[RDI] = RIG_VA;
    rig.cpu->gpr[8] = 0x30;
    ok(rig_run() == 14 && rig_reg(9) == 0x30 && rig_reg(RBX) == 77 && rig_stack(0) == 0x25,
       "WRPKRU takes rights from cached translations, error code with PK");
    pku_insn(g_rdpkru, false, 0, 0, 6, "RDPKRU without CR4.PKE");
    pku_insn(g_rdpkru, true, 1, 0, 13, "RDPKRU with ECX");
    pku_insn(g_rdpkru, true, 1ull << 32, 7, STOPPED, "RDPKRU ignores the upper half of RCX, and RDX");
    pku_insn(g_wrpkru, false, 0, 0, 6, "WRPKRU without CR4.PKE");
    pku_insn(g_wrpkru, true, 1, 0, 13, "WRPKRU with ECX");
    pku_insn(g_wrpkru, true, 0, 1, 13, "WRPKRU with EDX");
    memcpy(rig.cpu->feat, rig.cpu->model.feat, sizeof(rig.cpu->feat));
    block_flush_all(rig.cpu);
}

int main(void)
{
    alarm(60);
    pcids();
    invpcid_faults();
    many();
    large();
    smap();
    pku();
    return ctest_done();
}
