/* SPDX-License-Identifier: Apache-2.0 */
/*
 * x87 pushes: numbers from memory (real, integer, packed BCD) and constants. Must never push before
 * the memory access that can fault.
 */
#include "cpu-worker/helpers/x87-op.h"

X87_RAW(fld_m32, 0, "", "flds %[b]", X87_POP_R)
X87_RAW(fld_m64, 0, "", "fldl %[b]", X87_POP_R)
X87_RAW(fild_m16, 0, "", "filds %[b]", X87_POP_R)
X87_RAW(fild_m32, 0, "", "fildl %[b]", X87_POP_R)
X87_RAW(fild_m64, 0, "", "fildll %[b]", X87_POP_R)
X87_RAW(fbld_m80, 0, "", "fbld %[b]", X87_POP_R)
X87_RAW(fld1_, 0, "", "fld1", X87_POP_R)
X87_RAW(fldl2t_, 0, "", "fldl2t", X87_POP_R)
X87_RAW(fldl2e_, 0, "", "fldl2e", X87_POP_R)
X87_RAW(fldpi_, 0, "", "fldpi", X87_POP_R)
X87_RAW(fldlg2_, 0, "", "fldlg2", X87_POP_R)
X87_RAW(fldln2_, 0, "", "fldln2", X87_POP_R)
X87_RAW(fldz_, 0, "", "fldz", X87_POP_R)

static void push_raw(struct cpu *c, const struct op *o, const void *b)
{
    struct abi_vcpu_state *s = c->s;
    struct x87_val r = X87_INDEFINITE;
    const struct x87_raw *f = (const struct x87_raw *)(uintptr_t)o->imm;

    if (unlikely(!x87_empty(s, x87_phys(s, 7)))) {
        if (!x87_stack_fault(s, true))
            return;
    } else if (!x87_run(s, f, &r, &r, b, X87_IE)) {
        return; /* but a denormal is pushed even if DE is unmasked */
    }
    x87_push(s, r);
}

#define LOAD_OP(name, size, load)                                                                  \
    WORKER_OP(name)                                                                                \
    {                                                                                              \
        struct x87_val b = {0};                                                                    \
        x87_wait(c, o);                                                                            \
        uint64_t va = op_ea(c, o, size, false);                                                    \
        b.mant = load(c, o, va);                                                                   \
        x87_note_mem(c, o, va);                                                                    \
        push_raw(c, o, &b);                                                                        \
    }
LOAD_OP(load16, 2, mmu_ld16)
LOAD_OP(load32, 4, mmu_ld32)
LOAD_OP(load64, 8, mmu_ld64)

static void load80(struct cpu *c, const struct op *o, struct x87_val *b)
{
    uint64_t va = x87_ea80(c, o, false);
    const void *p = mmu_ptr_r(c, va, 10);
    if (likely(p))
        memcpy(b, p, 10);
    else
        mmu_read_bytes(c, o, va, b, 10);
    x87_note_mem(c, o, va);
}

WORKER_OP(load_bcd)
{
    struct x87_val b = {0};
    x87_wait(c, o);
    load80(c, o, &b);
    push_raw(c, o, &b);
}

/* FLD m80 moves bits: no conversion, no exception but stack overflow. */
WORKER_OP(load_m80)
{
    struct abi_vcpu_state *s = c->s;
    struct x87_val b = {0};
    x87_wait(c, o);
    load80(c, o, &b);
    s->fsw &= (uint16_t)~X87_C1;
    if (unlikely(!x87_empty(s, x87_phys(s, 7)))) {
        if (!x87_stack_fault(s, true))
            return;
        b = X87_INDEFINITE;
    }
    x87_push(s, b);
}

WORKER_OP(load_constant)
{
    struct x87_val none = {0};
    x87_wait(c, o);
    x87_note(c, o);
    push_raw(c, o, &none);
}

static bool load_set(struct op *o, op_fn fn, const struct x87_raw *f)
{
    o->fn = fn;
    o->imm = (uintptr_t)f;
    return true;
}

bool x87_load_mem(struct op *o, const struct x87_in *d)
{
    switch (d->op << 4 | d->reg) {
    case 0x10:
        return load_set(o, load32, &fld_m32);
    case 0x50:
        return load_set(o, load64, &fld_m64);
    case 0x35:
        return load_set(o, load_m80, NULL);
    case 0x70:
        return load_set(o, load16, &fild_m16);
    case 0x30:
        return load_set(o, load32, &fild_m32);
    case 0x75:
        return load_set(o, load64, &fild_m64);
    case 0x74:
        return load_set(o, load_bcd, &fbld_m80);
    default:
        return false;
    }
}

bool x87_load_reg(struct op *o, const struct x87_in *d)
{
    static const struct x87_raw *const constants[8] = {&fld1_,   &fldl2t_, &fldl2e_, &fldpi_,
                                                       &fldlg2_, &fldln2_, &fldz_,   NULL};
    if (d->op != 1 || d->reg != 5 || !constants[d->rm])
        return false;
    return load_set(o, load_constant, constants[d->rm]);
}
