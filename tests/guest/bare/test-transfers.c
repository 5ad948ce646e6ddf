/* SPDX-License-Identifier: Apache-2.0 */
/* Far transfers, gates, task switches, IRET (SDM 3, 5.8, 6.12, 7.3; SDM 2, IRET; APM 2, 8.9). */
#include "bare.h"

#define GATE  (SEL_FREE)
#define CONF  (SEL_FREE + 8)
#define TASK  (SEL_FREE + 16)
#define TASKG (SEL_FREE + 24)
#define SMALL (SEL_FREE + 32)
#define OTHER (DATA + 0x1000) /* a second 32-bit TSS */

extern u32 idt32[512];
extern u64 idt64[512];

SNIP(32, call_gate, "lcall $0x83, $0");
SNIP(32, call_gate0, "lcall $0x80, $0");
SNIP(32, gate_target, "movw %cs, %bx; movw %ss, %cx; movl 12(%esp), %edx; movl (%esp), %esi");
SNIP(32, far_conforming, "ljmp $0x8b, $0x4008; nop; movw %cs, %bx");
SNIP(32, far_dpl0, "ljmp $0x18, $0x4000");
SNIP(32, ret_outer, "pushl $0x2b; pushl $0x6ff0; pushl $0x23; pushl $0x4100; lretl");
SNIP(32, ret_inner, "pushl $0x18; pushl $0x4000; lretl");
SNIP(32, int_dpl0, "int $0x50");
SNIP(32, int_beyond, "int $0x60");
SNIP(32, jmp_tss, "ljmp $0x90, $0; nop");
SNIP(32, call_tss, "lcall $0x90, $0; movl $0x77, %ebx");
SNIP(32, jmp_task_gate, "ljmp $0x98, $0; nop");
SNIP(32, nested_iret, "iretl");
SNIP(32, str_bx, "str %ebx");
SNIP(64, iret_noncanon, "mov %ss, %eax; mov %rsp, %rcx; push %rax; push %rcx; pushf; push $8; mov $1, %ebx; shl $47, %rbx; push %rbx; iretq");
SNIP(64, iret_null_ss, "mov %rsp, %rcx; push $0; push %rcx; pushf; push $8; call 1f; 1: addq $2f-1b, (%rsp); iretq; 2: mov %ss, %ebx; mov $0x10, %eax; mov %eax, %ss");
SNIP(64, iret_nt, "pushf; pop %rax; or $0x4000, %eax; push %rax; popf; mov %ss, %eax; mov %rsp, %rcx; push %rax; push %rcx; pushf; push $8; push $0x4000; iretq");
SNIP(64, jmp_mem_noncanon, "mov $1, %ebx; shl $47, %rbx; jmp *%rbx");
SNIP(64, ret_noncanon, "mov $1, %ebx; shl $47, %rbx; push %rbx; ret");
SNIP(64, far_jmp_imm, ".byte 0xea, 0, 0, 0, 0, 8, 0");
SNIP(64, int_ist, "int $0x51; nop");
SNIP(64, lcall_tss64, "lcall *(%rbx)");

static u64 fault(void)
{
    return ctx->vector << 16 | ctx->error;
}

static u64 gate(u32 off, u16 sel, u32 attr)
{
    return (u64)(off & 0xffff0000) << 32 | (u64)attr << 40 | (u64)sel << 16 | (off & 0xffff);
}

static void gates(void)
{
    memcpy((void *)(CODE + 0x100), gate_target, (size_t)(gate_target_end - gate_target));
    gdt_set(GATE, gate(CODE + 0x100, SEL_CODE32, 0xec));
    check("call-gate-inner", RUN(call_gate, PAGED_3), V_DONE);
    check("call-gate-cs", ctx->gpr[RBX] & 0xffff, SEL_CODE32);
    check("call-gate-ss", ctx->gpr[RCX] & 0xffff, SEL_DATA);
    check("call-gate-old-ss", ctx->gpr[RDX] & 0xffff, SEL_UDATA);
    check("call-gate-return", ctx->gpr[RSI], CODE + 7);
    gdt_set(GATE, gate(CODE + 0x100, SEL_CODE32, 0x8c));
    check("call-gate-dpl", (RUN(call_gate, PAGED_3), fault()), 13 << 16 | GATE);
    check("call-gate-same", RUN(call_gate0, PM32), V_DONE);
    gdt_set(GATE, gate(CODE + 0x100, SEL_CODE32, 0x6c));
    check("call-gate-not-present", (RUN(call_gate, PAGED_3), fault()), 11 << 16 | GATE);
    gdt_set(GATE, gate(CODE + 0x100, SEL_DATA, 0xec));
    check("call-gate-to-data", (RUN(call_gate, PAGED_3), fault()), 13 << 16 | SEL_DATA);
    gdt_set(CONF, seg_desc(0, 0xfffff, 0xc09f));
    check("conforming", RUN(far_conforming, PAGED_3), V_DONE);
    check("conforming-keeps-cpl", ctx->gpr[RBX] & 0xffff, CONF | 3);
    check("far-jump-dpl0", (RUN(far_dpl0, PAGED_3), fault()), 13 << 16 | SEL_CODE32);
    check("lret-inner", (RUN(ret_inner, PAGED_3), fault()), 13 << 16 | SEL_CODE32);
    memcpy((void *)(CODE + 0x100), "\xcd\xf0", 2);
    RUN(ret_outer, PM32);
    check("lret-outer", ctx->vector << 32 | (u32)ctx->cs << 16 | ctx->gpr[RSP], (u64)V_DONE << 32 | SEL_UCODE32 << 16 | 0x6ff0);
    check("int-dpl0", (RUN(int_dpl0, PAGED_3), fault()), 13 << 16 | 0x50 * 8 | 2);
    idt32[2 * 0x60 + 1] &= ~0x8000u;
    check("int-not-present", (RUN(int_beyond, PM32), fault()), 11 << 16 | 0x60 * 8 | 2);
    idt32[2 * 0x60 + 1] |= 0x8000u;
}

