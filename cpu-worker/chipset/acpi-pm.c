/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ACPI fixed hardware: PM1a event and control blocks, the 24-bit PM timer and the PIIX4's global control
 * where the PMBA register puts them, GPE block 0 at AFE0h (ICH9: SMI enable and GPE block 0 with the others), and the SMI command port B2h that switches ACPI mode on. Owns the SCI; must
 * never decide what power-off means, it only reports it. Reference: ACPI specification 6.3,
 * section 4.8.
 */
#include "cpu-worker/chipset/chipset-internal.h"

#define GPE_BASE 0xafe0
#define PM_PORTS 128 /* ICH9; the PIIX4 has half of it */
#define R_ICH9_GPE_STS 0x20
#define R_ICH9_GPE_EN  0x28
#define R_ICH9_SMI_EN  0x30
#define SMI_EN_GLOBAL 0x01u
#define SMI_EN_APMC 0x21u /* global enable and that of the APM port */
#define R_PM1  0x00
#define R_CNT  0x04
#define R_TMR  0x08
#define R_GLBCTL 0x28
#define PM_HZ    3579545ull
#define STS_TMR    0x0001
#define STS_PWRBTN 0x0100
#define STS_RTC    0x0400
#define STS_WAKE   0x8000
#define STS_ALL    0x8731 /* timer, bus master, global, power, sleep, RTC, wake */
#define EN_ALL     0x0721
#define CNT_SCI_EN  0x0001
#define CNT_SLP_EN  0x2000
#define CNT_KEEP    0x1c02 /* SLP_TYP and BM_RLD; the others are write only or SCI_EN */
#define SLP_TYP(v) (((v) >> 10) & 7)
#define SLP_TYP_S5 0
#define SLP_TYP_S3 1
#define ACPI_ENABLE  0xf1
#define ACPI_DISABLE 0xf0
#define MSB_TICKS (1ull << 23)

static uint64_t pm_tick(struct chipset *cs)
{
    return muldiv(cs_now(cs), PM_HZ, NS_PER_S);
}

/* TMR_STS is set whenever bit 23 of the timer changes (4.8.2.1). */
static void tmr_update(struct chipset *cs)
{
    struct abi_acpi_pm *p = &cs->st->pm;
    uint64_t t = pm_tick(cs);
    if (t / MSB_TICKS != p->tmr_checked / MSB_TICKS)
        p->pm1_sts |= STS_TMR;
    p->tmr_checked = t;
}

static void acpi_update(struct chipset *cs)
{
    struct abi_acpi_pm *p = &cs->st->pm;
    bool sci = (p->pm1_sts & p->pm1_en & EN_ALL) || (p->gpe_sts & p->gpe_en);
    uint32_t gsi = cs->page->acpi_sci_gsi;
    if (gsi < ABI_GSI_MAX)
        cs_line_set(cs, gsi, SRC_ACPI, sci && (p->pm1_cnt & CNT_SCI_EN));
    if (p->asleep && (p->pm1_sts & (STS_PWRBTN | (p->pm1_en & STS_RTC)))) {
        p->asleep = 0;
        cs_event(cs, CHIPSET_EV_WAKE);
    }
    uint64_t at = NEVER;
    if ((p->pm1_en & STS_TMR) && !(p->pm1_sts & STS_TMR))
        at = muldiv_up((p->tmr_checked / MSB_TICKS + 1) * MSB_TICKS, NS_PER_S, PM_HZ);
    cs_deadline_set(cs, DL_ACPI, at);
}

void acpi_run(struct chipset *cs)
{
    tmr_update(cs);
    acpi_update(cs);
}

void acpi_power_button(struct chipset *cs)
{
    struct abi_acpi_pm *p = &cs->st->pm;
    p->power_button_seen = __atomic_load_n(&cs->page->power_button, __ATOMIC_RELAXED);
    p->pm1_sts |= STS_PWRBTN;
    acpi_update(cs);
}

void acpi_rtc_alarm(struct chipset *cs)
{
    cs->st->pm.pm1_sts |= STS_RTC;
    acpi_update(cs);
}

static void cnt_write(struct chipset *cs, uint16_t v)
{
    struct abi_acpi_pm *p = &cs->st->pm;
    p->pm1_cnt = (p->pm1_cnt & CNT_SCI_EN) | (v & CNT_KEEP);
    if (!(v & CNT_SLP_EN))
        return;
    if (SLP_TYP(v) == SLP_TYP_S5)
        cs_event(cs, CHIPSET_EV_POWEROFF);
    else if (SLP_TYP(v) == SLP_TYP_S3 && cs->page->fwcfg_off) { /* only firmware can wake the machine up */
        p->asleep = 1;
        p->pm1_sts &= ~STS_PWRBTN;
        cs_event(cs, CHIPSET_EV_SLEEP);
    }
}

/* The blocks as little-endian doublewords, so that any access size is a slice of them. */
static bool ich9(const struct chipset *cs)
{
    return cs->page->pm_ich9;
}
static uint32_t ich9_read(const struct abi_acpi_pm *p, uint32_t reg)
{
    return reg == R_ICH9_GPE_STS ? p->gpe_sts : reg == R_ICH9_GPE_EN ? p->gpe_en : reg == R_ICH9_SMI_EN ? p->glbctl : 0;
}
static void ich9_write(struct chipset *cs, uint32_t reg, uint32_t merged, uint32_t clear)
{
    struct abi_acpi_pm *p = &cs->st->pm;
    if (reg == R_ICH9_GPE_STS)
        p->gpe_sts &= ~clear;
    else if (reg == R_ICH9_GPE_EN)
        p->gpe_en = (uint16_t)merged;
    else if (reg == R_ICH9_SMI_EN)
        p->glbctl = merged | (cs->page->pm_smi_lock ? p->glbctl & SMI_EN_GLOBAL : 0);
}

