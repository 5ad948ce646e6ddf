/* SPDX-License-Identifier: Apache-2.0 */
/*
 * x87 instructions that move registers about: FLD ST(i), FST/FSTP ST(i), FXCH, FCMOVcc, FFREE,
 * FINCSTP, FDECSTP, FNOP; stack faults and tags. Must never look into a number, except for its tag.
 */
#include "cpu-worker/helpers/x87-op.h"

bool x87_stack_fault(struct abi_vcpu_state *s, bool overflow)
{
    s->fsw = (uint16_t)((s->fsw & ~X87_C1) | X87_IE | X87_SF | (overflow ? X87_C1 : 0));
    if (s->fcw & X87_IE)
        return true;
    s->fsw |= X87_ES;
    return false;
}

uint16_t x87_full_tags(const struct abi_vcpu_state *s)
{
    uint16_t tags = 0;
    for (unsigned i = 0; i < 8; i++) {
        unsigned exp = s->fpr[i].se & 0x7fff, tag = 0;
        if (x87_empty(s, i))
            tag = 3;
        else if (!exp && !s->fpr[i].mant)
            tag = 1;
        else if (!exp || exp == 0x7fff || !(s->fpr[i].mant >> 63))
            tag = 2;
        tags |= (uint16_t)(tag << 2 * i);
    }
    return tags;
}

/* ST(i), or the masked response to its being empty; false if the fault is unmasked. */
static inline bool take(struct abi_vcpu_state *s, unsigned phys, struct x87_val *v)
{
    if (likely(!x87_empty(s, phys))) {
        *v = *x87_reg(s, phys);
        return true;
    }
    *v = X87_INDEFINITE;
    return x87_stack_fault(s, false);
}

static inline void begin(struct cpu *c, const struct op *o)
{
    x87_wait(c, o);
    x87_note(c, o);
    c->s->fsw &= (uint16_t)~X87_C1;
}

WORKER_OP(fld_st)
{
    struct abi_vcpu_state *s = c->s;
    struct x87_val v = X87_INDEFINITE;
    begin(c, o);
    if (unlikely(!x87_empty(s, x87_phys(s, 7)) && !x87_empty(s, x87_phys(s, o->src)))) {
        if (!x87_stack_fault(s, true))
            return;
    } else if (!take(s, x87_phys(s, o->src), &v)) {
        return;
    }
    x87_push(s, v);
}

WORKER_OP(fst_st)
{
    struct abi_vcpu_state *s = c->s;
    struct x87_val v;
    begin(c, o);
    if (!take(s, x87_top(s), &v))
        return;
    x87_put(s, x87_phys(s, o->dst), v);
    x87_pops(c, o);
}

/* The alias of FSTP in D9: with an empty ST(0) it only pops. */
WORKER_OP(fstpnce)
{
    struct abi_vcpu_state *s = c->s;
    begin(c, o);
    if (!x87_empty(s, x87_top(s)))
        x87_put(s, x87_phys(s, o->dst), *x87_reg(s, x87_top(s)));
    x87_pops(c, o);
}

WORKER_OP(fxch)
{
    struct abi_vcpu_state *s = c->s;
    unsigned a = x87_top(s), b = x87_phys(s, o->src);
    struct x87_val va, vb;
    begin(c, o);
    bool ok = take(s, a, &va);
    ok = take(s, b, &vb) && ok;
    if (!ok)
        return;
    x87_put(s, a, vb);
    x87_put(s, b, va);
}

/* imm = flags to test, aux2 bit 16 = moves if none of them is set */
WORKER_OP(fcmov)
{
    struct abi_vcpu_state *s = c->s;
    unsigned a = x87_top(s), b = x87_phys(s, o->src);
    struct x87_val v = X87_INDEFINITE;
    x87_wait(c, o);
    x87_note(c, o);
    if (unlikely(x87_empty(s, a) || x87_empty(s, b))) {
        if (x87_stack_fault(s, false))
            x87_put(s, a, v);
        return;
    }
    bool set = c->fl & o->imm, moves_if_clear = o->aux2 >> 16 & 1;
    if (set != moves_if_clear)
        x87_put(s, a, *x87_reg(s, b));
}

static OP(ffree)
{
    begin(c, o);
    x87_free(c->s, x87_phys(c->s, o->dst));
    x87_pops(c, o);
    NEXT();
}

static OP(fincstp)
{
    begin(c, o);
    x87_set_top(c->s, x87_top(c->s) + 1);
    NEXT();
}

static OP(fdecstp)
{
    begin(c, o);
    x87_set_top(c->s, x87_top(c->s) - 1);
    NEXT();
}

static OP(fnop)
{
    x87_wait(c, o);
    x87_note(c, o);
    NEXT();
}

static bool bind(struct op *o, op_fn fn, unsigned st_i, unsigned pops)
{
    o->fn = fn;
    o->dst = o->src = (uint8_t)st_i;
    o->aux2 |= pops;
    return true;
}

static bool fcmov_decode(struct op *o, const struct x87_in *d)
{
    static const uint32_t flags[4] = {FL_CF, FL_ZF, FL_CF | FL_ZF, FL_PF};
    o->imm = flags[d->reg];
    o->aux2 |= (d->op == 3 ? 1u : 0u) << 16;
    return bind(o, fcmov, d->rm, 0);
}

bool x87_stack_reg(struct op *o, const struct x87_in *d)
{
    if ((d->op == 2 || d->op == 3) && d->reg < 4)
        return fcmov_decode(o, d);
    switch (d->op << 4 | d->reg) {
    case 0x10: /* FLD */
        return bind(o, fld_st, d->rm, 0);
    case 0x11: /* FXCH, and its aliases in DD and DF */
    case 0x51:
    case 0x71:
        return bind(o, fxch, d->rm, 0);
    case 0x12:
        return d->rm == 0 && bind(o, fnop, 0, 0);
    case 0x16: /* FDECSTP, FINCSTP */
        return d->rm >= 6 && bind(o, d->rm == 6 ? fdecstp : fincstp, 0, 0);
    case 0x50: /* FFREE */
        return bind(o, ffree, d->rm, 0);
    case 0x70: /* FFREEP */
        return bind(o, ffree, d->rm, 1);
    case 0x52: /* FST */
        return bind(o, fst_st, d->rm, 0);
    case 0x13:
        return bind(o, fstpnce, d->rm, 1);
    case 0x53: /* FSTP, and its aliases in DF */
    case 0x72:
    case 0x73:
        return bind(o, fst_st, d->rm, 1);
    default:
        return false;
    }
}
