/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finds the handler of a floating-point or SIMD instruction, and decides at decode time which of
 * #UD and #NM the processor's mode makes of it (SDM 3, table 13-1 and 22-1). Must never look at
 * guest state: decoded code is shared by all that runs in the same mode.
 */
#include "cpu-worker/helpers/simd.h"
#include "cpu-worker/helpers/simd-op.h"

static OP(raise_nm)
{
    cpu_raise(c, o, VEC_NM);
}

static OP(raise_ud)
{
    cpu_raise(c, o, VEC_UD);
}

static bool sse_any(struct op *o, const struct simd_in *d)
{
    return sse_move_decode(o, d) || sse_int_decode(o, d) || sse_fp_decode(o, d) ||
           sse_store_decode(o, d) || sse_shuffle_decode(o, d) || sse_fpcmp_decode(o, d) ||
           sse_cvt_decode(o, d) || sse4_decode(o, d) || sse_element_decode(o, d) ||
           sse_string_decode(o, d) || crypto_decode(o, d) || sse4a_decode(o, d);
}

static bool gate_sse(struct op *o, uint32_t mode)
{
    if ((mode & MODE_EM) || !(mode & MODE_OSFXSR))
        o->fn = raise_ud;
    else if (mode & MODE_TS)
        o->fn = raise_nm;
    return true;
}

/* CR4.OSXSAVE and both XCR0 bits; CR0.EM and CR4.OSFXSR do not matter (SDM 2A, 2.4). */
static bool gate_avx(struct op *o, uint32_t mode)
{
    if (!(mode & MODE_AVX))
        o->fn = raise_ud;
    else if (mode & MODE_TS)
        o->fn = raise_nm;
    return true;
}

static bool gate_mmx(struct op *o, uint32_t mode)
{
    if (mode & MODE_EM)
        o->fn = raise_ud;
    else if (mode & MODE_TS)
        o->fn = raise_nm;
    return true;
}

static bool gate_x87(struct op *o, uint32_t mode)
{
    if (mode & (MODE_EM | MODE_TS))
        o->fn = raise_nm;
    return true;
}

/* Registers, memory shape and size out of the visible operands. */
static void operands_read(struct op *o, struct simd_in *d)
{
    bool xmm = false, mmx = false;
    unsigned regs = 0;
    d->shape = SHAPE_RR;
    for (unsigned i = 0; i < d->in->operand_count_visible && i < 2; i++) {
        const ZydisDecodedOperand *p = &d->ops[i];
        if (p->type == ZYDIS_OPERAND_TYPE_MEMORY) {
            d->shape = i ? SHAPE_RM : SHAPE_MR;
        } else if (p->type == ZYDIS_OPERAND_TYPE_REGISTER) {
            ZydisRegisterClass k = ZydisRegisterGetClass(p->reg.value);
            uint8_t id = (uint8_t)ZydisRegisterGetId(p->reg.value);
            xmm |= k == ZYDIS_REGCLASS_XMM;
            mmx |= k == ZYDIS_REGCLASS_MMX;
            d->wide |= k == ZYDIS_REGCLASS_GPR64;
            if (i == 0)
                o->dst = id;
            else
                o->src = id;
            regs++;
        }
    }
    if (regs == 1 && d->shape == SHAPE_RR)
        o->src = o->dst;
    d->mmx = mmx && !xmm;
}

void simd_implicit_destination(struct op *o, const struct simd_in *d)
{
    ZydisRegister seg = ZYDIS_REGISTER_DS;
    for (unsigned i = 0; i < d->in->operand_count; i++) {
        if (d->ops[i].type == ZYDIS_OPERAND_TYPE_MEMORY)
            seg = d->ops[i].mem.segment;
    }
    o->base = REG_RDI;
    o->index = REG_ZERO;
    o->scale = 0;
    o->disp = 0;
    o->seg = (uint8_t)(seg - ZYDIS_REGISTER_ES);
    o->ea = d->in->address_width == 16 ? EA_16 : d->in->address_width == 32 ? EA_32 : 0;
    if (!(d->mode & MODE_64))
        o->ea |= EA_LEGACY | (seg == ZYDIS_REGISTER_SS ? EA_STACK : 0);
    else if (seg != ZYDIS_REGISTER_FS && seg != ZYDIS_REGISTER_GS)
        o->seg = ABI_SEG_FLAT;
}

bool simd_decode(struct op *o, const ZydisDecodedInstruction *in, const ZydisDecodedOperand *ops,
                 uint32_t mode, bool amd)
{
    struct simd_in d = {.in = in, .ops = ops, .mn = in->mnemonic, .mode = mode, .amd = amd};

    o->dst = o->src = 0;
    o->aux = 0;
    o->aux2 = 0;
    if (in->encoding == ZYDIS_INSTRUCTION_ENCODING_VEX)
        return (mode & MODE_PE) && vex_decode(o, &d) && gate_avx(o, mode);
    if (in->encoding == ZYDIS_INSTRUCTION_ENCODING_3DNOW) {
        operands_read(o, &d);
        return now_decode(o, &d) && gate_mmx(o, mode);
    }
    if (in->encoding != ZYDIS_INSTRUCTION_ENCODING_LEGACY)
        return false;
    if (in->opcode_map == ZYDIS_OPCODE_MAP_DEFAULT) {
        if (d.mn == ZYDIS_MNEMONIC_FWAIT) /* has a rule of its own */
            return x87_decode(o, &d);
        return in->opcode >= 0xd8 && in->opcode <= 0xdf && x87_decode(o, &d) && gate_x87(o, mode);
    }
    operands_read(o, &d);
    if (d.mn == ZYDIS_MNEMONIC_MASKMOVQ || d.mn == ZYDIS_MNEMONIC_MASKMOVDQU)
        simd_implicit_destination(o, &d);
    if (cache_decode(o, &d))
        return true;
    if (d.mn == ZYDIS_MNEMONIC_LDMXCSR || d.mn == ZYDIS_MNEMONIC_STMXCSR)
        return fxsave_decode(o, &d) && gate_sse(o, mode);
    if (xsave_decode(o, &d)) /* has rules of its own */
        return true;
    if (fxsave_decode(o, &d))
        return gate_x87(o, mode);
    if ((d.mmx || d.mn == ZYDIS_MNEMONIC_EMMS || d.mn == ZYDIS_MNEMONIC_FEMMS) && (mmx_int_decode(o, &d) || mmx_move_decode(o, &d)))
        return gate_mmx(o, mode);
    if (d.mmx) /* CVTxx2PI from memory */
        return sse_cvt_decode(o, &d) && gate_sse(o, mode);
    return sse_any(o, &d) && gate_sse(o, mode);
}
