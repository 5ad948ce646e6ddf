/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The fixed functions of the machine q35: Q35 memory controller hub and ICH9 LPC bridge. Registers whose effects
 * are elsewhere, as in piix.c. References: Intel 3 Series Express Chipset data sheet (MCH), ICH9 data sheet.
 * The eight interrupt links are four here, wired to ISA interrupts in every mode.
 */
#include "vmm/machine/machine.h"

#include <linux/pci_regs.h>

#define MCH_PCIEXBAR  0x60u
#define MCH_EXT_TSEG  0x50u /* QEMU's: size in MiB of the largest TSEG */
#define EXT_TSEG_MIB  16u
#define ICH9_PMBASE   0x40u
#define ICH9_ACPI_CNTL 0x44u
#define ICH9_ACPI_EN  0x80u
#define ICH9_PIRQ_A   0x60u
#define ICH9_PIRQ_E   0x68u
#define ICH9_GEN_PMCON 0xa0u
#define ICH9_SMI_LOCK 0x10u
#define ICH9_RCBA     0xf0u

bool machine_ecam(const struct machine *m, uint64_t *base, uint64_t *size)
{
    static const uint32_t mib[4] = {256, 128, 64, 0};
    uint32_t low = pci_get32(m->host_bridge.cfg + MCH_PCIEXBAR);

    *size = m->q35 && low & 1 ? (uint64_t)mib[low >> 1 & 3] << 20 : 0;
    *base = ((uint64_t)pci_get32(m->host_bridge.cfg + MCH_PCIEXBAR + 4) << 32 | low) & ~(*size - 1);
    return *size && *base >= m->low && *base + *size <= PCI_MMIO_END;
}

/* Of the MCH's data sheet 5.1.40: memory that only SMM sees, at the top of low RAM. */
uint32_t machine_tseg(const struct machine *m)
{
    static const uint8_t mib[4] = {1, 2, 8, EXT_TSEG_MIB};
    uint8_t reg = m->host_bridge.cfg[MCH_ESMRAMC];

    return m->q35 && reg & 1 && m->host_bridge.cfg[m->smram] & SMRAM_ENABLE ? (uint32_t)mib[reg >> 1 & 3] << 20 : 0;
}

static void mch_written(struct pci_dev *d, unsigned reg, unsigned size)
{
    struct machine *m = d->opaque;
    uint8_t *smram = &d->cfg[MCH_SMRAM];

    if (reg <= MCH_SMRAM && reg + size > MCH_SMRAM && *smram & SMRAM_LOCK) {
        *smram &= (uint8_t)~SMRAM_OPEN;
        d->wmask[MCH_SMRAM] = SMRAM_CLOSE;
        d->wmask[MCH_ESMRAMC] = 0;
    }
    if (reg <= MCH_ESMRAMC && reg + size > MCH_PCIEXBAR)
        machine_map_update(m);
}

static void mch_reset(struct pci_dev *d)
{
    d->wmask[MCH_SMRAM] = SMRAM_OPEN | SMRAM_CLOSE | SMRAM_LOCK | SMRAM_ENABLE;
    d->wmask[MCH_ESMRAMC] = 0x07;
}

static void mch_init(struct machine *m)
{
    static const struct pci_ops ops = {.cfg_after_write = mch_written, .reset = mch_reset};
    struct pci_dev *d = &m->host_bridge;

    m->pam0 = MCH_PAM0;
    m->smram = MCH_SMRAM;
    pci_dev_init(d, &ops, m, "Host bridge", 0x8086, 0x29c0, 0x060000, 0);
    pci_dev_subsystem(d, 0x1af4, 0x1100);
    for (unsigned i = 0; i <= 6; i++) {
        d->wmask[MCH_PAM0 + i] = i ? 0x33 : 0x30;
        if (machine_direct(m))
            d->cfg[MCH_PAM0 + i] = i ? 0x33 : 0x30;
    }
    d->cfg[MCH_SMRAM] = 0x02;
    d->cfg[MCH_ESMRAMC] = 0x38; /* caching bits, fixed */
    pci_put16(d->cfg + MCH_EXT_TSEG, EXT_TSEG_MIB);
    pci_put32(d->cfg + MCH_PCIEXBAR, PC_ECAM_BASE | machine_direct(m));
    pci_put32(d->wmask + MCH_PCIEXBAR, 0xfc000007);
    d->wmask[MCH_PCIEXBAR + 4] = 0x0f;
    mch_reset(d);
}

