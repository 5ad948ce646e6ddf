/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which model has which MSR, what may be written into it, and the registers that are no more than a word:
 * machine check, platform facts, AMD's configuration registers. Owns these tables (SDM volume 4; AMD BKDG
 * and PPR). Must never invent a register: what is in no table raises #GP.
 */
#include <stddef.h>
#include "cpu-worker/interp/msr.h"

#define ANY     0xffffu
#define INTEL   1u
#define AMD     2u
#define BANKS   ABI_MCE_BANKS
#define HWCR_STATUS_WRITE (1ull << 18) /* AMD: McStatusWrEn */
#define BIT64(n) (1ull << (n))

/* Registers that need a feature (either of two) or a vendor. Others are left to whoever keeps them. */
static const struct {
    uint32_t first, last;
    uint16_t a, b;
    uint8_t vendors;
} need[] = {
    {0x00000000, 0x00000001, FEAT_MCE, FEAT_MCE, INTEL | AMD},
    {0x00000010, 0x00000010, FEAT_TSC, FEAT_TSC, INTEL | AMD},
    {0x00000017, 0x00000017, ANY, ANY, INTEL},
    {0x0000001b, 0x0000001b, FEAT_APIC, FEAT_APIC, INTEL | AMD},
    {0x0000003a, 0x0000003a, ANY, ANY, INTEL},
    {0x0000003b, 0x0000003b, FEAT_TSC_ADJUST, FEAT_TSC_ADJUST, INTEL | AMD},
    {0x000000ce, 0x000000ce, ANY, ANY, INTEL},
    {0x000000cf, 0x000000cf, FEAT_CORE_CAPABILITY, FEAT_CORE_CAPABILITY, INTEL | AMD},
    {0x000000fe, 0x000000fe, FEAT_MTRR, FEAT_MTRR, INTEL | AMD},
    {0x0000010a, 0x0000010a, FEAT_ARCH_CAPABILITIES, FEAT_ARCH_CAPABILITIES, INTEL | AMD},
    {0x00000140, 0x00000140, ANY, ANY, INTEL},
    {0x00000174, 0x00000176, FEAT_SEP, FEAT_SEP, INTEL | AMD},
    {0x00000179, 0x0000017b, FEAT_MCA, FEAT_MCA, INTEL | AMD},
    {0x000001a0, 0x000001a0, ANY, ANY, INTEL},
    {0x00000200, 0x0000020f, FEAT_MTRR, FEAT_MTRR, INTEL | AMD},
    {0x00000250, 0x0000026f, FEAT_MTRR, FEAT_MTRR, INTEL | AMD},
    {0x00000277, 0x00000277, FEAT_PAT, FEAT_PAT, INTEL | AMD},
    {0x000002ff, 0x000002ff, FEAT_MTRR, FEAT_MTRR, INTEL | AMD},
    {0x00000400, 0x00000400 + 4 * BANKS - 1, FEAT_MCA, FEAT_MCA, INTEL | AMD},
    {0x000006e0, 0x000006e0, FEAT_TSC_DEADLINE, FEAT_TSC_DEADLINE, INTEL | AMD},
    {0x00000800, 0x000008ff, FEAT_X2APIC, FEAT_X2APIC, INTEL | AMD},
    {0xc0000081, 0xc0000084, FEAT_SYSCALL, FEAT_LM, INTEL | AMD},
    {0xc0000100, 0xc0000102, FEAT_LM, FEAT_LM, INTEL | AMD},
    {0xc0000103, 0xc0000103, FEAT_RDTSCP, FEAT_RDPID, INTEL | AMD},
    {0xc0010140, 0xc0010141, FEAT_OSVW, FEAT_OSVW, AMD},
    {0xc0010000, 0xc001ffff, ANY, ANY, AMD},
};
static bool spec_ctrl_exists(const struct cpu *c, uint32_t msr)
{
    if (cpu_has(c, FEAT_SPEC_CTRL))
        return true;
    if (msr == 0x49)
        return cpu_has(c, FEAT_IBPB);
    return cpu_has(c, FEAT_IBRS) || cpu_has(c, FEAT_STIBP) || cpu_has(c, FEAT_AMD_STIBP) ||
           cpu_has(c, FEAT_SSBD) || cpu_has(c, FEAT_AMD_SSBD);
}
bool msr_exists(const struct cpu *c, uint32_t msr)
{
    if (msr == 0x48 || msr == 0x49)
        return spec_ctrl_exists(c, msr);
    for (unsigned i = 0; i < sizeof(need) / sizeof(need[0]); i++) {
        if (msr < need[i].first || msr > need[i].last)
            continue;
        if (!(need[i].vendors & (c->vendor == ABI_CPU_AMD ? AMD : INTEL)))
            return false;
        return need[i].a == ANY || cpu_has(c, need[i].a) || cpu_has(c, need[i].b);
    }
    return true;
}

