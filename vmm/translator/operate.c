/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Instructions that are encoded again: opcode, prefixes and immediate as they are, registers by the map, memory
 * by its checked host address. Owns what implicit uses of rcx and the high byte registers need; must never commit
 * anything before the last instruction that can fault.
 */
#include "vmm/translator/gen.h"

static struct enc enc_of(const struct ginsn *g)
{
    struct enc o = {.p66 = g->p66, .rep = g->rep, .lock = g->lock, .map = g->map, .op = g->op, .w = g->w,
                    .vex = g->vex, .pp = g->pp, .l = g->l, .vvvv = g->raw_vvvv, .imm = g->bytes + g->imm_at,
                    .imm_len = g->imm_len};
    if (g->vex)
        o.p66 = o.rep = o.lock = 0;
    return o;
}

/* ---- implicit uses of rcx ---- */

enum { CX_NONE, CX_READ = 1, CX_WRITE = 2 };
static unsigned implicit_cx(const struct ginsn *g)
{
    if (g->vex && (g->mn == ZYDIS_MNEMONIC_VPCMPESTRI || g->mn == ZYDIS_MNEMONIC_VPCMPISTRI))
        return CX_WRITE;
    if (g->vex)
        return CX_NONE;
    if (!g->map && (g->op == 0xd2 || g->op == 0xd3)) /* shifts by CL */
        return CX_READ;
    if (g->map == 1 && (g->op == 0xa5 || g->op == 0xad)) /* SHLD, SHRD */
        return CX_READ;
    if (g->mn == ZYDIS_MNEMONIC_CMPXCHG8B || g->mn == ZYDIS_MNEMONIC_CMPXCHG16B)
        return CX_READ;
    if (g->mn == ZYDIS_MNEMONIC_PCMPESTRI || g->mn == ZYDIS_MNEMONIC_PCMPISTRI)
        return CX_WRITE;
    return CX_NONE;
}

/* ---- register fields ---- */

struct regs {
    bool low;      /* no REX prefix may be there: a high byte register is used */
    bool cx;       /* guest rcx is in host rcx for this instruction */
    bool cx_write;
    uint16_t reads; /* guest registers whose old value counts */
};
static unsigned guest_of(const struct field *f)
{
    return f->num; /* of GPR8H: the register the byte belongs to */
}
static void note(struct regs *p, const struct field *f, bool any_high)
{
    if (f->class != F_GPR && f->class != F_GPR8H)
        return;
    if (f->rd || f->class == F_GPR8H)
        p->reads |= (uint16_t)(1u << guest_of(f));
    if (any_high && guest_of(f) == G_RCX) {
        p->cx = true;
        p->cx_write |= f->wr;
    }
}
static bool regs_plan(struct regs *p, const struct ginsn *g)
{
    const struct field *f[] = {&g->reg, &g->rm, &g->v, &g->opreg};
    *p = (struct regs){0};
    for (unsigned k = 0; k < 4; k++)
        p->low |= f[k]->class == F_GPR8H;
    for (unsigned k = 0; k < 4; k++) {
        note(p, f[k], p->low);
        if (p->low && f[k]->class == F_GPR && guest_of(f[k]) == G_RSP)
            return false;
    }
    unsigned cx = implicit_cx(g);
    p->cx |= cx != CX_NONE;
    p->cx_write |= (cx & CX_WRITE) != 0;
    return !(p->low && g->mem && p->cx); /* the address would need rcx as well */
}
/* Number to put into the field; -1: no scratch register is left. */
static int field_host(struct gen *t, const struct regs *p, const struct field *f, unsigned fixed)
{
    switch (f->class) {
    case F_GPR8H:
        return 4 + f->num;
    case F_GPR:
        if (p->low && f->num == G_RCX)
            return H_RCX;
        return gen_host(t, f->num) >= 0 ? gen_host(t, f->num) : gen_temp(t, f->num, p->reads >> f->num & 1);
    case F_VECTOR:
        return f->num;
    default:
        return (int)fixed;
    }
}
static bool byte_rex(const struct field *f)
{
    return f->class == F_GPR && f->bits == 8;
}
static void store_back(struct gen *t, const struct field *f)
{
    if (f->class == F_GPR && f->wr)
        gen_written(t, f->num);
}
void gen_simd_ready(struct gen *t)
{
    t->out->uses_simd = 1;
    emit_load(&t->e, H_RCX, GS(simd_dead));
    uint32_t live = emit_jrcxz(&t->e);
    emit_call_rm(&t->e, GS_STUB(ABI_XL_SIMD));
    emit_here8(&t->e, live);
}
static bool may_fault(const struct ginsn *g)
{
    return g->mem || g->simd || g->mn == ZYDIS_MNEMONIC_DIV || g->mn == ZYDIS_MNEMONIC_IDIV;
}

