/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What needs a second thread to go wrong: locked operations over two frames that are not neighbours, page tables
 * that somebody else rewrites while they are walked, and code in a page to which another vCPU may still hold a
 * fast store (docs/decisions/0005-code-coherence.md, "the page that has just become code"). Trap list:
 * "split-page non-contiguous -> exclusive epoch"; "walker must itself take DMA/SMC-consistent RAM".
 */
#include "tests/unit/cpu/smp-rig.h"

#include <stdlib.h>
#include <string.h>

#define VA    0x800000u  /* 2 MiB of 4 KiB pages by the table at PT */
#define PT    0x20000u
#define FRAME 0x1000000u

static volatile uint64_t *pte(unsigned n)
{
    return (volatile uint64_t *)(smp_bare.ram + PT) + n;
}
/* After smp_load, which makes the flat tables. */
static void table(void)
{
    uint64_t pde = PT | 3;
    memset(smp_bare.ram + PT, 0, 4096);
    memcpy(smp_bare.ram + 0x3000 + 8 * (VA >> 21), &pde, 8);
}

/* ---- LOCK over two frames ---- rdi = operand, rcx = rounds */
#define LOCKED(NAME, OP) GUEST(NAME, "lock incl (%r15); 3: cmpl $2, (%r15); jb 3b; 1: " OP "; dec %rcx; jnz 1b; " SMP_STOP)
LOCKED(l_inc, "lock incl (%rdi)");
LOCKED(l_add, "lock addq $1, (%rdi)");
LOCKED(l_xadd, "mov $1, %eax; lock xadd %ax, (%rdi)");
LOCKED(l_cmpxchg, "mov (%rdi), %rax; 2: lea 1(%rax), %rdx; lock cmpxchg %rdx, (%rdi); jnz 2b");
static void locked(const char *name, const uint8_t *code, const uint8_t *end, unsigned size)
{
    const unsigned rounds = 10000, at = 0x1000 - size / 2;
    for (unsigned i = 0; i < 2; i++)
        smp_load(i, code, end);
    table();
    *pte(0) = FRAME | 3;
    *pte(1) = (FRAME + 0x7000) | 3;
    memset(smp_bare.ram + FRAME, 0, 0x8000);
    *smp_data(0) = 0;
    for (unsigned i = 0; i < 2; i++) {
        smp_cpu[i]->s->gpr[7] = VA + at;
        smp_cpu[i]->s->gpr[1] = rounds;
    }
    bool ran = smp_run(2, 30);
    uint64_t sum = 0;
    memcpy(&sum, smp_bare.ram + FRAME + at, size / 2);
    memcpy((uint8_t *)&sum + size / 2, smp_bare.ram + FRAME + 0x7000, size / 2);
    ok(ran && sum == 2 * rounds, "%s over two frames apart: %u of %u", name, (unsigned)sum, 2 * rounds);
}

/* ---- a table rewritten under the walker ---- */
GUEST(walker, "1: invlpg (%rdi); mov (%rdi), %rax; invlpg (%rdi); mov %rcx, 8(%rdi); dec %rcx; jnz 1b; " SMP_STOP);
static volatile bool writer_stop;
static unsigned long lost, wrote, accessed;
/* The other hand: it changes the entry as a device or a hypervisor would, and nobody may undo that. */
static void *rewriter(void *arg)
{
    (void)arg;
    for (unsigned long k = 0; !__atomic_load_n(&writer_stop, __ATOMIC_RELAXED); k++) {
        uint64_t now = (FRAME + (k & 1 ? 0x3000 : 0x9000)) | 3;
        __atomic_store_n(pte(0), now, __ATOMIC_SEQ_CST);
        for (unsigned spin = 0; spin < 40; spin++) {
            uint64_t v = __atomic_load_n(pte(0), __ATOMIC_SEQ_CST);
            lost += (v & ~0x60ull) != now;
            accessed += v >> 5 & 1;
        }
        wrote++;
    }
    return NULL;
}
static void rewritten(void)
{
    pthread_t t;
    smp_load(0, walker, walker_end);
    table();
    *pte(0) = FRAME | 3;
    smp_cpu[0]->s->gpr[7] = VA;
    smp_cpu[0]->s->gpr[1] = 300000;
    writer_stop = false;
    pthread_create(&t, NULL, rewriter, NULL);
    bool ran = smp_run(1, 30);
    writer_stop = true;
    pthread_join(t, NULL);
    ok(ran && wrote > 1000 && !lost && accessed,
       "a page-table entry rewritten %lu times while it is walked: accessed and dirty bits undo no change (%lu)", wrote, lost);
}

/* ---- code in a page that is not settled ---- vCPU 1 counts as inside and has not obeyed any mark */
#define CODE (SMP_DATA + 0x10000)
GUEST(caller, "lea 0x10000(%r15), %rbx; mov $1, %r8d\n"
      "1: call *%rbx; mov %rax, 0x100(%r15); mov %r8, 0x80(%r15)\n"
      "2: cmp %r8, (%r15); jb 2b; inc %r8; cmp %rcx, %r8; jbe 1b; " SMP_STOP);
GUEST(callee, "mov $0, %eax; jmp 1f; .fill 8, 1, 0x90; 1: mov $0, %edx; shl $32, %rdx; or %rdx, %rax; ret");
#define ROUNDS 3000u
static unsigned long stale;
/* The fast stores of vCPU 1: they reach memory and nothing else. */
static void *storer(void *arg)
{
    volatile uint32_t *first = (volatile uint32_t *)(smp_bare.ram + CODE + 1), *second = (volatile uint32_t *)(smp_bare.ram + CODE + 16);
    (void)arg;
    for (uint64_t k = 1; k <= ROUNDS; k++) {
        while (*smp_data(0x80) < k && !writer_stop)
            __builtin_ia32_pause();
        if (writer_stop)
            return NULL;
        if (*smp_data(0x100) != ((k - 1) | (k - 1) << 32))
            stale++;
        *first = (uint32_t)k;
        *second = (uint32_t)k;
        __atomic_store_n(smp_data(0), k, __ATOMIC_SEQ_CST);
    }
    return NULL;
}
static void unsettled(void)
{
    struct team *team = smp_cpu[0]->team;
    pthread_t t;
    memset(smp_bare.ram + SMP_DATA, 0, 0x1000);
    smp_load(0, caller, caller_end);
    memcpy(smp_bare.ram + CODE, callee, (size_t)(callee_end - callee));
    smp_cpu[0]->s->gpr[1] = ROUNDS;
    __atomic_store_n(&team->seat[1].inside, 1, __ATOMIC_SEQ_CST);
    writer_stop = false;
    pthread_create(&t, NULL, storer, NULL);
    bool ran = smp_run(1, 30);
    writer_stop = true;
    pthread_join(t, NULL);
    __atomic_store_n(&team->seat[1].inside, 0, __ATOMIC_SEQ_CST);
    ok(ran && !stale, "code in an unsettled page is compared with memory each time: %lu stale of %u", stale, ROUNDS);
}

int main(void)
{
    smp_init(2);
    locked("LOCK INC m32", l_inc, l_inc_end, 4);
    locked("LOCK ADD m64", l_add, l_add_end, 8);
    locked("LOCK XADD m16", l_xadd, l_xadd_end, 2);
    locked("LOCK CMPXCHG m64", l_cmpxchg, l_cmpxchg_end, 8);
    rewritten();
    unsettled();
    return ctest_done();
}
