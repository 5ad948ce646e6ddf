/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Several vCPUs of the bare engine, a thread each, in 64-bit ring 0 with flat paging: for litmus tests
 * and torture. Owns the threads; must never look at a vCPU while it runs.
 */
#ifndef BULKHEAD_TESTS_UNIT_CPU_SMP_RIG_H
#define BULKHEAD_TESTS_UNIT_CPU_SMP_RIG_H

#include "cpu-worker/run/team.h"
#include "tests/lib/bare.h"
#include "tests/lib/ctest.h"

#define SMP_MAX   4
#define SMP_RAM   (32u << 20)
#define SMP_CODE  0x100000u /* code of vCPU n: + n * 0x10000 */
#define SMP_DATA  0x400000u /* shared variables */
#define SMP_STACK 0x80000u  /* of vCPU n: - n * 0x4000 */
#define SMP_IDT   0x9000u

/* Guest code ends with SMP_STOP: the vCPU halts with interrupts off, and is parked there. */
#define SMP_STOP "cli; 99: hlt; jmp 99b\n\t"
#define GUEST(NAME, BODY)                                                                          \
    extern const uint8_t NAME[], NAME##_end[];                                                     \
    __asm__(".pushsection .rodata\n\t" #NAME ":\n\t" BODY "\n" #NAME                               \
            "_end:\n\t.code64\n\t.popsection")

extern struct bare smp_bare;
extern struct cpu *smp_cpu[SMP_MAX];

void smp_init(unsigned n);
/* Sets vCPU i up at its code; registers are set by the caller afterwards in smp_cpu[i]->s->gpr. */
void smp_load(unsigned i, const uint8_t *code, const uint8_t *end);
/* Runs vCPUs 0 to n-1 until all have halted for good. false: not within `seconds`, or one died. */
bool smp_run(unsigned n, unsigned seconds);
void smp_idt_gate(unsigned vector, uint64_t to);
static inline volatile uint64_t *smp_data(unsigned off)
{
    return (volatile uint64_t *)(smp_bare.ram + SMP_DATA + off);
}

#endif
