/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The PCI face of a virtio device: IDs, BARs, capabilities (virtio 1.2 section 4.1.4), and which
 * part of a BAR the cpu-worker serves alone. Must never interpret a register: the layouts are in
 * virtio-modern.c and virtio-legacy.c.
 */
#include "vmm/frontend/virtio-pci.h"

#include <errno.h>
#include <linux/pci_regs.h>
#include <linux/virtio_pci.h>
#include <stdio.h>
#include <string.h>

#define VENDOR        0x1af4
#define CAP_BASE_LEN  16u
#define CAP_LONG_LEN  20u /* with notify_off_multiplier, or pci_cfg_data */
#define BAR_MSIX_SIZE 4096u

static struct virtio_dev *dev_of(struct pci_dev *p)
{
    return p->opaque;
}

static uint32_t notify_len(const struct virtio_dev *d)
{
    return d->type->queues * VIRTIO_NOTIFY_STEP;
}

/* ---- BAR accesses that came through the vmm
 * ------------------------------------------------------ */

static uint64_t bar_read(struct pci_dev *p, unsigned bar, uint64_t off, unsigned size)
{
    struct virtio_dev *d = dev_of(p);

    if (bar == VIRTIO_BAR_LEGACY)
        return virtio_legacy_read(d, off, size);
    switch (off & ~0xfffull) {
    case VIRTIO_AT_COMMON:
        return virtio_common_read(d, off, size);
    case VIRTIO_AT_ISR:
        return off == VIRTIO_AT_ISR ? virtio_isr_take(d) : 0;
    case VIRTIO_AT_DEVICE:
        return virtio_config_read(d, off - VIRTIO_AT_DEVICE, size);
    default:
        return 0;
    }
}

static void bar_write(struct pci_dev *p, unsigned bar, uint64_t off, unsigned size, uint64_t value)
{
    struct virtio_dev *d = dev_of(p);

    if (bar == VIRTIO_BAR_LEGACY)
        virtio_legacy_write(d, off, size, value);
    else if (off < VIRTIO_AT_ISR)
        virtio_common_write(d, off, size, value);
    else if (off >= VIRTIO_AT_DEVICE && off < VIRTIO_AT_NOTIFY)
        virtio_config_write(d, off - VIRTIO_AT_DEVICE, size, value);
    else if (off >= VIRTIO_AT_NOTIFY)
        virtio_kick(d, (unsigned)(off - VIRTIO_AT_NOTIFY) / VIRTIO_NOTIFY_STEP);
}

static int bar_map(struct pci_dev *p, unsigned bar, uint64_t base, struct addr_map *m)
{
    struct virtio_dev *d = dev_of(p);
    uint32_t size = p->bar[bar].size;
    int r;

    if (bar == VIRTIO_BAR_LEGACY) { /* the doorbell is served in place, the rest here */
        r = addr_map_io_add(m, base, VIRTIO_PCI_QUEUE_NOTIFY, ABI_MAP_MAILBOX, 0, 0);
        r = r ? r
              : addr_map_io_add(m, base + VIRTIO_PCI_QUEUE_NOTIFY, 2, ABI_MAP_KICK, d->kick0,
                                d->type->queues);
        return r ? r
                 : addr_map_io_add(m, base + VIRTIO_PCI_STATUS, size - VIRTIO_PCI_STATUS,
                                   ABI_MAP_MAILBOX, 0, 0);
    }
    r = addr_map_mem_add(m, base, VIRTIO_AT_ISR, ABI_MAP_MAILBOX, 0, 0);
    r = r ? r : addr_map_mem_add(m, base + VIRTIO_AT_ISR, 1, ABI_MAP_ISR, d->isr_slot, 0);
    r = r ? r : addr_map_mem_add(m, base + VIRTIO_AT_DEVICE, 0x1000, ABI_MAP_MAILBOX, 0, 0);
    return r ? r
             : addr_map_mem_add(m, base + VIRTIO_AT_NOTIFY, notify_len(d), ABI_MAP_KICK, d->kick0,
                                d->type->queues);
}

/* ---- VIRTIO_PCI_CAP_PCI_CFG (section 4.1.4.9): BAR access through configuration space
 * --------------- */

