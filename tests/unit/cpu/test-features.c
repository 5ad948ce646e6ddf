/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The decoder's gate: an instruction of a feature that is not advertised decodes to #UD (or to what it was
 * before the feature), and every instruction set the pre-decoder executes has a row in the gate's table.
 */
#include <string.h>
#include "cpu-worker/helpers/simd.h"
#include "cpu-worker/interp/decode.h"
#include "cpu-worker/interp/handlers.h"
#include "ipc/cpu-model.h"
#include "tests/lib/ctest.h"

#define MODE (MODE_64 | MODE_LMA | MODE_PE | MODE_OSFXSR | MODE_AVX)

struct sample {
    uint16_t feature;
    uint8_t len, b[8];
    bool older; /* without the feature the bytes are another instruction, not #UD */
};
static const struct sample samples[] = {
    {FEAT_FPU, 2, {0xd9, 0xe8}, 0},
    {FEAT_TSC, 2, {0x0f, 0x31}, 0},
    {FEAT_MSR, 2, {0x0f, 0x32}, 0},
    {FEAT_CX8, 3, {0x0f, 0xc7, 0x0b}, 0},
    {FEAT_SEP, 2, {0x0f, 0x34}, 0},
    {FEAT_CMOV, 3, {0x0f, 0x44, 0xc1}, 0},
    {FEAT_CLFLUSH, 3, {0x0f, 0xae, 0x3b}, 0},
    {FEAT_MMX, 3, {0x0f, 0xfc, 0xc1}, 0},
    {FEAT_FXSR, 3, {0x0f, 0xae, 0x03}, 0},
    {FEAT_SSE, 3, {0x0f, 0x58, 0xc1}, 0},
    {FEAT_SSE2, 4, {0x66, 0x0f, 0x58, 0xc1}, 0},
    {FEAT_SSE3, 4, {0xf2, 0x0f, 0x7c, 0xc1}, 0},
    {FEAT_PCLMULQDQ, 6, {0x66, 0x0f, 0x3a, 0x44, 0xc1, 0}, 0},
    {FEAT_SSSE3, 5, {0x66, 0x0f, 0x38, 0x00, 0xc1}, 0},
    {FEAT_CX16, 4, {0x48, 0x0f, 0xc7, 0x0b}, 0},
    {FEAT_SSE41, 5, {0x66, 0x0f, 0x38, 0x17, 0xc1}, 0},
    {FEAT_SSE42, 5, {0x66, 0x0f, 0x38, 0x37, 0xc1}, 0},
    {FEAT_MOVBE, 4, {0x0f, 0x38, 0xf0, 0x03}, 0},
    {FEAT_POPCNT, 4, {0xf3, 0x0f, 0xb8, 0xc1}, 0},
    {FEAT_AES, 5, {0x66, 0x0f, 0x38, 0xdc, 0xc1}, 0},
    {FEAT_RDRAND, 3, {0x0f, 0xc7, 0xf0}, 0},
    {FEAT_RDSEED, 3, {0x0f, 0xc7, 0xf8}, 0},
    {FEAT_FSGSBASE, 4, {0xf3, 0x0f, 0xae, 0xc0}, 0},
    {FEAT_INVPCID, 5, {0x66, 0x0f, 0x38, 0x82, 0x03}, 0},
    {FEAT_SMAP, 3, {0x0f, 0x01, 0xcb}, 0},
    {FEAT_CLFLUSHOPT, 4, {0x66, 0x0f, 0xae, 0x3b}, 0},
    {FEAT_CLWB, 4, {0x66, 0x0f, 0xae, 0x33}, 0},
    {FEAT_SHA_NI, 4, {0x0f, 0x38, 0xc9, 0xc1}, 0},
    {FEAT_RDPID, 4, {0xf3, 0x0f, 0xc7, 0xf8}, 0},
    {FEAT_SYSCALL, 2, {0x0f, 0x05}, 0},
    {FEAT_RDTSCP, 3, {0x0f, 0x01, 0xf9}, 0},
    {FEAT_LM, 3, {0x0f, 0x01, 0xf8}, 0},
    {FEAT_LAHF_LM, 1, {0x9f}, 0},
    {FEAT_BMI1, 5, {0xc4, 0xe2, 0x78, 0xf3, 0xc9}, 0},
    {FEAT_BMI2, 5, {0xc4, 0xe2, 0x71, 0xf7, 0xc0}, 0},
    {FEAT_ADX, 5, {0x66, 0x0f, 0x38, 0xf6, 0xc1}, 0},
    {FEAT_SERIALIZE, 3, {0x0f, 0x01, 0xe8}, 0},
    {FEAT_CR8LEGACY, 4, {0xf0, 0x0f, 0x20, 0xc0}, 0},
    {FEAT_FMA, 5, {0xc4, 0xe2, 0x71, 0x98, 0xc2}, 0},
    {FEAT_XSAVE, 3, {0x0f, 0xae, 0x23}, 0},
    {FEAT_AVX, 4, {0xc5, 0xf0, 0x58, 0xc2}, 0},
    {FEAT_F16C, 5, {0xc4, 0xe2, 0x79, 0x13, 0xc1}, 0},
    {FEAT_AVX2, 5, {0xc4, 0xe2, 0x75, 0x00, 0xc2}, 0},
    {FEAT_VAES, 5, {0xc4, 0xe2, 0x75, 0xdc, 0xc2}, 0},
    {FEAT_VPCLMULQDQ, 6, {0xc4, 0xe3, 0x75, 0x44, 0xc2, 0}, 0},
    {FEAT_XSAVEOPT, 3, {0x0f, 0xae, 0x33}, 0},
    {FEAT_XSAVEC, 3, {0x0f, 0xc7, 0x23}, 0},
    {FEAT_XSAVES, 3, {0x0f, 0xc7, 0x2b}, 0},
    {FEAT_GFNI, 5, {0x66, 0x0f, 0x38, 0xcf, 0xc1}, 0},
    {FEAT_ABM, 4, {0xf3, 0x0f, 0xbd, 0xc1}, 1},
    {FEAT_3DNOW, 4, {0x0f, 0x0f, 0xc1, 0x9e}, 0},
    {FEAT_3DNOWEXT, 4, {0x0f, 0x0f, 0xc1, 0xbb}, 0},
    {FEAT_PKU, 3, {0x0f, 0x01, 0xee}, 0},
    {FEAT_SSE4A, 4, {0x66, 0x0f, 0x79, 0xc1}, 0},
    {FEAT_MONITOR, 3, {0x0f, 0x01, 0xc8}, 0},
    {FEAT_MWAITX, 3, {0x0f, 0x01, 0xfb}, 0},
    {FEAT_CLZERO, 3, {0x0f, 0x01, 0xfc}, 0},
    {FEAT_MOVDIRI, 4, {0x0f, 0x38, 0xf9, 0x03}, 0},
    {FEAT_MOVDIR64B, 5, {0x66, 0x0f, 0x38, 0xf8, 0x03}, 0},
};
/* Features that add no instruction of their own, or one that others give too. */
static const uint16_t silent[] = {
    FEAT_VME, FEAT_DE, FEAT_PSE, FEAT_PAE, FEAT_MCE, FEAT_APIC, FEAT_MTRR, FEAT_PGE, FEAT_MCA, FEAT_PAT, FEAT_PSE36,
    FEAT_HT, FEAT_PCID, FEAT_X2APIC, FEAT_TSC_DEADLINE, FEAT_HYPERVISOR, FEAT_TSC_ADJUST, FEAT_SMEP,
    FEAT_LA57, FEAT_ERMS, FEAT_UMIP, FEAT_FSRM, FEAT_MD_CLEAR, FEAT_SPEC_CTRL, FEAT_STIBP, FEAT_SSBD,
    FEAT_ARCH_CAPABILITIES, FEAT_ARAT, FEAT_NX, FEAT_MMXEXT, FEAT_PDPE1GB, FEAT_CMP_LEGACY,
    FEAT_3DNOWPREFETCH, FEAT_TOPOEXT, FEAT_OSVW, FEAT_SS, FEAT_INVTSC, FEAT_IBPB, FEAT_IBRS, FEAT_AMD_STIBP, FEAT_AMD_SSBD,
    FEAT_AMD_NO_SSB, FEAT_LFENCE_SERIALIZING, FEAT_CLDEMOTE, FEAT_XGETBV1,
    FEAT_MISALIGNSSE, FEAT_FXSR_OPT,
    FEAT_NULL_SEL_CLR_BASE, FEAT_WBNOINVD, FEAT_AUTO_IBRS, FEAT_CORE_CAPABILITY,
};

