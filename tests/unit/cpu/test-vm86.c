/* SPDX-License-Identifier: Apache-2.0 */
/*
 * VM86 with and without VME, and protected-mode virtual interrupts (SDM volume 3, chapter 21). Trap list:
 * "VM86/VME", "TSS I/O bitmap", "POPF: ... VIF/VME", "IRET to all modes".
 */
#include "tests/unit/cpu/rig32.h"

#include <unistd.h>

#define VME   1u
#define PVI   2u
#define VM    0x20000u
#define IOPL3 0x3000u
#define VIF   0x80000u
#define VIP   0x100000u
#define IOMAP 0x88u /* in TSS A; the redirection bitmap is the 32 bytes before it */

static void vm86(const uint8_t *code, unsigned len, uint32_t fl, uint32_t cr4)
{
    rig32_load(code, len);
    rig_put(0x10000, code, len);
    struct abi_vcpu_state *s = rig.cpu->s;
    s->rflags = 2 | VM | fl;
    s->cr4 = cr4;
    s->rip = 0;
    s->gpr[RSP] = 0x1000;
    for (unsigned i = 0; i < 6; i++)
        s->seg[i] = (struct abi_segment){.selector = i == ABI_CS ? 0x1000 : 0x2000, .attr = 0xf3, .limit = 0xffff,
                                         .base = i == ABI_CS ? 0x10000 : 0x20000};
    s->seg[ABI_TR].limit = 0x200;
    rig32_tss(R32_TSSA, 0x64, IOMAP << 16);
    rig_put(0x21 * 4, "\x00\x02\x00\x10", 4); /* the program's own handler: 1000:0200 */
    rig_put(0x10200, "\x0f\xff", 2);          /* UD0 tells that it was reached */
    cpu_state_load(rig.cpu);
}
#define RUN86(NAME, FL, CR4) (vm86(NAME, (unsigned)(NAME##_end - NAME), FL, CR4), rig_run())
static uint32_t frame_eip(bool error)
{
    return rig32_stack(error);
}
static uint32_t frame_flags(bool error)
{
    return rig32_stack(2 + error);
}

GUEST(v_cli, ".code16; cli; ud2");
GUEST(v_sti, ".code16; sti; ud2");
GUEST(v_pushf, ".code16; pushf; pop %bx; ud2");
GUEST(v_popf, ".code16; pushw $0x200; popf; ud2");
GUEST(v_popf_tf, ".code16; pushw $0x100; popf; ud2");
GUEST(v_int21, ".code16; int $0x21");
GUEST(v_int3, ".code16; int3");
GUEST(v_into, ".code16; mov $0x7f, %al; inc %al; into");
GUEST(v_iret, ".code16; pushw $0x200; pushw $0x1000; pushw $0x200; iret");
GUEST(v_hlt, ".code16; hlt");
GUEST(v_lldt, ".code16; lldt %ax");
static void plain(void)
{
    int v = RUN86(v_cli, 0, 0);
    ok(v == 13 && rig32_stack(0) == 0 && frame_eip(true) == 0 && (frame_flags(true) & VM) &&
           rig32_stack(2) == 0x1000 && rig32_stack(4) == 0x1000 && rig32_stack(5) == 0x2000 &&
           rig32_stack(9) == 0x2000 && (rig.cpu->s->seg[ABI_DS].attr & ABI_SEG_UNUSABLE) &&
           !(cpu_rflags(rig.cpu) & VM) && rig.cpu->cpl == 0,
       "CLI with IOPL 0: #GP(0), the long frame, data segments null (%d)", v);
    v = RUN86(v_cli, IOPL3 | 0x200, 0);
    ok(v == 6 && !(frame_flags(false) & 0x200), "CLI with IOPL 3 clears IF (%d)", v);
    ok(RUN86(v_pushf, 0, 0) == 13 && RUN86(v_popf, 0, 0) == 13 && RUN86(v_int21, 0, 0) == 13 &&
           RUN86(v_iret, 0, 0) == 13,
       "PUSHF POPF INT n IRET with IOPL 0: #GP");
    v = RUN86(v_int3, 0, 0);
    ok(v == 3 && frame_eip(false) == 1, "INT3 does not look at IOPL (%d)", v);
    v = RUN86(v_into, 0, 0);
    ok(v == 13 && rig32_stack(0) == 4 * 8 + 2, "INTO neither: the gate's DPL counts (%d)", v);
    v = RUN86(v_int21, IOPL3, 0);
    ok(v == 13 && rig32_stack(0) == 0x21 * 8 + 2, "INT n with IOPL 3: through the IDT, whose DPL counts (%d)", v);
    ok(RUN86(v_hlt, IOPL3, 0) == 13 && RUN86(v_lldt, IOPL3, 0) == 6, "HLT: #GP, LLDT: #UD");
}
static void vme(void)
{
    int v = RUN86(v_sti, 0, VME);
    ok(v == 6 && (frame_flags(false) & VIF) && !(frame_flags(false) & 0x200), "VME: STI sets VIF (%d)", v);
    v = RUN86(v_sti, VIP, VME);
    ok(v == 13 && frame_eip(true) == 0, "... with VIP pending: #GP (%d)", v);
    v = RUN86(v_cli, VIF | 0x200, VME);
    ok(v == 6 && !(frame_flags(false) & VIF) && (frame_flags(false) & 0x200), "VME: CLI clears VIF, not IF (%d)", v);
    v = RUN86(v_pushf, VIF, VME);
    ok(v == 6 && (rig_reg(RBX) & 0x3200) == 0x3200, "VME: PUSHF shows VIF as IF, IOPL as 3 (%d)", v);
    v = RUN86(v_popf, 0, VME);
    ok(v == 6 && (frame_flags(false) & VIF), "VME: POPF sets VIF (%d)", v);
    ok(RUN86(v_popf_tf, 0, VME) == 13 && RUN86(v_popf, VIP, VME) == 13, "... TF, or IF with VIP: #GP");
    v = RUN86(v_iret, 0, VME);
    ok(v == 6 && frame_eip(false) == 0x200 && (frame_flags(false) & VIF), "VME: IRET (%d)", v);
    v = RUN86(v_int21, VIF | 0x200, VME);
    ok(v == 6 && frame_eip(false) == 0x200 && !(frame_flags(false) & VIF) && (frame_flags(false) & 0x200) &&
           (rig.ram[0x20fff] & 0x32) == 0x32,
       "VME: a clear bit of the bitmap sends INT n to the program, VIF and IOPL 3 in the image (%d)", v);
    vm86(v_int21, (unsigned)(v_int21_end - v_int21), 0, VME);
    rig.ram[R32_TSSA + IOMAP - 32 + 4] = 2;
    v = rig_run();
    ok(v == 13 && rig32_stack(0) == 0, "VME: a set bit with IOPL 0: #GP(0) (%d)", v);
}

