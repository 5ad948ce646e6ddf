/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pre-decoder's entry: one Zydis decode, operand fields, then the table of the instruction's class.
 * Owns the translation of operands; knows no semantics. What no class knows raises #UD when executed.
 */
#include "cpu-worker/interp/decode.h"
#include <cpuid.h>
#include "cpu-worker/helpers/simd.h"
#include "cpu-worker/interp/handlers.h"

bool host_is_amd, host_mul_keeps_flags;

/* 0 * 0 with ZF, AF and PF clear and SF set before: an Intel processor sets PF by the result. */
static bool mul_keeps_flags(void)
{
    uint32_t f = 0x8000;
    __asm__("sahf\n\timull %1,%1\n\tlahf" : "+a"(f) : "r"(0) : "cc");
    return (f & 0xd400) == 0x8000;
}
static void host_probe(void)
{
    unsigned a, b, c, d;
    __cpuid(0, a, b, c, d);
    host_is_amd = b == signature_AMD_ebx || b == 0x6f677948 /* Hygon */;
    host_mul_keeps_flags = mul_keeps_flags();
}

/* Encodings that are a hint (NOP) or an older instruction where the extension is absent: MPX, CET and
 * CLDEMOTE are NOPs, WBNOINVD is WBINVD, LZCNT is BSR, TZCNT is BSF. One decoder per combination. */
static const struct {
    ZydisDecoderMode mode;
    uint16_t feature;
} variant[] = {
    {ZYDIS_DECODER_MODE_LZCNT, FEAT_ABM},
    {ZYDIS_DECODER_MODE_TZCNT, FEAT_BMI1},
    {ZYDIS_DECODER_MODE_WBNOINVD, FEAT_WBNOINVD},
    {ZYDIS_DECODER_MODE_CLDEMOTE, FEAT_CLDEMOTE},
};
#define VARIANTS (sizeof(variant) / sizeof(variant[0]))

#define AMD_BRANCHES (1u << VARIANTS) /* 16-bit near branches in 64-bit mode */

static ZydisDecoder decoder[2 * AMD_BRANCHES][4];

static void decoder_init(ZydisDecoder *dec, ZydisMachineMode mode, ZydisStackWidth stack, unsigned has)
{
    ZydisDecoderInit(dec, mode, stack);
    ZydisDecoderEnableMode(dec, ZYDIS_DECODER_MODE_MPX, ZYAN_FALSE);
    ZydisDecoderEnableMode(dec, ZYDIS_DECODER_MODE_CET, ZYAN_FALSE);
    for (unsigned i = 0; i < VARIANTS; i++)
        ZydisDecoderEnableMode(dec, variant[i].mode, has >> i & 1);
    ZydisDecoderEnableMode(dec, ZYDIS_DECODER_MODE_AMD_BRANCHES, has & AMD_BRANCHES);
}
/* Before main, so that no thread finds a decoder half made. */
static __attribute__((constructor)) void decoders_init(void)
{
    host_probe();
    for (unsigned has = 0; has < 2 * AMD_BRANCHES; has++) {
        ZydisDecoder *d = decoder[has];
        decoder_init(&d[0], ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64, has);
        decoder_init(&d[1], ZYDIS_MACHINE_MODE_LEGACY_32, ZYDIS_STACK_WIDTH_32, has);
        decoder_init(&d[2], ZYDIS_MACHINE_MODE_LEGACY_16, ZYDIS_STACK_WIDTH_16, has);
        decoder_init(&d[3], ZYDIS_MACHINE_MODE_REAL_16, ZYDIS_STACK_WIDTH_16, has);
    }
}
static const ZydisDecoder *decoder_for(const struct decode_in *in)
{
    unsigned has = in->vendor == ABI_CPU_AMD ? AMD_BRANCHES : 0;
    for (unsigned i = 0; i < VARIANTS; i++)
        has |= (unsigned)abi_cpu_has(in->feat, variant[i].feature) << i;
    if (in->mode & MODE_64)
        return &decoder[has][0];
    if (in->mode & MODE_CS32)
        return &decoder[has][1];
    return &decoder[has][in->mode & MODE_PE ? 2 : 3];
}

