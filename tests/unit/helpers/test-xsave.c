/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What user mode cannot show of the XSAVE family (SDM volume 1, chapter 13): compaction, components in their
 * initial state, what XSAVES and XRSTORS refuse, XGETBV(1), IA32_XSS, and PKRU as component 9. Must never depend on
 * the host's XCR0.
 */
#include <string.h>
#include "cpu-worker/helpers/xsave.h"
#include "tests/unit/cpu/rig.h"

#define AT       (RIG_USER + 0x10000)
#define ALL      0x207u
#define COMPACT  0x80000000u /* upper half of XCOMP_BV */
#define CR4_PKE  0x400000u
#define CR4_XSAVE 0x40000u
#define FILL     0xeeeeeeeeu

/* The whole model, and PKU whether the model has it or not. */
static void setup(const uint8_t *code, unsigned len, bool user)
{
    if (user)
        rig_user(code, len);
    else
        rig_load(code, len);
    rig.cpu->feat[FEAT_PKU >> 5] |= 1u << (FEAT_PKU & 31);
    rig.cpu->s->cr4 |= 0x600 | CR4_XSAVE | CR4_PKE;
    rig.cpu->s->xcr0 = ALL;
    rig.cpu->s->pkru = 0;
    memset(rig.cpu->s->ymm, 0, sizeof(rig.cpu->s->ymm));
    memset(rig.ram + AT, FILL & 0xff, 1024);
    cpu_state_load(rig.cpu);
    rig.cpu->gpr[RSI] = AT;
    rig.cpu->gpr[RAX] = ALL;
    rig.cpu->gpr[RDX] = 0;
    rig.cpu->gpr[RDI] = RIG_VA;
}
#define START(NAME)  setup(NAME, (unsigned)(NAME##_end - NAME), false)
#define START3(NAME) setup(NAME, (unsigned)(NAME##_end - NAME), true)

static uint32_t word(unsigned at)
{
    return rig_mem32(AT + at);
}
static void header(uint64_t bv, uint64_t comp)
{
    uint64_t h[8] = {bv, comp};
    memcpy(rig.ram + AT + XSAVE_HEADER, h, sizeof(h));
    uint32_t mxcsr = 0x1f80;
    memcpy(rig.ram + AT + 24, &mxcsr, 4);
}
static uint64_t compact_of(uint64_t components)
{
    return components | (uint64_t)COMPACT << 32;
}

/* ---- saving ---- */
GUEST(g_xsavec, "xsavec (%rsi); " STOP);
GUEST(g_xsaves, "xsaves (%rsi); " STOP);
GUEST(g_xsave, "xsave (%rsi); " STOP);
GUEST(g_xsaveopt, "xsaveopt (%rsi); " STOP);

static bool saved(const char *what, uint32_t bv, uint32_t comp, uint32_t comp_hi)
{
    return same_u64(what, word(XSAVE_HEADER), bv) && same_u64("XCOMP_BV", word(XSAVE_HEADER + 8), comp) &&
           same_u64("XCOMP_BV above", word(XSAVE_HEADER + 12), comp_hi);
}
static void compaction(void)
{
    START(g_xsavec);
    rig.cpu->s->pkru = 0x50;
    ok(rig_run() == STOPPED && saved("XSTATE_BV", 0x200, ALL, COMPACT) && word(576) == FILL && word(832) == 0x50 &&
           word(836) == 0 && word(840) == FILL && word(160) == FILL && word(0) == FILL,
       "XSAVEC: what is in its initial state takes its room and is not written");
    START(g_xsavec);
    rig.cpu->s->pkru = 0x50;
    rig.cpu->gpr[RAX] = XSAVE_PKRU;
    ok(rig_run() == STOPPED && saved("XSTATE_BV", 0x200, 0x200, COMPACT) && word(576) == 0x50 && word(584) == FILL,
       "XSAVEC: PKRU moves up where nothing is before it");
    START(g_xsaves);
    rig.cpu->s->pkru = 0x60;
    memset(rig.cpu->s->ymm[3], 0x11, 32);
    ok(rig_run() == STOPPED && saved("XSTATE_BV", 0x206, ALL, COMPACT) && word(832) == 0x60 &&
           word(160 + 48) == 0x11111111 && word(576 + 48) == 0x11111111 && word(24) == 0x1f80,
       "XSAVES: the same at CPL 0");
    START(g_xsavec);
    rig.cpu->gpr[RAX] = XSAVE_SSE;
    rig.cpu->s->mxcsr = 0x1f81;
    ok(rig_run() == STOPPED && saved("XSTATE_BV", 2, 2, COMPACT) && word(24) == 0x1f81,
       "XSAVEC: MXCSR alone makes SSE state not initial");
}
static void standard(void)
{
    START(g_xsave);
    header(4, 0);
    rig.cpu->s->pkru = 0x70;
    ok(rig_run() == STOPPED && saved("XSTATE_BV", 0x200, 0, 0) && word(576) == 0 && word(832) == 0x70 &&
           word(840) == FILL, "XSAVE writes all that is asked for, PKRU at its standard place");
    START(g_xsaveopt);
    header(5, 0);
    rig.cpu->s->pkru = 0x70;
    rig.cpu->gpr[RAX] = XSAVE_PKRU | XSAVE_AVX;
    ok(rig_run() == STOPPED && saved("XSTATE_BV", 0x201, 0, 0) && word(576) == FILL && word(832) == 0x70,
       "XSAVEOPT leaves out what is in its initial state, and bits not asked for alone");
}

