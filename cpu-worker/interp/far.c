/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Far JMP and CALL: to code segments, through call gates, to tasks. Owns what they check; RET and IRET
 * are in far-return.c.
 */
#include "cpu-worker/chipset/chipset.h"
#include "cpu-worker/interp/far.h"
#include "cpu-worker/interp/handlers.h"
#include "cpu-worker/interp/stack.h"
#include "cpu-worker/interp/task.h"
#include "cpu-worker/run/run.h"

void far_done(struct cpu *c)
{
    cs_changed(c);
    if ((c->eflags & RF_IF) && chipset_intr_pending(c->chipset, c->index))
        c->exit_request = 1;
}
void far_check_target(struct cpu *c, const struct op *o, const struct desc *d, uint64_t ip)
{
    if (cpu_long(c) && DESC_L(d)) {
        if (!cpu_canonical(c, ip))
            cpu_raise_err(c, o, VEC_GP, 0);
        return;
    }
    if ((uint32_t)ip > desc_limit(d))
        cpu_raise_err(c, o, VEC_GP, 0);
}
/* A code segment reached by JMP or CALL without a gate. */
static void direct_cs(struct cpu *c, const struct op *o, uint16_t sel, const struct desc *d)
{
    unsigned type = DESC_TYPE(d), dpl = DESC_DPL(d);
    bool ok = type & 4 ? dpl <= c->cpl : (sel & 3) <= c->cpl && dpl == c->cpl;
    if (!ok || (cpu_long(c) && DESC_L(d) && DESC_DB(d)))
        cpu_raise_err(c, o, VEC_GP, sel & ~3u);
    if (!DESC_P(d))
        cpu_raise_err(c, o, VEC_NP, sel & ~3u);
}

struct far_target {
    uint16_t sel;
    uint64_t ip;
};
static void push_far_return(struct cpu *c, const struct op *o, unsigned n)
{
    uint64_t sp = stk_push_at(c, o, c->gpr[REG_RSP], n, c->s->seg[ABI_CS].selector);
    sp = stk_push_at(c, o, sp, n, c->gpr[REG_BLOCK] + o->next_off);
    stk_set(c, sp);
}

/* To another task, by its TSS or by a task gate. */
static void far_task(struct cpu *c, const struct op *o, uint16_t sel, const struct desc *d, bool call)
{
    struct task_from f = {call ? TASK_CALL : TASK_JMP, 0, c->gpr[REG_BLOCK] + o->next_off, cpu_rflags(c)};
    if (DESC_DPL(d) < c->cpl || DESC_DPL(d) < (sel & 3u))
        cpu_raise_err(c, o, VEC_GP, sel & ~3u);
    if (DESC_TYPE(d) == 5) {
        if (!DESC_P(d))
            cpu_raise_err(c, o, VEC_NP, sel & ~3u);
        sel = (uint16_t)(d->lo >> 16);
    }
    task_switch(c, o, sel, &f);
}

static const struct op *far_transfer(struct cpu *c, const struct op *o, struct far_target t, bool call)
{
    struct desc d;
    if (!(c->mode & MODE_PE)) {
        if (t.ip > c->s->seg[ABI_CS].limit)
            cpu_raise_err(c, o, VEC_GP, 0);
        if (call)
            push_far_return(c, o, o->aux / 8);
        seg_install_real(c, ABI_CS, t.sel);
        c->rip = t.ip;
        far_done(c);
        return NULL;
    }
    if (!(t.sel & ~3u) || !desc_read(c, o, t.sel, &d))
        cpu_raise_err(c, o, VEC_GP, t.sel & ~3u);
    if (DESC_S(&d) && (DESC_TYPE(&d) & 8)) {
        direct_cs(c, o, t.sel, &d);
        far_check_target(c, o, &d, t.ip);
        if (call)
            push_far_return(c, o, o->aux / 8);
        desc_set_accessed(c, o, &d);
        seg_install(c, ABI_CS, (uint16_t)((t.sel & ~3u) | c->cpl), &d);
        c->rip = t.ip;
    } else if (!DESC_S(&d) && (DESC_TYPE(&d) == 12 || (DESC_TYPE(&d) == 4 && !cpu_long(c)))) {
        call_gate(c, o, t.sel, &d, call);
    } else if (!cpu_long(c) && (task_is_tss(&d) || (!DESC_S(&d) && DESC_TYPE(&d) == 5))) {
        far_task(c, o, t.sel, &d, call);
    } else {
        cpu_raise_err(c, o, VEC_GP, t.sel & ~3u);
    }
    far_done(c);
    return NULL;
}
static struct far_target far_pointer(const struct op *o)
{ /* imm = selector << 48 is too narrow for 32-bit offsets in one word: selector in aux2 */
    return (struct far_target){(uint16_t)o->aux2, o->imm};
}
static struct far_target far_memory(struct cpu *c, const struct op *o)
{
    unsigned n = o->aux / 8;
    uint64_t ea = op_ea(c, o, n + 2, false), ip = mem_load(c, o, ea, n);
    return (struct far_target){mmu_ld16(c, o, ea + n), ip};
}
OP(op_jmp_far_p)
{
    return far_transfer(c, o, far_pointer(o), false);
}
OP(op_jmp_far_m)
{
    return far_transfer(c, o, far_memory(c, o), false);
}
OP(op_call_far_p)
{
    return far_transfer(c, o, far_pointer(o), true);
}
OP(op_call_far_m)
{
    return far_transfer(c, o, far_memory(c, o), true);
}

