/* SPDX-License-Identifier: Apache-2.0 */
/*
 * INT n, INT3, INTO, INT1, and CLI and STI: what programs do to interrupts, with the virtual interrupt flag
 * of VM86 (VME) and of protected mode (PVI). SDM volume 3, chapter 21.
 */
#include "cpu-worker/chipset/chipset.h"
#include "cpu-worker/interp/far.h"
#include "cpu-worker/interp/handlers.h"
#include "cpu-worker/interp/stack.h"
#include "cpu-worker/run/run.h"

static const struct op *software_interrupt(struct cpu *c, const struct op *o, int vector)
{
    c->rip = c->gpr[REG_BLOCK] + o->next_off;
    c->soft_len = o->len;
    cpu_deliver(c, vector, EVENT_SOFT, false, 0);
    return NULL;
}
/* The redirection bitmap: 32 bytes below the I/O permission bitmap; a clear bit sends INT n to the
 * program's own handler (21.3.3). */
static bool vme_redirects(struct cpu *c, const struct op *o, unsigned vector)
{
    const struct abi_segment *tr = &c->s->seg[ABI_TR];
    if (!(c->s->cr4 & CR4_VME) || !(tr->attr & 8) || tr->limit < 103)
        return false;
    uint32_t at = (uint32_t)sys_read(c, o, tr->base + 102, 2) - 32 + vector / 8;
    if (at > tr->limit)
        cpu_raise_err(c, o, VEC_GP, 0);
    return !(sys_read(c, o, tr->base + at, 1) >> (vector & 7) & 1);
}
static const struct op *int_vm86(struct cpu *c, const struct op *o, unsigned vector)
{
    bool restricted = vm86_restricted(c);
    uint64_t fl = cpu_rflags(c);
    if (restricted)
        fl = (fl & ~RF_IF) | RF_IOPL | (fl & RF_VIF ? RF_IF : 0);
    uint32_t to = mmu_ld32(c, o, vector * 4);
    uint64_t sp = stk_push_at(c, o, c->gpr[REG_RSP], 2, fl);
    sp = stk_push_at(c, o, sp, 2, c->s->seg[ABI_CS].selector);
    sp = stk_push_at(c, o, sp, 2, c->gpr[REG_BLOCK] + o->next_off);
    stk_set(c, sp);
    c->eflags &= ~(RF_TF | (restricted ? RF_VIF : RF_IF));
    seg_install_real(c, ABI_CS, (uint16_t)(to >> 16));
    c->rip = (uint16_t)to;
    far_done(c);
    return NULL;
}
OP(op_int)
{
    unsigned vector = (uint8_t)o->imm;
    if (c->mode & MODE_VM86) {
        if (vme_redirects(c, o, vector))
            return int_vm86(c, o, vector);
        if (vm86_restricted(c))
            cpu_raise_err(c, o, VEC_GP, 0);
    }
    return software_interrupt(c, o, (int)vector);
}
OP(op_int3)
{
    return software_interrupt(c, o, VEC_BP);
}
OP(op_into)
{
    if (c->fl & FL_OF)
        return software_interrupt(c, o, VEC_OF);
    return cpu_leave(c, o);
}
OP(op_int1)
{
    c->rip = c->gpr[REG_BLOCK] + o->next_off;
    cpu_deliver(c, VEC_DB, EVENT_EXCEPTION, false, 0);
    return NULL;
}

/* May CLI and STI change IF? 1 yes, 0 they change VIF; #GP(0) else. */
static bool if_allowed(struct cpu *c, const struct op *o)
{
    if (cpu_real(c) || c->cpl <= ((c->eflags >> 12) & 3))
        return true;
    uint64_t need = c->mode & MODE_VM86 ? CR4_VME : CR4_PVI;
    if (c->cpl != 3 || !(c->s->cr4 & need))
        cpu_raise_err(c, o, VEC_GP, 0);
    return false;
}
OP(op_cli)
{
    c->eflags &= ~(if_allowed(c, o) ? RF_IF : RF_VIF);
    NEXT();
}
/* The instruction after STI runs before any interrupt is taken. Inside a block that is so by itself,
 * since interrupts are taken between blocks; only with nothing after it is the shadow needed. */
OP(op_sti)
{
    if (!if_allowed(c, o)) {
        if (c->eflags & RF_VIP)
            cpu_raise_err(c, o, VEC_GP, 0);
        c->eflags |= RF_VIF;
        NEXT();
    }
    if (c->eflags & RF_IF)
        NEXT();
    c->eflags |= RF_IF;
    if (o[1].fn != op_goto_next && !chipset_intr_pending(c->chipset, c->index))
        NEXT();
    c->s->intr_shadow = SHADOW_STI;
    c->exit_request = 1;
    return cpu_leave(c, o);
}
