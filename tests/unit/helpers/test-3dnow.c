/* SPDX-License-Identifier: Apache-2.0 */
/*
 * 3DNow! and its extensions, by values of AMD's manuals (21928, 22466): no host executes them any more, so there is
 * no oracle. Must never expect more digits of an approximation than the manual promises.
 */
#include <inttypes.h>
#include <string.h>
#include "tests/unit/cpu/rig.h"

#define DATA RIG_USER
#define MM(high, low) ((uint64_t)(uint32_t)(high) << 32 | (uint32_t)(low))

/* movq (%rsi), %mm0; movq 8(%rsi), %mm1; OP %mm1, %mm0 or OP 8(%rsi), %mm0; movq %mm0, 16(%rsi) */
static int run(uint8_t op, bool memory, uint64_t a, uint64_t b, uint64_t *r)
{
    static const uint8_t code[] = {0x0f, 0x6f, 0x06, 0x0f, 0x6f, 0x4e, 8,    0x0f, 0x0f, 0xc1, 0,    0x90,
                                   0x0f, 0x7f, 0x46, 16,   0x0f, 0x01, 0x1c, 0x25, 0,    6,    0,    0,
                                   0x0f, 0x0b};
    uint8_t c[sizeof(code)];
    memcpy(c, code, sizeof(c));
    c[10] = op;
    if (memory)
        memcpy(c + 9, (uint8_t[]){0x46, 8, op}, 3);
    rig_load(c, sizeof(c));
    rig.cpu->s->cr0 |= 0x20;
    cpu_state_load(rig.cpu);
    rig.cpu->gpr[RSI] = DATA;
    rig_put(DATA, &a, 8);
    rig_put(DATA + 8, &b, 8);
    int stop = rig_run();
    memcpy(r, rig.ram + DATA + 16, 8);
    return stop;
}

