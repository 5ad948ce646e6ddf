/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What only 16- and 32-bit modes have: gates of 16 bits, stacks that wrap at 64 KiB, unreal mode, and page faults
 * in the middle of a task switch (SDM volume 2, PUSHA, ENTER, LEAVE; volume 3, 6.12.1, 7.3). Trap list: "wrap at
 * 64K"; "unreal mode"; "task switches ... partial commit on fault".
 */
#include "tests/unit/cpu/rig32.h"

#include <string.h>
#include <unistd.h>

/* ---- 16-bit interrupt and trap gates ---- to 5000h in S_CODE */
GUEST(g_int, ".code32; mov $0x12345678, %esi; sti; int $0x21; inc %edi; " STOP32);
GUEST(g_int_user, ".code32; int $0x21; inc %edi; int $0x80");
GUEST(g_gp16, ".code32; mov $0x1ff8, %eax; mov %eax, %es");
GUEST(h_words, ".code32; mov (%esp), %eax; mov 4(%esp), %ecx; mov 8(%esp), %edx; pushf; pop %ebx; mov %esp, %ebp; iretw");
GUEST(h_error, ".code32; mov (%esp), %eax; mov 4(%esp), %ecx; mov %esp, %ebp; " STOP32);
static void gate16(unsigned vector, unsigned attr, const uint8_t *code, const uint8_t *end)
{
    uint64_t g = 0x5000 | (uint64_t)S_CODE << 16 | (uint64_t)attr << 40 | 0xabcdull << 48; /* upper half: ignored */
    rig_put(RIG_IDT + 8 * vector, &g, 8);
    rig_put(0x5000, code, (unsigned)(end - code));
}
static void gates(void)
{
    const uint32_t ip = (RIG_CODE + 8) & 0xffff;
    for (unsigned trap = 0; trap < 2; trap++) {
        LOAD32(g_int);
        gate16(0x21, trap ? 0x87 : 0x86, h_words, h_words_end);
        rig_put(RIG_CODE & 0xffff, g_int, (unsigned)(g_int_end - g_int)); /* IRETW comes back below 64 KiB */
        rig.cpu->s->gpr[RDI] = 5;
        cpu_state_load(rig.cpu);
        int v = rig_run();
        ok(v == STOPPED && rig_reg(RAX) == (ip | S_CODE << 16) && (rig_reg(RCX) & 0xffff) == 0x202 &&
               rig_reg(RBP) == RIG_STACK - 6 && (rig_reg(RBX) & 0x200) == (trap ? 0x200 : 0) && rig_reg(RDI) == 6 &&
               rig_reg(RSP) == RIG_STACK,
           "16-bit %s gate: three words, IF %s, IRETW (%d)", trap ? "trap" : "interrupt", trap ? "kept" : "cleared", v);
    }
    LOAD32U(g_int_user);
    gate16(0x21, 0xe6, h_words, h_words_end);
    rig_put(RIG_CODE & 0xffff, g_int_user, (unsigned)(g_int_user_end - g_int_user));
    int v = rig_run();
    ok(v == 0x80 && rig_reg(RBP) == R32_SP0 - 10 && (rig_reg(RAX) >> 16) == S_UCODE &&
           (rig_reg(RDX) & 0xffff) == S_UDATA && (rig_reg(RCX) >> 16) == (RIG_STACK & 0xffff),
       "16-bit gate from ring 3: five words on the stack of the TSS (%d)", v);
    LOAD32(g_gp16);
    gate16(13, 0x86, h_error, h_error_end);
    v = rig_run();
    ok(v == STOPPED && (rig_reg(RAX) & 0xffff) == 0x1ff8 && rig_reg(RAX) >> 16 == ((RIG_CODE + 5) & 0xffff) &&
           rig_reg(RBP) == RIG_STACK - 8,
       "16-bit gate: an error code of two bytes (%d)", v);
}

/* ---- stacks of 16 bits ---- */
#define SS16 "mov $0x60, %eax; mov %eax, %ss; "
GUEST(w_push, ".code32; " SS16 "mov $0x12340000, %esp; pushw $0x1122; mov %esp, %ebx; popw %cx; mov %esp, %edx; " STOP32);
GUEST(w_pusha, ".code32; " SS16 "mov $0x12340004, %esp; mov $0x7777, %edi; mov $0xaaaa, %eax; pushaw; mov %esp, 0x20000; xor %edi, %edi\n"
      "popaw; mov %esp, %edx; " STOP32);
