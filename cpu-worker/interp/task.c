/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See task.h. The steps are numbered as in SDM volume 3, 7.3.
 */
#include <string.h>
#include "cpu-worker/interp/task.h"
#include "cpu-worker/interp/stack.h"
#include "cpu-worker/mmu/control.h"
#include "cpu-worker/run/debug.h"
#include "cpu-worker/run/run.h"

#define RF_NT 0x4000ull
#define RF_VM 0x20000ull
#define CR0_TS 8u
#define DR7_LOCAL 0x155u /* L0-L3 and LE */

struct image { /* of a TSS, in either format */
    uint32_t cr3, eip, eflags, gpr[8];
    uint16_t seg[6], ldt, trap;
};
struct tss {
    struct desc d;
    uint64_t base;
    uint32_t limit;
    uint16_t sel;
    bool wide;
};

static const uint8_t seg_order[] = {ABI_ES, ABI_CS, ABI_SS, ABI_DS, ABI_FS, ABI_GS};

/* Steps 1, 3 and 4: the descriptor of the new task. */
static void tss_check(struct cpu *c, const struct op *o, uint16_t sel, const struct task_from *f,
                      struct tss *t)
{
    bool back = f->by == TASK_IRET;
    uint32_t error = (sel & ~3u) | f->ext;
    if ((sel & 4) || !(sel & ~3u) || !desc_read(c, o, sel, &t->d) || !task_is_tss(&t->d) ||
        !(DESC_TYPE(&t->d) & 2) == back)
        cpu_raise_err(c, o, back ? VEC_TS : VEC_GP, error);
    if (!DESC_P(&t->d))
        cpu_raise_err(c, o, VEC_NP, error);
    struct abi_segment s;
    seg_from_desc(&s, sel, &t->d);
    t->base = s.base;
    t->limit = s.limit;
    t->sel = sel;
    t->wide = DESC_TYPE(&t->d) & 8;
    if (t->limit < (t->wide ? 0x67u : 0x2bu))
        cpu_raise_err(c, o, VEC_TS, error);
}

static uint32_t rd(struct cpu *c, const struct op *o, const struct tss *t, unsigned off, unsigned n)
{
    return (uint32_t)sys_read(c, o, (uint32_t)(t->base + off), n);
}
/* Reading the new image is also the test that it is there (step 5). */
static void image_read(struct cpu *c, const struct op *o, const struct tss *t, struct image *m)
{
    memset(m, 0, sizeof(*m));
    unsigned n = t->wide ? 4 : 2, at = t->wide ? 0x20 : 0x0e, segs = t->wide ? 6 : 4;
    m->cr3 = t->wide ? rd(c, o, t, 0x1c, 4) : 0;
    m->eip = rd(c, o, t, at, n);
    m->eflags = rd(c, o, t, at + n, n);
    for (unsigned i = 0; i < 8; i++) /* a 16-bit TSS leaves all ones above its registers */
        m->gpr[i] = rd(c, o, t, at + n * (2 + i), n) | (t->wide ? 0 : 0xffff0000u);
    for (unsigned i = 0; i < segs; i++)
        m->seg[i] = (uint16_t)rd(c, o, t, at + n * (10 + i), 2);
    m->ldt = (uint16_t)rd(c, o, t, t->wide ? 0x60 : 0x2a, 2);
    m->trap = t->wide ? rd(c, o, t, 0x64, 2) & 1 : 0;
}
/* Step 8: the old task's dynamic fields. Probed first, so that the stores cannot fault. */
static void image_probe(struct cpu *c, const struct op *o, bool wide)
{
    uint32_t base = (uint32_t)c->s->seg[ABI_TR].base;
    unsigned lo = wide ? 0x20 : 0x0e, hi = wide ? 0x5f : 0x29;
    sys_probe_write(c, o, base + lo, hi - lo + 1);
}
static void image_save(struct cpu *c, const struct op *o, bool wide, uint64_t rip, uint64_t rflags)
{
    uint32_t base = (uint32_t)c->s->seg[ABI_TR].base;
    unsigned n = wide ? 4 : 2, at = wide ? 0x20 : 0x0e, segs = wide ? 6 : 4;
    sys_write(c, o, base + at, n, rip);
    sys_write(c, o, base + at + n, n, rflags);
    for (unsigned i = 0; i < 8; i++)
        sys_write(c, o, base + at + n * (2 + i), n, c->gpr[i]);
    for (unsigned i = 0; i < segs; i++)
        sys_write(c, o, base + at + n * (10 + i), 2, c->s->seg[seg_order[i]].selector);
}