static bool window_get(struct pci_dev *p, unsigned reg, unsigned size, unsigned *bar, uint32_t *off,
                       uint32_t *len)
{
    unsigned cap = dev_of(p)->cfg_cap, data = cap + CAP_BASE_LEN;

    if (!cap || reg >= data + 4 || reg + size <= data)
        return false;
    *bar = p->cfg[cap + offsetof(struct virtio_pci_cap, bar)];
    *off = pci_get32(p->cfg + cap + offsetof(struct virtio_pci_cap, offset));
    *len = pci_get32(p->cfg + cap + offsetof(struct virtio_pci_cap, length));
    return (*len == 1 || *len == 2 || *len == 4) && !(*off & (*len - 1)) && *bar < PCI_BARS &&
           p->bar[*bar].kind != PCI_BAR_NONE && *off <= p->bar[*bar].size - *len;
}

static void cfg_before_read(struct pci_dev *p, unsigned reg, unsigned size)
{
    unsigned bar;
    uint32_t off, len;

    if (window_get(p, reg, size, &bar, &off, &len))
        pci_put32(p->cfg + dev_of(p)->cfg_cap + CAP_BASE_LEN,
                  (uint32_t)pci_bar_read(p, bar, off, len));
}

static void cfg_after_write(struct pci_dev *p, unsigned reg, unsigned size)
{
    unsigned bar;
    uint32_t off, len, v;

    if (!window_get(p, reg, size, &bar, &off, &len))
        return;
    v = pci_get32(p->cfg + dev_of(p)->cfg_cap + CAP_BASE_LEN);
    pci_bar_write(p, bar, off, len, len < 4 ? v & ((1u << (8 * len)) - 1) : v);
}

static void irq_changed(struct pci_dev *p)
{
    virtio_routes_update(dev_of(p));
}

static bool vector_pending(struct pci_dev *p, unsigned vector)
{
    return virtio_vector_pending(dev_of(p), vector);
}

static void reset(struct pci_dev *p)
{
    struct virtio_dev *d = dev_of(p);

    virtio_reset(d);
    for (unsigned i = 0; i <= d->type->queues; i++)
        __atomic_store_n(&d->vm->page->route[d->call0 + i].pending, 0, __ATOMIC_SEQ_CST);
}

static const struct pci_ops virtio_pci_ops = {
    .bar_read = bar_read,
    .bar_write = bar_write,
    .bar_map = bar_map,
    .cfg_before_read = cfg_before_read,
    .cfg_after_write = cfg_after_write,
    .irq_changed = irq_changed,
    .vector_pending = vector_pending,
    .reset = reset,
};

/* ---- construction
 * -------------------------------------------------------------------------------- */

static unsigned structure_cap(struct pci_dev *p, uint8_t type, uint32_t at, uint32_t len,
                              unsigned cap_len)
{
    unsigned cap = pci_dev_cap(p, PCI_CAP_ID_VNDR, cap_len);

    p->cfg[cap + offsetof(struct virtio_pci_cap, cap_len)] = (uint8_t)cap_len;
    p->cfg[cap + offsetof(struct virtio_pci_cap, cfg_type)] = type;
    p->cfg[cap + offsetof(struct virtio_pci_cap, bar)] = VIRTIO_BAR_MODERN;
    pci_put32(p->cfg + cap + offsetof(struct virtio_pci_cap, offset), at);
    pci_put32(p->cfg + cap + offsetof(struct virtio_pci_cap, length), len);
    return cap;
}

static void modern_caps(struct virtio_dev *d)
{
    struct pci_dev *p = &d->pci;
    unsigned cap;

    structure_cap(p, VIRTIO_PCI_CAP_COMMON_CFG, VIRTIO_AT_COMMON,
                  sizeof(struct virtio_pci_common_cfg), CAP_BASE_LEN);
    structure_cap(p, VIRTIO_PCI_CAP_ISR_CFG, VIRTIO_AT_ISR, 1, CAP_BASE_LEN);
    structure_cap(p, VIRTIO_PCI_CAP_DEVICE_CFG, VIRTIO_AT_DEVICE, d->type->config_len,
                  CAP_BASE_LEN);
    cap =
        structure_cap(p, VIRTIO_PCI_CAP_NOTIFY_CFG, VIRTIO_AT_NOTIFY, notify_len(d), CAP_LONG_LEN);
    pci_put32(p->cfg + cap + CAP_BASE_LEN, VIRTIO_NOTIFY_STEP);
    cap = structure_cap(p, VIRTIO_PCI_CAP_PCI_CFG, 0, 0, CAP_LONG_LEN);
    p->cfg[cap + offsetof(struct virtio_pci_cap, bar)] = 0;
    p->wmask[cap + offsetof(struct virtio_pci_cap, bar)] = 0xff;
    memset(p->wmask + cap + offsetof(struct virtio_pci_cap, offset), 0xff, 12);
    d->cfg_cap = (uint8_t)cap;
}

