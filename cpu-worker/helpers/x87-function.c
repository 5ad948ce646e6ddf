/* SPDX-License-Identifier: Apache-2.0 */
/*
 * x87 functions of ST(0) and ST(1): square root, remainder, rounding, scaling, transcendental
 * functions, FTST, FXAM, sign operations. Must never compute in C what the host's x87 computes.
 */
#include "cpu-worker/helpers/x87-op.h"

#define ONE(name, cc, insn) X87_RAW(name, cc, X87_LOAD_A, insn, X87_POP_R)
#define TWO(name, cc, insn) X87_RAW(name, cc, X87_LOAD_BA, insn, X87_POP_R_B)
#define TWO_POP(name, insn) X87_RAW(name, 0, X87_LOAD_BA, insn, X87_POP_R)

ONE(f2xm1_, 0, "f2xm1")
ONE(fsqrt_, 0, "fsqrt")
ONE(frndint_, 0, "frndint")
ONE(fsin_, X87_C2, "fsin")
ONE(fcos_, X87_C2, "fcos")
ONE(ftst_, X87_CC, "ftst")
ONE(fxam_, X87_CC, "fxam")
TWO(fprem_, X87_CC, "fprem")
TWO(fprem1_, X87_CC, "fprem1")
TWO(fscale_, 0, "fscale")
TWO_POP(fyl2x_, "fyl2x")
TWO_POP(fyl2xp1_, "fyl2xp1")
TWO_POP(fpatan_, "fpatan")

static inline const struct x87_raw *raw_of(const struct op *o)
{
    return (const struct x87_raw *)(uintptr_t)o->imm;
}

/* The masked response of a function with a "not finished" bit clears that bit. */
static bool function_fault(struct abi_vcpu_state *s, bool overflow, uint16_t cc)
{
    s->fsw &= (uint16_t) ~(cc & X87_C2);
    return x87_stack_fault(s, overflow);
}

/* ST(0) = f(ST(0)) */
WORKER_OP(unary)
{
    struct abi_vcpu_state *s = c->s;
    unsigned t = x87_top(s);
    struct x87_val r = X87_INDEFINITE;

    x87_wait(c, o);
    x87_note(c, o);
    if (unlikely(x87_empty(s, t))) {
        if (!function_fault(s, false, raw_of(o)->cc))
            return;
    } else if (!x87_run(s, raw_of(o), &r, x87_reg(s, t), &r, X87_PRE)) {
        return;
    }
    x87_put(s, t, r);
}

/* ST(dst) = f(ST(0), ST(1)); dst = 1 with a pop, 0 without */
WORKER_OP(binary)
{
    struct abi_vcpu_state *s = c->s;
    unsigned a = x87_top(s), b = x87_phys(s, 1);
    struct x87_val r = X87_INDEFINITE;
    uint16_t old = s->fsw, keep = raw_of(o)->cc & (X87_C0 | X87_C3);

    x87_wait(c, o);
    x87_note(c, o);
    if (unlikely(x87_empty(s, a) || x87_empty(s, b))) {
        if (!function_fault(s, false, raw_of(o)->cc))
            return;
    } else {
        bool done = x87_run(s, raw_of(o), &r, x87_reg(s, a), x87_reg(s, b), X87_PRE);
        /* FPREM of a NaN, or stopped, has no quotient: only C2 and C1 are written. */
        if (!done || (r.se & 0x7fff) == 0x7fff)
            s->fsw = (uint16_t)((s->fsw & ~keep) | (old & keep));
        if (!done)
            return;
    }
    x87_put(s, o->dst ? b : a, r);
    x87_pops(c, o);
}

/* ---- one operand, two results: FPTAN, FSINCOS, FXTRACT ---- */

