/* SPDX-License-Identifier: Apache-2.0 */
/* A second processor: INIT, SIPI, NMI, locked counting (SDM 3, 8.4, 8.1.2, table 9-1). */
#include "bare.h"

#define APIC  ((volatile u32 *)0xfee00000)
#define PAGE  0x9000ull /* SIPI vector 9 */
#define WORDS ((volatile u32 *)(PAGE + 0x800))
#define TICKS 8000000000ull /* a busy host may take a while */

enum { STARTED, CS, EDX, CR0, COUNTER, GO, DONE_AT, NMIS, FLAGS };

SNIP(16, ap, "cli; pushf; popw %bx; movw %cs, %ax; movw %ax, %ds; movw %ax, %ss; movw $0xf00, %sp;"
             "movl %edx, (0x808); movw %ax, (0x804); movzwl %bx, %ebx; movl %ebx, (0x820); movl %cr0, %eax; movl %eax, (0x80c);"
             "lock incl (0x800);"
             "1: pause; cmpl $0, (0x814); je 1b;"
             "movl $100000, %ecx; 2: lock incl (0x810); decl %ecx; jnz 2b;"
             "movl $1, (0x818); 3: hlt; jmp 3b");
SNIP(16, ap_nmi, "pushl %eax; pushw %ds; movw $0x900, %ax; movw %ax, %ds; lock incl (0x81c); popw %ds; popl %eax; iret");

static u64 tsc(void)
{
    u32 lo, hi;

    __asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi));
    return (u64)hi << 32 | lo;
}

static u32 wait_for(unsigned word, u32 value)
{
    for (u64 end = tsc() + TICKS; WORDS[word] != value && tsc() < end;)
        __asm__ volatile("pause");
    return WORDS[word];
}

static void send(u32 command)
{
    APIC[0x310 / 4] = 1 << 24;
    APIC[0x300 / 4] = command;
    while (APIC[0x300 / 4] & 0x1000)
        __asm__ volatile("pause");
}

static void pass(u64 ticks)
{
    for (u64 end = tsc() + ticks; tsc() < end;)
        __asm__ volatile("pause");
}

static void start(void)
{
    send(0x4500);
    pass(30000000);
    send(0x4609);
}

SUBJECT(smp)
{
    u32 nmi = ((volatile u32 *)0)[2];

    APIC[0xf0 / 4] = 0x1ff;
    memset((void *)PAGE, 0, 0x1000);
    memcpy((void *)PAGE, ap, (size_t)(ap_end - ap));
    memcpy((void *)(PAGE + 0x400), ap_nmi, (size_t)(ap_nmi_end - ap_nmi));
    start();
    check("starts", wait_for(STARTED, 1), 1);
    check("starts-at-vector", WORDS[CS] & 0xffff, 0x900);
    check("edx-signature", WORDS[EDX] == cpuid(1, 0).a, 1);
    check("real-mode", WORDS[CR0] & 0x80000001, 0);
    check("flags", WORDS[FLAGS] & 0xfd5, 0);
    send(0x4609);
    pass(30000000);
    check("sipi-while-running", WORDS[STARTED], 1);
    WORDS[GO] = 1;
    for (u32 i = 0; i < 100000; i++)
        __asm__ volatile("lock incl %0" : "+m"(WORDS[COUNTER]));
    check("counts", wait_for(DONE_AT, 1), 1);
    check("locked-sum", WORDS[COUNTER], 200000);
    ((volatile u32 *)0)[2] = 0x9000000 | 0x400;
    send(0x4400);
    check("nmi-wakes-hlt", wait_for(NMIS, 1), 1);
    ((volatile u32 *)0)[2] = nmi;
    WORDS[GO] = 0;
    start();
    check("init-restarts", wait_for(STARTED, 2), 2);
    send(0x4500);
}
