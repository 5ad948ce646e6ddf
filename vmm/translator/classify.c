/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which way an instruction is translated. What has no row here is left to the interpreter. Owns this table and
 * the exceptions to it; must never emit anything.
 */
#include "vmm/translator/gen.h"

#define ROW(M, K) [ZYDIS_MNEMONIC_##M] = K
#define ROWS(M) ROW(M, K_OPERATE)
static const uint8_t kind_of[ZYDIS_MNEMONIC_MAX_VALUE + 1] = {
    ROWS(MOV), ROWS(MOVZX), ROWS(MOVSX), ROWS(MOVSXD), ROWS(ADD), ROWS(OR), ROWS(ADC), ROWS(SBB), ROWS(AND), ROWS(SUB),
    ROWS(XOR), ROWS(CMP), ROWS(TEST), ROWS(NOT), ROWS(NEG), ROWS(INC), ROWS(DEC), ROWS(IMUL), ROWS(MUL), ROWS(DIV),
    ROWS(IDIV), ROWS(SHL), ROWS(SHR), ROWS(SAR), ROWS(ROL), ROWS(ROR), ROWS(RCL), ROWS(RCR), ROWS(SHLD), ROWS(SHRD),
    ROWS(SETO), ROWS(SETNO), ROWS(SETB), ROWS(SETNB), ROWS(SETZ), ROWS(SETNZ), ROWS(SETBE), ROWS(SETNBE), ROWS(SETS),
    ROWS(SETNS), ROWS(SETP), ROWS(SETNP), ROWS(SETL), ROWS(SETNL), ROWS(SETLE), ROWS(SETNLE),
    ROWS(CMOVO), ROWS(CMOVNO), ROWS(CMOVB), ROWS(CMOVNB), ROWS(CMOVZ), ROWS(CMOVNZ), ROWS(CMOVBE), ROWS(CMOVNBE),
    ROWS(CMOVS), ROWS(CMOVNS), ROWS(CMOVP), ROWS(CMOVNP), ROWS(CMOVL), ROWS(CMOVNL), ROWS(CMOVLE), ROWS(CMOVNLE),
    ROWS(BT), ROWS(BTS), ROWS(BTR), ROWS(BTC), ROWS(BSF), ROWS(BSR), ROWS(TZCNT), ROWS(LZCNT), ROWS(POPCNT),
    ROWS(BSWAP), ROWS(XCHG), ROWS(XADD), ROWS(CMPXCHG), ROWS(CMPXCHG8B), ROWS(CMPXCHG16B), ROWS(MOVBE),
    ROWS(ANDN), ROWS(BEXTR), ROWS(BLSI), ROWS(BLSMSK), ROWS(BLSR), ROWS(BZHI), ROWS(PDEP), ROWS(PEXT), ROWS(RORX),
    ROWS(SARX), ROWS(SHLX), ROWS(SHRX), ROWS(MULX), ROWS(ADCX), ROWS(ADOX), ROWS(CRC32), ROWS(MOVNTI),
    ROW(CBW, K_COPY), ROW(CWDE, K_COPY), ROW(CDQE, K_COPY), ROW(CWD, K_COPY), ROW(CDQ, K_COPY), ROW(CQO, K_COPY),
    ROW(CLC, K_COPY), ROW(STC, K_COPY), ROW(CMC, K_COPY), ROW(LAHF, K_COPY), ROW(SAHF, K_COPY), ROW(SFENCE, K_COPY),
    ROW(LFENCE, K_COPY), ROW(MFENCE, K_COPY), ROW(VZEROUPPER, K_COPY), ROW(VZEROALL, K_COPY), ROW(NOP, K_NOP),
    ROW(PREFETCH, K_NOP), ROW(PREFETCHNTA, K_NOP), ROW(PREFETCHT0, K_NOP), ROW(PREFETCHT1, K_NOP),
    ROW(PREFETCHT2, K_NOP), ROW(PREFETCHW, K_NOP), ROW(LEA, K_LEA), ROW(PUSH, K_PUSH), ROW(POP, K_POP),
    ROW(LEAVE, K_LEAVE), ROW(MOVSB, K_STRING), ROW(MOVSW, K_STRING), ROW(MOVSD, K_STRING), ROW(MOVSQ, K_STRING),
    ROW(STOSB, K_STRING), ROW(STOSW, K_STRING), ROW(STOSD, K_STRING), ROW(STOSQ, K_STRING), ROW(LODSB, K_STRING),
    ROW(LODSW, K_STRING), ROW(LODSD, K_STRING), ROW(LODSQ, K_STRING),
    ROW(CALL, K_BRANCH), ROW(RET, K_BRANCH), ROW(JMP, K_BRANCH), ROW(JO, K_BRANCH), ROW(JNO, K_BRANCH),
    ROW(JB, K_BRANCH), ROW(JNB, K_BRANCH), ROW(JZ, K_BRANCH), ROW(JNZ, K_BRANCH), ROW(JBE, K_BRANCH),
    ROW(JNBE, K_BRANCH), ROW(JS, K_BRANCH), ROW(JNS, K_BRANCH), ROW(JP, K_BRANCH), ROW(JNP, K_BRANCH),
    ROW(JL, K_BRANCH), ROW(JNL, K_BRANCH), ROW(JLE, K_BRANCH), ROW(JNLE, K_BRANCH), ROW(JRCXZ, K_BRANCH),
    ROW(JECXZ, K_BRANCH), ROW(LOOP, K_BRANCH), ROW(LOOPE, K_BRANCH), ROW(LOOPNE, K_BRANCH),
};

/* Vector instructions: all of the sets that guest-insn.c knows, but these. */
static bool vector_ok(const struct ginsn *g)
{
    switch (g->mn) {
    case ZYDIS_MNEMONIC_VMASKMOVPS: case ZYDIS_MNEMONIC_VMASKMOVPD: case ZYDIS_MNEMONIC_VPMASKMOVD:
    case ZYDIS_MNEMONIC_VPMASKMOVQ: /* memory they do not touch must not fault */
        return false;
    default:
        return g->modrm;
    }
}
/* A bit offset in a register reaches outside the operand. */
static bool bit_string(const struct ginsn *g)
{
    return g->mem && g->map == 1 && (g->op == 0xa3 || g->op == 0xab || g->op == 0xb3 || g->op == 0xbb);
}
static bool other_class(const struct ginsn *g)
{
    return g->reg.class == F_OTHER || g->rm.class == F_OTHER || g->v.class == F_OTHER || g->opreg.class == F_OTHER;
}
enum gen_kind gen_classify(const struct ginsn *g)
{
    enum gen_kind k = (enum gen_kind)kind_of[g->mn];
    if (k == K_BRANCH || k == K_PUSH || k == K_POP || k == K_LEAVE)
        return k;
    if (other_class(g) || g->map > 3)
        return K_NONE;
    if (g->simd && k != K_COPY) /* MOVSD is two instructions */
        return g->implicit_mem || !vector_ok(g) ? K_NONE : K_OPERATE;
    if (k == K_STRING)
        return g->rep ? K_NONE : k;
    if (k == K_NOP)
        return k;
    if (g->implicit_mem)
        return K_NONE;
    if (k == K_OPERATE && !g->vex && !g->map && (g->op & 0xfc) == 0xa0)
        return K_MOFFS;
    if (k == K_OPERATE && (bit_string(g) || (!g->modrm && g->opreg.class == F_NONE && g->imm_len == 0)))
        return K_NONE;
    return k;
}
