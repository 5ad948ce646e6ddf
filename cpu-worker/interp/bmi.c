/* SPDX-License-Identifier: Apache-2.0 */
/*
 * BMI1, BMI2 and ADX on general registers, by the host's own instructions. Owns these handlers; touches
 * operands and arithmetic flags only. dst = destination, src = register of r/m, aux = the other source
 * (VEX.vvvv), for MULX the second destination.
 */
#include "cpu-worker/interp/handlers.h"
#include "cpu-worker/interp/regs.h"

#define LD(N) mmu_ld##N(c, o, op_ea(c, o, N / 8, false))
#define OTHER(N) RD##N(o->aux)

/* Flags that the manual leaves undefined are what the host makes of the guest's. */
#define FLAGS3(NAME, INSN, N, LAST, FIRST)                                                         \
    static OP(NAME)                                                                                \
    {                                                                                              \
        uint32_t f;                                                                                \
        T##N last = (LAST), first = (FIRST), d;                                                    \
        __asm__(FL_LOAD INSN " %[l],%[f],%[d]" FL_SAVE                                             \
                : [d] "=&r"(d), "=&a"(f) : [l] "r"(last), [f] "r"(first), "1"(c->fl) : "cc");      \
        c->fl = (uint16_t)f;                                                                       \
        WR##N(o->dst, d);                                                                          \
        NEXT();                                                                                    \
    }
#define PLAIN3(NAME, INSN, N, LAST, FIRST)                                                         \
    static OP(NAME)                                                                                \
    {                                                                                              \
        T##N last = (LAST), first = (FIRST), d;                                                    \
        __asm__(INSN " %[l],%[f],%[d]" : [d] "=r"(d) : [l] "r"(last), [f] "r"(first));             \
        WR##N(o->dst, d);                                                                          \
        NEXT();                                                                                    \
    }
#define FLAGS2(NAME, INSN, N, SRC)                                                                 \
    static OP(NAME)                                                                                \
    {                                                                                              \
        uint32_t f;                                                                                \
        T##N s = (SRC), d;                                                                         \
        __asm__(FL_LOAD INSN " %[s],%[d]" FL_SAVE                                                  \
                : [d] "=&r"(d), "=&a"(f) : [s] "r"(s), "1"(c->fl) : "cc");                         \
        c->fl = (uint16_t)f;                                                                       \
        WR##N(o->dst, d);                                                                          \
        NEXT();                                                                                    \
    }
#define ADDX(NAME, INSN, N, SRC)                                                                   \
    static OP(NAME)                                                                                \
    {                                                                                              \
        uint32_t f;                                                                                \
        T##N s = (SRC), d = RD##N(o->dst);                                                         \
        __asm__(FL_LOAD INSN " %[s],%[d]" FL_SAVE                                                  \
                : [d] "+&r"(d), "=&a"(f) : [s] "r"(s), "1"(c->fl) : "cc");                         \
        c->fl = (uint16_t)f;                                                                       \
        WR##N(o->dst, d);                                                                          \
        NEXT();                                                                                    \
    }
#define MULX(NAME, WIDE, N, SRC)                                                                   \
    static OP(NAME)                                                                                \
    {                                                                                              \
        WIDE p = (WIDE)RD##N(REG_RDX) * (SRC);                                                     \
        WR##N(o->aux, (T##N)p);                                                                    \
        WR##N(o->dst, (T##N)(p >> N)); /* the same register twice: the high half stays */          \
        NEXT();                                                                                    \
    }
#define RORX(NAME, N, SRC)                                                                         \
    static OP(NAME)                                                                                \
    {                                                                                              \
        T##N s = (SRC);                                                                            \
        unsigned n = o->imm & (N - 1);                                                             \
        WR##N(o->dst, (T##N)(s >> n | s << (-n & (N - 1))));                                       \
        NEXT();                                                                                    \
    }

/* r/m is the last operand, or the middle one. */
#define RM_LAST(KIND, NAME, INSN)                                                                  \
    KIND(NAME##_r32, INSN, 32, RD32(o->src), OTHER(32))                                            \
    KIND(NAME##_m32, INSN, 32, LD(32), OTHER(32))                                                  \
    KIND(NAME##_r64, INSN, 64, RD64(o->src), OTHER(64))                                            \
    KIND(NAME##_m64, INSN, 64, LD(64), OTHER(64))
#define RM_FIRST(KIND, NAME, INSN)                                                                 \
    KIND(NAME##_r32, INSN, 32, OTHER(32), RD32(o->src))                                            \
    KIND(NAME##_m32, INSN, 32, OTHER(32), LD(32))                                                  \
    KIND(NAME##_r64, INSN, 64, OTHER(64), RD64(o->src))                                            \
    KIND(NAME##_m64, INSN, 64, OTHER(64), LD(64))
#define RM_ONLY(KIND, NAME, INSN)                                                                  \
    KIND(NAME##_r32, INSN, 32, RD32(o->src))                                                       \
    KIND(NAME##_m32, INSN, 32, LD(32))                                                             \
    KIND(NAME##_r64, INSN, 64, RD64(o->src))                                                       \
    KIND(NAME##_m64, INSN, 64, LD(64))

RM_LAST(FLAGS3, andn, "andn")
RM_FIRST(FLAGS3, bextr, "bextr")
RM_ONLY(FLAGS2, blsi, "blsi")
RM_ONLY(FLAGS2, blsmsk, "blsmsk")
RM_ONLY(FLAGS2, blsr, "blsr")
RM_FIRST(FLAGS3, bzhi, "bzhi")
RM_LAST(PLAIN3, pdep, "pdep")
RM_LAST(PLAIN3, pext, "pext")
RM_FIRST(PLAIN3, sarx, "sarx")
RM_FIRST(PLAIN3, shlx, "shlx")
RM_FIRST(PLAIN3, shrx, "shrx")
RM_ONLY(ADDX, adcx, "adcx")
RM_ONLY(ADDX, adox, "adox")
MULX(mulx_r32, uint64_t, 32, RD32(o->src))
MULX(mulx_m32, uint64_t, 32, LD(32))
MULX(mulx_r64, unsigned __int128, 64, RD64(o->src))
MULX(mulx_m64, unsigned __int128, 64, LD(64))
RORX(rorx_r32, 32, RD32(o->src))
RORX(rorx_m32, 32, LD(32))
RORX(rorx_r64, 64, RD64(o->src))
RORX(rorx_m64, 64, LD(64))

#define ROW(NAME) {{NAME##_r32, NAME##_r64}, {NAME##_m32, NAME##_m64}}
const op_fn bmi_table[BMI_N][2][2] = {
    [BMI_ANDN] = ROW(andn), [BMI_BEXTR] = ROW(bextr), [BMI_BLSI] = ROW(blsi),
    [BMI_BLSMSK] = ROW(blsmsk), [BMI_BLSR] = ROW(blsr), [BMI_BZHI] = ROW(bzhi),
    [BMI_PDEP] = ROW(pdep), [BMI_PEXT] = ROW(pext), [BMI_SARX] = ROW(sarx), [BMI_SHLX] = ROW(shlx),
    [BMI_SHRX] = ROW(shrx), [BMI_ADCX] = ROW(adcx), [BMI_ADOX] = ROW(adox), [BMI_MULX] = ROW(mulx),
    [BMI_RORX] = ROW(rorx),
};
