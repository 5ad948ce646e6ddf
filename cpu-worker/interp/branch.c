/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Near control transfer: JMP Jcc CALL RET LOOP and the block terminators. Displacements of direct
 * branches are relative to the block's first byte (o->disp), so a block is position independent.
 * aux = operand size in bits where a form serves every mode.
 */
#include "cpu-worker/interp/handlers.h"
#include "cpu-worker/interp/stack.h"
#include "cpu-worker/run/chain.h"
#include "cpu-worker/run/run.h"

#define NEXT_RIP (c->gpr[REG_BLOCK] + o->next_off)
#define TARGET   ip_mask(c->gpr[REG_BLOCK] + (int64_t)o->disp, o->aux)

OP(op_nop)
{
    NEXT();
}
OP(op_ud)
{
    cpu_raise(c, o, VEC_UD);
}
/* End of a block that is no branch: falls into the next one. o->off is where that starts. */
OP(op_goto_next)
{
    GOTO_LINK(o, c->gpr[REG_BLOCK] + o->off);
}
/* Put over the successor of a store that hit the running block: decode again from here. */
OP(op_resync)
{
    c->rip = c->gpr[REG_BLOCK] + o->off;
    return NULL;
}
/* Put over the first operation of a block that is no longer what memory holds. */
OP(op_dead)
{
    const struct block *b = (const struct block *)((uintptr_t)o - offsetof(struct block, ops));
    c->insns -= b->n;
    c->rip = c->gpr[REG_BLOCK];
    return NULL;
}
OP(op_jmp_rel)
{
    GOTO_LINK(o, TARGET);
}
#define JCC(CC)                                                                                    \
    static OP(jcc_##CC)                                                                            \
    {                                                                                              \
        if (fl_cond(c->fl, CC))                                                                    \
            GOTO_LINK(o, TARGET);                                                                  \
        GOTO_LINK(o + 1, NEXT_RIP);                                                                \
    }
FOR_EACH_CC(JCC)
#define JCC_NAME(CC) jcc_##CC,
const op_fn jcc_table[16] = {FOR_EACH_CC(JCC_NAME)};

/* LOOP family: scale = address size / 16 (1, 2, 4) */
static inline uint64_t count_get(const struct cpu *c, const struct op *o)
{
    return o->scale == 4 ? c->gpr[REG_RCX] : o->scale == 2 ? (T32)c->gpr[REG_RCX] : (T16)c->gpr[REG_RCX];
}
static inline uint64_t count_dec(struct cpu *c, const struct op *o)
{
    if (o->scale == 4)
        return --c->gpr[REG_RCX];
    if (o->scale == 2)
        return c->gpr[REG_RCX] = (T32)(c->gpr[REG_RCX] - 1);
    WR16(REG_RCX, (T16)(c->gpr[REG_RCX] - 1));
    return (T16)c->gpr[REG_RCX];
}
#define LOOP(NAME, COND)                                                                           \
    static OP(NAME)                                                                                \
    {                                                                                              \
        if (COND)                                                                                  \
            GOTO_LINK(o, TARGET);                                                                  \
        GOTO_LINK(o + 1, NEXT_RIP);                                                                \
    }
LOOP(loopne, count_dec(c, o) != 0 && !(c->fl & FL_ZF))
LOOP(loope, count_dec(c, o) != 0 && (c->fl & FL_ZF))
LOOP(loop_, count_dec(c, o) != 0)
LOOP(jcxz, count_get(c, o) == 0)
const op_fn loop_table[4] = {loopne, loope, loop_, jcxz};

/* 64-bit mode */
static inline void push64(struct cpu *c, const struct op *o, uint64_t v)
{
    mmu_st64(c, o, c->gpr[REG_RSP] - 8, v);
    c->gpr[REG_RSP] -= 8;
}
OP(op_call_rel64)
{
    push64(c, o, NEXT_RIP);
    GOTO_LINK(o, c->gpr[REG_BLOCK] + (int64_t)o->disp);
}
OP(op_call_r64)
{
    uint64_t to = c->gpr[o->dst];
    push64(c, o, NEXT_RIP);
    GOTO_RIP64(to, -8);
}
OP(op_call_m64)
{
    uint64_t to = mmu_ld64(c, o, op_ea(c, o, 8, false));
    stk_canonical(c, o, c->gpr[REG_RSP] - 8, 8);
    push64(c, o, NEXT_RIP);
    GOTO_RIP64(to, -8);
}
/* Hosts that look at the target before they push: nothing is written when it is not canonical, but a fault of
 * the push comes first. */
static inline void canonical_target(struct cpu *c, const struct op *o, uint64_t to)
{
    if (likely(cpu_canonical(c, to)))
        return;
    stk_canonical(c, o, c->gpr[REG_RSP] - 8, 8);
    mmu_probe_write(c, o, c->gpr[REG_RSP] - 8, 8);
    cpu_raise_err(c, o, VEC_GP, 0);
}
OP(op_call_r64_early)
{
    uint64_t to = c->gpr[o->dst];
    canonical_target(c, o, to);
    push64(c, o, NEXT_RIP);
    GOTO_RIP(to);
}
OP(op_call_m64_early)
{
    uint64_t to = mmu_ld64(c, o, op_ea(c, o, 8, false));
    canonical_target(c, o, to);
    stk_canonical(c, o, c->gpr[REG_RSP] - 8, 8);
    push64(c, o, NEXT_RIP);
    GOTO_RIP(to);
}
OP(op_jmp_r64)
{
    GOTO_RIP64(c->gpr[o->dst], 0);
}
OP(op_jmp_m64)
{
    GOTO_RIP64(mmu_ld64(c, o, op_ea(c, o, 8, false)), 0);
}
OP(op_ret64)
{
    uint64_t to = mmu_ld64(c, o, c->gpr[REG_RSP]);
    c->gpr[REG_RSP] += 8;
    GOTO_RIP64(to, 8);
}
OP(op_ret64_imm)
{
    uint64_t to = mmu_ld64(c, o, c->gpr[REG_RSP]);
    c->gpr[REG_RSP] += 8 + (uint16_t)o->imm;
    GOTO_RIP64(to, 8 + (uint16_t)o->imm);
}

/* Every mode: the target is checked against the code segment before anything is committed. */
static void check_ip(struct cpu *c, const struct op *o, uint64_t ip)
{
    if (!(c->mode & MODE_64) && ip > c->s->seg[ABI_CS].limit)
        cpu_raise_err(c, o, VEC_GP, 0);
}
static void push_return(struct cpu *c, const struct op *o)
{
    stk_set(c, stk_push_at(c, o, c->gpr[REG_RSP], o->aux / 8, NEXT_RIP));
}
static uint64_t read_target(struct cpu *c, const struct op *o)
{
    return mem_load(c, o, op_ea(c, o, o->aux / 8, false), o->aux / 8);
}
OP(op_call_rel)
{
    uint64_t to = TARGET;
    check_ip(c, o, to);
    push_return(c, o);
    GOTO_LINK(o, to);
}
OP(op_call_r)
{
    uint64_t to = ip_mask(c->gpr[o->dst], o->aux);
    check_ip(c, o, to);
    push_return(c, o);
    GOTO_RIP(to);
}
OP(op_call_m)
{
    uint64_t to = read_target(c, o);
    check_ip(c, o, to);
    push_return(c, o);
    GOTO_RIP(to);
}
OP(op_jmp_r)
{
    uint64_t to = ip_mask(c->gpr[o->dst], o->aux);
    check_ip(c, o, to);
    GOTO_RIP(to);
}
OP(op_jmp_m)
{
    uint64_t to = read_target(c, o);
    check_ip(c, o, to);
    GOTO_RIP(to);
}
static uint64_t pop_target(struct cpu *c, const struct op *o, unsigned extra)
{
    uint64_t to = stk_load_at(c, o, c->gpr[REG_RSP], o->aux / 8);
    check_ip(c, o, to);
    stk_set(c, c->gpr[REG_RSP] + o->aux / 8 + extra);
    return to;
}
OP(op_ret)
{
    GOTO_RIP(pop_target(c, o, 0));
}
OP(op_ret_imm)
{
    GOTO_RIP(pop_target(c, o, (uint16_t)o->imm));
}
