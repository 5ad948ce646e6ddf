/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PCI functions and their configuration registers: construction, masks, reads and writes, reset.
 * Must never act on what a register means to a device; it tells the function and the address map.
 */
#include "vmm/machine/pci.h"

#include <errno.h>
#include <linux/pci_regs.h>
#include <string.h>

uint16_t pci_get16(const uint8_t *p)
{
    return (uint16_t)(p[0] | p[1] << 8);
}

uint32_t pci_get32(const uint8_t *p)
{
    return pci_get16(p) | (uint32_t)pci_get16(p + 2) << 16;
}

void pci_put16(uint8_t *p, uint16_t v)
{
    p[0] = (uint8_t)v;
    p[1] = (uint8_t)(v >> 8);
}

void pci_put32(uint8_t *p, uint32_t v)
{
    pci_put16(p, (uint16_t)v);
    pci_put16(p + 2, (uint16_t)(v >> 16));
}

void pci_bus_init(struct pci_bus *b, struct abi_addr_map *shared)
{
    memset(b, 0, sizeof(*b));
    b->shared = shared;
    b->assign = true;
    b->mem_base = b->next_mem = PCI_MMIO_ASSIGN;
    b->next_io = PCI_IO_ASSIGN;
}

void pci_dev_init(struct pci_dev *d, const struct pci_ops *ops, void *opaque, const char *name,
                  uint16_t vendor, uint16_t device, uint32_t cls, uint8_t revision)
{
    memset(d, 0, sizeof(*d));
    d->name = name;
    d->id = "";
    d->ops = ops;
    d->opaque = opaque;
    d->cap_next = PCI_STD_HEADER_SIZEOF;
    pci_put16(d->cfg + PCI_VENDOR_ID, vendor);
    pci_put16(d->cfg + PCI_DEVICE_ID, device);
    d->cfg[PCI_REVISION_ID] = revision;
    d->cfg[PCI_CLASS_PROG] = (uint8_t)cls;
    pci_put16(d->cfg + PCI_CLASS_DEVICE, (uint16_t)(cls >> 8));
    pci_put16(d->wmask + PCI_COMMAND, PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER |
                                          PCI_COMMAND_SERR | PCI_COMMAND_INTX_DISABLE);
    pci_put16(d->w1c + PCI_STATUS, PCI_STATUS_PARITY | PCI_STATUS_SIG_TARGET_ABORT |
                                       PCI_STATUS_REC_TARGET_ABORT | PCI_STATUS_REC_MASTER_ABORT |
                                       PCI_STATUS_SIG_SYSTEM_ERROR | PCI_STATUS_DETECTED_PARITY);
    d->wmask[PCI_CACHE_LINE_SIZE] = 0xff;
    d->wmask[PCI_LATENCY_TIMER] = 0xff;
    d->wmask[PCI_INTERRUPT_LINE] = 0xff;
}

void pci_dev_subsystem(struct pci_dev *d, uint16_t vendor, uint16_t device)
{
    pci_put16(d->cfg + PCI_SUBSYSTEM_VENDOR_ID, vendor);
    pci_put16(d->cfg + PCI_SUBSYSTEM_ID, device);
}

/* PCI 3.0 section 6.2.5.1: the low bits of a BAR are read-only; their number tells its size. */
void pci_dev_bar(struct pci_dev *d, unsigned i, enum pci_bar_kind kind, bool prefetch,
                 uint32_t size)
{
    unsigned reg = PCI_BASE_ADDRESS_0 + 4 * i;

    d->bar[i] = (struct pci_bar){kind, prefetch, size};
    pci_put32(d->wmask + reg, ~(size - 1));
    if (kind == PCI_BAR_IO) {
        d->cfg[reg] = PCI_BASE_ADDRESS_SPACE_IO;
        return;
    }
    d->cfg[reg] = prefetch ? PCI_BASE_ADDRESS_MEM_PREFETCH : 0;
    if (kind == PCI_BAR_MEM64) {
        d->cfg[reg] |= PCI_BASE_ADDRESS_MEM_TYPE_64;
        pci_put32(d->wmask + reg + 4, 0xffffffff);
    }
}

