/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every processor feature that has a name: its CPUID word and bit, QEMU's property name, and who makes it
 * work. Owns names and places; must never hold code that takes a decision.
 *
 * OWN:  computed by the cpu-worker, on every host.
 * HOST: executed by the host's own unit, so the host's CPUID has to have the bit too.
 * NONE: known by name and not carried: masked or refused, never shown to a guest.
 */
#ifndef BULKHEAD_IPC_ABI_CPU_FEATURES_H
#define BULKHEAD_IPC_ABI_CPU_FEATURES_H

#include <stdbool.h>
#include <stdint.h>

/* Words of 32 features. The last two are MSRs, not CPUID registers. */
enum abi_cpu_word {
    CPUW_1_EDX,
    CPUW_1_ECX,
    CPUW_7_EBX,
    CPUW_7_ECX,
    CPUW_7_EDX,
    CPUW_71_EAX,
    CPUW_D1_EAX,
    CPUW_6_EAX,
    CPUW_X1_EDX, /* only the bits that do not repeat leaf 1 */
    CPUW_X1_ECX,
    CPUW_X7_EDX,
    CPUW_X8_EBX,
    CPUW_X21_EAX,
    CPUW_ARCH_CAPS, /* IA32_ARCH_CAPABILITIES, MSR 10AH */
    ABI_CPU_WORDS = 16
};

enum abi_feature_kind { CPUK_NONE, CPUK_OWN, CPUK_HOST };

/* F(enumerator, word, bit, kind, "name", "alias or NULL"). In names '-' and '_' are the same. */
#define CPU_FEATURES_1(F)                                                                          \
    F(FPU, 1_EDX, 0, OWN, "fpu", NULL)                                                             \
    F(VME, 1_EDX, 1, OWN, "vme", NULL)                                                            \
    F(DE, 1_EDX, 2, OWN, "de", NULL)                                                              \
    F(PSE, 1_EDX, 3, OWN, "pse", NULL)                                                             \
    F(TSC, 1_EDX, 4, OWN, "tsc", NULL)                                                             \
    F(MSR, 1_EDX, 5, OWN, "msr", NULL)                                                             \
    F(PAE, 1_EDX, 6, OWN, "pae", NULL)                                                             \
    F(MCE, 1_EDX, 7, OWN, "mce", NULL)                                                             \
    F(CX8, 1_EDX, 8, OWN, "cx8", NULL)                                                             \
    F(APIC, 1_EDX, 9, OWN, "apic", NULL)                                                           \
    F(SEP, 1_EDX, 11, OWN, "sep", NULL)                                                            \
    F(MTRR, 1_EDX, 12, OWN, "mtrr", NULL)                                                          \
    F(PGE, 1_EDX, 13, OWN, "pge", NULL)                                                            \
    F(MCA, 1_EDX, 14, OWN, "mca", NULL)                                                            \
    F(CMOV, 1_EDX, 15, OWN, "cmov", NULL)                                                          \
    F(PAT, 1_EDX, 16, OWN, "pat", NULL)                                                            \
    F(PSE36, 1_EDX, 17, OWN, "pse36", NULL)                                                        \
    F(PN, 1_EDX, 18, NONE, "pn", NULL)                                                             \
    F(CLFLUSH, 1_EDX, 19, OWN, "clflush", NULL)                                                    \
    F(DS, 1_EDX, 21, NONE, "ds", NULL)                                                             \
    F(ACPI, 1_EDX, 22, NONE, "acpi", NULL)                                                         \
    F(MMX, 1_EDX, 23, HOST, "mmx", NULL)                                                           \
    F(FXSR, 1_EDX, 24, HOST, "fxsr", NULL)                                                         \
    F(SSE, 1_EDX, 25, HOST, "sse", NULL)                                                           \
    F(SSE2, 1_EDX, 26, HOST, "sse2", NULL)                                                         \
    F(SS, 1_EDX, 27, OWN,  "ss", NULL)                                                             \
    F(HT, 1_EDX, 28, OWN, "ht", NULL)                                                              \
    F(TM, 1_EDX, 29, NONE, "tm", NULL)                                                             \
    F(IA64, 1_EDX, 30, NONE, "ia64", NULL)                                                         \
    F(PBE, 1_EDX, 31, NONE, "pbe", NULL)                                                           \
    F(SSE3, 1_ECX, 0, HOST, "pni", "sse3")                                                         \
    F(PCLMULQDQ, 1_ECX, 1, HOST, "pclmulqdq", "pclmuldq")                                          \
    F(DTES64, 1_ECX, 2, NONE, "dtes64", NULL)                                                      \
    F(MONITOR, 1_ECX, 3, OWN, "monitor", NULL)                                                     \
    F(DS_CPL, 1_ECX, 4, NONE, "ds-cpl", NULL)                                                      \
    F(VMX, 1_ECX, 5, NONE, "vmx", NULL)                                                            \
    F(SMX, 1_ECX, 6, NONE, "smx", NULL)                                                            \
    F(EST, 1_ECX, 7, NONE, "est", NULL)                                                            \
    F(TM2, 1_ECX, 8, NONE, "tm2", NULL)                                                            \
    F(SSSE3, 1_ECX, 9, HOST, "ssse3", NULL)                                                        \
    F(CID, 1_ECX, 10, NONE, "cid", NULL)                                                           \
    F(FMA, 1_ECX, 12, HOST, "fma", NULL)                                                           \
    F(CX16, 1_ECX, 13, HOST, "cx16", NULL)                                                         \
    F(XTPR, 1_ECX, 14, NONE, "xtpr", NULL)                                                         \
    F(PDCM, 1_ECX, 15, NONE, "pdcm", NULL)                                                         \
    F(PCID, 1_ECX, 17, OWN, "pcid", NULL)                                                          \
    F(DCA, 1_ECX, 18, NONE, "dca", NULL)                                                           \
    F(SSE41, 1_ECX, 19, HOST, "sse4.1", "sse4-1")                                                  \
    F(SSE42, 1_ECX, 20, HOST, "sse4.2", "sse4-2")                                                  \
    F(X2APIC, 1_ECX, 21, OWN, "x2apic", NULL)                                                      \
    F(MOVBE, 1_ECX, 22, HOST, "movbe", NULL)                                                       \
    F(POPCNT, 1_ECX, 23, HOST, "popcnt", NULL)                                                     \
    F(TSC_DEADLINE, 1_ECX, 24, OWN, "tsc-deadline", NULL)                                          \
    F(AES, 1_ECX, 25, HOST, "aes", NULL)                                                           \
    F(XSAVE, 1_ECX, 26, OWN, "xsave", NULL)                                                        \
    F(AVX, 1_ECX, 28, HOST, "avx", NULL)                                                           \
    F(F16C, 1_ECX, 29, HOST, "f16c", NULL)                                                         \
    F(RDRAND, 1_ECX, 30, HOST, "rdrand", NULL)                                                     \
    F(HYPERVISOR, 1_ECX, 31, OWN, "hypervisor", NULL)

