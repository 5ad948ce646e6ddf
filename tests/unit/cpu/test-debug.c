/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Debug registers and traps (SDM volume 3, chapter 18). Trap list: "TF single step ... after iteration for
 * REP", "RF semantics", "DR7 general detect", "data breakpoints trap after, instruction breakpoints fault
 * before", "I/O breakpoints CR4.DE", "BTF", "ICEBP", "MOV SS + #DB interplay (CVE-2018-8897)".
 */
#include "tests/unit/cpu/rig.h"

#include <unistd.h>

#define DR6(bits) (0xffff0ff0u | (bits))
#define TF_ON     "pushfq; orl $0x100, (%rsp); popfq\n"

/* DR0 = at, DR7 = how; then the code runs. */
static int with_dr(const uint8_t *code, const uint8_t *end, uint64_t at, uint64_t dr7)
{
    rig_load(code, (unsigned)(end - code));
    rig.cpu->s->dr[0] = at;
    rig.cpu->s->dr[7] = 0x400 | dr7;
    rig.cpu->s->debugctl = rig.cpu->s->db_pending = 0;
    cpu_state_load(rig.cpu);
    return rig_run();
}
#define WITH_DR(NAME, AT, DR7) with_dr(NAME, NAME##_end, AT, DR7)

GUEST(g_inc, "xor %ebx, %ebx; inc %ebx; inc %ebx; " STOP);
GUEST(g_store, "mov $0x20000, %esi; movl $1, 4(%rsi); movb $2, 3(%rsi); inc %ebx; " STOP);
GUEST(g_load, "mov $0x20000, %esi; mov (%rsi), %eax; inc %ebx; " STOP);
GUEST(g_rep, "mov $0x20000, %edi; mov $8, %ecx; cld; rep stosb; " STOP);
GUEST(g_out, "out %al, $0x80; inc %ebx; " STOP);
static void code_breakpoints(void)
{
    int v = WITH_DR(g_inc, RIG_CODE + 4, 2);
    ok(v == 1 && rig_reg(RBX) == 1 && same_u64("rip", rig_stack(0), RIG_CODE + 4) &&
           same_u64("dr6", rig.cpu->s->dr[6], DR6(1)) && !(rig_stack(2) & 0x10000),
       "instruction breakpoint: a fault before the instruction, RF clear in the image (%d)", v);
    v = WITH_DR(g_inc, RIG_CODE + 3, 2);
    ok(v == STOPPED, "an address inside an instruction does not match (%d)", v);
    v = WITH_DR(g_inc, RIG_CODE + 4, 0);
    ok(v == STOPPED, "not enabled: nothing (%d)", v);
    rig_load(g_inc, (unsigned)(g_inc_end - g_inc));
    rig.cpu->s->dr[0] = RIG_CODE;
    rig.cpu->s->dr[7] = 0x402;
    rig.cpu->s->rflags |= 0x10000;
    cpu_state_load(rig.cpu);
    v = rig_run();
    ok(v == STOPPED && rig_reg(RBX) == 2 && !(cpu_rflags(rig.cpu) & 0x10000),
       "RF holds it back for one instruction and is then clear (%d)", v);
}
static void data_breakpoints(void)
{
    int v = WITH_DR(g_store, 0x20004, 2 | 1 << 16 | 3 << 18);
    ok(v == 1 && same_u64("rip", rig_stack(0), RIG_CODE + 12) && rig_mem32(0x20004) == 1 &&
           same_u64("dr6", rig.cpu->s->dr[6], DR6(1)),
       "write breakpoint: a trap after the store (%d)", v);
    v = WITH_DR(g_store, 0x20003, 2 | 1 << 16);
    ok(v == 1 && rig_stack(0) == RIG_CODE + 16, "... of one byte: its neighbours do not match (%d)", v);
    v = WITH_DR(g_store, 0x20007, 2 | 1 << 16 | 3 << 18);
    ok(v == 1 && rig_stack(0) == RIG_CODE + 12, "... the address is aligned to the length (%d)", v);
    v = WITH_DR(g_load, 0x20000, 2 | 1 << 16);
    ok(v == STOPPED, "a write breakpoint ignores loads (%d)", v);
    v = WITH_DR(g_load, 0x20001, 2 | 3 << 16);
    ok(v == 1 && rig_stack(0) == RIG_CODE + 7, "an access breakpoint does not (%d)", v);
    v = WITH_DR(g_rep, 0x20002, 2 | 1 << 16);
    ok(v == 1 && same_u64("rcx", rig_reg(RCX), 5) && same_u64("rip", rig_stack(0), RIG_CODE + 11) &&
           (rig_stack(2) & 0x10000),
       "REP: a trap after the iteration, RF set in the image (%d)", v);
}
static void io_breakpoints(void)
{
    rig_load(g_out, (unsigned)(g_out_end - g_out));
    rig.cpu->s->cr4 |= 8;
    rig.cpu->s->dr[0] = 0x80;
    rig.cpu->s->dr[7] = 0x402 | 2 << 16;
    cpu_state_load(rig.cpu);
    int v = rig_run();
    ok(v == 1 && rig_stack(0) == RIG_CODE + 2 && rig.cpu->s->dr[6] == DR6(1), "I/O breakpoint (%d)", v);
    v = WITH_DR(g_out, 0x80, 2 | 2 << 16);
    ok(v == STOPPED, "... only with CR4.DE (%d)", v);
}