/* ---- values
 * ----------------------------------------------------------------------------------------- */
/* Memory types of an MTRR: UC WC WT WP WB. */
static bool mtrr_type(uint64_t t)
{
    return t < 8 && (0x73 >> t & 1);
}
static bool bytes_valid(uint64_t v, bool (*good)(uint64_t))
{
    for (unsigned i = 0; i < 64; i += 8)
        if (!good(v >> i & 0xff))
            return false;
    return true;
}
static bool pat_type(uint64_t t)
{
    return mtrr_type(t) || t == 7;
}
static bool mtrr_variable(const struct cpu *c, uint32_t msr, uint64_t v)
{
    uint64_t above = ~0ull << c->model.phys_bits;
    if (msr & 1) /* mask: bit 11 valid */
        return !(v & (above | 0x7ff));
    return !(v & (above | 0xf00)) && mtrr_type(v & 0xff);
}
static bool misc_enable(const struct cpu *c, uint64_t v)
{
    uint64_t may = BIT64(0) | BIT64(3) | BIT64(11) | BIT64(12) | BIT64(22) | BIT64(34);
    if (cpu_has(c, FEAT_MONITOR))
        may |= BIT64(18);
    return !(v & ~may);
}
static bool apic_base(const struct cpu *c, uint64_t v)
{
    uint64_t reserved = ~0ull << c->model.phys_bits | 0x2ff;
    if (!cpu_has(c, FEAT_X2APIC))
        reserved |= 0x400;
    return !(v & reserved);
}
bool msr_valid(const struct cpu *c, uint32_t msr, uint64_t v)
{
    if (msr >= 0x200 && msr < 0x210)
        return mtrr_variable(c, msr, v);
    if (msr >= 0x250 && msr < 0x270)
        return bytes_valid(v, mtrr_type);
    switch (msr) {
    case 0x1b:
        return apic_base(c, v);
    case 0x1a0:
        return misc_enable(c, v);
    case 0x277:
        return bytes_valid(v, pat_type);
    case 0x2ff: /* default type, FE, E */
        return !(v & ~0xcffull) && mtrr_type(v & 0xff);
    default:
        return true;
    }
}

/* ---- words
 * ------------------------------------------------------------------------------------------ */
