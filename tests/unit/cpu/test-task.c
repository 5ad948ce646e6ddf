/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hardware task switches and call gates in 32-bit protected mode (SDM volume 3, 5.8 and chapter 7).
 * Trap list: "task switches (hardware, incl. busy bit, nested, T-bit #DB, partial commit on fault)";
 * "call gates"; "conforming"; "Nested faults ... fault while pushing the frame".
 */
#include "tests/unit/cpu/rig32.h"

#include <unistd.h>

#define BUSY(sel) ((rig32_desc_get(sel) >> 41) & 1)
#define SAVED(off) rig_mem32(R32_TSSA + (off))

GUEST(g_jmp, ".code32; mov $0x1234, %ebx; mov $0x5678, %esi; ljmp $0x30, $0");
GUEST(g_call, ".code32; lcall $0x30, $0; inc %edi; " STOP32);
GUEST(g_gate, ".code32; ljmp $0x40, $0");
GUEST(g_jmp16, ".code32; ljmp $0x38, $0");
GUEST(g_jmp_self, ".code32; ljmp $0x28, $0");
GUEST(b_stop, ".code32; " STOP32);
GUEST(b_iret, ".code32; mov $0x77, %ecx; iret; mov $0x99, %edx; " STOP32);

static void by_jmp(void)
{
    LOAD32(g_jmp);
    LOADB(b_stop);
    int v = rig_run();
    ok(v == STOPPED && rig_reg(RBX) == 0xb3 && rig_reg(RSP) == R32_SPB &&
           rig.cpu->s->seg[ABI_TR].selector == S_TSSB && (rig.cpu->s->cr0 & 8) &&
           !(cpu_rflags(rig.cpu) & 0x4000),
       "JMP to a TSS: the new task's registers, TR, CR0.TS, no NT (%d)", v);
    ok(SAVED(0x20) == RIG_CODE + 17 && SAVED(0x34) == 0x1234 && SAVED(0x40) == 0x5678 &&
           SAVED(0x38) == RIG_STACK && (SAVED(0x4c) & 0xffff) == S_CODE,
       "... the old task's state is saved");
    ok(!BUSY(S_TSSA) && BUSY(S_TSSB), "... busy bits");
    LOAD32(g_gate);
    LOADB(b_stop);
    v = rig_run();
    ok(v == STOPPED && rig.cpu->s->seg[ABI_TR].selector == S_TSSB, "JMP through a task gate (%d)", v);
}
static void by_call(void)
{
    LOAD32(g_call);
    LOADB(b_iret);
    rig.cpu->gpr[RDI] = 5;
    int v = rig_run();
    ok(v == STOPPED && rig_reg(RDI) == 6 && rig.cpu->s->seg[ABI_TR].selector == S_TSSA,
       "CALL to a TSS and IRET back (%d)", v);
    ok(BUSY(S_TSSA) && !BUSY(S_TSSB) && (rig_mem32(R32_TSSB) & 0xffff) == S_TSSA &&
           !(rig_mem32(R32_TSSB + 0x24) & 0x4000) && rig_mem32(R32_TSSB + 0x2c) == 0x77 &&
           rig_mem32(R32_TSSB + 0x20) == R32_B + 6,
       "... back link, busy bits, NT clear in the saved image");
}
GUEST(g_gp, ".code32; mov $0x1ff8, %eax; mov %ax, %es");
GUEST(g_ud, ".code32; nop; ud2");
static void task_gate_event(unsigned vector)
{
    uint64_t g = (uint64_t)S_TSSB << 16 | 0x850000000000ull;
    rig_put(RIG_IDT + 8 * vector, &g, 8);
}
static void by_event(void)
{
    LOAD32(g_gp);
    LOADB(b_stop);
    task_gate_event(13);
    int v = rig_run();
    ok(v == STOPPED && rig_reg(RSP) == R32_SPB - 4 && rig_mem32(R32_SPB - 4) == 0x1ff8 &&
           (cpu_rflags(rig.cpu) & 0x4000) && SAVED(0x20) == RIG_CODE + 5 && (SAVED(0x24) & 0x10000),
       "#GP through a task gate: error code on the new stack, NT, RF in the saved image (%d)", v);
    LOAD32(g_ud);
    LOADB(b_iret);
    task_gate_event(6);
    v = rig_run();
    ok(v == STOPPED && rig_reg(RDX) == 0x99 && rig_reg(RCX) == 0x77,
       "the handler task returns to the fault, and goes on behind its IRET at the next one (%d)", v);
}
static void trap_bit(void)
{
    LOAD32(g_jmp);
    LOADB(b_stop);
    rig32_tss(R32_TSSB, 0x64, 1);
    int v = rig_run();
    ok(v == 1 && (rig.cpu->s->dr[6] & 0x8000) && rig32_stack(0) == R32_B,
       "T bit: #DB before the new task's first instruction, DR6.BT (%d)", v);
    LOAD32(g_jmp);
    LOADB(b_stop);
    rig.cpu->s->dr[7] = 0x4ff;
    v = rig_run();
    ok(rig.cpu->s->dr[7] == 0x4aa, "a task switch clears the local breakpoint enables (%d)", v);
}

