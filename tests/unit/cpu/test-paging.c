/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Paging in IA-32e mode: page-fault error codes and CR2, accessed and dirty bits, reserved bits,
 * large pages, INVLPG, PCIDs, global pages, and accesses across pages (SDM volume 3, chapter 4).
 */
#include "tests/unit/cpu/rig.h"

#include <string.h>
#include <unistd.h>

#define PAGE(n) (0x1000000ull + (n)*0x1000ull) /* frames behind RIG_VA */

GUEST(g_read, "mov $0x800010, %esi; mov (%rsi), %eax; " STOP);
GUEST(g_write, "mov $0x800010, %esi; mov %eax, (%rsi); " STOP);
GUEST(g_fetch, "mov $0x800010, %esi; jmp *%rsi");
GUEST(g_rmw, "mov $0x800010, %esi; lock addl $1, (%rsi); " STOP);
GUEST(g_uread, "mov $0x800010, %esi; mov (%rsi), %eax; int $0x80");
GUEST(g_uwrite, "mov $0x800010, %esi; mov %eax, (%rsi); int $0x80");
GUEST(g_ufetch, "mov $0x800010, %esi; jmp *%rsi");

static void fault(const uint8_t *code, const uint8_t *end, bool user, uint64_t pte, uint64_t error,
                  const char *name)
{
    (user ? rig_user : rig_load)(code, (unsigned)(end - code));
    rig_map(0, pte);
    rig.ram[PAGE(0) + 0x10] = 0xf4;
    int v = rig_run();
    bool fetch = code == g_fetch || code == g_ufetch;
    ok(same_u64("vector", (uint64_t)v, 14) && same_u64("error", rig_stack(0), error) &&
           same_u64("cr2", rig.cpu->s->cr2, RIG_VA + 0x10) &&
           same_u64("rip", rig_stack(1), fetch ? RIG_VA + 0x10 : (user ? RIG_USER : RIG_CODE) + 5),
       "#PF: %s", name);
}
#define FAULT(CODE, USER, PTE, ERROR, NAME) fault(CODE, CODE##_end, USER, PTE, ERROR, NAME)
static void faults(void)
{
    uint64_t nx = 1ull << 63;
    FAULT(g_read, false, 0, 0, "read, not present");
    FAULT(g_write, false, 0, 2, "write, not present");
    FAULT(g_rmw, false, 0, 2, "read-modify-write, not present, is a write");
    FAULT(g_fetch, false, 0, 0x10, "fetch, not present");
    FAULT(g_write, false, PAGE(0) | 1, 3, "supervisor write to a read-only page with WP");
    FAULT(g_rmw, false, PAGE(0) | 1, 3, "locked write to a read-only page");
    FAULT(g_fetch, false, PAGE(0) | 3 | nx, 0x11, "fetch from an NX page");
    FAULT(g_uread, true, PAGE(0) | 3, 5, "user read of a supervisor page");
    FAULT(g_uwrite, true, PAGE(0) | 5, 7, "user write to a read-only page");
    FAULT(g_ufetch, true, PAGE(0) | 3, 0x15, "user fetch from a supervisor page");
    FAULT(g_read, false, PAGE(0) | 3 | 1ull << 45, 9, "reserved bit");
    FAULT(g_uread, true, PAGE(0) | 7 | 1ull << 45, 0xd, "reserved bit, user");
    FAULT(g_uwrite, true, 0, 6, "user write, not present");
    LOAD(g_write);
    rig.cpu->s->cr0 &= ~0x10000ull;
    rig_map(0, PAGE(0) | 1);
    ok(rig_run() == STOPPED && (*rig_pte(0) & 0x60) == 0x60,
       "without WP the supervisor writes everywhere");
    LOAD(g_fetch);
    rig.cpu->s->efer &= ~0x800ull;
    rig_map(0, PAGE(0) | 3 | nx);
    ok(rig_run() == 14 && rig_stack(0) == 9, "NX is reserved without EFER.NXE");
    LOAD(g_fetch);
    rig.cpu->s->cr4 |= 0x100000;
    rig_map(0, PAGE(0) | 7);
    ok(rig_run() == 14 && rig_stack(0) == 0x11, "SMEP");
}