static uint32_t dword_read(struct chipset *cs, uint16_t port)
{
    struct abi_acpi_pm *p = &cs->st->pm;
    if (ich9(cs) && port - p->base >= R_ICH9_GPE_STS && port - p->base < PM_PORTS)
        return ich9_read(p, port - p->base);
    if (port == GPE_BASE)
        return p->gpe_sts | (uint32_t)p->gpe_en << 16;
    switch (port - p->base) {
    case R_PM1:
        tmr_update(cs);
        return p->pm1_sts | (uint32_t)p->pm1_en << 16;
    case R_CNT:
        return p->pm1_cnt;
    case R_TMR:
        return pm_tick(cs) & 0xffffff;
    case R_GLBCTL:
        return p->glbctl;
    }
    return 0;
}

/* v holds the written bytes, mask says which they are. */
static void dword_write(struct chipset *cs, uint16_t port, uint32_t v, uint32_t mask)
{
    struct abi_acpi_pm *p = &cs->st->pm;
    uint32_t old = dword_read(cs, port), merged = (old & ~mask) | (v & mask);
    uint32_t clear = v & mask & 0xffff; /* status bits: write one to clear */
    if (ich9(cs) && port - p->base >= R_ICH9_GPE_STS && port - p->base < PM_PORTS) {
        ich9_write(cs, port - p->base, merged, clear);
        acpi_update(cs);
        return;
    }
    if (port == GPE_BASE) {
        p->gpe_sts &= ~clear;
        p->gpe_en = (uint16_t)(merged >> 16);
        acpi_update(cs);
        return;
    }
    switch (port - p->base) {
    case R_PM1:
        p->pm1_sts &= ~(clear & STS_ALL);
        p->pm1_en = merged >> 16 & EN_ALL;
        break;
    case R_CNT:
        if (mask & 0xff00)
            cnt_write(cs, (uint16_t)merged);
        else if (mask & 0xff)
            p->pm1_cnt = (p->pm1_cnt & ~2u) | (merged & 2);
        break;
    case R_GLBCTL: /* SMIs for the APM port are enabled in configuration space; the rest has no effect */
        p->glbctl = merged;
        break;
    }
    acpi_update(cs);
}

/* PIIX4: DEVACTB, which the vmm has. ICH9: SMI_EN. */
static bool apm_raises_smi(struct chipset *cs)
{
    if (ich9(cs))
        return (cs->st->pm.glbctl & SMI_EN_APMC) == SMI_EN_APMC;
    return __atomic_load_n(&cs->page->apm_smi, __ATOMIC_RELAXED);
}

static void apm_write(struct chipset *cs, uint8_t v)
{
    struct abi_acpi_pm *p = &cs->st->pm;
    p->apm_cnt = v;
    if (v == ACPI_ENABLE)
        p->pm1_cnt |= CNT_SCI_EN;
    else if (v == ACPI_DISABLE)
        p->pm1_cnt &= ~CNT_SCI_EN;
    else if (apm_raises_smi(cs))
        lapic_smi(cs, 0); /* other commands are the firmware's, in SMM on the bootstrap processor */
    acpi_update(cs);
}

uint32_t acpi_port_read(struct chipset *cs, uint16_t port, unsigned size)
{
    if (port == 0xb2 || port == 0xb3)
        return port == 0xb2 ? cs->st->pm.apm_cnt : cs->st->pm.apm_sts;
    uint32_t v = dword_read(cs, port & ~3u) >> (8 * (port & 3));
    return size >= 4 ? v : v & ((1u << (8 * size)) - 1);
}

void acpi_port_write(struct chipset *cs, uint16_t port, unsigned size, uint32_t v)
{
    unsigned shift = 8 * (port & 3);
    uint32_t mask = size >= 4 ? ~0u : (1u << (8 * size)) - 1;
    if (port == 0xb2)
        apm_write(cs, v & 0xff);
    else if (port == 0xb3)
        cs->st->pm.apm_sts = v & 0xff;
    else
        dword_write(cs, port & ~3u, v << shift, mask << shift);
}

/* The vmm has the register that says where the blocks are; 0 = nowhere. */
void acpi_move(struct chipset *cs)
{
    struct abi_acpi_pm *p = &cs->st->pm;
    unsigned ports = ich9(cs) ? PM_PORTS : PM_PORTS / 2;
    uint32_t base = __atomic_load_n(&cs->page->pm_base, __ATOMIC_RELAXED) & 0xffc0;
    if (base == p->base && (!base || cs->port_owner[base] == PORT_ACPI))
        return;
    if (p->base)
        cs_ports_claim(cs, p->base, ports, PORT_NONE);
    p->base = base;
    if (base)
        cs_ports_claim(cs, base, ports, PORT_ACPI);
}

void acpi_reset(struct chipset *cs)
{
    uint32_t seen = __atomic_load_n(&cs->page->power_button, __ATOMIC_RELAXED);
    cs->st->pm = (struct abi_acpi_pm){.power_button_seen = seen, .tmr_checked = pm_tick(cs),
                                      .base = cs->st->pm.base};
    cs->st->pm.pm1_sts = __atomic_load_n(&cs->page->waking, __ATOMIC_RELAXED) & (STS_WAKE | STS_PWRBTN | STS_RTC);
    acpi_move(cs);
    if (!ich9(cs))
        cs_ports_claim(cs, GPE_BASE, 4, PORT_ACPI);
    cs_ports_claim(cs, 0xb2, 2, PORT_ACPI);
    acpi_update(cs);
}
