/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Exceptions and event delivery (SDM volume 3, chapter 6): raising, combining into double and triple
 * faults, and pushing frames through the IDT in real, protected, VM86 and IA-32e modes.
 */
#include "cpu-worker/interp/segment.h"
#include "cpu-worker/interp/stack.h"
#include "cpu-worker/run/run.h"

#define RF_TF 0x100ull
#define RF_IF 0x200ull
#define RF_NT 0x4000ull
#define RF_RF 0x10000ull
#define RF_VM 0x20000ull
#define EXT 1u

void cpu_raise(struct cpu *c, const struct op *o, int vector)
{
    c->rip = c->gpr[REG_BLOCK] + o->off;
    c->exc.vector = vector;
    c->exc.has_error = false;
    siglongjmp(*c->unwind, 1);
}
void cpu_raise_err(struct cpu *c, const struct op *o, int vector, uint32_t error)
{
    c->rip = c->gpr[REG_BLOCK] + o->off;
    c->exc.vector = vector;
    c->exc.has_error = true;
    c->exc.error = error;
    siglongjmp(*c->unwind, 1);
}
void cpu_unsupported(struct cpu *c, const struct op *o, const char *what)
{
    c->internal_error = what;
    cpu_raise(c, o, VEC_UD);
}
void cpu_raise_pf(struct cpu *c, const struct op *o, uint64_t va, uint32_t error)
{
    c->s->cr2 = va;
    cpu_raise_err(c, o, VEC_PF, error);
}

enum fault_class { BENIGN, CONTRIBUTORY, PAGE_FAULT };
static enum fault_class class_of(int v)
{
    if (v == VEC_PF)
        return PAGE_FAULT;
    return v == VEC_DE || (v >= VEC_TS && v <= VEC_GP) ? CONTRIBUTORY : BENIGN;
}
/* SDM table 6-5: what a second exception during the delivery of a first becomes. */
static void combine(struct cpu *c)
{
    enum fault_class first = class_of(c->deliver_vector), second = class_of(c->exc.vector);
    if (c->deliver_vector == VEC_DF && second != BENIGN) {
        c->shutdown = true;
    } else if ((first == CONTRIBUTORY && second == CONTRIBUTORY) ||
               (first == PAGE_FAULT && second != BENIGN)) {
        c->exc.vector = VEC_DF;
        c->exc.has_error = true;
        c->exc.error = 0;
    }
}

void cpu_unwind_to_event(struct cpu *c)
{
    int vector = c->exc.vector;
    c->exc.vector = -1;
    c->mem_user = c->cpl == 3;
    c->ctx = (c->ctx & ~1u) | c->mem_user;
    c->link_slot = NULL;
    c->s->intr_shadow = 0;
    cpu_mode_update(c);
    if (c->delivering) {
        c->exc.vector = vector;
        combine(c);
        vector = c->exc.vector;
        c->exc.vector = -1;
        c->delivering = false;
        if (c->shutdown)
            return;
    }
    cpu_deliver(c, vector, false, c->exc.has_error, c->exc.error);
}

struct frame { /* what is delivered */
    int vector;
    bool soft, has_error;
    uint32_t error;
    uint64_t rip, rflags;
};
static uint32_t idt_error(const struct frame *f)
{
    return (uint32_t)f->vector * 8 + 2 + (f->soft ? 0 : EXT);
}

static void deliver_real(struct cpu *c, const struct frame *f)
{
    const struct op *o = &cpu_no_op;
    if ((uint32_t)f->vector * 4 + 3 > c->s->idtr.limit)
        cpu_raise_err(c, o, VEC_GP, idt_error(f));
    uint32_t v = (uint32_t)sys_read(c, o, c->s->idtr.base + (uint32_t)f->vector * 4, 4);
    uint64_t sp = stk_push_at(c, o, c->gpr[REG_RSP], 2, f->rflags);
    sp = stk_push_at(c, o, sp, 2, c->s->seg[ABI_CS].selector);
    sp = stk_push_at(c, o, sp, 2, f->rip);
    stk_set(c, sp);
    c->eflags &= ~(RF_IF | RF_TF | 0x40000 | RF_RF);
    seg_install_real(c, ABI_CS, (uint16_t)(v >> 16));
    c->rip = (uint16_t)v;
}

