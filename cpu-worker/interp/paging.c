/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Instructions of the paging unit: INVLPG, INVPCID, STAC, CLAC, RDPKRU, WRPKRU. Owns their operand checks;
 * what is flushed and what rights mean is mmu/'s.
 */
#include "cpu-worker/interp/handlers.h"
#include "cpu-worker/interp/segment.h"
#include "cpu-worker/mmu/control.h"
#include "cpu-worker/run/run.h"

#define RF_AC 0x40000ull

/* The address is linear and not accessed: no limit is looked at, and one that is not canonical flushes
 * nothing (SDM volume 2, INVLPG). */
OP(op_invlpg)
{
    cpl0_check(c, o);
    uint64_t off = c->gpr[o->base] + (c->gpr[o->index] << o->scale) + (int64_t)o->disp;
    if (o->ea & EA_16)
        off = (uint16_t)off;
    else if (o->ea & EA_32)
        off = (uint32_t)off;
    uint64_t va = off + c->segbase[o->seg];
    if (!(c->mode & MODE_64))
        va = (uint32_t)va;
    if (cpu_canonical(c, va))
        tlb_flush_page(c, va);
    return cpu_leave(c, o);
}

enum { INV_ADDRESS, INV_PCID, INV_ALL, INV_ALL_BUT_GLOBAL };
static bool invpcid_valid(const struct cpu *c, uint64_t type, const uint64_t d[2])
{
    if (type > INV_ALL_BUT_GLOBAL || d[0] >> 12)
        return false;
    if (type <= INV_PCID && d[0] && !(c->s->cr4 & CR4_PCIDE))
        return false;
    return type != INV_ADDRESS || cpu_canonical(c, d[1]);
}
OP(op_invpcid)
{
    cpl0_check(c, o);
    uint64_t ea = op_ea(c, o, 16, false), type = c->gpr[o->dst], d[2];
    if (!(c->mode & MODE_64))
        type = (uint32_t)type;
    mmu_read_bytes(c, o, ea, d, 16);
    if (!invpcid_valid(c, type, d))
        cpu_raise_err(c, o, VEC_GP, 0);
    switch (type) {
    case INV_ADDRESS:
        tlb_flush_pcid_page(c, (unsigned)d[0], d[1]);
        break;
    case INV_PCID:
        tlb_flush_pcid(c, (unsigned)d[0]);
        break;
    case INV_ALL:
        tlb_flush_all(c);
        break;
    default:
        tlb_flush_pcids(c);
        break;
    }
    return cpu_leave(c, o);
}

/* EFLAGS.AC is data of the TLB context: fetches do not see it, the block goes on. */
static void ac_set(struct cpu *c, const struct op *o, uint64_t ac)
{
    if (c->cpl)
        cpu_raise(c, o, VEC_UD);
    c->eflags = (c->eflags & ~RF_AC) | ac;
    tlb_context_update(c);
}
OP(op_stac)
{
    ac_set(c, o, RF_AC);
    NEXT();
}
OP(op_clac)
{
    ac_set(c, o, 0);
    NEXT();
}

static void pkru_check(struct cpu *c, const struct op *o, bool zero)
{
    if (!(c->s->cr4 & CR4_PKE))
        cpu_raise(c, o, VEC_UD);
    if ((uint32_t)c->gpr[REG_RCX] || !zero)
        cpu_raise_err(c, o, VEC_GP, 0);
}
OP(op_rdpkru)
{
    pkru_check(c, o, true);
    c->gpr[REG_RAX] = c->s->pkru;
    c->gpr[REG_RDX] = 0;
    NEXT();
}
OP(op_wrpkru)
{
    pkru_check(c, o, !(uint32_t)c->gpr[REG_RDX]);
    pkru_write(c, (uint32_t)c->gpr[REG_RAX]);
    NEXT();
}
