/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The common configuration structure of a modern device (virtio 1.2 section 4.1.4.3). Translates
 * registers into the device's state; every decision is virtio-device.c's.
 */
#include "vmm/frontend/virtio-pci.h"

#include <linux/virtio_config.h>
#include <linux/virtio_pci.h>
#include <string.h>

static struct virtio_queue *selected(struct virtio_dev *d)
{
    return d->queue_select < d->type->queues ? &d->q[d->queue_select] : NULL;
}

static uint32_t feature_word(uint64_t features, uint32_t select)
{
    return select < 2 ? (uint32_t)(features >> (32 * select)) : 0;
}

/* The structure as it stands; reads have no side effects, so any access is a copy out of it. */
static void common_render(struct virtio_dev *d, struct virtio_pci_common_cfg *c)
{
    const struct virtio_queue *q = selected(d);

    memset(c, 0, sizeof(*c));
    c->device_feature_select = d->offer_select;
    c->device_feature = feature_word(d->offer, d->offer_select);
    c->guest_feature_select = d->driver_select;
    c->guest_feature = feature_word(d->driver_features, d->driver_select);
    c->msix_config = d->config_vector;
    c->num_queues = (uint16_t)d->type->queues;
    c->device_status = d->status;
    c->config_generation = d->generation;
    c->queue_select = d->queue_select;
    c->queue_msix_vector = VIRTIO_NO_VECTOR;
    if (!q)
        return;
    c->queue_size = q->size;
    c->queue_msix_vector = q->vector;
    c->queue_enable = q->enabled;
    c->queue_notify_off = d->queue_select;
    memcpy(&c->queue_desc_lo, &q->desc, 8);
    memcpy(&c->queue_avail_lo, &q->avail, 8);
    memcpy(&c->queue_used_lo, &q->used, 8);
}

uint64_t virtio_common_read(struct virtio_dev *d, uint64_t off, unsigned size)
{
    struct virtio_pci_common_cfg c;
    uint64_t v = 0;

    if (off + size > sizeof(c))
        return ~0ull;
    common_render(d, &c);
    memcpy(&v, (const uint8_t *)&c + off, size);
    return v;
}

static void features_write(struct virtio_dev *d, uint32_t word)
{
    unsigned shift = 32 * d->driver_select;

    if (d->driver_select > 1 || d->status & VIRTIO_CONFIG_S_FEATURES_OK)
        return; /* settled (section 2.2.1) */
    d->driver_features &= ~(0xffffffffull << shift);
    d->driver_features |= (uint64_t)word << shift;
}

static void address_write(uint64_t *reg, unsigned at, unsigned size, uint64_t value)
{
    if (size == 8 && at == 0)
        *reg = value;
    else if (size == 4)
        memcpy((uint8_t *)reg + at, &value, 4);
}

static void queue_write(struct virtio_dev *d, uint64_t off, unsigned size, uint64_t value)
{
    struct virtio_queue *q = selected(d);
    uint16_t v = (uint16_t)value;

    if (!q)
        return;
    if (off == VIRTIO_PCI_COMMON_Q_MSIX) {
        q->vector = virtio_vector_check(d, v);
        virtio_routes_update(d);
        return;
    }
    if (q->enabled || d->status & VIRTIO_CONFIG_S_DRIVER_OK)
        return; /* a live ring does not move (section 4.1.4.3.2) */
    if (off == VIRTIO_PCI_COMMON_Q_SIZE && v && !(v & (v - 1)) && v <= d->type->queue_size)
        q->size = v;
    else if (off == VIRTIO_PCI_COMMON_Q_ENABLE)
        q->enabled = v == 1;
    else if (off >= VIRTIO_PCI_COMMON_Q_USEDLO)
        address_write(&q->used, off & 4, size, value);
    else if (off >= VIRTIO_PCI_COMMON_Q_AVAILLO)
        address_write(&q->avail, off & 4, size, value);
    else if (off >= VIRTIO_PCI_COMMON_Q_DESCLO)
        address_write(&q->desc, off & 4, size, value);
}

/* Width of the register at off; other widths are dropped ("MUST access each field using the natural
 * access method", section 4.1.3.1). 8 stands for 4 or 8. */
static unsigned field_width(uint64_t off)
{
    if (off >= VIRTIO_PCI_COMMON_Q_DESCLO)
        return off & 3 ? 0 : 8;
    if (off < VIRTIO_PCI_COMMON_MSIX)
        return off & 3 ? 0 : 4;
    if (off == VIRTIO_PCI_COMMON_STATUS || off == VIRTIO_PCI_COMMON_CFGGENERATION)
        return 1;
    return off & 1 ? 0 : 2;
}

void virtio_common_write(struct virtio_dev *d, uint64_t off, unsigned size, uint64_t value)
{
    unsigned width = off + size <= sizeof(struct virtio_pci_common_cfg) ? field_width(off) : 0;

    if (size != width && !(width == 8 && size == 4))
        return;
    switch (off) {
    case VIRTIO_PCI_COMMON_DFSELECT:
        d->offer_select = (uint32_t)value;
        break;
    case VIRTIO_PCI_COMMON_GFSELECT:
        d->driver_select = (uint32_t)value;
        break;
    case VIRTIO_PCI_COMMON_GF:
        features_write(d, (uint32_t)value);
        break;
    case VIRTIO_PCI_COMMON_MSIX:
        d->config_vector = virtio_vector_check(d, value);
        virtio_routes_update(d);
        break;
    case VIRTIO_PCI_COMMON_STATUS:
        virtio_status_set(d, (uint8_t)value, false);
        break;
    case VIRTIO_PCI_COMMON_Q_SELECT:
        d->queue_select = (uint16_t)value;
        break;
    default:
        if (off >= VIRTIO_PCI_COMMON_Q_SIZE)
            queue_write(d, off, size, value);
    }
}
