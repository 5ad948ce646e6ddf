/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which feature an instruction needs. An instruction set without a row here does not exist: whoever makes
 * the pre-decoder execute a new set adds its row. Owns this table; must never look at guest state.
 */
#include "cpu-worker/interp/decode.h"

/* Nothing: every processor has it. EITHER: one of two is enough. */
enum rule_kind { RULE_ABSENT, RULE_ALWAYS, RULE_ONE, RULE_BOTH, RULE_EITHER };
struct rule {
    uint8_t kind;
    uint16_t a, b;
};
#define ALWAYS(set)       [ZYDIS_ISA_SET_##set] = {RULE_ALWAYS, 0, 0}
#define ONE(set, f)       [ZYDIS_ISA_SET_##set] = {RULE_ONE, FEAT_##f, 0}
#define BOTH(set, f, g)   [ZYDIS_ISA_SET_##set] = {RULE_BOTH, FEAT_##f, FEAT_##g}
#define EITHER(set, f, g) [ZYDIS_ISA_SET_##set] = {RULE_EITHER, FEAT_##f, FEAT_##g}

static const struct rule rule_of[ZYDIS_ISA_SET_MAX_VALUE + 1] = {
    ALWAYS(I86), ALWAYS(I186), ALWAYS(I286PROTECTED), ALWAYS(I286REAL), ALWAYS(I386), ALWAYS(I486),
    ALWAYS(I486REAL), ALWAYS(PENTIUMREAL), ALWAYS(PPRO), ALWAYS(FAT_NOP), ALWAYS(PAUSE),
    ALWAYS(RDPMC), ALWAYS(LAHF), ONE(X87, FPU), ONE(CMOV, CMOV), BOTH(FCMOV, FPU, CMOV),
    ONE(LONGMODE, LM), ONE(AMD, SYSCALL), ONE(CMPXCHG16B, CX16), ONE(CLFSH, CLFLUSH),
    ONE(CLFLUSHOPT, CLFLUSHOPT), ONE(CLWB, CLWB), ONE(CLZERO, CLZERO), ONE(CLDEMOTE, CLDEMOTE),
    ONE(FXSAVE, FXSR), ONE(FXSAVE64, FXSR), ONE(PENTIUMMMX, MMX), ONE(SSE, SSE), ONE(SSEMXCSR, SSE),
    EITHER(SSE_PREFETCH, SSE, MMXEXT), ONE(SSE2, SSE2), ONE(SSE2MMX, SSE2), ONE(SSE3, SSE3),
    BOTH(SSE3X87, SSE3, FPU), ONE(SSSE3, SSSE3), ONE(SSSE3MMX, SSSE3), ONE(SSE4, SSE41),
    ONE(SSE42, SSE42), ONE(SSE4A, SSE4A), ONE(POPCNT, POPCNT), ONE(LZCNT, ABM), ONE(MOVBE, MOVBE),
    ONE(BMI1, BMI1), ONE(BMI2, BMI2), ONE(ADOX_ADCX, ADX), ONE(TBM, TBM), ONE(AES, AES),
    ONE(PCLMULQDQ, PCLMULQDQ), ONE(SHA, SHA_NI), ONE(GFNI, GFNI), ONE(RDRAND, RDRAND),
    ONE(RDSEED, RDSEED), ONE(RDTSCP, RDTSCP), ONE(RDPID, RDPID), ONE(RDWRFSGS, FSGSBASE),
    ONE(INVPCID, INVPCID), ONE(SMAP, SMAP), ONE(PKU, PKU), ONE(MONITOR, MONITOR),
    ONE(MONITORX, MWAITX), ONE(WAITPKG, WAITPKG), ONE(SERIALIZE, SERIALIZE), EITHER(MOVDIR, MOVDIRI, MOVDIR64B),
    ONE(AMD3DNOW, 3DNOW), EITHER(PREFETCH_NOP, 3DNOWPREFETCH, LM),
    EITHER(PREFETCHWT1, 3DNOWPREFETCH, LM), ONE(XSAVE, XSAVE),
    ONE(XSAVEC, XSAVEC), ONE(XSAVEOPT, XSAVEOPT), ONE(XSAVES, XSAVES), ONE(AVX, AVX),
    ONE(AVX2, AVX2), ONE(AVX2GATHER, AVX2), ONE(AVXAES, AES), ONE(AVX_GFNI, GFNI),
    ONE(AVX_VNNI, AVX_VNNI), ONE(FMA, FMA), ONE(FMA4, FMA4), ONE(F16C, F16C), ONE(VAES, VAES),
    ONE(VPCLMULQDQ, VPCLMULQDQ), ONE(XOP, XOP),
};

