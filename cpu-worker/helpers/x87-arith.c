/* SPDX-License-Identifier: Apache-2.0 */
/*
 * x87 arithmetic and comparison: D8..DF encodings that combine ST(0) with a register or a number in
 * memory. Memory operands are combined in their own format (FADD m32, not FLD + FADD), because NaNs
 * and exceptions depend on it. Must never convert an operand in C.
 */
#include "cpu-worker/helpers/x87-op.h"

#define COMBINE_TABLE(kind)                                                                        \
    static const struct x87_raw *const kind[8] = {&kind##_add,  &kind##_mul, &kind##_com,          \
                                                  &kind##_com,  &kind##_sub, &kind##_subr,         \
                                                  &kind##_div,  &kind##_divr};
#define MEM_FORMS(kind, add, mul, com, sub, subr, div, divr)                                       \
    X87_RAW(kind##_add, 0, X87_LOAD_A, add " %[b]", X87_POP_R)                                     \
    X87_RAW(kind##_mul, 0, X87_LOAD_A, mul " %[b]", X87_POP_R)                                     \
    X87_RAW(kind##_com, X87_CC, X87_LOAD_A, com " %[b]", X87_POP_R)                                \
    X87_RAW(kind##_sub, 0, X87_LOAD_A, sub " %[b]", X87_POP_R)                                     \
    X87_RAW(kind##_subr, 0, X87_LOAD_A, subr " %[b]", X87_POP_R)                                   \
    X87_RAW(kind##_div, 0, X87_LOAD_A, div " %[b]", X87_POP_R)                                     \
    X87_RAW(kind##_divr, 0, X87_LOAD_A, divr " %[b]", X87_POP_R)                                   \
    COMBINE_TABLE(kind)

MEM_FORMS(m32, "fadds", "fmuls", "fcoms", "fsubs", "fsubrs", "fdivs", "fdivrs")
MEM_FORMS(m64, "faddl", "fmull", "fcoml", "fsubl", "fsubrl", "fdivl", "fdivrl")
MEM_FORMS(i16, "fiadds", "fimuls", "ficoms", "fisubs", "fisubrs", "fidivs", "fidivrs")
MEM_FORMS(i32, "fiaddl", "fimull", "ficoml", "fisubl", "fisubrl", "fidivl", "fidivrl")

#define REG_FORM(name, insn)                                                                       \
    X87_RAW(st_##name, 0, X87_LOAD_BA, insn " %%st(1), %%st", X87_POP_R_B)
REG_FORM(add, "fadd")
REG_FORM(mul, "fmul")
REG_FORM(sub, "fsub")
REG_FORM(subr, "fsubr")
REG_FORM(div, "fdiv")
REG_FORM(divr, "fdivr")
X87_RAW(st_com, X87_CC, X87_LOAD_BA, "fcom %%st(1)", X87_POP_R_B)
X87_RAW(st_ucom, X87_CC, X87_LOAD_BA, "fucom %%st(1)", X87_POP_R_B)
COMBINE_TABLE(st)

static inline const struct x87_raw *raw_of(const struct op *o)
{
    return (const struct x87_raw *)(uintptr_t)o->imm;
}

/* ST(dst) = ST(dst) op ST(src) */
WORKER_OP(arith_st)
{
    struct abi_vcpu_state *s = c->s;
    unsigned d = x87_phys(s, o->dst), b = x87_phys(s, o->src);
    struct x87_val r = X87_INDEFINITE;

    x87_wait(c, o);
    x87_note(c, o);
    if (unlikely(x87_empty(s, d) || x87_empty(s, b))) {
        if (!x87_stack_fault(s, false))
            return;
    } else if (!x87_run(s, raw_of(o), &r, x87_reg(s, d), x87_reg(s, b), X87_PRE)) {
        return;
    }
    x87_put(s, d, r);
    x87_pops(c, o);
}

/* ST(0) op memory operand b, already read from va */
static void arith_with(struct cpu *c, const struct op *o, uint64_t va, const void *b)
{
    struct abi_vcpu_state *s = c->s;
    unsigned d = x87_top(s);
    struct x87_val r = X87_INDEFINITE;

    x87_note_mem(c, o, va);
    if (unlikely(x87_empty(s, d))) {
        if (!x87_stack_fault(s, false))
            return;
    } else if (!x87_run(s, raw_of(o), &r, x87_reg(s, d), b, X87_PRE)) {
        return;
    }
    x87_put(s, d, r);
}

/* Comparing with an empty register gives "unordered" even if the fault is unmasked; only the pops
 * are not done then. */
static bool unordered(struct abi_vcpu_state *s)
{
    s->fsw |= X87_CC;
    return x87_stack_fault(s, false);
}

static void compare_with(struct cpu *c, const struct op *o, uint64_t va, const void *b)
{
    struct abi_vcpu_state *s = c->s;
    struct x87_val r;

    x87_note_mem(c, o, va);
    if (unlikely(x87_empty(s, x87_top(s)))) {
        if (!unordered(s))
            return;
    } else if (!x87_run(s, raw_of(o), &r, x87_reg(s, x87_top(s)), b, X87_PRE)) {
        return;
    }
    x87_pops(c, o);
}

#define MEM_OP(kind, size, load)                                                                   \
    WORKER_OP(arith_##kind)                                                                        \
    {                                                                                              \
        struct x87_val b = {0};                                                                    \
        x87_wait(c, o);                                                                            \
        uint64_t va = op_ea(c, o, size, false);                                                    \
        b.mant = load(c, o, va);                                                                   \
        arith_with(c, o, va, &b);                                                                  \
    }                                                                                              \
    WORKER_OP(compare_##kind)                                                                      \
    {                                                                                              \
        struct x87_val b = {0};                                                                    \
        x87_wait(c, o);                                                                            \
        uint64_t va = op_ea(c, o, size, false);                                                    \
        b.mant = load(c, o, va);                                                                   \
        compare_with(c, o, va, &b);                                                                \
    }
MEM_OP(m16, 2, mmu_ld16)
MEM_OP(m32, 4, mmu_ld32)
MEM_OP(m64, 8, mmu_ld64)

/* FCOM, FUCOM and their popping forms against ST(src) */
WORKER_OP(compare_st)
{
    struct abi_vcpu_state *s = c->s;
    unsigned a = x87_top(s), b = x87_phys(s, o->src);
    struct x87_val r;

    x87_wait(c, o);
    x87_note(c, o);
    if (unlikely(x87_empty(s, a) || x87_empty(s, b))) {
        if (!unordered(s))
            return;
    } else if (!x87_run(s, raw_of(o), &r, x87_reg(s, a), x87_reg(s, b), X87_PRE)) {
        return;
    }
    x87_pops(c, o);
}

static uint32_t flags_of(uint16_t sw)
{
    return (sw & X87_C3 ? FL_ZF : 0) | (sw & X87_C2 ? FL_PF : 0) | (sw & X87_C0 ? FL_CF : 0);
}

/* FCOMI family: the same comparison into ZF PF CF; the condition codes stay, C1 too unless the
 * stack faults */
WORKER_OP(compare_fl)
{
    struct abi_vcpu_state *s = c->s;
    unsigned a = x87_top(s), b = x87_phys(s, o->src);
    uint16_t old = s->fsw, sw;
    struct x87_val r;
    bool done = true;

    x87_wait(c, o);
    x87_note(c, o);
    if (unlikely(x87_empty(s, a) || x87_empty(s, b))) {
        done = x87_stack_fault(s, false);
        c->fl = flags_of(X87_CC);
    } else {
        done = x87_run(s, raw_of(o), &r, x87_reg(s, a), x87_reg(s, b), X87_PRE);
        sw = s->fsw;
        s->fsw = (uint16_t)((sw & ~(X87_CC | X87_C1)) | (old & (X87_CC | X87_C1)));
        c->fl = flags_of(sw); /* also when the exception is unmasked */
    }
    if (done)
        x87_pops(c, o);
}

static const struct x87_raw *const *const mem_tables[8] = {
    [0] = m32, [2] = i32, [4] = m64, [6] = i16};

bool x87_arith_mem(struct op *o, const struct x87_in *d)
{
    const struct x87_raw *const *t = mem_tables[d->op];
    bool compare = d->reg == 2 || d->reg == 3;

    if (!t)
        return false;
    o->imm = (uintptr_t)t[d->reg];
    o->aux2 |= d->reg == 3;
    if (d->op == 6)
        o->fn = compare ? compare_m16 : arith_m16;
    else if (d->op == 4)
        o->fn = compare ? compare_m64 : arith_m64;
    else
        o->fn = compare ? compare_m32 : arith_m32;
    return true;
}

/* D8: ST(0) op ST(i). DC, DE: the destination is ST(i), and sub/subr, div/divr swap encodings. */
bool x87_arith_reg(struct op *o, const struct x87_in *d)
{
    if ((d->op != 0 && d->op != 4 && d->op != 6) || d->reg == 2 || d->reg == 3)
        return false;
    unsigned reg = d->op && d->reg >= 4 ? d->reg ^ 1 : d->reg;
    o->imm = (uintptr_t)st[reg];
    o->dst = d->op ? (uint8_t)d->rm : 0;
    o->src = d->op ? 0 : (uint8_t)d->rm;
    o->aux2 |= d->op == 6;
    o->fn = arith_st;
    return true;
}

static bool compare_set(struct op *o, op_fn fn, const struct x87_raw *f, unsigned st_i,
                        unsigned pops)
{
    o->fn = fn;
    o->imm = (uintptr_t)f;
    o->src = (uint8_t)st_i;
    o->aux2 |= pops;
    return true;
}

bool x87_compare_reg(struct op *o, const struct x87_in *d)
{
    switch (d->op << 4 | d->reg) {
    case 0x02: /* FCOM, and its alias in DC */
    case 0x42:
        return compare_set(o, compare_st, &st_com, d->rm, 0);
    case 0x03: /* FCOMP, and its aliases in DC and DE */
    case 0x43:
    case 0x62:
        return compare_set(o, compare_st, &st_com, d->rm, 1);
    case 0x63: /* FCOMPP */
        return d->rm == 1 && compare_set(o, compare_st, &st_com, 1, 2);
    case 0x25: /* FUCOMPP */
        return d->rm == 1 && compare_set(o, compare_st, &st_ucom, 1, 2);
    case 0x54: /* FUCOM */
        return compare_set(o, compare_st, &st_ucom, d->rm, 0);
    case 0x55: /* FUCOMP */
        return compare_set(o, compare_st, &st_ucom, d->rm, 1);
    case 0x35: /* FUCOMI */
        return compare_set(o, compare_fl, &st_ucom, d->rm, 0);
    case 0x36: /* FCOMI */
        return compare_set(o, compare_fl, &st_com, d->rm, 0);
    case 0x75: /* FUCOMIP */
        return compare_set(o, compare_fl, &st_ucom, d->rm, 1);
    case 0x76: /* FCOMIP */
        return compare_set(o, compare_fl, &st_com, d->rm, 1);
    default:
        return false;
    }
}
