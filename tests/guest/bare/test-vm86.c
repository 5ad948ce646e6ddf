/* SPDX-License-Identifier: Apache-2.0 */
/* Virtual-8086 mode: sensitive instructions, I/O bitmap, interrupt redirection of VME (SDM 3, 21.2, 21.3). */
#include "bare.h"

#define IOPL0 0x20002u
#define IOPL3 0x23002u

SNIP(16, int21, "int $0x21");
SNIP(16, int40, "int $0x40; nop");
SNIP(16, handler40, "movw $0x5555, %bx; pushf; popw %cx; iret");
SNIP(16, hlt, "hlt");
SNIP(16, cli, "cli");
SNIP(16, pushf16, "pushf");
SNIP(16, iret16, "iret");
SNIP(16, lgdt, "lgdt 0x5000");
SNIP(16, mov_cr0, "movl %cr0, %eax");
SNIP(16, in80, "inb $0x80, %al");
SNIP(16, segs, "movw $0x1000, %ax; movw %ax, %ds; movw (0x20), %bx; movw %ds, %cx; movw $0, %ax; movw %ax, %ds");
SNIP(16, far_call, "lcall $0x410, $0; nop");
SNIP(16, far_target, "movw %cs, %bx; lret");
SNIP(16, nops, "nop; nop");
SNIP(16, lldt, "lldt %ax");
SNIP(16, arpl, "arpl %ax, %bx");

static u64 go(const u8 *code, const u8 *end, u32 flags, u32 cr4)
{
    prepare(VM86);
    ctx->rflags = flags;
    ctx->cr4 = cr4;
    resume(code, end, VM86);
    return ctx->vector << 16 | ctx->error;
}
#define GO(name, flags, cr4) go(name, name##_end, flags, cr4)
#define GP                   (13 << 16)
#define DONE                 (V_DONE << 16)

static void sensitive(void)
{
    check("int-iopl0", GO(int21, IOPL0, 0), GP);
    check("int-iopl3", GO(int21, IOPL3, 0), GP | (0x21 * 8 + 2)); /* gate of DPL 0 */
    check("handler-segments-null", ((const u32 *)RAW)[0] | ((const u32 *)RAW)[1] | ((const u32 *)RAW)[2] | ((const u32 *)RAW)[3], 0);
    check("hlt", GO(hlt, IOPL3, 0), GP);
    check("cli-iopl0", GO(cli, IOPL0, 0), GP);
    check("pushf-iopl0", GO(pushf16, IOPL0, 0), GP);
    check("iret-iopl0", GO(iret16, IOPL0, 0), GP);
    check("lgdt", GO(lgdt, IOPL3, 0), GP);
    check("mov-cr", GO(mov_cr0, IOPL3, 0), GP);
    check("lldt-ud", GO(lldt, IOPL3, 0), 6 << 16);
    check("arpl-ud", GO(arpl, IOPL3, 0), 6 << 16);
    prepare(VM86);
    ctx->rflags = IOPL3 | 0x100;
    RESUME(nops, VM86);
    check("single-step", ctx->vector << 16 | OFF, 1 << 16 | 1);
}

static void board(void)
{
    tss32[0x88 + 0x80 / 8] |= 1;
    check("io-bitmap-iopl3", (GO(in80, IOPL3, 0), ctx->vector << 16 | OFF), GP);
    tss32[0x88 + 0x80 / 8] &= 0xfe;
    /* what faults is the INT behind it */
    check("io-open-iopl0", (GO(in80, IOPL0, 0), ctx->vector << 16 | OFF), GP | 2);
    *(u16 *)0x10020 = 0x4711;
    GO(segs, IOPL3, 0);
    check("segment-base", ctx->gpr[RBX] & 0xffff, 0x4711);
    check("segment-selector", ctx->gpr[RCX] & 0xffff, 0x1000);
    memcpy((void *)(CODE + 0x100), far_target, (size_t)(far_target_end - far_target));
    check("far-call", GO(far_call, IOPL3, 0), DONE);
    check("far-call-cs", ctx->gpr[RBX] & 0xffff, 0x410);
}

static void redirection(void)
{
    u32 old = ((volatile u32 *)0)[0x40];

    if (!(cpuid(1, 0).d & 2)) {
        note("vme-redirected", 0);
        return;
    }
    ((volatile u32 *)0)[0x40] = CODE + 0x100;
    memcpy((void *)(CODE + 0x100), handler40, (size_t)(handler40_end - handler40));
    /* the map lies below the I/O bitmap: a clear bit sends INT to the 8086 program's own table */
    check("vme-redirected", GO(int40, IOPL3, 1), DONE);
    check("vme-redirected-handler", ctx->gpr[RBX] & 0xffff, 0x5555);
    check("vme-redirected-iopl0", (GO(int40, IOPL0, 1), ctx->vector << 16 | OFF), GP | 3);
    check("vme-redirected-flags-iopl", ctx->gpr[RCX] >> 12 & 3, 3);
    tss32[0x68 + 0x40 / 8] |= 1;
    check("vme-not-redirected-iopl0", GO(int40, IOPL0, 1), GP);
    check("vme-not-redirected-iopl3", GO(int40, IOPL3, 1), GP | (0x40 * 8 + 2));
    tss32[0x68 + 0x40 / 8] &= 0xfe;
    ((volatile u32 *)0)[0x40] = old;
}

SUBJECT(vm86)
{
    sensitive();
    board();
    redirection();
}