GUEST(w_enter, ".code32; " SS16 "mov $0x56780002, %esp; mov $0x1111beef, %ebp; data16 enter $4, $0; mov %esp, %ebx; mov %ebp, %ecx\n"
      "data16 leave; mov %esp, %edx; " STOP32);
GUEST(w_leave, ".code32; " SS16 "mov $0x12345678, %esp; mov $0x9999fffe, %ebp; data16 leave; " STOP32);
GUEST(w_push_odd, ".code32; " SS16 "mov $1, %esp; pushw $0x1122");
GUEST(w_push_wide, ".code32; " SS16 "mov $2, %esp; pushl $0x1122");
GUEST(w_enter_level, ".code32; " SS16 "mov $0x0008, %esp; mov $0x0002, %ebp; data16 enter $0, $3; mov %esp, %ebx; mov %ebp, %ecx; " STOP32);
static void wraps(void)
{
    LOAD32(w_push);
    ok(rig_run() == STOPPED && rig_reg(RBX) == 0x1234fffe && (uint16_t)rig_reg(RCX) == 0x1122 && rig_reg(RDX) == 0x12340000 &&
           (uint16_t)rig_mem32(0xfffe) == 0x1122,
       "PUSH at SP = 0 goes to FFFEh, POP back to 0; the upper half of ESP stays");
    LOAD32(w_pusha);
    ok(rig_run() == STOPPED && rig_mem32(0x20000) == 0x1234fff4 && rig_reg(RDX) == 0x12340004 && (uint16_t)rig_reg(RDI) == 0x7777 &&
           (uint16_t)rig_mem32(2) == 0xaaaa && (uint16_t)rig_mem32(0xfff4) == 0x7777 && (uint16_t)rig_mem32(0xfffa) == 4,
       "PUSHA and POPA over the end of the segment");
    LOAD32(w_enter);
    ok(rig_run() == STOPPED && rig_reg(RBX) == 0x5678fffc && rig_reg(RCX) == 0x11110000 && rig_reg(RDX) == 0x56780002 &&
           rig_reg(RBP) == 0x1111beef,
       "ENTER wraps, and LEAVE comes back");
    LOAD32(w_leave);
    rig_put(0xfffe, "\x22\x11", 2);
    ok(rig_run() == STOPPED && rig_reg(RSP) == 0x12340000 && rig_reg(RBP) == 0x99991122, "LEAVE at BP = FFFEh: SP is 0");
    LOAD32(w_enter_level);
    rig_put(0, "\x01\x01", 2);
    rig_put(0xfffe, "\x02\x02", 2);
    ok(rig_run() == STOPPED && rig_reg(RBX) == 0 && (uint16_t)rig_reg(RCX) == 6 && (uint16_t)rig_mem32(4) == 0x0101 &&
           (uint16_t)rig_mem32(2) == 0x0202 && (uint16_t)rig_mem32(0) == 6,
       "ENTER with levels reads its frame pointers around the end");
    LOAD32(w_push_odd);
    ok(rig_run() == STOPPED && rig.cpu->shutdown, "PUSH of a word at SP = 1: the stack ends, also for #SS and #DF");
    LOAD32(w_push_wide);
    ok(rig_run() == STOPPED && rig.cpu->shutdown, "... and of a doubleword at SP = 2");
}

