/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Handlers of VEX instructions, by shape: registers, a memory source, a memory destination, a destination
 * in VEX.vvvv, and everything that touches general registers or flags. What they compute is in the slot
 * (vex-stub.S) that decoding chose. Must never commit before the last access that can fault.
 */
#include "cpu-worker/helpers/vex.h"

static _Thread_local uint8_t copy[32];

static __attribute__((noinline, cold)) const void *source_slow(struct cpu *c, const struct op *o,
                                                               uint64_t va)
{
    mmu_read_bytes(c, o, va, copy, o->aux2 & VEX_SIZE);
    return copy;
}

static inline uint64_t operand_va(struct cpu *c, const struct op *o, bool write)
{
    unsigned size = o->aux2 & VEX_SIZE;
    if (unlikely(o->aux2 & VEX_ALIGNED))
        return simd_aligned_ea(c, o, size, write);
    return op_ea(c, o, size, write);
}

static inline __attribute__((always_inline)) const void *source(struct cpu *c, const struct op *o)
{
    uint64_t va = operand_va(c, o, false);
    const void *p = mmu_ptr_r(c, va, o->aux2 & VEX_SIZE);
    return likely(p) ? p : source_slow(c, o, va);
}

/* ---- one result, all operands vectors ----
 * Each shape in 128 and 256 bits; as it is for instructions without MXCSR, and under the guest's MXCSR.
 * 128-bit loads clear the upper halves, 256-bit ones are cleared again, so that SSE code around does not
 * pay for them. */

