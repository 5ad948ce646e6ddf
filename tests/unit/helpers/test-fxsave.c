/* SPDX-License-Identifier: Apache-2.0 */
/*
 * FXSAVE and FXRSTOR where CPL 0 matters (EFER.FFXSR), and the MXCSR bits a model has. Must never depend on the
 * host's own MXCSR mask.
 */
#include <string.h>
#include "tests/unit/cpu/rig.h"

#define AT         RIG_USER
#define EFER_FFXSR 0x4000u
#define BIT(f)     (1u << ((f)&31))

static void feature(unsigned f, bool on)
{
    uint32_t *w = &rig.cpu->feat[f >> 5];
    *w = on ? *w | BIT(f) : *w & ~BIT(f);
}
static void features_reset(void)
{
    memcpy(rig.cpu->feat, rig.cpu->model.feat, sizeof(rig.cpu->feat));
    block_flush_all(rig.cpu);
}
static void load(const uint8_t *code, unsigned len, uint64_t efer)
{
    rig_load(code, len);
    rig.cpu->s->cr4 |= 0x600;
    rig.cpu->s->efer |= efer;
    memset(rig.cpu->s->ymm, 0x5a, sizeof(rig.cpu->s->ymm));
    memset(rig.ram + AT, 0xee, 512);
    cpu_state_load(rig.cpu);
    rig.cpu->gpr[RSI] = AT;
}
#define START(NAME, EFER) load(NAME, (unsigned)(NAME##_end - NAME), EFER)

GUEST(g_fxsave, "fxsave (%rsi); " STOP);
GUEST(g_fxrstor, "movl $0x1f80, 24(%rsi); fxrstor (%rsi); " STOP);
static void fast(void)
{
    START(g_fxsave, 0);
    ok(rig_run() == STOPPED && rig_mem32(AT + 160) == 0x5a5a5a5a && rig_mem32(AT + 412) == 0x5a5a5a5a &&
           rig_mem32(AT + 416) == 0xeeeeeeee, "FXSAVE saves 16 XMM registers");
    START(g_fxsave, EFER_FFXSR);
    ok(rig_run() == STOPPED && rig_mem32(AT + 160) == 0xeeeeeeee && rig_mem32(AT) == 0x37f &&
           rig_mem32(AT + 24) == 0x1f80, "EFER.FFXSR: not at CPL 0, but x87 and MXCSR");
    START(g_fxrstor, EFER_FFXSR);
    ok(rig_run() == STOPPED && rig.cpu->s->ymm[15][0] == 0x5a && rig.cpu->s->fpr[0].mant == 0xeeeeeeeeeeeeeeee,
       "EFER.FFXSR: FXRSTOR leaves the XMM registers alone");
    rig_user(g_fxsave, (unsigned)(g_fxsave_end - g_fxsave));
    rig.cpu->s->efer |= EFER_FFXSR;
    rig.cpu->s->cr4 |= 0x600;
    memset(rig.cpu->s->ymm, 0x5a, sizeof(rig.cpu->s->ymm));
    cpu_state_load(rig.cpu);
    rig.cpu->gpr[RSI] = AT + 0x1000;
    ok(rig_run() == 13 && rig_mem32(AT + 0x1000 + 160) == 0x5a5a5a5a, "EFER.FFXSR: at CPL 3 they are saved");
}

GUEST(g_efer, "mov $0xc0000080, %ecx; rdmsr; or $0x4000, %eax; wrmsr; rdmsr; " STOP);
static void efer(void)
{
    START(g_efer, 0);
    feature(FEAT_FXSR_OPT, true);
    ok(rig_run() == STOPPED && (rig_reg(RAX) & EFER_FFXSR), "EFER.FFXSR can be set where CPUID says so");
    START(g_efer, 0);
    feature(FEAT_FXSR_OPT, false);
    ok(rig_run() == 13, "and is #GP elsewhere");
    features_reset();
}

GUEST(g_mask, "fxsave (%rsi); mov 28(%rsi), %ebx; mov %ebx, 24(%rsi); ldmxcsr 24(%rsi); stmxcsr 32(%rsi)\n"
              "mov 32(%rsi), %edx; notl %ebx; btr $16, %ebx; bsf %ebx, %ecx; mov $1, %eax; shl %cl, %eax\n"
              "mov %eax, 24(%rsi); ldmxcsr 24(%rsi); " STOP);
static void mask(bool mm)
{
    const uint32_t want = mm ? 0x2ffff : 0xffff;
    START(g_mask, 0);
    feature(FEAT_MISALIGNSSE, mm);
    ok(rig_run() == 13 && rig_mem32(AT + 28) == want && rig_reg(RDX) == want,
       "MXCSR_MASK is %x %s MISALIGNSSE, LDMXCSR takes that and #GPs beyond", want, mm ? "with" : "without");
    features_reset();
}

int main(void)
{
    fast();
    efer();
    mask(false);
    if (cpu_has(rig.cpu, FEAT_MISALIGNSSE))
        mask(true);
    return ctest_done();
}