static op_fn decoded(const uint8_t *b, unsigned len, const uint32_t *feat)
{
    static struct op o[3];
    uint8_t bytes[15] = {0};
    memcpy(bytes, b, len);
    struct decode_in in = {bytes, 15, MODE, 0, feat, ABI_CPU_INTEL};
    decode_one(o, &in);
    return o->fn;
}
static bool host_lacks(unsigned feature)
{
    uint32_t carried[ABI_CPU_WORDS];
    cpu_features_carried(carried);
    return !abi_cpu_has(carried, feature);
}
static void gated(void)
{
    for (unsigned i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
        const struct sample *s = &samples[i];
        uint32_t feat[ABI_CPU_WORDS];
        memset(feat, 0xff, sizeof(feat));
        if (host_lacks(s->feature)) {
            ok(true, "%s # SKIP the host has no such unit", cpu_feature_row(s->feature)->name);
            continue;
        }
        op_fn with = decoded(s->b, s->len, feat);
        feat[s->feature >> 5] &= ~(1u << (s->feature & 31));
        op_fn without = decoded(s->b, s->len, feat);
        ok(with != op_ud && with != without && (without == op_ud) == !s->older,
           "%s off: its instruction is %s", cpu_feature_row(s->feature)->name,
           s->older ? "the older one" : "#UD");
    }
}
static bool listed(unsigned feature)
{
    for (unsigned i = 0; i < sizeof(samples) / sizeof(samples[0]); i++)
        if (samples[i].feature == feature)
            return true;
    for (unsigned i = 0; i < sizeof(silent) / sizeof(silent[0]); i++)
        if (silent[i] == feature)
            return true;
    return feature >> 5 == CPUW_ARCH_CAPS;
}
static void complete(void)
{
    for (unsigned i = 0; i < cpu_feature_count; i++)
        if (cpu_feature_table[i].kind != CPUK_NONE && !listed(cpu_feature_table[i].feature))
            ok(false, "%s is carried: give it a sample here", cpu_feature_table[i].name);
    ok(true, "every carried feature was looked at");
}

