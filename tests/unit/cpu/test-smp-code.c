/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What vCPUs do to each other besides memory: cross-modifying code by the protocol of SDM volume 3, 8.1.3,
 * and by an INT3 without protocol; TLB shootdown by IPI; INIT and start-up.
 */
#include "tests/unit/cpu/smp-rig.h"

#include <stdlib.h>
#include <string.h>

/* Variables at r15: 0 = round the writer has published, 64 = rounds the readers have finished (all of
 * them), 128 = failures. The code that changes is at r15 + 0x10000: mov $imm32, %eax; ret. */
#define PATCH 0x10000
/* Writer, rcx = rounds, rbx = readers. */
GUEST(writer, "xor %r8d, %r8d\n1: inc %r8\n"
              "mov %r8d, 0x10001(%r15); mov %r8, (%r15)\n"
              "mov %r8, %r9; imul %rbx, %r9\n"
              "2: cmp %r9, 64(%r15); jae 3f; pause; jmp 2b\n"
              "3: cmp %rcx, %r8; jb 1b; " SMP_STOP);
/* Reader: sees the round, serialises, calls: must get this round's value. */
GUEST(reader, "mov %rcx, %r11; mov %rbx, %r12; xor %r8d, %r8d\n1: inc %r8\n"
              "2: cmp %r8, (%r15); jae 3f; pause; jmp 2b\n"
              "3: xor %eax, %eax; cpuid; lea 0x10000(%r15), %rdi; call *%rdi\n"
              "cmp %r8d, %eax; je 4f; lock incq 128(%r15)\n"
              "4: lock incq 64(%r15); cmp %r11, %r8; jb 1b; " SMP_STOP);
/* The same with the writer's page being written through a fresh mapping of fast stores: data beside it. */
GUEST(writer_data, "xor %r8d, %r8d\n1: inc %r8\n"
                   "mov %r8, 0x10800(%r15); mov %r8d, 0x10001(%r15); mov %r8, 0x10900(%r15); mov %r8, (%r15)\n"
                   "mov %r8, %r9; imul %rbx, %r9\n"
                   "2: cmp %r9, 64(%r15); jae 3f; pause; jmp 2b\n"
                   "3: cmp %rcx, %r8; jb 1b; " SMP_STOP);
/* A new page of code in each round: the writer has just stored there by the fast way. */
GUEST(writer_fresh, "xor %r8d, %r8d\n1: inc %r8; mov %r8, %rdi; shl $12, %rdi; and $0x3fffff, %rdi; add %r15, %rdi\n"
                    "add $0x100000, %rdi; movb $0xb8, (%rdi); movb $0xc3, 5(%rdi); mov %r8d, 1(%rdi); mov %r8, (%r15)\n"
                    "mov %r8, %r9; imul %rbx, %r9\n"
                    "2: cmp %r9, 64(%r15); jae 3f; pause; incl 1(%rdi); decl 1(%rdi); jmp 2b\n"
                    "3: cmp %rcx, %r8; jb 1b; " SMP_STOP);
GUEST(reader_fresh, "mov %rcx, %r11; xor %r8d, %r8d\n1: inc %r8\n"
                    "2: cmp %r8, (%r15); jae 3f; pause; jmp 2b\n"
                    "3: xor %eax, %eax; cpuid; mov %r8, %rdi; shl $12, %rdi; and $0x3fffff, %rdi; add %r15, %rdi\n"
                    "add $0x100000, %rdi; call *%rdi; sub %r8d, %eax; cmp $1, %eax; jbe 4f; lock incq 128(%r15)\n"
                    "4: lock incq 64(%r15); cmp %r11, %r8; jb 1b; " SMP_STOP);

