/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What must happen instead of execution: #UD and #NM by mode, and page faults that leave every
 * register as it was.
 */
#include "tests/unit/helpers/oracle.h"

#include <stdio.h>
#include <string.h>
#include "cpu-worker/run/cpu.h"

static unsigned checks, failed;

static void expect(const char *what, int got, int want)
{
    checks++;
    if (got != want) {
        printf("# %s: vector %d instead of %d\n", what, got, want);
        failed++;
    }
}

struct gate {
    const char *name;
    struct insn i;
    int plain, em, ts, no_osfxsr;
};

static const struct gate gates[] = {
    {"paddb xmm", {{0x66, 0x0f, 0xfc, 0xc1}, 4, 0, 0, 0, NULL, 0, 0}, -1, VEC_UD, VEC_NM, VEC_UD},
    {"addps", {{0x0f, 0x58, 0xc1}, 3, 0, 0, 0, NULL, 0, 0}, -1, VEC_UD, VEC_NM, VEC_UD},
    {"cvtpi2ps mm", {{0x0f, 0x2a, 0xc1}, 3, 0, 0, 0, NULL, 0, 0}, -1, VEC_UD, VEC_NM, VEC_UD},
    {"stmxcsr (not run)", {{0x0f, 0xae, 0x5e, 0x10}, 4, 0, 0, 0, NULL, 0, 0}, -3, VEC_UD, VEC_NM, VEC_UD},
    {"paddb mm", {{0x0f, 0xfc, 0xc1}, 3, 0, 0, 0, NULL, 0, 0}, -1, VEC_UD, VEC_NM, -1},
    {"pshufw mm", {{0x0f, 0x70, 0xc1, 0x1b}, 4, 0, 0, 0, NULL, 0, 0}, -1, VEC_UD, VEC_NM, -1},
    {"emms", {{0x0f, 0x77}, 2, 0, 0, 0, NULL, 0, 0}, -1, VEC_UD, VEC_NM, -1},
    {"fld1", {{0xd9, 0xe8}, 2, 0, 0, 0, NULL, 0, 0}, -1, VEC_NM, VEC_NM, -1},
    {"fninit", {{0xdb, 0xe3}, 2, 0, 0, 0, NULL, 0, 0}, -1, VEC_NM, VEC_NM, -1},
    {"fxsave (not run)", {{0x0f, 0xae, 0x46, 0x10}, 4, 0, 0, 0, NULL, 0, 0}, -3, VEC_NM, VEC_NM, -3},
    {"sfence", {{0x0f, 0xae, 0xf8}, 3, 0, 0, 0, NULL, 0, 0}, -1, -1, -1, -1},
    {"crc32", {{0xf2, 0x0f, 0x38, 0xf0, 0xc1}, 5, 0, 0, 0, NULL, 0, 0}, -1, -1, -1, -1},
    {"3dnow pfadd", {{0x0f, 0x0f, 0xc1, 0x9e}, 4, 0, 0, 0, NULL, 0, 0}, -2, -2, -2, -2},
    {"addsubps is not movsb", {{0xa4}, 1, 0, 0, 0, NULL, 0, 0}, -2, -2, -2, -2},
    {"string movsd", {{0xa5}, 1, 0, 0, 0, NULL, 0, 0}, -2, -2, -2, -2},
};

/* AVX asks XCR0 and CR0.TS, not CR0.EM or CR4.OSFXSR; and there is none outside protected mode. */
static void test_avx_gates(void)
{
    const struct insn vandps = {.bytes = {0xc5, 0xf0, 0x54, 0xc2}, .len = 4};
    const uint32_t mode = MODE_64 | MODE_PE | MODE_LMA;
    if (!__builtin_cpu_supports("avx"))
        return;
    expect("vandps", emu_gate(&vandps, mode | MODE_AVX, 0), -1);
    expect("vandps EM", emu_gate(&vandps, mode | MODE_AVX | MODE_EM, 0), -1);
    expect("vandps TS", emu_gate(&vandps, mode | MODE_AVX | MODE_TS, 0), VEC_NM);
    expect("vandps without XCR0", emu_gate(&vandps, mode | MODE_OSFXSR, 0), VEC_UD);
    expect("vandps without XCR0, TS", emu_gate(&vandps, mode | MODE_TS, 0), VEC_UD);
    expect("vandps in real mode", emu_gate(&vandps, MODE_AVX, 0), -2);
}

static void test_gates(void)
{
    const uint32_t mode = MODE_64 | MODE_PE | MODE_LMA;
    for (unsigned n = 0; n < sizeof(gates) / sizeof(gates[0]); n++) {
        const struct gate *g = &gates[n];
        if (g->plain != -3)
            expect(g->name, emu_gate(&g->i, mode | MODE_OSFXSR, 0), g->plain);
        expect(g->name, emu_gate(&g->i, mode | MODE_OSFXSR | MODE_EM, 0), g->em);
        expect(g->name, emu_gate(&g->i, mode | MODE_OSFXSR | MODE_TS, 0), g->ts);
        if (g->no_osfxsr != -3)
            expect(g->name, emu_gate(&g->i, mode, 0), g->no_osfxsr);
    }
    test_avx_gates();
    struct insn wait = {.bytes = {0x9b}, .len = 1};
    expect("fwait TS", emu_gate(&wait, mode | MODE_TS, 8), -1);
    expect("fwait MP", emu_gate(&wait, mode, 2), -1);
    expect("fwait TS MP", emu_gate(&wait, mode | MODE_TS, 10), VEC_NM);
}

/* Every memory form on unmapped memory: either no access, or #PF (or what comes before it) and no
 * change at all. */
static void faulting(struct insn *i)
{
    static uint8_t mem[ORACLE_MEM] __attribute__((aligned(4096)));
    static uint8_t mem0[ORACLE_MEM];
    struct machine before = {.mem = mem}, after;
    rnd_machine(&before, false, false);
    emu_reread(&before);
    memcpy(mem0, mem, sizeof(mem));
    after = before;
    emu_run_unmapped(&after, i);
    checks++;
    if (after.vector == -1 || strstr(insn_name(i), "maskmovq")) /* an AMD has entered MMX state: cpu-forms */
        return;
    after.vector = -1;
    if (i->vsib) { /* mask elements before the faulting one are cleared: cpu-forms compares them */
        memcpy(after.fx.xmm, before.fx.xmm, sizeof(after.fx.xmm));
        memcpy(after.high, before.high, sizeof(after.high));
    }
    if (memcmp(&after, &before, sizeof(before)) || memcmp(mem, mem0, sizeof(mem))) {
        printf("# %s: state changed by a page fault\n", insn_name(i));
        failed++;
    }
}

int main(void)
{
    emu_init();
    encode_init();
    test_gates();
    encode_simd(faulting);
    encode_vex(faulting);
    encode_x87(faulting);
    printf("%s 1 - %u checks of faults, %u failed\n1..1\n", failed ? "not ok" : "ok", checks,
           failed);
    return failed != 0;
}