uint8_t decode_gpr(ZydisRegister r)
{
    if (r >= ZYDIS_REGISTER_AL && r <= ZYDIS_REGISTER_BL)
        return (uint8_t)((r - ZYDIS_REGISTER_AL) * 8);
    if (r >= ZYDIS_REGISTER_AH && r <= ZYDIS_REGISTER_BH)
        return (uint8_t)((r - ZYDIS_REGISTER_AH) * 8 + 1);
    if (r >= ZYDIS_REGISTER_SPL && r <= ZYDIS_REGISTER_R15B)
        return (uint8_t)((r - ZYDIS_REGISTER_SPL + 4) * 8);
    if (r >= ZYDIS_REGISTER_AX && r <= ZYDIS_REGISTER_R15W)
        return (uint8_t)(r - ZYDIS_REGISTER_AX);
    if (r >= ZYDIS_REGISTER_EAX && r <= ZYDIS_REGISTER_R15D)
        return (uint8_t)(r - ZYDIS_REGISTER_EAX);
    if (r >= ZYDIS_REGISTER_RAX && r <= ZYDIS_REGISTER_R15)
        return (uint8_t)(r - ZYDIS_REGISTER_RAX);
    return REG_ZERO;
}
uint8_t decode_seg(ZydisRegister r)
{
    return (uint8_t)(r - ZYDIS_REGISTER_ES); /* ES CS SS DS FS GS, the hardware's order */
}

static void operand_segment(struct decoding *d, const ZydisDecodedOperand *m)
{
    struct op *o = d->o;
    uint8_t seg = decode_seg(m->mem.segment);
    if (!d->m64) {
        o->seg = seg;
        o->ea |= EA_LEGACY | (seg == ABI_SS ? EA_STACK : 0);
    } else {
        o->seg = seg == ABI_FS || seg == ABI_GS || seg == ABI_SS ? seg : ABI_SEG_FLAT;
    }
}
static void operand_memory(struct decoding *d, const ZydisDecodedOperand *m)
{
    struct op *o = d->o;
    int64_t disp = m->mem.disp.has_displacement ? m->mem.disp.value : 0;

    o->base = decode_gpr(m->mem.base);
    o->index = decode_gpr(m->mem.index);
    o->scale = m->mem.scale > 1 ? (uint8_t)__builtin_ctz(m->mem.scale) : 0;
    /* SIB without a base: Zydis 4.0 gives R13D when REX.B is set and the address size is 32. */
    if (d->in->address_width != 16 && d->in->raw.modrm.rm == 4 && d->in->raw.modrm.mod == 0 &&
        d->in->raw.sib.base == 5) {
        o->base = REG_ZERO;
        disp = d->in->raw.disp.value;
    }
    if (m->mem.base == ZYDIS_REGISTER_RIP || m->mem.base == ZYDIS_REGISTER_EIP) {
        o->base = REG_BLOCK;
        disp += o->next_off;
    }
    if (d->in->address_width == 16)
        o->ea |= EA_16;
    else if (d->in->address_width == 32 && d->m64)
        o->ea |= EA_32;
    else if (d->in->address_width == 32)
        o->ea |= EA_32;
    operand_segment(d, m);
    o->disp = (int32_t)disp;
}
static void operands(struct decoding *d)
{
    struct op *o = d->o;
    o->base = o->index = REG_ZERO;
    o->seg = ABI_SEG_FLAT;
    for (unsigned i = 0; i < d->in->operand_count_visible; i++) {
        const ZydisDecodedOperand *p = &d->ops[i];
        if (is_mem(p))
            operand_memory(d, p);
        else if (is_imm(p))
            o->imm = p->imm.value.u;
    }
}

static enum decode_result cannot(struct op *o, const struct decode_in *in, op_fn fn)
{
    o->fn = fn;
    o->len = 1;
    o->next_off = in->off + 1;
    return DECODE_END;
}
static OP(op_gp)
{
    cpu_raise_err(c, o, VEC_GP, 0);
}