bool gen_operate(struct gen *t, const struct ginsn *g)
{
    struct emit *e = &t->e;
    struct enc o = enc_of(g);
    struct regs p;
    struct rm rm = {0};
    if (!regs_plan(&p, g))
        return false;
    if (g->mem) {
        rm = gen_access(t, &g->ea, g->mem_size, g->mem_wr);
        if (p.low) {
            emit_lea(e, H_RCX, rm.base, rm.index, rm.scale, rm.disp);
            rm = rm_mem(H_RCX, -1, 1, 0);
        }
    }
    bool rcx_taken = p.cx || (p.low && g->mem);
    gen_temps_begin(t, 1u << H_R10 | (rcx_taken ? 0 : 1u << H_RCX) | (g->mem ? 0 : 1u << H_R9));
    int reg = field_host(t, &p, &g->reg, g->reg_num), v = field_host(t, &p, &g->v, g->raw_vvvv);
    int r = g->mem ? 0 : field_host(t, &p, &g->rm, g->rm.num);
    int s = field_host(t, &p, &g->opreg, 0);
    if (reg < 0 || v < 0 || r < 0 || s < 0)
        return false;
    if (p.cx)
        emit_mov(e, H_RCX, H_R8);
    o.vvvv = (uint8_t)v;
    o.rex = !p.low && (byte_rex(&g->reg) || byte_rex(&g->rm) || byte_rex(&g->opreg));
    if (may_fault(g))
        gen_fault_here(t);
    if (g->opreg.class != F_NONE)
        emit_op_short(e, &o, (unsigned)s);
    else if (g->modrm)
        emit_op(e, &o, (unsigned)reg, g->mem ? rm : rm_reg((unsigned)r));
    else { /* accumulator and immediate */
        uint8_t b[2] = {0x66, (uint8_t)(0x40 | o.w << 3)};
        emit_bytes(e, b, o.p66);
        emit_bytes(e, b + 1, o.w);
        emit_8(e, o.op);
        emit_bytes(e, o.imm, o.imm_len);
    }
    if (p.cx_write)
        implicit_cx(g) == CX_WRITE ? emit_mov32(e, H_R8, H_RCX) : emit_mov(e, H_R8, H_RCX);
    store_back(t, &g->reg);
    store_back(t, &g->v);
    store_back(t, &g->rm);
    store_back(t, &g->opreg);
    return true;
}

static void move_sized(struct gen *t, unsigned guest, unsigned s, unsigned bits)
{
    struct enc o = {.op = 0x8b, .p66 = bits == 16, .w = bits == 64};
    if (gen_host(t, (int)guest) >= 0) {
        emit_op(&t->e, &o, (unsigned)gen_host(t, (int)guest), rm_reg(s));
        gen_written(t, guest);
    } else if (bits == 16) {
        emit_op(&t->e, &(struct enc){.op = 0x89, .p66 = 1}, s, GS_GPR(guest));
    } else {
        if (bits == 32)
            emit_mov32(&t->e, s, s);
        emit_store(&t->e, GS_GPR(guest), s);
    }
}
bool gen_lea(struct gen *t, const struct ginsn *g)
{
    struct gea ea = g->ea;
    int d = gen_host(t, g->reg.num), base = gen_host(t, ea.base), index = gen_host(t, ea.index);
    bool here = d >= 0 && !ea.rip && g->opsize >= 32 && (base >= 0) == (ea.base >= 0) && (index >= 0) == (ea.index >= 0);
    if (!g->mem)
        return false;
    ea.seg = -1;
    if (here && !(base < 0 && index < 0)) { /* 32 bits of a sum do not depend on more than 32 bits of its parts */
        if (g->opsize == 32 || ea.a32)
            emit_lea32(&t->e, (unsigned)d, base, index, ea.scale, (int32_t)ea.disp);
        else
            emit_lea(&t->e, (unsigned)d, base, index, ea.scale, (int32_t)ea.disp);
        gen_written(t, g->reg.num);
        return true;
    }
    gen_address(t, &ea, H_RCX, H_R9);
    move_sized(t, g->reg.num, H_RCX, g->opsize);
    if (t->cached2 >= 0 && t->cached2 != g->reg.num)
        emit_load(&t->e, H_R9, GS_GPR(t->cached2));
    return true;
}
bool gen_moffs(struct gen *t, const struct ginsn *g)
{
    static const uint8_t op[] = {0x8a, 0x8b, 0x88, 0x89};
    struct enc o = {.op = op[g->op & 3], .p66 = g->p66, .w = g->w};
    struct rm rm = gen_access(t, &g->ea, g->mem_size, g->mem_wr);
    gen_fault_here(t);
    emit_op(&t->e, &o, H_RAX, rm);
    return true;
}
