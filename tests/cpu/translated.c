/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs one instruction as translated code. Where the translation leaves it to the interpreter, nothing may have
 * changed, and the interpreter then executes it from the same state. Must never repair what a translation did.
 */
#include "tests/cpu/forms.h"

#include <stdio.h>
#include <string.h>
#include "tests/lib/xl-rig.h"

static struct xl_rig rig;
static struct abi_xl_in in;

static uint8_t *page(uint64_t va, bool write)
{
    bool data = va >= DATA && va < DATA + DATA_SIZE && va != DATA_HOLE;
    bool code = va >= CODE && va < CODE_END && va != CODE_HOLE;
    if (write ? !data || va == DATA_RO : !data && !code)
        return NULL;
    return engine_ram() + va;
}
bool translated_init(void)
{
    return xl_rig_init(&rig, page);
}
bool translated_fault(void *ucontext)
{
    return rig.frame && xl_rig_fault(&rig, ucontext);
}
static const uint8_t lahf_bits = 0xd5;
static void state_in(struct abi_xl_frame *f, const struct state *s)
{
    memcpy(f->gpr, s->gpr, sizeof(s->gpr));
    f->fl = (uint32_t)((s->rflags & lahf_bits) << 8 | (s->rflags >> 11 & 1));
    f->eflags = s->rflags;
    f->pgbase = s->rip & ~0xfffull;
    memset(f->segbase, 0, sizeof(f->segbase));
    f->segbase[5] = GS_BASE;
    memcpy(rig.fpu_in, &s->fpu, sizeof(s->fpu));
    ((struct fpu *)rig.fpu_in)->xstate_bv = FPU_PARTS;
    f->simd_dead = 1;
}
static void state_out(const struct abi_xl_frame *f, struct state *s)
{
    memcpy(s->gpr, f->gpr, sizeof(s->gpr));
    s->rflags = (s->rflags & ~(uint64_t)FL_COMPARED) | (f->fl >> 8 & lahf_bits) | (uint64_t)(f->fl & 1) << 11 |
                (s->rflags & 0x400);
    if (f->simd_dead)
        return;
    const struct fpu *o = rig.fpu_out;
    s->fpu.mxcsr = o->mxcsr;
    for (unsigned k = 0; k < 16; k++) {
        memset(s->fpu.xmm[k], 0, 16);
        memset(s->fpu.ymmh[k], 0, 16);
        if (o->xstate_bv & 2)
            memcpy(s->fpu.xmm[k], o->xmm[k], 16);
        if (o->xstate_bv & 4)
            memcpy(s->fpu.ymmh[k], o->ymmh[k], 16);
    }
}
static bool translate(const struct insn *i)
{
    engine_describe(&in.mode, &in.vendor, in.feat);
    in.mode &= ~ABI_XL_MODE_TF;
    in.page_off = i->at & 0xfff;
    in.len = i->len;
    in.insns = 1;
    in.slot_base = 7;
    if (i->at + i->len > CODE_HOLE && i->at < CODE_HOLE + 4096)
        return false; /* nobody could have read its bytes */
    return xl_rig_translate(&rig, &in, engine_ram() + i->at, 0);
}
static uint64_t last_at = ~0ull;
void translated_forget(void)
{
    last_at = ~0ull;
}
enum translated_how translated_run(struct state *s, const struct insn *i, const struct state *host, const uint8_t *mem)
{
    static bool have;
    static struct state after;
    if (i->at != last_at || i->branch)
        have = translate(i);
    last_at = i->at;
    if (!have) {
        engine_run(s, i);
        return TR_NONE;
    }
    state_in(rig.frame, s);
    if (rnd() >> 61 == 0)
        xl_rig_tlb_clear(&rig);
    xl_rig_jc_clear(&rig);
    if (host->vector < 0 && rnd() >> 62)
        xl_rig_jc_add(&rig, host->rip, 0);
    enum xl_exit x = xl_rig_run(&rig, 0);
    after = *s;
    state_out(rig.frame, &after);
    uint64_t left_at = rig.frame->pgbase + rig.off;
    if (x == XL_LEFT && !i->branch && left_at == i->at + i->len) { /* done; what follows is in another page */
        *s = after;
        s->vector = -1;
        s->error = 0;
        s->rip = left_at;
        return TR_DONE;
    }
    if (x == XL_LEFT || x == XL_POLLED) {
        s->rip = left_at;
        bool clean = s->rip == i->at && !memcmp(after.gpr, s->gpr, sizeof(s->gpr)) && after.rflags == s->rflags &&
                     !memcmp(after.fpu.xmm, s->fpu.xmm, sizeof(s->fpu.xmm)) &&
                     !memcmp(after.fpu.ymmh, s->fpu.ymmh, sizeof(s->fpu.ymmh)) &&
                     !memcmp(mem, engine_ram() + DATA, DATA_SIZE);
        if (!clean && !i->branch) {
            printf("# left with something changed: %s\n", insn_text(i));
            *s = after;
            return TR_DONE;
        }
        engine_run(s, i);
        return TR_LEFT;
    }
    if (x == XL_JUMPED && host->vector >= 0) { /* a fault of the next instruction's fetch */
        engine_run(s, i);
        return TR_LEFT;
    }
    *s = after;
    s->vector = -1;
    s->error = 0;
    s->rip = x == XL_JUMPED ? rig.frame->rip : x == XL_LANDED ? host->rip : rig.frame->pgbase + (uint64_t)(int64_t)rig.out.slot[rig.off - in.slot_base];
    return TR_DONE;
}
bool translated_block(struct state *s, unsigned n, unsigned len)
{
    static bool have;
    if (last_at != s->rip) {
        engine_describe(&in.mode, &in.vendor, in.feat);
        in.mode &= ~ABI_XL_MODE_TF;
        in.page_off = s->rip & 0xfff;
        in.len = len;
        in.insns = n;
        in.slot_base = (uint32_t)(rnd() % 1000);
        have = xl_rig_translate(&rig, &in, engine_ram() + s->rip, 0);
        last_at = s->rip;
    }
    if (!have)
        return false;
    state_in(rig.frame, s);
    if (rnd() >> 61 == 0)
        xl_rig_tlb_clear(&rig);
    enum xl_exit x = xl_rig_run(&rig, 0);
    state_out(rig.frame, s);
    s->rip = rig.frame->pgbase + (x == XL_LINK ? (uint64_t)rig.out.slot[rig.off - in.slot_base] : rig.off);
    return true;
}