static void tss_make(u32 eip, u32 cr3)
{
    u32 *t = (u32 *)OTHER;

    memset(t, 0, 0x68);
    t[1] = STACK - 0x800;
    t[2] = SEL_DATA;
    t[7] = cr3;
    t[8] = eip;
    t[9] = 2;
    t[10] = 0x1234; /* eax */
    t[14] = STACK - 0x400;
    for (unsigned i = 18; i < 24; i++)
        t[i] = SEL_DATA;
    t[19] = SEL_CODE32;
    gdt_set(TASK, seg_desc(OTHER, 0x67, 0x89));
    gdt_set(TASKG, (u64)0x85 << 40 | (u64)TASK << 16);
}

static void tasks(void)
{
    const u32 *old = (const u32 *)tss32;

    memcpy((void *)(CODE + 0x100), str_bx, (size_t)(str_bx_end - str_bx));
    tss_make(CODE + 0x100, 0);
    check("task-jmp", RUN(jmp_tss, PM32), V_DONE);
    check("task-jmp-registers", ctx->gpr[RAX], 0x1234);
    check("task-jmp-tr", ctx->gpr[RBX], TASK);
    check("task-jmp-busy", ((u64 *)GDT)[TASK >> 3] >> 40 & 0xff, 0x8b);
    check("task-jmp-old-eip", old[8], CODE + 7);
    tss_make(CODE + 0x100, 0);
    check("task-gate", RUN(jmp_task_gate, PM32), V_DONE);
    check("task-gate-tr", ctx->gpr[RBX], TASK);
    tss_make(CODE + 0x100, 0);
    check("task-call", RUN(call_tss, PM32), V_DONE);
    check("task-call-nt", ctx->rflags & 0x4000, 0x4000);
    check("task-call-link", *(u16 *)OTHER, SEL_TSS32);
    tss_make(CODE + 0x200, 0);
    memcpy((void *)(CODE + 0x200), "\xcf", 1);
    check("task-iret-back", RUN(call_tss, PM32), V_DONE);
    check("task-iret-goes-on", ctx->gpr[RBX], 0x77);
    check("task-iret-not-busy", ((u64 *)GDT)[TASK >> 3] >> 40 & 0xff, 0x89);
    tss_make(CODE + 0x100, 0);
    gdt_set(TASK, seg_desc(OTHER, 0x67, 0x8b));
    check("task-busy", (RUN(jmp_tss, PM32), fault()), 13 << 16 | TASK);
    tss_make(CODE + 0x100, 0);
    gdt_set(TASK, seg_desc(OTHER, 0x66, 0x89));
    check("task-small", (RUN(jmp_tss, PM32), fault()), 10 << 16 | TASK);
    tss_make(CODE + 0x100, 0);
    ((u32 *)OTHER)[25] = 1; /* T */
    __asm__ volatile("mov %0, %%dr6" ::"r"(0xffff0ff0ull));
    check("task-t-bit", RUN(jmp_tss, PM32), 1);
    u64 dr6;
    __asm__ volatile("mov %%dr6, %0; mov %1, %%dr6" : "=&r"(dr6) : "r"(0xffff0ff0ull));
    check("task-t-bit-dr6", dr6 & 0xe00f, 0x8000);
    tss_make(CODE + 0x100, 0);
    ((u32 *)OTHER)[21] = 0x1000; /* DS beyond the GDT: faults in the new task */
    check("task-bad-segment", (RUN(jmp_tss, PM32), fault()), 10 << 16 | 0x1000);
}

static void long_mode(void)
{
    check("iret-noncanonical", (RUN(iret_noncanon, LONG0), fault()), 13 << 16);
    check("iret-null-ss", RUN(iret_null_ss, LONG0), V_DONE);
    check("iret-null-ss-value", ctx->gpr[RBX] & 0xffff, 0);
    check("iret-nt", (RUN(iret_nt, LONG0), fault()), 13 << 16);
    check("jmp-noncanonical", (RUN(jmp_mem_noncanon, LONG0), fault()), 13 << 16);
    RUN(ret_noncanon, LONG0);
    check("ret-noncanonical", fault(), 13 << 16);
    check("ret-noncanonical-rsp", ctx->gpr[RSP], STACK - 8);
    check("far-jmp-imm-ud", RUN(far_jmp_imm, LONG0), 6);
    idt_ist(0x51, 1);
    check("int-cpl0", (RUN(int_ist, LONG0), ctx->vector << 16 | OFF), 0x51 << 16 | 2);
    *(u32 *)DATA = 0;
    *(u16 *)(DATA + 4) = SEL_TSS64;
    prepare(LONG0);
    ctx->gpr[RBX] = DATA;
    check("long-call-tss", (RESUME(lcall_tss64, LONG0), fault()), 13 << 16 | SEL_TSS64);
}

SUBJECT(transfers)
{
    gates();
    tasks();
    long_mode();
}
