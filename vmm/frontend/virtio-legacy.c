/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The legacy register block in I/O space (virtio 1.2 section 4.1.4.10): 32 feature bits, ring
 * addresses as page numbers, no FEATURES_OK. Every decision is virtio-device.c's.
 */
#include "vmm/frontend/virtio-pci.h"

#include <linux/virtio_config.h>
#include <linux/virtio_pci.h>

#define RING_ALIGN 4096ull

static struct virtio_queue *selected(struct virtio_dev *d)
{
    return d->queue_select < d->type->queues ? &d->q[d->queue_select] : NULL;
}

/* The device's own configuration follows the vectors, which are only there with MSI-X enabled. */
static uint64_t config_at(const struct virtio_dev *d)
{
    return VIRTIO_PCI_CONFIG_OFF(pci_msix_enabled(&d->pci));
}

uint32_t virtio_legacy_io_size(const struct virtio_dev *d)
{
    uint32_t size = 32;

    while (size < VIRTIO_PCI_CONFIG_OFF(true) + (uint32_t)d->type->config_len)
        size *= 2;
    return size;
}

static uint64_t vector_read(struct virtio_dev *d, uint64_t off)
{
    const struct virtio_queue *q = selected(d);

    if (off == VIRTIO_MSI_CONFIG_VECTOR)
        return d->config_vector;
    return q ? q->vector : VIRTIO_NO_VECTOR;
}

uint64_t virtio_legacy_read(struct virtio_dev *d, uint64_t off, unsigned size)
{
    const struct virtio_queue *q = selected(d);

    if (off >= config_at(d))
        return virtio_config_read(d, off - config_at(d), size);
    switch (off) {
    case VIRTIO_PCI_HOST_FEATURES:
        return (uint32_t)d->offer;
    case VIRTIO_PCI_GUEST_FEATURES:
        return (uint32_t)d->driver_features;
    case VIRTIO_PCI_QUEUE_PFN:
        return q && q->enabled ? q->desc / RING_ALIGN : 0;
    case VIRTIO_PCI_QUEUE_NUM:
        return q ? q->size : 0;
    case VIRTIO_PCI_QUEUE_SEL:
        return d->queue_select;
    case VIRTIO_PCI_STATUS:
        return d->status;
    case VIRTIO_PCI_ISR:
        return virtio_isr_take(d);
    case VIRTIO_MSI_CONFIG_VECTOR:
    case VIRTIO_MSI_QUEUE_VECTOR:
        return vector_read(d, off);
    default:
        return 0;
    }
}

/* Section 2.7.2: descriptors, then the avail ring, then, on the next page, the used ring. */
static void pfn_write(struct virtio_dev *d, uint32_t pfn)
{
    struct virtio_queue *q = selected(d);

    if (!pfn) { /* how legacy drivers give a ring back: the whole device is reset */
        virtio_reset(d);
        return;
    }
    if (!q || d->status & VIRTIO_CONFIG_S_DRIVER_OK)
        return;
    q->size = d->type->queue_size;
    q->desc = pfn * RING_ALIGN;
    q->avail = q->desc + 16ull * q->size;
    q->used = (q->avail + 4 + 2ull * q->size + 2 + RING_ALIGN - 1) & ~(RING_ALIGN - 1);
    q->enabled = true;
}

static void vector_write(struct virtio_dev *d, uint64_t off, uint64_t value)
{
    struct virtio_queue *q = selected(d);

    if (off == VIRTIO_MSI_CONFIG_VECTOR)
        d->config_vector = virtio_vector_check(d, value);
    else if (q)
        q->vector = virtio_vector_check(d, value);
    virtio_routes_update(d);
}

void virtio_legacy_write(struct virtio_dev *d, uint64_t off, unsigned size, uint64_t value)
{
    if (off >= config_at(d)) {
        virtio_config_write(d, off - config_at(d), size, value);
        return;
    }
    switch (off) {
    case VIRTIO_PCI_GUEST_FEATURES:
        if (!(d->status & VIRTIO_CONFIG_S_DRIVER_OK)) /* a legacy driver cannot be told no */
            d->driver_features = (uint32_t)value & d->offer;
        break;
    case VIRTIO_PCI_QUEUE_PFN:
        pfn_write(d, (uint32_t)value);
        break;
    case VIRTIO_PCI_QUEUE_SEL:
        d->queue_select = (uint16_t)value;
        break;
    case VIRTIO_PCI_QUEUE_NOTIFY:
        virtio_kick(d, (uint16_t)value);
        break;
    case VIRTIO_PCI_STATUS:
        virtio_status_set(d, (uint8_t)value, true);
        break;
    case VIRTIO_MSI_CONFIG_VECTOR:
    case VIRTIO_MSI_QUEUE_VECTOR:
        vector_write(d, off, value);
        break;
    default:
        break;
    }
}