#define STATE(f) (uint16_t)offsetof(struct abi_vcpu_state, f)
enum word_kind { W_STATE, W_CONST, W_ZERO /* reads 0, takes only 0 */ };
static const struct word {
    uint32_t msr;
    uint8_t kind;
    uint16_t off;      /* W_STATE: where it lives */
    uint64_t value;    /* W_CONST: what it reads as; W_STATE: bits that always read 1 */
    uint64_t writable; /* bits that may be written; another one set raises #GP. 0: read-only */
} words[] = {
    {0x00, W_CONST, 0, 0, ~0ull}, /* P5 machine check address and type */
    {0x01, W_CONST, 0, 0, ~0ull},
    {0x17, W_CONST, 0, 0, 0},
    {0x3a, W_CONST, 0, 1, 0},                       /* feature control: locked, nothing enabled */
    {0xce, W_CONST, 0, 0, 0},                       /* platform information: nothing programmable */
    {0xcf, W_CONST, 0, 0, 0},                       /* core capabilities: no split-lock exception */
    {0x140, W_ZERO, 0, 0, 0},                       /* no CPUID faulting */
    {0x179, W_CONST, 0, BANKS | 1u << 8, 0},        /* MCG_CAP: banks, MCG_CTL */
    {0x17a, W_STATE, STATE(mcg_status), 0, 7},
    {0x17b, W_STATE, STATE(mcg_ctl), 0, ~0ull},
    {0x1a0, W_STATE, STATE(misc_enable), 0x1800, ~0ull}, /* no BTS, no PEBS */
    {0xc0010010, W_STATE, STATE(syscfg), 0, 0xfc0000}, /* SYSCFG */
    {0xc0010015, W_STATE, STATE(hwcr), 0, BIT64(32) - 1},
    {0xc001001a, W_CONST, 0, 0x80000000, ~0ull},    /* TOP_MEM */
    {0xc001001d, W_CONST, 0, 0, ~0ull},             /* TOP_MEM2 */
    {0xc001001f, W_STATE, STATE(nb_cfg), 0, ~0ull},
    {0xc0010055, W_CONST, 0, 0, ~0ull},             /* interrupt pending message */
    {0xc0010061, W_CONST, 0, 0, 0},                 /* P-states: only P0 */
    {0xc0010062, W_CONST, 0, 0, 7},
    {0xc0010063, W_CONST, 0, 0, 0},
    {0xc0010064, W_CONST, 0, 0, 0},
    {0xc0010114, W_CONST, 0, 0x18, 0},              /* VM_CR: SVM disabled and locked */
    {0xc0010140, W_CONST, 0, 0, 0},                 /* OSVW: no workaround needed */
    {0xc0010141, W_CONST, 0, 0, 0},
    {0xc0011029, W_STATE, STATE(de_cfg), 2, ~0ull}, /* DE_CFG: LFENCE serialises */
};
static const struct word *word_find(uint32_t msr)
{
    for (unsigned i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (words[i].msr == msr)
            return &words[i];
    return NULL;
}
static uint64_t *bank_word(const struct cpu *c, uint32_t msr)
{
    unsigned bank = (msr - 0x400) / 4;
    struct abi_mce_bank *b = &c->s->mce_bank[bank];
    return (msr & 3) == 0 ? &c->s->mci_ctl[bank] : (msr & 3) == 1 ? &b->status : (msr & 3) == 2 ? &b->addr : &b->misc;
}
/* CTL keeps what is written; STATUS, ADDR and MISC are cleared by a zero and take nothing else (15.3.2), but on
 * AMD's processors where HWCR lets them. */
static bool bank_register(uint32_t msr)
{
    return msr >= 0x400 && msr < 0x400 + 4 * BANKS;
}
bool msr_table_read(const struct cpu *c, uint32_t msr, uint64_t *v)
{
    const struct word *w = word_find(msr);
    if (bank_register(msr)) {
        *v = *bank_word(c, msr);
        return true;
    }
    if (msr == 0x8b) { /* microcode revision */
        *v = c->model.ucode_rev;
        return true;
    }
    if (!w)
        return false;
    *v = w->value;
    if (w->kind == W_STATE)
        *v |= *(const uint64_t *)((const char *)c->s + w->off);
    if (msr == 0x1a0 && !cpu_has(c, FEAT_MONITOR))
        *v &= ~BIT64(18);
    return true;
}
enum msr_table_result msr_table_write(struct cpu *c, uint32_t msr, uint64_t v)
{
    const struct word *w = word_find(msr);
    if (bank_register(msr)) {
        if ((msr & 3) && v && !(c->vendor == ABI_CPU_AMD && (c->s->hwcr & HWCR_STATUS_WRITE)))
            return MSR_FAULT;
        *bank_word(c, msr) = v;
        return MSR_DONE;
    }
    if (msr == 0x8b || msr == 0x79 || msr == 0xc0010020) /* an update is loaded and changes nothing */
        return msr == 0xc0010020 || c->vendor != ABI_CPU_AMD ? MSR_DONE : MSR_FAULT;
    if (!w)
        return MSR_ELSEWHERE;
    if (w->kind == W_ZERO)
        return v ? MSR_FAULT : MSR_DONE;
    if (!w->writable || v & ~(w->writable | w->value))
        return MSR_FAULT;
    if (w->kind == W_STATE)
        *(uint64_t *)((char *)c->s + w->off) = v;
    return MSR_DONE;
}
