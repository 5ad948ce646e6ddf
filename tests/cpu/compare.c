/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Compares the two final states and says what differs. What is not compared is named here, with its
 * reason. Must never excuse a difference that software could rely on.
 */
#include "tests/cpu/forms.h"

#include <cpuid.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

const char *insn_text(const struct insn *i)
{
    static char buf[200];
    ZydisDisassembledInstruction d;
    if (!ZYAN_SUCCESS(ZydisDisassembleIntel(i->m64 ? ZYDIS_MACHINE_MODE_LONG_64 : ZYDIS_MACHINE_MODE_LEGACY_32,
                                            i->at, i->bytes, i->len, &d)))
        strcpy(d.text, "?");
    int n = snprintf(buf, sizeof(buf), "%s  ", d.text);
    for (unsigned k = 0; k < i->len && n < (int)sizeof(buf) - 3; k++)
        n += snprintf(buf + n, sizeof(buf) - (unsigned)n, "%02x", i->bytes[k]);
    return buf;
}

static bool loud;
static unsigned report(const char *what, int n, uint64_t was, uint64_t host, uint64_t ours)
{
    if (host == ours)
        return 0;
    if (loud)
        printf("#   %s[%d]: before %016" PRIx64 " host %016" PRIx64 " ours %016" PRIx64 "\n", what, n, was,
               host, ours);
    return 1;
}

/* Random numbers are not compared, but that there is one and how wide it is. */
static void forget_random(const struct insn *i, struct state *s)
{
    uint64_t mask = i->ops[0].size == 16 ? 0xffff : i->ops[0].size == 32 ? 0xffffffff : ~0ull;
    unsigned n = (unsigned)ZydisRegisterGetId(i->ops[0].reg.value) & 15;
    if (s->rflags & 1)
        s->gpr[n] &= ~mask;
}
/* The kernel says that a page of its own half is there, whether it is or not. */
static void forget_kernel(struct state *s)
{
    if (s->vector == 14 && s->cr2 >= 0x7ffffffff000)
        s->error &= ~1u;
}
/* Which of several faults of one instruction a processor raises is its own affair (SDM 3A, table 6-2: "faults on
 * executing an instruction" are one class; APM 2, table 8-8). The interpreter has AMD's order, which is compared on
 * an AMD; elsewhere, of operands that processors access piece by piece and of misaligned ones past a segment's
 * limit, that there is such a fault. */
static bool host_amd(void)
{
    static int amd = -1;
    unsigned a, b, c, d;
    if (amd < 0)
        amd = __get_cpuid(0, &a, &b, &c, &d) && (b == 0x68747541 || b == 0x6f677948);
    return amd;
}
static bool memory_fault(int vector)
{
    return vector >= 12 && vector <= 14;
}
static bool piecewise(const struct insn *i)
{
    for (unsigned k = 0; k < i->in.operand_count; k++)
        if (i->ops[k].type == ZYDIS_OPERAND_TYPE_MEMORY &&
            (i->ops[k].size > 256 || (i->ops[k].size & (i->ops[k].size - 1))))
            return true;
    return false;
}
static void forget_order(const struct insn *i, struct state *h, struct state *e)
{
    bool segment = !i->m64 && h->vector != 14 && e->vector != 14;
    if (host_amd() || !memory_fault(h->vector) || !memory_fault(e->vector) || !(piecewise(i) || segment))
        return;
    e->vector = h->vector;
    e->error = h->error;
    e->cr2 = h->cr2;
}
static uint64_t flags_mask(const struct insn *i, const struct state *before)
{
    (void)before;
    (void)i;
    return FL_COMPARED;
}

/* The instruction and data pointers are state that processors keep while an exception is pending, else not
 * (APM 4, FXSAVE; the host's kernel switches tasks in between). */
