/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The MSI-X capability, table and pending bit array (PCI 3.0 section 6.8.2). Owns the table; the
 * function turns entries into interrupt routes. Must never deliver an interrupt itself.
 */
#include "vmm/machine/pci.h"

#include <linux/pci_regs.h>

void pci_dev_msix(struct pci_dev *d, unsigned bar, unsigned vectors)
{
    unsigned cap = pci_dev_cap(d, PCI_CAP_ID_MSIX, PCI_CAP_MSIX_SIZEOF);

    d->msix.n = vectors;
    d->msix.cap = (uint8_t)cap;
    d->msix.bar = (uint8_t)bar;
    d->msix.pba_off = d->bar[bar].size / 2;
    for (unsigned v = 0; v < vectors; v++)
        d->msix.entry[v][3] = PCI_MSIX_ENTRY_CTRL_MASKBIT;
    pci_put16(d->cfg + cap + PCI_MSIX_FLAGS, (uint16_t)(vectors - 1));
    pci_put16(d->wmask + cap + PCI_MSIX_FLAGS, PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
    pci_put32(d->cfg + cap + PCI_MSIX_TABLE, bar);
    pci_put32(d->cfg + cap + PCI_MSIX_PBA, d->msix.pba_off | bar);
}

static uint16_t control(const struct pci_dev *d)
{
    return d->msix.n ? pci_get16(d->cfg + d->msix.cap + PCI_MSIX_FLAGS) : 0;
}

bool pci_msix_enabled(const struct pci_dev *d)
{
    return control(d) & PCI_MSIX_FLAGS_ENABLE;
}

bool pci_msix_masked(const struct pci_dev *d, unsigned vector)
{
    return control(d) & PCI_MSIX_FLAGS_MASKALL || vector >= d->msix.n ||
           d->msix.entry[vector][3] & PCI_MSIX_ENTRY_CTRL_MASKBIT;
}

static uint32_t dword_read(struct pci_dev *d, uint64_t off)
{
    uint32_t v = 0;

    if (off < d->msix.n * 16u)
        return d->msix.entry[off / 16][off / 4 % 4];
    if (off < d->msix.pba_off || (off - d->msix.pba_off) * 8 >= d->msix.n)
        return 0;
    for (unsigned i = 0; i < 32; i++) {
        unsigned vec = (unsigned)(off - d->msix.pba_off) * 8 + i;

        if (vec < d->msix.n && d->ops->vector_pending && d->ops->vector_pending(d, vec))
            v |= 1u << i;
    }
    return v;
}

static void dword_write(struct pci_dev *d, uint64_t off, uint32_t value)
{
    static const uint32_t mask[4] = {0xfffffffc, 0xffffffff, 0xffffffff,
                                     PCI_MSIX_ENTRY_CTRL_MASKBIT};

    if (off < d->msix.n * 16u)
        d->msix.entry[off / 16][off / 4 % 4] = value & mask[off / 4 % 4];
}

/* "Software must use aligned DWORD or QWORD accesses" to table and PBA; others have no effect. */
static bool msix_access_ok(uint64_t off, unsigned size)
{
    return (size == 4 || size == 8) && !(off & (size - 1));
}

uint64_t pci_bar_read(struct pci_dev *d, unsigned bar, uint64_t off, unsigned size)
{
    uint64_t v;

    if (!d->msix.n || bar != d->msix.bar)
        return d->ops && d->ops->bar_read ? d->ops->bar_read(d, bar, off, size) : ~(uint64_t)0;
    if (!msix_access_ok(off, size))
        return ~(uint64_t)0;
    v = dword_read(d, off);
    if (size == 8)
        v |= (uint64_t)dword_read(d, off + 4) << 32;
    return v;
}

void pci_bar_write(struct pci_dev *d, unsigned bar, uint64_t off, unsigned size, uint64_t value)
{
    if (!d->msix.n || bar != d->msix.bar) {
        if (d->ops && d->ops->bar_write)
            d->ops->bar_write(d, bar, off, size, value);
        return;
    }
    if (!msix_access_ok(off, size))
        return;
    dword_write(d, off, (uint32_t)value);
    if (size == 8)
        dword_write(d, off + 4, (uint32_t)(value >> 32));
    if (d->ops->irq_changed)
        d->ops->irq_changed(d);
}
