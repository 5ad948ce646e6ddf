/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What BARs decode: the published address map, and accesses that come through the mailbox.
 * A guest can program any address; only ranges inside the bus windows that collide with nothing are
 * mapped. Must never let a BAR hide memory or another function.
 */
#include "vmm/machine/pci.h"

#include <linux/pci_regs.h>

uint64_t pci_bar_base(const struct pci_dev *d, unsigned i)
{
    const uint8_t *reg = d->cfg + PCI_BASE_ADDRESS_0 + 4 * i;
    uint64_t base = pci_get32(reg);

    if (d->bar[i].kind == PCI_BAR_MEM64)
        base |= (uint64_t)pci_get32(reg + 4) << 32;
    return base & ~(uint64_t)(d->bar[i].size - 1);
}

/* A BAR whose registers a guest is sizing must not appear anywhere: all-ones lies outside every window. */
static bool in_windows(const struct pci_bus *b, uint64_t base, uint64_t size)
{
    if (base >= b->mem_base && base <= PCI_MMIO_END - size)
        return true;
    return base >= b->high_base && size <= b->high_end && base <= b->high_end - size;
}

bool pci_bar_decoded(const struct pci_bus *b, const struct pci_dev *d, unsigned i)
{
    bool io = d->bar[i].kind == PCI_BAR_IO;
    uint64_t base;

    if (d->bar[i].kind == PCI_BAR_NONE ||
        !(d->cfg[PCI_COMMAND] & (io ? PCI_COMMAND_IO : PCI_COMMAND_MEMORY)))
        return false;
    base = pci_bar_base(d, i);
    if (io)
        return base >= PCI_IO_BASE && base <= PCI_IO_END - (uint64_t)d->bar[i].size;
    return in_windows(b, base, d->bar[i].size);
}

static bool overlaps_earlier(struct pci_bus *b, unsigned dev, unsigned bar)
{
    bool io = b->dev[dev]->bar[bar].kind == PCI_BAR_IO;
    uint64_t base = pci_bar_base(b->dev[dev], bar), end = base + b->dev[dev]->bar[bar].size;

    for (unsigned i = 0; i <= dev; i++)
        for (unsigned k = 0; k < (i == dev ? bar : PCI_BARS); k++) {
            const struct pci_dev *o = b->dev[i];

            if ((o->bar[k].kind == PCI_BAR_IO) == io && pci_bar_decoded(b, o, k) &&
                pci_bar_base(o, k) < end && base < pci_bar_base(o, k) + o->bar[k].size)
                return true;
        }
    return false;
}

static int bar_map(struct pci_dev *d, unsigned bar, struct addr_map *m)
{
    uint64_t base = pci_bar_base(d, bar);

    if (d->ops && d->ops->bar_map && !(d->msix.n && d->msix.bar == bar))
        return d->ops->bar_map(d, bar, base, m);
    if (d->bar[bar].kind == PCI_BAR_IO)
        return addr_map_io_add(m, base, d->bar[bar].size, ABI_MAP_MAILBOX, 0, 0);
    return addr_map_mem_add(m, base, d->bar[bar].size, ABI_MAP_MAILBOX, 0, 0);
}

/* The expansion ROM, where nothing else is: firmware looks at one at a time. */
static int rom_map(struct pci_bus *b, const struct pci_dev *d, struct addr_map *m)
{
    uint32_t reg = pci_get32(d->cfg + PCI_ROM_ADDRESS);
    uint64_t base = reg & ~(uint64_t)(d->rom_size - 1);

    if (!d->rom_size || !(reg & PCI_ROM_ADDRESS_ENABLE) || !(d->cfg[PCI_COMMAND] & PCI_COMMAND_MEMORY) ||
        !in_windows(b, base, d->rom_size))
        return 0;
    return addr_map_mem_add(m, base, d->rom_size, ABI_MAP_ROM, ABI_SLOT_BOARD, d->rom_off);
}

int pci_bus_map(struct pci_bus *b, struct addr_map *m)
{
    int first = 0;

    *m = b->fixed;
    for (unsigned i = 0; i < b->n; i++)
        for (unsigned k = 0; k < PCI_BARS; k++) {
            int r;

            if (!pci_bar_decoded(b, b->dev[i], k) || overlaps_earlier(b, i, k))
                continue;
            r = bar_map(b->dev[i], k, m);
            if (r && !first)
                first = r;
        }
    for (unsigned i = 0; i < b->n; i++) {
        const struct pci_ops *o = b->dev[i]->ops;
        int r = rom_map(b, b->dev[i], m);

        if (!r && o && o->map_extra)
            r = o->map_extra(b->dev[i], m);

        if (r && !first)
            first = r;
    }
    return first;
}

void pci_bus_remap(struct pci_bus *b)
{
    struct addr_map m;

    pci_bus_map(b, &m);
    addr_map_publish(&m, b->shared);
}

/* First function and BAR that decodes the whole access; the map gives the same one precedence. */
static struct pci_dev *space_target(struct pci_bus *b, bool io, uint64_t addr, unsigned size,
                                    unsigned *bar)
{
    for (unsigned i = 0; i < b->n; i++)
        for (unsigned k = 0; k < PCI_BARS; k++) {
            struct pci_dev *d = b->dev[i];

            if ((d->bar[k].kind == PCI_BAR_IO) != io || !pci_bar_decoded(b, d, k))
                continue;
            if (addr < pci_bar_base(d, k) || addr >= pci_bar_base(d, k) + d->bar[k].size)
                continue;
            *bar = k;
            return addr + size <= pci_bar_base(d, k) + d->bar[k].size ? d : NULL;
        }
    return NULL;
}

uint64_t pci_space_read(struct pci_bus *b, bool io, uint64_t addr, unsigned size)
{
    unsigned bar;
    struct pci_dev *d = space_target(b, io, addr, size, &bar);

    return d ? pci_bar_read(d, bar, addr - pci_bar_base(d, bar), size) : ~(uint64_t)0;
}

void pci_space_write(struct pci_bus *b, bool io, uint64_t addr, unsigned size, uint64_t value)
{
    unsigned bar;
    struct pci_dev *d = space_target(b, io, addr, size, &bar);

    if (d)
        pci_bar_write(d, bar, addr - pci_bar_base(d, bar), size, value);
}
