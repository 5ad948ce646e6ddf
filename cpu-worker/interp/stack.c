/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PUSH POP PUSHA POPA PUSHF POPF ENTER LEAVE, in a fast form for 64-bit mode and one that serves every
 * mode (aux = operand size in bits). Nothing is committed before the last access that may fault.
 */
#include "cpu-worker/interp/stack.h"
#include "cpu-worker/interp/decode.h"
#include "cpu-worker/interp/handlers.h"
#include "cpu-worker/chipset/chipset.h"
#include "cpu-worker/interp/segment.h"
#include "cpu-worker/run/run.h"

OP(op_push_r64)
{
    mmu_st64(c, o, c->gpr[REG_RSP] - 8, c->gpr[o->dst]);
    c->gpr[REG_RSP] -= 8;
    NEXT();
}
OP(op_push_i64)
{
    mmu_st64(c, o, c->gpr[REG_RSP] - 8, o->imm);
    c->gpr[REG_RSP] -= 8;
    NEXT();
}
OP(op_push_m64)
{
    uint64_t v = mmu_ld64(c, o, op_ea(c, o, 8, false));
    stk_canonical(c, o, c->gpr[REG_RSP] - 8, 8);
    mmu_st64(c, o, c->gpr[REG_RSP] - 8, v);
    c->gpr[REG_RSP] -= 8;
    NEXT();
}
OP(op_pop_r64)
{
    uint64_t v = mmu_ld64(c, o, c->gpr[REG_RSP]);
    c->gpr[REG_RSP] += 8;
    c->gpr[o->dst] = v;
    NEXT();
}
OP(op_leave64)
{
    uint64_t v = mmu_ld64(c, o, c->gpr[REG_RBP]);
    c->gpr[REG_RSP] = c->gpr[REG_RBP] + 8;
    c->gpr[REG_RBP] = v;
    NEXT();
}

static void write_gpr(struct cpu *c, unsigned n, unsigned bits, uint64_t v)
{
    if (bits == 16)
        WR16(n, (T16)v);
    else
        c->gpr[n] = bits == 32 ? (T32)v : v;
}
static void push_value(struct cpu *c, const struct op *o, uint64_t v)
{
    stk_set(c, stk_push_at(c, o, c->gpr[REG_RSP], o->aux / 8, v));
}
OP(op_push_r)
{
    push_value(c, o, c->gpr[o->dst]);
    NEXT();
}
OP(op_push_i)
{
    push_value(c, o, o->imm);
    NEXT();
}
OP(op_push_m)
{
    push_value(c, o, mem_load(c, o, op_ea(c, o, o->aux / 8, false), o->aux / 8));
    NEXT();
}
OP(op_pop_r)
{
    uint64_t v = stk_load_at(c, o, c->gpr[REG_RSP], o->aux / 8);
    stk_set(c, c->gpr[REG_RSP] + o->aux / 8);
    write_gpr(c, o->dst, o->aux, v);
    NEXT();
}
/* POP m: an address with rSP as base is computed after the increment. */
OP(op_pop_m)
{
    uint64_t old = c->gpr[REG_RSP], v = stk_load_at(c, o, old, o->aux / 8);
    stk_set(c, old + o->aux / 8);
    uint64_t now = c->gpr[REG_RSP];
    if (o->base != REG_RSP)
        c->gpr[REG_RSP] = old;
    uint64_t ea = op_ea(c, o, o->aux / 8, true);
    c->gpr[REG_RSP] = old; /* a fault must find the old stack pointer */
    mem_store(c, o, ea, o->aux / 8, v);
    c->gpr[REG_RSP] = now;
    NEXT();
}
OP(op_leave)
{
    uint64_t v = stk_load_at(c, o, c->gpr[REG_RBP], o->aux / 8);
    stk_set(c, (c->gpr[REG_RBP] & stk_mask(c)) + o->aux / 8);
    write_gpr(c, REG_RBP, o->aux, v);
    NEXT();
}
/* imm = frame bytes | nesting level << 16 */
OP(op_enter)
{
    unsigned n = o->aux / 8, level = (o->imm >> 16) & 31;
    uint64_t sp = stk_push_at(c, o, c->gpr[REG_RSP], n, c->gpr[REG_RBP]), frame = sp;
    uint64_t bp = c->gpr[REG_RBP];
    for (unsigned i = 1; i < level; i++) {
        bp -= n;
        sp = stk_push_at(c, o, sp, n, stk_load_at(c, o, bp, n));
    }
    if (level)
        sp = stk_push_at(c, o, sp, n, frame);
    sp -= (uint16_t)o->imm;
    mmu_probe_write(c, o, stk_linear(c, o, sp, n, true), n);
    write_gpr(c, REG_RBP, o->aux, frame);
    stk_set(c, sp);
    NEXT();
}
/* Intel's processors look at these before they push anything in real mode (SDM volume 2, PUSHA). */
static bool pusha_odd(const struct cpu *c, uint16_t sp)
{
    return c->vendor == ABI_CPU_INTEL && !(c->mode & (MODE_PE | MODE_VM86)) && (sp & 1) && sp >= 7 && sp <= 15;
}
OP(op_pusha)
{
    uint64_t sp = c->gpr[REG_RSP];
    if (unlikely(pusha_odd(c, (uint16_t)sp)))
        cpu_raise_err(c, o, VEC_GP, 0);
    for (unsigned i = 0; i < 8; i++)
        sp = stk_push_at(c, o, sp, o->aux / 8, c->gpr[i]);
    stk_set(c, sp);
    NEXT();
}
OP(op_popa)
{
    uint64_t v[8], sp = c->gpr[REG_RSP];
    for (int i = 7; i >= 0; i--, sp += o->aux / 8) {
        v[i] = stk_load_at(c, o, sp, o->aux / 8);
        if (host_is_amd && i != REG_RSP) /* what was read before a fault stays in the registers */
            write_gpr(c, (unsigned)i, o->aux, v[i]);
    }
    for (unsigned i = 0; i < 8; i++)
        if (i != REG_RSP)
            write_gpr(c, i, o->aux, v[i]);
    stk_set(c, sp);
    NEXT();
}
OP(op_push_seg)
{
    unsigned n = o->aux / 8;
    uint64_t sel = c->s->seg[o->src].selector;
    if (n == 4 && !o->dst) { /* Intel: only the low half is written, the stack pointer moves by four */
        uint64_t sp = c->gpr[REG_RSP] - 4;
        mem_store(c, o, stk_linear(c, o, sp, 2, true), 2, sel);
        stk_set(c, sp);
    } else {
        push_value(c, o, sel);
    }
    NEXT();
}
OP(op_pop_seg)
{
    uint64_t sel = stk_load_at(c, o, c->gpr[REG_RSP], 2);
    seg_load(c, o, o->dst, (uint16_t)sel);
    stk_set(c, c->gpr[REG_RSP] + o->aux / 8);
    if (o->dst == ABI_SS)
        c->s->intr_shadow = SHADOW_SS;
    return cpu_leave(c, o);
}