/* Real mode: SYSENTER and SYSEXIT are #GP(0), where Zydis knows no such instruction (SDM volume 2). */
static bool sysenter_in_real(const struct decode_in *in, ZyanStatus st)
{
    return st == ZYDIS_STATUS_DECODING_ERROR && !(in->mode & (MODE_PE | MODE_VM86)) && in->avail >= 2 &&
           in->bytes[0] == 0x0f && (in->bytes[1] & 0xfe) == 0x34 && abi_cpu_has(in->feat, FEAT_SEP);
}
static OP(op_ud_after_load)
{
    mmu_ld16(c, o, op_ea(c, o, 2, false));
    cpu_raise(c, o, VEC_UD);
}
/* The instruction without its LOCK prefixes; *dropped = how many there were. */
static bool decode_unlocked(const struct decode_in *in, ZydisDecodedInstruction *insn,
                            ZydisDecodedOperand *ops, unsigned *dropped)
{
    uint8_t bytes[15] = {0};
    bool escape = false; /* past the prefixes */
    unsigned n = 0;

    *dropped = 0;
    for (unsigned i = 0; i < in->avail && i < sizeof(bytes); i++) {
        if (in->bytes[i] == 0xf0 && !escape)
            ++*dropped;
        else
            bytes[n++] = in->bytes[i];
        escape |= in->bytes[i] == 0x0f;
    }
    return ZYAN_SUCCESS(ZydisDecoderDecodeFull(decoder_for(in), bytes, n, insn, ops));
}
static bool moves_cr0(const ZydisDecodedInstruction *insn, const ZydisDecodedOperand *ops)
{
    return insn->mnemonic == ZYDIS_MNEMONIC_MOV &&
           (ops[0].reg.value == ZYDIS_REGISTER_CR0 || ops[1].reg.value == ZYDIS_REGISTER_CR0);
}
/* Where LOCK is not allowed and does not simply raise #UD. LOCK MOV CR0 is MOV CR8 where that is advertised
 * (APM volume 3, MOV CRn). LOCK VERW of memory: AMD's processors read the operand before they see that the
 * prefix is not allowed, so that a fault of the access comes first. */
static bool decode_locked(struct op *o, const struct decode_in *in)
{
    ZydisDecodedInstruction insn;
    ZydisDecodedOperand ops[ZYDIS_MAX_OPERAND_COUNT];
    unsigned dropped;
    bool end, cr8 = abi_cpu_has(in->feat, FEAT_CR8LEGACY);

    if (!decode_unlocked(in, &insn, ops, &dropped))
        return false;
    struct decoding d = {o, &insn, ops, in->mode, in->mode & MODE_64, in->feat, false};
    o->len = insn.length + (uint8_t)dropped;
    o->next_off = in->off + o->len;
    operands(&d);
    if (cr8 && moves_cr0(&insn, ops)) {
        decode_system(&d, &end);
        if (ops[0].reg.value == ZYDIS_REGISTER_CR0)
            o->dst = 8;
        else
            o->src = 8;
        return true;
    }
    o->fn = op_ud_after_load;
    return host_is_amd && insn.mnemonic == ZYDIS_MNEMONIC_VERW && is_mem(&ops[0]);
}

enum decode_result decode_one(struct op *o, const struct decode_in *in)
{
    ZydisDecodedInstruction insn;
    ZydisDecodedOperand ops[ZYDIS_MAX_OPERAND_COUNT];

    memset(o, 0, 2 * sizeof(*o));
    o->off = (uint16_t)in->off;
    ZyanStatus st = ZydisDecoderDecodeFull(decoder_for(in), in->bytes, in->avail, &insn, ops);
    if (st == ZYDIS_STATUS_NO_MORE_DATA && in->avail < 15)
        return DECODE_MORE;
    if (st == ZYDIS_STATUS_ILLEGAL_LOCK && decode_locked(o, in))
        return DECODE_END;
    if (sysenter_in_real(in, st))
        return cannot(o, in, op_gp);
    if (!ZYAN_SUCCESS(st))
        return cannot(o, in, st == ZYDIS_STATUS_INSTRUCTION_TOO_LONG ? op_gp : op_ud);

    struct decoding d = {o, &insn, ops, in->mode, in->mode & MODE_64, in->feat, in->vendor == ABI_CPU_AMD};
    bool end = false;
    o->len = insn.length;
    o->next_off = in->off + insn.length;
    operands(&d);
    if (!isa_has(&insn, in->feat) ||
        (!decode_integer(&d, &end) && !decode_control(&d, &end) && !decode_system(&d, &end) &&
         !simd_decode(o, &insn, ops, in->mode, d.amd))) {
        o->fn = op_ud;
        end = true;
    }
    if (!o->fn) {
        o->fn = op_ud;
        end = true;
    }
    return end ? DECODE_END : DECODE_OK;
}
