/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Translations under stress, in a cache so small that its halves turn all the time: code that is made, run and made
 * again by one and by several vCPUs, code that a device rewrites, pages that are mapped elsewhere, vector registers across
 * every way out, and host faults in translated code.
 */
#include "tests/unit/cpu/smp-rig.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include "ipc/abi/codepage.h"
#include "tests/lib/xl-engine.h"

/* rcx rounds; a function at one of 1024 places of the vCPU's own megabyte returns the round, and these are added up. */
GUEST(maker, "mov %r14, %r13; shl $20, %r13; add %r15, %r13; xor %r8d, %r8d; xor %r9d, %r9d\n"
             "1: inc %r8; mov %r8, %rdi; shl $6, %rdi; and $0xffff, %rdi; lea 0x100000(%r13, %rdi), %rdi\n"
             "movb $0xb8, (%rdi); mov %r8d, 1(%rdi); movb $0xc3, 5(%rdi); call *%rdi; add %rax, %r9\n"
             "cmp %rcx, %r8; jb 1b; mov %r9, 256(%r15, %r14, 8); " SMP_STOP);
static void making(unsigned n, uint64_t rounds)
{
    uint64_t turns = xl_engine_counts()->turns, made = xl_engine_made(), wrong = 0;
    memset(smp_bare.ram + SMP_DATA, 0, 0x600000);
    for (unsigned i = 0; i < n; i++) {
        smp_load(i, maker, maker_end);
        smp_cpu[i]->s->gpr[REG_RCX] = rounds;
    }
    bool ran = smp_run(n, 100);
    for (unsigned i = 0; i < n; i++)
        wrong += *smp_data(256 + 8 * i) != rounds * (rounds + 1) / 2;
    ok(ran && !wrong, "%u vCPUs make and run %llu functions each", n, (unsigned long long)rounds);
    ok(xl_engine_made() - made > rounds / 8, "many of them as translations (%llu)", (unsigned long long)(xl_engine_made() - made));
    ok(xl_engine_counts()->turns - turns >= 3, "while the cache turns (%llu times)",
       (unsigned long long)(xl_engine_counts()->turns - turns));
}

/* The function at r15 + 0x10000 is rewritten by a device, which then says so at r15: whoever sees the number gets at
 * least that one from the function. */
GUEST(reader, "lea 0x10000(%r15), %rdi\n1: mov (%r15), %r8; call *%rdi; cmp %r8d, %eax; jae 2f; incq 128(%r15)\n"
              "2: mov %rax, 64(%r15); cmp %rcx, %r8; jb 1b; " SMP_STOP);
static void *device(void *arg)
{
    uint64_t rounds = *(uint64_t *)arg;
    for (uint64_t i = 1; i <= rounds; i++) {
        uint32_t v = (uint32_t)i;
        memcpy(smp_bare.ram + SMP_DATA + 0x10001, &v, 4);
        abi_codepage_dma_written(smp_bare.cp, SMP_RAM >> 12, SMP_DATA + 0x10001, 4);
        __atomic_store_n(smp_data(0), i, __ATOMIC_RELEASE);
        while (__atomic_load_n(smp_data(64), __ATOMIC_ACQUIRE) < i && i < rounds)
            sched_yield();
    }
    return NULL;
}
static void dma(uint64_t rounds)
{
    static const uint8_t function[] = {0xb8, 0, 0, 0, 0, 0xc3};
    pthread_t t;
    memset(smp_bare.ram + SMP_DATA, 0, 0x20000);
    memcpy(smp_bare.ram + SMP_DATA + 0x10000, function, sizeof(function));
    smp_load(0, reader, reader_end);
    smp_cpu[0]->s->gpr[REG_RCX] = rounds;
    if (pthread_create(&t, NULL, device, &rounds))
        exit(1);
    bool ran = smp_run(1, 60);
    pthread_join(t, NULL);
    ok(ran && *smp_data(128) == 0, "a device rewrites translated code %llu times: %llu stale", (unsigned long long)rounds,
       (unsigned long long)*smp_data(128));
}

/* A page of code at 0xc00000 is mapped to two frames in turn; both have the function at the same place. */
GUEST(remapper, "xor %r8d, %r8d\n1: inc %r8; mov %r8d, %eax; and $1, %eax; shl $12, %eax; add $0x500003, %eax\n"
                "mov %rax, 0xc000; invlpg 0xc00000; mov $0xc00010, %edi; call *%rdi\n"
                "mov %r8d, %edx; and $1, %edx; cmp %edx, %eax; je 2f; incq 128(%r15)\n2: cmp %rcx, %r8; jb 1b; " SMP_STOP);
