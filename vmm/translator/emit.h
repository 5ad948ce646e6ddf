/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Host instruction bytes into a bounded buffer. Owns encoding (prefixes, REX, VEX, ModRM, SIB); must never
 * know what a guest is, and never writes past the buffer: it then only remembers that it was too small.
 */
#ifndef BULKHEAD_VMM_TRANSLATOR_EMIT_H
#define BULKHEAD_VMM_TRANSLATOR_EMIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { H_RAX, H_RCX, H_RDX, H_RBX, H_RSP, H_RBP, H_RSI, H_RDI, H_R8, H_R9, H_R10, H_R11, H_R12, H_R13, H_R14,
       H_R15 };

struct emit {
    uint8_t *code;
    uint32_t n, room;
    bool full;
};

/* Where a ModRM byte's r/m points: a register, or memory. */
struct rm {
    bool mem, gs;
    uint8_t reg;
    int8_t base, index; /* host registers; -1: none */
    uint8_t scale;      /* 1, 2, 4, 8 */
    int32_t disp;
};
static inline struct rm rm_reg(unsigned reg)
{
    return (struct rm){.reg = (uint8_t)reg};
}
static inline struct rm rm_mem(int base, int index, unsigned scale, int32_t disp)
{
    return (struct rm){.mem = true, .base = (int8_t)base, .index = (int8_t)index, .scale = (uint8_t)scale, .disp = disp};
}
static inline struct rm rm_gs(size_t off)
{
    return (struct rm){.mem = true, .gs = true, .base = -1, .index = -1, .scale = 1, .disp = (int32_t)off};
}
static inline struct rm rm_gsx(size_t off, unsigned index)
{ /* gs:[off + index * 8] */
    return (struct rm){.mem = true, .gs = true, .base = -1, .index = (int8_t)index, .scale = 8, .disp = (int32_t)off};
}

struct enc { /* an opcode and what goes around it */
    uint8_t p66, rep, lock; /* prefixes; rep: 0, F2H, F3H */
    uint8_t map, op, w;     /* map: 0 one byte, 1 0F, 2 0F38, 3 0F3A */
    bool rex;               /* a REX prefix even if it is empty: byte registers SPL to DIL */
    bool vex;
    uint8_t pp, l, vvvv;
    uint8_t imm_len;
    const uint8_t *imm;
};

void emit_bytes(struct emit *e, const void *p, unsigned n);
static inline void emit_8(struct emit *e, unsigned v)
{
    uint8_t b = (uint8_t)v;
    emit_bytes(e, &b, 1);
}
static inline void emit_32(struct emit *e, uint32_t v)
{
    emit_bytes(e, &v, 4);
}
/* An instruction with ModRM, and one whose register is in the opcode. */
void emit_op(struct emit *e, const struct enc *o, unsigned reg, struct rm rm);
void emit_op_short(struct emit *e, const struct enc *o, unsigned reg);

/* The few instructions the generator needs for itself; none of these changes flags. */
void emit_mov(struct emit *e, unsigned d, unsigned s);
void emit_mov32(struct emit *e, unsigned d, unsigned s);
void emit_imm32(struct emit *e, unsigned d, uint32_t v); /* zero-extended */
void emit_imm(struct emit *e, unsigned d, uint64_t v);
void emit_load(struct emit *e, unsigned d, struct rm m);
void emit_load32(struct emit *e, unsigned d, struct rm m);
void emit_store(struct emit *e, struct rm m, unsigned s);
void emit_lea(struct emit *e, unsigned d, int base, int index, unsigned scale, int32_t disp);
void emit_lea32(struct emit *e, unsigned d, int base, int index, unsigned scale, int32_t disp);
void emit_pext(struct emit *e, unsigned d, unsigned s, struct rm mask);
void emit_rorx(struct emit *e, unsigned d, unsigned s, unsigned count);
void emit_jmp_rm(struct emit *e, struct rm m);
void emit_call_rm(struct emit *e, struct rm m);
/* Branches; the result is where the displacement is, for emit_here or emit_to. */
uint32_t emit_jmp(struct emit *e);
uint32_t emit_jcc(struct emit *e, unsigned cc);
uint32_t emit_jrcxz(struct emit *e);
void emit_to(struct emit *e, uint32_t at, uint32_t target);  /* 32-bit displacement */
void emit_here(struct emit *e, uint32_t at);
void emit_here8(struct emit *e, uint32_t at);                /* 8-bit displacement */

#endif
