/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The encoder: Intel SDM volume 2, chapter 2. Owns how bytes of a host instruction are put together; must never
 * write outside the buffer it was given.
 */
#include "vmm/translator/emit.h"

#include <string.h>

void emit_bytes(struct emit *e, const void *p, unsigned n)
{
    if (e->full || e->room - e->n < n) {
        e->full = true;
        return;
    }
    memcpy(e->code + e->n, p, n);
    e->n += n;
}

static unsigned modrm_mem(uint8_t *b, unsigned reg, const struct rm *m)
{
    unsigned n = 0, base = m->base < 0 ? 5u : (unsigned)m->base & 7, mod;
    bool sib = m->base < 0 || m->index >= 0 || base == 4;
    if (m->base < 0)
        mod = 0;
    else if (!m->disp && base != 5)
        mod = 0;
    else
        mod = m->disp == (int8_t)m->disp ? 1 : 2;
    b[n++] = (uint8_t)(mod << 6 | (reg & 7) << 3 | (sib ? 4 : base));
    if (sib) {
        unsigned index = m->index < 0 ? 4u : (unsigned)m->index & 7;
        unsigned ss = m->scale == 8 ? 3 : m->scale == 4 ? 2 : m->scale == 2 ? 1 : 0;
        b[n++] = (uint8_t)(ss << 6 | index << 3 | base);
    }
    unsigned bytes = m->base < 0 || mod == 2 ? 4 : mod == 1 ? 1 : 0;
    memcpy(b + n, &m->disp, bytes);
    return n + bytes;
}
static unsigned rxb_of(unsigned reg, const struct rm *m)
{
    unsigned r = (reg & 8) ? 4 : 0;
    if (!m->mem)
        return r | (m->reg & 8 ? 1 : 0);
    return r | (m->index >= 8 ? 2 : 0) | (m->base >= 8 ? 1 : 0);
}
static unsigned head_legacy(uint8_t *b, const struct enc *o, unsigned rxb)
{
    unsigned n = 0;
    if (o->lock)
        b[n++] = 0xf0;
    if (o->p66)
        b[n++] = 0x66;
    if (o->rep)
        b[n++] = o->rep;
    if (rxb || o->w || o->rex)
        b[n++] = (uint8_t)(0x40 | o->w << 3 | rxb);
    if (o->map)
        b[n++] = 0x0f;
    if (o->map > 1)
        b[n++] = o->map == 2 ? 0x38 : 0x3a;
    return n;
}
static unsigned head_vex(uint8_t *b, const struct enc *o, unsigned rxb)
{
    b[0] = 0xc4;
    b[1] = (uint8_t)((~rxb & 7) << 5 | o->map);
    b[2] = (uint8_t)(o->w << 7 | (~o->vvvv & 15) << 3 | o->l << 2 | o->pp);
    return 3;
}
void emit_op(struct emit *e, const struct enc *o, unsigned reg, struct rm rm)
{
    uint8_t b[32];
    unsigned n = 0, rxb = rxb_of(reg, &rm);
    if (rm.mem && rm.gs)
        b[n++] = 0x65;
    n += o->vex ? head_vex(b + n, o, rxb) : head_legacy(b + n, o, rxb);
    b[n++] = o->op;
    if (rm.mem)
        n += modrm_mem(b + n, reg, &rm);
    else
        b[n++] = (uint8_t)(0xc0 | (reg & 7) << 3 | (rm.reg & 7));
    if (o->imm_len)
        memcpy(b + n, o->imm, o->imm_len);
    emit_bytes(e, b, n + o->imm_len);
}
void emit_op_short(struct emit *e, const struct enc *o, unsigned reg)
{
    uint8_t b[32];
    unsigned n = head_legacy(b, o, reg & 8 ? 1 : 0);
    b[n++] = (uint8_t)((o->op & 0xf8) | (reg & 7));
    if (o->imm_len)
        memcpy(b + n, o->imm, o->imm_len);
    emit_bytes(e, b, n + o->imm_len);
}

