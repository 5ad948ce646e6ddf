/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shifts and rotates. The guest's flags are loaded before the host's instruction, because a rotate
 * changes only CF and OF and a zero count changes nothing. Owns these handlers; touches operands and
 * arithmetic flags only.
 */
#include "cpu-worker/interp/handlers.h"
#include "cpu-worker/interp/regs.h"

#define EXEC(INSN, a, cnt, f)                                                                      \
    __asm__(FL_LOAD INSN " %%cl,%[d]" FL_SAVE                                                      \
            : [d] "+r"(a), "=&a"(f)                                                                \
            : "c"(cnt), "1"(c->fl)                                                                 \
            : "cc")

#define MASK8  31
#define MASK16 31
#define MASK32 31
#define MASK64 63

/* With a zero count a 32-bit register form still zero-extends; the asm leaves flags unchanged then. */
#define SH_REG(NAME, INSN, N, COUNT)                                                               \
    static OP(NAME)                                                                                \
    {                                                                                              \
        uint32_t f;                                                                                \
        uint8_t n = (uint8_t)(COUNT);                                                              \
        T##N a = RD##N(o->dst);                                                                    \
        EXEC(INSN, a, n, f);                                                                       \
        c->fl = (uint16_t)f;                                                                       \
        WR##N(o->dst, a);                                                                          \
        NEXT();                                                                                    \
    }
#define SH_MEM(NAME, INSN, N, COUNT)                                                               \
    static OP(NAME)                                                                                \
    {                                                                                              \
        uint64_t ea = op_ea(c, o, N / 8, true);                                                    \
        uint32_t f;                                                                                \
        uint8_t n = (uint8_t)(COUNT);                                                              \
        mmu_probe_write(c, o, ea, N / 8);                                                          \
        T##N a = mmu_ld##N(c, o, ea);                                                              \
        EXEC(INSN, a, n, f);                                                                       \
        mmu_st##N(c, o, ea, a);                                                                    \
        c->fl = (uint16_t)f;                                                                       \
        NEXT();                                                                                    \
    }
#define SH_SIZE(NAME, INSN, SFX, N)                                                                \
    SH_REG(NAME##_ri##N, INSN SFX, N, o->imm)                                                      \
    SH_REG(NAME##_rc##N, INSN SFX, N, c->gpr[REG_RCX])                                             \
    SH_MEM(NAME##_mi##N, INSN SFX, N, o->imm)                                                      \
    SH_MEM(NAME##_mc##N, INSN SFX, N, c->gpr[REG_RCX])
#define SH_OP(NAME, INSN)                                                                          \
    SH_SIZE(NAME, INSN, "b", 8)                                                                    \
    SH_SIZE(NAME, INSN, "w", 16)                                                                   \
    SH_SIZE(NAME, INSN, "l", 32)                                                                   \
    SH_SIZE(NAME, INSN, "q", 64)

SH_OP(rol, "rol")
SH_OP(ror, "ror")
SH_OP(rcl, "rcl")
SH_OP(rcr, "rcr")
SH_OP(shl, "shl")
SH_OP(shr, "shr")
SH_OP(sar, "sar")

#define ROW(NAME, F) {NAME##_##F##8, NAME##_##F##16, NAME##_##F##32, NAME##_##F##64}
#define ROWS(NAME) {ROW(NAME, ri), ROW(NAME, rc), ROW(NAME, mi), ROW(NAME, mc)}
const op_fn shift_table[SH_N][4][4] = {
    [SH_ROL] = ROWS(rol), [SH_ROR] = ROWS(ror), [SH_RCL] = ROWS(rcl), [SH_RCR] = ROWS(rcr),
    [SH_SHL] = ROWS(shl), [SH_SHR] = ROWS(shr), [SH_SAR] = ROWS(sar),
};

/* SHLD and SHRD */
#define DEXEC(INSN, a, b, cnt, f)                                                                  \
    __asm__(FL_LOAD INSN " %%cl,%[s],%[d]" FL_SAVE                                                 \
            : [d] "+r"(a), "=&a"(f)                                                                \
            : [s] "r"(b), "c"(cnt), "1"(c->fl)                                                     \
            : "cc")
#define SHD_REG(NAME, INSN, N, COUNT)                                                              \
    static OP(NAME)                                                                                \
    {                                                                                              \
        uint32_t f;                                                                                \
        uint8_t n = (uint8_t)(COUNT);                                                              \
        T##N a = RD##N(o->dst), b = RD##N(o->src);                                                 \
        DEXEC(INSN, a, b, n, f);                                                                   \
        c->fl = (uint16_t)f;                                                                       \
        WR##N(o->dst, a);                                                                          \
        NEXT();                                                                                    \
    }
#define SHD_MEM(NAME, INSN, N, COUNT)                                                              \
    static OP(NAME)                                                                                \
    {                                                                                              \
        uint64_t ea = op_ea(c, o, N / 8, true);                                                    \
        uint32_t f;                                                                                \
        uint8_t n = (uint8_t)(COUNT);                                                              \
        mmu_probe_write(c, o, ea, N / 8);                                                          \
        T##N a = mmu_ld##N(c, o, ea), b = RD##N(o->src);                                           \
        DEXEC(INSN, a, b, n, f);                                                                   \
        mmu_st##N(c, o, ea, a);                                                                    \
        c->fl = (uint16_t)f;                                                                       \
        NEXT();                                                                                    \
    }
#define SHD_SIZE(NAME, INSN, SFX, N)                                                               \
    SHD_REG(NAME##_ri##N, INSN SFX, N, o->imm)                                                     \
    SHD_REG(NAME##_rc##N, INSN SFX, N, c->gpr[REG_RCX])                                            \
    SHD_MEM(NAME##_mi##N, INSN SFX, N, o->imm)                                                     \
    SHD_MEM(NAME##_mc##N, INSN SFX, N, c->gpr[REG_RCX])
#define SHD_OP(NAME, INSN) SHD_SIZE(NAME, INSN, "w", 16) SHD_SIZE(NAME, INSN, "l", 32) SHD_SIZE(NAME, INSN, "q", 64)

SHD_OP(shld, "shld")
SHD_OP(shrd, "shrd")

#define DROW(NAME, F) {NULL, NAME##_##F##16, NAME##_##F##32, NAME##_##F##64}
#define DROWS(NAME) {DROW(NAME, ri), DROW(NAME, rc), DROW(NAME, mi), DROW(NAME, mc)}
const op_fn shld_table[2][4][4] = {DROWS(shld), DROWS(shrd)};
