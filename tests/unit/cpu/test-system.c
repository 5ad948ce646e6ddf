/* SPDX-License-Identifier: Apache-2.0 */
/*
 * System instructions that only ring 0 can show, one by one: descriptor-table registers, machine status word,
 * segment bases, far pointer loads, port I/O. tests/cpu/cover.c names this file. Must never take an expected
 * value from an emulator.
 */
#include "tests/unit/cpu/rig.h"

GUEST(g_tables, "sub $64, %rsp; sgdt (%rsp); movzwl (%rsp), %ebx; mov 2(%rsp), %rcx\n"
                "movw $0x7f, 16(%rsp); mov $0x7000, %eax; mov %rax, 18(%rsp); lgdt 16(%rsp)\n"
                "sgdt 32(%rsp); movzwl 32(%rsp), %edx; mov 34(%rsp), %rsi\n"
                "movw $0xeff, 16(%rsp); mov $0x9000, %eax; mov %rax, 18(%rsp); lidt 16(%rsp)\n"
                "sidt 48(%rsp); movzwl 48(%rsp), %r8d; mov 50(%rsp), %r9; " STOP);
static void tables(void)
{
    LOAD(g_tables);
    int v = rig_run();
    ok(v == STOPPED && same_u64("gdt base", rig_reg(RCX), RIG_GDT) && same_u64("base", rig_reg(RSI), 0x7000) &&
           same_u64("limit", rig_reg(RDX), 0x7f), "LGDT and SGDT");
    ok(same_u64("limit", rig_reg(8), 0xeff) && same_u64("base", rig_reg(9), 0x9000), "LIDT and SIDT");
}

GUEST(g_msw, "mov %cr0, %rbx; mov $0xb, %eax; lmsw %ax; mov %cr0, %rcx; clts; mov %cr0, %rdx\n"
             "mov $0, %eax; lmsw %ax; mov %cr0, %rsi; " STOP);
static void status_word(void)
{
    LOAD(g_msw);
    int v = rig_run();
    ok(v == STOPPED && same_u64("TS and MP", rig_reg(RCX) & 0xf, 0xb), "LMSW sets TS and MP");
    ok(same_u64("TS", rig_reg(RDX) & 8, 0), "CLTS clears TS");
    ok(same_u64("PE", rig_reg(RSI) & 1, 1), "LMSW does not leave protected mode");
    ok(same_u64("upper half", rig_reg(RSI) >> 16, rig_reg(RBX) >> 16), "LMSW leaves the upper bits alone");
}

GUEST(g_cache, "mov $7, %ebx; wbinvd; invd; mov $8, %ebx; " STOP);
static void caches(void)
{
    LOAD(g_cache);
    ok(rig_run() == STOPPED && rig_reg(RBX) == 8, "WBINVD and INVD");
}

GUEST(g_bases, "mov %cr4, %rax; or $0x10000, %rax; mov %rax, %cr4\n"
               "mov $0x123456789a, %rax; wrfsbase %rax; mov $-8, %rcx; wrgsbase %rcx\n"
               "rdfsbase %rbx; rdgsbase %rdx; mov $-1, %rsi; rdfsbase %esi; wrfsbase %ecx; rdfsbase %rdi; " STOP);
static void bases(void)
{
    LOAD(g_bases);
    int v = rig_run();
    ok(v == STOPPED && same_u64("fs", rig_reg(RBX), 0x123456789a) && same_u64("gs", rig_reg(RDX), ~7ull),
       "WRFSBASE, WRGSBASE, RDFSBASE and RDGSBASE");
    ok(same_u64("read", rig_reg(RSI), 0x3456789a) && same_u64("written", rig_reg(RDI), 0xfffffff8),
       "32-bit operands are extended with zeros");
}
GUEST(g_bases_ud, "mov $7, %ebx; rdfsbase %rax; mov $8, %ebx");
static void bases_off(void)
{
    LOAD(g_bases_ud);
    ok(rig_run() == 6 && rig_reg(RBX) == 7, "RDFSBASE without CR4.FSGSBASE is #UD");
}

GUEST(g_far, "sub $32, %rsp; movl $0x11223344, (%rsp); movw $0x18, 4(%rsp); lfs (%rsp), %ebx; lgs (%rsp), %ecx\n"
             "mov %fs, %edx; mov %gs, %esi; mov %rsp, %rbp; lea 64(%rsp), %rax; mov %eax, 8(%rsp); movw $0x18, 12(%rsp)\n"
             "lss 8(%rsp), %esp; mov %ss, %edi; mov %rsp, %r8; sub %rbp, %r8; " STOP);
static void far_pointers(void)
{
    LOAD(g_far);
    int v = rig_run();
    ok(v == STOPPED && same_u64("fs", rig_reg(RDX), 0x18) && same_u64("offset", rig_reg(RBX), 0x11223344),
       "LFS");
    ok(same_u64("gs", rig_reg(RSI), 0x18) && same_u64("offset", rig_reg(RCX), 0x11223344), "LGS");
    ok(same_u64("ss", rig_reg(RDI), 0x18) && same_u64("rsp", rig_reg(8), 64), "LSS");
}

/* 21H is the first interrupt controller's mask; nothing answers at 1230H. */
GUEST(g_port, "mov $0x5a, %al; out %al, $0x21; xor %eax, %eax; in $0x21, %al; mov %eax, %ebx\n"
              "mov $0x21, %edx; mov $0xa5, %al; out %al, %dx; xor %eax, %eax; in %dx, %al; mov %eax, %ecx\n"
              "mov $0x1230, %edx; xor %eax, %eax; in %dx, %ax; mov %eax, %r8d; in %dx, %eax; mov %rax, %r9; " STOP);
GUEST(g_port_string, "sub $64, %rsp; cld; mov %rsp, %rsi; movb $0xc3, (%rsi); mov $0x21, %edx; outsb; mov %rsi, %r8\n"
                     "sub %rsp, %r8; movq $0, 16(%rsp); lea 16(%rsp), %rdi; insb; mov 16(%rsp), %rbx\n"
                     "mov $0x1230, %edx; lea 24(%rsp), %rdi; movq $0, (%rdi); mov %rdi, %r10; insw; mov (%r10), %rcx\n"
                     "movq $0, (%r10); mov %r10, %rdi; insl; sub %r10, %rdi; mov (%r10), %r9\n"
                     "mov %rsp, %rsi; outsw; outsl; sub %rsp, %rsi; mov %rsi, %r11; " STOP);
static void ports(void)
{
    LOAD(g_port);
    int v = rig_run();
    ok(v == STOPPED && same_u64("immediate", rig_reg(RBX), 0x5a) && same_u64("dx", rig_reg(RCX), 0xa5),
       "IN and OUT of a byte");
    ok(same_u64("word", rig_reg(8), 0xffff) && same_u64("doubleword", rig_reg(9), 0xffffffff),
       "IN of a word and a doubleword where nothing is");
    LOAD(g_port_string);
    v = rig_run();
    ok(v == STOPPED && same_u64("read back", rig_reg(RBX), 0xc3) && same_u64("rsi", rig_reg(8), 1),
       "OUTSB and INSB");
    ok(same_u64("word", rig_reg(RCX), 0xffff) && same_u64("doubleword", rig_reg(9), 0xffffffff) &&
           same_u64("rdi", rig_reg(RDI), 4), "INSW and INSL");
    ok(same_u64("rsi", rig_reg(11), 6), "OUTSW and OUTSL");
}

int main(void)
{
    tables();
    status_word();
    caches();
    bases();
    bases_off();
    far_pointers();
    ports();
    return ctest_done();
}
