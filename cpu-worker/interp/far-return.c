/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Far RET, and IRET to every mode. Owns the checks of what a return frame may ask for; nothing is committed
 * before the last of them.
 */
#include "cpu-worker/interp/far.h"
#include "cpu-worker/interp/handlers.h"
#include "cpu-worker/interp/stack.h"
#include "cpu-worker/interp/task.h"
#include "cpu-worker/run/run.h"

/* Data segments that the outer level may not keep are nulled (RET and IRET to an outer level). */
static void drop_inner_data(struct cpu *c)
{
    static const uint8_t segs[] = {ABI_ES, ABI_DS, ABI_FS, ABI_GS};
    for (unsigned i = 0; i < 4; i++) {
        struct abi_segment *s = &c->s->seg[segs[i]];
        bool conforming = (s->attr & 0x1c) == 0x1c;
        if (!(s->attr & ABI_SEG_UNUSABLE) && !conforming && ((s->attr >> 5) & 3) < c->cpl)
            seg_install_null(c, segs[i], 0);
    }
}
/* The code segment a return goes to: RPL is the new CPL. */
static void return_cs(struct cpu *c, const struct op *o, uint16_t sel, struct desc *d)
{
    unsigned rpl = sel & 3;
    if (!(sel & ~3u))
        cpu_raise_err(c, o, VEC_GP, 0);
    if (!desc_read(c, o, sel, d) || !DESC_S(d) || !(DESC_TYPE(d) & 8) || rpl < c->cpl ||
        (cpu_long(c) && DESC_L(d) && DESC_DB(d)) || (DESC_TYPE(d) & 4 ? DESC_DPL(d) > rpl : DESC_DPL(d) != rpl))
        cpu_raise_err(c, o, VEC_GP, sel & ~3u);
    if (!DESC_P(d))
        cpu_raise_err(c, o, VEC_NP, sel & ~3u);
}
static void return_ss(struct cpu *c, const struct op *o, uint16_t sel, unsigned rpl, bool to64,
                      struct desc *d, bool *null)
{
    *null = !(sel & ~3u);
    if (*null) {
        if (!to64 || rpl == 3 || (sel & 3) != rpl)
            cpu_raise_err(c, o, VEC_GP, 0);
        return;
    }
    if (!desc_read(c, o, sel, d) || (sel & 3u) != rpl || DESC_DPL(d) != rpl || !DESC_S(d) ||
        (DESC_TYPE(d) & 0xa) != 2)
        cpu_raise_err(c, o, VEC_GP, sel & ~3u);
    if (!DESC_P(d))
        cpu_raise_err(c, o, VEC_SS, sel & ~3u);
}

struct ret_frame {
    uint64_t ip, sp;
    uint16_t cs, ss;
    bool outer;
};
/* Commit a checked return to CS:ip, and to SS:sp when the level or (IRETQ) the frame says so. */
static void return_commit(struct cpu *c, const struct op *o, const struct ret_frame *f, struct desc *cs,
                          uint64_t sp_inner)
{
    struct desc ss;
    bool null = false, to64 = cpu_long(c) && DESC_L(cs);
    unsigned rpl = f->cs & 3;
    if (f->outer)
        return_ss(c, o, f->ss, rpl, to64, &ss, &null);
    far_check_target(c, o, cs, f->ip);
    desc_set_accessed(c, o, cs);
    if (f->outer && !null)
        desc_set_accessed(c, o, &ss);
    bool lower = rpl > c->cpl;
    if (!f->outer)
        stk_set(c, sp_inner);
    cpl_set(c, rpl);
    seg_install(c, ABI_CS, f->cs, cs);
    c->rip = to64 ? f->ip : (uint32_t)f->ip;
    if (f->outer) {
        if (null)
            seg_install_null(c, ABI_SS, f->ss);
        else
            seg_install(c, ABI_SS, f->ss, &ss);
        cpu_mode_update(c);
        stk_set(c, f->sp);
    }
    if (lower)
        drop_inner_data(c);
}

static const struct op *ret_far(struct cpu *c, const struct op *o, unsigned extra)
{
    unsigned n = o->aux / 8;
    uint64_t sp = c->gpr[REG_RSP];
    struct ret_frame f = {.ip = stk_load_at(c, o, sp, n), .cs = (uint16_t)stk_load_at(c, o, sp + n, n)};
    struct desc d;
    if (!(c->mode & MODE_PE)) {
        if (f.ip > c->s->seg[ABI_CS].limit)
            cpu_raise_err(c, o, VEC_GP, 0);
        stk_set(c, sp + 2 * n + extra);
        seg_install_real(c, ABI_CS, f.cs);
        c->rip = f.ip;
        far_done(c);
        return NULL;
    }
    return_cs(c, o, f.cs, &d);
    f.outer = (f.cs & 3u) > c->cpl;
    if (f.outer) {
        f.sp = stk_load_at(c, o, sp + 2 * n + extra, n) + extra;
        f.ss = (uint16_t)stk_load_at(c, o, sp + 3 * n + extra, n);
    }
    return_commit(c, o, &f, &d, sp + 2 * n + extra);
    far_done(c);
    return NULL;
}
OP(op_ret_far)
{
    return ret_far(c, o, 0);
}
OP(op_ret_far_imm)
{
    return ret_far(c, o, (uint16_t)o->imm);
}