GUEST(g_ad, "mov $0x800010, %esi; mov (%rsi), %eax; mov $0x80c000, %edi; mov (%rdi), %ebx\n"
            "mov $0x801000, %esi; mov %eax, (%rsi); " STOP);
static void accessed_dirty(void)
{
    LOAD(g_ad);
    rig_map(0, PAGE(0) | 3);
    rig_map(1, PAGE(1) | 3);
    rig_map(2, PAGE(2) | 3);
    rig_map(12, RIG_PT | 3); /* the page table itself */
    uint64_t *pd = (uint64_t *)(rig.ram + 0x3000) + RIG_VA / 0x200000;
    *pd &= ~0x60ull;
    int v = rig_run();
    ok(v == STOPPED && (*rig_pte(0) & 0x60) == 0x20 && (*rig_pte(1) & 0x60) == 0x60 &&
           !(*rig_pte(2) & 0x60) && (*pd & 0x60) == 0x20 && (rig_reg(RBX) & 0x60) == 0x20,
       "A by reads, D by writes, A only in tables, seen at once");
}

/* ecx = 0: no flush; 1: INVLPG in between. edi = linear address; the PTE's new value is in rbx, its
 * address in r8. */
GUEST(
    g_invlpg,
    "mov (%rdi), %eax; mov %rbx, (%r8); mov (%rdi), %r9d; invlpg (%rdi); mov (%rdi), %edx; " STOP);
static void invlpg(void)
{
    LOAD(g_invlpg);
    rig_map(0, PAGE(0) | 3);
    *(uint32_t *)(rig.ram + PAGE(0)) = 111;
    *(uint32_t *)(rig.ram + PAGE(5)) = 222;
    rig.cpu->gpr[RDI] = RIG_VA;
    rig.cpu->gpr[RBX] = PAGE(5) | 3;
    rig.cpu->gpr[8] = RIG_PT;
    ok(rig_run() == STOPPED && rig_reg(RAX) == 111 && rig_reg(RDX) == 222,
       "INVLPG of a 4 KiB page");
    LOAD(g_invlpg); /* a 2 MiB page is one entry: INVLPG anywhere in it */
    *(uint32_t *)(rig.ram + 0xa00000) = 111;
    *(uint32_t *)(rig.ram + 0xc00000) = 222;
    rig.cpu->gpr[RDI] = 0xa00000;
    rig.cpu->gpr[RBX] = 0xc00083;
    rig.cpu->gpr[8] = 0x3000 + 8 * 5;
    ok(rig_run() == STOPPED && rig_reg(RAX) == 111 && rig_reg(RDX) == 222,
       "INVLPG of a 2 MiB page");
}
GUEST(g_invlpg_large,
      "mov 0x1ff000(%rdi), %eax; mov 0x3000(%rdi), %ecx; mov %rbx, (%r8)\n"
      "invlpg 0x1000(%rdi); mov 0x1ff000(%rdi), %edx; mov 0x3000(%rdi), %ecx; " STOP);
GUEST(g_invlpg_1g,
      "mov 0x1000000(%rdi), %eax; mov 0xc00000(%rdi), %ecx; mov %rbx, (%r8)\n"
      "invlpg 0x1000(%rdi); mov 0x1000000(%rdi), %edx; mov 0xc00000(%rdi), %ecx; " STOP);