uint16_t q35_pm_base(const struct machine *m)
{
    const uint8_t *cfg = m->isa_bridge.cfg;

    return cfg[ICH9_ACPI_CNTL] & ICH9_ACPI_EN ? pci_get16(cfg + ICH9_PMBASE) & 0xff80 : 0;
}

static void lpc_publish(struct machine *m)
{
    __atomic_store_n(&m->vm->page->pm_smi_lock, !!(m->isa_bridge.cfg[ICH9_GEN_PMCON] & ICH9_SMI_LOCK),
                     __ATOMIC_RELAXED);
    __atomic_store_n(&m->vm->page->pm_base, q35_pm_base(m), __ATOMIC_RELEASE);
}

static void lpc_written(struct pci_dev *d, unsigned reg, unsigned size)
{
    struct machine *m = d->opaque;

    lpc_publish(m);
    if (reg < ICH9_PIRQ_E + 4 && reg + size > ICH9_PIRQ_A)
        machine_intx_rewire(m);
    if (d->cfg[ICH9_GEN_PMCON] & ICH9_SMI_LOCK)
        d->wmask[ICH9_GEN_PMCON] = 0;
}

static void lpc_reset(struct pci_dev *d)
{
    d->wmask[ICH9_GEN_PMCON] = ICH9_SMI_LOCK;
    lpc_publish(d->opaque);
    machine_intx_rewire(d->opaque);
}

static void lpc_init(struct machine *m)
{
    static const struct pci_ops ops = {.cfg_after_write = lpc_written, .reset = lpc_reset};
    struct pci_dev *d = &m->isa_bridge;

    pci_dev_init(d, &ops, m, "ISA bridge", 0x8086, 0x2918, 0x060100, 2);
    pci_dev_subsystem(d, 0x1af4, 0x1100);
    d->cfg[PCI_COMMAND] = PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER;
    pci_put16(d->wmask + PCI_COMMAND, 0);
    m->pirq_reg = ICH9_PIRQ_A;
    for (unsigned i = 0; i < 4; i++) {
        d->cfg[ICH9_PIRQ_A + i] = d->cfg[ICH9_PIRQ_E + i] =
            machine_direct(m) ? machine_pirq_default(i) : 0x80;
        d->wmask[ICH9_PIRQ_A + i] = d->wmask[ICH9_PIRQ_E + i] = 0x8f;
    }
    pci_put32(d->cfg + ICH9_PMBASE, 1);
    pci_put32(d->wmask + ICH9_PMBASE, 0xff80);
    d->wmask[ICH9_ACPI_CNTL] = 0x87;
    pci_put32(d->wmask + ICH9_RCBA, 0xffffc001);
    if (machine_direct(m)) {
        pci_put32(d->cfg + ICH9_PMBASE, PC_PM_BASE | 1);
        d->cfg[ICH9_ACPI_CNTL] = ICH9_ACPI_EN;
    }
    d->wmask[ICH9_GEN_PMCON] = ICH9_SMI_LOCK;
    m->vm->page->pm_ich9 = 1;
    lpc_publish(m);
}

void q35_init(struct machine *m)
{
    mch_init(m);
    lpc_init(m);
    pci_bus_add(&m->pci, &m->host_bridge, 0);
    pci_bus_add(&m->pci, &m->isa_bridge, 31 << 3);
}
