/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Exceptions and event delivery (SDM volume 3, chapter 6): raising, combining into double and triple
 * faults, and pushing frames through the IDT in real, protected, VM86 and IA-32e modes.
 */
#include "cpu-worker/chipset/chipset.h"
#include "cpu-worker/interp/stack-switch.h"
#include "cpu-worker/interp/stack.h"
#include "cpu-worker/interp/task.h"
#include "cpu-worker/run/debug.h"
#include "cpu-worker/run/run.h"
#include "cpu-worker/run/watch.h"

#define RF_TF 0x100ull
#define RF_IF 0x200ull
#define RF_NT 0x4000ull
#define RF_RF 0x10000ull
#define RF_VM 0x20000ull
#define EXT 1u
#define CR0_NE 0x20u
#define NO_EVENT (-2) /* unwinding without an exception */

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
/* CR0.NE = 0 reports through the board instead, and the processor stops in front of the instruction
 * until an interrupt comes (SDM 3, 2.5, NE; SDM 1, appendix D). */
void cpu_fp_error(struct cpu *c, const struct op *o)
{
    if (c->s->cr0 & CR0_NE)
        cpu_raise(c, o, VEC_MF);
    if (chipset_ferr_raise(c->chipset))
        return;
    c->s->halted = 1;
    c->exit_request = 1;
    cpu_raise(c, o, NO_EVENT);
}
/* The board's FERR# latch hears of it where it is in use. */
void cpu_fp_cleared(struct cpu *c)
{
    if (!(c->s->cr0 & CR0_NE) && c->chipset)
        chipset_ferr_clear(c->chipset);
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
    mmu_rmw_end(c); /* a fault inside a locked access */
    tlb_context_update(c);
    c->link_slot = NULL;
    c->s->intr_shadow = 0;
    c->dbg_hit = c->s->db_pending = 0; /* traps of an instruction that did not complete */
    cpu_mode_update(c);
    if (vector == NO_EVENT)
        return;
    if (c->delivering) {
        c->exc.vector = vector;
        combine(c);
        vector = c->exc.vector;
        c->exc.vector = -1;
        c->delivering = false;
        if (c->shutdown)
            return;
    }
    cpu_deliver(c, vector, EVENT_EXCEPTION, c->exc.has_error, c->exc.error);
}

struct frame { /* what is delivered */
    int vector;
    bool soft, has_error;
    unsigned ext; /* EXT bit of error codes: set unless the program asked for the event */
    uint32_t error;
    uint64_t rip, rflags;
};
static uint32_t idt_error(const struct frame *f)
{
    return (uint32_t)f->vector * 8 + 2 + f->ext;
}

