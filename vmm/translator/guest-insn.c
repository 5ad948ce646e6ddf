/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From bytes to struct ginsn. Zydis is asked once per instruction; afterwards nobody looks at its structures.
 * Must never read past the bytes it was given.
 */
#include "vmm/translator/guest-insn.h"

#include <string.h>
#include "ipc/abi/vcpu-state.h"

static int gpr_of(ZydisRegister r)
{
    switch (ZydisRegisterGetClass(r)) {
    case ZYDIS_REGCLASS_GPR16: case ZYDIS_REGCLASS_GPR32: case ZYDIS_REGCLASS_GPR64:
        return ZydisRegisterGetId(r);
    default:
        return -1;
    }
}
static struct field field_of(const ZydisDecodedOperand *o, unsigned num)
{
    struct field f = {.class = F_OTHER, .num = (uint8_t)num, .bits = o->size};
    f.rd = o->actions & ZYDIS_OPERAND_ACTION_MASK_READ;
    f.wr = o->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE;
    f.rd |= f.wr && (o->size < 32 || (o->actions & ZYDIS_OPERAND_ACTION_CONDWRITE));
    switch (ZydisRegisterGetClass(o->reg.value)) {
    case ZYDIS_REGCLASS_GPR8:
        f.class = o->reg.value >= ZYDIS_REGISTER_AH && o->reg.value <= ZYDIS_REGISTER_BH ? F_GPR8H : F_GPR;
        if (f.class == F_GPR8H)
            f.num = (uint8_t)(o->reg.value - ZYDIS_REGISTER_AH);
        break;
    case ZYDIS_REGCLASS_GPR16: case ZYDIS_REGCLASS_GPR32: case ZYDIS_REGCLASS_GPR64:
        f.class = F_GPR;
        break;
    case ZYDIS_REGCLASS_XMM: case ZYDIS_REGCLASS_YMM:
        f.class = F_VECTOR;
        break;
    default:
        break;
    }
    return f;
}
static void memory_of(struct ginsn *g, const ZydisDecodedOperand *o, bool no_base, int64_t disp)
{
    if (o->encoding != ZYDIS_OPERAND_ENCODING_MODRM_RM && o->encoding != ZYDIS_OPERAND_ENCODING_DISP16_32_64) {
        g->implicit_mem = true;
        return;
    }
    g->mem = true;
    g->mem_rd = o->actions & ZYDIS_OPERAND_ACTION_MASK_READ;
    g->mem_wr = o->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE;
    g->mem_size = o->size / 8;
    bool rip = o->mem.base == ZYDIS_REGISTER_RIP || o->mem.base == ZYDIS_REGISTER_EIP;
    g->ea = (struct gea){
        .base = (int8_t)(rip ? -1 : gpr_of(o->mem.base)), .index = (int8_t)gpr_of(o->mem.index),
        .scale = o->mem.scale ? o->mem.scale : 1, .rip = rip, .disp = o->mem.disp.value, .a32 = g->p67,
        .seg = o->mem.segment == ZYDIS_REGISTER_FS ? ABI_FS : o->mem.segment == ZYDIS_REGISTER_GS ? ABI_GS : -1};
    if (o->mem.type == ZYDIS_MEMOP_TYPE_VSIB || o->mem.type == ZYDIS_MEMOP_TYPE_MIB)
        g->implicit_mem = true;
    if (no_base) { /* Zydis 4.0 gives R13D and no displacement with an address size prefix */
        g->ea.base = -1;
        g->ea.disp = disp;
    }
    if (rip)
        g->ea.disp += g->off + g->len;
}
static uint16_t written(ZydisRegister r, ZydisRegisterClass c)
{
    if (c == ZYDIS_REGCLASS_GPR8) {
        int n = r - ZYDIS_REGISTER_AL;
        return (uint16_t)(1u << (n < 4 ? n : n < 8 ? n - 4 : n - 4));
    }
    return gpr_of(r) < 0 ? 0 : (uint16_t)(1u << gpr_of(r));
}
static void operand_of(struct ginsn *g, const ZydisDecodedInstruction *in, const ZydisDecodedOperand *o)
{
    if (o->type == ZYDIS_OPERAND_TYPE_MEMORY) {
        memory_of(g, o, in->raw.modrm.mod == 0 && in->raw.modrm.rm == 4 && in->raw.sib.base == 5,
                  in->raw.disp.value);
        return;
    }
    if (o->type == ZYDIS_OPERAND_TYPE_IMMEDIATE) {
        if (o->encoding != ZYDIS_OPERAND_ENCODING_NONE && !g->relative && !g->imm)
            g->imm = o->imm.value.s;
        g->relative |= o->imm.is_relative;
        return;
    }
    if (o->type != ZYDIS_OPERAND_TYPE_REGISTER)
        return;
    ZydisRegisterClass c = ZydisRegisterGetClass(o->reg.value);
    if (o->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE)
        g->writes |= written(o->reg.value, c);
    g->mmx |= c == ZYDIS_REGCLASS_MMX;
    g->x87 |= c == ZYDIS_REGCLASS_X87;
    unsigned rexb = g->vex ? !in->raw.vex.B : in->raw.rex.B;
    switch (o->encoding) {
    case ZYDIS_OPERAND_ENCODING_MODRM_REG:
        g->reg = field_of(o, in->raw.modrm.reg | (g->vex ? !in->raw.vex.R : in->raw.rex.R) << 3);
        break;
    case ZYDIS_OPERAND_ENCODING_MODRM_RM:
        g->rm = field_of(o, in->raw.modrm.rm | rexb << 3);
        break;
    case ZYDIS_OPERAND_ENCODING_NDSNDD:
        g->v = field_of(o, g->raw_vvvv);
        break;
    case ZYDIS_OPERAND_ENCODING_OPCODE:
        g->opreg = field_of(o, (in->opcode & 7) | rexb << 3);
        break;
    default:
        break;
    }
}
/* Zydis keeps R, X, B and vvvv of VEX as they are encoded: inverted. */
static void prefixes_of(struct ginsn *g, const ZydisDecodedInstruction *in)
{
    for (unsigned k = 0; k < in->raw.prefix_count; k++) {
        uint8_t p = in->raw.prefixes[k].value;
        g->p66 |= p == 0x66;
        g->p67 |= p == 0x67;
        g->lock |= p == 0xf0;
        if (p == 0xf2 || p == 0xf3)
            g->rep = p;
    }
    g->rep_string = in->attributes & (ZYDIS_ATTRIB_HAS_REP | ZYDIS_ATTRIB_HAS_REPE | ZYDIS_ATTRIB_HAS_REPNE);
    g->w = g->vex ? in->raw.vex.W : in->raw.rex.W;
    g->op = in->opcode;
    if (g->vex) {
        g->map = in->raw.vex.m_mmmm;
        g->pp = in->raw.vex.pp;
        g->l = in->raw.vex.L;
        g->raw_vvvv = ~in->raw.vex.vvvv & 15;
    } else {
        g->map = in->opcode_map == ZYDIS_OPCODE_MAP_0F ? 1 : in->opcode_map == ZYDIS_OPCODE_MAP_0F38 ? 2
               : in->opcode_map == ZYDIS_OPCODE_MAP_0F3A ? 3 : in->opcode_map == ZYDIS_OPCODE_MAP_DEFAULT ? 0 : 0xff;
    }
}
/* Their undefined AF is 0 on every processor, whatever it was. */
static bool logic(ZydisMnemonic m)
{
    return m == ZYDIS_MNEMONIC_AND || m == ZYDIS_MNEMONIC_OR || m == ZYDIS_MNEMONIC_XOR || m == ZYDIS_MNEMONIC_TEST;
}
static void flags_of(struct ginsn *g, const ZydisDecodedInstruction *in)
{
    const ZydisAccessedFlags *f = in->cpu_flags;
    if (!f)
        return;
    g->fl_read = f->tested & ARITH_FLAGS;
    g->fl_any = ((f->modified | f->set_0 | f->set_1 | f->undefined) & ARITH_FLAGS) != 0;
    switch (in->mnemonic) {
    case ZYDIS_MNEMONIC_ADD: case ZYDIS_MNEMONIC_SUB: case ZYDIS_MNEMONIC_CMP: case ZYDIS_MNEMONIC_NEG:
    case ZYDIS_MNEMONIC_ADC: case ZYDIS_MNEMONIC_SBB: case ZYDIS_MNEMONIC_XADD: case ZYDIS_MNEMONIC_CMPXCHG:
    case ZYDIS_MNEMONIC_AND: case ZYDIS_MNEMONIC_OR: case ZYDIS_MNEMONIC_XOR: case ZYDIS_MNEMONIC_TEST:
    case ZYDIS_MNEMONIC_COMISD: case ZYDIS_MNEMONIC_COMISS: case ZYDIS_MNEMONIC_UCOMISD:
    case ZYDIS_MNEMONIC_UCOMISS: case ZYDIS_MNEMONIC_PTEST: case ZYDIS_MNEMONIC_POPCNT:
        g->fl_write = (f->modified | f->set_0 | f->set_1 | (logic(in->mnemonic) ? f->undefined : 0)) & ARITH_FLAGS;
        break;
    default:
        break;
    }
}