static void modify(const char *name, const uint8_t *w, const uint8_t *w_end, const uint8_t *r,
                   const uint8_t *r_end, unsigned n, uint64_t rounds)
{
    static const uint8_t patch[] = {0xb8, 0, 0, 0, 0, 0xc3};
    memset(smp_bare.ram + SMP_DATA, 0, 0x600000);
    memcpy(smp_bare.ram + SMP_DATA + PATCH, patch, sizeof(patch));
    for (unsigned i = 0; i < n; i++) {
        smp_load(i, i ? r : w, i ? r_end : w_end);
        smp_cpu[i]->s->gpr[REG_RBX] = n - 1;
        smp_cpu[i]->s->gpr[REG_RCX] = rounds;
    }
    bool ran = smp_run(n, 60);
    ok(ran && *smp_data(64) == rounds * (n - 1) && *smp_data(128) == 0, "%s: %llu stale of %llu", name,
       (unsigned long long)*smp_data(128), (unsigned long long)*smp_data(64));
}
#define MODIFY(NAME, W, R, N, ROUNDS) modify(NAME, W, W##_end, R, R##_end, N, ROUNDS)

/* INT3 over the first byte and back, while the other executes: it sees either instruction, whole. The
 * handler counts and returns behind the patched instruction (two bytes: xor %eax,%eax). */
GUEST(poker, "2: pause; cmpq $0, 64(%r15); je 2b\n"
             "1: movb $0xcc, 0x10000(%r15); movb $0x31, 0x10000(%r15); mov 64(%r15), %rax\n"
             "3: pause; cmp %rax, 64(%r15); je 3b; dec %rcx; jnz 1b\n"
             "movq $1, (%r15); " SMP_STOP);
GUEST(poked, "lea 0x10000(%r15), %rdi\n1: mov $1, %eax; call *%rdi; test %eax, %eax; jz 2f; lock incq 128(%r15)\n"
             "2: incq 64(%r15); cmpq $0, (%r15); je 1b; " SMP_STOP);
GUEST(bp_handler, "xor %eax, %eax; incq (%rsp); iretq"); /* RIP is behind the INT3: skip the second byte */
static void int3(void)
{
    static const uint8_t patch[] = {0x31, 0xc0, 0xc3};
    memset(smp_bare.ram + SMP_DATA, 0, 0x20000);
    memcpy(smp_bare.ram + SMP_DATA + PATCH, patch, sizeof(patch));
    memcpy(smp_bare.ram + 0xb000, bp_handler, (size_t)(bp_handler_end - bp_handler));
    smp_idt_gate(3, 0xb000);
    smp_load(0, poker, poker_end);
    smp_cpu[0]->s->gpr[REG_RCX] = 2000;
    smp_load(1, poked, poked_end);
    bool ran = smp_run(2, 60);
    ok(ran && *smp_data(128) == 0, "INT3 poked into running code and back (%llu calls)",
       (unsigned long long)*smp_data(64));
}

/* TLB shootdown. Page 0 of a 2 MiB region at 0xc00000 alternates between two frames that hold 0 and 1; the
 * PTE (at 0xc000) is written, then an IPI (vector 0x50) makes the others INVLPG and acknowledge at 64(r15).
 * r10 = LAPIC. */
GUEST(shooter, "xor %r8d, %r8d\n1: inc %r8; mov %r8d, %eax; and $1, %eax; shl $12, %eax; add $0x500003, %eax\n"
               "mov %rax, 0xc000; invlpg 0xc00000; movl $0xc0050, 0x300(%r10)\n"
               "mov %r8, %r9; imul %rbx, %r9\n"
               "2: cmp %r9, 64(%r15); jae 3f; pause; jmp 2b\n"
               "3: mov %r8, (%r15); cmp %rcx, %r8; jb 1b\n"
               "movq $1, 192(%r15); movl $0xc0050, 0x300(%r10); " SMP_STOP);
GUEST(target, "sti\n1: mov 0xc00000, %eax; cmpq $0, 192(%r15); je 1b; " SMP_STOP);
/* After INVLPG, and until it acknowledges, the target must see the frame of the PTE. */
GUEST(ipi, "push %rax; push %rdx; invlpg 0xc00000; mov 0xc000, %rax; shr $12, %eax; and $1, %eax\n"
           "mov 0xc00000, %edx; cmp %eax, %edx; je 1f; lock incq 128(%r15)\n"
           "1: lock incq 64(%r15); movl $0, 0xb0(%r10); pop %rdx; pop %rax; iretq");
