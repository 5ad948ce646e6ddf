/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ACPI fixed hardware: PM1a event and control blocks, the 24-bit PM timer and the PIIX4's global control
 * where the PMBA register puts them, GPE block 0 at AFE0h, and the SMI command port B2h that switches ACPI mode on. Owns the SCI; must
 * never decide what power-off means, it only reports it. Reference: ACPI specification 6.3,
 * section 4.8.
 */
#include "cpu-worker/chipset/chipset-internal.h"

#define GPE_BASE 0xafe0
#define PM_PORTS 64
#define R_PM1  0x00
#define R_CNT  0x04
#define R_TMR  0x08
#define R_GLBCTL 0x28
#define PM_HZ    3579545ull
#define STS_TMR    0x0001
#define STS_PWRBTN 0x0100
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

static void cnt_write(struct chipset *cs, uint16_t v)
{
    struct abi_acpi_pm *p = &cs->st->pm;
    p->pm1_cnt = (p->pm1_cnt & CNT_SCI_EN) | (v & CNT_KEEP);
    if (!(v & CNT_SLP_EN))
        return;
    if (SLP_TYP(v) == SLP_TYP_S5)
        cs_event(cs, CHIPSET_EV_POWEROFF);
    else if (SLP_TYP(v) == SLP_TYP_S3)
        cs_event(cs, CHIPSET_EV_SLEEP);
}

/* The blocks as little-endian doublewords, so that any access size is a slice of them. */
static uint32_t dword_read(struct chipset *cs, uint16_t port)
{
    struct abi_acpi_pm *p = &cs->st->pm;
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

static void apm_write(struct chipset *cs, uint8_t v)
{
    struct abi_acpi_pm *p = &cs->st->pm;
    p->apm_cnt = v;
    if (v == ACPI_ENABLE)
        p->pm1_cnt |= CNT_SCI_EN;
    else if (v == ACPI_DISABLE)
        p->pm1_cnt &= ~CNT_SCI_EN;
    else if (__atomic_load_n(&cs->page->apm_smi, __ATOMIC_RELAXED))
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
    uint32_t base = __atomic_load_n(&cs->page->pm_base, __ATOMIC_RELAXED) & 0xffc0;
    if (base == p->base && (!base || cs->port_owner[base] == PORT_ACPI))
        return;
    if (p->base)
        cs_ports_claim(cs, p->base, PM_PORTS, PORT_NONE);
    p->base = base;
    if (base)
        cs_ports_claim(cs, base, PM_PORTS, PORT_ACPI);
}

void acpi_reset(struct chipset *cs)
{
    uint32_t seen = __atomic_load_n(&cs->page->power_button, __ATOMIC_RELAXED);
    cs->st->pm = (struct abi_acpi_pm){.power_button_seen = seen, .tmr_checked = pm_tick(cs),
                                      .base = cs->st->pm.base};
    acpi_move(cs);
    cs_ports_claim(cs, GPE_BASE, 4, PORT_ACPI);
    cs_ports_claim(cs, 0xb2, 2, PORT_ACPI);
    acpi_update(cs);
}
