/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Device accesses of the vCPU in memory and port space: chipset, kick eventfds, ISR bytes, PCI
 * ports, mailbox. Owns the order in which they are asked; must never wait for a device process
 * (kicks are posted, registers of devices go through the vmm).
 */
#include "cpu-worker/mmio/mmio.h"

#include <string.h>
#include "cpu-worker/chipset/chipset.h"
#include "cpu-worker/chipset/flash.h"
#include "cpu-worker/mmio/fwcfg-host.h"
#include "cpu-worker/mmio/mailbox.h"
#include "cpu-worker/mmio/device.h"
#include "cpu-worker/mmio/map.h"
#include "cpu-worker/run/run.h"
#include "cpu-worker/run/team.h"
#include "cpu-worker/vga/vga.h"
#include "ipc/fds.h"

#define PCI_ADDRESS 0xcf8
#define PCI_DATA    0xcfc
#define PCI_ENABLE  0x80000000u

static uint64_t size_mask(unsigned size)
{
    return size >= 8 ? ~0ull : (1ull << (8 * size)) - 1;
}

/* #syscalls:cpu-worker write */
static void kick_ring(const struct mmu_host *m, uint64_t slot)
{
    if (slot < ABI_KICK_MAX && m->kick[slot] >= 0)
        ipc_eventfd_signal(m->kick[slot]);
}

/* Virtio ISR status: reading acknowledges and lets go of the line. */
static uint64_t isr_read(struct cpu *c, uint32_t slot, uint64_t off)
{
    if (off)
        return 0;
    uint32_t bits = __atomic_exchange_n(&c->page->isr[slot].bits, 0, __ATOMIC_SEQ_CST);
    if (bits)
        chipset_isr_update(c->chipset, slot);
    return bits & 0xff;
}

/* ---- memory space
 * -------------------------------------------------------------------------------- */

/* RAM reached by a slow path. The copy is not atomic with other CPUs' accesses beyond eight bytes.
 * RAM reached by a slow path. The copy is not atomic with other CPUs' accesses beyond eight
 * bytes. */
static bool ram_read(struct mmu_host *m, uint64_t gpa, unsigned size, uint64_t *v)
{
    bool writable;
    const uint8_t *p = mem_host(m, gpa, &writable, NULL);
    *v = 0;
    if (p)
        memcpy(v, p, size);
    return p;
}

static bool ram_write(struct cpu *c, uint64_t gpa, unsigned size, uint64_t v)
{
    bool writable;
    uint64_t off;
    uint8_t *p = mem_host(c->mem, gpa, &writable, &off);
    if (!p)
        return false;
    if (writable) {
        memcpy(p, &v, size);
        abi_codepage_dma_written(c->cp, c->mem->ram_size / 4096, off, size);
    }
    return true;
}

static const struct abi_map_entry *mem_entry(struct mmu_host *m, uint64_t gpa)
{
    mmio_map_refresh(m);
    return map_find(m->mem, m->n_mem, gpa);
}

bool mmio_is_vga_window(struct mmu_host *m, uint64_t gpa)
{
    const struct abi_map_entry *e = mem_entry(m, gpa);
    return e && e->kind == ABI_MAP_VGA && !e->slot;
}

/* ---- flash ---- */
static struct flash_access flash_access_of(struct cpu *c, const struct abi_map_entry *e, uint64_t gpa, unsigned size)
{
    struct flash_access a = {.unit = flash_unit(c->page, e->offset), .off = gpa - e->gpa, .size = size};
    a.mem = c->mem->ram + c->mem->slot[e->slot].base + e->offset;
    if (a.unit < 0 || size > e->size - a.off)
        a.unit = -1;
    return a;
}
static uint64_t flash_load(struct cpu *c, const struct abi_map_entry *e, uint64_t gpa, unsigned size)
{
    struct flash_access a = flash_access_of(c, e, gpa, size);
    return a.unit < 0 ? ~0ull : flash_read(c->chipset, &a);
}
/* Contents that appear or go away do so for every vCPU before the next instruction. */
static void flash_store(struct cpu *c, const struct abi_map_entry *e, uint64_t gpa, unsigned size, uint64_t v)
{
    struct flash_access a = flash_access_of(c, e, gpa, size);
    uint64_t off, len;
    if (a.unit < 0)
        return;
    bool shown = flash_shows_array(c->page, a.unit);
    if (flash_write(c->chipset, &a, v, &off, &len))
        abi_codepage_dma_written(c->cp, c->mem->ram_size / 4096, c->mem->slot[e->slot].base + e->offset + off, len);
    if (shown == flash_shows_array(c->page, a.unit))
        return;
    tlb_flush_first(c);
    if (c->team) {
        team_flush(c->team);
        team_flush_wait(c);
    }
}

static uint64_t entry_read(struct cpu *c, const struct abi_map_entry *e, uint64_t addr,
                           unsigned size, enum abi_mbox_op op)
{
    switch (e->kind) {
    case ABI_MAP_KICK:    return 0;
    case ABI_MAP_ISR:     return isr_read(c, e->slot, addr - e->gpa);
    case ABI_MAP_MAILBOX: return mailbox_call(c, op, addr, size, 0);
    case ABI_MAP_FLASH: return flash_load(c, e, addr, size);
    case ABI_MAP_VGA:
        return e->slot ? vga_bar_read(c, addr - e->gpa, size) : vga_mem_read(c, addr, size);
    case ABI_MAP_DEVICE:  return device_read(c, e, addr, size);
    }
    return ~0ull;
}