static void shootdown(unsigned n, uint64_t rounds)
{
    uint64_t *pd = (uint64_t *)(smp_bare.ram + 0x3000);
    memset(smp_bare.ram + SMP_DATA, 0, 0x20000);
    memcpy(smp_bare.ram + 0xb000, ipi, (size_t)(ipi_end - ipi));
    smp_idt_gate(0x50, 0xb000);
    chipset_reset(smp_bare.cs);
    for (unsigned i = 0; i < n; i++) {
        chipset_mmio_write(smp_bare.cs, i, 0xfee000f0, 4, 0x1ff);
        smp_load(i, i ? target : shooter, i ? target_end : shooter_end);
        smp_cpu[i]->s->gpr[REG_RBX] = n - 1;
        smp_cpu[i]->s->gpr[REG_RCX] = rounds;
        smp_cpu[i]->s->gpr[10] = 0xfee00000;
    }
    pd[0xc00000 >> 21] = 0xc003;
    *(uint64_t *)(smp_bare.ram + 0xc000) = 0x500003;
    *(uint32_t *)(smp_bare.ram + 0x500000) = 0;
    *(uint32_t *)(smp_bare.ram + 0x501000) = 1;
    bool ran = smp_run(n, 60);
    ok(ran && *smp_data(0) == rounds && *smp_data(128) == 0,
       "TLB shootdown, %u vCPUs: %llu rounds, %llu stale", n, (unsigned long long)*smp_data(0),
       (unsigned long long)*smp_data(128));
}

/* vCPU 0 starts vCPU 1 by INIT and two start-up IPIs at page 0x70; it comes up in real mode, says so at
 * 0x410000 (through DS base 0: 32-bit address) and halts. */
GUEST(starter, "mov $0xfee00000, %r10d; movl $0x1000000, 0x310(%r10); movl $0x4500, 0x300(%r10)\n"
               "movl $0x4670, 0x300(%r10); movl $0x4670, 0x300(%r10)\n"
               "1: cmpw $0x7000, 0x10000(%r15); je 2f; pause; jmp 1b\n2: movq $1, 64(%r15); " SMP_STOP);
GUEST(started, ".code16; mov %cs, %ax; mov $0x6000, %bx; mov %bx, %ds; mov %ax, 0\n1: hlt; jmp 1b\n.code64");
static void startup(void)
{
    memset(smp_bare.ram + SMP_DATA, 0, 0x20000);
    memset(smp_bare.ram + 0x60000, 0, 16);
    memcpy(smp_bare.ram + 0x70000, started, (size_t)(started_end - started));
    chipset_reset(smp_bare.cs);
    smp_load(0, starter, starter_end);
    smp_load(1, started, started_end); /* runs nothing: it waits for its start-up IPI */
    smp_cpu[1]->s->wait_sipi = 1;
    smp_cpu[1]->s->tsc_adjust = 77;
    smp_cpu[0]->s->gpr[15] = 0x50000; /* 0x10000(%r15) = 0x60000 */
    memset(smp_bare.ram + 0x50000, 0, 256);
    bool ran = smp_run(2, 20);
    const struct abi_vcpu_state *s = smp_cpu[1]->s;
    ok(ran && s->seg[ABI_CS].selector == 0x7000 && s->seg[ABI_CS].base == 0x70000 && !(s->cr0 & 1),
       "INIT and start-up: cs %04x cr0 %llx", s->seg[ABI_CS].selector, (unsigned long long)s->cr0);
    ok(s->tsc_adjust == 77, "INIT leaves TSC_ADJUST alone");
}

int main(void)
{
    smp_init(SMP_MAX);
    MODIFY("cross-modifying code, one reader", writer, reader, 2, 20000);
    MODIFY("cross-modifying code, two readers", writer, reader, 3, 3000);
    MODIFY("cross-modifying code beside data", writer_data, reader, 2, 10000);
    MODIFY("a new page of code each round", writer_fresh, reader_fresh, 2, 5000);
    int3();
    startup();
    shootdown(2, 3000);
    shootdown(4, 300);
    return ctest_done();
}