static bool pointers_defined(const struct fpu *f)
{
    return f->fsw & 0x80;
}
static bool pointers_same(const struct fpu *h, const struct fpu *e)
{
    return !pointers_defined(h) || (h->fop == e->fop && h->fip == e->fip && h->fdp == e->fdp);
}
static unsigned diff_fpu(const struct fpu *b, const struct fpu *h, const struct fpu *e)
{
    unsigned bad = 0;
    bad += report("fcw", 0, b->fcw, h->fcw, e->fcw);
    bad += report("fsw", 0, b->fsw, h->fsw, e->fsw);
    bad += report("ftw", 0, b->ftw, h->ftw, e->ftw);
    bad += report("mxcsr", 0, b->mxcsr, h->mxcsr, e->mxcsr);
    if (pointers_defined(h)) {
        bad += report("fop", 0, b->fop, h->fop, e->fop);
        bad += report("fip", 0, b->fip, h->fip, e->fip);
        bad += report("fdp", 0, b->fdp, h->fdp, e->fdp);
    }
    for (int i = 0; i < 8; i++) {
        bad += report("st.mant", i, b->st[i].mant, h->st[i].mant, e->st[i].mant);
        bad += report("st.se", i, b->st[i].se, h->st[i].se, e->st[i].se);
    }
    const uint64_t *xb = (const uint64_t *)b->xmm, *xh = (const uint64_t *)h->xmm, *xe = (const uint64_t *)e->xmm;
    const uint64_t *yb = (const uint64_t *)b->ymmh, *yh = (const uint64_t *)h->ymmh, *ye = (const uint64_t *)e->ymmh;
    for (int i = 0; i < 32; i++) {
        bad += report("xmm", i, xb[i], xh[i], xe[i]);
        bad += report("ymmh", i, yb[i], yh[i], ye[i]);
    }
    return bad;
}
static bool fpu_same(const struct fpu *h, const struct fpu *e)
{
    return h->fcw == e->fcw && h->fsw == e->fsw && h->ftw == e->ftw && h->mxcsr == e->mxcsr &&
           pointers_same(h, e) && !memcmp(h->st, e->st, sizeof(h->st)) && !memcmp(h->xmm, e->xmm, sizeof(h->xmm)) &&
           !memcmp(h->ymmh, e->ymmh, sizeof(h->ymmh));
}
static bool regs_same(const struct insn *i, const struct state *h, const struct state *e)
{
    uint64_t mask = i->m64 ? ~0ull : 0xffffffffu;
    for (unsigned r = 0; r < (i->m64 ? 16 : 8); r++)
        if ((h->gpr[r] ^ e->gpr[r]) & mask)
            return false;
    return true;
}
/* Bytes of the memory operand that need not agree: where the last x87 instruction and its operand were. */
static bool mem_same(const uint8_t *h, const uint8_t *e)
{
    return !memcmp(h, e, DATA_SIZE);
}

bool states_same(const struct insn *i, const struct state *b, struct state *h, struct state *e,
                 const uint8_t *mb, const uint8_t *mh, const uint8_t *me, bool print)
{
    uint64_t fl = flags_mask(i, b);
    if (i->in.mnemonic == ZYDIS_MNEMONIC_RDRAND || i->in.mnemonic == ZYDIS_MNEMONIC_RDSEED) {
        forget_random(i, h);
        forget_random(i, e);
    }
    if (i->in.mnemonic == ZYDIS_MNEMONIC_INT3 || i->in.mnemonic == ZYDIS_MNEMONIC_INTO ||
        i->in.mnemonic == ZYDIS_MNEMONIC_INT1)
        h->rip = e->rip; /* of the delivery's fault, not of the trap: tests/unit/cpu/test-events.c */
    forget_order(i, h, e);
    forget_kernel(h);
    forget_kernel(e);
    bool fault = h->vector == e->vector &&
                 (h->vector < 0 || (h->error == e->error && (h->vector != 14 || h->cr2 == e->cr2)));
    if (fault && h->rip == e->rip && !((h->rflags ^ e->rflags) & fl) && regs_same(i, h, e) &&
        fpu_same(&h->fpu, &e->fpu) && mem_same(mh, me))
        return true;
    loud = print;
    if (!print)
        return false;
    printf("# %s  fcw %04x fsw %04x mxcsr %05x\n", insn_text(i), b->fpu.fcw, b->fpu.fsw, b->fpu.mxcsr);
    report("vector", 0, 0, (uint64_t)h->vector, (uint64_t)e->vector);
    if (h->vector >= 0 && h->vector == e->vector) {
        report("error", 0, 0, h->error, e->error);
        if (h->vector == 14)
            report("cr2", 0, 0, h->cr2, e->cr2);
    }
    report("rip", 0, b->rip, h->rip, e->rip);
    report("rflags", 0, b->rflags, h->rflags & fl, e->rflags & fl);
    for (int r = 0; r < (i->m64 ? 16 : 8); r++)
        report("gpr", r, b->gpr[r], h->gpr[r], e->gpr[r]);
    diff_fpu(&b->fpu, &h->fpu, &e->fpu);
    for (unsigned k = 0, n = 0; k < DATA_SIZE && n < 8; k++)
        n += report("mem", (int)(DATA + k - CENTRE), mb[k], mh[k], me[k]);
    return false;
}
