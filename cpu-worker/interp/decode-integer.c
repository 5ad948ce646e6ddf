/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pre-decoding of integer arithmetic, moves, bits and strings: from mnemonic and operand kinds to a
 * handler of the tables in handlers.h.
 */
#include "cpu-worker/interp/decode.h"
#include "cpu-worker/interp/handlers.h"

#define M(x) ZYDIS_MNEMONIC_##x

static void dst_reg(struct decoding *d, unsigned i)
{
    d->o->dst = decode_gpr(d->ops[i].reg.value);
}
static void src_reg(struct decoding *d, unsigned i)
{
    d->o->src = decode_gpr(d->ops[i].reg.value);
}
static bool locked(const struct decoding *d)
{
    return d->in->attributes & ZYDIS_ATTRIB_HAS_LOCK;
}

static void alu(struct decoding *d, enum alu_op op)
{
    const ZydisDecodedOperand *a = &d->ops[0], *b = &d->ops[1];
    unsigned sz = size_index(a->size);
    enum alu_form f;
    if (is_reg(a)) {
        dst_reg(d, 0);
        if (is_reg(b)) {
            src_reg(d, 1);
            f = FORM_RR;
        } else {
            f = is_mem(b) ? FORM_RM : FORM_RI;
        }
    } else if (is_reg(b)) {
        src_reg(d, 1);
        f = locked(d) ? FORM_LMR : FORM_MR;
    } else {
        f = locked(d) ? FORM_LMI : FORM_MI;
    }
    d->o->fn = alu_table[op][f][sz];
}
static void unary(struct decoding *d, enum un_op op)
{
    unsigned form = is_reg(&d->ops[0]) ? 0 : locked(d) ? 2 : 1;
    if (!form)
        dst_reg(d, 0);
    d->o->fn = unary_table[op][form][size_index(d->ops[0].size)];
}
/* Counts: an immediate, or CL. */
static void shift(struct decoding *d, enum sh_op op)
{
    unsigned form = (is_reg(&d->ops[0]) ? 0 : 2) + (is_reg(&d->ops[1]) ? 1 : 0);
    if (form < 2)
        dst_reg(d, 0);
    d->o->fn = shift_table[op][form][size_index(d->ops[0].size)];
}
static void shift_double(struct decoding *d, unsigned op)
{
    unsigned form = (is_reg(&d->ops[0]) ? 0 : 2) + (is_reg(&d->ops[2]) ? 1 : 0);
    if (form < 2)
        dst_reg(d, 0);
    src_reg(d, 1);
    d->o->fn = shld_table[op][form][size_index(d->ops[0].size)];
}

