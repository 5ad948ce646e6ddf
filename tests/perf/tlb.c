/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the paging unit costs the guest: first-level hits, refills from the second level (4 KiB pages and
 * pieces of a 2 MiB page), walks, CR3 loads and INVLPG. Prints one line each; a benchmark, not a test.
 * Usage: tlb [ROUNDS]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "cpu-worker/mmu/control.h"
#include "tests/lib/bare.h"

#define KERNEL(name, body)                                                                         \
    extern const uint8_t k_##name[], k_##name##_end[];                                             \
    __asm__(".pushsection .rodata\nk_" #name ":\n" body                                            \
            "\n\tmov $0x0e,%al\n\tmov $0xcf9,%edx\n\tout %al,(%dx)\n9:\thlt\n\tjmp 9b\n"           \
            "k_" #name "_end:\n.popsection\n")
/* rdi = base, r8 = stride, r9 = mask of the offset: one load per round. */
KERNEL(touch, "1: mov (%rdi,%rax),%ebx; add %r8,%rax; and %r9,%rax; dec %rcx; jnz 1b");
KERNEL(touch_cr3, "1: mov (%rdi,%rax),%ebx; add %r8,%rax; and %r9,%rax; jnz 2f; mov %r10,%cr3\n"
                  "2: dec %rcx; jnz 1b");
KERNEL(empty, "1: mov %rcx,%rbx; add %r8,%rax; and %r9,%rax; dec %rcx; jnz 1b");
KERNEL(cr3, "1: mov %r10,%cr3; dec %rcx; jnz 1b");
KERNEL(cr3_two, "1: mov %r10,%cr3; mov %r11,%cr3; sub $2,%rcx; jnz 1b");
KERNEL(invlpg, "1: invlpg (%rdi,%rax); dec %rcx; jnz 1b");
KERNEL(out_of_block, "1: cltd; clts; dec %rcx; jnz 1b"); /* CLTS leaves the block as MOV CR3 does */

#define VA4K  0x40000000ull /* a gigabyte whose first 8 MiB are 4 KiB pages */
#define VA2M  0x1000000ull
static struct bare b;
static uint64_t rounds = 4000000;

static double now(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + 1e-9 * (double)ts.tv_nsec;
}
static void tables(void)
{
    uint64_t *pdpt = (uint64_t *)(b.ram + 0x2000), *pd = (uint64_t *)(b.ram + 0x10000);
    pdpt[1] = 0x10003;
    for (uint64_t t = 0; t < 4; t++) {
        uint64_t *pt = (uint64_t *)(b.ram + 0x11000 + t * 0x1000);
        pd[t] = (0x11000 + t * 0x1000) | 3;
        for (uint64_t i = 0; i < 512; i++)
            pt[i] = (0x1000000 + ((t * 512 + i) << 12)) | 3;
    }
}
/* Nanoseconds per round, best of five. */
static double measure(const uint8_t *code, const uint8_t *end, uint64_t base, uint64_t stride, uint64_t mask,
                      uint64_t cr3)
{
    double best = 1e9;
    for (unsigned i = 0; i < 5; i++) {
        memcpy(b.ram + 0x100000, code, (size_t)(end - code));
        chipset_reset(b.cs);
        bare_long_mode(&b, 0x100000, 0x80000);
        tables();
        b.cpu->s->cr4 |= CR4_PCIDE | CR4_PGE;
        b.cpu->gpr[REG_RCX] = rounds;
        b.cpu->gpr[REG_RDI] = base;
        b.cpu->gpr[8] = stride;
        b.cpu->gpr[9] = mask;
        b.cpu->gpr[10] = 0x1000 | cr3;
        b.cpu->gpr[11] = 0x1001 | cr3;
        b.stop = 0;
        double t0 = now();
        bare_run(&b);
        double ns = (now() - t0) * 1e9 / (double)rounds;
        best = ns < best ? ns : best;
    }
    return best;
}
#define M(K, ...) measure(k_##K, k_##K##_end, __VA_ARGS__)

int main(int argc, char **argv)
{
    if (argc > 1)
        rounds = strtoull(argv[1], NULL, 0) & ~1ull;
    if (bare_init(&b, 64u << 20))
        return 1;
    uint64_t keep = 1ull << 63, page = 0x1000, two = 0x7ff000; /* 2048 pages: twice the first level */
    double loop = M(empty, 0, page, two, 0), leave = M(out_of_block, 0, 0, 0, 0);
    printf("first-level hit                     %6.1f ns\n", M(touch, VA4K, page, 0xf000, 0) - loop);
    printf("refill, 4 KiB page                  %6.1f ns\n", M(touch, VA4K, page, two, 0) - loop);
    printf("refill, piece of a 2 MiB page       %6.1f ns\n", M(touch, VA2M, page, two, 0) - loop);
    printf("4-level walk                        %6.1f ns\n", M(touch_cr3, VA4K, page, two, 0) - loop);
    printf("leaving a block (CLTS), to compare  %6.1f ns\n", leave);
    printf("MOV CR3, NOFLUSH, same PCID         %6.1f ns\n", M(cr3, 0, 0, 0, keep));
    printf("MOV CR3, NOFLUSH, two PCIDs         %6.1f ns\n", M(cr3_two, 0, 0, 0, keep));
    printf("MOV CR3, flushing                   %6.1f ns\n", M(cr3, 0, 0, 0, 0));
    printf("INVLPG, 4 KiB page                  %6.1f ns\n", M(invlpg, VA4K, 0, 0, 0));
    printf("INVLPG, in a 2 MiB page             %6.1f ns\n", M(invlpg, VA2M, 0, 0, 0));
    return 0;
}