#define ONE   0x3f800000u
#define TWO   0x40000000u
#define HALF  0x3f000000u
#define FOUR  0x40800000u
#define MINUS 0xbf800000u
#define MAX   0x7f7fffffu
static const struct row {
    const char *name;
    uint8_t op;
    uint64_t a, b, want;
} rows[] = {
    {"pfadd", 0x9e, MM(TWO, ONE), MM(HALF, TWO), MM(0x40200000, 0x40400000)},
    {"pfadd, overflow", 0x9e, MM(0xff7fffff, MAX), MM(0xff7fffff, MAX), MM(0xff7fffff, MAX)},
    {"pfadd, denormal", 0x9e, MM(ONE, 1), MM(0x807fffff, 1), MM(ONE, 0)},
    {"pfsub", 0x9a, MM(TWO, ONE), MM(HALF, TWO), MM(0x3fc00000, MINUS)},
    {"pfsubr", 0xaa, MM(TWO, ONE), MM(HALF, TWO), MM(0xbfc00000, ONE)},
    {"pfmul", 0xb4, MM(TWO, ONE), MM(HALF, TWO), MM(ONE, TWO)},
    {"pfmul, underflow", 0xb4, MM(ONE, 0x00800000), MM(ONE, HALF), MM(ONE, 0)},
    {"pfacc", 0xae, MM(TWO, ONE), MM(HALF, TWO), MM(0x40200000, 0x40400000)},
    {"pfnacc", 0x8a, MM(TWO, ONE), MM(HALF, TWO), MM(0x3fc00000, MINUS)},
    {"pfpnacc", 0x8e, MM(TWO, ONE), MM(HALF, TWO), MM(0x40200000, MINUS)},
    {"pfcmpeq", 0xb0, MM(TWO, ONE), MM(HALF, ONE), MM(0, ~0u)},
    {"pfcmpeq, zeros", 0xb0, MM(0x80000000, 0), MM(0, 0x80000000), ~0ull},
    {"pfcmpgt", 0xa0, MM(TWO, ONE), MM(HALF, TWO), MM(~0u, 0)},
    {"pfcmpge", 0x90, MM(TWO, ONE), MM(FOUR, ONE), MM(0, ~0u)},
    {"pfmax", 0xa4, MM(MINUS, ONE), MM(0x80000000, TWO), MM(0, TWO)},
    {"pfmin", 0x94, MM(MINUS, ONE), MM(0, TWO), MM(MINUS, ONE)},
    {"pi2fd", 0x0d, 0, MM(0x01000003, -3), MM(0x4b800001, 0xc0400000)},
    {"pi2fw", 0x0c, 0, MM(0x00008000, 0x1234ffff), MM(0xc7000000, MINUS)},
    {"pf2id", 0x1d, 0, MM(0xbfc00000, 0x40200000), MM(~0u, 2)},
    {"pf2id, out of range", 0x1d, 0, MM(0xd01502f9, 0x501502f9), MM(0x80000000, 0x7fffffff)},
    {"pf2iw", 0x1c, 0, MM(0xc71c4000, 0x471c4000), MM(0xffff8000, 0x00007fff)},
    {"pfrcp", 0x96, 0, MM(TWO, FOUR), MM(0x3e800000, 0x3e800000)},
    {"pfrcp of -0", 0x96, 0, MM(TWO, 0x80000000), MM(0xff7fffff, 0xff7fffff)},
    {"pfrsqrt", 0x97, 0, MM(TWO, FOUR), MM(HALF, HALF)},
    {"pfrsqrt, negative", 0x97, 0, MM(TWO, 0xc0800000), MM(0xbf000000, 0xbf000000)},
    {"pfrcpit1", 0xa6, MM(TWO, TWO), MM(HALF, HALF), MM(HALF, HALF)},
    {"pfrsqit1", 0xa7, MM(TWO, TWO), MM(HALF, HALF), MM(HALF, HALF)},
    {"pfrcpit2", 0xb6, MM(TWO, TWO), MM(HALF, HALF), MM(HALF, HALF)},
    {"pavgusb", 0xbf, 0x01ff, 0x0200, 0x0280},
    {"pmulhrw", 0xb7, 0x010000017fff8000, 0x018080007fff8000, 0x000200003fff4000},
    {"pswapd", 0xbb, 0, MM(1, 2), MM(2, 1)},
};
static void values(void)
{
    for (unsigned n = 0; n < sizeof(rows) / sizeof(rows[0]); n++) {
        const struct row *r = &rows[n];
        uint64_t got = 0, from_memory = 0;
        bool good = run(r->op, false, r->a, r->b, &got) == STOPPED && same_u64(r->name, got, r->want);
        unsigned tags = rig.cpu->s->ftw;
        good = good && !(tags & tags >> 1 & 0x5555) && run(r->op, true, r->a, r->b, &from_memory) == STOPPED &&
               same_u64("from memory", from_memory, r->want);
        ok(good, "%s", r->name);
    }
}
/* The whole sequence of the manual: full precision. */
GUEST(g_rcp, "movd %eax, %mm0; .byte 0x0f, 0x0f, 0xc8, 0x96; .byte 0x0f, 0x0f, 0xc1, 0xa6\n"
             ".byte 0x0f, 0x0f, 0xc1, 0xb6; movd %mm0, %ebx; .byte 0x0f, 0x0e; " STOP);
static void sequence(void)
{
    LOAD(g_rcp);
    rig.cpu->s->cr0 |= 0x20;
    cpu_state_load(rig.cpu);
    rig.cpu->gpr[RAX] = 0x40400000;
    ok(rig_run() == STOPPED && same_u64("1/3", rig_reg(RBX), 0x3eaaaaab) && rig.cpu->s->ftw == 0xffff,
       "pfrcp, pfrcpit1, pfrcpit2: 1/3; femms");
    uint64_t r;
    ok(run(0x00, false, 0, 0, &r) == 6 && run(0x9f, false, 0, 0, &r) == 6, "suffixes that are none: #UD");
    rig.cpu->feat[FEAT_3DNOWEXT >> 5] &= ~(1u << (FEAT_3DNOWEXT & 31));
    block_flush_all(rig.cpu);
    ok(run(0xbb, false, 0, 0, &r) == 6 && run(0x9e, false, 0, 0, &r) == STOPPED, "3dnowext off: pswapd is #UD, pfadd is not");
    memcpy(rig.cpu->feat, rig.cpu->model.feat, sizeof(rig.cpu->feat));
    block_flush_all(rig.cpu);
}

int main(void)
{
    values();
    sequence();
    return ctest_done();
}