static void invlpg_large(void)
{
    LOAD(g_invlpg_large);
    *(uint32_t *)(rig.ram + 0xa00000 + 0x1ff000) = 111;
    *(uint32_t *)(rig.ram + 0xc00000 + 0x1ff000) = 222;
    *(uint32_t *)(rig.ram + 0xc00000 + 0x3000) = 333;
    rig.cpu->gpr[RDI] = 0xa00000;
    rig.cpu->gpr[RBX] = 0xc00083;
    rig.cpu->gpr[8] = 0x3000 + 8 * 5;
    ok(rig_run() == STOPPED && rig_reg(RAX) == 111 && rig_reg(RDX) == 222 && rig_reg(RCX) == 333,
       "INVLPG drops every piece of a 2 MiB page");
    LOAD(g_invlpg_1g); /* linear 1 GiB.. = physical 0, then the ordinary directory of pages */
    ((uint64_t *)(rig.ram + 0x2000))[1] = 0x83;
    *(uint32_t *)(rig.ram + 0x1000000) = 111;
    for (unsigned i = 0; i < 512; i++)
        ((uint64_t *)(rig.ram + 0x4000))[i] = 0x1400083;
    *(uint32_t *)(rig.ram + 0x1400000) = 222;
    rig.cpu->gpr[RDI] = 0x40000000;
    rig.cpu->gpr[RBX] = 0x4003;
    rig.cpu->gpr[8] = 0x2000 + 8;
    ok(rig_run() == STOPPED && rig_reg(RAX) == 111 && rig_reg(RDX) == 222 && rig_reg(RCX) == 222,
       "INVLPG drops every piece of a 1 GiB page");
}

/* Two address spaces: the second PML4 at 0x1ff0000 gives RIG_VA another frame. */
#define CR3_1 "mov %r10, %cr3\n"
#define CR3_2 "mov %r11, %cr3\n"
GUEST(g_pcid,
      CR3_1 "mov (%rdi), %eax\n" CR3_2 "mov (%rdi), %ebx; mov %r9, (%r8); bts $63, %r10\n" CR3_1
            "mov (%rdi), %ecx; btr $63, %r10\n" CR3_1 "mov (%rdi), %edx; " STOP);
GUEST(g_cr3, "mov (%rdi), %eax; mov %r9, (%r8)\n" CR3_1 "mov (%rdi), %ecx; " STOP);
GUEST(g_global_off,
      "mov (%rdi), %eax; mov %r9, (%r8); mov %cr4, %rdx; btc $7, %rdx; mov %rdx, %cr4\n"
      "mov (%rdi), %ecx; " STOP);
static void second_space(void)
{
    uint64_t base = 0x1f00000, *t = (uint64_t *)(rig.ram + base);
    memcpy(t, rig.ram + 0x1000, 4096);
    memcpy(t + 512, rig.ram + 0x2000, 4096);
    memcpy(t + 1024, rig.ram + 0x3000, 4096);
    t[0] = (base + 0x1000) | 7;
    t[512] = (base + 0x2000) | 7;
    t[1024 + RIG_VA / 0x200000] = (base + 0x3000) | 7;
    t[1536] = PAGE(1) | 3;
    rig_map(0, PAGE(0) | 3);
    *(uint32_t *)(rig.ram + PAGE(0)) = 111;
    *(uint32_t *)(rig.ram + PAGE(1)) = 222;
    *(uint32_t *)(rig.ram + PAGE(2)) = 333;
    rig.cpu->gpr[RDI] = RIG_VA;
    rig.cpu->gpr[8] = RIG_PT;
    rig.cpu->gpr[9] = PAGE(2) | 3;
}
static void spaces(void)
{
    LOAD(g_pcid);
    second_space();
    rig.cpu->s->cr4 |= 0x20000;
    rig.cpu->gpr[10] = 0x1001;
    rig.cpu->gpr[11] = 0x1f00002;
    int v = rig_run();
    ok(v == STOPPED && rig_reg(RAX) == 111 && rig_reg(RBX) == 222 && rig_reg(RDX) == 333,
       "PCIDs: two spaces, and a load without NOFLUSH sees the new entry");
    ok(rig_reg(RCX) == 111 || rig_reg(RCX) == 333, "a load with NOFLUSH may keep the old one");
    LOAD(g_cr3);
    second_space();
    rig.cpu->gpr[10] = 0x1000;
    ok(rig_run() == STOPPED && rig_reg(RAX) == 111 && rig_reg(RCX) == 333, "MOV CR3 flushes");
    LOAD(g_global_off);
    second_space();
    rig_map(0, PAGE(0) | 0x103);
    ok(rig_run() == STOPPED && rig_reg(RAX) == 111 && rig_reg(RCX) == 333,
       "toggling CR4.PGE flushes global pages");
}

