/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Call gates of 16 and 64 bits, conforming code, IST and RSP0 that cannot be used, NT in IA-32e mode, a task
 * switch that loads CR3, selectors looked at by LAR, LSL, VERR, VERW and ARPL (SDM volume 2; volume 3, 5.8,
 * 6.14, 7.3). Trap list: "call gates"; "conforming"; "IST"; "Nested faults".
 */
#include "tests/unit/cpu/rig32.h"

#include <unistd.h>

GUEST(u_gate16, ".code32; pushw $0x1111; lcall $0x53, $0; int $0x80");
GUEST(k_gate16, ".code32; mov (%esp), %ebx; mov 4(%esp), %ecx; mov 8(%esp), %edx; " STOP32);
static void gate16(void)
{
    LOAD32U(u_gate16);
    rig_put(0x5000, k_gate16, (unsigned)(k_gate16_end - k_gate16));
    int v = rig_run();
    ok(v == STOPPED && rig_reg(RSP) == R32_SP0 - 10 && rig_reg(RBX) == ((RIG_CODE + 11) & 0xffff) + (S_UCODE << 16) &&
           rig_reg(RCX) == 0x1111 + (((RIG_STACK - 2) & 0xffff) << 16) && (uint16_t)rig_reg(RDX) == S_UDATA,
       "16-bit call gate to ring 0: words on the new stack (%d)", v);
}

GUEST(u_conf, ".code32; lcall $0x58, $0x110000; int $0x80");
GUEST(b_conf, ".code32; mov %cs, %ebx; lret");
GUEST(b_priv, ".code32; hlt");
static void conforming(void)
{
    LOAD32U(u_conf);
    LOADB(b_conf);
    int v = rig_run();
    ok(v == 0x80 && rig_reg(RBX) == (S_CONF | 3) && rig32_stack(1) == S_UCODE,
       "conforming code is entered at the caller's level (%d)", v);
    LOAD32U(u_conf);
    LOADB(b_priv);
    v = rig_run();
    ok(v == 13 && rig32_stack(2) == (S_CONF | 3), "... and has no more rights (%d)", v);
}

/* A 64-bit gate takes two entries: at the TSS's successor in the rig's table, 70h. */
GUEST(u_gate64, "lcall *1f(%rip); int $0x80; 1: .long 0; .word 0x73");
GUEST(k_gate64, "mov %cs, %ebx; mov %ss, %edx; mov (%rsp), %rsi; mov 24(%rsp), %rdi; lretq");
static void gate64(void)
{
    const uint64_t to = RIG_CODE + 0x800;
    uint64_t g[2] = {(to & 0xffff) | (uint64_t)SEL_CODE64 << 16 | 0xecull << 40 | (to >> 16) << 48, 0};
    for (unsigned bad = 0; bad < 2; bad++) {
        LOAD_USER(u_gate64);
        g[1] = bad ? 0x10000000000 : 0; /* the type field of the upper half must be 0 */
        rig_put(RIG_GDT + 0x70, g, 16);
        rig.cpu->s->gdtr.limit = 0x7f;
        rig_put(to, k_gate64, (unsigned)(k_gate64_end - k_gate64));
        int v = rig_run();
        if (bad)
            ok(v == 13 && rig_stack(0) == 0x70, "... whose upper half has a type: #GP (%d)", v);
        else
            ok(v == 0x80 && rig_reg(RBX) == SEL_CODE64 && rig_reg(RDX) == 0 && rig_reg(RSI) == RIG_USER + 6 &&
                   rig_reg(RDI) == SEL_UDATA && rig_stack(3) == RIG_USER + 0x10000,
               "64-bit call gate: SS is null in ring 0, RSP0, and RET back (%d)", v);
    }
}

GUEST(u_int, "int $0x80");
GUEST(k_ud, "ud2");
GUEST(k_nt, "pushf; orl $0x4000, (%rsp); popf; iretq");
static void long_events(void)
{
    const uint64_t bad = 0x800000000000;
    LOAD_USER(u_int);
    rig_put(RIG_TSS + 4, &bad, 8);
    rig_ist(12, 1);
    int v = rig_run();
    ok(v == 12 && rig_stack(0) == 0 && rig_stack(1) == RIG_USER && rig_stack(2) == SEL_UCODE64,
       "RSP0 is not canonical: #SS(0) of the INT (%d)", v);
    LOAD(k_ud);
    rig_put(RIG_TSS + 0x24, &bad, 8);
    rig_ist(6, 1);
    v = rig_run();
    ok(v == 12 && rig_stack(0) == 1 && rig_stack(1) == RIG_CODE, "IST is not canonical: #SS with EXT (%d)", v);
    LOAD(k_ud);
    rig_ist(6, 1);
    v = rig_run();
    ok(v == 6 && rig_reg(RSP) == RIG_IST1 - 40 && rig_stack(3) == RIG_STACK,
       "IST: a new stack without a change of level (%d)", v);
    LOAD(k_nt);
    v = rig_run();
    ok(v == 13 && rig_stack(0) == 0 && rig_stack(1) == RIG_CODE + 9, "IRET with NT in IA-32e mode: #GP(0) (%d)", v);
}

GUEST(g_jmp_b, ".code32; ljmp $0x30, $0");
GUEST(b_stop, ".code32; mov 0x400000, %ebx; " STOP32);
static void paged_task(void)
{
    const uint32_t dir = 0x30000, other = 0x31000, here = 0x400000, there = 0x800000;
    LOAD32(g_jmp_b);
    LOADB(b_stop);
    for (uint32_t i = 0; i < 8; i++) {
        uint32_t pde = i << 22 | 0x83, pde2 = (i == 1 ? 2 : i) << 22 | 0x83;
        rig_put(dir + 4 * i, &pde, 4);
        rig_put(other + 4 * i, &pde2, 4);
    }
    rig_put(here, "\1\0\0\0", 4);
    rig_put(there, "\2\0\0\0", 4);
    rig32_tss(R32_TSSB, 0x1c, other);
    rig.cpu->s->cr4 = 0x10;
    rig.cpu->s->cr3 = dir;
    rig.cpu->s->cr0 |= 0x80000000u;
    cpu_state_load(rig.cpu);
    int v = rig_run();
    ok(v == STOPPED && rig_reg(RBX) == 2 && rig.cpu->s->cr3 == other, "a task switch with paging loads CR3 (%d)", v);
}

GUEST(g_look, ".code32; mov $0x10, %ecx; lar %ecx, %eax; lsl %ecx, %edx; verr %cx; setz %bl; mov $8, %ecx\n"
              "verw %cx; setz %bh; mov $0x40, %ecx; lsl %ecx, %esi; setz %cl; mov $0x10, %di; mov $3, %bp\n"
              "arpl %bp, %di; setz %ch; " STOP32);
static void selectors(void)
{
    LOAD32(g_look);
    rig.cpu->gpr[RSI] = 0x55;
    int v = rig_run();
    ok(v == STOPPED && rig_reg(RAX) == 0xcf9300 && rig_reg(RDX) == ~0u && (rig_reg(RBX) & 0xffff) == 1,
       "LAR, LSL, VERR, VERW of data and code (%d)", v);
    ok(rig_reg(RSI) == 0x55 && (rig_reg(RCX) & 0xffff) == 0x100 && (uint16_t)rig_reg(RDI) == 0x13,
       "LSL of a task gate changes nothing; ARPL raises the RPL");
}

int main(void)
{
    alarm(30);
    gate16();
    conforming();
    gate64();
    long_events();
    paged_task();
    selectors();
    return ctest_done();
}