/* A fault before the commit point belongs to the old task, one after it to the new task. */
static void refused(const uint8_t *code, const uint8_t *end, uint16_t sel, uint64_t desc, int vector,
                    const char *name)
{
    rig32_load(code, (unsigned)(end - code));
    LOADB(b_stop);
    if (desc)
        rig32_desc(sel, desc);
    int v = rig_run();
    ok(v == vector && rig32_stack(0) == sel && rig.cpu->s->seg[ABI_TR].selector == S_TSSA && BUSY(S_TSSA) &&
           rig32_stack(1) >= RIG_CODE && rig32_stack(1) < RIG_CODE + 32,
       "before the commit point: %s (%d)", name, v);
}
static void in_new(unsigned off, uint32_t value, int vector, uint32_t error, const char *name)
{
    LOAD32(g_jmp);
    LOADB(b_stop);
    rig32_tss(R32_TSSB, off, value);
    rig32_desc(0x70, 0x00cf13000000ffff); /* data, not present */
    rig32_desc(0x78, 0x00cf1b000000ffff); /* code, not present */
    int v = rig_run();
    ok(v == vector && rig32_stack(0) == error && rig32_stack(1) == R32_B &&
           rig.cpu->s->seg[ABI_TR].selector == S_TSSB && BUSY(S_TSSB) && !BUSY(S_TSSA),
       "in the new task: %s (%d)", name, v);
}
/* Before SS is loaded only a task gate can take the fault. */
static void in_new_task(unsigned off, uint32_t value, uint32_t error, const char *name)
{
    LOAD32(g_jmp);
    LOADB(b_stop);
    for (unsigned i = 0; i < 0x68; i += 4)
        rig32_tss(0x23000, i, rig_mem32(R32_TSSB + i));
    rig32_desc(0x80, 0x0000890230000067);
    uint64_t g = (uint64_t)0x80 << 16 | 0x850000000000ull;
    rig_put(RIG_IDT + 8 * 10, &g, 8);
    rig32_tss(R32_TSSB, off, value);
    int v = rig_run();
    ok(v == STOPPED && rig.cpu->s->seg[ABI_TR].selector == 0x80 && rig_mem32(R32_SPB - 4) == error &&
           (rig_mem32(0x23000) & 0xffff) == S_TSSB && rig_mem32(R32_TSSB + 0x20) == R32_B,
       "in the new task: %s (%d)", name, v);
}
static void faults(void)
{
    refused(g_jmp_self, g_jmp_self_end, S_TSSA, 0, 13, "a busy TSS: #GP");
    refused(g_jmp, g_jmp_end, S_TSSB, 0x0000090210000067, 11, "not present: #NP");
    refused(g_jmp, g_jmp_end, S_TSSB, 0x0000890210000066, 10, "limit too small: #TS");
    refused(g_jmp, g_jmp_end, S_TSSB, 0x0000820210000067, 13, "an LDT: #GP");
    in_new_task(0x60, S_DATA, S_DATA, "LDTR names a data segment: #TS");
    in_new_task(0x4c, S_DATA, S_DATA, "CS is data: #TS");
    in_new(0x54, 0x70, 11, 0x70, "DS not present: #NP");
    in_new(0x48, S_TSSA, 10, S_TSSA, "ES names a TSS: #TS");
}
static void sixteen(void)
{
    LOAD32(g_jmp16);
    static const uint16_t image[] = {0, 0, 0, 0, 0, 0, 0, 0x5000, 0x2, 1, 2, 3, 4, 0x7000, 6, 7, 8,
                                     S_DATA, S_CODE, S_DATA, S_DATA, 0};
    rig_put(R32_TSS16, image, sizeof(image));
    rig_put(0x5000, b_stop, 10);
    int v = rig_run();
    ok(v == STOPPED && (uint16_t)rig_reg(RCX) == 2 && (uint16_t)rig_reg(RSP) == 0x7000 &&
           (rig.cpu->s->seg[ABI_FS].attr & ABI_SEG_UNUSABLE) && SAVED(0x20) == RIG_CODE + 7,
       "to a 16-bit TSS; FS and GS null (%d)", v);
}

