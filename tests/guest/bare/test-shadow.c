/* SPDX-License-Identifier: Apache-2.0 */
/* Interrupt windows: STI and MOV SS shadows, HLT, NMI blocking, CR8 (SDM 3, 6.8.1, 6.8.3, 6.7.1, 10.8). */
#include "bare.h"

#define APIC   ((volatile u32 *)0xfee00000)
#define VECTOR 0x51

SNIP(64, sti_nop, "sti; nop; nop; nop; cli");
SNIP(64, sti_hlt, "sti; hlt; nop; cli");
SNIP(64, popf_if, "push $0x202; popf; nop; nop; cli");
SNIP(64, mov_ss, "sti; mov %ss, %eax; mov %eax, %ss; nop; nop; cli");
SNIP(64, cr8_open, "mov $5, %eax; mov %rax, %cr8; sti; nop; nop; xor %eax, %eax; mov %rax, %cr8; nop; cli");
SNIP(64, cr8_read, "mov $9, %eax; mov %rax, %cr8; mov %cr8, %rbx; xor %eax, %eax; mov %rax, %cr8");
SNIP(64, nops, "nop; nop; nop");
SNIP(64, send_nmi, "mov $0xfee00300, %eax; movl $0x44400, (%rax); mov $1000000, %ecx; 1: loop 1b");
SNIP(32, tf_mov_ss, "movw %ss, %ax; movw %ax, %ss; nop; nop");
SNIP(32, tf_pop_ss, "pushl %ss; popl %ss; nop; nop");

static void apic_on(void)
{
    APIC[0xf0 / 4] = 0x1ff;
    APIC[0x80 / 4] = 0;
    APIC[0x310 / 4] = 0;
}

static void self_ipi(u32 mode_vector)
{
    APIC[0x300 / 4] = 0x44000 | mode_vector; /* self, assert */
    while (APIC[0x300 / 4] & 0x1000)
        ;
}

static u64 pending(const u8 *code, const u8 *end)
{
    u64 at;

    self_ipi(VECTOR);
    run_at(code, end, LONG0);
    at = ctx->vector << 16 | OFF;
    if (ctx->vector == VECTOR)
        APIC[0xb0 / 4] = 0;
    return at;
}

static void nmi(void)
{
    check("nmi-taken", RUN(send_nmi, LONG0), 2);
    /* its handler has not executed IRET: a second one waits for it (SDM 3, 6.7.1) */
    self_ipi(0x400);
    check("nmi-waits-for-iret", (RUN(nops, LONG0), ctx->vector << 16 | OFF), 2 << 16);
    check("nmi-none-left", RUN(nops, LONG0), V_DONE);
}

SUBJECT(shadow)
{
    apic_on();
    check("sti-one-instruction", pending(sti_nop, sti_nop_end), VECTOR << 16 | 2);
    check("sti-hlt", pending(sti_hlt, sti_hlt_end), VECTOR << 16 | 2);
    check("popf-no-shadow", pending(popf_if, popf_if_end), VECTOR << 16 | 6);
    note("mov-ss-after-sti", pending(mov_ss, mov_ss_end));
    check("cr8-opens", pending(cr8_open, cr8_open_end), VECTOR << 16 | 18);
    RUN(cr8_read, LONG0);
    check("cr8-value", ctx->gpr[RBX], 9);
    check("cr8-is-tpr", APIC[0x80 / 4], 0);
    nmi();
    prepare(PM32);
    ctx->rflags = 0x102;
    RESUME(tf_mov_ss, PM32);
    check("tf-first-step", ctx->vector << 16 | OFF, 1 << 16 | 3);
    ctx->rip = CODE + 3;
    RESUME(tf_mov_ss, PM32);
    check("tf-mov-ss-shadow", ctx->vector << 16 | OFF, 1 << 16 | 6);
    prepare(PM32);
    ctx->rflags = 0x102;
    ctx->rip = CODE + 1;
    ctx->gpr[RSP] = STACK - 4;
    *(u32 *)(STACK - 4) = SEL_DATA;
    RESUME(tf_pop_ss, PM32);
    check("tf-pop-ss-shadow", ctx->vector << 16 | OFF, 1 << 16 | 3);
}
