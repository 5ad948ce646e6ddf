/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MWAIT ends by another vCPU's store to the monitored line, whatever instruction makes it and though the value
 * stays the same; and it does wait until then (SDM volume 3, 8.10.4).
 */
#include "tests/unit/cpu/smp-rig.h"

#include <stdlib.h>
#include <string.h>

#define ROUNDS 400u

/* x = DATA + 0x1000 (its page is watched), round = DATA + 0x3000, done = DATA + 0x4000, wakes = r12. */
GUEST(waiter, "mov $1, %r8d\n"
      "1: lea 0x1000(%r15), %rax; xor %ecx, %ecx; xor %edx, %edx; monitor; mov %r8, 0x3000(%r15)\n"
      "xor %eax, %eax; mwait; inc %r12\n"
      "2: cmp %r8, 0x4000(%r15); jb 2b\n" /* the other has stored */
      "inc %r8; cmp %rbx, %r8; jbe 1b; " SMP_STOP);
#define STORER(NAME, STORE)                                                                        \
    GUEST(NAME, "mov $1, %r8d; lea 0x1000(%r15), %r9; xor %r11d, %r11d\n"                          \
                "1: cmp %r8, 0x3000(%r15); jae 3f; pause; jmp 1b\n"                                \
                "3: mov $2000, %ecx; 4: dec %ecx; jnz 4b\n" STORE "\nmov %r8, 0x4000(%r15)\n"      \
                "inc %r8; cmp %rbx, %r8; jbe 1b; " SMP_STOP)
STORER(by_mov, "movl $0, (%r9)");
STORER(by_end, "movb $0, 63(%r9)");
STORER(by_crossing, "movq $0, -4(%r9)");
STORER(by_lock, "lock orl $0, 8(%r9)");
STORER(by_xchg, "xchg %r11, 16(%r9)");
STORER(by_stos, "lea -64(%r9), %rdi; xor %eax, %eax; mov $16, %ecx; rep stosq");
STORER(by_sse, "pxor %xmm0, %xmm0; movups %xmm0, 0x20(%r9)");
STORER(by_cmpxchg16b, "xor %eax, %eax; xor %edx, %edx; mov %rbx, %r13; xor %ebx, %ebx; xor %ecx, %ecx\n"
       "lock cmpxchg16b 0x30(%r9); mov %r13, %rbx");
/* Only beside the line, and then to it. */
GUEST(beside, "mov $1, %r8d; lea 0x1000(%r15), %r9\n1: cmp %r8, 0x3000(%r15); jae 3f; pause; jmp 1b\n"
      "3: mov $20000, %ecx; 4: movl $1, 64(%r9); movl $1, -4(%r9); lock incl 68(%r9); dec %ecx; jnz 4b\n"
      "movl $1, (%r9); " SMP_STOP);
GUEST(waiter_once, "1: lea 0x1000(%r15), %rax; xor %ecx, %ecx; xor %edx, %edx; monitor\n"
      "movq $1, 0x3000(%r15); cmpl $0, 0x1000(%r15); jne 2f; xor %eax, %eax; mwait; incq 0x6000(%r15); jmp 1b\n"
      "2: " SMP_STOP);

static void pair(const char *what, const uint8_t *code, const uint8_t *end)
{
    memset(smp_bare.ram + SMP_DATA, 0, 0x8000);
    smp_load(0, waiter, waiter_end);
    smp_load(1, code, end);
    for (unsigned i = 0; i < 2; i++) {
        smp_cpu[i]->s->cr4 |= 0x200;
        smp_cpu[i]->s->gpr[3] = ROUNDS;
        smp_cpu[i]->s->gpr[12] = 0;
    }
    bool ran = smp_run(2, 20);
    uint64_t rounds = *smp_data(0x4000), wakes = smp_cpu[0]->gpr[12];
    ok(ran && rounds == ROUNDS && wakes == ROUNDS && smp_cpu[0]->gpr[8] == ROUNDS + 1,
       "%s ends MWAIT: %u of %u rounds, %u wakes", what, (unsigned)rounds, ROUNDS, (unsigned)wakes);
}
static void waits(void)
{
    memset(smp_bare.ram + SMP_DATA, 0, 0x8000);
    smp_load(0, waiter_once, waiter_once_end);
    smp_load(1, beside, beside_end);
    bool ran = smp_run(2, 20);
    uint64_t wakes = *smp_data(0x6000);
    ok(ran && wakes && wakes < 1000,
       "60,000 stores beside the line do not end it: %u wakes", (unsigned)wakes);
}

int main(void)
{
    smp_init(2);
    pair("MOV", by_mov, by_mov_end);
    pair("a byte at the line's end", by_end, by_end_end);
    pair("a store that runs into the line from the page before", by_crossing, by_crossing_end);
    pair("LOCK OR", by_lock, by_lock_end);
    pair("XCHG", by_xchg, by_xchg_end);
    pair("REP STOS", by_stos, by_stos_end);
    pair("MOVUPS", by_sse, by_sse_end);
    pair("CMPXCHG16B", by_cmpxchg16b, by_cmpxchg16b_end);
    waits();
    return ctest_done();
}