struct gate {
    uint64_t offset;
    uint16_t sel;
    unsigned type, ist;
};
/* Read and check the gate of a vector. */
static void gate_read(struct cpu *c, const struct frame *f, struct gate *g)
{
    const struct op *o = &cpu_no_op;
    unsigned size = cpu_long(c) ? 16 : 8;
    uint64_t at = c->s->idtr.base + (uint64_t)f->vector * size;
    if ((uint32_t)f->vector * size + size - 1 > c->s->idtr.limit)
        cpu_raise_err(c, o, VEC_GP, idt_error(f));
    uint64_t d = sys_read(c, o, at, 8);
    g->type = (d >> 40) & 15;
    g->sel = (uint16_t)(d >> 16);
    g->ist = cpu_long(c) ? (d >> 32) & 7 : 0;
    g->offset = (d & 0xffff) | ((d >> 32) & 0xffff0000u);
    bool ok = g->type == 14 || g->type == 15 ||
              (!cpu_long(c) && (g->type == 5 || g->type == 6 || g->type == 7));
    if (!ok || (d >> 44 & 1))
        cpu_raise_err(c, o, VEC_GP, idt_error(f));
    if (f->soft && ((d >> 45) & 3) < c->cpl)
        cpu_raise_err(c, o, VEC_GP, idt_error(f));
    if (!(d >> 47 & 1))
        cpu_raise_err(c, o, VEC_NP, idt_error(f));
    if (size == 16)
        g->offset |= sys_read(c, o, at + 8, 4) << 32;
    if (g->type < 14 && g->type != 5)
        g->offset &= 0xffff;
}
/* The handler's code segment: present, code, not less privileged. Returns the new CPL. */
static unsigned handler_cs(struct cpu *c, const struct gate *g, struct desc *d, unsigned ext)
{
    const struct op *o = &cpu_no_op;
    if (!(g->sel & ~3u) || !desc_read(c, o, g->sel, d))
        cpu_raise_err(c, o, VEC_GP, (g->sel & ~3u) | ext);
    bool code = DESC_S(d) && (DESC_TYPE(d) & 8);
    if (!code || DESC_DPL(d) > c->cpl || (cpu_long(c) && (!DESC_L(d) || DESC_DB(d))))
        cpu_raise_err(c, o, VEC_GP, (g->sel & ~3u) | ext);
    if (!DESC_P(d))
        cpu_raise_err(c, o, VEC_NP, (g->sel & ~3u) | ext);
    return DESC_TYPE(d) & 4 ? c->cpl : DESC_DPL(d);
}

static void handler_enter(struct cpu *c, const struct gate *g, const struct desc *d, unsigned cpl)
{
    c->eflags &= ~(RF_TF | RF_NT | RF_RF | RF_VM);
    if (!(g->type & 1)) /* interrupt gate */
        c->eflags &= ~RF_IF;
    cpl_set(c, cpl);
    seg_install(c, ABI_CS, (uint16_t)((g->sel & ~3u) | cpl), d);
    c->rip = g->offset;
}

static uint64_t tss64_read(struct cpu *c, unsigned off)
{
    const struct op *o = &cpu_no_op;
    if (off + 7 > c->s->seg[ABI_TR].limit)
        cpu_raise_err(c, o, VEC_TS, c->s->seg[ABI_TR].selector & ~3u);
    return sys_read(c, o, c->s->seg[ABI_TR].base + off, 8);
}
static void deliver_long(struct cpu *c, const struct frame *f)
{
    const struct op *o = &cpu_no_op;
    struct gate g;
    struct desc cs;
    gate_read(c, f, &g);
    unsigned cpl = handler_cs(c, &g, &cs, f->soft ? 0 : EXT);
    uint64_t sp = c->gpr[REG_RSP];
    if (g.ist)
        sp = tss64_read(c, 0x24 + (g.ist - 1) * 8);
    else if (cpl < c->cpl)
        sp = tss64_read(c, 4 + cpl * 8);
    sp &= ~0xfull;
    uint64_t v[6] = {c->s->seg[ABI_SS].selector, c->gpr[REG_RSP], f->rflags,
                     c->s->seg[ABI_CS].selector, f->rip, f->error};
    unsigned n = f->has_error ? 6 : 5;
    if (!cpu_canonical(sp))
        cpu_raise_err(c, o, VEC_SS, f->soft ? 0 : EXT);
    for (unsigned i = 0; i < n; i++) {
        uint64_t at = sp - 8 * (i + 1);
        if (cpl < 3)
            sys_write(c, o, at, 8, v[i]);
        else
            mmu_st64(c, o, at, v[i]);
    }
    bool change = cpl < c->cpl;
    desc_set_accessed(c, o, &cs);
    handler_enter(c, &g, &cs, cpl);
    if (change) {
        seg_install_null(c, ABI_SS, (uint16_t)cpl);
    }
    c->gpr[REG_RSP] = sp - 8 * n;
}