/* Of the vector instruction sets, what is none: no vector register and no MXCSR. */
static bool simd_of(const struct ginsn *g)
{
    switch (g->mn) {
    case ZYDIS_MNEMONIC_CRC32: case ZYDIS_MNEMONIC_MOVNTI: case ZYDIS_MNEMONIC_SFENCE: case ZYDIS_MNEMONIC_LFENCE:
    case ZYDIS_MNEMONIC_MFENCE: case ZYDIS_MNEMONIC_PAUSE:
        return false;
    default:
        break;
    }
    switch (g->isa) {
    case ZYDIS_ISA_SET_SSE: case ZYDIS_ISA_SET_SSE2: case ZYDIS_ISA_SET_SSE3: case ZYDIS_ISA_SET_SSSE3:
    case ZYDIS_ISA_SET_SSE4: case ZYDIS_ISA_SET_SSE42: case ZYDIS_ISA_SET_AES: case ZYDIS_ISA_SET_PCLMULQDQ:
    case ZYDIS_ISA_SET_SHA: case ZYDIS_ISA_SET_AVX: case ZYDIS_ISA_SET_AVX2: case ZYDIS_ISA_SET_AVXAES:
    case ZYDIS_ISA_SET_FMA: case ZYDIS_ISA_SET_F16C: case ZYDIS_ISA_SET_SSEMXCSR: case ZYDIS_ISA_SET_GFNI: case ZYDIS_ISA_SET_AVX_GFNI:
    case ZYDIS_ISA_SET_VAES: case ZYDIS_ISA_SET_VPCLMULQDQ:
        return true;
    default:
        return false;
    }
}

