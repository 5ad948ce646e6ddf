/* SPDX-License-Identifier: Apache-2.0 */
/* x87, MMX, SSE state and exceptions, CR0.TS, EM, NE, XSAVE (SDM 1, chapters 8, 10, 13; SDM 3, 2.5). */
#include "bare.h"

SNIP(64, fninit, "fninit");
SNIP(64, fwait, "fwait");
SNIP(64, addps, "addps %xmm0, %xmm1");
SNIP(64, paddb, "paddb %mm0, %mm1");
SNIP(64, emms, "emms");
SNIP(64, div_unmasked, "fninit; movw $0x37b, 0x10000; fldcw 0x10000; fld1; fldz; fdivrp; nop; fwait; nop");
SNIP(64, div_fnstsw, "fninit; movw $0x37b, 0x10000; fldcw 0x10000; fld1; fldz; fdivrp; fnstsw %ax; fnclex; fninit");
SNIP(64, sse_unmasked, "movl $0x1d80, 0x10000; ldmxcsr 0x10000; xorps %xmm0, %xmm0; movl $0x3f800000, %eax; movd %eax, %xmm1; divss %xmm0, %xmm1; nop");
SNIP(64, mxcsr_after, "stmxcsr 0x10000; mov 0x10000, %eax; movl $0x1f80, 0x10000; ldmxcsr 0x10000");
SNIP(64, ldmxcsr_bad, "movl $0x80000000, 0x10000; ldmxcsr 0x10000");
SNIP(64, mmx_tags, "fninit; movq %mm0, %mm1; fnstenv 0x10000; emms; mov 0x10008, %eax; fnstenv 0x10000; mov 0x10008, %edx");
SNIP(64, mmx_top, "fninit; fld1; fld1; movq %mm0, %mm1; fnstsw %ax; mov $1, %ebx; movq %rbx, %mm3; fxsave 0x10000; emms");
SNIP(64, fxsave_odd, "fxsave 0x10008");
SNIP(64, fxrstor_bad, "fxsave 0x10000; movl $0xffff0000, 0x10018; fxrstor 0x10000");
SNIP(64, stack_over, "fninit; mov $9, %ecx; 1: fld1; loop 1b; fnstsw %ax; fninit");
SNIP(64, stack_under, "fninit; fadd %st(1), %st; fnstsw %ax; fninit");
SNIP(64, fop_fip, "fninit; fldl 0x10100; fnstenv 0x10000; mov 0x1000c, %eax; mov 0x10014, %ecx; fninit");
SNIP(64, xgetbv, "xor %ecx, %ecx; xgetbv");
SNIP(64, xsetbv, "xor %ecx, %ecx; xor %edx, %edx; xsetbv");
SNIP(64, xsave_odd, "mov $-1, %eax; mov $-1, %edx; xsave 0x10020");
SNIP(64, xsave_ok, "mov $3, %eax; xor %edx, %edx; xsave 0x10040");
SNIP(64, xrstor_bad, "mov $3, %eax; xor %edx, %edx; xsave 0x10040; movq $1, 0x10248; xrstor 0x10040");
SNIP(64, ymm, "vaddps %ymm0, %ymm1, %ymm2");
SNIP(64, sse_nan, "movl $0x7f800001, %eax; movd %eax, %xmm0; movl $0x1f80, 0x10000; ldmxcsr 0x10000; addss %xmm0, %xmm0; movd %xmm0, %edx; stmxcsr 0x10000; mov 0x10000, %eax; movl $0x1f80, 0x10000; ldmxcsr 0x10000");

static u64 with_cr0(u64 set, const u8 *code, const u8 *end)
{
    u64 old = cr0_get();

    cr0_put((old | set) & ~(set & 4 ? 2ull : 0));
    run_at(code, end, LONG3);
    cr0_put(old);
    return ctx->vector << 16 | ctx->error;
}
#define CR0(set, name) with_cr0(set, name, name##_end)
#define NM             (7 << 16)
#define UD             (6 << 16)

static void bits(void)
{
    check("ts-x87", CR0(8, fninit), NM);
    check("ts-sse", CR0(8, addps), NM);
    check("ts-mmx", CR0(8, emms), NM);
    check("em-x87", CR0(4, fninit), NM);
    check("em-sse", CR0(4, addps), UD);
    check("em-mmx", CR0(4, paddb), UD);
    check("fwait-ts-mp", CR0(8 | 2, fwait), NM);
    cr4_put(cr4_get() & ~0x200ull);
    check("osfxsr-off-sse", RUN(addps, LONG3), 6);
    check("osfxsr-off-mmx", RUN(paddb, LONG3), V_DONE);
    cr4_put(cr4_get() | 0x200);
    check("em-over-ts-sse", CR0(4 | 8, addps), UD);
    RUN(emms, LONG0);
}

