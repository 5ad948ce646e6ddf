/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See stack-switch.h. SDM volume 3, 5.8.5 (stack switching) and 6.12.1.
 */
#include "cpu-worker/interp/stack-switch.h"
#include "cpu-worker/interp/stack.h"
#include "cpu-worker/run/run.h"

void stack_current(const struct cpu *c, unsigned cpl, struct new_stack *st)
{
    *st = (struct new_stack){.ss = c->s->seg[ABI_SS], .user = cpl == 3, .sp = c->gpr[REG_RSP]};
}

uint64_t stack_tss64(struct cpu *c, const struct op *o, unsigned off, unsigned ext)
{
    const struct abi_segment *tr = &c->s->seg[ABI_TR];
    if (off + 7 > tr->limit)
        cpu_raise_err(c, o, VEC_TS, (tr->selector & ~3u) | ext);
    return sys_read(c, o, tr->base + off, 8);
}

static void inner_check(struct cpu *c, const struct op *o, uint16_t sel, unsigned cpl, unsigned ext,
                        struct desc *d)
{
    if (!(sel & ~3u) || !desc_read(c, o, sel, d) || (sel & 3) != cpl || DESC_DPL(d) != cpl ||
        !DESC_S(d) || (DESC_TYPE(d) & 0xa) != 2)
        cpu_raise_err(c, o, VEC_TS, (sel & ~3u) | ext);
    if (!DESC_P(d))
        cpu_raise_err(c, o, VEC_SS, (sel & ~3u) | ext);
}
void stack_inner(struct cpu *c, const struct op *o, unsigned cpl, unsigned ext, struct new_stack *st)
{
    const struct abi_segment *tr = &c->s->seg[ABI_TR];
    bool wide = tr->attr & 8;
    unsigned off = wide ? 4 + cpl * 8 : 2 + cpl * 4;
    if (off + (wide ? 5 : 3) > tr->limit)
        cpu_raise_err(c, o, VEC_TS, (tr->selector & ~3u) | ext);
    st->sp = sys_read(c, o, tr->base + off, wide ? 4 : 2);
    uint16_t sel = (uint16_t)sys_read(c, o, tr->base + off + (wide ? 4 : 2), 2);
    inner_check(c, o, sel, cpl, ext, &st->d);
    seg_from_desc(&st->ss, sel, &st->d);
    st->switched = true;
    st->user = cpl == 3;
}

static uint64_t sp_mask(const struct new_stack *st)
{
    return st->ss.attr & ABI_SEG_DB ? 0xffffffffu : 0xffffu;
}
/* The bytes lie below SP, wrap between two values where the stack's width wraps, and are inside the segment. */
void stack_room(struct cpu *c, const struct op *o, const struct new_stack *st, unsigned n, unsigned count,
                uint32_t error)
{
    unsigned bytes = n * count;
    uint64_t mask = sp_mask(st), low = (st->sp - bytes) & mask;
    bool wraps = low + bytes - 1 > mask;
    bool inside = wraps ? !(low & (n - 1)) && seg_holds(&st->ss, low, (unsigned)(mask - low + 1)) &&
                              seg_holds(&st->ss, 0, (unsigned)(bytes - (mask - low + 1)))
                        : seg_holds(&st->ss, low, bytes);
    if ((st->ss.attr & ABI_SEG_UNUSABLE) || !inside)
        cpu_raise_err(c, o, VEC_SS, error);
}
void stack_push(struct cpu *c, const struct op *o, struct new_stack *st, unsigned n, uint64_t v)
{
    uint64_t mask = sp_mask(st);
    st->sp = (st->sp & ~mask) | ((st->sp - n) & mask);
    uint64_t va = (uint32_t)(st->ss.base + (st->sp & mask));
    if (!st->user)
        sys_write(c, o, va, n, v);
    else
        mem_store(c, o, va, n, v);
}
void stack_commit(struct cpu *c, const struct op *o, struct new_stack *st)
{
    uint64_t mask = sp_mask(st);
    if (st->switched) {
        desc_set_accessed(c, o, &st->d);
        seg_install(c, ABI_SS, st->ss.selector, &st->d);
    }
    if (mask == 0xffff && !st->switched)
        c->gpr[REG_RSP] = (c->gpr[REG_RSP] & ~mask) | (st->sp & mask);
    else
        c->gpr[REG_RSP] = (uint32_t)st->sp;
}