/* PCI 3.0 section 6.2.5.2: bit 0 enables decoding, bits 1-10 are reserved. */
void pci_dev_rom(struct pci_dev *d, uint64_t off, uint32_t size)
{
    d->rom_off = off;
    d->rom_size = size;
    pci_put32(d->wmask + PCI_ROM_ADDRESS, ~(size - 1) | PCI_ROM_ADDRESS_ENABLE);
}

unsigned pci_dev_cap(struct pci_dev *d, uint8_t cap_id, unsigned len)
{
    unsigned at = d->cap_next;

    /* New capabilities go in front: the list head is the one pointer that must change. */
    d->cfg[at] = cap_id;
    d->cfg[at + 1] = d->cfg[PCI_CAPABILITY_LIST];
    d->cfg[PCI_CAPABILITY_LIST] = (uint8_t)at;
    d->cfg[PCI_STATUS] |= PCI_STATUS_CAP_LIST;
    d->cap_next = (uint8_t)((at + len + 3) & ~3u);
    return at;
}

void pci_dev_intx(struct pci_dev *d, uint8_t line)
{
    d->cfg[PCI_INTERRUPT_PIN] = 1;
    d->cfg[PCI_INTERRUPT_LINE] = line;
}

struct pci_dev *pci_bus_find(struct pci_bus *b, uint8_t devfn)
{
    for (unsigned i = 0; i < b->n; i++)
        if (b->dev[i]->devfn == devfn)
            return b->dev[i];
    return NULL;
}

int pci_slot_free(struct pci_bus *b)
{
    for (int slot = 3; slot < 32; slot++) {
        bool used = false;

        for (unsigned i = 0; i < b->n; i++)
            used |= b->dev[i]->devfn >> 3 == slot;
        if (!used)
            return slot;
    }
    return -1;
}

static int bars_assign(struct pci_bus *b, struct pci_dev *d)
{
    for (unsigned i = 0; i < PCI_BARS; i++) {
        const struct pci_bar *bar = &d->bar[i];
        bool io = bar->kind == PCI_BAR_IO;
        uint64_t *next = io ? &b->next_io : &b->next_mem;
        uint8_t *reg = d->cfg + PCI_BASE_ADDRESS_0 + 4 * i;

        if (bar->kind == PCI_BAR_NONE)
            continue;
        *next = (*next + bar->size - 1) & ~(uint64_t)(bar->size - 1);
        if (*next + bar->size > (io ? PCI_IO_END : PCI_MMIO_END))
            return -ENOSPC;
        pci_put32(reg, (uint32_t)*next | (pci_get32(reg) & 0xf));
        *next += bar->size;
    }
    return 0;
}

int pci_bus_add(struct pci_bus *b, struct pci_dev *d, uint8_t devfn)
{
    unsigned at = 0;
    struct pci_dev *fn0;

    if (pci_bus_find(b, devfn))
        return -EEXIST;
    if (b->n == PCI_FUNCTIONS_MAX || (b->assign && bars_assign(b, d)))
        return -ENOSPC;
    for (unsigned i = 0; b->assign && i < PCI_BARS; i++)
        if (d->bar[i].kind != PCI_BAR_NONE)
            d->cfg[PCI_COMMAND] |=
                d->bar[i].kind == PCI_BAR_IO ? PCI_COMMAND_IO : PCI_COMMAND_MEMORY;
    d->devfn = devfn;
    while (at < b->n && b->dev[at]->devfn < devfn)
        at++;
    memmove(&b->dev[at + 1], &b->dev[at], (b->n - at) * sizeof(b->dev[0]));
    b->dev[at] = d;
    b->n++;
    memcpy(d->power_on, d->cfg, sizeof(d->cfg));
    fn0 = pci_bus_find(b, devfn & 0xf8);
    for (unsigned fn = 1; fn0 && fn < 8; fn++)
        if (pci_bus_find(b, (uint8_t)((devfn & 0xf8) | fn)))
            fn0->cfg[PCI_HEADER_TYPE] = fn0->power_on[PCI_HEADER_TYPE] = 0x80;
    return 0;
}