static void exceptions(void)
{
    RUN(div_unmasked, LONG3);
    check("mf-at-next-waiting", ctx->vector, 16);
    note("mf-offset", OFF);
    __asm__ volatile("fnclex; fninit");
    RUN(div_fnstsw, LONG3);
    check("fnstsw-does-not-wait", ctx->vector << 16 | (ctx->gpr[RAX] & 0x80ff), V_DONE << 16 | 0x8084);
    RUN(sse_unmasked, LONG3);
    check("xm", ctx->vector, 19);
    RUN(mxcsr_after, LONG3);
    check("xm-flag", ctx->gpr[RAX] & 0x3f, 4);
    cr4_put(cr4_get() & ~0x400ull);
    check("xm-without-osxmmexcpt", RUN(sse_unmasked, LONG3), 6);
    cr4_put(cr4_get() | 0x400);
    RUN(mxcsr_after, LONG3);
    check("mxcsr-reserved", RUN(ldmxcsr_bad, LONG3), 13);
    RUN(sse_nan, LONG3);
    check("snan-quiet", ctx->gpr[RDX] & 0xffffffff, 0x7fc00001);
    check("snan-ie", ctx->gpr[RAX] & 0x3f, 1);
    RUN(stack_over, LONG3);
    check("stack-overflow", ctx->gpr[RAX] & 0x241, 0x241);
    RUN(stack_under, LONG3);
    check("stack-underflow", ctx->gpr[RAX] & 0x241, 0x41);
}

static void state(void)
{
    RUN(mmx_tags, LONG3);
    /* no register is empty; which of the other kinds each is, its contents say (SDM 1, table 9-3) */
    check("mmx-tags-not-empty", ctx->gpr[RAX] & ctx->gpr[RAX] >> 1 & 0x5555, 0);
    check("emms-tags-empty", ctx->gpr[RDX] & 0xffff, 0xffff);
    RUN(mmx_top, LONG3);
    check("mmx-top-zero", ctx->gpr[RAX] & 0x3800, 0);
    check("mmx-exponent-ones", *(u16 *)(0x10000 + 32 + 3 * 16 + 8), 0xffff);
    check("fxsave-misaligned", RUN(fxsave_odd, LONG3), 13);
    check("fxrstor-bad-mxcsr", RUN(fxrstor_bad, LONG3), 13);
    RUN(fop_fip, LONG3);
    check("fip", ctx->gpr[RAX] & 0xffffffff, CODE + 2);
    check("fdp", ctx->gpr[RCX] & 0xffffffff, 0x10100);
}

static void xsave(void)
{
    check("osxsave-off", RUN(xgetbv, LONG3), 6);
    if (!(cpuid(1, 0).c & 1 << 26)) {
        note("xsave-misaligned", 0);
        return;
    }
    check("xsave-osxsave-off", RUN(xsave_ok, LONG3), 6);
    cr4_put(cr4_get() | 1 << 18);
    check("cpuid-osxsave", cpuid(1, 0).c >> 27 & 1, 1);
    check("xgetbv", RUN(xgetbv, LONG3), V_DONE);
    prepare(LONG0);
    ctx->gpr[RAX] = 2; /* SSE without x87 */
    check("xsetbv-no-x87", RESUME(xsetbv, LONG0), 13);
    prepare(LONG0);
    ctx->gpr[RAX] = 5; /* AVX without SSE */
    check("xsetbv-avx-without-sse", RESUME(xsetbv, LONG0), 13);
    prepare(LONG3);
    ctx->gpr[RAX] = 3;
    check("xsetbv-cpl3", RESUME(xsetbv, LONG3), 13);
    prepare(LONG0);
    ctx->gpr[RAX] = 3;
    check("xsetbv", RESUME(xsetbv, LONG0), V_DONE);
    check("avx-not-in-xcr0", RUN(ymm, LONG3), 6);
    check("xsave-misaligned", RUN(xsave_odd, LONG3), 13);
    check("xsave", RUN(xsave_ok, LONG3), V_DONE);
    check("xrstor-bad-header", RUN(xrstor_bad, LONG3), 13);
    if (cpuid(1, 0).c & 1 << 28) {
        prepare(LONG0);
        ctx->gpr[RAX] = 7;
        check("xsetbv-avx", RESUME(xsetbv, LONG0), V_DONE);
        check("avx", RUN(ymm, LONG3), V_DONE);
        check("xsave-size", cpuid(13, 0).b, 832);
    } else {
        note("avx", 0);
    }
    cr4_put(cr4_get() & ~(1ull << 18));
    check("avx-osxsave-off", RUN(ymm, LONG3), 6);
}

SUBJECT(fpu)
{
    bits();
    exceptions();
    state();
    xsave();
}
