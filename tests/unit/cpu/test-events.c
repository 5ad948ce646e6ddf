/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Exceptions, interrupts and system calls in IA-32e mode against the manual: frames, error codes,
 * stacks, shadows, single step, double and triple faults (SDM volume 3, chapter 6).
 */
#include "tests/unit/cpu/rig.h"

#include <string.h>
#include <unistd.h>

GUEST(g_ud, "mov $0x1234, %ebx; nop; ud2");
GUEST(g_gp, "nop; mov $0x58f8, %eax; mov %ax, %ds");
GUEST(g_de, "mov %rsp, %rbx; sub $5, %rsp; xor %ecx, %ecx; div %ecx");
GUEST(g_int3, "int3");
GUEST(g_int90, "int $0x90");
GUEST(g_int80, "int $0x80");
GUEST(g_iretq,
      "mov %ss, %eax; push %rax; lea -64(%rsp), %rax; push %rax; pushfq; mov %cs, %eax; push %rax\n"
      "lea 1f(%rip), %rax; push %rax; iretq; ud2; 1: mov $7, %ebx; " STOP);
GUEST(g_to_user, "push $0x2b; push $0x410000; push $0x202; push $0x33; push $0x400000; iretq");
GUEST(g_user_int, "mov $5, %ebx; int $0x80");
GUEST(g_hlt, "hlt");
GUEST(g_nmi_stack, "mov $0x123456789, %rsp; push %rax");

static void delivery(void)
{
    LOAD(g_ud);
    int v = rig_run();
    ok(v == 6 && same_u64("rip", rig_stack(0), RIG_CODE + 6) &&
           same_u64("cs", rig_stack(1), SEL_CODE64) && same_u64("rsp", rig_stack(3), RIG_STACK) &&
           same_u64("ss", rig_stack(4), SEL_DATA) && rig_reg(RSP) == RIG_STACK - 40 &&
           (rig_stack(2) & 0x10000),
       "#UD: frame without error code, RF set");
    LOAD(g_gp);
    v = rig_run();
    ok(v == 13 && same_u64("error", rig_stack(0), 0x58f8) &&
           same_u64("rip", rig_stack(1), RIG_CODE + 6) && rig_reg(RSP) == RIG_STACK - 48,
       "#GP: selector as the error code, rip of the instruction");
    LOAD(g_de);
    v = rig_run();
    ok(v == 0 && same_u64("rsp", rig_reg(RSP), ((RIG_STACK - 5) & ~15u) - 40) &&
           same_u64("old rsp", rig_stack(3), RIG_STACK - 5),
       "the frame is aligned to 16 bytes");
    LOAD(g_ud);
    rig_ist(6, 1);
    v = rig_run();
    ok(v == 6 && same_u64("rsp", rig_reg(RSP), RIG_IST1 - 40), "IST");
}
static void software(void)
{
    LOAD(g_int3);
    ok(rig_run() == 3 && rig_stack(0) == RIG_CODE + 1, "INT3: rip after the instruction");
    LOAD(g_int90);
    ok(rig_run() == 0x90 && rig_stack(0) == RIG_CODE + 2, "INT n at CPL 0");
    LOAD_USER(g_int90);
    int v = rig_run();
    ok(v == 13 && same_u64("error", rig_stack(0), 0x90 * 8 + 2) &&
           same_u64("rip", rig_stack(1), RIG_USER) && same_u64("cs", rig_stack(2), SEL_UCODE64),
       "INT n with DPL 0 from CPL 3: #GP, rip of the INT");
    LOAD_USER(g_int80);
    v = rig_run();
    ok(v == 0x80 && rig_stack(0) == RIG_USER + 2 && rig_stack(1) == SEL_UCODE64 &&
           same_u64("rsp", rig_reg(RSP), RIG_STACK0 - 40) && rig.cpu->cpl == 0 &&
           same_u64("ss", rig.cpu->s->seg[ABI_SS].selector, 0),
       "INT n to CPL 0: stack of the TSS, SS null");
    LOAD_USER(g_hlt);
    ok(rig_run() == 13 && rig_stack(0) == 0 && rig_stack(1) == RIG_USER,
       "HLT in user mode: #GP(0)");
}
static void iret(void)
{
    LOAD(g_iretq);
    ok(rig_run() == STOPPED && rig_reg(RBX) == 7 && rig_reg(RSP) == RIG_STACK - 8 - 64,
       "IRETQ at one level loads the stack pointer");
    LOAD(g_to_user);
    rig_put(RIG_USER, g_user_int, (unsigned)(g_user_int_end - g_user_int));
    int v = rig_run();
    ok(v == 0x80 && rig_reg(RBX) == 5 && rig_stack(0) == RIG_USER + 7 && rig_stack(3) == 0x410000 &&
           rig_stack(4) == SEL_UDATA,
       "IRETQ to user mode and INT back");
}