/* ---- restoring ---- */
GUEST(g_xrstor, "xrstor (%rsi); " STOP);
GUEST(g_xrstors, "xrstors (%rsi); " STOP);
GUEST(g_keys, "mov (%rdi), %ebx; xrstor (%rsi); mov (%rdi), %ecx; int $0x80");

static void put(unsigned at, uint32_t v)
{
    rig_put(AT + at, &v, 4);
}
static void restores(void)
{
    START(g_xrstor);
    header(0x200, compact_of(0x204));
    put(832, 0x12);
    ok(rig_run() == STOPPED && same_u64("pkru", rig.cpu->s->pkru, 0x12), "XRSTOR of a compacted image: PKRU after AVX");
    START(g_xrstor);
    header(0x200, compact_of(0x200));
    put(576, 0x34);
    ok(rig_run() == STOPPED && same_u64("pkru", rig.cpu->s->pkru, 0x34), "... and without AVX");
    START(g_xrstor);
    header(0x200, 0);
    put(832, 0x56);
    ok(rig_run() == STOPPED && same_u64("pkru", rig.cpu->s->pkru, 0x56), "XRSTOR of a standard image");
    START(g_xrstor);
    header(0, 0);
    rig.cpu->s->pkru = 0x78;
    memset(rig.cpu->s->ymm[2], 1, 32);
    ok(rig_run() == STOPPED && !rig.cpu->s->pkru && !rig.cpu->s->ymm[2][0] && !rig.cpu->s->ymm[2][31],
       "XRSTOR of nothing: initial state");
    START(g_xrstor);
    header(0, 0);
    rig.cpu->s->pkru = 0x78;
    rig.cpu->gpr[RAX] = 7;
    ok(rig_run() == STOPPED && rig.cpu->s->pkru == 0x78, "PKRU stays when it is not asked for");
    START3(g_keys);
    header(0x200, 0);
    put(832, 4); /* key 1: no access */
    rig_map(0, 0x1000000 | 7 | 1ull << 59);
    ok(rig_run() == 14 && rig_stack(0) == 0x25, "rights of PKRU hold from the next access on");
}

static void refused(const uint8_t *code, unsigned len, const char *insn)
{
    static const struct {
        const char *what;
        uint64_t bv, comp;
        unsigned at;
        bool standard; /* compaction bit clear */
    } bad[] = {
        {"a component beyond XCOMP_BV", 7, 3, 0, false},
        {"XSTATE_BV bit 63", 1ull << 63 | 3, 3, 0, false},
        {"a component beyond XCR0", 3, 0x23, 0, false},
        {"a reserved byte", 3, 3, XSAVE_HEADER + 16, false},
        {"the last reserved byte", 3, 3, XSAVE_HEADER + 63, false},
        {"a standard image with a component beyond XCR0", 0x23, 0, 0, true},
        {"a standard image with XCOMP_BV", 3, 3, 0, true},
        {"a standard image with bytes 16 to 23", 3, 0, XSAVE_HEADER + 23, true},
    };
    for (unsigned n = 0; n < sizeof(bad) / sizeof(bad[0]); n++) {
        setup(code, len, false);
        header(bad[n].bv, bad[n].standard ? bad[n].comp : compact_of(bad[n].comp));
        if (bad[n].at)
            rig.ram[AT + bad[n].at] = 1;
        rig.cpu->s->pkru = 0x50;
        ok(rig_run() == 13 && rig.cpu->s->pkru == 0x50, "%s: #GP for %s", insn, bad[n].what);
    }
}
#define REFUSED(NAME, TEXT) refused(NAME, (unsigned)(NAME##_end - NAME), TEXT)

