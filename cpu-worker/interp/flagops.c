/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Instructions that work on flags or on the accumulator alone: sign extensions, LAHF/SAHF, carry and
 * direction flags, decimal adjustments, BOUND, RDRAND.
 */
#include "cpu-worker/interp/decode.h"
#include "cpu-worker/interp/handlers.h"
#include "cpu-worker/interp/regs.h"

#define DF 0x400u

OP(op_cbw)
{
    WR16(REG_RAX, (T16)(S8)c->gpr[REG_RAX]);
    NEXT();
}
OP(op_cwde)
{
    WR32(REG_RAX, (T32)(S16)c->gpr[REG_RAX]);
    NEXT();
}
OP(op_cdqe)
{
    WR64(REG_RAX, (T64)(S32)c->gpr[REG_RAX]);
    NEXT();
}
OP(op_cwd)
{
    WR16(REG_RDX, (T16)((S16)c->gpr[REG_RAX] >> 15));
    NEXT();
}
OP(op_cdq)
{
    WR32(REG_RDX, (T32)((S32)c->gpr[REG_RAX] >> 31));
    NEXT();
}
OP(op_cqo)
{
    WR64(REG_RDX, (T64)((S64)c->gpr[REG_RAX] >> 63));
    NEXT();
}
OP(op_lahf)
{
    WR8(1, (uint8_t)(c->fl >> 8) | 2);
    NEXT();
}
OP(op_sahf)
{
    c->fl = (c->fl & FL_OF) | (RD8(1) & 0xd5u) << 8 | 0x200;
    NEXT();
}
OP(op_clc)
{
    c->fl &= ~FL_CF;
    NEXT();
}
OP(op_stc)
{
    c->fl |= FL_CF;
    NEXT();
}
OP(op_cmc)
{
    c->fl ^= FL_CF;
    NEXT();
}
OP(op_cld)
{
    c->eflags &= ~(uint64_t)DF;
    NEXT();
}
OP(op_std)
{
    c->eflags |= DF;
    NEXT();
}
OP(op_salc)
{
    WR8(0, c->fl & FL_CF ? 0xff : 0);
    NEXT();
}

/* Flags of a result byte: SF ZF PF as an OR with itself gives them. */
static uint32_t fl_of_byte(uint8_t v)
{
    uint32_t f;
    __asm__("orb %1,%1" FL_SAVE : "=&a"(f), "+q"(v) : : "cc");
    return (uint16_t)f & (FL_SF | FL_ZF | FL_PF | 0x200);
}
/* OF after DAA and DAS is undefined. 64-bit code cannot ask the host for it: Intel's processors clear it,
 * AMD's set it as the one addition or subtraction of both corrections would. */
static uint32_t adjust_overflow(uint8_t from, uint8_t to, bool subtract)
{
    uint8_t delta = subtract ? from - to : to - from;
    bool of = subtract ? (from ^ delta) & (from ^ to) & 0x80 : (from ^ to) & (delta ^ to) & 0x80;
    return host_is_amd && of ? FL_OF : 0;
}
static void adjust_decimal(struct cpu *c, bool subtract)
{
    uint8_t al = RD8(0), old = al;
    bool cf = c->fl & FL_CF, af = c->fl & FL_AF, ncf = false;
    if ((al & 0xf) > 9 || af) {
        ncf = cf || (subtract ? al < 6 : al > 0xf9);
        al = subtract ? al - 6 : al + 6;
        af = true;
    }
    if (old > 0x99 || cf) {
        al = subtract ? al - 0x60 : al + 0x60;
        ncf = true;
    }
    WR8(0, al);
    c->fl = fl_of_byte(al) | (ncf ? FL_CF : 0) | (af ? FL_AF : 0) | adjust_overflow(old, al, subtract);
}
OP(op_daa)
{
    adjust_decimal(c, false);
    NEXT();
}
OP(op_das)
{
    adjust_decimal(c, true);
    NEXT();
}
static void adjust_ascii(struct cpu *c, int delta)
{
    bool adj = (RD8(0) & 0xf) > 9 || (c->fl & FL_AF);
    uint16_t old = RD16(REG_RAX);
    if (adj)
        WR16(REG_RAX, (T16)(c->gpr[REG_RAX] + (delta > 0 ? 0x106 : -0x106)));
    uint32_t f = fl_of_byte(RD8(0));
    if (host_is_amd) /* OF, SF and ZF are undefined, and there those of all of AX */
        f = (f & ~(FL_SF | FL_ZF)) | (RD16(REG_RAX) & 0x8000 ? FL_SF : 0) | (RD16(REG_RAX) ? 0 : FL_ZF) |
            adjust_overflow((uint8_t)(old >> 8), RD8(1), delta < 0);
    WR8(0, RD8(0) & 0xf);
    c->fl = f | (adj ? FL_CF | FL_AF : 0);
}
OP(op_aaa)
{
    adjust_ascii(c, 1);
    NEXT();
}
OP(op_aas)
{
    adjust_ascii(c, -1);
    NEXT();
}
OP(op_aam)
{
    uint8_t base = (uint8_t)o->imm, al = RD8(0);
    if (!base)
        cpu_raise(c, o, VEC_DE);
    WR8(1, al / base);
    WR8(0, al % base);
    c->fl = fl_of_byte(RD8(0));
    NEXT();
}
OP(op_aad)
{
    uint8_t add = (uint8_t)(RD8(1) * (uint8_t)o->imm), al = RD8(0);
    uint32_t f;
    __asm__("addb %2,%0" FL_SAVE : "+q"(al), "=&a"(f) : "q"(add) : "cc");
    c->fl = (uint16_t)f;
    WR16(REG_RAX, al);
    NEXT();
}
OP(op_bound)
{
    unsigned n = o->aux / 8;
    struct op upper = *o;
    upper.disp += (int32_t)n;
    int64_t v = n == 2 ? (S16)RD16(o->dst) : (S32)RD32(o->dst);
    uint64_t ea = op_ea(c, o, n, false);
    int64_t lo = n == 2 ? (S16)mmu_ld16(c, o, ea) : (S32)mmu_ld32(c, o, ea);
    ea = op_ea(c, &upper, n, false);
    int64_t hi = n == 2 ? (S16)mmu_ld16(c, o, ea) : (S32)mmu_ld32(c, o, ea);
    if (v < lo || v > hi)
        cpu_raise(c, o, VEC_BR);
    NEXT();
}

/* Random numbers come from the host's own unit; CF reports success, the other flags are cleared. */
#define RANDOM(NAME, INSN)                                                                         \
    OP(NAME)                                                                                       \
    {                                                                                              \
        uint64_t v;                                                                                \
        uint8_t ok;                                                                                \
        __asm__ volatile(INSN " %0\n\tsetc %1" : "=r"(v), "=qm"(ok) : : "cc");                     \
        if (!ok)                                                                                   \
            v = 0;                                                                                 \
        if (o->aux == 16)                                                                          \
            WR16(o->dst, (T16)v);                                                                  \
        else                                                                                       \
            c->gpr[o->dst] = o->aux == 32 ? (T32)v : v;                                            \
        c->fl = 0x200 | (ok ? FL_CF : 0);                                                          \
        NEXT();                                                                                    \
    }
RANDOM(op_rdrand, "rdrand")
RANDOM(op_rdseed, "rdseed")
