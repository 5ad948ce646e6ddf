/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Data movement between general registers and memory: MOV MOVZX MOVSX LEA CMOV SETcc XCHG XADD CMPXCHG
 * BSWAP MOVBE XLAT. Owns these handlers. Memory forms of the exchanging instructions are atomic with
 * the host's LOCK.
 */
#include "cpu-worker/interp/handlers.h"
#include "cpu-worker/interp/stack.h"

#define ROW4(N) {N##8, N##16, N##32, N##64}
#define ROW3(N) {NULL, N##16, N##32, N##64}
#define EACH4(M) M(8) M(16) M(32) M(64)
#define EACH3(M) M(16) M(32) M(64)

#define MOVS(N)                                                                                    \
    static OP(mov_rr##N)                                                                           \
    {                                                                                              \
        WR##N(o->dst, RD##N(o->src));                                                              \
        NEXT();                                                                                    \
    }                                                                                              \
    static OP(mov_ri##N)                                                                           \
    {                                                                                              \
        WR##N(o->dst, (T##N)o->imm);                                                               \
        NEXT();                                                                                    \
    }                                                                                              \
    static OP(mov_rm##N)                                                                           \
    {                                                                                              \
        WR##N(o->dst, mmu_ld##N(c, o, op_ea(c, o, N / 8, false)));                                 \
        NEXT();                                                                                    \
    }                                                                                              \
    static OP(mov_mr##N)                                                                           \
    {                                                                                              \
        mmu_st##N(c, o, op_ea(c, o, N / 8, true), RD##N(o->src));                                  \
        NEXT();                                                                                    \
    }                                                                                              \
    static OP(mov_mi##N)                                                                           \
    {                                                                                              \
        mmu_st##N(c, o, op_ea(c, o, N / 8, true), (T##N)o->imm);                                   \
        NEXT();                                                                                    \
    }
EACH4(MOVS)
const op_fn mov_rr[4] = ROW4(mov_rr), mov_ri[4] = ROW4(mov_ri), mov_rm[4] = ROW4(mov_rm),
            mov_mr[4] = ROW4(mov_mr), mov_mi[4] = ROW4(mov_mi);

/* src = register (8-bit: byte offset), F = source size, N = destination size */
#define EXT(NAME, CAST, F, N)                                                                      \
    static OP(NAME##_r##F##_##N)                                                                   \
    {                                                                                              \
        WR##N(o->dst, (T##N)(CAST)RD##F(o->src));                                                  \
        NEXT();                                                                                    \
    }                                                                                              \
    static OP(NAME##_m##F##_##N)                                                                   \
    {                                                                                              \
        WR##N(o->dst, (T##N)(CAST)mmu_ld##F(c, o, op_ea(c, o, F / 8, false)));                     \
        NEXT();                                                                                    \
    }
#define EXTS(F) EXT(movzx, T##F, F, 16) EXT(movzx, T##F, F, 32) EXT(movzx, T##F, F, 64)            \
    EXT(movsx, S##F, F, 16) EXT(movsx, S##F, F, 32) EXT(movsx, S##F, F, 64)
EXTS(8)
EXTS(16)
EXT(movsx, S32, 32, 16)
EXT(movsx, S32, 32, 32)
EXT(movsx, S32, 32, 64)
#define EROW(N, K, F) {NULL, N##_##K##F##_16, N##_##K##F##_32, N##_##K##F##_64}
const op_fn movzx_r[2][4] = {EROW(movzx, r, 8), EROW(movzx, r, 16)};
const op_fn movzx_m[2][4] = {EROW(movzx, m, 8), EROW(movzx, m, 16)};
const op_fn movsx_r[3][4] = {EROW(movsx, r, 8), EROW(movsx, r, 16), EROW(movsx, r, 32)};
const op_fn movsx_m[3][4] = {EROW(movsx, m, 8), EROW(movsx, m, 16), EROW(movsx, m, 32)};

/* MOV between the accumulator and a 64-bit absolute address (aux = bytes) */
OP(op_movabs_ld)
{
    uint64_t v = mem_load(c, o, o->imm + c->segbase[o->seg], o->aux);
    if (o->aux == 1)
        WR8(0, (T8)v);
    else if (o->aux == 2)
        WR16(REG_RAX, (T16)v);
    else
        c->gpr[REG_RAX] = v;
    NEXT();
}
OP(op_movabs_st)
{
    mem_store(c, o, o->imm + c->segbase[o->seg], o->aux, c->gpr[REG_RAX]);
    NEXT();
}

/* LEA: no segment base, truncated by address size (aux = address size in bits) */
static inline uint64_t lea_value(struct cpu *c, const struct op *o)
{
    uint64_t ea = c->gpr[o->base] + (c->gpr[o->index] << o->scale) + (int64_t)o->disp;
    return o->aux == 64 ? ea : o->aux == 32 ? (uint32_t)ea : (uint16_t)ea;
}
#define LEA(N)                                                                                     \
    static OP(lea##N)                                                                              \
    {                                                                                              \
        WR##N(o->dst, (T##N)lea_value(c, o));                                                      \
        NEXT();                                                                                    \
    }
EACH3(LEA)
const op_fn lea_table[4] = ROW3(lea);

/* CMOV: the memory operand is read whatever the condition; a 32-bit form always zero-extends. */
#define CMOV_N(CC, N)                                                                              \
    static OP(cmov_r##N##_##CC)                                                                    \
    {                                                                                              \
        T##N a = RD##N(o->dst), b = RD##N(o->src);                                                 \
        WR##N(o->dst, fl_cond(c->fl, CC) ? b : a);                                                 \
        NEXT();                                                                                    \
    }                                                                                              \
    static OP(cmov_m##N##_##CC)                                                                    \
    {                                                                                              \
        T##N b = mmu_ld##N(c, o, op_ea(c, o, N / 8, false)), a = RD##N(o->dst);                    \
        WR##N(o->dst, fl_cond(c->fl, CC) ? b : a);                                                 \
        NEXT();                                                                                    \
    }
#define CMOV(CC)                                                                                   \
    CMOV_N(CC, 16) CMOV_N(CC, 32) CMOV_N(CC, 64)                                                   \
    static OP(setcc_r_##CC)                                                                        \
    {                                                                                              \
        WR8(o->dst, fl_cond(c->fl, CC));                                                           \
        NEXT();                                                                                    \
    }                                                                                              \
    static OP(setcc_m_##CC)                                                                        \
    {                                                                                              \
        mmu_st8(c, o, op_ea(c, o, 1, true), fl_cond(c->fl, CC));                                   \
        NEXT();                                                                                    \
    }
FOR_EACH_CC(CMOV)
#define N16r(CC) cmov_r16_##CC,
#define N32r(CC) cmov_r32_##CC,
#define N64r(CC) cmov_r64_##CC,
#define N16m(CC) cmov_m16_##CC,
#define N32m(CC) cmov_m32_##CC,
#define N64m(CC) cmov_m64_##CC,
#define SETR(CC) setcc_r_##CC,
#define SETM(CC) setcc_m_##CC,
const op_fn cmov_r[3][16] = {{FOR_EACH_CC(N16r)}, {FOR_EACH_CC(N32r)}, {FOR_EACH_CC(N64r)}};
const op_fn cmov_m[3][16] = {{FOR_EACH_CC(N16m)}, {FOR_EACH_CC(N32m)}, {FOR_EACH_CC(N64m)}};
const op_fn setcc_r[16] = {FOR_EACH_CC(SETR)};
const op_fn setcc_m[16] = {FOR_EACH_CC(SETM)};

/* XCHG with memory locks by itself; XADD and CMPXCHG are made atomic whether or not LOCK is there. */
#define XCHG(N)                                                                                    \
    static OP(xchg_rr##N)                                                                          \
    {                                                                                              \
        T##N a = RD##N(o->dst), b = RD##N(o->src);                                                 \
        WR##N(o->src, a);                                                                          \
        WR##N(o->dst, b);                                                                          \
        NEXT();                                                                                    \
    }                                                                                              \
    static OP(xchg_mr##N)                                                                          \
    {                                                                                              \
        uint64_t ea = op_ea(c, o, N / 8, true);                                                    \
        T##N *p = mmu_ptr_rmw(c, o, ea, N / 8), b = RD##N(o->src);                                 \
        if (likely(p)) {                                                                           \
            __asm__ volatile("xchg %0,%1" : "+r"(b), "+m"(*p) : : "memory");                       \
        } else {                                                                                   \
            mmu_probe_write(c, o, ea, N / 8);                                                      \
            T##N a = mmu_ld##N(c, o, ea);                                                          \
            mmu_st##N(c, o, ea, b);                                                                \
            mmu_rmw_end(c);                                                                        \
            b = a;                                                                                 \
        }                                                                                          \
        WR##N(o->src, b);                                                                          \
        NEXT();                                                                                    \
    }                                                                                              \
    static OP(xadd_rr##N)                                                                          \
    {                                                                                              \
        T##N a = RD##N(o->dst), b = RD##N(o->src), d = a;                                          \
        uint32_t f;                                                                                \
        __asm__("add %2,%0" FL_SAVE : "+r"(a), "=&a"(f) : "r"(b) : "cc");                          \
        c->fl = (uint16_t)f;                                                                       \
        WR##N(o->src, d);                                                                          \
        WR##N(o->dst, a);                                                                          \
        NEXT();                                                                                    \
    }                                                                                              \
    static OP(xadd_mr##N)                                                                          \
    {                                                                                              \
        uint64_t ea = op_ea(c, o, N / 8, true);                                                    \
        T##N *p = mmu_ptr_rmw(c, o, ea, N / 8), b = RD##N(o->src);                                 \
        uint32_t f;                                                                                \
        if (likely(p)) {                                                                           \
            __asm__ volatile("lock xadd %0,%1" FL_SAVE                                             \
                             : "+r"(b), "+m"(*p), "=&a"(f) : : "cc", "memory");                    \
        } else {                                                                                   \
            mmu_probe_write(c, o, ea, N / 8);                                                      \
            T##N a = mmu_ld##N(c, o, ea), d = a;                                                   \
            __asm__("add %2,%0" FL_SAVE : "+r"(a), "=&a"(f) : "r"(b) : "cc");                      \
            mmu_st##N(c, o, ea, a);                                                                \
            mmu_rmw_end(c);                                                                        \
            b = d;                                                                                 \
        }                                                                                          \
        c->fl = (uint16_t)f;                                                                       \
        WR##N(o->src, b);                                                                          \
        NEXT();                                                                                    \
    }                                                                                              \
    static OP(cmpxchg_rr##N)                                                                       \
    {                                                                                              \
        T##N d = RD##N(o->dst);                                                                    \
        uint32_t f;                                                                                \
        T##N acc = (T##N)c->gpr[REG_RAX];                                                          \
        __asm__("cmp %1,%2" FL_SAVE : "=&a"(f) : "r"(d), "r"(acc) : "cc");                         \
        c->fl = (uint16_t)f;                                                                       \
        if (f & FL_ZF) {                                                                           \
            WR##N(o->dst, RD##N(o->src));                                                          \
        } else if (N == 8) {                                                                       \
            WR8(0, (uint8_t)d);                                                                    \
        } else {                                                                                   \
            WR##N(REG_RAX, d);                                                                     \
        }                                                                                          \
        NEXT();                                                                                    \
    }                                                                                              \
    static OP(cmpxchg_mr##N)                                                                       \
    {                                                                                              \
        uint64_t ea = op_ea(c, o, N / 8, true);                                                    \
        T##N *p = mmu_ptr_rmw(c, o, ea, N / 8), b = RD##N(o->src), acc = (T##N)c->gpr[REG_RAX], old; \
        uint32_t f;                                                                                \
        if (likely(p)) {                                                                           \
            old = acc;                                                                             \
            __atomic_compare_exchange_n(p, &old, b, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);    \
        } else {                                                                                   \
            mmu_probe_write(c, o, ea, N / 8);                                                      \
            old = mmu_ld##N(c, o, ea);                                                             \
            mmu_st##N(c, o, ea, old == acc ? b : old);                                             \
            mmu_rmw_end(c);                                                                        \
        }                                                                                          \
        __asm__("cmp %1,%2" FL_SAVE : "=&a"(f) : "r"(old), "r"(acc) : "cc");                       \
        c->fl = (uint16_t)f;                                                                       \
        if (!(f & FL_ZF)) {                                                                        \
            if (N == 8)                                                                            \
                WR8(0, (uint8_t)old);                                                              \
            else                                                                                   \
                WR##N(REG_RAX, old);                                                               \
        }                                                                                          \
        NEXT();                                                                                    \
    }
EACH4(XCHG)
const op_fn xchg_rr[4] = ROW4(xchg_rr), xchg_mr[4] = ROW4(xchg_mr), xadd_rr[4] = ROW4(xadd_rr),
            xadd_mr[4] = ROW4(xadd_mr), cmpxchg_rr[4] = ROW4(cmpxchg_rr),
            cmpxchg_mr[4] = ROW4(cmpxchg_mr);

static OP(bswap16)
{ /* undefined; the processor gives zero */
    WR16(o->dst, 0);
    NEXT();
}
static OP(bswap32)
{
    WR32(o->dst, __builtin_bswap32(RD32(o->dst)));
    NEXT();
}
static OP(bswap64)
{
    WR64(o->dst, __builtin_bswap64(RD64(o->dst)));
    NEXT();
}
const op_fn bswap_table[4] = ROW3(bswap);

#define MOVBE(N)                                                                                   \
    static OP(movbe_ld##N)                                                                         \
    {                                                                                              \
        WR##N(o->dst, __builtin_bswap##N(mmu_ld##N(c, o, op_ea(c, o, N / 8, false))));             \
        NEXT();                                                                                    \
    }                                                                                              \
    static OP(movbe_st##N)                                                                         \
    {                                                                                              \
        mmu_st##N(c, o, op_ea(c, o, N / 8, true), __builtin_bswap##N(RD##N(o->src)));              \
        NEXT();                                                                                    \
    }
EACH3(MOVBE)
const op_fn movbe_ld[4] = ROW3(movbe_ld), movbe_st[4] = ROW3(movbe_st);

/* aux = address size; the memory operand's base is rBX and AL is added here */
OP(op_xlat)
{
    uint64_t off = c->gpr[REG_RBX] + (uint8_t)c->gpr[REG_RAX];
    if (o->aux != 64)
        off = o->aux == 32 ? (uint32_t)off : (uint16_t)off;
    if (!(c->mode & MODE_64)) {
        seg_check(c, o, o->seg, off, 1, false);
        off = (uint32_t)(off + c->segbase[o->seg]);
    } else {
        off += c->segbase[o->seg];
    }
    WR8(0, mmu_ld8(c, o, off));
    NEXT();
}

/* CMPXCHG8B m64 and CMPXCHG16B m128: always a write access; 16B must be aligned. */
OP(op_cmpxchg8b)
{
    uint64_t ea = op_ea(c, o, 8, true);
    uint64_t want = (uint32_t)c->gpr[REG_RAX] | c->gpr[REG_RDX] << 32;
    uint64_t next = (uint32_t)c->gpr[REG_RBX] | c->gpr[REG_RCX] << 32, old = want;
    uint64_t *p = mmu_ptr_rmw(c, o, ea, 8);
    if (likely(p)) {
        __atomic_compare_exchange_n(p, &old, next, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
    } else {
        mmu_probe_write(c, o, ea, 8);
        old = mmu_ld64(c, o, ea);
        mmu_st64(c, o, ea, old == want ? next : old);
        mmu_rmw_end(c);
    }
    if (old == want) {
        c->fl |= FL_ZF;
    } else {
        c->fl &= ~FL_ZF;
        c->gpr[REG_RAX] = (uint32_t)old;
        c->gpr[REG_RDX] = old >> 32;
    }
    NEXT();
}
OP(op_cmpxchg16b)
{
    uint64_t ea = op_ea(c, o, 16, true), old[2] = {c->gpr[REG_RAX], c->gpr[REG_RDX]};
    if (ea & 15)
        cpu_raise_err(c, o, VEC_GP, 0);
    uint64_t *p = mmu_ptr_rmw(c, o, ea, 16);
    uint8_t same;
    if (likely(p)) {
        __asm__ volatile("lock cmpxchg16b %1\n\tsete %0"
                         : "=q"(same), "+m"(*(unsigned __int128 *)p), "+a"(old[0]), "+d"(old[1])
                         : "b"(c->gpr[REG_RBX]), "c"(c->gpr[REG_RCX])
                         : "cc", "memory");
    } else {
        uint64_t cur[2], next[2] = {c->gpr[REG_RBX], c->gpr[REG_RCX]};
        mmu_probe_write(c, o, ea, 16);
        mmu_read_bytes(c, o, ea, cur, 16);
        same = cur[0] == old[0] && cur[1] == old[1];
        mmu_write_bytes(c, o, ea, same ? next : cur, 16);
        mmu_rmw_end(c);
        memcpy(old, cur, 16);
    }
    if (same) {
        c->fl |= FL_ZF;
    } else {
        c->fl &= ~FL_ZF;
        c->gpr[REG_RAX] = old[0];
        c->gpr[REG_RDX] = old[1];
    }
    NEXT();
}