static void deliver_real(struct cpu *c, const struct frame *f)
{
    const struct op *o = &cpu_no_op;
    if ((uint32_t)f->vector * 4 + 3 > c->s->idtr.limit)
        cpu_raise_err(c, o, VEC_GP, idt_error(f));
    uint32_t v = (uint32_t)sys_read(c, o, (uint32_t)(c->s->idtr.base + (uint32_t)f->vector * 4), 4);
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
    if (!(g->sel & ~3u))
        cpu_raise_err(c, o, VEC_GP, ext);
    if (!desc_read(c, o, g->sel, d))
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

static void deliver_long(struct cpu *c, const struct frame *f)
{
    const struct op *o = &cpu_no_op;
    struct gate g;
    struct desc cs;
    gate_read(c, f, &g);
    unsigned cpl = handler_cs(c, &g, &cs, f->ext);
    uint64_t sp = c->gpr[REG_RSP];
    if (g.ist)
        sp = stack_tss64(c, o, 0x24 + (g.ist - 1) * 8, f->ext);
    else if (cpl < c->cpl)
        sp = stack_tss64(c, o, 4 + cpl * 8, f->ext);
    uint64_t v[6] = {c->s->seg[ABI_SS].selector, c->gpr[REG_RSP], f->rflags,
                     c->s->seg[ABI_CS].selector, f->rip, f->error};
    unsigned n = f->has_error ? 6 : 5;
    bool sp_ok = cpu_canonical(c, sp);
    sp &= ~0xfull;
    if (!sp_ok || !cpu_canonical(c, sp - 8 * n))
        cpu_raise_err(c, o, VEC_SS, f->ext);
    if (!cpu_canonical(c, g.offset))
        cpu_raise_err(c, o, VEC_GP, f->ext);
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

/* A task gate: the handler is a task of its own. */
static void deliver_task(struct cpu *c, const struct frame *f, const struct gate *g)
{
    struct task_from from = {TASK_EVENT, f->ext, f->rip, f->rflags};
    task_switch(c, &cpu_no_op, g->sel, &from);
    if (f->has_error)
        task_push_error(c, f->error, f->ext);
}
/* What VM86 adds to a frame, below SS: the data segments, which are then nulled. */
static void push_vm86(struct cpu *c, struct new_stack *st, unsigned n)
{
    static const uint8_t order[] = {ABI_GS, ABI_FS, ABI_DS, ABI_ES};
    for (unsigned i = 0; i < 4; i++)
        stack_push(c, &cpu_no_op, st, n, c->s->seg[order[i]].selector);
}
static void deliver_protected(struct cpu *c, const struct frame *f)
{
    const struct op *o = &cpu_no_op;
    struct gate g;
    struct desc cs;
    struct new_stack st;
    gate_read(c, f, &g);
    if (g.type == 5) {
        deliver_task(c, f, &g);
        return;
    }
    unsigned cpl = handler_cs(c, &g, &cs, f->ext), n = g.type & 8 ? 4 : 2;
    bool vm = c->eflags & RF_VM, inner = cpl < c->cpl;
    if (vm && cpl != 0)
        cpu_raise_err(c, o, VEC_GP, (g.sel & ~3u) | f->ext);
    stack_current(c, cpl, &st);
    if (inner)
        stack_inner(c, o, cpl, f->ext, &st);
    stack_room(c, o, &st, n, 3 + (inner ? 2 : 0) + (vm ? 4 : 0) + f->has_error,
               (inner ? st.ss.selector & ~3u : 0) | f->ext);
    if (g.offset > desc_limit(&cs))
        cpu_raise_err(c, o, VEC_GP, f->ext);
    if (vm)
        push_vm86(c, &st, n);
    if (inner) {
        stack_push(c, o, &st, n, c->s->seg[ABI_SS].selector);
        stack_push(c, o, &st, n, c->gpr[REG_RSP]);
    }
    stack_push(c, o, &st, n, f->rflags);
    stack_push(c, o, &st, n, c->s->seg[ABI_CS].selector);
    stack_push(c, o, &st, n, f->rip);
    if (f->has_error)
        stack_push(c, o, &st, n, f->error);
    desc_set_accessed(c, o, &cs);
    if (inner)
        desc_set_accessed(c, o, &st.d);
    handler_enter(c, &g, &cs, cpl);
    stack_commit(c, o, &st);
    if (vm)
        for (unsigned s = ABI_ES; s <= ABI_GS; s++)
            if (s != ABI_CS && s != ABI_SS)
                seg_install_null(c, s, 0);
}

/* The class of the event while it is delivered: what the program or a device asks for is benign. */
#define DELIVER_BENIGN 0x100
void cpu_deliver(struct cpu *c, int vector, enum cpu_event kind, bool has_error, uint32_t error)
{
    bool soft = kind == EVENT_SOFT, exception = kind == EVENT_EXCEPTION;
    struct frame f = {vector, soft, has_error, soft ? 0 : EXT, error, c->rip, cpu_rflags(c)};
    if (exception && vector != VEC_DB)
        f.rflags |= RF_RF;
    c->gpr[REG_BLOCK] = c->rip - (soft ? c->soft_len : 0); /* where a fault of the delivery points */
    c->delivering = true;
    watch_disarm(c);
    c->deliver_vector = exception ? vector : DELIVER_BENIGN;
    if (cpu_real(c))
        deliver_real(c, &f);
    else if (cpu_long(c))
        deliver_long(c, &f);
    else
        deliver_protected(c, &f);
    c->delivering = false;
    if (exception && vector == VEC_DB) {
        c->s->dr[7] &= ~(uint64_t)DR7_GD;
        c->s->debugctl &= ~DEBUGCTL_BTF;
    }
    c->link_slot = NULL;
    cs_changed(c);
}
