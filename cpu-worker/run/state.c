/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Moving the architectural state between the running form (struct cpu) and the shared page, and what
 * is derived from it: flags, mode word, jump cache key.
 */
#include <string.h>
#include "cpu-worker/helpers/xsave.h"
#include "cpu-worker/interp/segment.h"
#include "cpu-worker/mmio/mmio.h"
#include "cpu-worker/run/debug.h"
#include "cpu-worker/run/run.h"

#define RF_AC    0x40000ull
#define RF_ARITH 0x8d5ull /* CF PF AF ZF SF OF */

uint64_t cpu_rflags(const struct cpu *c)
{
    uint64_t f = (c->fl >> 8) & 0xd5;
    return c->eflags | f | (c->fl & FL_OF ? 0x800 : 0) | 2;
}
void cpu_set_rflags(struct cpu *c, uint64_t v)
{
    c->fl = ((uint32_t)v & 0xd5) << 8 | (v & 0x800 ? FL_OF : 0) | 0x200;
    uint64_t old = c->eflags;
    c->eflags = (v & ~RF_ARITH & 0x3f7fd5ull) | 2;
    if ((old ^ v) & RF_AC) /* SMAP and alignment checks look at it */
        tlb_context_update(c);
}

static uint32_t mode_of(const struct cpu *c)
{
    const struct abi_vcpu_state *s = c->s;
    uint32_t cs = s->seg[ABI_CS].attr, m = 0;
    if (s->cr0 & 1) {
        if (c->eflags & 0x20000)
            m |= MODE_VM86;
        else
            m |= MODE_PE;
    }
    if (s->efer & 0x400)
        m |= MODE_LMA | (cs & ABI_SEG_L ? MODE_64 : 0);
    if (!(m & MODE_64)) {
        m |= (cs & ABI_SEG_DB ? MODE_CS32 : 0);
        m |= (s->seg[ABI_SS].attr & ABI_SEG_DB ? MODE_SS32 : 0);
    }
    m |= c->cpl == 3 ? MODE_USER : 0;
    m |= s->cr0 & 4 ? MODE_EM : 0;
    m |= s->cr0 & 8 ? MODE_TS : 0;
    m |= s->cr4 & 0x200 ? MODE_OSFXSR : 0;
    m |= s->cr4 & 0x40000 && (s->xcr0 & 6) == 6 ? MODE_AVX : 0;
    m |= c->eflags & 0x100 ? MODE_TF : 0;
    m |= s->smm & ABI_SMM_ACTIVE ? MODE_SMM : 0;
    return m;
}
/* Blocks end with their page, so only a limit inside a page can be passed without a look at the run
 * loop. 64 KiB are left out: nearly all 16-bit code has them, wherever its segment starts. */
static bool limit_inside_page(const struct abi_segment *cs)
{
    return cs->limit != ~0u && cs->limit != 0xffff && ((cs->base + cs->limit + 1) & 0xfff);
}
void cpu_mode_update(struct cpu *c)
{
    c->mode = mode_of(c);
    c->cs_tight = !(c->mode & MODE_64) && limit_inside_page(&c->s->seg[ABI_CS]);
    uint64_t ctx = c->jc_global && c->cpl != 3 ? 0 : CTX_FETCH(c->ctx);
    c->jc_key = c->jc_gen << (MODE_BITS + 12) | ctx << MODE_BITS | c->mode;
}

void cpu_state_switch(struct cpu *c)
{
    memcpy(c->gpr, c->s->gpr, sizeof(c->s->gpr));
    c->gpr[REG_ZERO] = 0;
    c->rip = c->s->rip;
    cpu_set_rflags(c, c->s->rflags);
    c->cpl = (c->s->seg[ABI_SS].attr >> 5) & 3;
    if (!(c->s->cr0 & 1))
        c->cpl = 0;
    c->exc.vector = -1;
    c->delivering = c->shutdown = false;
    if (!xsave_xcr0_valid(c, c->s->xcr0))
        c->s->xcr0 = XSAVE_X87; /* as at reset */
    seg_sync(c);
    cpu_mode_update(c);
    debug_update(c);
    tlb_flush_all(c);
    c->link_slot = NULL;
}
void cpu_state_load(struct cpu *c)
{
    mmio_smm_set(c->mem, c->s->smm & ABI_SMM_ACTIVE);
    cpu_state_switch(c);
    block_flush_all(c);
}
void cpu_state_save(struct cpu *c)
{
    memcpy(c->s->gpr, c->gpr, sizeof(c->s->gpr));
    c->s->rip = c->rip;
    c->s->rflags = cpu_rflags(c);
    __atomic_store_n(&c->page->run[c->index].insns, c->insns, __ATOMIC_RELAXED);
}