/* Which flags IRET may change at this CPL. */
static void iret_flags(struct cpu *c, uint64_t v, unsigned bits, unsigned cpl)
{
    uint64_t mask = 0x254dd5, now = cpu_rflags(c); /* arithmetic, TF DF NT RF AC ID */
    if (cpl == 0)
        mask |= RF_IOPL | RF_IF | 0x180000;
    else if (cpl <= ((now >> 12) & 3))
        mask |= RF_IF;
    if (bits == 16)
        mask &= 0xffff;
    cpu_set_rflags(c, (now & ~mask) | (v & mask));
}
/* VM86 with IOPL < 3 and CR4.VME: IF is VIF, IOPL stays (SDM volume 3, 21.3). */
static void iret_vme(struct cpu *c, const struct op *o, uint64_t fl)
{
    if (!(c->s->cr4 & CR4_VME) || o->aux != 16 || (fl & RF_TF) || ((fl & RF_IF) && (c->eflags & RF_VIP)))
        cpu_raise_err(c, o, VEC_GP, 0);
}
static uint64_t iret_vme_flags(const struct cpu *c, uint64_t fl)
{
    uint64_t mask = 0xffff & ~(RF_IF | RF_IOPL), now = cpu_rflags(c) & ~RF_VIF;
    return (now & ~mask) | (fl & mask) | (fl & RF_IF ? RF_VIF : 0);
}
static void iret_real(struct cpu *c, const struct op *o)
{
    unsigned n = o->aux / 8;
    uint64_t sp = c->gpr[REG_RSP], ip, cs, fl;
    bool vme = vm86_restricted(c), vm = c->mode & MODE_VM86;
    if (vme && (!(c->s->cr4 & CR4_VME) || n != 2))
        cpu_raise_err(c, o, VEC_GP, 0);
    ip = stk_load_at(c, o, sp, n);
    cs = stk_load_at(c, o, sp + n, n);
    fl = stk_load_at(c, o, sp + 2 * n, n);
    if (ip > c->s->seg[ABI_CS].limit)
        cpu_raise_err(c, o, VEC_GP, 0);
    if (vme)
        iret_vme(c, o, fl);
    stk_set(c, sp + 3 * n);
    seg_install_real(c, ABI_CS, (uint16_t)cs);
    uint64_t keep = (vm ? RF_IOPL : 0) | RF_VM | RF_VIF | RF_VIP, now = cpu_rflags(c);
    if (n == 2)
        keep |= ~0xffffull;
    cpu_set_rflags(c, vme ? iret_vme_flags(c, fl) : (now & keep) | (fl & ~keep));
    c->rip = ip;
}
/* From protected mode at CPL 0 into VM86. */
static void iret_vm86(struct cpu *c, const struct op *o, uint64_t sp, uint64_t ip, uint16_t cs, uint64_t fl)
{
    uint16_t sel[6];
    uint32_t esp = (uint32_t)stk_load_at(c, o, sp + 12, 4);
    static const uint8_t order[] = {ABI_SS, ABI_ES, ABI_DS, ABI_FS, ABI_GS};
    for (unsigned i = 0; i < 5; i++)
        sel[i] = (uint16_t)stk_load_at(c, o, sp + 16 + 4 * i, 4);
    if (ip > 0xffff)
        cpu_raise_err(c, o, VEC_GP, 0);
    cpu_set_rflags(c, fl);
    c->eflags |= RF_VM;
    cpl_set(c, 3);
    for (unsigned i = 0; i < 5; i++)
        seg_install_real(c, order[i], sel[i]);
    seg_install_real(c, ABI_CS, cs);
    c->gpr[REG_RSP] = esp;
    c->rip = (uint16_t)ip;
}
OP(op_iret)
{
    unsigned n = o->aux / 8, was = c->cpl;
    uint64_t sp = c->gpr[REG_RSP];
    struct desc d;
    if (c->s->nmi_blocked) {
        c->s->nmi_blocked = 0;
        c->exit_request = 1; /* one that waited is taken right after this instruction */
    }
    if (!(c->mode & MODE_PE)) {
        iret_real(c, o);
        far_done(c);
        return NULL;
    }
    if (c->eflags & RF_NT) {
        if (cpu_long(c))
            cpu_raise_err(c, o, VEC_GP, 0);
        task_return(c, o);
        far_done(c);
        return NULL;
    }
    struct ret_frame f = {.ip = stk_load_at(c, o, sp, n), .cs = (uint16_t)stk_load_at(c, o, sp + n, n)};
    uint64_t fl = stk_load_at(c, o, sp + 2 * n, n);
    if ((fl & RF_VM) && c->cpl == 0 && n == 4 && !cpu_long(c)) {
        iret_vm86(c, o, sp, f.ip, f.cs, fl);
        far_done(c);
        return NULL;
    }
    return_cs(c, o, f.cs, &d);
    f.outer = (f.cs & 3u) > c->cpl || (c->mode & MODE_64);
    if (f.outer) {
        f.sp = stk_load_at(c, o, sp + 3 * n, n);
        f.ss = (uint16_t)stk_load_at(c, o, sp + 4 * n, n);
    }
    return_commit(c, o, &f, &d, sp + 3 * n);
    iret_flags(c, fl, o->aux, was);
    far_done(c);
    return NULL;
}