/* Section 4.1.2: 0x1040 + device ID for modern devices; transitional ones have IDs and a subsystem
 * ID of their own, and revision 0. */
static void function_make(struct virtio_dev *d)
{
    const struct virtio_type *t = d->type;
    uint16_t id = d->legacy ? t->legacy_pci_id : (uint16_t)(0x1040 + t->id);

    pci_dev_init(&d->pci, &virtio_pci_ops, d, t->class_name, VENDOR, id, t->pci_class,
                 d->legacy ? 0 : 1);
    pci_dev_subsystem(&d->pci, VENDOR, d->legacy ? t->id : 0x1100);
    if (d->legacy)
        pci_dev_bar(&d->pci, VIRTIO_BAR_LEGACY, PCI_BAR_IO, false, virtio_legacy_io_size(d));
    pci_dev_bar(&d->pci, VIRTIO_BAR_MSIX, PCI_BAR_MEM32, false, BAR_MSIX_SIZE);
    if (d->modern) {
        pci_dev_bar(&d->pci, VIRTIO_BAR_MODERN, PCI_BAR_MEM64, true, VIRTIO_MODERN_SIZE);
        modern_caps(d);
    }
    pci_dev_msix(&d->pci, VIRTIO_BAR_MSIX, t->vectors);
    d->pci.id = d->qdev_id;
}

static int slots_take(struct virtio_dev *d, char *err, size_t errlen)
{
    int kick = vm_alloc_kicks(d->vm, d->type->queues);
    int call = kick < 0 ? -1 : vm_alloc_calls(d->vm, d->type->queues + 1);

    if (call < 0 || d->isr_slot >= ABI_ISR_MAX) {
        snprintf(err, errlen, "%s: too many devices (no notification slot left)", d->id);
        return -ENOSPC;
    }
    d->kick0 = (unsigned)kick;
    d->call0 = (unsigned)call;
    return 0;
}

int virtio_pci_add(struct virtio_dev *d, struct vm *vm, struct pci_bus *bus,
                   const struct virtio_type *type, const char *id, const char *qdev_id,
                   const struct virtio_place *at, char *err, size_t errlen)
{
    struct addr_map fits;
    int slot = at->slot >= 0 ? at->slot : pci_slot_free(bus), r;

    memset(d, 0, sizeof(*d));
    d->vm = vm;
    d->type = type;
    d->isr_slot = at->isr_slot;
    d->be_req_fd = -1;
    d->legacy = !at->disable_legacy;
    d->modern = !at->disable_modern;
    snprintf(d->id, sizeof(d->id), "%s", id);
    snprintf(d->qdev_id, sizeof(d->qdev_id), "%s", qdev_id);
    vu_frontend_init(&d->fe, id, type->queues);
    if (!d->legacy && !d->modern) {
        snprintf(err, errlen, "%s: disable-legacy and disable-modern leave nothing", d->id);
        return -EINVAL;
    }
    if (slot < 0 || slot > 31) {
        snprintf(err, errlen, "%s: no PCI slot %s", d->id, slot < 0 ? "is free" : "above 31");
        return -EINVAL;
    }
    r = slots_take(d, err, errlen);
    if (r)
        return r;
    function_make(d);
    pci_dev_intx(&d->pci, at->gsi[slot & 3]);
    if (at->rom_size)
        pci_dev_rom(&d->pci, at->rom_off, at->rom_size);
    r = pci_bus_add(bus, &d->pci, (uint8_t)(slot << 3 | (at->fn & 7)));
    if (!r)
        r = pci_bus_map(bus, &fits);
    if (r) {
        snprintf(err, errlen,
                 r == -EEXIST ? "%s: PCI slot %d function %d is not available, it is in use"
                              : "%s: too many devices (PCI slot %d.%d: no address space left)",
                 d->id, slot, at->fn);
        return r;
    }
    virtio_routes_init(d);
    return 0;
}