void emit_mov(struct emit *e, unsigned d, unsigned s)
{
    emit_op(e, &(struct enc){.op = 0x8b, .w = 1}, d, rm_reg(s));
}
void emit_mov32(struct emit *e, unsigned d, unsigned s)
{
    emit_op(e, &(struct enc){.op = 0x8b}, d, rm_reg(s));
}
void emit_imm32(struct emit *e, unsigned d, uint32_t v)
{
    emit_op_short(e, &(struct enc){.op = 0xb8, .imm = (const uint8_t *)&v, .imm_len = 4}, d);
}
void emit_imm(struct emit *e, unsigned d, uint64_t v)
{
    if (v >> 32)
        emit_op_short(e, &(struct enc){.op = 0xb8, .w = 1, .imm = (const uint8_t *)&v, .imm_len = 8}, d);
    else
        emit_imm32(e, d, (uint32_t)v);
}
void emit_load(struct emit *e, unsigned d, struct rm m)
{
    emit_op(e, &(struct enc){.op = 0x8b, .w = 1}, d, m);
}
void emit_load32(struct emit *e, unsigned d, struct rm m)
{
    emit_op(e, &(struct enc){.op = 0x8b}, d, m);
}
void emit_store(struct emit *e, struct rm m, unsigned s)
{
    emit_op(e, &(struct enc){.op = 0x89, .w = 1}, s, m);
}
void emit_lea(struct emit *e, unsigned d, int base, int index, unsigned scale, int32_t disp)
{
    if (base >= 0 && index < 0 && !disp) {
        if ((unsigned)base != d)
            emit_mov(e, d, (unsigned)base);
        return;
    }
    emit_op(e, &(struct enc){.op = 0x8d, .w = 1}, d, rm_mem(base, index, scale, disp));
}
void emit_lea32(struct emit *e, unsigned d, int base, int index, unsigned scale, int32_t disp)
{
    emit_op(e, &(struct enc){.op = 0x8d}, d, rm_mem(base, index, scale, disp));
}
void emit_pext(struct emit *e, unsigned d, unsigned s, struct rm mask)
{
    emit_op(e, &(struct enc){.vex = true, .map = 2, .op = 0xf5, .w = 1, .pp = 2, .vvvv = (uint8_t)s}, d, mask);
}
void emit_rorx(struct emit *e, unsigned d, unsigned s, unsigned count)
{
    uint8_t imm = (uint8_t)count;
    emit_op(e, &(struct enc){.vex = true, .map = 3, .op = 0xf0, .w = 1, .pp = 3, .imm = &imm, .imm_len = 1}, d, rm_reg(s));
}
void emit_jmp_rm(struct emit *e, struct rm m)
{
    emit_op(e, &(struct enc){.op = 0xff}, 4, m);
}
void emit_call_rm(struct emit *e, struct rm m)
{
    emit_op(e, &(struct enc){.op = 0xff}, 2, m);
}
static uint32_t branch(struct emit *e, const uint8_t *op, unsigned n, unsigned disp)
{
    uint8_t b[8] = {0};
    memcpy(b, op, n);
    emit_bytes(e, b, n + disp);
    return e->n - disp;
}
uint32_t emit_jmp(struct emit *e)
{
    return branch(e, (const uint8_t[]){0xe9}, 1, 4);
}
uint32_t emit_jcc(struct emit *e, unsigned cc)
{
    return branch(e, (const uint8_t[]){0x0f, (uint8_t)(0x80 | cc)}, 2, 4);
}
uint32_t emit_jrcxz(struct emit *e)
{
    return branch(e, (const uint8_t[]){0xe3}, 1, 1);
}
void emit_to(struct emit *e, uint32_t at, uint32_t target)
{
    uint32_t d = target - (at + 4);
    if (!e->full)
        memcpy(e->code + at, &d, 4);
}
void emit_here(struct emit *e, uint32_t at)
{
    emit_to(e, at, e->n);
}
void emit_here8(struct emit *e, uint32_t at)
{
    int32_t d = (int32_t)(e->n - (at + 1));
    if (d != (int8_t)d)
        e->full = true;
    if (!e->full)
        e->code[at] = (uint8_t)d;
}
