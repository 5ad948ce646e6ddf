/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The fixed functions of the board: 440FX host bridge, PIIX3 ISA bridge, PIIX4 power management.
 * They hold identity, and registers whose effects are elsewhere: the memory map, interrupt wiring, where the
 * chipset's ports are. Without firmware they hold what it would have programmed.
 */
#include "vmm/machine/machine.h"

#include <linux/pci_regs.h>

#define PIRQRC      0x60u /* to 63h: bit 7 = not routed (PIIX3 2.3.4) */
#define PIRQ_OFF    0x80u
#define PIIX4_PMBA  0x40u
#define PIIX4_DEVACTB 0x58u
#define PIIX4_APMC_EN (1u << 25)
#define PIIX4_PMREGMISC 0x80u
#define PIIX4_SMBBA 0x90u
#define PIIX4_SMBHSTCFG 0xd2u

static const uint8_t pirq_default[4] = {10, 10, 11, 11};

uint8_t machine_pirq_default(unsigned pirq)
{
    return pirq_default[pirq & 3];
}

/* PIIX3 boards swizzle one way, ICH9 boards another, and there not the built-in functions of the last slots. */
unsigned machine_pirq(unsigned slot, unsigned pin)
{
    if (machine_get()->q35)
        return (slot <= 24 ? slot + pin : pin) & 3;
    return (slot + pin - 1) & 3;
}

uint8_t machine_pirq_gsi(unsigned pirq)
{
    uint8_t reg = machine_get()->isa_bridge.cfg[machine_get()->pirq_reg + (pirq & 3)];

    return reg && !(reg & PIRQ_OFF) ? reg & 15 : pirq_default[pirq & 3];
}

static void intx_wire(struct machine *m, unsigned slot)
{
    const struct pci_dev *d = m->intx[slot];
    unsigned pirq = machine_pirq(d->devfn >> 3, d->cfg[PCI_INTERRUPT_PIN] - 1u);
    bool off = m->isa_bridge.cfg[m->pirq_reg + pirq] & PIRQ_OFF;

    __atomic_store_n(&m->vm->page->isr[slot].gsi, off ? ~0u : machine_pirq_gsi(pirq), __ATOMIC_RELEASE);
}

void machine_intx_attach(struct machine *m, struct pci_dev *d, unsigned isr_slot)
{
    m->intx[isr_slot] = d;
    intx_wire(m, isr_slot);
}

static void host_bridge_written(struct pci_dev *d, unsigned reg, unsigned size)
{
    struct machine *m = d->opaque;
    uint8_t *smram = &d->cfg[I440FX_SMRAM];

    if (reg <= I440FX_SMRAM && reg + size > I440FX_SMRAM && *smram & SMRAM_LOCK) {
        *smram &= (uint8_t)~SMRAM_OPEN; /* 82441FX 3.2.19: locked until the next reset */
        d->wmask[I440FX_SMRAM] = SMRAM_CLOSE;
    }
    if (reg <= I440FX_SMRAM && reg + size > I440FX_PAM0)
        machine_map_update(m);
}

static void host_bridge_reset(struct pci_dev *d)
{
    d->wmask[I440FX_SMRAM] = SMRAM_OPEN | SMRAM_CLOSE | SMRAM_LOCK | SMRAM_ENABLE;
}

static void host_bridge_init(struct machine *m)
{
    static const struct pci_ops ops = {.cfg_after_write = host_bridge_written, .reset = host_bridge_reset};
    struct pci_dev *d = &m->host_bridge;

    m->pam0 = I440FX_PAM0;
    m->smram = I440FX_SMRAM;
    pci_dev_init(d, &ops, m, "Host bridge", 0x8086, 0x1237, 0x060000, 2);
    pci_dev_subsystem(d, 0x1af4, 0x1100);
    for (unsigned i = 0; i <= 6; i++) {
        d->wmask[I440FX_PAM0 + i] = i ? 0x33 : 0x30;
        if (machine_direct(m)) /* as firmware leaves it: everything below 1 MiB is RAM */
            d->cfg[I440FX_PAM0 + i] = i ? 0x33 : 0x30;
    }
    d->cfg[I440FX_SMRAM] = 0x02; /* closed, at A0000h */
    host_bridge_reset(d);
}

void machine_intx_rewire(struct machine *m)
{
    for (unsigned i = 0; i < ABI_ISR_MAX; i++)
        if (m->intx[i])
            intx_wire(m, i);
}