/* Would some decoder table execute it if the gate let it? */
static bool accepted(const ZydisDecodedInstruction *in, const ZydisDecodedOperand *ops)
{
    static struct op o[3];
    static uint32_t all[ABI_CPU_WORDS];
    bool end = false;
    memset(all, 0xff, sizeof(all));
    memset(o, 0, sizeof(o));
    struct decoding d = {o, in, ops, MODE, true, all, ABI_CPU_INTEL};
    return (decode_integer(&d, &end) || decode_control(&d, &end) || decode_system(&d, &end) ||
            simd_decode(o, in, ops, MODE, false)) && o->fn && o->fn != op_ud;
}
static unsigned seen, without_row;

static void look(const ZydisDecoder *dec, const uint8_t *b)
{
    ZydisDecodedInstruction in;
    ZydisDecodedOperand ops[ZYDIS_MAX_OPERAND_COUNT];
    if (!ZYAN_SUCCESS(ZydisDecoderDecodeFull(dec, b, 15, &in, ops)) || !accepted(&in, ops))
        return;
    seen++;
    if (isa_has_row(in.meta.isa_set) || without_row++ > 5)
        return;
    ok(false, "%s is executed and its set %s has no row", ZydisMnemonicGetString(in.mnemonic),
       ZydisISASetGetString(in.meta.isa_set));
}
/* lead: prefixes and escape in front of opcode and ModRM. */
static void sweep(const ZydisDecoder *dec, const uint8_t *lead, unsigned n)
{
    uint8_t b[15] = {0};
    memcpy(b, lead, n);
    for (unsigned x = 0; x < 0x10000; x++) {
        b[n] = (uint8_t)(x >> 8);
        b[n + 1] = (uint8_t)x;
        look(dec, b);
    }
}
static void rows(void)
{
    static const struct {
        uint8_t n, b[4];
    } map[] = {{0, {0}}, {1, {0x0f}}, {2, {0x0f, 0x38}}, {2, {0x0f, 0x3a}}};
    static const uint8_t prefix[] = {0, 0x66, 0xf3, 0xf2, 0x48};
    ZydisDecoder dec;
    ZydisDecoderInit(&dec, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
    ZydisDecoderEnableMode(&dec, ZYDIS_DECODER_MODE_CET, ZYAN_FALSE); /* hints, as the pre-decoder has it */
    for (unsigned m = 0; m < 4; m++) {
        for (unsigned p = 0; p < 5; p++) {
            uint8_t lead[5] = {prefix[p]};
            memcpy(lead + !!p, map[m].b, map[m].n);
            sweep(&dec, lead, map[m].n + !!p);
        }
    }
    for (unsigned m = 1; m < 4; m++) /* VEX: three bytes, both lengths, every pp and W */
        for (unsigned x = 0; x < 16; x++)
            sweep(&dec, (uint8_t[]){0xc4, (uint8_t)(0xe0 | m),
                                    (uint8_t)(0x70 | (x & 7) | (x & 8) << 4)}, 3);
    ok(seen > 10000 && !without_row, "%u encodings are executed, %u of a set without a row", seen,
       without_row);
}

static void model_checks(void)
{
    struct abi_cpu_model m;
    char err[160] = "";
    cpu_model_host(&m);
    ok(cpu_model_check(&m, err, sizeof(err)) == 0, "everything carried is a valid model%s", err);
    m.feat[CPUW_7_EBX] |= 1u << 16;
    ok(cpu_model_check(&m, err, sizeof(err)) < 0 && strstr(err, "avx512f"),
       "a feature that is not carried is refused: %s", err);
    cpu_model_host(&m);
    m.vendor ^= 1;
    ok(cpu_model_check(&m, err, sizeof(err)) < 0, "%s", err);
    cpu_model_host(&m);
    m.cache[1].line = 0;
    ok(cpu_model_check(&m, err, sizeof(err)) < 0, "%s", err);
    cpu_model_host(&m);
    m.threads = 0;
    ok(cpu_model_check(&m, err, sizeof(err)) < 0, "%s", err);
}

int main(void)
{
    gated();
    complete();
    rows();
    model_checks();
    return ctest_done();
}
