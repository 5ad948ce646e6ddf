/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Call gates of 16, 32 and 64 bits, to the same level and to inner ones with the stack of the TSS (SDM
 * volume 3, 5.8.3 to 5.8.5). Owns the copy of parameters. Nothing is committed before the last check.
 */
#include "cpu-worker/interp/far.h"
#include "cpu-worker/interp/stack-switch.h"
#include "cpu-worker/interp/stack.h"
#include "cpu-worker/run/run.h"

struct gate {
    uint16_t sel;
    unsigned n;      /* bytes of a push */
    unsigned params;
    uint64_t ip;
    struct desc d;   /* of the code segment */
};

static void gate_check(struct cpu *c, const struct op *o, uint16_t gsel, const struct desc *g, struct gate *t)
{
    unsigned type = DESC_TYPE(g), dpl = DESC_DPL(g);
    bool lng = cpu_long(c);
    uint64_t hi = 0;
    if (dpl < c->cpl || dpl < (gsel & 3u))
        cpu_raise_err(c, o, VEC_GP, gsel & ~3u);
    if (!DESC_P(g))
        cpu_raise_err(c, o, VEC_NP, gsel & ~3u);
    if (lng) { /* the upper half must be in the table, and its type field zero */
        struct desc up;
        if (!desc_read(c, o, (uint16_t)(gsel + 8), &up) || (up.hi & 0x1f00))
            cpu_raise_err(c, o, VEC_GP, gsel & ~3u);
        hi = up.lo;
    }
    t->sel = (uint16_t)(g->lo >> 16);
    t->n = lng ? 8 : type == 12 ? 4 : 2;
    t->params = g->hi & 31;
    t->ip = (g->lo & 0xffff) | (type == 12 ? g->hi & 0xffff0000u : 0) | hi << 32;
}
static void code_check(struct cpu *c, const struct op *o, struct gate *t, bool call)
{
    if (!(t->sel & ~3u))
        cpu_raise_err(c, o, VEC_GP, 0);
    if (!desc_read(c, o, t->sel, &t->d) || !DESC_S(&t->d) || !(DESC_TYPE(&t->d) & 8) ||
        DESC_DPL(&t->d) > c->cpl || (cpu_long(c) && (!DESC_L(&t->d) || DESC_DB(&t->d))) ||
        (!call && !(DESC_TYPE(&t->d) & 4) && DESC_DPL(&t->d) != c->cpl))
        cpu_raise_err(c, o, VEC_GP, t->sel & ~3u);
    if (!DESC_P(&t->d))
        cpu_raise_err(c, o, VEC_NP, t->sel & ~3u);
}
static void enter(struct cpu *c, const struct gate *t, unsigned cpl)
{
    cpl_set(c, cpl);
    seg_install(c, ABI_CS, (uint16_t)((t->sel & ~3u) | cpl), &t->d);
    c->rip = t->ip;
}

/* 64-bit gates: SS becomes null, no parameters. */
static void inner64(struct cpu *c, const struct op *o, struct gate *t, unsigned cpl)
{
    uint64_t sp = stack_tss64(c, o, 4 + cpl * 8, 0);
    uint64_t v[4] = {c->s->seg[ABI_SS].selector, c->gpr[REG_RSP], c->s->seg[ABI_CS].selector,
                     c->gpr[REG_BLOCK] + o->next_off};
    if (!cpu_canonical(c, sp) || !cpu_canonical(c, sp - 32))
        cpu_raise_err(c, o, VEC_SS, 0);
    far_check_target(c, o, &t->d, t->ip);
    for (unsigned i = 0; i < 4; i++)
        sys_write(c, o, sp - 8 * (i + 1), 8, v[i]);
    desc_set_accessed(c, o, &t->d);
    enter(c, t, cpl);
    seg_install_null(c, ABI_SS, (uint16_t)cpl);
    c->gpr[REG_RSP] = sp - 32;
}
static void inner(struct cpu *c, const struct op *o, struct gate *t, unsigned cpl)
{
    struct new_stack st;
    uint32_t param[31];
    uint64_t old = c->gpr[REG_RSP];
    stack_inner(c, o, cpl, 0, &st);
    stack_room(c, o, &st, t->n, 4 + t->params, st.ss.selector & ~3u);
    far_check_target(c, o, &t->d, t->ip);
    for (unsigned i = 0; i < t->params; i++)
        param[i] = (uint32_t)stk_load_at(c, o, old + i * t->n, t->n);
    stack_push(c, o, &st, t->n, c->s->seg[ABI_SS].selector);
    stack_push(c, o, &st, t->n, old);
    for (unsigned i = t->params; i-- > 0;)
        stack_push(c, o, &st, t->n, param[i]);
    stack_push(c, o, &st, t->n, c->s->seg[ABI_CS].selector);
    stack_push(c, o, &st, t->n, c->gpr[REG_BLOCK] + o->next_off);
    desc_set_accessed(c, o, &t->d);
    desc_set_accessed(c, o, &st.d);
    enter(c, t, cpl);
    stack_commit(c, o, &st);
}
static void same_level(struct cpu *c, const struct op *o, struct gate *t, bool call)
{
    far_check_target(c, o, &t->d, t->ip);
    if (call) {
        uint64_t sp = stk_push_at(c, o, c->gpr[REG_RSP], t->n, c->s->seg[ABI_CS].selector);
        sp = stk_push_at(c, o, sp, t->n, c->gpr[REG_BLOCK] + o->next_off);
        desc_set_accessed(c, o, &t->d);
        stk_set(c, sp);
    } else {
        desc_set_accessed(c, o, &t->d);
    }
    enter(c, t, c->cpl);
}
void call_gate(struct cpu *c, const struct op *o, uint16_t gsel, struct desc *g, bool call)
{
    struct gate t;
    gate_check(c, o, gsel, g, &t);
    code_check(c, o, &t, call);
    unsigned dpl = DESC_DPL(&t.d);
    if (!call || (DESC_TYPE(&t.d) & 4) || dpl == c->cpl)
        same_level(c, o, &t, call);
    else if (cpu_long(c))
        inner64(c, o, &t, dpl);
    else
        inner(c, o, &t, dpl);
}