#define CPU_FEATURES_7(F)                                                                          \
    F(FSGSBASE, 7_EBX, 0, OWN, "fsgsbase", NULL)                                                   \
    F(TSC_ADJUST, 7_EBX, 1, OWN, "tsc-adjust", NULL)                                               \
    F(SGX, 7_EBX, 2, NONE, "sgx", NULL)                                                            \
    F(BMI1, 7_EBX, 3, HOST, "bmi1", NULL)                                                          \
    F(HLE, 7_EBX, 4, NONE, "hle", NULL)                                                            \
    F(AVX2, 7_EBX, 5, HOST, "avx2", NULL)                                                          \
    F(SMEP, 7_EBX, 7, OWN, "smep", NULL)                                                           \
    F(BMI2, 7_EBX, 8, HOST, "bmi2", NULL)                                                          \
    F(ERMS, 7_EBX, 9, OWN, "erms", NULL)                                                           \
    F(INVPCID, 7_EBX, 10, OWN, "invpcid", NULL)                                                    \
    F(RTM, 7_EBX, 11, NONE, "rtm", NULL)                                                           \
    F(MPX, 7_EBX, 14, NONE, "mpx", NULL)                                                           \
    F(AVX512F, 7_EBX, 16, NONE, "avx512f", NULL)                                                   \
    F(AVX512DQ, 7_EBX, 17, NONE, "avx512dq", NULL)                                                 \
    F(RDSEED, 7_EBX, 18, HOST, "rdseed", NULL)                                                     \
    F(ADX, 7_EBX, 19, HOST, "adx", NULL)                                                           \
    F(SMAP, 7_EBX, 20, OWN, "smap", NULL)                                                          \
    F(AVX512IFMA, 7_EBX, 21, NONE, "avx512ifma", NULL)                                             \
    F(PCOMMIT, 7_EBX, 22, NONE, "pcommit", NULL)                                                   \
    F(CLFLUSHOPT, 7_EBX, 23, OWN, "clflushopt", NULL)                                              \
    F(CLWB, 7_EBX, 24, OWN, "clwb", NULL)                                                          \
    F(INTEL_PT, 7_EBX, 25, NONE, "intel-pt", NULL)                                                 \
    F(AVX512PF, 7_EBX, 26, NONE, "avx512pf", NULL)                                                 \
    F(AVX512ER, 7_EBX, 27, NONE, "avx512er", NULL)                                                 \
    F(AVX512CD, 7_EBX, 28, NONE, "avx512cd", NULL)                                                 \
    F(SHA_NI, 7_EBX, 29, HOST, "sha-ni", NULL)                                                     \
    F(AVX512BW, 7_EBX, 30, NONE, "avx512bw", NULL)                                                 \
    F(AVX512VL, 7_EBX, 31, NONE, "avx512vl", NULL)                                                 \
    F(AVX512VBMI, 7_ECX, 1, NONE, "avx512vbmi", NULL)                                              \
    F(UMIP, 7_ECX, 2, OWN, "umip", NULL)                                                           \
    F(PKU, 7_ECX, 3, OWN,  "pku", NULL)                                                            \
    F(WAITPKG, 7_ECX, 5, NONE, "waitpkg", NULL)                                                    \
    F(AVX512VBMI2, 7_ECX, 6, NONE, "avx512vbmi2", NULL)                                            \
    F(GFNI, 7_ECX, 8, HOST, "gfni", NULL)                                                          \
    F(VAES, 7_ECX, 9, HOST, "vaes", NULL)                                                          \
    F(VPCLMULQDQ, 7_ECX, 10, HOST, "vpclmulqdq", NULL)                                             \
    F(AVX512VNNI, 7_ECX, 11, NONE, "avx512vnni", NULL)                                             \
    F(AVX512BITALG, 7_ECX, 12, NONE, "avx512bitalg", NULL)                                         \
    F(AVX512_VPOPCNTDQ, 7_ECX, 14, NONE, "avx512-vpopcntdq", NULL)                                 \
    F(LA57, 7_ECX, 16, OWN, "la57", NULL)                                                          \
    F(RDPID, 7_ECX, 22, OWN, "rdpid", NULL)                                                        \
    F(BUS_LOCK_DETECT, 7_ECX, 24, NONE, "bus-lock-detect", NULL)                                   \
    F(CLDEMOTE, 7_ECX, 25, OWN, "cldemote", NULL)                                                 \
    F(MOVDIRI, 7_ECX, 27, OWN, "movdiri", NULL)                                                    \
    F(MOVDIR64B, 7_ECX, 28, OWN, "movdir64b", NULL)                                                \
    F(SGXLC, 7_ECX, 30, NONE, "sgxlc", NULL)                                                       \
    F(PKS, 7_ECX, 31, NONE, "pks", NULL)                                                           \
    F(AVX512_4VNNIW, 7_EDX, 2, NONE, "avx512-4vnniw", NULL)                                        \
    F(AVX512_4FMAPS, 7_EDX, 3, NONE, "avx512-4fmaps", NULL)                                        \
    F(FSRM, 7_EDX, 4, OWN, "fsrm", NULL)                                                           \
    F(AVX512_VP2INTERSECT, 7_EDX, 8, NONE, "avx512-vp2intersect", NULL)                            \
    F(MD_CLEAR, 7_EDX, 10, OWN, "md-clear", NULL)                                                  \
    F(SERIALIZE, 7_EDX, 14, OWN, "serialize", NULL)                                               \
    F(TSX_LDTRK, 7_EDX, 16, NONE, "tsx-ldtrk", NULL)                                               \
    F(ARCH_LBR, 7_EDX, 19, NONE, "arch-lbr", NULL)                                                 \
    F(AMX_BF16, 7_EDX, 22, NONE, "amx-bf16", NULL)                                                 \
    F(AVX512_FP16, 7_EDX, 23, NONE, "avx512-fp16", NULL)                                           \
    F(AMX_TILE, 7_EDX, 24, NONE, "amx-tile", NULL)                                                 \
    F(AMX_INT8, 7_EDX, 25, NONE, "amx-int8", NULL)                                                 \
    F(SPEC_CTRL, 7_EDX, 26, OWN, "spec-ctrl", NULL)                                                \
    F(STIBP, 7_EDX, 27, OWN, "stibp", NULL)                                                        \
    F(ARCH_CAPABILITIES, 7_EDX, 29, OWN, "arch-capabilities", NULL)                                \
    F(CORE_CAPABILITY, 7_EDX, 30, OWN, "core-capability", NULL)                                    \
    F(SSBD, 7_EDX, 31, OWN, "ssbd", NULL)                                                          \
    F(AVX_VNNI, 71_EAX, 4, NONE, "avx-vnni", NULL)                                                 \
    F(AVX512_BF16, 71_EAX, 5, NONE, "avx512-bf16", NULL)                                           \
    F(XSAVEOPT, D1_EAX, 0, OWN, "xsaveopt", NULL)                                                  \
    F(XSAVEC, D1_EAX, 1, OWN, "xsavec", NULL)                                                      \
    F(XGETBV1, D1_EAX, 2, OWN, "xgetbv1", NULL)                                                    \
    F(XSAVES, D1_EAX, 3, OWN, "xsaves", NULL)                                                      \
    F(XFD, D1_EAX, 4, NONE, "xfd", NULL)                                                           \
    F(ARAT, 6_EAX, 2, OWN, "arat", NULL)