/* The inner stack of a 32- or 16-bit TSS. */
static void tss_stack(struct cpu *c, unsigned cpl, uint16_t *ss, uint32_t *esp)
{
    const struct op *o = &cpu_no_op;
    const struct abi_segment *tr = &c->s->seg[ABI_TR];
    bool wide = tr->attr & 8;
    unsigned off = wide ? 4 + cpl * 8 : 2 + cpl * 4;
    if (off + (wide ? 5 : 3) > tr->limit)
        cpu_raise_err(c, o, VEC_TS, tr->selector & ~3u);
    *esp = (uint32_t)sys_read(c, o, tr->base + off, wide ? 4 : 2);
    *ss = (uint16_t)sys_read(c, o, tr->base + off + (wide ? 4 : 2), 2);
}
static void inner_ss(struct cpu *c, uint16_t sel, unsigned cpl, struct desc *d, unsigned ext)
{
    const struct op *o = &cpu_no_op;
    if (!(sel & ~3u) || !desc_read(c, o, sel, d) || (sel & 3) != cpl || DESC_DPL(d) != cpl ||
        !DESC_S(d) || (DESC_TYPE(d) & 0xa) != 2)
        cpu_raise_err(c, o, VEC_TS, (sel & ~3u) | ext);
    if (!DESC_P(d))
        cpu_raise_err(c, o, VEC_SS, (sel & ~3u) | ext);
}
static void push_sys(struct cpu *c, const struct abi_segment *ss, uint32_t *sp, unsigned n, uint64_t v)
{
    uint32_t mask = ss->attr & ABI_SEG_DB ? 0xffffffffu : 0xffffu;
    *sp = (*sp & ~mask) | ((*sp - n) & mask);
    sys_write(c, &cpu_no_op, (uint32_t)(ss->base + (*sp & mask)), n, v);
}

static void deliver_protected(struct cpu *c, const struct frame *f)
{
    const struct op *o = &cpu_no_op;
    struct gate g;
    struct desc cs, ssd;
    gate_read(c, f, &g);
    if (g.type == 5) {
        cpu_unsupported(c, o, "task gate in the IDT");
    }
    unsigned ext = f->soft ? 0 : EXT, cpl = handler_cs(c, &g, &cs, ext), n = g.type & 8 ? 4 : 2;
    bool vm = c->eflags & RF_VM, inner = cpl < c->cpl || vm;
    struct abi_segment old_ss = c->s->seg[ABI_SS], new_ss = old_ss;
    uint32_t sp = (uint32_t)c->gpr[REG_RSP];
    uint16_t sel = 0;
    if (vm && cpl != 0)
        cpu_raise_err(c, o, VEC_GP, g.sel & ~3u);
    if (inner) {
        tss_stack(c, cpl, &sel, &sp);
        inner_ss(c, sel, cpl, &ssd, ext);
        new_ss.base = (ssd.lo >> 16) | (ssd.hi & 0xff) << 16 | (ssd.hi & 0xff000000u);
        new_ss.attr = (ssd.hi >> 8) & 0xf0ff;
        if (vm)
            for (int s = ABI_GS; s >= ABI_DS; s--)
                push_sys(c, &new_ss, &sp, n, c->s->seg[s].selector);
        if (vm)
            push_sys(c, &new_ss, &sp, n, c->s->seg[ABI_ES].selector);
        push_sys(c, &new_ss, &sp, n, old_ss.selector);
        push_sys(c, &new_ss, &sp, n, c->gpr[REG_RSP]);
    }
    push_sys(c, &new_ss, &sp, n, f->rflags);
    push_sys(c, &new_ss, &sp, n, c->s->seg[ABI_CS].selector);
    push_sys(c, &new_ss, &sp, n, f->rip);
    if (f->has_error)
        push_sys(c, &new_ss, &sp, n, f->error);
    desc_set_accessed(c, o, &cs);
    handler_enter(c, &g, &cs, cpl);
    if (vm) {
        seg_install_null(c, ABI_ES, 0);
        for (int s = ABI_DS; s <= ABI_GS; s++)
            seg_install_null(c, (unsigned)s, 0);
    }
    if (inner)
        seg_install(c, ABI_SS, sel, &ssd);
    stk_set(c, sp);
}

void cpu_deliver(struct cpu *c, int vector, bool soft, bool has_error, uint32_t error)
{
    struct frame f = {vector, soft, has_error, error, c->rip, cpu_rflags(c)};
    bool fault = !soft && vector < 32 && vector != VEC_DB && vector != VEC_NMI && vector != VEC_BP &&
                 vector != VEC_OF;
    if (fault)
        f.rflags |= RF_RF;
    c->gpr[REG_BLOCK] = c->rip - (soft ? c->soft_len : 0); /* where a fault of the delivery points */
    c->delivering = true;
    c->deliver_vector = soft ? 0x100 : vector; /* INT n is benign */
    if (cpu_real(c))
        deliver_real(c, &f);
    else if (cpu_long(c))
        deliver_long(c, &f);
    else
        deliver_protected(c, &f);
    c->delivering = false;
    c->link_slot = NULL;
    cs_changed(c);
}