static void remapped(uint64_t rounds)
{
    uint64_t *pd = (uint64_t *)(smp_bare.ram + 0x3000);
    memset(smp_bare.ram + SMP_DATA, 0, 0x200000);
    for (unsigned f = 0; f < 2; f++) {
        uint8_t function[] = {0xeb, 0x0e, 0x90}, rest[] = {0xb8, (uint8_t)f, 0, 0, 0, 0xc3}; /* jmp +14; mov; ret */
        memcpy(smp_bare.ram + 0x500010 + f * 0x1000, function, sizeof(function));
        memcpy(smp_bare.ram + 0x500020 + f * 0x1000, rest, sizeof(rest));
    }
    smp_load(0, remapper, remapper_end);
    memset(smp_bare.ram + 0xc000, 0, 4096);
    pd[6] = 0xc003;
    smp_cpu[0]->s->gpr[REG_RCX] = rounds;
    bool ran = smp_run(1, 60);
    ok(ran && *smp_data(128) == 0, "a page of code mapped to two frames in turn: %llu wrong", (unsigned long long)*smp_data(128));
}

/* ymm0-1 sum doubles over memory whose every page misses; CPUID and REP MOVSB leave translated code in between. */
GUEST(vectors, "vxorpd %ymm0, %ymm0, %ymm0; vxorpd %ymm15, %ymm15, %ymm15; mov %rcx, %r8; lea 0x100000(%r15), %r9\n"
               "1: vaddpd (%r9), %ymm0, %ymm0; vaddpd 32(%r9), %ymm15, %ymm15; add $0x1040, %r9\n"
               "xor %eax, %eax; cpuid; lea 0x2000(%r15), %rsi; lea 0x3000(%r15), %rdi; mov $8, %ecx; rep movsb\n"
               "dec %r8; jnz 1b; vmovupd %ymm0, 256(%r15); vmovupd %ymm15, 288(%r15); " SMP_STOP);
static void vector_state(unsigned rounds)
{
    double want[8] = {0}, *got = (double *)(smp_bare.ram + SMP_DATA + 256);
    memset(smp_bare.ram + SMP_DATA, 0, 0x20000);
    for (unsigned i = 0; i < rounds; i++) {
        double *d = (double *)(smp_bare.ram + SMP_DATA + 0x100000 + i * 0x1040);
        for (unsigned k = 0; k < 8; k++)
            want[k] += d[k] = i * 8 + k;
    }
    smp_load(0, vectors, vectors_end);
    struct abi_vcpu_state *s = smp_cpu[0]->s;
    s->cr4 |= 0x40600;
    s->xcr0 = 7;
    s->gpr[REG_RCX] = rounds;
    bool ran = smp_run(1, 60);
    ok(ran && !memcmp(want, got, sizeof(want)), "vector registers survive misses, CPUID and REP (%g, wanted %g)", got[0], want[0]);
}

/* Four faults in a row of a hot loop, each counted by its handler, which goes on behind the instruction. */
GUEST(faulter, "movl $0x1f00, 8(%r15); ldmxcsr 8(%r15); mov $0x8000000000000000, %r12\n" /* overflow etc. masked, invalid not */
               "pcmpeqd %xmm1, %xmm1; psrlq $1, %xmm1; psllq $52, %xmm1\n"
               "1: xor %edx, %edx; xor %r8d, %r8d; div %r8d; mov (%r12), %rax; movaps 17(%r15), %xmm3\n"
               "dec %rcx; jnz 1b; " SMP_STOP);
/* vector counts at 128 + 8 * vector. */
GUEST(de_handler, "incq 128(%r15); addq $3, (%rsp); iretq");                                       /* div %r8d */
GUEST(gp_handler, "add $8, %rsp; incq 136(%r15); mov (%rsp), %rax; cmpb $0x49, (%rax); je 1f; inc %rax\n"
                  "1: add $4, %rax; mov %rax, (%rsp); iretq"); /* mov (%r12) is 4 bytes from 49, movaps 5 from 41 */
static void faults(uint64_t rounds)
{
    memset(smp_bare.ram + SMP_DATA, 0, 0x20000);
    memcpy(smp_bare.ram + 0xb000, de_handler, (size_t)(de_handler_end - de_handler));
    memcpy(smp_bare.ram + 0xb100, gp_handler, (size_t)(gp_handler_end - gp_handler));
    smp_idt_gate(0, 0xb000);
    smp_idt_gate(13, 0xb100);
    smp_load(0, faulter, faulter_end);
    struct abi_vcpu_state *s = smp_cpu[0]->s;
    s->cr4 |= 0x600;
    s->gpr[REG_RCX] = rounds;
    bool ran = smp_run(1, 60);
    uint64_t traps = smp_cpu[0]->xl ? xl_engine_traps(smp_cpu[0]) : 0;
    ok(ran && *smp_data(128) == rounds && *smp_data(136) == 2 * rounds, "#DE %llu, #GP %llu of %llu rounds",
       (unsigned long long)*smp_data(128), (unsigned long long)*smp_data(136), (unsigned long long)rounds);
    ok(traps > 2 * rounds, "as faults of the host in translated code (%llu)", (unsigned long long)traps);
}

int main(void)
{
    setenv("BULKHEAD_TIER", "1", 0);
    xl_engine_size(1u << 20);
    smp_init(3);
    if (!smp_cpu[0]->xl) {
        printf("1..0 # SKIP this host's processor cannot run translations\n");
        return 0;
    }
    making(1, 20000);
    making(3, 8000);
    dma(3000);
    remapped(20000);
    vector_state(200);
    faults(300);
    return ctest_done();
}