bool ginsn_decode(struct ginsn *g, const uint8_t *bytes, unsigned avail, uint32_t off)
{
    ZydisDecoder d;
    ZydisDecodedInstruction in;
    ZydisDecodedOperand ops[ZYDIS_MAX_OPERAND_COUNT];
    memset(g, 0, sizeof(*g));
    if (!ZYAN_SUCCESS(ZydisDecoderInit(&d, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64)))
        return false;
    ZydisDecoderEnableMode(&d, ZYDIS_DECODER_MODE_MPX, ZYAN_FALSE);
    ZydisDecoderEnableMode(&d, ZYDIS_DECODER_MODE_CET, ZYAN_FALSE);
    if (!ZYAN_SUCCESS(ZydisDecoderDecodeFull(&d, bytes, avail < 15 ? avail : 15, &in, ops)))
        return false;
    if (in.encoding != ZYDIS_INSTRUCTION_ENCODING_LEGACY && in.encoding != ZYDIS_INSTRUCTION_ENCODING_VEX)
        return false;
    g->mn = (uint16_t)in.mnemonic;
    g->len = in.length;
    g->off = (uint16_t)off;
    g->opsize = in.operand_width;
    g->isa = (uint16_t)in.meta.isa_set;
    memcpy(g->bytes, bytes, in.length);
    g->vex = in.encoding == ZYDIS_INSTRUCTION_ENCODING_VEX;
    prefixes_of(g, &in);
    g->modrm = in.attributes & ZYDIS_ATTRIB_HAS_MODRM;
    g->reg_num = in.raw.modrm.reg;
    g->imm_at = in.raw.imm[0].offset;
    g->imm_len = (uint8_t)(in.raw.imm[0].size / 8 + in.raw.imm[1].size / 8);
    for (unsigned k = 0; k < in.operand_count; k++)
        operand_of(g, &in, &ops[k]);
    flags_of(g, &in);
    g->simd = simd_of(g);
    if (g->mn == ZYDIS_MNEMONIC_BSF || g->mn == ZYDIS_MNEMONIC_BSR) /* of 0: the destination stays as it is */
        g->reg.rd = true;
    return true;
}

