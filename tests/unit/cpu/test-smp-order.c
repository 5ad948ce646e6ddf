/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory ordering among vCPUs: litmus tests of x86-TSO (SDM volume 3, 8.2.3) and atomicity of locked
 * operations, as guest code on two to four vCPU threads. An outcome the model forbids is a failure; one
 * it allows may or may not be seen.
 */
#include "tests/unit/cpu/smp-rig.h"

#include <stdlib.h>
#include <string.h>

/* Each vCPU runs `rounds` of: wait for the others (a counter at DATA+0 that all increment), its accesses,
 * store its two results at DATA + 0x10000 + 16 * (round * 4 + vCPU), wait again. x = DATA + 0x1000 + 64 *
 * round, y = x + 0x80000: fresh variables for each round. rbx = vCPUs, rcx = rounds. */
#define HEAD                                                                                       \
    "xor %r8, %r8\n1: xor %eax, %eax; xor %edx, %edx; mov %r8, %rsi; shl $6, %rsi\n"               \
    "lea 0x200000(%r15,%rsi), %rdi; lea 0x80000(%rdi), %rsi\n"                                     \
    "mov %r8, %r9; inc %r9; imul %rbx, %r9; lock incq (%r15)\n"                                    \
    "2: cmp %r9, (%r15); jae 3f; pause; jmp 2b; 3:\n"
#define TAIL                                                                                       \
    "\nmov %r8, %r9; shl $2, %r9; add %r14, %r9; shl $4, %r9\n"                                    \
    "mov %rax, 0x10000(%r15,%r9); mov %rdx, 0x10008(%r15,%r9)\n"                                   \
    "inc %r8; cmp %rcx, %r8; jb 1b; " SMP_STOP
#define LITMUS(NAME, BODY) GUEST(NAME, HEAD BODY TAIL)
#define ROUNDS 8000u

LITMUS(wx_ry, "movl $1, (%rdi); mov (%rsi), %eax");
LITMUS(wy_rx, "movl $1, (%rsi); mov (%rdi), %eax");
LITMUS(wx_f_ry, "movl $1, (%rdi); mfence; mov (%rsi), %eax");
LITMUS(wy_f_rx, "movl $1, (%rsi); mfence; mov (%rdi), %eax");
LITMUS(wx_l_ry, "movl $1, (%rdi); lock orl $0, (%rsp); mov (%rsi), %eax");
LITMUS(wy_l_rx, "movl $1, (%rsi); lock orl $0, (%rsp); mov (%rdi), %eax");
LITMUS(xx_ry, "mov $1, %r10d; xchg %r10d, (%rdi); mov (%rsi), %eax");
LITMUS(xy_rx, "mov $1, %r10d; xchg %r10d, (%rsi); mov (%rdi), %eax");
LITMUS(wx_wy, "movl $1, (%rdi); movl $1, (%rsi)");
LITMUS(ry_rx, "mov (%rsi), %eax; mov (%rdi), %edx");
LITMUS(rx_ry, "mov (%rdi), %eax; mov (%rsi), %edx");
LITMUS(rx_wy, "mov (%rdi), %eax; movl $1, (%rsi)");
LITMUS(ry_wx, "mov (%rsi), %eax; movl $1, (%rdi)");
LITMUS(wx, "movl $1, (%rdi)");
LITMUS(wy, "movl $1, (%rsi)");
LITMUS(wx1_wy2, "movl $1, (%rdi); movl $2, (%rsi)");
LITMUS(wy1_wx2, "movl $1, (%rsi); movl $2, (%rdi)");
LITMUS(wx1_wy1, "movl $1, (%rdi); movl $1, (%rsi)");
LITMUS(wy2_f_rx, "movl $2, (%rsi); mfence; mov (%rdi), %eax");
LITMUS(wx2_wy1, "movl $2, (%rdi); movl $1, (%rsi)");
LITMUS(ry_wx1, "mov (%rsi), %eax; movl $1, (%rdi)");
LITMUS(wx1_rx_ry, "movl $1, (%rdi); mov (%rdi), %eax; mov (%rsi), %edx");
LITMUS(wy1_wx2b, "movl $1, (%rsi); movl $2, (%rdi)");