#define ANY_MXCSR(name, PRE, RUN)                                                                  \
    static OP(name)                                                                                \
    {                                                                                              \
        PRE;                                                                                       \
        RUN;                                                                                       \
        NEXT();                                                                                    \
    }                                                                                              \
    static SIMD_COLD OP(name##_cold)                                                               \
    {                                                                                              \
        PRE;                                                                                       \
        simd_mx_enter(c, o);                                                                       \
        RUN;                                                                                       \
        simd_mx_leave(c);                                                                          \
        NEXT();                                                                                    \
    }                                                                                              \
    static OP(name##_fp)                                                                           \
    {                                                                                              \
        if (unlikely(!simd_mx_fast(c)))                                                            \
            return name##_cold(c, o);                                                              \
        PRE;                                                                                       \
        RUN;                                                                                       \
        NEXT();                                                                                    \
    }

#define SLOT [slot] "r"(o->imm)
#define USED "rsi", "xmm0", "xmm1", "xmm2", "xmm3", "memory"
#define LOAD_AD(R) "vmovdqu %[a], %%" R "mm0\n\tvmovdqu %[d], %%" R "mm1\n\t"
#define RUN_RR(R, FOURTH, CLEAN)                                                                   \
    __asm__ volatile(LOAD_AD(R) "vmovdqu %[b], %%" R "mm2\n\t" FOURTH VEX_GO("%[slot]")             \
                     "vmovdqu %%ymm1, %[d]" CLEAN                                                  \
                     : [d] "+m"(Y(o->dst))                                                         \
                     : [a] "m"(Y(o->aux & 15)), [b] "m"(Y(o->src)), [k] "m"(Y(o->aux >> 8)), SLOT    \
                     : USED)
#define RUN_RM(R, FOURTH, CLEAN)                                                                   \
    __asm__ volatile(LOAD_AD(R) FOURTH VEX_GO("%[slot]") "vmovdqu %%ymm1, %[d]" CLEAN               \
                     : [d] "+m"(Y(o->dst))                                                         \
                     : [a] "m"(Y(o->aux & 15)), [k] "m"(Y(o->aux >> 8)), "D"(p), SLOT                \
                     : USED)
#define RUN_NDD(R, CLEAN)                                                                          \
    __asm__ volatile("vmovdqu %[b], %%" R "mm2\n\t" VEX_GO("%[slot]") "vmovdqu %%ymm0, %[d]" CLEAN  \
                     : [d] "=m"(Y(o->aux))                                                         \
                     : [b] "m"(Y(o->src)), SLOT                                                    \
                     : USED)
#define RUN_MR(R, CLEAN)                                                                           \
    __asm__ volatile("vmovdqu %[d], %%" R "mm1\n\t" VEX_GO("%[slot]") CLEAN                         \
                     :                                                                             \
                     : [d] "m"(Y(o->dst)), "D"(p), SLOT                                            \
                     : USED)
#define RUN_TO_RM(R, CLEAN)                                                                        \
    __asm__ volatile(LOAD_AD(R) VEX_GO("%[slot]") "vmovdqu %%ymm2, %[b]" CLEAN                      \
                     : [b] "=m"(Y(o->src))                                                         \
                     : [a] "m"(Y(o->aux & 15)), [d] "m"(Y(o->dst)), SLOT                             \
                     : USED)
#define FOURTH(R) "vmovdqu %[k], %%" R "mm3\n\t"
#define CLEAN "\n\tvzeroupper"

ANY_MXCSR(rr128, , RUN_RR("x", "", ""))
ANY_MXCSR(rr256, , RUN_RR("y", "", CLEAN))
/* VEXTRACTF128, VCVTPS2PH and the store opcodes of moves write ModRM.rm. */
ANY_MXCSR(to_rm128, , RUN_TO_RM("x", ""))
ANY_MXCSR(to_rm256, , RUN_TO_RM("y", CLEAN))
ANY_MXCSR(rm128, const void *p = source(c, o), RUN_RM("x", "", ""))
ANY_MXCSR(rm256, const void *p = source(c, o), RUN_RM("y", "", CLEAN))

/* Blends by a fourth register, and shifts whose destination is VEX.vvvv: no MXCSR. */
#define PLAIN(name, PRE, RUN)                                                                      \
    static OP(name)                                                                                \
    {                                                                                              \
        PRE;                                                                                       \
        RUN;                                                                                       \
        NEXT();                                                                                    \
    }
PLAIN(rrk128, , RUN_RR("x", FOURTH("x"), ""))
PLAIN(rrk256, , RUN_RR("y", FOURTH("y"), CLEAN))
PLAIN(rmk128, const void *p = source(c, o), RUN_RM("x", FOURTH("x"), ""))
PLAIN(rmk256, const void *p = source(c, o), RUN_RM("y", FOURTH("y"), CLEAN))
PLAIN(ndd128, , RUN_NDD("x", ""))
PLAIN(ndd256, , RUN_NDD("y", CLEAN))

/* ---- stores ---- */

static __attribute__((noinline, cold)) void store_slow(struct cpu *c, const struct op *o, uint64_t va)
{
    void *p = copy;
    bool cold = (o->aux2 & VEX_FP) && !simd_mx_fast(c);
    mmu_probe_write(c, o, va, o->aux2 & VEX_SIZE);
    if (cold)
        simd_mx_enter(c, o);
    RUN_MR("y", CLEAN);
    if (cold)
        simd_mx_leave(c);
    mmu_write_bytes(c, o, va, copy, o->aux2 & VEX_SIZE);
}

#define STORE(name, R, ZERO)                                                                       \
    static OP(name)                                                                                \
    {                                                                                              \
        uint64_t va = operand_va(c, o, true);                                                      \
        void *p = mmu_ptr_w(c, va, o->aux2 & VEX_SIZE);                                            \
        if (likely(p && !(o->aux2 & VEX_FP)))                                                      \
            RUN_MR(R, ZERO);                                                                       \
        else                                                                                       \
            store_slow(c, o, va);                                                                  \
        NEXT();                                                                                    \
    }
STORE(mr128, "x", "")
STORE(mr256, "y", CLEAN)

/* ---- general registers and flags ---- */

WORKER_OP(general)
{
    const void *p = o->aux2 & VEX_MEM ? source(c, o) : copy;
    struct vex_reg zero, result;
    uint64_t a = c->gpr[REG_RAX];
    uint64_t reg = o->aux2 & VEX_REG_GPR ? c->gpr[o->dst] : 0;
    uint64_t rm = o->aux2 & VEX_RM_GPR ? c->gpr[o->src] : c->gpr[REG_RDX];
    bool cold = (o->aux2 & VEX_FP) && !simd_mx_fast(c);

    if (cold)
        simd_mx_enter(c, o);
    __asm__ volatile(LOAD_AD("y") "vmovdqu %[b], %%ymm2\n\t" VEX_GO("%[slot]") "vmovdqu %%ymm0, %[zero]\n\t"
                     "vmovdqu %%ymm1, %[result]\n\tlahf\n\tseto %%al" CLEAN
                     : [zero] "=m"(zero), [result] "=m"(result), "+a"(a), "+c"(reg), "+d"(rm)
                     : [a] "m"(Y(o->aux & 15)), [d] "m"(Y(o->dst)), [b] "m"(Y(o->src)), "D"(p), SLOT
                     : USED, "cc");
    if (cold)
        simd_mx_leave(c);
    if (o->aux2 & VEX_FLAGS)
        c->fl = (uint16_t)a;
    if (o->aux2 & VEX_DST)
        Y(o->dst) = result;
    if (o->aux2 & VEX_REG_GPR)
        c->gpr[o->dst] = reg;
    if (o->aux2 & VEX_RM_GPR)
        c->gpr[o->src] = rm;
    if (o->aux2 & VEX_TO_RCX)
        c->gpr[REG_RCX] = (uint32_t)reg;
    if (o->aux2 & VEX_TO_XMM0)
        Y(0) = zero;
}

/* ---- VZEROUPPER, VZEROALL: aux = how many registers there are in this mode ---- */

static OP(zeroupper)
{
    for (unsigned i = 0; i < o->aux; i++)
        memset(c->s->ymm[i] + 16, 0, 16);
    NEXT();
}

static OP(zeroall)
{
    memset(c->s->ymm, 0, 32u * o->aux);
    NEXT();
}

/* ---- decoding ---- */

static bool carried(ZydisISASet set)
{
    switch (set) {
    case ZYDIS_ISA_SET_AVX:
    case ZYDIS_ISA_SET_AVX2:
    case ZYDIS_ISA_SET_AVX2GATHER:
    case ZYDIS_ISA_SET_AVXAES:
    case ZYDIS_ISA_SET_AVX_GFNI:
    case ZYDIS_ISA_SET_F16C:
    case ZYDIS_ISA_SET_FMA:
    case ZYDIS_ISA_SET_VAES:
    case ZYDIS_ISA_SET_VPCLMULQDQ:
        return true;
    default:
        return false;
    }
}

static uint32_t flags_of(const struct simd_in *d)
{
    switch (d->mn) {
    case ZYDIS_MNEMONIC_VMOVAPS:
    case ZYDIS_MNEMONIC_VMOVAPD:
    case ZYDIS_MNEMONIC_VMOVDQA:
    case ZYDIS_MNEMONIC_VMOVNTPS:
    case ZYDIS_MNEMONIC_VMOVNTPD:
    case ZYDIS_MNEMONIC_VMOVNTDQ:
    case ZYDIS_MNEMONIC_VMOVNTDQA:
        return VEX_ALIGNED;
    case ZYDIS_MNEMONIC_VPTEST:
    case ZYDIS_MNEMONIC_VTESTPS:
    case ZYDIS_MNEMONIC_VTESTPD:
        return VEX_FLAGS;
    case ZYDIS_MNEMONIC_VCOMISS:
    case ZYDIS_MNEMONIC_VCOMISD:
    case ZYDIS_MNEMONIC_VUCOMISS:
    case ZYDIS_MNEMONIC_VUCOMISD:
        return VEX_FLAGS | VEX_FP;
    case ZYDIS_MNEMONIC_VPCMPESTRI:
    case ZYDIS_MNEMONIC_VPCMPISTRI:
        return VEX_FLAGS | VEX_TO_RCX;
    case ZYDIS_MNEMONIC_VPCMPESTRM:
    case ZYDIS_MNEMONIC_VPCMPISTRM:
        return VEX_FLAGS | VEX_TO_XMM0;
    default:
        break;
    }
    ZydisExceptionClass k = d->in->meta.exception_class;
    bool fp = k == ZYDIS_EXCEPTION_CLASS_AVX2 || k == ZYDIS_EXCEPTION_CLASS_AVX3 ||
              k == ZYDIS_EXCEPTION_CLASS_AVX11;
    return fp ? VEX_FP : 0;
}

static bool vector(ZydisRegister r)
{
    ZydisRegisterClass k = ZydisRegisterGetClass(r);
    return k == ZYDIS_REGCLASS_XMM || k == ZYDIS_REGCLASS_YMM;
}

static void register_read(struct op *o, const ZydisDecodedOperand *p)
{
    uint8_t id = (uint8_t)ZydisRegisterGetId(p->reg.value);
    switch (p->encoding) {
    case ZYDIS_OPERAND_ENCODING_MODRM_REG:
        o->dst = id;
        if (!vector(p->reg.value))
            o->aux2 |= VEX_REG_GPR;
        else if (p->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE)
            o->aux2 |= VEX_DST;
        break;
    case ZYDIS_OPERAND_ENCODING_MODRM_RM:
        o->src = id;
        if (!vector(p->reg.value))
            o->aux2 |= VEX_RM_GPR;
        break;
    case ZYDIS_OPERAND_ENCODING_NDSNDD:
        o->aux |= id;
        break;
    case ZYDIS_OPERAND_ENCODING_IS4:
        o->aux |= (uint16_t)(id << 8);
        break;
    default:
        break;
    }
}

static bool writes_rm(const struct simd_in *d)
{
    const ZydisDecodedOperand *p = &d->ops[0];
    return p->type == ZYDIS_OPERAND_TYPE_REGISTER && p->encoding == ZYDIS_OPERAND_ENCODING_MODRM_RM &&
           vector(p->reg.value);
}

static void operands_read(struct op *o, struct simd_in *d)
{
    d->shape = SHAPE_RR;
    for (unsigned i = 0; i < d->in->operand_count_visible; i++) {
        const ZydisDecodedOperand *p = &d->ops[i];
        if (p->type == ZYDIS_OPERAND_TYPE_REGISTER) {
            register_read(o, p);
        } else if (p->type == ZYDIS_OPERAND_TYPE_MEMORY) {
            d->shape = i ? SHAPE_RM : SHAPE_MR;
            o->aux2 |= p->size / 8u | (i ? VEX_MEM : 0);
        }
    }
}

static op_fn handler(const struct op *o, const struct simd_in *d)
{
    bool wide = d->in->raw.vex.L, fp = o->aux2 & VEX_FP;
    bool fourth = d->in->operand_count_visible == 4 && d->ops[3].encoding == ZYDIS_OPERAND_ENCODING_IS4;
    bool rm = d->shape == SHAPE_RM;
    if (o->aux2 & (VEX_REG_GPR | VEX_RM_GPR | VEX_FLAGS))
        return general;
    if (d->shape == SHAPE_MR)
        return wide ? mr256 : mr128;
    if (d->ops[0].encoding == ZYDIS_OPERAND_ENCODING_NDSNDD)
        return wide ? ndd256 : ndd128;
    if (writes_rm(d) && fp)
        return wide ? to_rm256_fp : to_rm128_fp;
    if (writes_rm(d))
        return wide ? to_rm256 : to_rm128;
    if (fourth)
        return wide ? (rm ? rmk256 : rrk256) : (rm ? rmk128 : rrk128);
    if (fp)
        return wide ? (rm ? rm256_fp : rr256_fp) : (rm ? rm128_fp : rr128_fp);
    return wide ? (rm ? rm256 : rr256) : (rm ? rm128 : rr128);
}

/* LDMXCSR, STMXCSR and MASKMOVDQU do in VEX clothes what they do without. */
static bool as_legacy(struct op *o, struct simd_in *d)
{
    switch (d->mn) {
    case ZYDIS_MNEMONIC_VLDMXCSR:
        d->mn = ZYDIS_MNEMONIC_LDMXCSR;
        return fxsave_decode(o, d);
    case ZYDIS_MNEMONIC_VSTMXCSR:
        d->mn = ZYDIS_MNEMONIC_STMXCSR;
        return fxsave_decode(o, d);
    case ZYDIS_MNEMONIC_VMASKMOVDQU:
        d->mn = ZYDIS_MNEMONIC_MASKMOVDQU;
        simd_implicit_destination(o, d);
        return sse_store_decode(o, d);
    default:
        return false;
    }
}

static bool zero_decode(struct op *o, const struct simd_in *d)
{
    o->aux = d->mode & MODE_64 ? 16 : 8;
    o->fn = d->mn == ZYDIS_MNEMONIC_VZEROALL ? zeroall : zeroupper;
    return d->mn == ZYDIS_MNEMONIC_VZEROALL || d->mn == ZYDIS_MNEMONIC_VZEROUPPER;
}

/* Outside 64-bit mode W does not make the operands wider that are general registers or stand for one in
 * memory (SDM 2A, 2.3.6.2). */
static bool w_ignored(const struct op *o, const struct simd_in *d)
{
    if (d->mode & MODE_64)
        return false;
    switch (d->mn) {
    case ZYDIS_MNEMONIC_VMOVD:
    case ZYDIS_MNEMONIC_VPINSRD:
    case ZYDIS_MNEMONIC_VPEXTRD:
    case ZYDIS_MNEMONIC_VCVTSI2SS:
    case ZYDIS_MNEMONIC_VCVTSI2SD:
        return true;
    default:
        return o->aux2 & (VEX_REG_GPR | VEX_RM_GPR | VEX_TO_RCX | VEX_TO_XMM0);
    }
}
/* Their quadword twins need 64-bit mode: outside of it an AMD raises #UD (APM 4, VPINSRQ, VPEXTRQ), where an
 * Intel ignores W. */
static bool quadword_refused(const struct simd_in *d)
{
    return d->amd && !(d->mode & MODE_64) && d->in->raw.vex.W &&
           (d->mn == ZYDIS_MNEMONIC_VPINSRD || d->mn == ZYDIS_MNEMONIC_VPEXTRD);
}
bool vex_decode(struct op *o, struct simd_in *d)
{
    if (!carried(d->in->meta.isa_set) || quadword_refused(d))
        return false;
    if (zero_decode(o, d))
        return true;
    o->aux = 0;
    operands_read(o, d);
    if (as_legacy(o, d) || vex_memory_decode(o, d))
        return true;
    o->aux2 |= flags_of(d);
    bool wide = d->in->raw.vex.W && !w_ignored(o, d);
    o->imm = (uintptr_t)vex_slot(d->in, wide, d->shape != SHAPE_RR);
    o->fn = handler(o, d);
    return o->imm != 0;
}