/* ---- real mode ---- code at 4000:0, vectors to A00:16n, which keep AX in BP */
GUEST(stub16, ".code16; mov %ax, %bp; xor %ax, %ax; mov %ax, %ds; lidtl 0x600; ud2");
static void real_load(const uint8_t *code, const uint8_t *end, uint32_t ds_limit)
{
    rig32_load(code, (unsigned)(end - code));
    rig_put(0x40000, code, (unsigned)(end - code));
    for (unsigned v = 0; v < 256; v++) {
        rig_put(RIG_STUBS + 16 * v, stub16, 16);
        uint32_t entry = (RIG_STUBS >> 4) << 16 | 16 * v;
        rig_put(4 * v, &entry, 4);
    }
    struct abi_vcpu_state *s = rig.cpu->s;
    s->cr0 = 0x10;
    s->rip = 0;
    s->idtr = (struct abi_dtable){.limit = 0x3ff};
    for (unsigned i = 0; i < 6; i++)
        s->seg[i] = (struct abi_segment){.attr = 0x93, .limit = i == ABI_DS ? ds_limit : 0xffff};
    s->seg[ABI_CS] = (struct abi_segment){.selector = 0x4000, .base = 0x40000, .attr = 0x9b, .limit = 0xffff};
    s->gpr[RSP] = 0x3000;
    cpu_state_load(rig.cpu);
}
/* The vector that came, or STOPPED. */
static int real_run(void)
{
    int v = rig_run();
    if (v == STOPPED && !rig.cpu->shutdown)
        printf("# did not stop\n");
    return rig.cpu->s->seg[ABI_CS].selector == RIG_STUBS >> 4 ? (int)rig.cpu->rip / 16 : v;
}
GUEST(r_big, ".code16; mov $0x400000, %esi; mov (%esi), %eax; mov $0x1000, %bx; mov %bx, %ds; mov (%esi), %ecx; int $0x77");
GUEST(r_enter, ".code16; lgdtl 0x700; mov %cr0, %eax; or $1, %al; mov %eax, %cr0; mov $0x10, %bx; mov %bx, %ds; and $0xfe, %al\n"
      "mov %eax, %cr0; mov $0x400000, %esi; movl $0x55, (%esi); xor %bx, %bx; mov %bx, %ds; mov 4(%esi), %ecx; int $0x77");
GUEST(r_push1, ".code16; mov $1, %sp; push %ax");
GUEST(r_pusha, ".code16; mov $0x0b, %sp; pusha");
GUEST(r_pusha3, ".code16; mov $3, %sp; pusha");
GUEST(r_straddle, ".code16; mov $0xffff, %si; mov (%si), %ax");
static void real(void)
{
    real_load(r_big, r_big_end, ~0u);
    rig_put(0x400000, "\x11\0\0\0", 4);
    rig_put(0x410000, "\x22\0\0\0", 4);
    ok(real_run() == 0x77 && rig_reg(RCX) == 0x22, "unreal mode: a load of DS changes the base and not the limit");
    real_load(r_big, r_big_end, 0xffff);
    ok(real_run() == 13 && (uint16_t)rig_mem32(0x2ffa) == 6, "real mode: #GP beyond 64 KiB, no error code");
    real_load(r_enter, r_enter_end, 0xffff);
    rig_put(0x700, "\xff\x0f\x00\x60\x00\x00", 6);
    rig_put(0x400004, "\x66\0\0\0", 4);
    ok(real_run() == 0x77 && rig_reg(RCX) == 0x66 && rig_mem32(0x400000) == 0x55, "unreal mode is entered by leaving protected mode");
    real_load(r_straddle, r_straddle_end, 0xffff);
    ok(real_run() == 13, "a word at FFFFh: #GP");
    real_load(r_push1, r_push1_end, 0xffff);
    ok(real_run() == STOPPED && rig.cpu->shutdown, "real mode: PUSH at SP = 1 is a shutdown");
    real_load(r_pusha3, r_pusha3_end, 0xffff);
    ok(real_run() == STOPPED && rig.cpu->shutdown, "PUSHA at SP = 3 is a shutdown");
    uint32_t was = rig.cpu->vendor;
    rig.cpu->vendor = ABI_CPU_INTEL;
    real_load(r_pusha, r_pusha_end, 0xffff);
    ok(real_run() == 13, "PUSHA at SP = 11: #GP on Intel");
    rig.cpu->vendor = ABI_CPU_AMD;
    real_load(r_pusha, r_pusha_end, 0xffff);
    ok(real_run() == 12, "... #SS on AMD");
    rig.cpu->vendor = was;
}

