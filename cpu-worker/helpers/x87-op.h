/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the x87 handlers are written with: the register stack, stack faults, and running one
 * operation on the host's x87 under the guest's control word. Included by helpers/ only.
 *
 * Between operations the host's x87 stack is empty, its exceptions are masked, and its sticky flags
 * are a subset of the guest's; so with a guest that masks everything (nearly all do) an operation
 * only ORs its flags into the guest's. With unmasked exceptions it runs under the guest's real
 * control word with clean flags: x87 exceptions are deferred, so the host shows what happened
 * without a trap, and is cleaned before the next waiting instruction.
 */
#ifndef BULKHEAD_CPU_WORKER_HELPERS_X87_OP_H
#define BULKHEAD_CPU_WORKER_HELPERS_X87_OP_H

#include "cpu-worker/helpers/simd-op.h"

#define X87_IE 0x0001u
#define X87_PRE 0x0007u      /* IE DE ZE unmasked: the operation does not happen */
#define X87_PRE_STORE 0x001fu /* a store does not happen for OE and UE either */
#define X87_FLAGS 0x003fu
#define X87_SF 0x0040u
#define X87_ES 0x8080u /* ES and its copy B */
#define X87_C0 0x0100u
#define X87_C1 0x0200u
#define X87_C2 0x0400u
#define X87_C3 0x4000u
#define X87_CC (X87_C0 | X87_C2 | X87_C3)

/* The layout of abi_vcpu_state.fpr[]: ten bytes as FLD m80 reads them. */
struct x87_val {
    uint64_t mant;
    uint16_t se;
    uint16_t pad[3];
};
#define X87_INDEFINITE ((struct x87_val){0xc000000000000000ull, 0xffff, {0}})

/* One operation on the host: r = result, a = ST(0), b = second operand (struct x87_val, or the
 * bytes of a memory operand in a buffer of 16), cw = the guest's control word. Returns the status
 * word. */
typedef uint16_t (*x87_fn)(struct x87_val *r, const struct x87_val *a, const void *b, uint16_t cw);
struct x87_raw {
    x87_fn masked, unmasked;
    uint16_t cc; /* condition codes the operation defines, besides C1 */
};

#define X87_RAW_FNS(name, LOAD, INSN, RESULT)                                                      \
    static uint16_t name##_masked(struct x87_val *r, const struct x87_val *a, const void *b,       \
                                  uint16_t cw)                                                     \
    {                                                                                              \
        uint16_t sw;                                                                               \
        __asm__ volatile("fldcw %[cw]\n\t" LOAD INSN "\n\tfnstsw %%ax\n\t" RESULT                  \
                         : "=a"(sw), [r] "+m"(*r)                                                  \
                         : [cw] "m"(cw), [a] "m"(*a), [b] "m"(*(const struct x87_val *)b)          \
                         : "st", "st(1)", "st(2)");                                                \
        return sw;                                                                                 \
    }                                                                                              \
    static uint16_t name##_unmasked(struct x87_val *r, const struct x87_val *a, const void *b,     \
                                    uint16_t cw)                                                   \
    {                                                                                              \
        uint16_t sw;                                                                               \
        static const uint16_t off = 0x037f;                                                        \
        __asm__ volatile("fnclex\n\tfldcw %[cw]\n\t" LOAD INSN "\n\tfnstsw %%ax\n\tfnclex\n\t"     \
                         "fldcw %[off]\n\t" RESULT "fninit"                                        \
                         : "=a"(sw), [r] "+m"(*r)                                                  \
                         : [cw] "m"(cw), [off] "m"(off), [a] "m"(*a),                              \
                           [b] "m"(*(const struct x87_val *)b)                                     \
                         : "st", "st(1)", "st(2)");                                                \
        return sw;                                                                                 \
    }