uint64_t mmio_read(struct cpu *c, uint64_t gpa, unsigned size)
{
    uint64_t v;
    if (chipset_mmio_claims(c->chipset, c->index, gpa))
        return chipset_mmio_read(c->chipset, c->index, gpa, size) & size_mask(size);
    if (ram_read(c->mem, gpa, size, &v))
        return v;
    const struct abi_map_entry *e = mem_entry(c->mem, gpa);
    v = e ? entry_read(c, e, gpa, size, ABI_MBOX_MEM_READ) : ~0ull;
    return v & size_mask(size);
}

/* On a machine with memory-mapped configuration space any of them may be a register of the board. */
static void mailbox_store(struct cpu *c, uint64_t gpa, unsigned size, uint64_t v)
{
    mailbox_call(c, ABI_MBOX_MEM_WRITE, gpa, size, v);
    if (c->page->pm_ich9)
        chipset_board_changed(c->chipset);
}

void mmio_write(struct cpu *c, uint64_t gpa, unsigned size, uint64_t v)
{
    v &= size_mask(size);
    if (chipset_mmio_claims(c->chipset, c->index, gpa)) {
        chipset_mmio_write(c->chipset, c->index, gpa, size, v);
        return;
    }
    const struct abi_map_entry *e = mem_entry(c->mem, gpa);
    if (e && e->kind == ABI_MAP_FLASH) {
        flash_store(c, e, gpa, size, v);
        return;
    }
    if (ram_write(c, gpa, size, v))
        return;
    if (e && e->kind == ABI_MAP_KICK)
        kick_ring(c->mem, e->slot + (gpa - e->gpa) / 4);
    else if (e && e->kind == ABI_MAP_MAILBOX)
        mailbox_store(c, gpa, size, v);
    else if (e && e->kind == ABI_MAP_VGA && e->slot)
        vga_bar_write(c, gpa - e->gpa, size, v);
    else if (e && e->kind == ABI_MAP_VGA)
        vga_mem_write(c, gpa, size, v);
    else if (e && e->kind == ABI_MAP_DEVICE)
        device_write(c, e, gpa, size, v);
}

/* ---- port space
 * ---------------------------------------------------------------------------------- */

/* PCI configuration mechanism 1 (PCI 3.0, 3.2.2.3.2). CF8 answers doublewords only: CF9 is another
 * register that shares the address. */
static bool pci_port(uint16_t port, unsigned size)
{
    return (port == PCI_ADDRESS && size == 4) ||
           (port >= PCI_DATA && port + size <= PCI_DATA + 4u);
}

static uint64_t pci_address(const struct cpu *c, uint16_t port)
{
    return (c->page->chipset.ports.pci_address & 0xfffffc) | (port & 3);
}

static uint32_t pci_read(struct cpu *c, uint16_t port, unsigned size)
{
    uint32_t latch = c->page->chipset.ports.pci_address;
    if (port == PCI_ADDRESS)
        return latch;
    if (!(latch & PCI_ENABLE))
        return ~0u;
    return (uint32_t)mailbox_call(c, ABI_MBOX_PCI_READ, pci_address(c, port), size, 0);
}

/* Host bridge, ISA bridge and its functions: slots 0, 1 and 31. */
static void board_look(struct cpu *c, uint32_t address)
{
    uint32_t slot = address >> 11 & 0x1fff;
    if (slot <= 1 || slot == 31)
        chipset_board_changed(c->chipset);
}

static void pci_write(struct cpu *c, uint16_t port, unsigned size, uint32_t v)
{
    uint32_t *latch = &c->page->chipset.ports.pci_address;
    if (port == PCI_ADDRESS)
        *latch = v & 0x80fffffc;
    else if (*latch & PCI_ENABLE) {
        mailbox_call(c, ABI_MBOX_PCI_WRITE, pci_address(c, port), size, v);
        board_look(c, *latch);
    }
}

static const struct abi_map_entry *io_entry(struct mmu_host *m, uint16_t port)
{
    mmio_map_refresh(m);
    return map_find(m->io, m->n_io, port);
}

uint32_t pio_read(struct cpu *c, uint16_t port, unsigned size)
{
    uint32_t v = ~0u;
    if (pci_port(port, size)) {
        v = pci_read(c, port, size);
    } else if (vga_io_claims(c->mem->vga, port)) {
        v = vga_io_read(c, port, size);
    } else if (fwcfg_claims(c->page, port)) {
        struct fwcfg_host h = fwcfg_host_of(c);
        v = fwcfg_read(c->chipset, &h, port, size);
    } else if (chipset_io_claims(c->chipset, port)) {
        v = chipset_io_read(c->chipset, port, size);
    } else {
        const struct abi_map_entry *e = io_entry(c->mem, port);
        if (e)
            v = (uint32_t)entry_read(c, e, port, size, ABI_MBOX_IO_READ);
    }
    return v & (uint32_t)size_mask(size);
}

void pio_write(struct cpu *c, uint16_t port, unsigned size, uint32_t v)
{
    v &= (uint32_t)size_mask(size);
    if (pci_port(port, size)) {
        pci_write(c, port, size, v);
    } else if (vga_io_claims(c->mem->vga, port)) {
        vga_io_write(c, port, size, v);
    } else if (fwcfg_claims(c->page, port)) {
        struct fwcfg_host h = fwcfg_host_of(c);
        fwcfg_write(c->chipset, &h, port, size, v);
    } else if (chipset_io_claims(c->chipset, port)) {
        chipset_io_write(c->chipset, port, size, v);
    } else {
        const struct abi_map_entry *e = io_entry(c->mem, port);
        if (e && e->kind == ABI_MAP_KICK)
            kick_ring(c->mem, (uint64_t)e->slot + (v & 0xffff));
        else if (e && e->kind == ABI_MAP_MAILBOX)
            mailbox_call(c, ABI_MBOX_IO_WRITE, port, size, v);
        else if (e && e->kind == ABI_MAP_DEVICE)
            device_write(c, e, port, size, v);
    }
}