struct outcome {
    uint64_t a[4], b[4]; /* eax and edx of each vCPU */
    uint32_t x, y;       /* final */
};
static struct outcome outcome(unsigned round)
{
    struct outcome o;
    for (unsigned i = 0; i < 4; i++) {
        o.a[i] = *smp_data(0x10000 + 16 * (round * 4 + i));
        o.b[i] = *smp_data(0x10008 + 16 * (round * 4 + i));
    }
    o.x = (uint32_t)*smp_data(0x200000 + 64 * round);
    o.y = (uint32_t)*smp_data(0x280000 + 64 * round);
    return o;
}
static bool sb(const struct outcome *o)    { return !o->a[0] && !o->a[1]; }
static bool mp(const struct outcome *o)    { return o->a[1] && !o->b[1]; }
static bool lb(const struct outcome *o)    { return o->a[0] && o->a[1]; }
static bool iriw(const struct outcome *o)  { return o->a[2] && !o->b[2] && o->a[3] && !o->b[3]; }
static bool two2w(const struct outcome *o) { return o->x == 1 && o->y == 1; }
static bool r_(const struct outcome *o)    { return o->y == 2 && !o->a[1]; }
static bool s_(const struct outcome *o)    { return o->a[1] && o->x == 2; }
static bool n6(const struct outcome *o)    { return o->a[0] == 1 && !o->b[0] && o->x == 1; }

struct code {
    const uint8_t *from, *to;
};
#define C(NAME) {NAME, NAME##_end}
static void litmus(const char *name, bool forbidden, bool (*seen)(const struct outcome *), unsigned n,
                   const struct code *code)
{
    unsigned hits = 0;
    memset(smp_bare.ram + SMP_DATA, 0, 0x400000);
    for (unsigned i = 0; i < n; i++) {
        smp_load(i, code[i].from, code[i].to);
        smp_cpu[i]->s->gpr[REG_RBX] = n;
        smp_cpu[i]->s->gpr[REG_RCX] = ROUNDS;
    }
    bool ran = smp_run(n, 60);
    for (unsigned r = 0; r < ROUNDS && ran; r++) {
        struct outcome o = outcome(r);
        hits += seen(&o);
    }
    ok(ran && (!forbidden || !hits), "%s: %s, seen %u times in %u", name,
       forbidden ? "never" : "allowed", hits, ROUNDS);
}
#define LIT(NAME, FORBIDDEN, SEEN, N, ...)                                                         \
    litmus(NAME, FORBIDDEN, SEEN, N, (const struct code[]){__VA_ARGS__})

/* Locked operations at every offset of a line and over a page's end: rdi = where, rcx = how often. */
#define HAMMER(NAME, OP) GUEST(NAME, "1: " OP "; dec %rcx; jnz 1b; " SMP_STOP)
HAMMER(h_inc8, "lock incb (%rdi)");
HAMMER(h_inc16, "lock incw (%rdi)");
HAMMER(h_inc32, "lock incl (%rdi)");
HAMMER(h_inc64, "lock incq (%rdi)");
HAMMER(h_add64, "lock addq $1, (%rdi)");
HAMMER(h_xadd, "mov $1, %eax; lock xadd %rax, (%rdi)");
HAMMER(h_cmpxchg, "mov (%rdi), %rax; 2: lea 1(%rax), %rdx; lock cmpxchg %rdx, (%rdi); jnz 2b");
HAMMER(h_cmpxchg8b, "mov (%rdi), %eax; mov 4(%rdi), %edx; 2: mov %rcx, %r9; mov %eax, %ebx; mov %edx, %ecx\n"
                    "add $1, %ebx; adc $0, %ecx; lock cmpxchg8b (%rdi); mov %r9, %rcx; jnz 2b");
HAMMER(h_cmpxchg16b, "2: mov %rcx, %r9; mov (%rdi), %rax; mov 8(%rdi), %rdx; lea 1(%rax), %rbx; lea 1(%rdx), %rcx\n"
                     "lock cmpxchg16b (%rdi); mov %r9, %rcx; jnz 2b");
/* Each vCPU owns bits: 1 << vCPU toggled an odd number of times. */
GUEST(h_btc, "1: lock btcq %r14, (%rdi); dec %rcx; jnz 1b; " SMP_STOP);
GUEST(h_xchg, "1: mov $1, %eax; 2: xchg %eax, (%rdi); test %eax, %eax; jz 3f; pause; jmp 2b\n"
              "3: mov 64(%rdi), %rdx; inc %rdx; mov %rdx, 64(%rdi); movl $0, (%rdi); dec %rcx; jnz 1b; " SMP_STOP);

