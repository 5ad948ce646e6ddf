/* SPDX-License-Identifier: Apache-2.0 */
/*
 * x87 stores to memory: FST, FSTP, FIST, FISTP, FISTTP, FBSTP. Must never change the status word or
 * the stack before the store, which can fault, has been done.
 */
#include "cpu-worker/helpers/x87-op.h"

/* The popping instruction serves both forms: the host's stack is emptied anyway. */
X87_RAW(fst_m32, 0, X87_LOAD_A, "fstps %[r]", "")
X87_RAW(fst_m64, 0, X87_LOAD_A, "fstpl %[r]", "")
X87_RAW(fist_m16, 0, X87_LOAD_A, "fistps %[r]", "")
X87_RAW(fist_m32, 0, X87_LOAD_A, "fistpl %[r]", "")
X87_RAW(fist_m64, 0, X87_LOAD_A, "fistpll %[r]", "")
X87_RAW(fisttp_m16, 0, X87_LOAD_A, "fisttps %[r]", "")
X87_RAW(fisttp_m32, 0, X87_LOAD_A, "fisttpl %[r]", "")
X87_RAW(fisttp_m64, 0, X87_LOAD_A, "fisttpll %[r]", "")
X87_RAW(fbst_m80, 0, X87_LOAD_A, "fbstp %[r]", "")

/* Masked response to an empty ST(0), by format. */
static const struct x87_val indefinite_m32 = {0xffc00000u, 0, {0}};
static const struct x87_val indefinite_m64 = {0xfff8000000000000ull, 0, {0}};
static const struct x87_val indefinite_i16 = {0x8000u, 0, {0}};
static const struct x87_val indefinite_i32 = {0x80000000u, 0, {0}};
static const struct x87_val indefinite_i64 = {0x8000000000000000ull, 0, {0}};
static const struct x87_val indefinite_bcd = {0xc000000000000000ull, 0xffff, {0}};

struct store {
    const struct x87_raw *raw;
    const struct x87_val *indefinite;
};

static void store_bytes(struct cpu *c, const struct op *o, uint64_t va, const struct x87_val *r,
                        unsigned size)
{
    void *p = mmu_ptr_w(c, va, size);
    if (likely(p))
        memcpy(p, r, size);
    else
        mmu_write_bytes(c, o, va, r, size);
}

/* Computes into r. True if r is to be stored; *sw is the status word to commit after that. */
static bool convert(struct abi_vcpu_state *s, const struct store *t, struct x87_val *r,
                    uint16_t *sw)
{
    uint16_t old = s->fsw;
    bool go = true;

    if (unlikely(x87_empty(s, x87_top(s)))) {
        *r = *t->indefinite;
        go = x87_stack_fault(s, false);
    } else {
        go = x87_run(s, t->raw, r, x87_reg(s, x87_top(s)), r, X87_PRE_STORE);
    }
    *sw = s->fsw;
    s->fsw = old;
    return go;
}

static inline void store_op(struct cpu *c, const struct op *o, unsigned size)
{
    struct abi_vcpu_state *s = c->s;
    struct x87_val r = {0};
    uint16_t sw;

    x87_wait(c, o);
    uint64_t va = size == 10 ? x87_ea80(c, o, true) : op_ea(c, o, size, true);
    bool go = convert(s, (const struct store *)(uintptr_t)o->imm, &r, &sw);
    if (likely(go))
        store_bytes(c, o, va, &r, size);
    else
        mmu_probe_write(c, o, va, size); /* the address is checked all the same */
    s->fsw = sw;
    x87_note_mem(c, o, va);
    if (likely(go))
        x87_pops(c, o);
}

WORKER_OP(store2)
{
    store_op(c, o, 2);
}

WORKER_OP(store4)
{
    store_op(c, o, 4);
}

WORKER_OP(store8)
{
    store_op(c, o, 8);
}

WORKER_OP(store10)
{
    store_op(c, o, 10);
}

/* FSTP m80 moves bits. */
WORKER_OP(store_m80)
{
    struct abi_vcpu_state *s = c->s;
    struct x87_val r = *x87_reg(s, x87_top(s));

    x87_wait(c, o);
    uint64_t va = x87_ea80(c, o, true);
    bool empty = x87_empty(s, x87_top(s));
    if (unlikely(empty)) {
        if (!(s->fcw & X87_IE)) {
            mmu_probe_write(c, o, va, 10);
            x87_note_mem(c, o, va);
            x87_stack_fault(s, false);
            return;
        }
        r = X87_INDEFINITE;
    }
    store_bytes(c, o, va, &r, 10);
    s->fsw &= (uint16_t)~X87_C1;
    if (unlikely(empty))
        x87_stack_fault(s, false);
    x87_note_mem(c, o, va);
    x87_pop(s);
}

static bool store_set(struct op *o, op_fn fn, const struct store *t, unsigned pops)
{
    o->fn = fn;
    o->imm = (uintptr_t)t;
    o->aux2 |= pops;
    return true;
}

bool x87_store_mem(struct op *o, const struct x87_in *d)
{
    static const struct store m32 = {&fst_m32, &indefinite_m32};
    static const struct store m64 = {&fst_m64, &indefinite_m64};
    static const struct store i16 = {&fist_m16, &indefinite_i16};
    static const struct store i32 = {&fist_m32, &indefinite_i32};
    static const struct store i64 = {&fist_m64, &indefinite_i64};
    static const struct store t16 = {&fisttp_m16, &indefinite_i16};
    static const struct store t32 = {&fisttp_m32, &indefinite_i32};
    static const struct store t64 = {&fisttp_m64, &indefinite_i64};
    static const struct store bcd = {&fbst_m80, &indefinite_bcd};

    switch (d->op << 4 | d->reg) {
    case 0x12:
        return store_set(o, store4, &m32, 0);
    case 0x13:
        return store_set(o, store4, &m32, 1);
    case 0x52:
        return store_set(o, store8, &m64, 0);
    case 0x53:
        return store_set(o, store8, &m64, 1);
    case 0x37:
        return store_set(o, store_m80, NULL, 1);
    case 0x72:
        return store_set(o, store2, &i16, 0);
    case 0x73:
        return store_set(o, store2, &i16, 1);
    case 0x32:
        return store_set(o, store4, &i32, 0);
    case 0x33:
        return store_set(o, store4, &i32, 1);
    case 0x77:
        return store_set(o, store8, &i64, 1);
    case 0x71:
        return store_set(o, store2, &t16, 1);
    case 0x31:
        return store_set(o, store4, &t32, 1);
    case 0x51:
        return store_set(o, store8, &t64, 1);
    case 0x76:
        return store_set(o, store10, &bcd, 1);
    default:
        return false;
    }
}