void pci_bus_reset(struct pci_bus *b)
{
    for (unsigned i = 0; i < b->n; i++) {
        struct pci_dev *d = b->dev[i];

        memcpy(d->cfg, d->power_on, sizeof(d->cfg));
        memset(d->msix.entry, 0, sizeof(d->msix.entry));
        for (unsigned v = 0; v < d->msix.n; v++)
            d->msix.entry[v][3] = PCI_MSIX_ENTRY_CTRL_MASKBIT;
        if (d->ops && d->ops->reset)
            d->ops->reset(d);
        if (d->ops && d->ops->irq_changed)
            d->ops->irq_changed(d);
    }
    pci_bus_remap(b);
}

static struct pci_dev *cfg_target(struct pci_bus *b, uint32_t addr, unsigned size)
{
    unsigned reg = addr & 0xff;

    if (addr >> 16 || (size != 1 && size != 2 && size != 4) || reg + size > 256)
        return NULL;
    return pci_bus_find(b, (uint8_t)(addr >> 8));
}

uint32_t pci_cfg_read(struct pci_bus *b, uint32_t addr, unsigned size)
{
    struct pci_dev *d = cfg_target(b, addr, size);
    unsigned reg = addr & 0xff;
    uint32_t v = 0;

    if (!d)
        return 0xffffffffu >> (32 - 8 * (size && size < 4 ? size : 4));
    if (d->ops && d->ops->cfg_before_read)
        d->ops->cfg_before_read(d, reg, size);
    for (unsigned i = 0; i < size; i++)
        v |= (uint32_t)d->cfg[reg + i] << (8 * i);
    return v;
}

static bool touches(unsigned reg, unsigned size, unsigned lo, unsigned len)
{
    return reg < lo + len && lo < reg + size;
}

void pci_cfg_write(struct pci_bus *b, uint32_t addr, unsigned size, uint32_t value)
{
    struct pci_dev *d = cfg_target(b, addr, size);
    unsigned reg = addr & 0xff;

    if (!d)
        return;
    for (unsigned i = 0; i < size; i++) {
        uint8_t v = (uint8_t)(value >> (8 * i));
        uint8_t *c = &d->cfg[reg + i];

        *c = (uint8_t)((*c & ~d->wmask[reg + i]) | (v & d->wmask[reg + i]));
        *c &= (uint8_t) ~(v & d->w1c[reg + i]);
    }
    if (touches(reg, size, PCI_COMMAND, 2) || touches(reg, size, PCI_BASE_ADDRESS_0, 24) ||
        (d->rom_size && touches(reg, size, PCI_ROM_ADDRESS, 4)))
        pci_bus_remap(b);
    if (d->ops && d->ops->irq_changed &&
        (touches(reg, size, PCI_COMMAND, 2) ||
         (d->msix.n && touches(reg, size, d->msix.cap + PCI_MSIX_FLAGS, 2))))
        d->ops->irq_changed(d);
    if (d->ops && d->ops->cfg_after_write)
        d->ops->cfg_after_write(d, reg, size);
}

bool pci_intx_disabled(const struct pci_dev *d)
{
    return pci_get16(d->cfg + PCI_COMMAND) & PCI_COMMAND_INTX_DISABLE;
}

bool pci_bus_master(const struct pci_dev *d)
{
    return d->cfg[PCI_COMMAND] & PCI_COMMAND_MASTER;
}
