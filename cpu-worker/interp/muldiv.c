/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Multiplication and division. #DE is decided here before the host's instruction runs, so that the host
 * never traps. Owns these handlers.
 */
#include "cpu-worker/interp/handlers.h"
#include "cpu-worker/interp/regs.h"

/* Accumulator halves: 8-bit forms use AX, wider ones rDX:rAX. SF ZF AF PF are undefined after MUL and IMUL;
 * some hosts leave them alone, and the keep_ handlers, which load the guest's first, are for those only. */
#define MUL8(NAME, INSN, SRC)                                                                      \
    static OP(NAME)                                                                                \
    {                                                                                              \
        T8 s = (SRC);                                                                              \
        uint32_t ax = (T8)c->gpr[REG_RAX], f;                                                      \
        __asm__(INSN "b %2\n\tmovl %%eax,%0" FL_SAVE : "=&r"(ax), "=&a"(f) : "q"(s), "1"(ax) : "cc"); \
        c->fl = (uint16_t)f;                                                                       \
        WR16(REG_RAX, (T16)ax);                                                                    \
        NEXT();                                                                                    \
    }
#define MULN(NAME, INSN, SFX, N, SRC)                                                              \
    static OP(NAME)                                                                                \
    {                                                                                              \
        T##N s = (SRC), lo, hi;                                                                    \
        uint64_t f;                                                                                \
        __asm__(INSN SFX " %3\n\tmov %%rax,%%rcx" FL_SAVE                                          \
                : "=&a"(f), "=&d"(hi), "=&c"(lo)                                                   \
                : "r"(s), "0"((uint64_t)RD##N(REG_RAX))                                            \
                : "cc");                                                                           \
        c->fl = (uint16_t)f;                                                                       \
        WR##N(REG_RAX, lo);                                                                        \
        WR##N(REG_RDX, hi);                                                                        \
        NEXT();                                                                                    \
    }
#define MUL8K(NAME, INSN, SRC)                                                                     \
    static OP(NAME)                                                                                \
    {                                                                                              \
        T8 s = (SRC);                                                                              \
        uint32_t ax = (T8)c->gpr[REG_RAX], f;                                                      \
        __asm__(FL_LOAD "movl %0,%%eax\n\t" INSN "b %2\n\tmovl %%eax,%0" FL_SAVE                   \
                : "+&r"(ax), "=&a"(f) : "q"(s), "1"(c->fl) : "cc");                                \
        c->fl = (uint16_t)f;                                                                       \
        WR16(REG_RAX, (T16)ax);                                                                    \
        NEXT();                                                                                    \
    }
#define MULNK(NAME, INSN, SFX, N, SRC)                                                             \
    static OP(NAME)                                                                                \
    {                                                                                              \
        T##N s = (SRC), hi;                                                                        \
        uint64_t f, lo = RD##N(REG_RAX);                                                           \
        __asm__(FL_LOAD "mov %2,%%rax\n\t" INSN SFX " %3\n\tmov %%rax,%%rcx" FL_SAVE              \
                : "=&a"(f), "=&d"(hi), "+&c"(lo) : "r"(s), "0"((uint64_t)c->fl) : "cc");           \
        c->fl = (uint16_t)f;                                                                       \
        WR##N(REG_RAX, (T##N)lo);                                                                  \
        WR##N(REG_RDX, hi);                                                                        \
        NEXT();                                                                                    \
    }
#define LD(N) mmu_ld##N(c, o, op_ea(c, o, N / 8, false))
#define MUL_OP(NAME, M8, MN, INSN)                                                                 \
    M8(NAME##_r8, INSN, RD8(o->src))                                                               \
    M8(NAME##_m8, INSN, LD(8))                                                                     \
    MN(NAME##_r16, INSN, "w", 16, RD16(o->src))                                                    \
    MN(NAME##_m16, INSN, "w", 16, LD(16))                                                          \
    MN(NAME##_r32, INSN, "l", 32, RD32(o->src))                                                    \
    MN(NAME##_m32, INSN, "l", 32, LD(32))                                                          \
    MN(NAME##_r64, INSN, "q", 64, RD64(o->src))                                                    \
    MN(NAME##_m64, INSN, "q", 64, LD(64))
MUL_OP(mul, MUL8, MULN, "mul")
MUL_OP(imul, MUL8, MULN, "imul")
MUL_OP(keep_mul, MUL8K, MULNK, "mul")
MUL_OP(keep_imul, MUL8K, MULNK, "imul")

/* Quotient overflow tests. Unsigned: high half >= divisor. Signed: by wider arithmetic. */
typedef unsigned __int128 u128;
typedef __int128 s128;

static bool idiv_overflows(s128 num, int64_t den, unsigned bits)
{
    if (den == 0)
        return true;
    s128 lim = (s128)1 << (bits - 1);
    if (den == -1) /* the 128-bit minimum cannot be negated */
        return num <= -lim || num > lim;
    s128 q = num / den;
    return q >= lim || q < -lim;
}

#define DIV8(NAME, INSN, SRC, CHECK)                                                               \
    static OP(NAME)                                                                                \
    {                                                                                              \
        T8 s = (SRC);                                                                              \
        T16 ax = RD16(REG_RAX);                                                                    \
        uint32_t r, f;                                                                             \
        if (CHECK)                                                                                 \
            cpu_raise(c, o, VEC_DE);                                                               \
        __asm__("movl %3,%%eax\n\t" FL_LOAD "movl %4,%%eax\n\t" INSN "b %2\n\tmovl %%eax,%0" FL_SAVE \
                : "=&r"(r), "=&a"(f)                                                               \
                : "q"(s), "r"(c->fl), "r"((uint32_t)ax)                                            \
                : "cc");                                                                           \
        c->fl = (uint16_t)f;                                                                       \
        WR16(REG_RAX, (T16)r);                                                                     \
        NEXT();                                                                                    \
    }
#define DIVN(NAME, INSN, SFX, N, SRC, CHECK)                                                       \
    static OP(NAME)                                                                                \
    {                                                                                              \
        T##N s = (SRC), a = RD##N(REG_RAX), d = RD##N(REG_RDX), q;                                 \
        uint64_t f;                                                                                \
        if (CHECK)                                                                                 \
            cpu_raise(c, o, VEC_DE);                                                               \
        __asm__("mov %5,%%rax\n\t" FL_LOAD "mov %4,%%rax\n\t" INSN SFX " %3\n\tmov %%rax,%%rcx" FL_SAVE \
                : "=&a"(f), "+&d"(d), "=&c"(q)                                                     \
                : "r"(s), "r"((uint64_t)a), "r"((uint64_t)c->fl)                                   \
                : "cc");                                                                           \
        c->fl = (uint16_t)f;                                                                       \
        WR##N(REG_RAX, q);                                                                         \
        WR##N(REG_RDX, d);                                                                         \
        NEXT();                                                                                    \
    }
#define DIV_OP(NAME, INSN, CHECK8, CHECK)                                                          \
    DIV8(NAME##_r8, INSN, RD8(o->src), CHECK8)                                                     \
    DIV8(NAME##_m8, INSN, LD(8), CHECK8)                                                           \
    DIVN(NAME##_r16, INSN, "w", 16, RD16(o->src), CHECK(16))                                       \
    DIVN(NAME##_m16, INSN, "w", 16, LD(16), CHECK(16))                                             \
    DIVN(NAME##_r32, INSN, "l", 32, RD32(o->src), CHECK(32))                                       \
    DIVN(NAME##_m32, INSN, "l", 32, LD(32), CHECK(32))                                             \
    DIVN(NAME##_r64, INSN, "q", 64, RD64(o->src), CHECK(64))                                       \
    DIVN(NAME##_m64, INSN, "q", 64, LD(64), CHECK(64))
#define UCHECK(N) (d >= s)
#define SCHECK(N) idiv_overflows((s128)(((u128)(s128)(S##N)d << N) | a), (S##N)s, N)
DIV_OP(div, "div", (ax >> 8) >= s, UCHECK)
DIV_OP(idiv, "idiv", idiv_overflows((S16)ax, (S8)s, 8), SCHECK)

#define ROW(N) {N##8, N##16, N##32, N##64}
const op_fn mul_r[2][4][4] = {{ROW(mul_r), ROW(imul_r), ROW(div_r), ROW(idiv_r)},
                              {ROW(keep_mul_r), ROW(keep_imul_r), ROW(div_r), ROW(idiv_r)}};
const op_fn mul_m[2][4][4] = {{ROW(mul_m), ROW(imul_m), ROW(div_m), ROW(idiv_m)},
                              {ROW(keep_mul_m), ROW(keep_imul_m), ROW(div_m), ROW(idiv_m)}};

/* IMUL r, r/m and IMUL r, r/m, imm */
#define IMUL2(NAME, PRE, SFX, N, A, B)                                                             \
    static OP(NAME)                                                                                \
    {                                                                                              \
        T##N b = (B), a = (T##N)(A);                                                               \
        uint32_t f;                                                                                \
        __asm__(PRE "imul" SFX " %2,%0" FL_SAVE : "+&r"(a), "=&a"(f) : "r"(b), "1"(c->fl) : "cc"); \
        c->fl = (uint16_t)f;                                                                       \
        WR##N(o->dst, a);                                                                          \
        NEXT();                                                                                    \
    }
#define IMULS(NAME, PRE, SFX, N)                                                                   \
    IMUL2(NAME##2_rr##N, PRE, SFX, N, RD##N(o->dst), RD##N(o->src))                                \
    IMUL2(NAME##2_rm##N, PRE, SFX, N, RD##N(o->dst), LD(N))                                        \
    IMUL2(NAME##3_rr##N, PRE, SFX, N, o->imm, RD##N(o->src))                                       \
    IMUL2(NAME##3_rm##N, PRE, SFX, N, o->imm, LD(N))
IMULS(imul, "", "w", 16)
IMULS(imul, "", "l", 32)
IMULS(imul, "", "q", 64)
IMULS(keep_imul, FL_LOAD, "w", 16)
IMULS(keep_imul, FL_LOAD, "l", 32)
IMULS(keep_imul, FL_LOAD, "q", 64)
#define ROW3(N) {{NULL, N##16, N##32, N##64}, {NULL, keep_##N##16, keep_##N##32, keep_##N##64}}
const op_fn imul2_rr[2][4] = ROW3(imul2_rr), imul2_rm[2][4] = ROW3(imul2_rm), imul3_rr[2][4] = ROW3(imul3_rr),
            imul3_rm[2][4] = ROW3(imul3_rm);