/* ---- what may be translated at all ---- */

struct rule {
    bool known;
    uint16_t feature;
};
#define ALWAYS(set) [ZYDIS_ISA_SET_##set] = {true, 0xffff}
#define ONE(set, f) [ZYDIS_ISA_SET_##set] = {true, FEAT_##f}
static const struct rule rule_of[ZYDIS_ISA_SET_MAX_VALUE + 1] = {
    ALWAYS(I86), ALWAYS(I186), ALWAYS(I386), ALWAYS(I486), ALWAYS(I486REAL), ALWAYS(FAT_NOP), ALWAYS(LONGMODE),
    ALWAYS(PENTIUMREAL), ONE(LAHF, LAHF_LM), ONE(CMOV, CMOV), ONE(CMPXCHG16B, CX16), ONE(SSE, SSE),
    ONE(SSE2, SSE2), ONE(SSE3, SSE3), ONE(SSSE3, SSSE3), ONE(SSE4, SSE41), ONE(SSE42, SSE42), ONE(POPCNT, POPCNT),
    ONE(LZCNT, ABM), ONE(MOVBE, MOVBE), ONE(BMI1, BMI1), ONE(BMI2, BMI2), ONE(ADOX_ADCX, ADX), ONE(AES, AES),
    ONE(PCLMULQDQ, PCLMULQDQ), ONE(SHA, SHA_NI), ONE(AVX, AVX), ONE(AVX2, AVX2), ONE(AVXAES, AES), ONE(FMA, FMA),
    ONE(GFNI, GFNI), ONE(AVX_GFNI, GFNI), ONE(VAES, VAES), ONE(VPCLMULQDQ, VPCLMULQDQ),
    ONE(F16C, F16C), ONE(SSEMXCSR, SSE), ONE(SSE_PREFETCH, SSE), ALWAYS(PREFETCH_NOP),
};
static bool vector_mode(const struct ginsn *g, const struct abi_xl_in *in)
{
    if (in->mode & (ABI_XL_MODE_EM | ABI_XL_MODE_TS) || !(in->mode & ABI_XL_MODE_OSFXSR))
        return false;
    return !g->vex || ((in->mode & ABI_XL_MODE_AVX) && abi_cpu_has(in->feat, FEAT_AVX));
}
bool ginsn_allowed(const struct ginsn *g, const struct abi_xl_in *in)
{
    const struct rule *r = &rule_of[g->isa];
    if (!r->known || (r->feature != 0xffff && !abi_cpu_has(in->feat, (enum cpu_feature)r->feature)))
        return false;
    if (g->mmx || g->x87)
        return false;
    if (g->mn == ZYDIS_MNEMONIC_CMPXCHG8B)
        return abi_cpu_has(in->feat, FEAT_CX8);
    return !g->simd || vector_mode(g, in);
}