GUEST(g_gd, "mov $0x2400, %eax; mov %rax, %dr7; mov %dr0, %rbx; " STOP);
GUEST(g_dr4, "mov $0x3, %eax; mov %rax, %dr4; mov %dr6, %rbx; mov %cr4, %rax; or $8, %eax; mov %rax, %cr4\n"
             "mov %dr5, %rax");
GUEST(g_dr7_hi, "mov $0x100000000, %rax; mov %rax, %dr7");
static void registers(void)
{
    LOAD(g_gd);
    int v = rig_run();
    ok(v == 1 && rig_stack(0) == RIG_CODE + 8 && rig.cpu->s->dr[6] == DR6(0x2000) &&
           !(rig.cpu->s->dr[7] & 0x2000) && (rig_stack(2) & 0x10000),
       "general detect: a fault, DR6.BD, and GD is clear in the handler (%d)", v);
    LOAD(g_dr4);
    v = rig_run();
    ok(v == 6 && (rig_reg(RBX) & 0xffffffff) == DR6(3), "DR4 is DR6; #UD with CR4.DE (%d)", v);
    LOAD(g_dr7_hi);
    v = rig_run();
    ok(v == 13 && rig_stack(0) == 0, "upper half of DR7: #GP(0) (%d)", v);
}

GUEST(g_ss_int, "mov $0x20000, %esi; mov (%rsi), %ss; int $0x80");
GUEST(g_ss_nop, "mov $0x20000, %esi; mov (%rsi), %ss; nop; nop; " STOP);
GUEST(g_ss_ud, "mov $0x20000, %esi; mov (%rsi), %ss; ud2");
static int load_ss(const uint8_t *code, const uint8_t *end)
{
    static const uint16_t sel = SEL_DATA;
    rig_load(code, (unsigned)(end - code));
    rig_put(0x20000, &sel, 2);
    rig.cpu->s->dr[0] = 0x20000;
    rig.cpu->s->dr[7] = 0x402 | 3 << 16 | 1 << 18;
    cpu_state_load(rig.cpu);
    return rig_run();
}
static void mov_ss(void)
{
    int v = load_ss(g_ss_int, g_ss_int_end);
    ok(v == 1 && same_u64("rip", rig_stack(0), RIG_STUBS + 16 * 0x80),
       "MOV SS with a data breakpoint, INT n: #DB at the handler's first instruction (%d)", v);
    v = load_ss(g_ss_nop, g_ss_nop_end);
    ok(v == 1 && same_u64("rip", rig_stack(0), RIG_CODE + 8), "... NOP: after it (%d)", v);
    v = load_ss(g_ss_ud, g_ss_ud_end);
    ok(v == 6, "... a fault: the fault alone (%d)", v);
    rig_load(g_ss_nop, (unsigned)(g_ss_nop_end - g_ss_nop));
    rig_put(0x20000, "\x18", 2);
    rig.cpu->s->dr[0] = RIG_CODE + 7;
    rig.cpu->s->dr[7] = 0x402;
    cpu_state_load(rig.cpu);
    v = rig_run();
    ok(v == STOPPED, "MOV SS holds back an instruction breakpoint on the next one (%d)", v);
}

GUEST(g_tf_rep, "mov $0x20000, %edi; mov $8, %ecx; cld; " TF_ON "rep stosb; " STOP);
GUEST(g_btf, "mov $0x1d9, %ecx; mov $2, %eax; xor %edx, %edx; wrmsr; xor %ebx, %ebx; " TF_ON
             "inc %ebx; inc %ebx; jmp 1f; nop; 1: inc %ebx; " STOP);
GUEST(g_icebp, "nop; .byte 0xf1");
GUEST(g_sysret_tf, "mov $0x400000, %ecx; mov $0x302, %r11d; sysretq");
GUEST(u_inc, "inc %ebx; int $0x80");
GUEST(g_tf_hlt, TF_ON "hlt; nop");
static void traps(void)
{
    LOAD(g_tf_rep);
    int v = rig_run();
    ok(v == 1 && rig_reg(RCX) == 7 && (rig_stack(2) & 0x10000) && rig.ram[rig_stack(0)] == 0xf3,
       "TF: a trap after each iteration of REP, RF set in the image (%d)", v);
    LOAD(g_btf);
    v = rig_run();
    ok(v == 1 && rig_reg(RBX) == 2 && !rig.cpu->s->debugctl && (rig.cpu->s->dr[6] & 0x4000),
       "BTF: a trap after the taken branch; #DB clears BTF (%d)", v);
    LOAD(g_icebp);
    rig.cpu->s->dr[6] = DR6(0);
    v = rig_run();
    ok(v == 1 && rig_stack(0) == RIG_CODE + 2 && rig.cpu->s->dr[6] == DR6(0), "INT1: a trap, DR6 unchanged (%d)", v);
    LOAD(g_sysret_tf);
    rig.cpu->s->star = (uint64_t)0x20 << 48;
    rig_put(RIG_USER, u_inc, (unsigned)(u_inc_end - u_inc));
    v = rig_run();
    ok(v == 1 && rig_stack(0) == RIG_USER && rig_stack(1) == SEL_UCODE64,
       "SYSRET that sets TF: a trap before the first user instruction (%d)", v);
    LOAD(g_tf_hlt);
    v = rig_run();
    ok(v == 1 && !rig.cpu->s->halted, "TF over HLT: the trap ends the halt (%d)", v);
}

int main(void)
{
    alarm(30);
    code_breakpoints();
    data_breakpoints();
    io_breakpoints();
    registers();
    mov_ss();
    traps();
    return ctest_done();
}
