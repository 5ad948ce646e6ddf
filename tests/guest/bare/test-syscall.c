/* SPDX-License-Identifier: Apache-2.0 */
/* SYSCALL, SYSRET, SYSENTER, SYSEXIT, SWAPGS and their quirks (SDM 2; APM 3; APM 2, 6.1). */
#include "bare.h"

#define STAR   0xc0000081
#define LSTAR  0xc0000082
#define CSTAR  0xc0000083
#define FMASK  0xc0000084
#define GSBASE 0xc0000101
#define KGS    0xc0000102

SNIP(64, do_syscall, "syscall; nop");
SNIP(32, do_syscall32, "syscall; nop");
SNIP(64, target, "mov %cs, %ebx; mov %ss, %edx; pushf; pop %rsi");
SNIP(64, do_sysret, "sysretq");
SNIP(64, do_sysretl, "sysretl");
SNIP(64, do_sysenter, "sysenter; nop");
SNIP(32, do_sysenter32, "sysenter; nop");
SNIP(64, do_sysexit, "sysexitq");
SNIP(64, do_swapgs, "swapgs; rdmsr; swapgs");

static u64 fault(void)
{
    return ctx->vector << 16 | ctx->error;
}

static void syscall_rules(void)
{
    memcpy((void *)(CODE + 0x200), target, (size_t)(target_end - target));
    wrmsr_safe(STAR, (u64)0x20 << 48 | (u64)SEL_CODE64 << 32);
    wrmsr_safe(LSTAR, CODE + 0x200);
    wrmsr_safe(CSTAR, CODE + 0x200);
    wrmsr_safe(FMASK, 0x4700);
    prepare(LONG3);
    ctx->rflags = 0x4003; /* NT, CF */
    memcpy((void *)(CODE + 0x200), target, (size_t)(target_end - target));
    check("syscall", RESUME(do_syscall, LONG3), V_DONE);
    check("syscall-cs", ctx->gpr[RBX] & 0xffff, SEL_CODE64);
    check("syscall-ss", ctx->gpr[RDX] & 0xffff, SEL_DATA);
    check("syscall-rcx", ctx->gpr[RCX], CODE + 2);
    check("syscall-r11", ctx->gpr[R11] & 0x4fff, 0x4003);
    check("syscall-fmask", ctx->gpr[RSI] & 0x4701, 1);
    check("syscall-compat", RUN(do_syscall32, COMPAT3), is_amd() ? V_DONE : 6);
    /* Intel has it in 64-bit mode only; AMD's legacy form takes EIP from STAR (APM 3, SYSCALL) */
    wrmsr_safe(STAR, (u64)0x20 << 48 | (u64)SEL_CODE32 << 32 | (CODE + 0x200));
    memcpy((void *)(CODE + 0x200), target, (size_t)(target_end - target));
    check("syscall-legacy", RUN(do_syscall32, PM32_3), is_amd() ? V_DONE : 6);
    check("syscall-legacy-cs", is_amd() ? ctx->gpr[RBX] & 0xffff : SEL_CODE32, SEL_CODE32);
    wrmsr_safe(STAR, (u64)0x20 << 48 | (u64)SEL_CODE64 << 32);
    wrmsr_safe(0xc0000080, rdmsr(0xc0000080) & ~1ull);
    check("syscall-sce-off", RUN(do_syscall, LONG3), 6);
    check("sysret-sce-off", RUN(do_sysret, LONG0), 6);
    wrmsr_safe(0xc0000080, rdmsr(0xc0000080) | 1);
    check("lstar-noncanonical", wrmsr_safe(LSTAR, 0x800000000000), 13);
}

static void sysret_rules(void)
{
    memcpy((void *)(CODE + 0x300), "\xcd\xf0", 2);
    prepare(LONG0);
    ctx->gpr[RCX] = CODE + 0x300;
    ctx->gpr[R11] = 0x10003; /* RF and CF: RF is cleared (SDM 2, SYSRET) */
    check("sysret", RESUME(do_sysret, LONG0), V_DONE);
    check("sysret-cs", ctx->cs, SEL_UCODE64);
    check("sysret-ss", ctx->ss, SEL_UDATA);
    check("sysret-rflags", ctx->rflags & 0x10001, 1);
    prepare(LONG0);
    ctx->gpr[RCX] = CODE + 0x300;
    ctx->gpr[R11] = 2;
    check("sysretl", RESUME(do_sysretl, LONG0), V_DONE);
    check("sysretl-cs", ctx->cs, SEL_UCODE32);
    check("sysret-cpl3", (RUN(do_sysret, LONG3), fault()), 13 << 16);
    prepare(LONG0);
    ctx->gpr[RCX] = 0x800000000000;
    ctx->gpr[R11] = 2;
    RESUME(do_sysret, LONG0);
    /* Intel checks RCX before the change of privilege, AMD faults at the target */
    check("sysret-noncanonical", fault(), 13 << 16);
    check("sysret-noncanonical-cpl", ctx->cs & 3, is_amd() ? 3 : 0);
}

static void sysenter_rules(void)
{
    memcpy((void *)(CODE + 0x200), target, (size_t)(target_end - target));
    wrmsr_safe(0x174, 0);
    check("sysenter-cs-zero", RUN(do_sysenter, LONG3), is_amd() ? 6 : 13);
    check("sysenter-real", RUN(do_sysenter32, REAL), 13);
    wrmsr_safe(0x174, SEL_CODE64);
    wrmsr_safe(0x175, STACK - 0x100);
    wrmsr_safe(0x176, CODE + 0x200);
    check("sysenter-long", RUN(do_sysenter, LONG3), is_amd() ? 6 : V_DONE);
    check("sysenter-long-cs", ctx->gpr[RBX] & 0xffff, is_amd() ? 0 : SEL_CODE64);
    check("sysexit-cpl3", RUN(do_sysexit, LONG3), 13); /* before AMD looks at the mode */
    wrmsr_safe(0x174, SEL_CODE32 - 0x18 + 0x18);
    memcpy((void *)(CODE + 0x200), "\x90\xcd\xf0", 3);
    check("sysenter-legacy", RUN(do_sysenter32, PM32_3), V_DONE);
    check("sysenter-legacy-cs", ctx->cs, SEL_CODE32);
    wrmsr_safe(0x174, 0);
    check("sysexit-long", RUN(do_sysexit, LONG0), is_amd() ? 6 : 13); /* no selector, or no such instruction */
}

SUBJECT(syscall)
{
    syscall_rules();
    sysret_rules();
    sysenter_rules();
    check("swapgs-cpl3", RUN(do_swapgs, LONG3), 13);
    wrmsr_safe(KGS, 0x123456000);
    prepare(LONG0);
    ctx->gpr[RCX] = GSBASE;
    RESUME(do_swapgs, LONG0);
    check("swapgs", ctx->gpr[RDX] << 32 | (ctx->gpr[RAX] & 0xffffffff), 0x123456000);
    check("kernel-gs-noncanonical", wrmsr_safe(KGS, 0x800000000000), 13);
}
