/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Compares a native run with an emulated one, state by state, and says what differs. Must never
 * excuse a difference that software could see.
 */
#include "tests/unit/helpers/oracle.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <Zydis/Zydis.h>

const char *insn_name(const struct insn *i)
{
    static char text[128];
    ZydisDisassembledInstruction d;
    if (ZYAN_SUCCESS(ZydisDisassembleIntel(ZYDIS_MACHINE_MODE_LONG_64, 0, i->bytes, i->len, &d)))
        snprintf(text, sizeof(text), "%s", d.text);
    else
        snprintf(text, sizeof(text), "?");
    return text;
}

static bool quiet;

static unsigned report(const char *what, int n, uint64_t before, uint64_t native, uint64_t emu)
{
    if (native == emu)
        return 0;
    if (!quiet)
        printf("#   %s[%d]: before %016" PRIx64 " host %016" PRIx64 " ours %016" PRIx64 "\n", what, n,
           before, native, emu);
    return 1;
}

static unsigned diff_fp(const struct fx_image *b, const struct fx_image *n,
                        const struct fx_image *e)
{
    unsigned bad = 0;
    bad += report("fcw", 0, b->fcw, n->fcw, e->fcw);
    bad += report("fsw", 0, b->fsw, n->fsw, e->fsw);
    bad += report("ftw", 0, b->ftw, n->ftw, e->ftw);
    bad += report("fip", 0, b->fip, n->fip, e->fip);
    for (int i = 0; i < 8; i++) {
        bad += report("st.mant", i, b->st[i].mant, n->st[i].mant, e->st[i].mant);
        bad += report("st.se", i, b->st[i].se, n->st[i].se, e->st[i].se);
    }
    bad += report("mxcsr", 0, b->mxcsr, n->mxcsr, e->mxcsr);
    for (int i = 0; i < 16; i++) {
        bad += report("xmm.lo", i, b->xmm[i][0], n->xmm[i][0], e->xmm[i][0]);
        bad += report("xmm.hi", i, b->xmm[i][1], n->xmm[i][1], e->xmm[i][1]);
    }
    return bad;
}

/* An Intel processor may not record the opcode and the data pointer; an AMD one does. */
static unsigned diff_environment(const struct machine *b, const struct machine *n,
                                 const struct machine *e)
{
    unsigned bad = 0;
    if (n->vector != -1)
        return 0;
    bad += report("env.ip", 0, b->env[3], n->env[3], e->env[3]);
    if (host_is_amd()) {
        bad += report("env.op", 0, b->env[4], n->env[4] >> 16 & 0x7ff, e->env[4] >> 16 & 0x7ff);
        bad += report("env.dp", 0, b->env[5], n->env[5], e->env[5]);
    }
    return bad;
}

static bool environment_same(const struct machine *b, const struct machine *n,
                             const struct machine *e)
{
    quiet = true;
    return !diff_environment(b, n, e);
}

static unsigned diff_all(const struct machine *b, const struct machine *n, const struct machine *e,
                         const uint8_t *mn, const uint8_t *me)
{
    unsigned bad = report("vector", 0, 0, (uint64_t)n->vector, (uint64_t)e->vector);
    bad += diff_fp(&b->fx, &n->fx, &e->fx);
    bad += diff_environment(b, n, e);
    for (int i = 0; i < 16; i++) {
        bad += report("ymm.2", i, b->high[i][0], n->high[i][0], e->high[i][0]);
        bad += report("ymm.3", i, b->high[i][1], n->high[i][1], e->high[i][1]);
    }
    for (int i = 0; i < 16; i++) {
        if (i != 4)
            bad += report("gpr", i, b->gpr[i], n->gpr[i], e->gpr[i]);
    }
    bad += report("rflags", 0, b->rflags & 0x8d5, n->rflags & 0x8d5, e->rflags & 0x8d5);
    for (int i = 0; i < (int)ORACLE_MEM; i++)
        bad += report("mem", i - (int)ORACLE_MEM / 2, 0, mn[i], me[i]);
    return bad;
}

