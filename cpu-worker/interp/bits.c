/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bit tests (BT BTS BTR BTC) and scans (BSF BSR TZCNT LZCNT POPCNT). A register bit index into memory reaches beyond the operand.
 */
#include "cpu-worker/interp/handlers.h"
#include "cpu-worker/interp/regs.h"

#define BT_REG(NAME, INSN, SFX, N, IDX, WRITE)                                                     \
    static OP(NAME)                                                                                \
    {                                                                                              \
        uint32_t f;                                                                                \
        T##N a = RD##N(o->dst), i = (T##N)(IDX);                                                   \
        __asm__(FL_LOAD INSN SFX " %[i],%[d]" FL_SAVE                                              \
                : [d] "+r"(a), "=&a"(f) : [i] "r"(i), "1"(c->fl) : "cc");                          \
        c->fl = (uint16_t)f;                                                                       \
        if (WRITE)                                                                                 \
            WR##N(o->dst, a);                                                                      \
        NEXT();                                                                                    \
    }
/* Address of the element that is `disp` bytes from the operand. A narrow address is cut off after the sum. */
static inline uint64_t element_ea(struct cpu *c, const struct op *o, unsigned size, bool write, int64_t disp)
{
    if (likely(!o->ea))
        return op_ea(c, o, size, write) + (uint64_t)disp;
    struct op at = *o;
    at.disp = (int32_t)(o->disp + disp);
    return cpu_ea_slow(c, &at, size, write);
}
#define BT_MEM(NAME, INSN, LOCK, SFX, N, ADDR, IDX, WRITE)                                         \
    static OP(NAME)                                                                                \
    {                                                                                              \
        uint32_t f;                                                                                \
        uint64_t ea = element_ea(c, o, N / 8, WRITE, ADDR);                                        \
        T##N i = (T##N)(IDX) & (N - 1), a;                                                         \
        T##N *p = WRITE ? mmu_ptr_rmw(c, o, ea, N / 8) : mmu_ptr_r(c, ea, N / 8);                  \
        if (likely(p)) {                                                                           \
            __asm__ volatile(FL_LOAD LOCK INSN SFX " %[i],%[d]" FL_SAVE                            \
                             : [d] "+m"(*p), "=&a"(f) : [i] "r"(i), "1"(c->fl) : "cc", "memory");  \
        } else {                                                                                   \
            if (WRITE)                                                                             \
                mmu_probe_write(c, o, ea, N / 8);                                                  \
            a = mmu_ld##N(c, o, ea);                                                               \
            __asm__(FL_LOAD INSN SFX " %[i],%[d]" FL_SAVE                                          \
                    : [d] "+r"(a), "=&a"(f) : [i] "r"(i), "1"(c->fl) : "cc");                      \
            if (WRITE) {                                                                           \
                mmu_st##N(c, o, ea, a);                                                            \
                mmu_rmw_end(c);                                                                    \
            }                                                                                      \
        }                                                                                          \
        c->fl = (uint16_t)f;                                                                       \
        NEXT();                                                                                    \
    }
/* Byte displacement of the element a signed register index selects. */
#define ELEM(N) ((int64_t)((S##N)RD##N(o->src) >> (N == 16 ? 4 : N == 32 ? 5 : 6)) * (N / 8))
#define BT_SIZE(NAME, INSN, LOCK, SFX, N, WRITE)                                                   \
    BT_REG(NAME##_rr##N, INSN, SFX, N, RD##N(o->src), WRITE)                                       \
    BT_REG(NAME##_ri##N, INSN, SFX, N, o->imm, WRITE)                                              \
    BT_MEM(NAME##_mr##N, INSN, LOCK, SFX, N, ELEM(N), RD##N(o->src), WRITE)                        \
    BT_MEM(NAME##_mi##N, INSN, LOCK, SFX, N, 0, o->imm, WRITE)
#define BT_OP(NAME, INSN, LOCK, WRITE)                                                             \
    BT_SIZE(NAME, INSN, LOCK, "w", 16, WRITE)                                                      \
    BT_SIZE(NAME, INSN, LOCK, "l", 32, WRITE)                                                      \
    BT_SIZE(NAME, INSN, LOCK, "q", 64, WRITE)
BT_OP(bt, "bt", "", 0)
BT_OP(bts, "bts", "lock ", 1)
BT_OP(btr, "btr", "lock ", 1)
BT_OP(btc, "btc", "lock ", 1)

#define ROW(N) {NULL, N##16, N##32, N##64}
#define BROW(N, K) {ROW(N##_##K##r), ROW(N##_##K##i)}
const op_fn bt_r_table[4][2][4] = {BROW(bt, r), BROW(bts, r), BROW(btr, r), BROW(btc, r)};
const op_fn bt_m_table[4][2][4] = {BROW(bt, m), BROW(bts, m), BROW(btr, m), BROW(btc, m)};

/* BSF and BSR leave the destination alone when the source is zero: it is loaded whole, and the host
 * decides. The destination is read and written as 64 bits for the 32-bit form's sake. */
#define SCAN_BODY(N, INSN, SFX, SRC)                                                               \
    {                                                                                              \
        uint32_t f;                                                                                \
        T##N b = (SRC);                                                                            \
        uint64_t d = c->gpr[o->dst];                                                               \
        __asm__(FL_LOAD INSN SFX FL_SAVE : [d] "+r"(d), "=&a"(f) : [s] "r"(b), "1"(c->fl) : "cc"); \
        c->fl = (uint16_t)f;                                                                       \
        c->gpr[o->dst] = d;                                                                        \
        NEXT();                                                                                    \
    }
#define SCAN_SIZE(NAME, INSN, SFX, N)                                                              \
    static OP(NAME##_r##N) SCAN_BODY(N, INSN, SFX, RD##N(o->src))                                  \
    static OP(NAME##_m##N) SCAN_BODY(N, INSN, SFX, mmu_ld##N(c, o, op_ea(c, o, N / 8, false)))
#define SCAN(NAME, INSN)                                                                           \
    SCAN_SIZE(NAME, INSN, "w %w[s],%w[d]", 16)                                                     \
    SCAN_SIZE(NAME, INSN, "l %k[s],%k[d]", 32)                                                     \
    SCAN_SIZE(NAME, INSN, "q %q[s],%q[d]", 64)
SCAN(bsf, "bsf")
SCAN(bsr, "bsr")
SCAN(tzcnt, "tzcnt")
SCAN(lzcnt, "lzcnt")
SCAN(popcnt, "popcnt")
#define SROWS(K) {ROW(bsf_##K), ROW(bsr_##K), ROW(tzcnt_##K), ROW(lzcnt_##K), ROW(popcnt_##K)}
const op_fn scan_r[5][4] = SROWS(r);
const op_fn scan_m[5][4] = SROWS(m);