GUEST(g_df, "ud2");
static void double_fault(void)
{
    LOAD(g_df);
    rig.ram[RIG_IDT + 6 * 16 + 5] &= 0x7f; /* #UD gate not present: benign, then #NP */
    int v = rig_run();
    ok(v == 11 && same_u64("error", rig_stack(0), 6 * 8 + 3),
       "gate not present: #NP with the vector, EXT");
    LOAD(g_gp);
    rig.ram[RIG_IDT + 13 * 16 + 5] &= 0x7f;
    v = rig_run();
    ok(v == 8 && rig_stack(0) == 0 && same_u64("rip", rig_stack(1), RIG_CODE + 6),
       "contributory on contributory: #DF(0)");
    LOAD(g_gp);
    rig.ram[RIG_IDT + 13 * 16 + 5] &= 0x7f;
    rig.ram[RIG_IDT + 8 * 16 + 5] &= 0x7f;
    int r = bare_run(&rig);
    ok(r == CPU_EXIT_TRIPLE_FAULT && rig.cpu->rip == RIG_CODE + 6, "no #DF gate: triple fault");
    LOAD(g_nmi_stack); /* the push faults, and so does the frame on the same stack */
    v = rig_run();
    ok(v == -1 || bare_run(&rig) == CPU_EXIT_TRIPLE_FAULT, "no usable stack: shutdown");
}

GUEST(g_syscall, "mov %rsp, %rbx; syscall; nop");
GUEST(g_sysret, "mov $0x400000, %ecx; mov $0x202, %r11d; mov $0x410000, %esp; sysretq");
GUEST(g_sysret_bad, "mov $0x8000000000000000, %rcx; mov $0x202, %r11d; sysretq");
static void fast_calls(void)
{
    LOAD_USER(g_syscall);
    rig.cpu->s->star = (uint64_t)0x20 << 48 | (uint64_t)SEL_CODE64 << 32;
    rig.cpu->s->lstar = RIG_STUBS + 16 * 0x77;
    rig.cpu->s->sfmask = 0x300;
    int v = rig_run();
    ok(v == 0x77 && rig_reg(RCX) == RIG_USER + 5 && same_u64("r11", rig_reg(11), 0x202) &&
           !(cpu_rflags(rig.cpu) & 0x300) && rig.cpu->s->seg[ABI_CS].selector == SEL_CODE64 &&
           rig.cpu->s->seg[ABI_SS].selector == SEL_DATA && rig.cpu->cpl == 0 &&
           rig_reg(RSP) == rig_reg(RBX),
       "SYSCALL");
    LOAD(g_sysret);
    rig.cpu->s->star = (uint64_t)0x20 << 48;
    rig_put(RIG_USER, g_user_int, (unsigned)(g_user_int_end - g_user_int));
    v = rig_run();
    ok(v == 0x80 && rig_stack(1) == SEL_UCODE64 && rig_stack(4) == SEL_UDATA &&
           rig_stack(3) == 0x410000,
       "SYSRET to 64-bit user mode");
    LOAD(g_sysret_bad);
    uint32_t vendor = rig.cpu->vendor;
    rig.cpu->vendor = ABI_CPU_INTEL; /* AMD: test-fast-call.c */
    v = rig_run();
    rig.cpu->vendor = vendor;
    ok(v == 13 && rig_stack(2) == SEL_CODE64 && same_u64("rip", rig_stack(1), RIG_CODE + 16),
       "SYSRET to an address that is not canonical: #GP in ring 0");
}

/* x2APIC on, then a fixed interrupt of vector 40 to ourselves. */
#define SELF_IPI                                                                                   \
    "mov $0x1b, %ecx; rdmsr; or $0xc00, %eax; wrmsr; mov $0x80f, %ecx; mov $0x1ff, %eax; xor "     \
    "%edx, %edx\n"                                                                                 \
    "wrmsr; mov $0x83f, %ecx; mov $0x40, %eax; wrmsr; xor %ebx, %ebx\n"
GUEST(g_sti1, SELF_IPI "sti; inc %ebx; inc %ebx; inc %ebx; " STOP);
GUEST(g_sti_hlt, SELF_IPI "sti; hlt; inc %ebx; " STOP);
GUEST(g_sti_cli, SELF_IPI "sti; cli; inc %ebx; nop; " STOP);
GUEST(g_popf, SELF_IPI "pushq $0x202; popfq; inc %ebx; inc %ebx; " STOP);
GUEST(g_sti_jmp, SELF_IPI "sti; jmp 1f; 1: inc %ebx; inc %ebx; " STOP);
GUEST(g_sti_fault, SELF_IPI "sti; ud2");
GUEST(g_sti_page, SELF_IPI
      "jmp 1f; .org g_sti_page+4080; 1: nop; .org g_sti_page+4095; sti; inc %ebx; inc %ebx; " STOP);
