/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MONITOR and MWAIT on one vCPU: who may, what faults, what ends the wait but a store (test-smp-monitor.c has
 * the store); CLZERO, MOVDIRI and MOVDIR64B (SDM volume 2; APM volume 3).
 */
#include "tests/unit/cpu/rig.h"

#include <string.h>
#include "ipc/cpu-model.h"

#define MSR_MISC "mov $0x1a0, %ecx; rdmsr; and $~(1 << 18), %eax; wrmsr\n"
#define ARM      "mov $0x20000, %eax; xor %ecx, %ecx; xor %edx, %edx; monitor\n"
#define ARMX     "mov $0x20000, %eax; xor %ecx, %ecx; xor %edx, %edx; monitorx\n"
#define SELF_IPI "mov $0xfee00000, %edi; movl $0x1ff, 0xf0(%rdi); movl $0x40061, 0x300(%rdi)\n"

GUEST(g_monitor, ARM STOP);
GUEST(g_user_mon, "mov $0x410000, %eax; xor %ecx, %ecx; xor %edx, %edx; monitor");
GUEST(g_user_mwait, "xor %eax, %eax; xor %ecx, %ecx; mwait");
GUEST(g_user_x, "mov $0x410000, %eax; xor %ecx, %ecx; xor %edx, %edx; monitorx; xor %ebx, %ebx; mov $2, %ecx; mwaitx; int $0x80");
GUEST(g_mon_ecx, "mov $0x20000, %eax; mov $1, %ecx; monitor");
GUEST(g_mon_rcx, "mov $0x20000, %eax; mov $1, %ecx; shl $32, %rcx; monitor");
GUEST(g_mwait_ecx, ARM "mov $2, %ecx; mwait");
GUEST(g_mwaitx_ecx, ARMX "mov $4, %ecx; mwaitx");
GUEST(g_mon_pf, "mov $0x800123, %eax; xor %ecx, %ecx; xor %edx, %edx; monitor");
GUEST(g_mon_fs, "mov $0xc0000100, %ecx; mov $0x800000, %eax; xor %edx, %edx; wrmsr; mov $0x456, %eax; xor %ecx, %ecx; fs monitor");
GUEST(g_unarmed, "xor %eax, %eax; xor %ecx, %ecx; mwait; mov $7, %ebx; " STOP);
GUEST(g_twice, ARM SELF_IPI "mov $1, %ecx; mwait; mwait; mov $8, %ebx; " STOP);
GUEST(g_mmio, "mov $0xfed00000, %eax; xor %ecx, %ecx; xor %edx, %edx; monitor; mwait; mov $9, %ebx; " STOP);
GUEST(g_off, MSR_MISC "mov $1, %eax; cpuid; mov %ecx, %esi; " ARM STOP);
GUEST(g_hwcr, "mov $0xc0010015, %ecx; mov $0x400, %eax; xor %edx, %edx; wrmsr; lea 1f(%rip), %rax\n"
      "push $0x2b; push $0x410000; push $2; push $0x33; mov $0x400000, %ebx; sub $0x100000, %rax; add %rax, %rbx\n"
      "push %rbx; iretq; 1: mov $0x410000, %eax; xor %ecx, %ecx; xor %edx, %edx; monitor; int $0x80");
GUEST(g_leaf5, "mov $5, %eax; cpuid; mov %eax, %esi; mov %ecx, %edi; " STOP);

static void rights(void)
{
    LOAD(g_monitor);
    ok(rig_run() == STOPPED, "MONITOR at CPL 0");
    LOAD_USER(g_user_mon);
    ok(rig_run() == 6, "MONITOR at CPL 3: #UD");
    LOAD_USER(g_user_mwait);
    ok(rig_run() == 6, "MWAIT at CPL 3: #UD");
    LOAD_USER(g_user_x);
    ok(rig_run() == 0x80, "MONITORX and MWAITX at CPL 3");
    LOAD(g_mon_ecx);
    ok(rig_run() == 13, "MONITOR with an extension in ECX: #GP");
    LOAD(g_mon_rcx);
    ok(rig_run() == 13, "MONITOR with a bit in the upper half of RCX: #GP");
    LOAD(g_mwait_ecx);
    ok(rig_run() == 13, "MWAIT with ECX bit 1: #GP");
    LOAD(g_mwaitx_ecx);
    ok(rig_run() == 13, "MWAITX with ECX bit 2: #GP");
    LOAD(g_mon_pf);
    ok(rig_run() == 14 && same_u64("cr2", rig.cpu->s->cr2, 0x800123) && same_u64("error", rig_stack(0), 0),
       "MONITOR of a page that is not present: #PF of a read");
    LOAD(g_mon_fs);
    ok(rig_run() == 14 && same_u64("cr2", rig.cpu->s->cr2, 0x800456), "a segment prefix holds for MONITOR");
}
static void switches(void)
{
    uint32_t was = rig.cpu->vendor;
    rig.cpu->vendor = ABI_CPU_INTEL;
    LOAD(g_off);
    ok(rig_run() == 6 && !(rig_reg(RSI) & 8), "IA32_MISC_ENABLE bit 18 clear: CPUID has no MONITOR, it is #UD");
    LOAD(g_leaf5);
    ok(rig_run() == STOPPED && same_u64("line", rig_reg(RSI), 64) && same_u64("ecx", rig_reg(RDI), 3),
       "CPUID leaf 5: lines of 64 bytes, masked interrupts as break events");
    rig.cpu->vendor = ABI_CPU_AMD;
    LOAD(g_hwcr);
    rig_put(RIG_USER, g_hwcr, (unsigned)(g_hwcr_end - g_hwcr));
    ok(rig_run() == 0x80, "AMD: HWCR.MonMwaitUserEn lets CPL 3 have MONITOR");
    rig.cpu->vendor = was;
}
static void no_wait(void)
{
    LOAD(g_unarmed);
    ok(rig_run() == STOPPED && rig_reg(RBX) == 7, "MWAIT with nothing armed goes on");
    LOAD(g_mmio);
    ok(rig_run() == STOPPED && rig_reg(RBX) == 9, "MWAIT after MONITOR of a device goes on");
    LOAD(g_twice);
    ok(rig_run() == STOPPED && rig_reg(RBX) == 8, "MWAIT ends by a masked interrupt (ECX bit 0), and disarms");
}