#define X87_RAW(name, cc, LOAD, INSN, RESULT)                                                      \
    X87_RAW_FNS(name, LOAD, INSN, RESULT)                                                          \
    static const struct x87_raw name = {name##_masked, name##_unmasked, cc};

#define X87_LOAD_A  "fldt %[a]\n\t"
#define X87_LOAD_BA "fldt %[b]\n\tfldt %[a]\n\t"
#define X87_POP_R   "fstpt %[r]\n\t"
#define X87_POP_R_B "fstpt %[r]\n\tfstp %%st(0)\n\t"

static inline void x87_host_clear(void)
{
    uint16_t sw;
    __asm__ volatile("fnstsw %%ax" : "=a"(sw));
    if (sw & X87_FLAGS)
        __asm__ volatile("fnclex");
}

/* ---- the register stack ---- */

static inline unsigned x87_top(const struct abi_vcpu_state *s)
{
    return s->fsw >> 11 & 7;
}
static inline unsigned x87_phys(const struct abi_vcpu_state *s, unsigned i)
{
    return (x87_top(s) + i) & 7;
}
static inline void x87_set_top(struct abi_vcpu_state *s, unsigned top)
{
    s->fsw = (uint16_t)((s->fsw & ~0x3800u) | (top & 7) << 11);
}
static inline bool x87_empty(const struct abi_vcpu_state *s, unsigned phys)
{
    return (s->ftw >> 2 * phys & 3) == 3;
}
static inline struct x87_val *x87_reg(struct abi_vcpu_state *s, unsigned phys)
{
    return (struct x87_val *)&s->fpr[phys];
}
/* Write a register and mark it used. Tags of used registers are kept as "valid"; x87_full_tags
 * tells zero and special ones apart when somebody looks. */
static inline void x87_put(struct abi_vcpu_state *s, unsigned phys, struct x87_val v)
{
    s->fpr[phys].mant = v.mant;
    s->fpr[phys].se = v.se;
    s->ftw &= (uint16_t)~(3u << 2 * phys);
}
static inline void x87_free(struct abi_vcpu_state *s, unsigned phys)
{
    s->ftw |= (uint16_t)(3u << 2 * phys);
}
static inline void x87_pop(struct abi_vcpu_state *s)
{
    x87_free(s, x87_top(s));
    x87_set_top(s, x87_top(s) + 1);
}
static inline void x87_push(struct abi_vcpu_state *s, struct x87_val v)
{
    x87_set_top(s, x87_top(s) - 1);
    x87_put(s, x87_top(s), v);
}
uint16_t x87_full_tags(const struct abi_vcpu_state *s);

/* ---- exceptions ---- */

/* Stack underflow or overflow: sets IE, SF and C1. True if the masked response is to be given. */
bool x87_stack_fault(struct abi_vcpu_state *s, bool overflow);

/* Summary bit after flags or masks were changed directly. */
static inline void x87_update_es(struct abi_vcpu_state *s)
{
    if (s->fsw & ~s->fcw & X87_FLAGS)
        s->fsw |= X87_ES;
    else
        s->fsw &= (uint16_t)~X87_ES;
}

/* Waiting instructions report what an earlier one left pending. */
static inline void x87_wait(struct cpu *c, const struct op *o)
{
    if (unlikely(c->s->fsw & 0x80))
        simd_mf(c, o);
}
/* Instruction pointer and opcode of a non-control instruction; aux = its 11-bit opcode. */
static inline void x87_note(struct cpu *c, const struct op *o)
{
    c->s->fip = c->gpr[REG_BLOCK] + o->off;
    c->s->fcs = c->s->seg[ABI_CS].selector;
    c->s->fop = o->aux;
}
/* Ten bytes are two accesses, of eight and two: each is checked by itself (as AMD's processors do it; the
 * manuals do not say which fault of one instruction comes first: SDM 3A 7.9, APM 2 8.2). */
static inline uint64_t x87_ea80(struct cpu *c, const struct op *o, bool write)
{
    uint64_t va;
    if (likely(!o->ea)) {
        va = op_ea(c, o, 10, write);
        if (likely((va & 0xfff) <= 0xff6))
            return va;
    }
    va = simd_part_probe(c, o, 0, 8, write);
    simd_part_probe(c, o, 8, 2, write);
    return va;
}
/* ... and its memory operand; aux2 bits 8..15 = segment register. */
static inline void x87_note_mem(struct cpu *c, const struct op *o, uint64_t va)
{
    x87_note(c, o);
    c->s->fdp = va - c->segbase[o->seg];
    c->s->fds = c->s->seg[o->aux2 >> 8 & 7].selector;
}

/* Run an operation and take over its flags. False if an unmasked exception of `fatal` stops it. */
static inline bool x87_run(struct abi_vcpu_state *s, const struct x87_raw *f, struct x87_val *r,
                           const struct x87_val *a, const void *b, unsigned fatal)
{
    uint16_t cw = s->fcw, sw;
    bool masked = (cw & X87_FLAGS) == X87_FLAGS;

    sw = masked ? f->masked(r, a, b, cw) : f->unmasked(r, a, b, cw);
    s->fsw = (uint16_t)((s->fsw & ~(X87_C1 | f->cc)) | (sw & (X87_FLAGS | X87_C1 | f->cc)));
    if (likely(masked))
        return true;
    if (sw & ~cw & X87_FLAGS)
        s->fsw |= X87_ES;
    return !(sw & ~cw & fatal);
}

/* aux2 bits 0..7: how many registers the instruction pops. */
static inline void x87_pops(struct cpu *c, const struct op *o)
{
    for (unsigned n = o->aux2 & 3; n; n--)
        x87_pop(c->s);
}

/* One encoding: the second opcode byte, taken apart. dst, src, aux and aux2's segment are set. */
struct x87_in {
    unsigned op;  /* first opcode byte - 0xd8 */
    unsigned reg; /* ModRM.reg */
    unsigned rm;
    bool short_env; /* 14-byte environment: 16-bit operand size */
    bool real_env;  /* real-mode layout of the environment */
};
bool x87_arith_mem(struct op *o, const struct x87_in *d);
bool x87_arith_reg(struct op *o, const struct x87_in *d);
bool x87_compare_reg(struct op *o, const struct x87_in *d);
bool x87_load_mem(struct op *o, const struct x87_in *d);
bool x87_load_reg(struct op *o, const struct x87_in *d);
bool x87_store_mem(struct op *o, const struct x87_in *d);
bool x87_stack_reg(struct op *o, const struct x87_in *d);
bool x87_function_reg(struct op *o, const struct x87_in *d);
bool x87_control_mem(struct op *o, const struct x87_in *d);
bool x87_control_reg(struct op *o, const struct x87_in *d);
op_fn x87_fwait(void);

#endif
