/* SPDX-License-Identifier: Apache-2.0 */
/* Exceptions during exceptions, error codes, CR2, privileged instructions (SDM 3, 6.13, 6.15, table 6-5). */
#include "bare.h"

struct gate64 { u16 lo, sel; u8 ist, attr; u16 mid; u32 hi, zero; };
extern struct gate64 idt64[256];

SNIP(64, div0, "xor %ecx, %ecx; div %ecx");
SNIP(64, div_over, "mov $1, %edx; mov $1, %ecx; xor %eax, %eax; div %ecx");
SNIP(64, ud2, "ud2");
SNIP(64, touch, "mov (%rbx), %eax");
SNIP(64, put, "mov %eax, (%rbx)");
SNIP(64, jump, "jmp *%rbx");
SNIP(64, hlt, "hlt");
SNIP(64, int3, "int3");
SNIP(64, push_rsp, "push %rax");
SNIP(64, rbp_nc, "mov (%rbp), %eax");
SNIP(64, int_f0_nostack, "nop");
SNIP(64, into64, ".byte 0xce");
SNIP(32, into32, "movl $0x7fffffff, %eax; incl %eax; into");
SNIP(32, bound32, "movl $5, 0x10000; movl $9, 0x10004; movl $10, %eax; boundl %eax, 0x10000");
SNIP(64, aam64, ".byte 0xd4, 10");
SNIP(32, aam0, "aam $0");
SNIP(64, long_insn, ".byte 0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x90");
SNIP(64, fifteen, ".byte 0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x90");
SNIP(64, mov_cs, ".byte 0x8e, 0xc8");
SNIP(64, mov_cr1, ".byte 0x0f, 0x20, 0xc8");
SNIP(32, lgdt_user, "lgdt 0x10000");
SNIP(64, sgdt, "sgdt 0x10000");
SNIP(64, smsw, "smsw %eax");

static u64 fault(void)
{
    return ctx->vector << 16 | ctx->error;
}

static void doubles(void)
{
    idt64[0].attr &= 0x7f;
    check("de-then-np-is-df", (RUN(div0, LONG0), fault()), 8 << 16);
    idt64[0].attr |= 0x80;
    idt64[6].attr &= 0x7f;
    check("ud-then-np", (RUN(ud2, LONG0), fault()), 11 << 16 | 6 * 8 | 3);
    idt64[6].attr |= 0x80;
    idt64[3].attr &= 0x7f;
    check("int3-then-np", (RUN(int3, LONG0), fault()), 11 << 16 | 3 * 8 | 2);
    idt64[3].attr |= 0x80;
    /* #UD on the stack in use, which is not there: #PF while delivering a benign exception */
    idt64[6].ist = 0;
    prepare(LONG0);
    ctx->gpr[RSP] = 0x8000000000 - 0x1000;
    RESUME(ud2, LONG0);
    check("ud-then-pf", fault(), 14 << 16 | 2);
    check("ud-then-pf-cr2", ctx->cr2, 0x8000000000 - 0x1000 - 8);
    check("ud-then-pf-rsp", ctx->gpr[RSP], 0x8000000000 - 0x1000);
    idt64[6].ist = 1;
    idt64[14].ist = 0;
    prepare(LONG0);
    ctx->gpr[RSP] = 0x8000000000 - 0x1000;
    ctx->gpr[RBX] = 0x8000000000 - 0x9000;
    RESUME(touch, LONG0);
    check("pf-then-pf-is-df", fault(), 8 << 16);
    check("pf-then-pf-cr2", ctx->cr2, 0x8000000000 - 0x1000 - 8);
    idt64[14].ist = 1;
    idt64[6].ist = 0;
    prepare(LONG0);
    ctx->gpr[RSP] = 0x800000000010;
    RESUME(ud2, LONG0);
    check("ud-stack-noncanonical", fault(), 12 << 16 | 1);
    idt64[6].ist = 1;
}

static void codes(void)
{
    prepare(LONG3);
    ctx->gpr[RBX] = 0x200000;
    check("pf-user-present", (RESUME(touch, LONG3), fault()), 14 << 16 | 5);
    check("pf-user-write", (prepare(LONG3), ctx->gpr[RBX] = 0x200000, RESUME(put, LONG3), fault()), 14 << 16 | 7);
    check("pf-user-fetch", (prepare(LONG3), ctx->gpr[RBX] = 0x200000, RESUME(jump, LONG3), fault()), 14 << 16 | 0x15);
    check("pf-absent", (prepare(LONG0), ctx->gpr[RBX] = 0x8000000ffcull - 0x2000, RESUME(touch, LONG0), fault()), 14 << 16);
    check("pf-cr2-first-byte", ctx->cr2, 0x8000000ffcull - 0x2000);
    check("noncanonical-gp", (prepare(LONG0), ctx->gpr[RBX] = 1ull << 63, RESUME(touch, LONG0), fault()), 13 << 16);
    check("noncanonical-ss", (prepare(LONG0), ctx->gpr[RBP] = 1ull << 63, RESUME(rbp_nc, LONG0), fault()), 12 << 16);
    check("push-noncanonical", (prepare(LONG0), ctx->gpr[RSP] = 1ull << 63, RESUME(push_rsp, LONG0), fault()), 12 << 16);
}

static void single(void)
{
    check("divide-by-zero", RUN(div0, LONG3), 0);
    check("divide-overflow", RUN(div_over, LONG3), 0);
    check("ud2", (RUN(ud2, LONG3), ctx->vector << 16 | OFF), 6 << 16);
    check("hlt-cpl3", RUN(hlt, LONG3), 13);
    check("into-long-ud", RUN(into64, LONG0), 6);
    check("into", (RUN(into32, PM32), ctx->vector), 4);
    check("bound", RUN(bound32, PM32), 5);
    check("aam-long-ud", RUN(aam64, LONG0), 6);
    check("aam-zero", RUN(aam0, PM32), 0);
    check("sixteen-bytes", (RUN(long_insn, LONG0), fault()), 13 << 16);
    check("fifteen-bytes", RUN(fifteen, LONG0), V_DONE);
    check("mov-cs-ud", RUN(mov_cs, LONG0), 6);
    check("mov-cr1-ud", RUN(mov_cr1, LONG0), 6);
    check("lgdt-cpl3", RUN(lgdt_user, PM32_3), 13);
    check("sgdt-cpl3", RUN(sgdt, LONG3), V_DONE);
    if (!(cpuid(7, 0).c & 4)) {
        note("umip-sgdt", 0);
        return;
    }
    cr4_put(cr4_get() | 0x800);
    check("umip-sgdt", RUN(sgdt, LONG3), 13);
    check("umip-smsw", RUN(smsw, LONG3), 13);
    check("umip-cpl0", RUN(sgdt, LONG0), V_DONE);
    cr4_put(cr4_get() & ~0x800ull);
}

SUBJECT(exceptions)
{
    single();
    codes();
    doubles();
}
