/* SPDX-License-Identifier: Apache-2.0 */
/* What lies between processor and board: A20, FERR#, interrupts inside REP, MMIO operands (SDM 3, 8.7.13.4; 2.5; 8.3). */
#include "bare.h"

#define APIC ((volatile u32 *)0xfee00000)
#define PIC_BASE 0x70

SNIP(64, rep_long, "mov $0x80, %edx; mov $0x400000, %edi; mov $0x400000, %ecx; sti; rep insb; cli");
SNIP(64, ferr, "fninit; movw $0x37b, 0x10000; fldcw 0x10000; fld1; fldz; fdivrp; sti; fwait; mov $100000000, %ecx; 1: loop 1b; cli");
SNIP(64, fwait, "fwait; fld1; fwait");
SNIP(64, hpet_read, "mov $0xfed00000, %ebx; mov (%rbx), %rax");
SNIP(64, hpet_half, "mov $0xfed00004, %ebx; mov (%rbx), %eax");
SNIP(64, mmio_cross, "mov $0xfecffffc, %ebx; mov (%rbx), %rax; shr $32, %rax");
SNIP(64, mmio_sse, "mov $0xfed00000, %ebx; movups (%rbx), %xmm0; movq %xmm0, %rax");
SNIP(64, mmio_movs, "mov $0xfed00000, %esi; mov $0x10000, %edi; movsq; mov 0x10000, %rax");

static void pic_init(void)
{
    outb(0x20, 0x11);
    outb(0x21, PIC_BASE);
    outb(0x21, 4);
    outb(0x21, 1);
    outb(0xa0, 0x11);
    outb(0xa1, PIC_BASE + 8);
    outb(0xa1, 2);
    outb(0xa1, 1);
    outb(0x21, 0xfb);
    outb(0xa1, 0xdf); /* IRQ 13 only */
    APIC[0xf0 / 4] = 0x1ff;
    APIC[0x350 / 4] = 0x700; /* LINT0: ExtINT */
}

static void pic_quiet(void)
{
    outb(0xa0, 0x20);
    outb(0x20, 0x20);
    outb(0x21, 0xff);
    outb(0xa1, 0xff);
    APIC[0x350 / 4] = 0x10000;
}

static void a20(void)
{
    *(volatile u32 *)0x100010 = 0x11111111;
    *(volatile u32 *)0x10 = 0x22222222;
    outb(0x92, inb(0x92) & 0xfc);
    __asm__ volatile("wbinvd");
    cr3_put(cr3_get());
    check("a20-off-wraps", *(volatile u32 *)0x100010, 0x22222222);
    outb(0x92, (inb(0x92) & 0xfe) | 2);
    cr3_put(cr3_get());
    check("a20-on", *(volatile u32 *)0x100010, 0x11111111);
}

static void interrupts(void)
{
    APIC[0xf0 / 4] = 0x1ff;
    APIC[0x3e0 / 4] = 0xb;
    APIC[0x320 / 4] = 0x61;
    APIC[0x380 / 4] = 1000000;
    check("rep-interrupted", RUN(rep_long, LONG0), 0x61);
    check("rep-interrupted-inside", ctx->gpr[RDI] + ctx->gpr[RCX], 0x800000);
    check("rep-rip-on-instruction", OFF, 16);
    check("rep-rf-pushed", ctx->rflags & 0x10000, 0x10000); /* SDM 3, 17.3.1.1 */
    APIC[0xb0 / 4] = 0;
    APIC[0x320 / 4] = 0x10000;
}

static void mmio(void)
{
    u64 id;

    RUN(hpet_read, LONG0);
    id = ctx->gpr[RAX];
    check("mmio-vendor", id >> 16 & 0xffff, 0x8086);
    RUN(hpet_half, LONG0);
    check("mmio-high-half", ctx->gpr[RAX] & 0xffffffff, id >> 32);
    RUN(mmio_cross, LONG0);
    check("mmio-page-crossing", ctx->gpr[RAX], id & 0xffffffff);
    RUN(mmio_sse, LONG0);
    check("mmio-sixteen-bytes", ctx->gpr[RAX], id);
    RUN(mmio_movs, LONG0);
    check("mmio-movsq", ctx->gpr[RAX], id);
}

SUBJECT(board)
{
    a20();
    interrupts();
    mmio();
}

/* Apart: the error is reported through IRQ 13 as on a PC/AT. */
SUBJECT(ferr)
{
    pic_init();
    cr0_put(cr0_get() & ~0x20ull);
    check("ferr-irq13", RUN(ferr, LONG0), PIC_BASE + 13);
    outb(0xf0, 0);
    check("ferr-ignored-after-f0", RUN(fwait, LONG0), V_DONE);
    __asm__ volatile("fnclex; fninit");
    outb(0xa0, 0x20);
    outb(0x20, 0x20);
    check("ferr-again", RUN(ferr, LONG0), PIC_BASE + 13);
    outb(0xf0, 0);
    __asm__ volatile("fnclex; fninit");
    cr0_put(cr0_get() | 0x20);
    pic_quiet();
}
