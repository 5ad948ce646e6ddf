/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Guest instructions per second of the interpreter on integer, memory, call, SSE and AVX code, and page-wise
 * string instructions against native memcpy. Prints one line per kernel; a benchmark, not a test.
 * Usage: mips [SECONDS PER KERNEL]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "tests/lib/bare.h"

/* Guest code, copied to 1 MiB: each kernel runs rcx rounds and stops the machine through port 0xcf9.
 * r15 = a buffer of 64 KiB. Written from scratch, position independent. */
#define KERNEL(name, body)                                                                         \
    extern const uint8_t k_##name[], k_##name##_end[];                                             \
    __asm__(".pushsection .rodata\nk_" #name ":\n" body                                            \
            "\n\tmov $0x0e,%al\n\tmov $0xcf9,%edx\n\tout %al,(%dx)\n9:\thlt\n\tjmp 9b\n"           \
            "k_" #name "_end:\n.popsection\n")

KERNEL(alu, "1: add %rax,%rbx; xor %rbx,%rdx; shl $3,%rdx; sub $7,%rsi; and %rdx,%rdi; lea 5(%rdi,%rax,2),%rax\n"
            "cmp %rax,%rbx; jb 2f; inc %r8\n2: or %r8,%r9; dec %rcx; jnz 1b");
KERNEL(mem, "1: mov %ecx,%eax; and $0xfff8,%eax; mov (%r15,%rax),%rdx; add %rdx,%rbx; mov %rbx,(%r15,%rax)\n"
            "movzbl 3(%r15,%rax),%esi; add %sil,%dil; mov %dil,5(%r15,%rax); dec %rcx; jnz 1b");
KERNEL(calls, "jmp 2f\n3: push %rbp; mov %rsp,%rbp; add %rdi,%rax; pop %rbp; ret\n"
              "2: call 3b; test %rax,%rax; je 4f; add $1,%rdi\n4: dec %rcx; jnz 2b");
KERNEL(sse, "1: movdqa (%r15),%xmm0; paddd %xmm1,%xmm0; pxor %xmm0,%xmm2; pmuludq %xmm2,%xmm3; movdqa %xmm0,(%r15)\n"
            "addpd %xmm4,%xmm5; mulsd %xmm5,%xmm6; psrlq $3,%xmm2; dec %rcx; jnz 1b");
KERNEL(avx, "1: vmovdqu (%r15),%ymm0; vpaddd %ymm1,%ymm0,%ymm0; vpxor %ymm0,%ymm2,%ymm2; vpmuludq %ymm2,%ymm3,%ymm3\n"
            "vmovdqu %ymm0,(%r15); vaddpd %ymm4,%ymm5,%ymm5; vfmadd231pd %ymm5,%ymm6,%ymm7; vpsrlq $3,%ymm2,%ymm2\n"
            "dec %rcx; jnz 1b");
KERNEL(repmovs, "mov %rcx,%r14\n1: mov %r15,%rsi; lea 0x10000(%r15),%rdi; mov $0x10000,%ecx; rep movsb; dec %r14; jnz 1b");
KERNEL(repstos, "mov %rcx,%r14; xor %eax,%eax\n1: mov %r15,%rdi; mov $0x10000,%ecx; rep stosb; dec %r14; jnz 1b");

static double now(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + 1e-9 * (double)ts.tv_nsec;
}
static struct bare b;

/* Runs a kernel for about `seconds`; returns rounds per second, instructions per second in *ips. */
static double measure(const uint8_t *code, const uint8_t *end, double seconds, double *ips)
{
    uint64_t rounds = 1000;
    for (;;) {
        memcpy(b.ram + 0x100000, code, (size_t)(end - code));
        chipset_reset(b.cs);
        bare_long_mode(&b, 0x100000, 0x80000);
        b.cpu->gpr[REG_RCX] = rounds;
        b.cpu->gpr[15] = 0x200000;
        b.cpu->s->cr4 |= 0x40200;
        b.cpu->s->xcr0 = 7;
        cpu_mode_update(b.cpu);
        b.stop = 0;
        uint64_t i0 = b.cpu->insns;
        double t0 = now();
        bare_run(&b);
        double dt = now() - t0;
        *ips = (double)(b.cpu->insns - i0) / dt;
        if (dt >= seconds || rounds > 1ull << 40)
            return (double)rounds / dt;
        rounds = dt < seconds / 50 ? rounds * 20 : (uint64_t)((double)rounds * seconds * 1.2 / dt) + 1;
    }
}

int main(int argc, char **argv)
{
    double seconds = argc > 1 ? atof(argv[1]) : 0.5, ips, r;
    static const struct {
        const char *name;
        const uint8_t *code, *end;
    } k[] = {{"integer", k_alu, k_alu_end}, {"memory", k_mem, k_mem_end}, {"calls", k_calls, k_calls_end},
             {"sse", k_sse, k_sse_end},
             {"avx", k_avx, k_avx_end}};
    const unsigned kernels = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? 5 : 4;
    if (bare_init(&b, 64u << 20))
        return 1;
    for (unsigned i = 0; i < kernels; i++) {
        measure(k[i].code, k[i].end, seconds, &ips);
        printf("%-8s %8.1f million instructions/s\n", k[i].name, ips / 1e6);
    }
    uint8_t *from = b.ram + 0x200000;
    double t0 = now();
    unsigned n = 0;
    for (; now() - t0 < seconds; n++) {
        memcpy(from + 0x10000, from, 0x10000);
        __asm__ volatile("" : : : "memory");
    }
    double native = n * 65536.0 / (now() - t0);
    r = measure(k_repmovs, k_repmovs_end, seconds, &ips) * 65536;
    printf("%-8s %8.1f MB/s, %.2f of native memcpy\n", "movsb", r / 1e6, r / native);
    r = measure(k_repstos, k_repstos_end, seconds, &ips) * 65536;
    printf("%-8s %8.1f MB/s\n", "stosb", r / 1e6);
    return 0;
}