static bool hammer(const struct code *k, uint64_t at, unsigned n, uint64_t times)
{
    memset(smp_bare.ram + SMP_DATA, 0, 0x3000);
    for (unsigned i = 0; i < n; i++) {
        smp_load(i, k->from, k->to);
        smp_cpu[i]->s->gpr[REG_RDI] = at;
        smp_cpu[i]->s->gpr[REG_RCX] = times;
    }
    return smp_run(n, 60);
}
static uint64_t value_at(uint64_t at)
{
    uint64_t v;
    memcpy(&v, smp_bare.ram + at, 8);
    return v;
}
static void atomicity(const char *name, struct code k, unsigned size, uint64_t offset)
{
    const uint64_t times = 3000;
    uint64_t at = SMP_DATA + 0x1000 + offset, mask = size == 8 ? ~0ull : (1ull << (8 * size)) - 1;
    bool ran = hammer(&k, at, 3, times);
    uint64_t got = value_at(at) & mask, want = 3 * times & mask;
    ok(ran && got == want, "%s at offset %d: %llu of %llu", name, (int)(int64_t)offset,
       (unsigned long long)got, (unsigned long long)want);
}

static void locked(void)
{
    static const int64_t offsets[] = {0, 4, 60, 61, 63, -1, -3, -7}; /* in a line, across lines, across pages */
    for (unsigned i = 0; i < sizeof(offsets) / sizeof(offsets[0]); i++) {
        atomicity("lock inc m16", (struct code)C(h_inc16), 2, (uint64_t)offsets[i]);
        atomicity("lock inc m32", (struct code)C(h_inc32), 4, (uint64_t)offsets[i]);
        atomicity("lock inc m64", (struct code)C(h_inc64), 8, (uint64_t)offsets[i]);
        atomicity("lock add m64", (struct code)C(h_add64), 8, (uint64_t)offsets[i]);
        atomicity("lock xadd m64", (struct code)C(h_xadd), 8, (uint64_t)offsets[i]);
        atomicity("lock cmpxchg m64", (struct code)C(h_cmpxchg), 8, (uint64_t)offsets[i]);
        atomicity("lock cmpxchg8b", (struct code)C(h_cmpxchg8b), 8, (uint64_t)offsets[i]);
    }
    atomicity("lock inc m8", (struct code)C(h_inc8), 1, 0);
    atomicity("lock cmpxchg16b", (struct code)C(h_cmpxchg16b), 8, 0);
    struct code btc = C(h_btc), xchg = C(h_xchg);
    bool ran = hammer(&btc, SMP_DATA + 0x1000, 4, 3001);
    ok(ran && value_at(SMP_DATA + 0x1000) == 15, "lock btc of neighbouring bits");
    ran = hammer(&xchg, SMP_DATA + 0x1000, 4, 2000);
    ok(ran && value_at(SMP_DATA + 0x1040) == 8000, "a spin lock made with xchg");
}

int main(void)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    smp_init(SMP_MAX);
    LIT("SB", false, sb, 2, C(wx_ry), C(wy_rx));
    LIT("SB with MFENCE", true, sb, 2, C(wx_f_ry), C(wy_f_rx));
    LIT("SB with a locked operation", true, sb, 2, C(wx_l_ry), C(wy_l_rx));
    LIT("SB with XCHG", true, sb, 2, C(xx_ry), C(xy_rx));
    LIT("MP", true, mp, 2, C(wx_wy), C(ry_rx));
    LIT("LB", true, lb, 2, C(rx_wy), C(ry_wx));
    LIT("2+2W", true, two2w, 2, C(wx1_wy2), C(wy1_wx2));
    LIT("R with MFENCE", true, r_, 2, C(wx1_wy1), C(wy2_f_rx));
    LIT("S", true, s_, 2, C(wx2_wy1), C(ry_wx1));
    LIT("n6", false, n6, 2, C(wx1_rx_ry), C(wy1_wx2b));
    LIT("IRIW", true, iriw, 4, C(wx), C(wy), C(rx_ry), C(ry_rx));
    locked();
    return ctest_done();
}