GUEST(u_gate, ".code32; mov $0x23, %eax; mov %eax, %ds; push $0x1111; push $0x2222; lcall $0x4b, $0\n"
              "mov %ds, %esi; mov %es, %edi; int $0x80");
GUEST(b_lret, ".code32; mov 8(%esp), %ebx; mov 12(%esp), %ecx; mov 16(%esp), %edx; mov %cs, %ebp\n"
              "mov $0x10, %eax; mov %eax, %es; lret $8");
GUEST(u_gate_rpl, ".code32; lcall $0x48+3, $0");
GUEST(k_gate, ".code32; push $1; push $2; lcall $0x48, $0");
GUEST(b_look, ".code32; mov (%esp), %ebx; mov 4(%esp), %ecx; " STOP32);
static void call_gates(void)
{
    LOAD32U(u_gate);
    LOADB(b_lret);
    int v = rig_run();
    ok(v == 0x80 && rig_reg(RBX) == 0x2222 && rig_reg(RCX) == 0x1111 && rig_reg(RDX) == RIG_STACK - 8 &&
           rig_reg(RBP) == S_CODE,
       "call gate to ring 0: parameters copied, stack of the TSS (%d)", v);
    ok(rig32_stack(3) == RIG_STACK && rig_reg(RSI) == S_UDATA && rig_reg(RDI) == 0,
       "... RET n to ring 3 releases both stacks; ES of ring 0 is nulled, DS kept");
    LOAD32(k_gate);
    LOADB(b_look);
    v = rig_run();
    ok(v == STOPPED && rig_reg(RBX) == RIG_CODE + 11 && rig_reg(RCX) == S_CODE && rig_reg(RSP) == RIG_STACK - 16,
       "call gate at the same level: no parameters (%d)", v);
    LOAD32U(u_gate_rpl);
    rig32_desc(S_CG32, rig32_desc_get(S_CG32) & ~(3ull << 45));
    v = rig_run();
    ok(v == 13 && rig32_stack(0) == S_CG32, "gate of DPL 0 from ring 3: #GP (%d)", v);
    LOAD32U(u_gate);
    rig32_tss(R32_TSSA, 8, S_TINY);
    rig32_tss(R32_TSSA, 4, 8);
    rig.cpu->s->idtr.limit = 0; /* the fault's own frame has no room either */
    v = bare_run(&rig);
    ok(v == CPU_EXIT_TRIPLE_FAULT && rig.cpu->cpl == 3 && rig.cpu->rip == RIG_CODE + 17 &&
           rig_reg(RSP) == RIG_STACK - 8,
       "no room on the inner stack: nothing changed (%d)", v);
}

GUEST(u_int, ".code32; int $0x80");
GUEST(k_tiny, ".code32; mov $0x68, %eax; mov %eax, %ss; mov $8, %esp; ud2");
static void frames(void)
{
    LOAD32U(u_int);
    rig32_tss(R32_TSSA, 8, S_UDATA);
    int v = rig_run();
    ok(v == -1 || rig.cpu->shutdown, "SS0 of ring 3: #TS cannot be delivered either, shutdown");
    LOAD32(k_tiny);
    v = bare_run(&rig);
    ok(v == CPU_EXIT_TRIPLE_FAULT && rig_reg(RSP) == 8 && rig.cpu->rip == RIG_CODE + 12,
       "no room for any frame: triple fault, ESP unchanged");
    LOAD32(k_tiny);
    task_gate_event(8);
    LOADB(b_stop);
    v = rig_run();
    ok(v == STOPPED && rig.cpu->s->seg[ABI_TR].selector == S_TSSB && SAVED(0x38) == 8 &&
           rig_mem32(R32_SPB - 4) == 0,
       "... #DF through a task gate gets a stack (%d)", v);
}

int main(void)
{
    alarm(30);
    by_jmp();
    by_call();
    by_event();
    trap_bit();
    faults();
    sixteen();
    call_gates();
    frames();
    return ctest_done();
}