static uint32_t busy_byte(const struct cpu *c, uint16_t sel)
{
    return (uint32_t)(c->s->gdtr.base + (sel & ~7u)) + 5;
}
/* Steps 6 to 11. Everything stored here has been probed. */
static void commit(struct cpu *c, const struct op *o, struct tss *t, const struct task_from *f)
{
    const struct abi_segment *tr = &c->s->seg[ABI_TR];
    uint16_t old = tr->selector;
    bool old_wide = tr->attr & 8;
    uint64_t fl = f->by == TASK_IRET ? f->rflags & ~RF_NT : f->rflags;
    if (f->by == TASK_JMP || f->by == TASK_IRET) {
        uint32_t at = busy_byte(c, old);
        sys_write(c, o, at, 1, sys_read(c, o, at, 1) & ~2u);
    }
    image_save(c, o, old_wide, f->rip, fl);
    if (f->by == TASK_CALL || f->by == TASK_EVENT)
        sys_write(c, o, (uint32_t)t->base, 2, old);
    if (f->by != TASK_IRET) {
        t->d.hi |= 0x200;
        sys_write(c, o, t->d.va + 5, 1, (t->d.hi >> 8) & 0xff);
    }
    seg_install(c, ABI_TR, t->sel, &t->d);
    c->s->cr0 |= CR0_TS;
}
static void probe_all(struct cpu *c, const struct op *o, const struct tss *t, const struct task_from *f)
{
    const struct abi_segment *tr = &c->s->seg[ABI_TR];
    bool wide = tr->attr & 8;
    if (tr->limit < (wide ? 0x5fu : 0x29u))
        cpu_raise_err(c, o, VEC_TS, (tr->selector & ~3u) | f->ext);
    image_probe(c, o, wide);
    if (f->by == TASK_JMP || f->by == TASK_IRET)
        sys_probe_write(c, o, busy_byte(c, tr->selector), 1);
    if (f->by == TASK_CALL || f->by == TASK_EVENT)
        sys_probe_write(c, o, (uint32_t)t->base, 2);
    if (f->by != TASK_IRET)
        sys_probe_write(c, o, t->d.va + 5, 1);
}

/* Step 12: registers, and selectors whose descriptors are not looked at yet. */
static void image_load(struct cpu *c, const struct tss *t, const struct image *m, bool nt)
{
    if (t->wide && (c->s->cr0 & CR0_PG)) {
        if (!cr3_write(c, m->cr3)) /* PAE: a PDPTE with reserved bits */
            cpu_raise_err(c, &cpu_no_op, VEC_GP, 0);
    }
    for (unsigned i = 0; i < 8; i++)
        c->gpr[i] = m->gpr[i];
    cpu_set_rflags(c, (t->wide ? m->eflags : (uint16_t)m->eflags) | (nt ? RF_NT : 0));
    c->rip = c->gpr[REG_BLOCK] = m->eip;
    for (unsigned i = 0; i < 6; i++)
        seg_install_null(c, seg_order[i], m->seg[i]);
    seg_install_null(c, ABI_LDTR, m->ldt);
    c->s->dr[7] &= ~(uint64_t)DR7_LOCAL;
    debug_update(c);
    cpl_set(c, c->eflags & RF_VM ? 3 : m->seg[1] & 3u);
    if (m->trap)
        c->s->db_pending |= DR6_BT;
    cs_changed(c);
}

