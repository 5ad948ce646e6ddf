/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What CR0.EM, CR0.TS, CR0.MP, CR4.OSFXSR, CR4.OSXSAVE and XCR0 make of x87, MMX, SSE and AVX instructions (SDM
 * volume 3, tables 2-2, 13-1 and 22-1). Must never run an instruction that the host lacks.
 */
#include <string.h>
#include "cpu-worker/interp/decode.h"
#include "cpu-worker/interp/handlers.h"
#include "tests/unit/cpu/rig.h"

#define CR0_MP     0x2u
#define CR0_EM     0x4u
#define CR0_TS     0x8u
#define CR0_NE     0x20u
#define CR4_FXSR   0x600u
#define CR4_XSAVE  0x40000u

#define UD 6
#define NM 7
#define OK STOPPED

static int run(const uint8_t *insn, unsigned len, uint32_t cr0, uint32_t cr4, uint64_t xcr0)
{
    static const uint8_t stop[] = {0x0f, 0x01, 0x1c, 0x25, 0, 6, 0, 0, 0x0f, 0x0b};
    uint8_t code[32];
    memcpy(code, insn, len);
    memcpy(code + len, stop, sizeof(stop));
    rig_load(code, len + (unsigned)sizeof(stop));
    struct abi_vcpu_state *s = rig.cpu->s;
    s->cr0 = (s->cr0 & ~0xeull) | CR0_NE | cr0;
    s->cr4 = (s->cr4 & ~(uint64_t)(CR4_FXSR | CR4_XSAVE)) | cr4;
    s->xcr0 = xcr0;
    cpu_state_load(rig.cpu);
    rig.cpu->gpr[RSI] = RIG_USER;
    return rig_run();
}

static const struct gate {
    const char *name;
    uint8_t insn[6], len;
    int plain, em, ts, no_osfxsr;
} gates[] = {
    {"paddb xmm", {0x66, 0x0f, 0xfc, 0xc1}, 4, OK, UD, NM, UD},
    {"addps", {0x0f, 0x58, 0xc1}, 3, OK, UD, NM, UD},
    {"cvtpi2ps mm", {0x0f, 0x2a, 0xc1}, 3, OK, UD, NM, UD},
    {"stmxcsr", {0x0f, 0xae, 0x5e, 0x10}, 4, OK, UD, NM, UD},
    {"paddb mm", {0x0f, 0xfc, 0xc1}, 3, OK, UD, NM, OK},
    {"pshufw mm", {0x0f, 0x70, 0xc1, 0x1b}, 4, OK, UD, NM, OK},
    {"emms", {0x0f, 0x77}, 2, OK, UD, NM, OK},
    {"fld1", {0xd9, 0xe8}, 2, OK, NM, NM, OK},
    {"fninit", {0xdb, 0xe3}, 2, OK, NM, NM, OK},
    {"fxsave", {0x0f, 0xae, 0x46, 0x10}, 4, OK, NM, NM, OK},
    {"sfence", {0x0f, 0xae, 0xf8}, 3, OK, OK, OK, OK},
    {"crc32", {0xf2, 0x0f, 0x38, 0xf0, 0xc1}, 5, OK, OK, OK, OK},
};
static void legacy(void)
{
    for (unsigned n = 0; n < sizeof(gates) / sizeof(gates[0]); n++) {
        const struct gate *g = &gates[n];
        ok(run(g->insn, g->len, 0, CR4_FXSR, 1) == g->plain && run(g->insn, g->len, CR0_EM, CR4_FXSR, 1) == g->em &&
               run(g->insn, g->len, CR0_TS, CR4_FXSR, 1) == g->ts && run(g->insn, g->len, 0, 0, 1) == g->no_osfxsr,
           "%s: CR0.EM, CR0.TS, CR4.OSFXSR", g->name);
    }
    static const uint8_t wait[] = {0x9b};
    ok(run(wait, 1, CR0_TS, 0, 1) == OK && run(wait, 1, CR0_MP, 0, 1) == OK &&
           run(wait, 1, CR0_TS | CR0_MP, 0, 1) == NM, "fwait: #NM with CR0.TS and CR0.MP together");
}

static bool decodes(const uint8_t *bytes, uint32_t mode)
{
    static struct op o[3];
    struct decode_in in = {bytes, 15, mode, 0, rig.cpu->feat, rig.cpu->vendor};
    return decode_one(o, &in) != DECODE_MORE && o->fn != op_ud;
}
/* AVX asks CR4.OSXSAVE, XCR0 and CR0.TS, not CR0.EM or CR4.OSFXSR; and there is none outside protected mode. */
static void avx(void)
{
    static const uint8_t vandps[15] = {0xc5, 0xf0, 0x54, 0xc2};
    const uint32_t cr4 = CR4_XSAVE;
    if (!cpu_has(rig.cpu, FEAT_AVX)) {
        ok(true, "vandps # SKIP the host has no AVX");
        return;
    }
    ok(run(vandps, 4, 0, cr4, 7) == OK && run(vandps, 4, CR0_EM, cr4, 7) == OK && run(vandps, 4, CR0_TS, cr4, 7) == NM,
       "vandps: CR0.TS counts, CR0.EM and CR4.OSFXSR do not");
    ok(run(vandps, 4, 0, cr4 | CR4_FXSR, 3) == UD && run(vandps, 4, CR0_TS, cr4, 1) == UD &&
           run(vandps, 4, 0, CR4_FXSR, 7) == UD, "vandps: #UD without XCR0 or CR4.OSXSAVE, before #NM");
    ok(!decodes(vandps, MODE_AVX) && decodes(vandps, MODE_AVX | MODE_PE), "vandps: not in real mode");
}

int main(void)
{
    legacy();
    avx();
    return ctest_done();
}