/* A 64-bit absolute address does not fit the displacement: those forms of MOV keep it in imm. */
static bool mov_absolute(struct decoding *d, const ZydisDecodedOperand *m, bool store)
{
    int64_t disp = m->mem.disp.value;
    if (!d->m64 || m->mem.base != ZYDIS_REGISTER_NONE || m->mem.index != ZYDIS_REGISTER_NONE ||
        disp == (int32_t)disp || d->in->address_width != 64)
        return false;
    d->o->imm = (uint64_t)disp;
    d->o->aux = d->ops[0].size / 8;
    d->o->fn = store ? op_movabs_st : op_movabs_ld;
    return true;
}
static bool mov(struct decoding *d)
{
    const ZydisDecodedOperand *a = &d->ops[0], *b = &d->ops[1];
    unsigned sz = size_index(a->size);
    if (is_mem(a) && is_imm(b)) {
        d->o->fn = mov_mi[sz];
        return true;
    }
    if (is_mem(a)) {
        if (b->reg.value >= ZYDIS_REGISTER_ES && b->reg.value <= ZYDIS_REGISTER_GS)
            return false;
        src_reg(d, 1);
        if (!mov_absolute(d, a, true))
            d->o->fn = mov_mr[sz];
        return true;
    }
    if (a->reg.value >= ZYDIS_REGISTER_ES) /* segment, control and debug registers */
        return false;
    dst_reg(d, 0);
    if (is_imm(b)) {
        d->o->fn = mov_ri[sz];
    } else if (is_mem(b)) {
        if (!mov_absolute(d, b, false))
            d->o->fn = mov_rm[sz];
    } else {
        if (b->reg.value >= ZYDIS_REGISTER_ES)
            return false;
        src_reg(d, 1);
        d->o->fn = mov_rr[sz];
    }
    return true;
}
static void extend(struct decoding *d, bool sign)
{
    unsigned from = size_index(d->ops[1].size), to = size_index(d->ops[0].size);
    dst_reg(d, 0);
    if (is_reg(&d->ops[1])) {
        src_reg(d, 1);
        d->o->fn = sign ? movsx_r[from][to] : movzx_r[from][to];
    } else {
        d->o->fn = sign ? movsx_m[from][to] : movzx_m[from][to];
    }
}
static void lea(struct decoding *d)
{
    dst_reg(d, 0);
    d->o->aux = d->in->address_width;
    d->o->fn = lea_table[size_index(d->ops[0].size)];
}
static void cmov(struct decoding *d, unsigned cc)
{
    unsigned sz = size_index(d->ops[0].size) - 1;
    dst_reg(d, 0);
    if (is_reg(&d->ops[1])) {
        src_reg(d, 1);
        d->o->fn = cmov_r[sz][cc];
    } else {
        d->o->fn = cmov_m[sz][cc];
    }
}
static void setcc(struct decoding *d, unsigned cc)
{
    if (is_reg(&d->ops[0])) {
        dst_reg(d, 0);
        d->o->fn = setcc_r[cc];
    } else {
        d->o->fn = setcc_m[cc];
    }
}
/* XCHG, XADD, CMPXCHG: XCHG may have its memory operand second. */
static void exchange(struct decoding *d, const op_fn *rr, const op_fn *mr)
{
    unsigned m = is_mem(&d->ops[0]) ? 0 : is_mem(&d->ops[1]) ? 1 : 2, sz = size_index(d->ops[0].size);
    if (m == 2) {
        dst_reg(d, 0);
        src_reg(d, 1);
        d->o->fn = rr[sz];
    } else {
        src_reg(d, 1 - m);
        d->o->fn = mr[sz];
    }
}
static void bit_test(struct decoding *d, unsigned op)
{
    unsigned sz = size_index(d->ops[0].size), imm = is_imm(&d->ops[1]);
    if (!imm)
        src_reg(d, 1);
    if (is_reg(&d->ops[0])) {
        dst_reg(d, 0);
        d->o->fn = bt_r_table[op][imm][sz];
    } else {
        d->o->fn = bt_m_table[op][imm][sz];
    }
}
static void scan(struct decoding *d, unsigned op)
{
    unsigned sz = size_index(d->ops[0].size);
    dst_reg(d, 0);
    if (is_reg(&d->ops[1])) {
        src_reg(d, 1);
        d->o->fn = scan_r[op][sz];
    } else {
        d->o->fn = scan_m[op][sz];
    }
}
static void mul_div(struct decoding *d, unsigned op)
{
    unsigned sz = size_index(d->ops[0].size);
    if (is_reg(&d->ops[0])) {
        src_reg(d, 0);
        d->o->fn = mul_r[host_mul_keeps_flags][op][sz];
    } else {
        d->o->fn = mul_m[host_mul_keeps_flags][op][sz];
    }
}
static void imul(struct decoding *d)
{
    unsigned n = d->in->operand_count_visible, sz = size_index(d->ops[0].size);
    bool keep = host_mul_keeps_flags;
    if (n == 1) {
        mul_div(d, 1);
        return;
    }
    dst_reg(d, 0);
    if (is_reg(&d->ops[1])) {
        src_reg(d, 1);
        d->o->fn = n == 3 ? imul3_rr[keep][sz] : imul2_rr[keep][sz];
    } else {
        d->o->fn = n == 3 ? imul3_rm[keep][sz] : imul2_rm[keep][sz];
    }
}
static void bswap_movbe(struct decoding *d)
{
    unsigned sz = size_index(d->ops[0].size);
    if (d->in->mnemonic == M(BSWAP)) {
        dst_reg(d, 0);
        d->o->fn = bswap_table[sz];
    } else if (is_reg(&d->ops[0])) {
        dst_reg(d, 0);
        d->o->fn = movbe_ld[sz];
    } else {
        src_reg(d, 1);
        d->o->fn = movbe_st[sz];
    }
}

