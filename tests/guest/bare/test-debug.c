/* SPDX-License-Identifier: Apache-2.0 */
/* Single step, breakpoints, general detect, ICEBP, BTF (SDM 3, 17.2, 17.3; APM 2, 13.1). */
#include "bare.h"

SNIP(64, nops, "nop; nop; nop");
SNIP(64, rep_stos, "rep stosb; nop");
SNIP(64, icebp, ".byte 0xf1; nop");
SNIP(64, store, "movl $1, 0x10000; nop; nop");
SNIP(64, load, "movl 0x10000, %eax; nop; nop");
SNIP(64, store_before, "movl $1, 0xfffc; nop; nop");
SNIP(64, in80, "in $0x80, %al; nop; nop");
SNIP(64, mov_dr7, "mov %dr7, %rax; nop");
SNIP(64, mov_dr4, "mov %dr4, %rax; nop");
SNIP(64, put_dr7, "mov %rbx, %dr7; mov $0x400, %eax; mov %rax, %dr7");
SNIP(64, jumps, "nop; nop; jmp 1f; nop; 1: nop; nop");
SNIP(64, syscall_tf, "syscall; nop");
SNIP(64, ud, "ud2");
SNIP(64, bp, "int3; nop");
SNIP(64, into_popf, "push $0x102; popf; nop; nop");

static void dr_set(unsigned n, u64 addr, u64 rw_len)
{
    if (n == 0)
        __asm__ volatile("mov %0, %%dr0" ::"r"(addr));
    __asm__ volatile("mov %0, %%dr6" ::"r"(0xffff0ff0ull));
    __asm__ volatile("mov %0, %%dr7" ::"r"(0x400 | 2ull | rw_len << 16));
}

static u64 dr6_take(void)
{
    u64 v;

    __asm__ volatile("mov %%dr7, %0; and $0x400, %0; mov %0, %%dr7" : "=r"(v));
    __asm__ volatile("mov %%dr6, %0" : "=r"(v));
    __asm__ volatile("mov %0, %%dr6" ::"r"(0xffff0ff0ull));
    return v;
}

static u64 at(void)
{
    return ctx->vector << 16 | OFF;
}

static void single_step(void)
{
    prepare(LONG0);
    ctx->rflags = 0x102;
    RESUME(nops, LONG0);
    check("tf-after-one", at(), 1 << 16 | 1);
    check("tf-dr6-bs", dr6_take() & 0x600f, 0x4000);
    check("tf-pushed", ctx->rflags & 0x100, 0x100);
    prepare(LONG0);
    ctx->rflags = 0x102;
    ctx->gpr[RCX] = 3;
    ctx->gpr[RDI] = DATA;
    RESUME(rep_stos, LONG0);
    check("tf-each-iteration", ctx->vector << 32 | OFF << 16 | ctx->gpr[RCX], 1ull << 32 | 2);
    dr6_take();
    RUN(into_popf, LONG0);
    check("tf-set-by-popf", at(), 1 << 16 | 7); /* after the one that follows */
    dr6_take();
    check("icebp", (RUN(icebp, LONG3), at()), 1 << 16 | 1);
    check("icebp-dr6", dr6_take() & 0x600f, 0);
    check("int3-cpl3", (RUN(bp, LONG3), at()), 3 << 16 | 1);
}

static void breakpoints(void)
{
    dr_set(0, CODE + 1, 0);
    RUN(nops, LONG0);
    check("code-before", at(), 1 << 16 | 1);
    check("code-dr6-b0", dr6_take() & 0x600f, 1);
    /* 17.3.1.1: every fault pushes RF as 1, except this one */
    check("code-rf-pushed", ctx->rflags & 0x10000, 0);
    RUN(ud, LONG0);
    check("fault-rf-pushed", ctx->rflags & 0x10000, 0x10000);
    dr_set(0, CODE, 0);
    prepare(LONG0);
    ctx->rflags = 0x10002;
    check("rf-suppresses", RESUME(nops, LONG0), V_DONE);
    dr6_take();
    dr_set(0, DATA, 0xd); /* write, 4 bytes */
    RUN(store, LONG0);
    check("data-write-after", at(), 1 << 16 | 11);
    check("data-dr6-b0", dr6_take() & 0x600f, 1);
    dr_set(0, DATA, 0xd);
    check("data-write-not-read", RUN(load, LONG0), V_DONE);
    dr6_take();
    dr_set(0, DATA, 0xf);
    check("data-read", (RUN(load, LONG0), at()), 1 << 16 | 7);
    dr6_take();
    dr_set(0, DATA, 0xd);
    check("data-neighbour", RUN(store_before, LONG0), V_DONE);
    dr6_take();
    if (!(cpuid(1, 0).d & 4)) {
        note("io-with-de", 0);
        return;
    }
    cr4_put(cr4_get() | 8);
    dr_set(0, 0x80, 2);
    check("io-with-de", (RUN(in80, LONG0), at()), 1 << 16 | 2);
    dr6_take();
    check("de-dr4-ud", RUN(mov_dr4, LONG0), 6);
    cr4_put(cr4_get() & ~8ull);
    check("no-de-dr4-is-dr6", RUN(mov_dr4, LONG0), V_DONE);
}

static void general(void)
{
    prepare(LONG0);
    ctx->gpr[RBX] = 0x2400;
    RESUME(put_dr7, LONG0);
    check("general-detect", ctx->vector, 1);
    check("general-detect-dr6", dr6_take() & 0x600f, 0x2000);
    check("mov-dr-cpl3", RUN(mov_dr7, LONG3), 13);
    prepare(LONG0);
    ctx->gpr[RBX] = 1ull << 32;
    check("dr7-high-half", RESUME(put_dr7, LONG0), 13);
    if (wrmsr_safe(0x1d9, 2) != V_DONE) {
        note("btf", 0);
        return;
    }
    prepare(LONG0);
    ctx->rflags = 0x102;
    RESUME(jumps, LONG0);
    check("btf", at(), 1 << 16 | 5);
    check("btf-cleared", rdmsr(0x1d9) & 2, 0);
    wrmsr_safe(0x1d9, 0);
    dr6_take();
}

SUBJECT(debug)
{
    single_step();
    breakpoints();
    general();
}