static void supervisor(void)
{
    START(g_xrstors);
    header(3, 0);
    ok(rig_run() == 13, "XRSTORS: #GP for a standard image");
    START(g_xrstors);
    header(0x200, compact_of(ALL));
    put(832, 9);
    ok(rig_run() == STOPPED && rig.cpu->s->pkru == 9, "XRSTORS of a compacted image");
    START3(g_xrstors);
    header(0, compact_of(ALL));
    ok(rig_run() == 13, "XRSTORS: #GP at CPL 3");
    START3(g_xsaves);
    ok(rig_run() == 13 && word(XSAVE_HEADER) == FILL, "XSAVES: #GP at CPL 3");
    static const struct {
        uint64_t cr0, cr4_off;
        int want;
    } gate[] = {{0, CR4_XSAVE, 6}, {8, 0, 7}, {8, CR4_XSAVE, 6}, {0, 0, STOPPED}};
    bool good = true;
    for (unsigned n = 0; n < 4; n++) {
        START(g_xsaves);
        rig.cpu->s->cr0 |= gate[n].cr0;
        rig.cpu->s->cr4 &= ~gate[n].cr4_off;
        cpu_state_load(rig.cpu);
        good = good && rig_run() == gate[n].want;
    }
    ok(good, "XSAVES: #UD without CR4.OSXSAVE before #NM with CR0.TS");
}

/* ---- registers ---- */
GUEST(g_xgetbv1, "mov $1, %ecx; xgetbv; " STOP);
GUEST(g_xsetbv, "xor %ecx, %ecx; xsetbv; " STOP);
GUEST(g_xss, "mov $0xda0, %ecx; rdmsr; mov %eax, %ebx; xor %eax, %eax; xor %edx, %edx; wrmsr; mov $0x100, %eax; wrmsr; " STOP);
static bool xsetbv(uint32_t v, int want)
{
    START(g_xsetbv);
    rig.cpu->gpr[RAX] = v;
    return same_u64("XSETBV", (uint64_t)rig_run(), (uint64_t)want);
}
static void registers(void)
{
    START(g_xgetbv1);
    rig.cpu->s->fsw = rig.cpu->s->fop = 0;
    rig.cpu->s->fcw = 0x37f;
    rig.cpu->s->ftw = 0xffff;
    memset(rig.cpu->s->fpr, 0, sizeof(rig.cpu->s->fpr));
    ok(rig_run() == STOPPED && rig_reg(RAX) == 0 && rig_reg(RDX) == 0, "XGETBV(1): nothing in use");
    START(g_xgetbv1);
    rig.cpu->s->pkru = 1;
    rig.cpu->s->ymm[1][20] = 1;
    rig.cpu->s->fcw = 0x37e;
    ok(rig_run() == STOPPED && rig_reg(RAX) == 0x205, "XGETBV(1): x87, AVX and PKRU");
    START(g_xgetbv1);
    rig.cpu->s->pkru = 1;
    rig.cpu->s->ymm[1][20] = 1;
    rig.cpu->s->xcr0 = 3;
    ok(rig_run() == STOPPED && !(rig_reg(RAX) & 0x204), "XGETBV(1): no more than XCR0 has");
    ok(xsetbv(0x207, STOPPED) && xsetbv(0x201, STOPPED) && xsetbv(0x200, 13) && xsetbv(0x205, 13) && xsetbv(0x20f, 13),
       "XSETBV: PKRU by itself, x87 always, AVX with SSE, nothing unknown");
    START(g_xss);
    ok(rig_run() == 13 && rig_reg(RBX) == 0 && rig_reg(RAX) == 0x100, "IA32_XSS is 0 and holds nothing else");
}

GUEST(g_leaves, "mov $0xd, %eax; xor %ecx, %ecx; cpuid; mov %eax, %r8d; mov %ecx, %r9d; mov %ebx, %r10d\n"
                "mov $0xd, %eax; mov $9, %ecx; cpuid; mov %eax, %r11d; mov %ebx, %r12d; mov %ecx, %r13d\n"
                "mov $0xd, %eax; mov $1, %ecx; cpuid; " STOP);
static void leaves(void)
{
    START(g_leaves);
    ok(rig_run() == STOPPED && rig_reg(8) == ALL && rig_reg(9) == 840 && rig_reg(10) == 840 && rig_reg(11) == 8 &&
           rig_reg(12) == 832 && !rig_reg(13) && rig_reg(RBX) == 840, "CPUID leaf 0Dh describes PKRU");
    START(g_leaves);
    rig.cpu->s->xcr0 = 0x203;
    ok(rig_run() == STOPPED && rig_reg(10) == 840 && rig_reg(RBX) == 584,
       "sizes of what XCR0 selects, standard and compacted");
}

int main(void)
{
    START(g_xsave);
    if (!cpu_has(rig.cpu, FEAT_AVX)) {
        ok(true, "# SKIP the host has no AVX");
        return ctest_done();
    }
    compaction();
    standard();
    restores();
    REFUSED(g_xrstor, "XRSTOR");
    REFUSED(g_xrstors, "XRSTORS");
    supervisor();
    registers();
    leaves();
    return ctest_done();
}
