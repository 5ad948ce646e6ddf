/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two-operand arithmetic and logic (ADD OR ADC SBB AND SUB XOR CMP TEST) and the unary INC DEC NEG
 * NOT, executed by the host's own instruction. Owns these handlers; must never touch anything but
 * the operands and the arithmetic flags.
 */
#include "cpu-worker/interp/handlers.h"
#include "cpu-worker/interp/regs.h"

#define CARRY_IN "btl $8,%[cin]\n\t" /* CF of cpu->fl is bit 8 */

/* a op= b with flags into f. PRE is CARRY_IN for ADC and SBB. */
#define EXEC(PRE, INSN, a, b, f)                                                                   \
    __asm__(PRE INSN " %[s],%[d]" FL_SAVE                                                          \
            : [d] "+r"(a), "=&a"(f)                                                                \
            : [s] "r"(b), [cin] "r"(c->fl)                                                         \
            : "cc")
#define EXEC_MEM(LOCK, PRE, INSN, T, p, b, f)                                                      \
    __asm__ volatile(PRE LOCK INSN " %[s],%[d]" FL_SAVE                                            \
                     : [d] "+m"(*(T *)(p)), "=&a"(f)                                               \
                     : [s] "r"(b), [cin] "r"(c->fl)                                                \
                     : "cc", "memory")