GUEST(g_cross,
      "mov $0x800ffc, %esi; mov (%rsi), %rax; movq $-1, (%rsi); lock addl $2, 2(%rsi); " STOP);
GUEST(g_cross_fault, "mov $0x800ffc, %esi; movq $-1, (%rsi); " STOP);
GUEST(g_cross_push, "mov $0x801004, %esp; push %rsp; " STOP);
static void crossing(void)
{
    LOAD(g_cross);
    rig_map(0, PAGE(7) | 3);
    rig_map(1, PAGE(3) | 3);
    memcpy(rig.ram + PAGE(7) + 0xffc, "\1\2\3\4", 4);
    memcpy(rig.ram + PAGE(3), "\5\6\7\10", 4);
    ok(rig_run() == STOPPED && rig_reg(RAX) == 0x0807060504030201 &&
           same_u64("low", rig_mem32(PAGE(7) + 0xffc), 0x0001ffff) &&
           same_u64("high", rig_mem32(PAGE(3)), 0xffff0000),
       "accesses over two frames");
    LOAD(g_cross_fault);
    rig_map(0, PAGE(7) | 3);
    rig_map(1, PAGE(3) | 1);
    ok(rig_run() == 14 && rig_stack(0) == 3 && rig.cpu->s->cr2 == RIG_VA + 0x1000 &&
           !rig_mem32(PAGE(7) + 0xffc),
       "a store whose second page faults writes nothing; CR2 is in the second page");
    LOAD(g_cross_push);
    rig_map(1, PAGE(3) | 3);
    rig_ist(14, 1);
    ok(rig_run() == 14 && rig_stack(0) == 2 && rig_stack(4) == RIG_VA + 0x1004,
       "a push that faults moves nothing");
}

/* REP MOVS and STOS over 3 pages of which the third is missing. */
GUEST(g_rep, "rep movsb; " STOP);
GUEST(g_repq, "rep movsq; " STOP);
GUEST(g_repback, "std; rep movsw; " STOP);
GUEST(g_repst, "rep stosl; " STOP);
static void rep_fault(const uint8_t *code, unsigned from, unsigned size, int step, const char *name)
{
    rig_load(code, 32);
    for (unsigned n = 1; n < 3; n++)
        rig_map(n, PAGE(n) | 3);
    rig.cpu->gpr[RSI] = 0x1800000;
    rig.cpu->gpr[RDI] = RIG_VA + from;
    rig.cpu->gpr[RCX] = 0x2000;
    int v = rig_run();
    uint64_t edge = step > 0 ? RIG_VA + 0x3000 : RIG_VA + 0x1000 - size;
    uint64_t done = step > 0 ? (edge - from - RIG_VA) / size : (from + RIG_VA - edge) / size;
    ok(v == 14 && rig_stack(0) == 2 && same_u64("rdi", rig_reg(RDI), edge) &&
           same_u64("cr2", rig.cpu->s->cr2, edge) && same_u64("rcx", rig_reg(RCX), 0x2000 - done) &&
           same_u64("rip", rig_stack(1), RIG_CODE + (step < 0)) && (rig_stack(3) & 0x10000),
       "REP fault: %s", name);
}
static void repeats(void)
{
    rep_fault(g_rep, 0x1234, 1, 1, "MOVSB forward");
    ok(same_u64("rsi", rig_reg(RSI), 0x1800000 + 0x3000 - 0x1234), "... source index");
    rep_fault(g_repq, 0x1230, 8, 1, "MOVSQ forward");
    rep_fault(g_repst, 0x1230, 4, 1, "STOSD forward");
    rep_fault(g_repback, 0x2ffe, 2, -1, "MOVSW backward");
}

int main(void)
{
    alarm(30);
    faults();
    accessed_dirty();
    invlpg();
    invlpg_large();
    spaces();
    crossing();
    repeats();
    return ctest_done();
}