static void ldt_load(struct cpu *c, uint16_t sel, unsigned ext)
{
    struct desc d;
    uint32_t error = (sel & ~3u) | ext;
    if (!(sel & ~3u))
        return;
    if ((sel & 4) || !desc_read(c, &cpu_no_op, sel, &d) || DESC_S(&d) || DESC_TYPE(&d) != 2 || !DESC_P(&d))
        cpu_raise_err(c, &cpu_no_op, VEC_TS, error);
    seg_install(c, ABI_LDTR, sel, &d);
}
static void cs_load(struct cpu *c, uint16_t sel, unsigned ext)
{
    struct desc d;
    uint32_t error = (sel & ~3u) | ext;
    unsigned rpl = sel & 3u;
    if (!(sel & ~3u) || !desc_read(c, &cpu_no_op, sel, &d) || !DESC_S(&d) || !(DESC_TYPE(&d) & 8) ||
        (DESC_TYPE(&d) & 4 ? DESC_DPL(&d) > rpl : DESC_DPL(&d) != rpl))
        cpu_raise_err(c, &cpu_no_op, VEC_TS, error);
    if (!DESC_P(&d))
        cpu_raise_err(c, &cpu_no_op, VEC_NP, error);
    desc_set_accessed(c, &cpu_no_op, &d);
    seg_install(c, ABI_CS, sel, &d);
}
static void ss_load(struct cpu *c, uint16_t sel, unsigned ext)
{
    struct desc d;
    uint32_t error = (sel & ~3u) | ext;
    if (!(sel & ~3u) || !desc_read(c, &cpu_no_op, sel, &d) || !DESC_S(&d) ||
        (DESC_TYPE(&d) & 0xa) != 2 || DESC_DPL(&d) != c->cpl || (sel & 3u) != c->cpl)
        cpu_raise_err(c, &cpu_no_op, VEC_TS, error);
    if (!DESC_P(&d))
        cpu_raise_err(c, &cpu_no_op, VEC_SS, error);
    desc_set_accessed(c, &cpu_no_op, &d);
    seg_install(c, ABI_SS, sel, &d);
}
static void data_load(struct cpu *c, unsigned seg, uint16_t sel, unsigned ext)
{
    struct desc d;
    uint32_t error = (sel & ~3u) | ext;
    if (!(sel & ~3u))
        return;
    bool ok = desc_read(c, &cpu_no_op, sel, &d) && DESC_S(&d) && (DESC_TYPE(&d) & 0xa) != 8;
    bool conforming = ok && (DESC_TYPE(&d) & 0xc) == 0xc;
    if (!ok || (!conforming && ((sel & 3u) > DESC_DPL(&d) || c->cpl > DESC_DPL(&d))))
        cpu_raise_err(c, &cpu_no_op, VEC_TS, error);
    if (!DESC_P(&d))
        cpu_raise_err(c, &cpu_no_op, VEC_NP, error);
    desc_set_accessed(c, &cpu_no_op, &d);
    seg_install(c, seg, sel, &d);
}
/* Step 13: in the context of the new task. */
static void segments_load(struct cpu *c, const struct image *m, unsigned ext)
{
    ldt_load(c, m->ldt, ext);
    if (c->eflags & RF_VM) {
        for (unsigned i = 0; i < 6; i++)
            seg_install_real(c, seg_order[i], m->seg[i]);
        return;
    }
    cs_load(c, m->seg[1], ext);
    ss_load(c, m->seg[2], ext);
    for (unsigned i = 0; i < 6; i++)
        if (i != 1 && i != 2)
            data_load(c, seg_order[i], m->seg[i], ext);
}

void task_switch(struct cpu *c, const struct op *o, uint16_t sel, const struct task_from *f)
{
    struct tss t;
    struct image m;
    tss_check(c, o, sel, f, &t);
    image_read(c, o, &t, &m);
    probe_all(c, o, &t, f);
    commit(c, o, &t, f);
    image_load(c, &t, &m, f->by == TASK_CALL || f->by == TASK_EVENT);
    segments_load(c, &m, f->ext);
    cs_changed(c);
    c->exit_request = 1;
    if (c->rip > c->s->seg[ABI_CS].limit)
        cpu_raise_err(c, &cpu_no_op, VEC_GP, f->ext);
}
void task_push_error(struct cpu *c, uint32_t error, unsigned ext)
{
    unsigned n = c->s->seg[ABI_TR].attr & 8 ? 4 : 2;
    uint64_t off = (c->gpr[REG_RSP] - n) & stk_mask(c);
    const struct abi_segment *ss = &c->s->seg[ABI_SS];
    if (!seg_holds(ss, off, n))
        cpu_raise_err(c, &cpu_no_op, VEC_SS, ext);
    mem_store(c, &cpu_no_op, (uint32_t)(ss->base + off), n, error);
    stk_set(c, c->gpr[REG_RSP] - n);
}
void task_return(struct cpu *c, const struct op *o)
{
    struct task_from f = {TASK_IRET, 0, c->gpr[REG_BLOCK] + o->next_off, cpu_rflags(c)};
    uint16_t link = (uint16_t)sys_read(c, o, c->s->seg[ABI_TR].base, 2);
    task_switch(c, o, link, &f);
}