#define CPU_FEATURES_X(F)                                                                          \
    F(SYSCALL, X1_EDX, 11, OWN, "syscall", NULL)                                                   \
    F(NX, X1_EDX, 20, OWN, "nx", "xd")                                                             \
    F(MMXEXT, X1_EDX, 22, OWN, "mmxext", NULL)                                                     \
    F(FXSR_OPT, X1_EDX, 25, OWN,  "fxsr-opt", "ffxsr")                                             \
    F(PDPE1GB, X1_EDX, 26, OWN, "pdpe1gb", NULL)                                                   \
    F(RDTSCP, X1_EDX, 27, OWN, "rdtscp", NULL)                                                     \
    F(LM, X1_EDX, 29, OWN, "lm", "i64")                                                            \
    F(3DNOWEXT, X1_EDX, 30, OWN,  "3dnowext", NULL)                                                \
    F(3DNOW, X1_EDX, 31, OWN,  "3dnow", NULL)                                                      \
    F(LAHF_LM, X1_ECX, 0, OWN, "lahf-lm", NULL)                                                    \
    F(CMP_LEGACY, X1_ECX, 1, OWN, "cmp-legacy", NULL)                                              \
    F(SVM, X1_ECX, 2, NONE, "svm", NULL)                                                           \
    F(EXTAPIC, X1_ECX, 3, NONE, "extapic", NULL)                                                   \
    F(CR8LEGACY, X1_ECX, 4, OWN, "cr8legacy", NULL)                                               \
    F(ABM, X1_ECX, 5, HOST, "abm", NULL)                                                           \
    F(SSE4A, X1_ECX, 6, HOST, "sse4a", NULL)                                                       \
    F(MISALIGNSSE, X1_ECX, 7, HOST, "misalignsse", NULL)                                           \
    F(3DNOWPREFETCH, X1_ECX, 8, OWN, "3dnowprefetch", NULL)                                        \
    F(OSVW, X1_ECX, 9, OWN,  "osvw", NULL)                                                         \
    F(IBS, X1_ECX, 10, NONE, "ibs", NULL)                                                          \
    F(XOP, X1_ECX, 11, NONE, "xop", NULL)                                                          \
    F(SKINIT, X1_ECX, 12, NONE, "skinit", NULL)                                                    \
    F(WDT, X1_ECX, 13, NONE, "wdt", NULL)                                                          \
    F(LWP, X1_ECX, 15, NONE, "lwp", NULL)                                                          \
    F(FMA4, X1_ECX, 16, NONE, "fma4", NULL)                                                        \
    F(TCE, X1_ECX, 17, NONE, "tce", NULL)                                                          \
    F(NODEID_MSR, X1_ECX, 19, NONE, "nodeid-msr", NULL)                                            \
    F(TBM, X1_ECX, 21, NONE, "tbm", NULL)                                                          \
    F(TOPOEXT, X1_ECX, 22, OWN, "topoext", NULL)                                                  \
    F(PERFCTR_CORE, X1_ECX, 23, NONE, "perfctr-core", NULL)                                        \
    F(PERFCTR_NB, X1_ECX, 24, NONE, "perfctr-nb", NULL)                                            \
    F(MWAITX, X1_ECX, 29, OWN, "monitorx", "mwaitx")                                               \
    F(INVTSC, X7_EDX, 8, OWN, "invtsc", NULL)                                                      \
    F(CLZERO, X8_EBX, 0, OWN, "clzero", NULL)                                                      \
    F(XSAVEERPTR, X8_EBX, 2, NONE, "xsaveerptr", NULL)                                             \
    F(WBNOINVD, X8_EBX, 9, OWN, "wbnoinvd", NULL)                                                  \
    F(IBPB, X8_EBX, 12, OWN, "ibpb", NULL)                                                         \
    F(IBRS, X8_EBX, 14, OWN, "ibrs", NULL)                                                         \
    F(AMD_STIBP, X8_EBX, 15, OWN, "amd-stibp", NULL)                                               \
    F(AMD_SSBD, X8_EBX, 24, OWN, "amd-ssbd", NULL)                                                 \
    F(VIRT_SSBD, X8_EBX, 25, NONE, "virt-ssbd", NULL)                                              \
    F(AMD_NO_SSB, X8_EBX, 26, OWN, "amd-no-ssb", NULL)                                             \
    F(NO_NESTED_DATA_BP, X21_EAX, 0, NONE, "no-nested-data-bp", NULL)                              \
    F(LFENCE_SERIALIZING, X21_EAX, 2, OWN, "lfence-always-serializing", NULL)                      \
    F(NULL_SEL_CLR_BASE, X21_EAX, 6, OWN, "null-sel-clr-base", NULL)                              \
    F(AUTO_IBRS, X21_EAX, 8, OWN, "auto-ibrs", NULL)                                               \
    F(RDCTL_NO, ARCH_CAPS, 0, OWN, "rdctl-no", NULL)                                               \
    F(IBRS_ALL, ARCH_CAPS, 1, OWN, "ibrs-all", NULL)                                               \
    F(RSBA, ARCH_CAPS, 2, NONE, "rsba", NULL)                                                      \
    F(SKIP_L1DFL, ARCH_CAPS, 3, OWN, "skip-l1dfl-vmentry", NULL)                                   \
    F(SSB_NO, ARCH_CAPS, 4, OWN, "ssb-no", NULL)                                                   \
    F(MDS_NO, ARCH_CAPS, 5, OWN, "mds-no", NULL)                                                   \
    F(PSCHANGE_MC_NO, ARCH_CAPS, 6, OWN, "pschange-mc-no", NULL)                                   \
    F(TSX_CTRL, ARCH_CAPS, 7, NONE, "tsx-ctrl", NULL)                                              \
    F(TAA_NO, ARCH_CAPS, 8, OWN, "taa-no", NULL)                                                   \
    F(SBDR_SSDP_NO, ARCH_CAPS, 13, OWN, "sbdr-ssdp-no", NULL)                                      \
    F(FBSDP_NO, ARCH_CAPS, 14, OWN, "fbsdp-no", NULL)                                              \
    F(PSDP_NO, ARCH_CAPS, 15, OWN, "psdp-no", NULL)                                                \
    F(BHI_NO, ARCH_CAPS, 20, OWN, "bhi-no", NULL)                                                  \
    F(PBRSB_NO, ARCH_CAPS, 24, OWN, "pbrsb-no", NULL)                                              \
    F(GDS_NO, ARCH_CAPS, 26, OWN, "gds-no", NULL)                                                  \
    F(RFDS_NO, ARCH_CAPS, 27, OWN, "rfds-no", NULL)

#define CPU_FEATURES(F) CPU_FEATURES_1(F) CPU_FEATURES_7(F) CPU_FEATURES_X(F)

enum cpu_feature {
#define CPU_FEATURE_ENUM(id, word, bit, kind, name, alias) FEAT_##id = CPUW_##word * 32 + (bit),
    CPU_FEATURES(CPU_FEATURE_ENUM)
#undef CPU_FEATURE_ENUM
};

static inline bool abi_cpu_has(const uint32_t *words, enum cpu_feature f)
{
    return words[f >> 5] >> (f & 31) & 1;
}

#endif