GUEST(u_sti, ".code32; sti; ud2");
GUEST(u_cli, ".code32; cli; ud2");
static int user(const uint8_t *code, const uint8_t *end, uint32_t fl, uint32_t cr4)
{
    rig32_load(code, (unsigned)(end - code));
    rig.cpu->s->rflags = 2 | fl;
    rig.cpu->s->cr4 = cr4;
    rig32_user();
    return rig_run();
}
static void pvi(void)
{
    int v = user(u_sti, u_sti_end, 0, PVI);
    ok(v == 6 && (frame_flags(false) & VIF) && !(frame_flags(false) & 0x200), "PVI: STI sets VIF (%d)", v);
    v = user(u_cli, u_cli_end, VIF | 0x200, PVI);
    ok(v == 6 && !(frame_flags(false) & VIF) && (frame_flags(false) & 0x200), "PVI: CLI clears VIF (%d)", v);
    ok(user(u_sti, u_sti_end, VIP, PVI) == 13 && user(u_sti, u_sti_end, 0, VME) == 13,
       "... with VIP, or without PVI: #GP");
}

GUEST(v_in, ".code16; in $0x80, %al; ud2");
GUEST(v_inw, ".code16; in $0x87, %ax; ud2");
GUEST(v_last, ".code16; mov $0xffff, %dx; in %dx, %al; ud2");
static void io_bitmap(void)
{
    int v = RUN86(v_in, IOPL3, 0);
    ok(v == 6, "VM86: the bitmap decides, a clear bit allows (%d)", v);
    vm86(v_in, (unsigned)(v_in_end - v_in), IOPL3, 0);
    rig.ram[R32_TSSA + IOMAP + 0x10] = 1;
    v = rig_run();
    ok(v == 13 && rig32_stack(0) == 0, "... a set bit does not, whatever IOPL (%d)", v);
    vm86(v_inw, (unsigned)(v_inw_end - v_inw), IOPL3, 0);
    rig.ram[R32_TSSA + IOMAP + 0x11] = 1;
    v = rig_run();
    ok(v == 13, "... a word across two bytes of the bitmap looks at both (%d)", v);
    ok(RUN86(v_last, 0, 0) == 13, "... beyond the limit: #GP");
    vm86(v_in, (unsigned)(v_in_end - v_in), 0, 0);
    rig.cpu->s->seg[ABI_TR].limit = IOMAP + 0x10;
    ok(rig_run() == 13, "... two bytes are read: the one after must lie inside the limit");
}

GUEST(k_iret, ".code32; push $0x4000; push $0x5000; push $0x6000; push $0x7000; push $0x2000; push $0x800\n"
              "push $0x20002; push $0x1000; push $0; iret");
GUEST(v_regs, ".code16; mov %gs, %ax; mov %es, %bx; mov %sp, %cx; ud2");
static void entry(void)
{
    LOAD32(k_iret);
    rig_put(0x10000, v_regs, (unsigned)(v_regs_end - v_regs));
    int v = rig_run();
    ok(v == 6 && (uint16_t)rig_reg(RAX) == 0x4000 && (uint16_t)rig_reg(RBX) == 0x7000 &&
           (uint16_t)rig_reg(RCX) == 0x800 && (frame_flags(false) & VM),
       "IRET from ring 0 into VM86 (%d)", v);
}

int main(void)
{
    alarm(30);
    plain();
    vme();
    pvi();
    io_bitmap();
    entry();
    return ctest_done();
}