#define RMW(NAME, LOCK, PRE, INSN, N, SRC)                                                         \
    static OP(NAME)                                                                                \
    {                                                                                              \
        uint64_t ea = op_ea(c, o, N / 8, true);                                                    \
        uint32_t f;                                                                                \
        T##N b = (T##N)(SRC);                                                                      \
        void *p = sizeof(LOCK) > 1 ? mmu_ptr_rmw(c, o, ea, N / 8) : mmu_ptr_w(c, ea, N / 8);       \
        if (likely(p)) {                                                                           \
            EXEC_MEM(LOCK, PRE, INSN, T##N, p, b, f);                                              \
        } else {                                                                                   \
            mmu_probe_write(c, o, ea, N / 8);                                                      \
            T##N a = mmu_ld##N(c, o, ea);                                                          \
            EXEC(PRE, INSN, a, b, f);                                                              \
            mmu_st##N(c, o, ea, a);                                                                \
            if (sizeof(LOCK) > 1)                                                                  \
                mmu_rmw_end(c);                                                                    \
        }                                                                                          \
        c->fl = (uint16_t)f;                                                                       \
        NEXT();                                                                                    \
    }

#define ALU_SIZE(NAME, PRE, INSN, SFX, N)                                                          \
    static OP(NAME##_rr##N)                                                                        \
    {                                                                                              \
        uint32_t f;                                                                                \
        T##N a = RD##N(o->dst), b = RD##N(o->src);                                                 \
        EXEC(PRE, INSN SFX, a, b, f);                                                              \
        c->fl = (uint16_t)f;                                                                       \
        WR##N(o->dst, a);                                                                          \
        NEXT();                                                                                    \
    }                                                                                              \
    static OP(NAME##_ri##N)                                                                        \
    {                                                                                              \
        uint32_t f;                                                                                \
        T##N a = RD##N(o->dst), b = (T##N)o->imm;                                                  \
        EXEC(PRE, INSN SFX, a, b, f);                                                              \
        c->fl = (uint16_t)f;                                                                       \
        WR##N(o->dst, a);                                                                          \
        NEXT();                                                                                    \
    }                                                                                              \
    static OP(NAME##_rm##N)                                                                        \
    {                                                                                              \
        uint32_t f;                                                                                \
        T##N b = mmu_ld##N(c, o, op_ea(c, o, N / 8, false));                                       \
        T##N a = RD##N(o->dst);                                                                    \
        EXEC(PRE, INSN SFX, a, b, f);                                                              \
        c->fl = (uint16_t)f;                                                                       \
        WR##N(o->dst, a);                                                                          \
        NEXT();                                                                                    \
    }                                                                                              \
    RMW(NAME##_mr##N, "", PRE, INSN SFX, N, RD##N(o->src))                                         \
    RMW(NAME##_mi##N, "", PRE, INSN SFX, N, o->imm)                                                \
    RMW(NAME##_lmr##N, "lock ", PRE, INSN SFX, N, RD##N(o->src))                                   \
    RMW(NAME##_lmi##N, "lock ", PRE, INSN SFX, N, o->imm)

#define ALU_OP(NAME, PRE, INSN)                                                                    \
    ALU_SIZE(NAME, PRE, INSN, "b", 8)                                                              \
    ALU_SIZE(NAME, PRE, INSN, "w", 16)                                                             \
    ALU_SIZE(NAME, PRE, INSN, "l", 32)                                                             \
    ALU_SIZE(NAME, PRE, INSN, "q", 64)

ALU_OP(add, "", "add")
ALU_OP(or, "", "or")
ALU_OP(adc, CARRY_IN, "adc")
ALU_OP(sbb, CARRY_IN, "sbb")
ALU_OP(and, "", "and")
ALU_OP(sub, "", "sub")
ALU_OP(xor, "", "xor")

/* CMP and TEST write no destination: memory operands need no write permission. */
#define CMP_BODY(NAME, INSN, T, A, B)                                                              \
    static OP(NAME)                                                                                \
    {                                                                                              \
        uint32_t f;                                                                                \
        T a = (T)(A), b = (T)(B);                                                                  \
        __asm__(INSN " %[s],%[d]" FL_SAVE : "=&a"(f) : [d] "r"(a), [s] "r"(b) : "cc");             \
        c->fl = (uint16_t)f;                                                                       \
        NEXT();                                                                                    \
    }
#define LOADED(N) mmu_ld##N(c, o, op_ea(c, o, N / 8, false))
#define CMP_SIZE(NAME, INSN, SFX, N)                                                               \
    CMP_BODY(NAME##_rr##N, INSN SFX, T##N, RD##N(o->dst), RD##N(o->src))                           \
    CMP_BODY(NAME##_ri##N, INSN SFX, T##N, RD##N(o->dst), o->imm)                                  \
    CMP_BODY(NAME##_rm##N, INSN SFX, T##N, RD##N(o->dst), LOADED(N))                               \
    CMP_BODY(NAME##_mr##N, INSN SFX, T##N, LOADED(N), RD##N(o->src))                               \
    CMP_BODY(NAME##_mi##N, INSN SFX, T##N, LOADED(N), o->imm)
#define CMP_OP(NAME, INSN)                                                                         \
    CMP_SIZE(NAME, INSN, "b", 8)                                                                   \
    CMP_SIZE(NAME, INSN, "w", 16)                                                                  \
    CMP_SIZE(NAME, INSN, "l", 32)                                                                  \
    CMP_SIZE(NAME, INSN, "q", 64)

CMP_OP(cmp, "cmp")
CMP_OP(test, "test")

#define ROW(NAME, F) {NAME##_##F##8, NAME##_##F##16, NAME##_##F##32, NAME##_##F##64}
#define ROWS(NAME)                                                                                 \
    {ROW(NAME, rr), ROW(NAME, ri), ROW(NAME, rm), ROW(NAME, mr), ROW(NAME, mi), ROW(NAME, lmr),    \
     ROW(NAME, lmi)}
#define ROWS_CMP(NAME)                                                                             \
    {ROW(NAME, rr), ROW(NAME, ri), ROW(NAME, rm), ROW(NAME, mr), ROW(NAME, mi)}

const op_fn alu_table[ALU_N][FORM_N][4] = {
    [ALU_ADD] = ROWS(add), [ALU_OR] = ROWS(or),   [ALU_ADC] = ROWS(adc),
    [ALU_SBB] = ROWS(sbb), [ALU_AND] = ROWS(and), [ALU_SUB] = ROWS(sub),
    [ALU_XOR] = ROWS(xor), [ALU_CMP] = ROWS_CMP(cmp), [ALU_TEST] = ROWS_CMP(test),
};

/* INC and DEC keep CF: it is loaded first, and the host's instruction leaves it alone. NOT writes no
 * flags: all are loaded first and saved again unchanged. */
#define UN_EXEC(PRE, INSN, a, f)                                                                   \
    __asm__(PRE INSN " %[d]" FL_SAVE : [d] "+r"(a), "=&a"(f) : [cin] "r"(c->fl), "1"(c->fl) : "cc")
#define UN_MEM(LOCK, PRE, INSN, T, p, f)                                                           \
    __asm__ volatile(PRE LOCK INSN " %[d]" FL_SAVE                                                 \
                     : [d] "+m"(*(T *)(p)), "=&a"(f)                                               \
                     : [cin] "r"(c->fl), "1"(c->fl)                                                \
                     : "cc", "memory")
#define UN_M(NAME, LOCK, PRE, INSN, N)                                                             \
    static OP(NAME)                                                                                \
    {                                                                                              \
        uint64_t ea = op_ea(c, o, N / 8, true);                                                    \
        uint32_t f;                                                                                \
        void *p = sizeof(LOCK) > 1 ? mmu_ptr_rmw(c, o, ea, N / 8) : mmu_ptr_w(c, ea, N / 8);       \
        if (likely(p)) {                                                                           \
            UN_MEM(LOCK, PRE, INSN, T##N, p, f);                                                   \
        } else {                                                                                   \
            mmu_probe_write(c, o, ea, N / 8);                                                      \
            T##N a = mmu_ld##N(c, o, ea);                                                          \
            UN_EXEC(PRE, INSN, a, f);                                                              \
            mmu_st##N(c, o, ea, a);                                                                \
            if (sizeof(LOCK) > 1)                                                                  \
                mmu_rmw_end(c);                                                                    \
        }                                                                                          \
        c->fl = (uint16_t)f;                                                                       \
        NEXT();                                                                                    \
    }
#define UN_SIZE(NAME, PRE, INSN, SFX, N)                                                           \
    static OP(NAME##_r##N)                                                                         \
    {                                                                                              \
        uint32_t f;                                                                                \
        T##N a = RD##N(o->dst);                                                                    \
        UN_EXEC(PRE, INSN SFX, a, f);                                                              \
        c->fl = (uint16_t)f;                                                                       \
        WR##N(o->dst, a);                                                                          \
        NEXT();                                                                                    \
    }                                                                                              \
    UN_M(NAME##_m##N, "", PRE, INSN SFX, N)                                                        \
    UN_M(NAME##_l##N, "lock ", PRE, INSN SFX, N)
#define UN_OP(NAME, PRE, INSN)                                                                     \
    UN_SIZE(NAME, PRE, INSN, "b", 8)                                                               \
    UN_SIZE(NAME, PRE, INSN, "w", 16)                                                              \
    UN_SIZE(NAME, PRE, INSN, "l", 32)                                                              \
    UN_SIZE(NAME, PRE, INSN, "q", 64)

UN_OP(inc, CARRY_IN, "inc")
UN_OP(dec, CARRY_IN, "dec")
UN_OP(neg, "", "neg")
UN_OP(not, FL_LOAD, "not")

#define UROWS(NAME) {ROW(NAME, r), ROW(NAME, m), ROW(NAME, l)}
const op_fn unary_table[UN_N][3][4] = {
    [UN_INC] = UROWS(inc), [UN_DEC] = UROWS(dec), [UN_NEG] = UROWS(neg), [UN_NOT] = UROWS(not)};