static bool both(const uint32_t *feat, enum cpu_feature a, enum cpu_feature b)
{
    return abi_cpu_has(feat, a) && abi_cpu_has(feat, b);
}
/* MMX instructions that came with SSE, or with AMD's extensions to MMX. */
static bool mmx_of_sse(ZydisMnemonic mn)
{
    switch (mn) {
    case ZYDIS_MNEMONIC_MASKMOVQ: case ZYDIS_MNEMONIC_MOVNTQ: case ZYDIS_MNEMONIC_PAVGB:
    case ZYDIS_MNEMONIC_PAVGW: case ZYDIS_MNEMONIC_PEXTRW: case ZYDIS_MNEMONIC_PINSRW:
    case ZYDIS_MNEMONIC_PMAXSW: case ZYDIS_MNEMONIC_PMAXUB: case ZYDIS_MNEMONIC_PMINSW:
    case ZYDIS_MNEMONIC_PMINUB: case ZYDIS_MNEMONIC_PMULHUW: case ZYDIS_MNEMONIC_PSADBW:
    case ZYDIS_MNEMONIC_PSHUFW: case ZYDIS_MNEMONIC_PMOVMSKB:
        return true;
    default:
        return false;
    }
}
static bool mmx_form(const ZydisDecodedInstruction *in)
{
    return !(in->attributes & ZYDIS_ATTRIB_HAS_OPERANDSIZE);
}
/* Narrower than their instruction set says; true where there is nothing to add. */
static bool mnemonic_has(const ZydisDecodedInstruction *in, const uint32_t *feat)
{
    switch (in->mnemonic) {
    case ZYDIS_MNEMONIC_CMPXCHG8B:
        return abi_cpu_has(feat, FEAT_CX8);
    case ZYDIS_MNEMONIC_RDTSC:
        return abi_cpu_has(feat, FEAT_TSC);
    case ZYDIS_MNEMONIC_RDMSR:
    case ZYDIS_MNEMONIC_WRMSR:
        return abi_cpu_has(feat, FEAT_MSR);
    case ZYDIS_MNEMONIC_SYSENTER:
    case ZYDIS_MNEMONIC_SYSEXIT:
        return abi_cpu_has(feat, FEAT_SEP);
    case ZYDIS_MNEMONIC_SYSCALL:
    case ZYDIS_MNEMONIC_SYSRET:
        return abi_cpu_has(feat, FEAT_SYSCALL);
    case ZYDIS_MNEMONIC_FCOMI: case ZYDIS_MNEMONIC_FCOMIP:
    case ZYDIS_MNEMONIC_FUCOMI: case ZYDIS_MNEMONIC_FUCOMIP:
        return both(feat, FEAT_FPU, FEAT_CMOV);
    case ZYDIS_MNEMONIC_PF2IW: case ZYDIS_MNEMONIC_PI2FW: case ZYDIS_MNEMONIC_PFNACC:
    case ZYDIS_MNEMONIC_PFPNACC: case ZYDIS_MNEMONIC_PSWAPD:
        return abi_cpu_has(feat, FEAT_3DNOWEXT);
    case ZYDIS_MNEMONIC_LAHF:
    case ZYDIS_MNEMONIC_SAHF:
        return in->machine_mode != ZYDIS_MACHINE_MODE_LONG_64 || abi_cpu_has(feat, FEAT_LAHF_LM);
    case ZYDIS_MNEMONIC_MOVDIRI:
        return abi_cpu_has(feat, FEAT_MOVDIRI);
    case ZYDIS_MNEMONIC_MOVDIR64B:
        return abi_cpu_has(feat, FEAT_MOVDIR64B);
    case ZYDIS_MNEMONIC_VAESENC: case ZYDIS_MNEMONIC_VAESENCLAST: case ZYDIS_MNEMONIC_VAESDEC:
    case ZYDIS_MNEMONIC_VAESDECLAST: case ZYDIS_MNEMONIC_VAESIMC:
    case ZYDIS_MNEMONIC_VAESKEYGENASSIST: case ZYDIS_MNEMONIC_VPCLMULQDQ:
    case ZYDIS_MNEMONIC_VGF2P8AFFINEQB: case ZYDIS_MNEMONIC_VGF2P8AFFINEINVQB:
    case ZYDIS_MNEMONIC_VGF2P8MULB:
        return abi_cpu_has(feat, FEAT_AVX) &&
               (in->mnemonic != ZYDIS_MNEMONIC_VPCLMULQDQ || abi_cpu_has(feat, FEAT_PCLMULQDQ));
    default:
        return !mmx_of_sse(in->mnemonic) || in->encoding != ZYDIS_INSTRUCTION_ENCODING_LEGACY ||
               !mmx_form(in) || abi_cpu_has(feat, FEAT_SSE) || abi_cpu_has(feat, FEAT_MMXEXT);
    }
}

bool isa_has_row(ZydisISASet set)
{
    return set <= ZYDIS_ISA_SET_MAX_VALUE && rule_of[set].kind != RULE_ABSENT;
}
bool isa_has(const ZydisDecodedInstruction *in, const uint32_t *feat)
{
    const struct rule *r = &rule_of[in->meta.isa_set];
    bool a = abi_cpu_has(feat, r->a), b = abi_cpu_has(feat, r->b);
    switch (r->kind) {
    case RULE_ALWAYS:
        break;
    case RULE_ONE:
        if (!a)
            return false;
        break;
    case RULE_BOTH:
        if (!a || !b)
            return false;
        break;
    case RULE_EITHER:
        if (!a && !b)
            return false;
        break;
    default:
        return false;
    }
    return mnemonic_has(in, feat);
}