/* Segment of the implicit source of a string instruction or XLAT: DS unless a prefix names another. */
static uint8_t source_segment(const struct decoding *d)
{
    static const struct {
        ZydisInstructionAttributes prefix;
        uint8_t seg;
    } tab[] = {{ZYDIS_ATTRIB_HAS_SEGMENT_CS, ABI_CS}, {ZYDIS_ATTRIB_HAS_SEGMENT_SS, ABI_SS},
               {ZYDIS_ATTRIB_HAS_SEGMENT_ES, ABI_ES}, {ZYDIS_ATTRIB_HAS_SEGMENT_FS, ABI_FS},
               {ZYDIS_ATTRIB_HAS_SEGMENT_GS, ABI_GS}};
    for (unsigned i = d->m64 ? 3 : 0; i < sizeof(tab) / sizeof(tab[0]); i++)
        if (d->in->attributes & tab[i].prefix)
            return tab[i].seg;
    return d->m64 ? ABI_SEG_FLAT : ABI_DS;
}

/* String instructions share their mnemonics with SSE in places; the category tells them apart. */
static bool string(struct decoding *d)
{
    static const struct {
        ZydisMnemonic m;
        op_fn fn;
        uint8_t size;
    } tab[] = {
        {M(MOVSB), op_movs, 1}, {M(MOVSW), op_movs, 2}, {M(MOVSD), op_movs, 4}, {M(MOVSQ), op_movs, 8},
        {M(STOSB), op_stos, 1}, {M(STOSW), op_stos, 2}, {M(STOSD), op_stos, 4}, {M(STOSQ), op_stos, 8},
        {M(LODSB), op_lods, 1}, {M(LODSW), op_lods, 2}, {M(LODSD), op_lods, 4}, {M(LODSQ), op_lods, 8},
        {M(SCASB), op_scas, 1}, {M(SCASW), op_scas, 2}, {M(SCASD), op_scas, 4}, {M(SCASQ), op_scas, 8},
        {M(CMPSB), op_cmps, 1}, {M(CMPSW), op_cmps, 2}, {M(CMPSD), op_cmps, 4}, {M(CMPSQ), op_cmps, 8},
        {M(INSB), op_ins, 1},   {M(INSW), op_ins, 2},   {M(INSD), op_ins, 4},
        {M(OUTSB), op_outs, 1}, {M(OUTSW), op_outs, 2}, {M(OUTSD), op_outs, 4},
    };
    struct op *o = d->o;
    for (unsigned i = 0; i < sizeof(tab) / sizeof(tab[0]); i++) {
        if (tab[i].m != d->in->mnemonic)
            continue;
        o->fn = tab[i].fn;
        o->aux = tab[i].size;
        o->dst = d->in->address_width;
        o->seg = source_segment(d);
        if (d->in->attributes & ZYDIS_ATTRIB_HAS_REPNE)
            o->aux2 = 2;
        else if (d->in->attributes & (ZYDIS_ATTRIB_HAS_REP | ZYDIS_ATTRIB_HAS_REPE))
            o->aux2 = 1;
        return true;
    }
    return false;
}

/* 0F 0D with a register: a NOP of Intel's processors, undefined on AMD's (APM volume 3, PREFETCHW). */
static void nop(struct decoding *d)
{
    bool prefetch = d->in->opcode_map == ZYDIS_OPCODE_MAP_0F && d->in->opcode == 0x0d;
    d->o->fn = prefetch && d->amd && is_reg(&d->ops[0]) ? op_ud : op_nop;
}
/* F3 90 with REX.B is XCHG r8, rAX to AMD's processors. */
static void pause(struct decoding *d)
{
    d->o->fn = op_pause;
    if (d->amd && d->m64 && d->in->raw.rex.B) {
        d->o->dst = 8;
        d->o->src = REG_RAX;
        d->o->fn = xchg_rr[size_index(d->in->operand_width)];
    }
}
static bool simple(struct decoding *d)
{
    static const struct {
        ZydisMnemonic m;
        op_fn fn;
    } tab[] = {
        {M(CBW), op_cbw},   {M(CWDE), op_cwde}, {M(CDQE), op_cdqe},
        {M(CWD), op_cwd},   {M(CDQ), op_cdq},   {M(CQO), op_cqo},   {M(LAHF), op_lahf},
        {M(SAHF), op_sahf}, {M(CLC), op_clc},   {M(STC), op_stc},   {M(CMC), op_cmc},
        {M(CLD), op_cld},   {M(STD), op_std},   {M(DAA), op_daa},   {M(DAS), op_das},
        {M(AAA), op_aaa},   {M(AAS), op_aas},   {M(AAM), op_aam},   {M(AAD), op_aad},
        {M(SALC), op_salc}, {M(CLDEMOTE), op_nop}, {M(CMPXCHG8B), op_cmpxchg8b},           {M(CMPXCHG16B), op_cmpxchg16b},
        {M(ENDBR64), op_nop}, {M(ENDBR32), op_nop}, {M(PREFETCH), op_nop},
        {M(PREFETCHW), op_nop}, {M(PREFETCHNTA), op_nop}, {M(PREFETCHT0), op_nop},
        {M(PREFETCHT1), op_nop}, {M(PREFETCHT2), op_nop}, {M(PREFETCHWT1), op_nop},
    };
    for (unsigned i = 0; i < sizeof(tab) / sizeof(tab[0]); i++) {
        if (tab[i].m == d->in->mnemonic) {
            d->o->fn = tab[i].fn;
            return true;
        }
    }
    return false;
}