bool machine_same(const char *name, const struct insn *i, const struct machine *before,
                  const struct machine *native, const struct machine *emu,
                  const uint8_t *mem_native, const uint8_t *mem_emu)
{
    if (native->vector == emu->vector && !memcmp(&native->fx.mxcsr, &emu->fx.mxcsr, 4) &&
        native->fx.fsw == emu->fx.fsw && native->fx.fcw == emu->fx.fcw &&
        native->fx.ftw == emu->fx.ftw && native->fx.fip == emu->fx.fip &&
        !memcmp(native->fx.st, emu->fx.st, sizeof(emu->fx.st)) &&
        !memcmp(native->fx.xmm, emu->fx.xmm, sizeof(emu->fx.xmm)) &&
        !memcmp(native->high, emu->high, sizeof(emu->high)) &&
        environment_same(before, native, emu) &&
        !memcmp(mem_native, mem_emu, ORACLE_MEM) && !memcmp(native->gpr, emu->gpr, 32) &&
        !memcmp(native->gpr + 5, emu->gpr + 5, 88) && !((native->rflags ^ emu->rflags) & 0x8d5))
        return true;
    quiet = !name;
    if (name)
        printf("# %s: %s: fcw %04x fsw %04x ftw %02x mxcsr %04x\n", name, insn_name(i), before->fx.fcw,
           before->fx.fsw, before->fx.ftw, before->fx.mxcsr);
    if (!diff_all(before, native, emu, mem_native, mem_emu))
        return true; /* only in bytes that are not compared */
    return false;
}

static uint8_t *operand(uint8_t *mem)
{
    return mem + ORACLE_MEM / 2 + 16;
}

/* Half of the images get an MXCSR that the processor accepts. */
static void prepare(const struct insn *i, uint8_t *mem)
{
    uint32_t v = (uint32_t)rnd() & 0xffff;
    if (i->fix_mxcsr && (rnd() & 1))
        memcpy(operand(mem) + 24, &v, 4);
}

static void forget(const struct insn *i, uint8_t *mem)
{
    memset(operand(mem) + i->skip_from, 0, i->skip_to - i->skip_from);
}

/* Addresses of a gather stay in the memory that there is. */
static void near_index(const struct insn *i, struct machine *m)
{
    int32_t v[8];
    if (!i->vsib)
        return;
    for (unsigned k = 0; k < 8; k++) /* as 64-bit ones: the sign in the odd halves */
        v[k] = (int32_t)(rnd() % 64) - ((k & 1) ? 0 : 32);
    for (unsigned k = 1; k < 8 && (i->vsib & 0x100); k += 2)
        v[k] = v[k - 1] < 0 ? -1 : 0;
    memcpy(m->fx.xmm[(i->vsib & 31) - 1], v, 16);
    memcpy(m->high[(i->vsib & 31) - 1], v + 4, 16);
}

/* Components beyond AVX are the host's alone. */
static void masks_and_image(const struct insn *i, struct machine *m)
{
    if (!i->prepare)
        return;
    m->gpr[0] = (m->gpr[0] & ~0xffffffffull) | (rnd() & 7);
    m->gpr[2] &= ~0xffffffffull;
    i->prepare(m->mem + ORACLE_MEM / 2 + i->prepare_at);
}

/* Both runs of one case. A task switch of an AMD host loses the pointers of FNSTENV in the native one, so
 * a difference counts when it comes back. */
static bool same_by_repetition(const char *name, const struct insn *i, const struct machine *before,
                               uint8_t *mem)
{
    static uint8_t mem0[ORACLE_MEM], mem_native[ORACLE_MEM];
    memcpy(mem0, mem, sizeof(mem0));
    for (unsigned tries = 0; tries < 3; tries++) {
        struct machine n = *before, e = *before;
        memcpy(mem, mem0, sizeof(mem0));
        native_run(&n, i);
        memcpy(mem_native, mem, sizeof(mem0));
        memcpy(mem, mem0, sizeof(mem0));
        if (!emu_run(&e, i))
            return false;
        forget(i, mem_native);
        forget(i, mem);
        if (machine_same(tries < 2 ? NULL : name, i, before, &n, &e, mem_native, mem))
            return true;
    }
    return false;
}

unsigned oracle_compare(const char *name, const struct insn *i, unsigned rounds, bool unmasked)
{
    static uint8_t mem[ORACLE_MEM] __attribute__((aligned(4096)));
    unsigned bad = 0;

    for (unsigned r = 0; r < rounds; r++) {
        struct machine before = {.mem = mem};
        rnd_machine(&before, unmasked, r & 2);
        prepare(i, mem);
        near_index(i, &before);
        masks_and_image(i, &before);
        if (!same_by_repetition(name, i, &before, mem) && ++bad >= 3)
            break;
    }
    return bad;
}