#define FL_VM   0x20000ull
#define FL_IOPL 0x3000ull
#define FL_IF   0x200ull
#define FL_VIF  0x80000ull
#define FL_VIP  0x100000ull
#define CR4_VME 1u

OP(op_pushf)
{
    uint64_t fl = cpu_rflags(c) & ~(FL_VM | 0x10000);
    if ((c->mode & MODE_VM86) && (c->eflags & FL_IOPL) != FL_IOPL) {
        if (!(c->s->cr4 & CR4_VME) || o->aux != 16)
            cpu_raise_err(c, o, VEC_GP, 0);
        fl = (fl & ~FL_IF) | FL_IOPL | (c->eflags & FL_VIF ? FL_IF : 0);
    }
    push_value(c, o, fl);
    NEXT();
}
/* Which bits POPF may change: IOPL only at CPL 0, IF only when CPL <= IOPL. */
static void popf_set(struct cpu *c, const struct op *o, uint64_t v)
{
    uint64_t mask = 0x244dd5; /* CF PF AF ZF SF TF DF OF NT AC ID */
    unsigned iopl = (c->eflags >> 12) & 3;
    if (c->cpl == 0 && !(c->mode & MODE_VM86))
        mask |= FL_IOPL | FL_IF;
    else if (c->cpl <= iopl)
        mask |= FL_IF;
    if (o->aux == 16)
        mask &= 0xffff;
    uint64_t now = cpu_rflags(c);
    cpu_set_rflags(c, (now & ~mask & ~0x10000ull) | (v & mask));
}
OP(op_popf)
{
    uint64_t v = stk_load_at(c, o, c->gpr[REG_RSP], o->aux / 8);
    if ((c->mode & MODE_VM86) && (c->eflags & FL_IOPL) != FL_IOPL) {
        if (!(c->s->cr4 & CR4_VME) || o->aux != 16 || (v & 0x100) ||
            ((v & FL_IF) && (c->eflags & FL_VIP)))
            cpu_raise_err(c, o, VEC_GP, 0);
        uint64_t mask = 0x4dd5 & ~0x100ull, now = cpu_rflags(c) & ~FL_VIF;
        cpu_set_rflags(c, (now & ~mask) | (v & mask) | (v & FL_IF ? FL_VIF : 0));
    } else {
        popf_set(c, o, v);
    }
    stk_set(c, c->gpr[REG_RSP] + o->aux / 8);
    if (((c->eflags >> 8) ^ (c->mode / MODE_TF)) & 1) {
        cpu_mode_update(c);
        return cpu_leave(c, o);
    }
    if ((c->eflags & FL_IF) && chipset_intr_pending(c->chipset, c->index)) {
        c->exit_request = 1;
        return cpu_leave(c, o);
    }
    NEXT();
}