/* Condition code of Jcc, CMOVcc and SETcc, whose mnemonics Zydis sorts by name. */
#define CC_CASES(PFX, F)                                                                             \
    case M(PFX##O): F(d, 0); break;                                                                  \
    case M(PFX##NO): F(d, 1); break;                                                                 \
    case M(PFX##B): F(d, 2); break;                                                                  \
    case M(PFX##NB): F(d, 3); break;                                                                 \
    case M(PFX##Z): F(d, 4); break;                                                                  \
    case M(PFX##NZ): F(d, 5); break;                                                                 \
    case M(PFX##BE): F(d, 6); break;                                                                 \
    case M(PFX##NBE): F(d, 7); break;                                                                \
    case M(PFX##S): F(d, 8); break;                                                                  \
    case M(PFX##NS): F(d, 9); break;                                                                 \
    case M(PFX##P): F(d, 10); break;                                                                 \
    case M(PFX##NP): F(d, 11); break;                                                                \
    case M(PFX##L): F(d, 12); break;                                                                 \
    case M(PFX##NL): F(d, 13); break;                                                                \
    case M(PFX##LE): F(d, 14); break;                                                                \
    case M(PFX##NLE): F(d, 15); break;

/* Bit manipulation and ADX. The operand that is not r/m goes to aux; VEX does not exist in real mode. */
static bool bmi(struct decoding *d)
{
    static const struct {
        ZydisMnemonic m;
        uint8_t op, rm, other; /* operand numbers of r/m and of VEX.vvvv; 0 = none */
    } tab[] = {
        {M(ANDN), BMI_ANDN, 2, 1},   {M(BEXTR), BMI_BEXTR, 1, 2}, {M(BLSI), BMI_BLSI, 1, 0},
        {M(BLSMSK), BMI_BLSMSK, 1, 0}, {M(BLSR), BMI_BLSR, 1, 0}, {M(BZHI), BMI_BZHI, 1, 2},
        {M(PDEP), BMI_PDEP, 2, 1},   {M(PEXT), BMI_PEXT, 2, 1},   {M(SARX), BMI_SARX, 1, 2},
        {M(SHLX), BMI_SHLX, 1, 2},   {M(SHRX), BMI_SHRX, 1, 2},   {M(MULX), BMI_MULX, 2, 1},
        {M(RORX), BMI_RORX, 1, 0},   {M(ADCX), BMI_ADCX, 1, 0},   {M(ADOX), BMI_ADOX, 1, 0},
    };
    for (unsigned i = 0; i < sizeof(tab) / sizeof(tab[0]); i++) {
        if (tab[i].m != d->in->mnemonic)
            continue;
        bool mem = is_mem(&d->ops[tab[i].rm]), vex = d->in->encoding == ZYDIS_INSTRUCTION_ENCODING_VEX;
        dst_reg(d, 0);
        if (!mem)
            src_reg(d, tab[i].rm);
        if (tab[i].other)
            d->o->aux = decode_gpr(d->ops[tab[i].other].reg.value);
        d->o->fn = vex && !(d->mode & MODE_PE) ? op_ud : bmi_table[tab[i].op][mem][d->ops[0].size == 64];
        return true;
    }
    return false;
}
static bool arithmetic(struct decoding *d)
{
    switch (d->in->mnemonic) {
    case M(ADD): alu(d, ALU_ADD); break;
    case M(OR): alu(d, ALU_OR); break;
    case M(ADC): alu(d, ALU_ADC); break;
    case M(SBB): alu(d, ALU_SBB); break;
    case M(AND): alu(d, ALU_AND); break;
    case M(SUB): alu(d, ALU_SUB); break;
    case M(XOR): alu(d, ALU_XOR); break;
    case M(CMP): alu(d, ALU_CMP); break;
    case M(TEST): alu(d, ALU_TEST); break;
    case M(INC): unary(d, UN_INC); break;
    case M(DEC): unary(d, UN_DEC); break;
    case M(NEG): unary(d, UN_NEG); break;
    case M(NOT): unary(d, UN_NOT); break;
    case M(ROL): shift(d, SH_ROL); break;
    case M(ROR): shift(d, SH_ROR); break;
    case M(RCL): shift(d, SH_RCL); break;
    case M(RCR): shift(d, SH_RCR); break;
    case M(SHL): shift(d, SH_SHL); break;
    case M(SHR): shift(d, SH_SHR); break;
    case M(SAR): shift(d, SH_SAR); break;
    case M(SHLD): shift_double(d, 0); break;
    case M(SHRD): shift_double(d, 1); break;
    case M(MUL): mul_div(d, 0); break;
    case M(IMUL): imul(d); break;
    case M(DIV): mul_div(d, 2); break;
    case M(IDIV): mul_div(d, 3); break;
    case M(BT): bit_test(d, 0); break;
    case M(BTS): bit_test(d, 1); break;
    case M(BTR): bit_test(d, 2); break;
    case M(BTC): bit_test(d, 3); break;
    case M(BSF): scan(d, 0); break;
    case M(TZCNT): scan(d, 2); break;
    case M(BSR): scan(d, 1); break;
    case M(LZCNT): scan(d, 3); break;
    case M(POPCNT): scan(d, 4); break;
    default: return false;
    }
    return true;
}
bool decode_integer(struct decoding *d, bool *end)
{
    *end = false;
    if (arithmetic(d))
        return true;
    switch (d->in->mnemonic) {
    case M(MOV): return mov(d);
    case M(MOVZX): extend(d, false); break;
    case M(MOVSX):
    case M(MOVSXD): extend(d, true); break;
    case M(LEA): lea(d); break;
    case M(XCHG): exchange(d, xchg_rr, xchg_mr); break;
    case M(XADD): exchange(d, xadd_rr, xadd_mr); break;
    case M(CMPXCHG): exchange(d, cmpxchg_rr, cmpxchg_mr); break;
    case M(BSWAP):
    case M(MOVBE): bswap_movbe(d); break;
    case M(MOVDIRI): /* a store like any other */
        src_reg(d, 1);
        d->o->fn = mov_mr[size_index(d->ops[1].size)];
        break;
    case M(MOVDIR64B):
        dst_reg(d, 0);
        d->o->aux = d->in->address_width;
        d->o->fn = op_movdir64b;
        break;
    case M(NOP): nop(d); break;
    case M(PAUSE): pause(d); break;
    case M(XLAT):
        d->o->aux = d->in->address_width;
        d->o->seg = source_segment(d);
        d->o->fn = op_xlat;
        break;
    case M(BOUND):
        dst_reg(d, 0);
        d->o->aux = d->ops[0].size;
        d->o->fn = op_bound;
        break;
    case M(RDRAND):
    case M(RDSEED):
        dst_reg(d, 0);
        d->o->aux = d->ops[0].size;
        d->o->fn = d->in->mnemonic == M(RDRAND) ? op_rdrand : op_rdseed;
        break;
    CC_CASES(CMOV, cmov)
    CC_CASES(SET, setcc)
    default:
        if (d->in->meta.category == ZYDIS_CATEGORY_STRINGOP || d->in->meta.category == ZYDIS_CATEGORY_IOSTRINGOP) {
            *end = d->in->meta.category == ZYDIS_CATEGORY_IOSTRINGOP;
            return string(d);
        }
        return simple(d) || bmi(d);
    }
    return true;
}
