/* SPDX-License-Identifier: Apache-2.0 */
/* String instructions: partial progress, direction, 67h, segment override, flags, I/O (SDM 2, REP; SDM 1, 7.3.9). */
#include "bare.h"

#define PAGE 0x20000ull
#define NEXT 0x21000ull

SNIP(64, movsb, "rep movsb");
SNIP(64, movsq, "rep movsq");
SNIP(64, stosb, "rep stosb");
SNIP(64, movsb_down, "std; rep movsb; cld");
SNIP(64, stosb_67, ".byte 0x67; rep stosb");
SNIP(64, cmps, "repe cmpsb; pushf; pop %rbx");
SNIP(64, scas, "repne scasb; pushf; pop %rbx");
SNIP(64, fs_movs, "mov $0xc0000100, %ecx; mov $0x100, %eax; xor %edx, %edx; wrmsr; mov $4, %ecx; rep movsb %fs:(%rsi), %es:(%rdi)");
SNIP(64, outs, "rep outsb");
SNIP(64, ins, "rep insb");
SNIP(64, cmps_zero, "cmp %eax, %eax; xor %ecx, %ecx; repe cmpsb; pushf; pop %rbx");
SNIP(16, movs16, "movw $0xfffe, %si; movw $0x8000, %di; movw $4, %cx; rep movsb");

static u64 go(const u8 *code, const u8 *end, enum mode m, u64 from, u64 to, u64 n)
{
    prepare(m);
    ctx->gpr[RSI] = from;
    ctx->gpr[RDI] = to;
    ctx->gpr[RCX] = n;
    ctx->gpr[RDX] = 0x80;
    ctx->gpr[RAX] = 0x61;
    return resume(code, end, m);
}
#define GO(name, m, from, to, n) go(name, name##_end, m, from, to, n)

static void partial(void)
{
    memset((void *)PAGE, 0x11, 0x2000);
    page_set(NEXT, 0);
    check("stos-faults", GO(stosb, LONG3, 0, NEXT - 3, 10), 14);
    check("stos-partial", ctx->gpr[RCX] << 32 | ctx->gpr[RDI], 7ull << 32 | NEXT);
    check("stos-rip-at-start", OFF, 0);
    check("stos-written", *(u32 *)(NEXT - 4) & 0xffffffff, 0x61616111);
    check("movs-source-faults", GO(movsb, LONG3, NEXT - 2, PAGE, 9), 14);
    check("movs-source-partial", ctx->gpr[RCX] << 32 | ctx->gpr[RSI], 7ull << 32 | NEXT);
    check("movs-source-cr2", ctx->cr2, NEXT);
    check("movsq-crossing-element", GO(movsq, LONG3, PAGE, NEXT - 12, 3), 14);
    check("movsq-crossing-partial", ctx->gpr[RCX], 2);
    check("zero-count-no-access", GO(stosb, LONG3, 0, NEXT, 0), V_DONE);
    page_default(NEXT);
}

static void directions(void)
{
    u8 *p = (u8 *)PAGE;

    for (unsigned i = 0; i < 16; i++)
        p[i] = (u8)i;
    GO(movsb, LONG3, PAGE, PAGE + 1, 8);
    check("overlap-up", *(u64 *)(p + 1), 0);
    for (unsigned i = 0; i < 16; i++)
        p[i] = (u8)i;
    GO(movsb_down, LONG3, PAGE + 7, PAGE + 8, 8);
    check("overlap-down", *(u64 *)(p + 1), 0x0706050403020100);
    check("down-registers", ctx->gpr[RSI] << 32 | (ctx->gpr[RDI] & 0xffffffff), (PAGE - 1) << 32 | PAGE);
    GO(stosb_67, LONG3, 0, 0xffffffff00000000 | (PAGE + 0x100), 0x500000004);
    check("67h-counts-ecx", ctx->gpr[RCX], 0);
    check("67h-edi-zero-extends", ctx->gpr[RDI], PAGE + 0x104);
    *(u16 *)0xfffe = 0xbbaa;
    *(u16 *)0x8000 = 0;
    u16 low = *(u16 *)0;
    prepare(VM86);
    check("si-wraps", (RESUME(movs16, VM86), *(u32 *)0x8000), (u32)low << 16 | 0xbbaa);
}

static void compares(void)
{
    memcpy((void *)PAGE, "abcdef", 6);
    memcpy((void *)(PAGE + 16), "abcxef", 6);
    GO(cmps, LONG3, PAGE, PAGE + 16, 6);
    check("cmps-stops", ctx->gpr[RCX], 2);
    check("cmps-flags", ctx->gpr[RBX] & 0x41, 1);
    GO(scas, LONG3, 0, PAGE, 6);
    check("scas-finds", ctx->gpr[RCX] << 8 | (ctx->gpr[RBX] & 0x40), 5 << 8 | 0x40);
    GO(cmps_zero, LONG3, 0x8000000000, 0x8000000000, 0);
    check("cmps-zero-keeps-flags", ctx->vector << 8 | (ctx->gpr[RBX] & 0x40), V_DONE << 8 | 0x40);
    memcpy((void *)(PAGE + 0x100), "wxyz", 4);
    GO(fs_movs, LONG0, PAGE, PAGE + 0x200, 4);
    check("override-source-only", *(u32 *)(PAGE + 0x200), 0x7a797877);
}

static void ports(void)
{
    tss64[0x68 + 0x80 / 8] |= 1; /* port 80h closed */
    check("outs-bitmap", GO(outs, LONG3, PAGE, 0, 4), 13);
    check("outs-bitmap-nothing-done", ctx->gpr[RCX] << 32 | ctx->gpr[RSI], 4ull << 32 | PAGE);
    tss64[0x68 + 0x80 / 8] &= 0xfe;
    check("outs", GO(outs, LONG3, PAGE, 0, 4), V_DONE);
    check("outs-zero-bitmap", GO(outs, LONG3, PAGE, 0, 0), V_DONE);
    page_set(NEXT, NEXT | P | U);
    check("ins-faults", GO(ins, LONG3, 0, NEXT - 2, 4), 14);
    check("ins-partial", ctx->gpr[RCX], 2);
    page_default(NEXT);
}

SUBJECT(string)
{
    partial();
    directions();
    compares();
    ports();
}