static void isa_bridge_written(struct pci_dev *d, unsigned reg, unsigned size)
{
    if (reg < PIRQRC + 4 && reg + size > PIRQRC)
        machine_intx_rewire(d->opaque);
}

static void isa_bridge_reset(struct pci_dev *d)
{
    machine_intx_rewire(d->opaque);
}

static void isa_bridge_init(struct machine *m)
{
    static const struct pci_ops ops = {.cfg_after_write = isa_bridge_written, .reset = isa_bridge_reset};
    struct pci_dev *d = &m->isa_bridge;

    m->pirq_reg = PIRQRC;
    pci_dev_init(d, &ops, m, "ISA bridge", 0x8086, 0x7000, 0x060100, 0);
    pci_dev_subsystem(d, 0x1af4, 0x1100);
    d->cfg[PCI_COMMAND] = PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER;
    pci_put16(d->wmask + PCI_COMMAND, 0); /* PIIX3 section 2.2.3: hardwired on */
    for (unsigned i = 0; i < 4; i++) {
        d->cfg[PIRQRC + i] = machine_direct(m) ? pirq_default[i] : PIRQ_OFF;
        d->wmask[PIRQRC + i] = 0x8f;
    }
    d->cfg[0x4c] = 0x4d; /* ISA I/O recovery, X-bus chip selects, top of memory: what they reset to */
    d->cfg[0x4e] = 0x03;
    d->cfg[0x69] = 0x02;
    d->wmask[0x4c] = d->wmask[0x4e] = d->wmask[0x4f] = d->wmask[0x69] = 0xff;
}

/* ---- power management
 * ---------------------------------------------------------------------------- */
uint16_t machine_pm_base(const struct machine *m)
{
    const uint8_t *cfg = m->pm.cfg;

    if (m->q35)
        return q35_pm_base(m);
    return cfg[PIIX4_PMREGMISC] & 1 ? pci_get16(cfg + PIIX4_PMBA) & 0xffc0 : 0;
}

/* What the registers mean to the chipset, which looks when the write is answered. */
static void pm_publish(struct machine *m)
{
    const uint8_t *cfg = m->pm.cfg;
    struct abi_machine_page *page = m->vm->page;

    __atomic_store_n(&page->pm_base, machine_pm_base(m), __ATOMIC_RELAXED);
    __atomic_store_n(&page->smb_base,
                     cfg[PIIX4_SMBHSTCFG] & 1 ? pci_get16(cfg + PIIX4_SMBBA) & 0xfff0u : 0, __ATOMIC_RELAXED);
    __atomic_store_n(&page->apm_smi, !!(pci_get32(cfg + PIIX4_DEVACTB) & PIIX4_APMC_EN), __ATOMIC_RELEASE);
}

static void pm_written(struct pci_dev *d, unsigned reg, unsigned size)
{
    (void)reg;
    (void)size;
    pm_publish(d->opaque);
}

static void pm_reset(struct pci_dev *d)
{
    pm_publish(d->opaque);
}

static void pm_init(struct machine *m)
{
    static const struct pci_ops ops = {.cfg_after_write = pm_written, .reset = pm_reset};
    struct pci_dev *d = &m->pm;

    pci_dev_init(d, &ops, m, "Bridge", 0x8086, 0x7113, 0x068000, 3);
    pci_dev_subsystem(d, 0x1af4, 0x1100);
    pci_dev_intx(d, PC_SCI);
    pci_put32(d->cfg + PIIX4_PMBA, 1);
    pci_put32(d->cfg + PIIX4_SMBBA, 1);
    if (machine_direct(m)) { /* where firmware puts it */
        pci_put32(d->cfg + PIIX4_PMBA, PC_PM_BASE | 1);
        d->cfg[PIIX4_PMREGMISC] = 0x01;
    }
    pci_put32(d->wmask + PIIX4_PMBA, 0xffc0);
    pci_put32(d->wmask + PIIX4_SMBBA, 0xfff0);
    for (unsigned reg = PIIX4_DEVACTB; reg < PIIX4_DEVACTB + 4; reg++)
        d->wmask[reg] = 0xff;
    d->wmask[PIIX4_PMREGMISC] = 0x01;
    d->wmask[PIIX4_SMBHSTCFG] = 0x0f;
    pm_publish(m);
}

void piix_init(struct machine *m)
{
    host_bridge_init(m);
    isa_bridge_init(m);
    pm_init(m);
    pci_bus_add(&m->pci, &m->host_bridge, 0);
    pci_bus_add(&m->pci, &m->isa_bridge, 1 << 3);
    pci_bus_add(&m->pci, &m->pm, 1 << 3 | 3);
}
