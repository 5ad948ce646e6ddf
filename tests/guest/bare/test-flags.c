/* SPDX-License-Identifier: Apache-2.0 */
/* EFLAGS: what each instruction may change (SDM 2, POPF, IRET, STI; SDM 1, 3.4.3; APM 3). */
#include "bare.h"

#define CF    1u
#define ZF    0x40u
#define SF    0x80u
#define TF    0x100u
#define IF    0x200u
#define DF    0x400u
#define OF    0x800u
#define IOPL3 0x3000u
#define NT    0x4000u
#define RF    0x10000u
#define AC    0x40000u
#define VIF   0x80000u
#define VIP   0x100000u
#define ID    0x200000u
#define ARITH 0x8d5u

SNIP(64, inc_cf, "stc; mov $-1, %eax; inc %eax; pushf; pop %rbx");
SNIP(64, dec_cf, "clc; mov $0, %eax; dec %eax; pushf; pop %rbx");
SNIP(64, shift_zero, "mov $0x8d7, %eax; push %rax; popf; mov $32, %ecx; mov $1, %edx; shl %cl, %edx; pushf; pop %rbx");
SNIP(64, rotate, "mov $0xd7, %eax; push %rax; popf; mov $0x80000000, %edx; rol $1, %edx; pushf; pop %rbx");
SNIP(64, bit_test, "mov $0x8d6, %eax; push %rax; popf; mov $1, %edx; bt $0, %edx; pushf; pop %rbx");
SNIP(64, sahf, "mov $0xffff, %eax; sahf; pushf; pop %rbx; lahf");
SNIP(64, popf_all, "mov $0x3f7dff, %eax; and $0xfffffeff, %eax; push %rax; popf; pushf; pop %rbx; cli");
SNIP(64, popf_user, "mov $0x3f7eff, %eax; push %rax; popf; pushf; pop %rbx");
SNIP(64, sti, "sti; cli");
SNIP(64, cld_std, "std; pushf; pop %rbx; cld; cmc; pushf; pop %rcx");
SNIP(16, sti16, "sti; pushf; pop %bx; cli");
SNIP(16, popf16, "pushl $0x3f7eff; popfl; pushfl; popl %ebx");
SNIP(16, cli_vme, "pushf; pop %bx; cli; nop");
SNIP(32, iret_flags, "pushl $0x204ed7; pushl %cs; call 1f; 1: addl $2f-1b, (%esp); iretl; 2: pushfl; popl %ebx");

static void arithmetic(void)
{
    RUN(inc_cf, LONG0);
    check("inc-keeps-cf", ctx->gpr[RBX] & (CF | ZF), CF | ZF);
    RUN(dec_cf, LONG0);
    check("dec-keeps-cf", ctx->gpr[RBX] & (CF | SF), SF);
    RUN(shift_zero, LONG0);
    check("shift-by-zero", ctx->gpr[RBX] & ARITH, ARITH);
    RUN(rotate, LONG0);
    check("rotate-cf-of-only", ctx->gpr[RBX] & ARITH, 0x8d5);
    RUN(bit_test, LONG0);
    check("bt-cf-only", ctx->gpr[RBX] & (CF | ZF), CF | ZF);
    RUN(sahf, LONG0);
    check("sahf-subset", ctx->gpr[RBX] & 0xff, 0xd7);
    check("lahf-image", ctx->gpr[RAX] >> 8 & 0xff, 0xd7);
    RUN(cld_std, LONG0);
    check("std", ctx->gpr[RBX] & DF, DF);
    check("cmc", ctx->gpr[RCX] & (DF | CF), CF);
}

static void popf_rules(void)
{
    /* CPL 0: everything but RF, VM, VIF and VIP; PUSHF shows RF and VM as zero (SDM 2, PUSHF) */
    RUN(popf_all, LONG0);
    check("popf-cpl0", ctx->gpr[RBX] & 0x3f7fd7, 0x247cd7);
    RUN(popf_user, LONG3);
    check("popf-cpl3-iopl0", ctx->gpr[RBX] & (IF | IOPL3 | NT | AC | ID), NT | AC | ID);
    prepare(LONG3);
    ctx->rflags = 2 | IOPL3;
    RESUME(popf_user, LONG3);
    check("popf-cpl3-iopl3", ctx->gpr[RBX] & (IF | IOPL3 | NT | AC | ID), IF | IOPL3 | NT | AC | ID);
    check("sti-cpl3-iopl0", RUN(sti, LONG3), 13);
    prepare(LONG3);
    ctx->rflags = 2 | IOPL3;
    check("sti-cpl3-iopl3", RESUME(sti, LONG3), V_DONE);
    RUN(iret_flags, PM32);
    check("iret-flags", ctx->gpr[RBX], 0x204ed7);
}

static void vm86_rules(void)
{
    prepare(VM86);
    ctx->rflags = 0x20002;
    check("vm86-sti-iopl0", RESUME(sti16, VM86), 13);
    prepare(VM86);
    ctx->rflags = 0x20002;
    check("vm86-popf-iopl0", RESUME(popf16, VM86), 13);
    RUN(popf16, VM86);
    check("vm86-popf-iopl3", ctx->gpr[RBX] & (IF | IOPL3 | NT | AC | ID), IF | IOPL3 | NT | AC | ID);
    if (!(cpuid(1, 0).d & 2)) {
        note("vme-sti", 0);
        return;
    }
    /* CR4.VME: STI and CLI act on VIF below IOPL 3; PUSHF shows VIF as IF and IOPL as 3 (SDM 3, 21.3.3) */
    prepare(VM86);
    ctx->rflags = 0x20002;
    ctx->cr4 = 1;
    RESUME(sti16, VM86); /* the closing INT is not redirected, and faults below IOPL 3 */
    check("vme-sti", ctx->vector << 16 | OFF, 13 << 16 | 4);
    check("vme-pushf-shows-vif", ctx->gpr[RBX] & (IF | IOPL3), IF | IOPL3);
    prepare(VM86);
    ctx->rflags = 0x20002 | VIP;
    ctx->cr4 = 1;
    check("vme-sti-vip", (RESUME(sti16, VM86), ctx->vector << 16 | OFF), 13 << 16);
    prepare(VM86);
    ctx->rflags = 0x20002 | VIF;
    ctx->cr4 = 1;
    RESUME(cli_vme, VM86);
    check("vme-cli-clears-vif", ctx->rflags & (VIF | IF), 0);
}

SUBJECT(flags)
{
    arithmetic();
    popf_rules();
    vm86_rules();
}
