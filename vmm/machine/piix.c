/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The fixed functions of the board: 440FX host bridge, PIIX3 ISA bridge, PIIX4 power management.
 * They hold identity and what firmware would have programmed. The registers behind them live in the
 * cpu-worker, so the address decoders here are read-only: a guest cannot move what cannot move.
 */
#include "vmm/machine/machine.h"

#include <linux/pci_regs.h>

static const uint8_t pirq_gsi[4] = {10, 10, 11, 11};

unsigned machine_pirq(unsigned slot, unsigned pin)
{
    return (slot + pin - 1) & 3;
}

uint8_t machine_pirq_gsi(unsigned pirq)
{
    return pirq_gsi[pirq & 3];
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

static void isa_bridge_init(struct pci_dev *d)
{
    pci_dev_init(d, NULL, NULL, "ISA bridge", 0x8086, 0x7000, 0x060100, 0);
    pci_dev_subsystem(d, 0x1af4, 0x1100);
    d->cfg[PCI_COMMAND] = PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER;
    pci_put16(d->wmask + PCI_COMMAND, 0); /* PIIX3 section 2.2.3: hardwired on */
    for (unsigned i = 0; i < 4; i++)
        d->cfg[0x60 + i] = pirq_gsi[i]; /* PIRQRC[A:D] */
}

static void pm_init(struct pci_dev *d)
{
    pci_dev_init(d, NULL, NULL, "Bridge", 0x8086, 0x7113, 0x068000, 3);
    pci_dev_subsystem(d, 0x1af4, 0x1100);
    pci_dev_intx(d, PC_SCI);
    pci_put32(d->cfg + 0x40, PC_PM_BASE | 1); /* PMBA */
    d->cfg[0x80] = 0x01;                      /* PMREGMISC: PM I/O enabled */
}

void piix_init(struct machine *m)
{
    host_bridge_init(m);
    isa_bridge_init(&m->isa_bridge);
    pm_init(&m->pm);
    pci_bus_add(&m->pci, &m->host_bridge, 0);
    pci_bus_add(&m->pci, &m->isa_bridge, 1 << 3);
    pci_bus_add(&m->pci, &m->pm, 1 << 3 | 3);
}