/* ---- page faults in a task switch ---- 4 MiB pages one to one; 800000h-BFFFFFh by a table, page n at 900000h + n */
#define PD 0x30000u
#define PT 0x31000u
GUEST(g_task, ".code32; mov $0xfeed, %ebx; ljmp $0x30, $0");
GUEST(g_call_task, ".code32; lcall $0x30, $0");
GUEST(b_stop, ".code32; " STOP32);
static void page(unsigned n, uint32_t flags)
{
    uint32_t pte = flags ? (0x900000 + n * 0x1000) | flags : 0;
    rig_put(PT + 4 * n, &pte, 4);
}
static void paged(const uint8_t *code, const uint8_t *end)
{
    rig32_load(code, (unsigned)(end - code));
    LOADB(b_stop);
    for (uint32_t i = 0; i < 8; i++) {
        uint32_t pde = i == 2 ? PT | 3 : i << 22 | 0x83;
        rig_put(PD + 4 * i, &pde, 4);
    }
    rig32_tss(R32_TSSB, 0x1c, PD);
    rig.cpu->s->cr4 = 0x10;
    rig.cpu->s->cr3 = PD;
    rig.cpu->s->cr0 |= 0x80010000u;
    cpu_state_load(rig.cpu);
}
static void tss_move(uint16_t sel, uint32_t base, uint32_t at, uint32_t from)
{
    uint64_t d = rig32_desc_get(sel) & ~0xff0000ffffff0000ull;
    rig32_desc(sel, d | (uint64_t)(base & 0xffffff) << 16 | (uint64_t)(base >> 24) << 56);
    memmove(rig.ram + at, rig.ram + from, 0x68);
}
/* Nothing has happened: the old task goes on to the fault with its registers, busy bits and TSS as they were. */
static bool untouched(uint32_t cr2, uint32_t error)
{
    bool busy_a = rig32_desc_get(S_TSSA) >> 41 & 1, busy_b = rig32_desc_get(S_TSSB) >> 41 & 1;
    return same_u64("cr2", rig.cpu->s->cr2, cr2) && same_u64("error", rig32_stack(0), error) &&
           same_u64("eip", rig32_stack(1), RIG_CODE + 5) && rig_reg(RBX) == 0xfeed && busy_a && !busy_b &&
           rig.cpu->s->seg[ABI_TR].selector == S_TSSA && !rig_mem32(R32_TSSA + 0x34) && !(rig.cpu->s->cr0 & 8);
}
static void task_faults(void)
{
    paged(g_task, g_task_end);
    tss_move(S_TSSB, 0x800f00, 0x900f00, R32_TSSB);
    ok(rig_run() == 14 && untouched(0x800f1c, 0), "the new TSS is not there: #PF before the switch");
    paged(g_task, g_task_end);
    tss_move(S_TSSB, 0x800fc0, 0x900fc0, R32_TSSB);
    page(0, 3);
    ok(rig_run() == 14 && untouched(0x801000, 0), "its second page is not there: the same");
    paged(g_task, g_task_end);
    tss_move(S_TSSA, 0x800f00, 0x900f00, R32_TSSA);
    page(0, 1);
    rig.cpu->s->seg[ABI_TR].base = 0x800f00;
    ok(rig_run() == 14 && untouched(0x800f20, 3), "the old TSS cannot be written: #PF before the switch");
    paged(g_call_task, g_call_task_end);
    memcpy(rig.ram + 0x900000, rig.ram + R32_GDT, 0x1000);
    page(0, 1);
    rig.cpu->s->gdtr.base = 0x800000;
    for (unsigned i = 0; i < 32; i++)
        rig.ram[0x900000 + 8 * i + 5] |= 1; /* accessed, so that only the busy bit is a store */
    int v = rig_run();
    ok(v == 14 && same_u64("cr2", rig.cpu->s->cr2 & ~0x3full, 0x800000) && same_u64("error", rig32_stack(0), 3) &&
           rig.cpu->s->seg[ABI_TR].selector == S_TSSA && !rig_mem32(R32_TSSA + 0x20) &&
           rig.ram[0x900000 + S_TSSA + 5] == 0x8b && rig.ram[0x900000 + S_TSSB + 5] == 0x89,
       "the busy bit cannot be written: #PF before the switch");
    paged(g_call_task, g_call_task_end);
    tss_move(S_TSSB, 0x800f00, 0x900f00, R32_TSSB);
    page(0, 1);
    v = rig_run();
    ok(v == 14 && same_u64("cr2", rig.cpu->s->cr2, 0x800f00) && same_u64("error", rig32_stack(0), 3) &&
           rig.cpu->s->seg[ABI_TR].selector == S_TSSA && !rig_mem32(R32_TSSA + 0x20),
       "the back link cannot be written: #PF before the switch (%d)", v);
    paged(g_task, g_task_end);
    rig32_tss(R32_TSSB, 0x20, 0x801234);
    v = rig_run();
    ok(v == 14 && same_u64("cr2", rig.cpu->s->cr2, 0x801234) && same_u64("eip", rig32_stack(1), 0x801234) &&
           rig.cpu->s->seg[ABI_TR].selector == S_TSSB && rig_mem32(R32_TSSA + 0x34) == 0xfeed,
       "the new task's code is not there: #PF in the new task");
}

int main(void)
{
    alarm(50);
    gates();
    wraps();
    real();
    task_faults();
    return ctest_done();
}