struct two_results {
    uint16_t (*run)(const struct x87_val *a, uint16_t cw);
    uint16_t (*run_unmasked)(const struct x87_val *a, uint16_t cw);
    uint16_t cc;
};
#define TWO_RESULTS(name, condition, insn)                                                         \
    static uint16_t name##_masked(const struct x87_val *a, uint16_t cw)                            \
    {                                                                                              \
        uint16_t sw;                                                                               \
        __asm__ volatile("fldcw %1\n\tfldt %2\n\t" insn "\n\tfnstsw %%ax"                          \
                         : "=a"(sw)                                                                \
                         : "m"(cw), "m"(*a));                                                      \
        return sw;                                                                                 \
    }                                                                                              \
    static uint16_t name##_unmasked(const struct x87_val *a, uint16_t cw)                          \
    {                                                                                              \
        uint16_t sw;                                                                               \
        static const uint16_t off = 0x037f;                                                        \
        __asm__ volatile("fnclex\n\tfldcw %1\n\tfldt %2\n\t" insn "\n\tfnstsw %%ax\n\tfnclex\n\t"  \
                         "fldcw %3"                                                                \
                         : "=a"(sw)                                                                \
                         : "m"(cw), "m"(*a), "m"(off));                                            \
        return sw;                                                                                 \
    }                                                                                              \
    static const struct two_results name = {name##_masked, name##_unmasked, condition};
TWO_RESULTS(fptan_, X87_C2, "fptan")
TWO_RESULTS(fsincos_, X87_C2, "fsincos")
TWO_RESULTS(fxtract_, 0, "fxtract")

/* Empties the host's stack, which holds one value, or two if the operation pushed (TOP = 6). */
static bool take_results(uint16_t sw, struct x87_val *first, struct x87_val *pushed)
{
    bool two = (sw >> 11 & 7) == 6;
    if (two)
        __asm__ volatile("fstpt %0" : "=m"(*pushed));
    __asm__ volatile("fstpt %0" : "=m"(*first));
    return two;
}

static bool run_two(struct abi_vcpu_state *s, const struct two_results *f, struct x87_val *first,
                    struct x87_val *pushed)
{
    const struct x87_val *a = x87_reg(s, x87_top(s));
    bool masked = (s->fcw & X87_FLAGS) == X87_FLAGS;
    uint16_t sw = masked ? f->run(a, s->fcw) : f->run_unmasked(a, s->fcw);
    bool two = take_results(sw, first, pushed);

    s->fsw = (uint16_t)((s->fsw & ~(X87_C1 | f->cc)) | (sw & (X87_FLAGS | X87_C1 | f->cc)));
    if (!masked && (sw & ~s->fcw & X87_FLAGS))
        s->fsw |= X87_ES;
    return two;
}

WORKER_OP(split)
{
    struct abi_vcpu_state *s = c->s;
    struct x87_val first = X87_INDEFINITE, pushed = X87_INDEFINITE;
    const struct two_results *f = (const struct two_results *)(uintptr_t)o->imm;
    bool under = x87_empty(s, x87_top(s)), over = !x87_empty(s, x87_phys(s, 7));

    x87_wait(c, o);
    x87_note(c, o);
    if (unlikely(under || over)) {
        if (!function_fault(s, !under, f->cc))
            return;
    } else if (!run_two(s, f, &first, &pushed)) {
        return;
    }
    x87_put(s, x87_top(s), first);
    x87_push(s, pushed);
}

/* ---- examining and sign ---- */

WORKER_OP(ftst)
{
    struct abi_vcpu_state *s = c->s;
    struct x87_val r;
    x87_wait(c, o);
    x87_note(c, o);
    if (unlikely(x87_empty(s, x87_top(s)))) {
        s->fsw |= X87_CC;
        x87_stack_fault(s, false);
        return;
    }
    x87_run(s, &ftst_, &r, x87_reg(s, x87_top(s)), &r, X87_PRE);
}

/* An empty register is a class of its own, not a fault; C1 is its sign all the same. */
WORKER_OP(fxam)
{
    struct abi_vcpu_state *s = c->s;
    struct x87_val r, *a = x87_reg(s, x87_top(s));
    x87_wait(c, o);
    x87_note(c, o);
    if (x87_empty(s, x87_top(s))) {
        s->fsw &= (uint16_t) ~(X87_CC | X87_C1);
        s->fsw |= (uint16_t)(X87_C3 | X87_C0 | (a->se & 0x8000 ? X87_C1 : 0));
        return;
    }
    x87_run(s, &fxam_, &r, a, &r, 0);
}

/* FCHS: imm = bits to flip, FABS: aux2 bit 16 = clear the sign */
static OP(sign)
{
    struct abi_vcpu_state *s = c->s;
    unsigned t = x87_top(s);
    x87_wait(c, o);
    x87_note(c, o);
    s->fsw &= (uint16_t)~X87_C1;
    if (unlikely(x87_empty(s, t))) {
        if (x87_stack_fault(s, false))
            x87_put(s, t, X87_INDEFINITE);
    } else {
        uint16_t se = s->fpr[t].se;
        s->fpr[t].se = o->imm ? se ^ 0x8000 : se & 0x7fff;
    }
    NEXT();
}

static bool set(struct op *o, op_fn fn, const void *f)
{
    o->fn = fn;
    o->imm = (uintptr_t)f;
    return true;
}

static bool set_pop(struct op *o, const struct x87_raw *f)
{
    o->dst = 1;
    o->aux2 |= 1;
    return set(o, binary, f);
}

bool x87_function_reg(struct op *o, const struct x87_in *d)
{
    if (d->op != 1)
        return false;
    switch (d->reg << 4 | d->rm) {
    case 0x40: /* FCHS */
        o->imm = 1;
        o->fn = sign;
        return true;
    case 0x41: /* FABS */
        o->imm = 0;
        o->fn = sign;
        return true;
    case 0x44:
        return set(o, ftst, NULL);
    case 0x45:
        return set(o, fxam, NULL);
    case 0x60:
        return set(o, unary, &f2xm1_);
    case 0x61:
        return set_pop(o, &fyl2x_);
    case 0x62:
        return set(o, split, &fptan_);
    case 0x63:
        return set_pop(o, &fpatan_);
    case 0x64:
        return set(o, split, &fxtract_);
    case 0x65:
        return set(o, binary, &fprem1_);
    case 0x70:
        return set(o, binary, &fprem_);
    case 0x71:
        return set_pop(o, &fyl2xp1_);
    case 0x72:
        return set(o, unary, &fsqrt_);
    case 0x73:
        return set(o, split, &fsincos_);
    case 0x74:
        return set(o, unary, &frndint_);
    case 0x75:
        return set(o, binary, &fscale_);
    case 0x76:
        return set(o, unary, &fsin_);
    case 0x77:
        return set(o, unary, &fcos_);
    default:
        return false;
    }
}