#define TICKS "rdtsc; shl $32, %rdx; or %rdx, %rax\n"
/* r8 = ticks that MWAITX took with that ECX and EBX, an interrupt waiting behind IF = 0. */
#define TIMED(ECX, EBX)                                                                            \
    ARMX SELF_IPI "mov $" EBX ", %ebx; " TICKS "mov %rax, %r8; mov $" ECX ", %ecx; xor %eax, %eax; mwaitx\n" TICKS \
    "sub %r8, %rax; mov %rax, %r8; " STOP
GUEST(g_timed, TIMED("2", "3000000"));
GUEST(g_timed_masked, TIMED("3", "0xffffffff"));
GUEST(g_irq, SELF_IPI ARM "sti; mwait; 1: nop; " STOP);
GUEST(g_irq_between, ARM "sti; nop; " SELF_IPI "jmp 1f; 1: cli; mov $0, %ecx; mwait; mov $5, %ebx; " STOP);
GUEST(g_eoi, "push %rdi; mov $0xfee00000, %edi; movl $0, 0xb0(%rdi); pop %rdi; inc %r9; iretq");
static void ends(void)
{
    LOAD(g_timed);
    ok(rig_run() == STOPPED && rig_reg(8) >= 3000000, "MWAITX waits as long as EBX says");
    LOAD(g_timed_masked);
    ok(rig_run() == STOPPED && rig_reg(8) < 0xffffffff, "ECX bit 0: a masked interrupt ends it before");
    LOAD(g_irq);
    rig.cpu->s->rflags = 2;
    ok(rig_run() == 0x61 && same_u64("rip", rig_stack(0), RIG_CODE + (unsigned)(g_irq_end - g_irq) - 11),
       "an interrupt ends MWAIT, which is not restarted");
    LOAD(g_irq_between);
    rig_put(0x60000, g_eoi, (unsigned)(g_eoi_end - g_eoi));
    rig_gate(0x61, 0x60000, 0x8e);
    ok(rig_run() == STOPPED && rig_reg(RBX) == 5 && rig_reg(9) == 1, "an interrupt between MONITOR and MWAIT disarms");
}

GUEST(g_clzero, "mov $0x20047, %eax; .byte 0x0f, 0x01, 0xfc; " STOP);
GUEST(g_clzero_ro, "mov $0x800040, %eax; .byte 0x0f, 0x01, 0xfc");
GUEST(g_movdiri, "mov $0x20000, %edi; movabs $0x1122334455667788, %rax; .byte 0x48, 0x0f, 0x38, 0xf9, 0x07\n"
      ".byte 0x0f, 0x38, 0xf9, 0x47, 0x10; " STOP);
GUEST(g_movdir, "mov $0x20003, %esi; mov $0x20080, %edi; .byte 0x66, 0x0f, 0x38, 0xf8, 0x3e; " STOP);
GUEST(g_movdir_odd, "mov $0x20000, %esi; mov $0x20088, %edi; .byte 0x66, 0x0f, 0x38, 0xf8, 0x3e");
static void lines(void)
{
    uint8_t *p;
    bool good = true;
    LOAD(g_clzero);
    p = rig.ram + 0x20000;
    memset(p, 0xaa, 256);
    ok(rig_run() == STOPPED, "CLZERO");
    for (unsigned i = 0; i < 256; i++)
        good &= p[i] == (i >= 0x40 && i < 0x80 ? 0 : 0xaa);
    ok(good, "CLZERO clears the whole line that holds rAX, and nothing else");
    LOAD(g_clzero_ro);
    rig_map(0, 0x200000 | 1);
    ok(rig_run() == 14 && same_u64("error", rig_stack(0), 3), "CLZERO of a read-only page: #PF of a write");
    LOAD(g_movdiri);
    p = rig.ram + 0x20000;
    ok(rig_run() == STOPPED && !memcmp(p, "\x88\x77\x66\x55\x44\x33\x22\x11", 8) && !memcmp(p + 16, "\x88\x77\x66\x55\0", 5),
       "MOVDIRI stores a doubleword or a quadword");
    LOAD(g_movdir);
    for (unsigned i = 0; i < 256; i++)
        p[i] = (uint8_t)i;
    ok(rig_run() == STOPPED && p[0x7f] == 0x7f && p[0x80] == 3 && p[0xbf] == 0x42 && p[0xc0] == 0xc0,
       "MOVDIR64B moves 64 bytes, its source need not be aligned");
    LOAD(g_movdir_odd);
    ok(rig_run() == 13, "MOVDIR64B to an address that is not a line's: #GP");
}

int main(void)
{
    LOAD(g_monitor);
    rights();
    switches();
    no_wait();
    ends();
    lines();
    return ctest_done();
}