GUEST(g_sti_ss, SELF_IPI "mov %ss, %eax; sti; mov %eax, %ss; inc %ebx; inc %ebx; " STOP);
GUEST(g_loop, SELF_IPI "sti; nop; 1: inc %ebx; jmp 1b");

static void shadow(const uint8_t *code, const uint8_t *end, int vector, uint64_t ebx,
                   const char *name)
{
    rig_load(code, (unsigned)(end - code));
    int v = rig_run();
    ok(same_u64("vector", (uint64_t)v, (uint64_t)vector) && same_u64("ebx", rig_reg(RBX), ebx),
       "%s", name);
}
static void shadows(void)
{
    shadow(g_sti1, g_sti1_end, 0x40, 1, "STI: one instruction, then the interrupt");
    shadow(g_sti_hlt, g_sti_hlt_end, 0x40, 0, "STI; HLT wakes up");
    ok(rig.ram[rig_stack(0) - 1] == 0xf4 && !rig.cpu->s->halted, "... with rip after the HLT");
    shadow(g_sti_cli, g_sti_cli_end, STOPPED, 1, "STI; CLI: no interrupt");
    shadow(g_popf, g_popf_end, 0x40, 0, "POPF has no shadow");
    shadow(g_sti_jmp, g_sti_jmp_end, 0x40, 0, "STI; JMP");
    shadow(g_sti_fault, g_sti_fault_end, 6, 0, "STI; a fault comes first");
    shadow(g_sti_page, g_sti_page_end, 0x40, 1, "STI as the last byte of a page");
    shadow(g_loop, g_loop_end, 0x40, 0, "a pending interrupt is taken before a loop goes on");
    LOAD(g_sti_ss);
    int v = rig_run();
    ok(v == 0x40 && rig_reg(RBX) <= 1, "STI; MOV SS");
}

/* An NMI wakes HLT whatever IF says, is not nested, and IRET lets the next one in. */
GUEST(g_nmi,
      "mov $0x1b, %ecx; rdmsr; or $0xc00, %eax; wrmsr; mov $0x80f, %ecx; mov $0x1ff, %eax\n"
      "xor %edx, %edx; wrmsr; mov $0x830, %ecx; mov $0x40400, %eax; cli; xor %ebx, %ebx; wrmsr\n"
      "hlt; inc %ebx; " STOP);
static void nmi(void)
{
    LOAD(g_nmi);
    int v = rig_run();
    ok(v == 2 && rig.cpu->s->nmi_blocked == 1 && !rig.cpu->s->halted, "NMI with IF clear (%d)", v);
}

#define TF_ON "pushfq; orl $0x100, (%rsp); popfq\n"
GUEST(g_tf, "xor %ebx, %ebx; " TF_ON "inc %ebx; inc %ebx; " STOP);
GUEST(g_tf_ss, "xor %ebx, %ebx; mov %ss, %eax; " TF_ON "mov %eax, %ss; inc %ebx; inc %ebx; " STOP);
GUEST(g_tf_int, TF_ON "int $0x80");
GUEST(g_tf_syscall, "pushfq; orl $0x100, (%rsp); popfq; syscall");
GUEST(g_tf_ud, TF_ON "ud2");
GUEST(g_tf_pushf, TF_ON "pushfq; pop %rbx; " STOP);
static void single_step(void)
{
    LOAD(g_tf);
    int v = rig_run();
    ok(v == 1 && rig_reg(RBX) == 1 && (rig_stack(2) & 0x100) && !(cpu_rflags(rig.cpu) & 0x100) &&
           (rig.cpu->s->dr[6] & 0x4000),
       "TF: #DB after one instruction, DR6.BS");
    LOAD(g_tf_ss);
    v = rig_run();
    ok(v == 1 && same_u64("ebx", rig_reg(RBX), 1),
       "MOV SS holds the trap back for one instruction");
    LOAD(g_tf_int);
    v = rig_run();
    ok(v == 0x80, "INT n clears TF: no trap at the handler's entry (vector %d)", v);
    LOAD(g_tf_ud);
    v = rig_run();
    ok(v == 6 && (rig_stack(2) & 0x100), "a fault under TF is the fault alone (vector %d)", v);
    LOAD_USER(g_tf_syscall);
    rig.cpu->s->star = (uint64_t)0x20 << 48 | (uint64_t)SEL_CODE64 << 32;
    rig.cpu->s->lstar = RIG_STUBS + 16 * 0x77;
    rig.cpu->s->sfmask = 0x300;
    v = rig_run();
    ok(v == 0x77, "SYSCALL with TF masked: no trap (vector %d)", v);
    LOAD(g_tf_pushf);
    v = rig_run();
    ok(v == 1, "PUSHF under TF");
}

int main(void)
{
    alarm(30);
    delivery();
    software();
    iret();
    double_fault();
    fast_calls();
    shadows();
    nmi();
    single_step();
    return ctest_done();
}
