/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The device status machine, feature negotiation and configuration space (virtio 1.2 sections 2.1,
 * 2.2, 2.5). A guest that breaks the rules gets DEVICE_NEEDS_RESET, nothing else. Must never wait
 * for a back end longer than the front end's own deadline.
 */
#include "vmm/frontend/virtio-pci.h"

#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <string.h>

#define BIT(n) (1ull << (n))
/* Ring and transport features that may be passed on. Not: RING_PACKED, ACCESS_PLATFORM, SR_IOV,
 * NOTIFICATION_DATA, RING_RESET, which this transport does not have. */
#define TRANSPORT_FEATURES                                                                         \
    (BIT(VIRTIO_F_NOTIFY_ON_EMPTY) | BIT(VIRTIO_F_ANY_LAYOUT) | BIT(VIRTIO_RING_F_INDIRECT_DESC) | \
     BIT(VIRTIO_RING_F_EVENT_IDX) | BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_F_IN_ORDER) |             \
     BIT(VIRTIO_F_ORDER_PLATFORM))

uint64_t virtio_offer(const struct virtio_dev *d)
{
    uint64_t f = d->fe.be_features & (d->type->features | TRANSPORT_FEATURES);

    return d->modern ? f : f & ~BIT(VIRTIO_F_VERSION_1);
}

void virtio_needs_reset(struct virtio_dev *d, const char *why)
{
    if (ipc_ratelimit_ok(&d->rl, 4, 10))
        log_warn("%s: device needs reset: %s", d->id, why);
    d->status |= VIRTIO_CONFIG_S_NEEDS_RESET;
    virtio_config_interrupt(d);
}

/* ---- rings -------------------------------------------------------------------------------------
 */

static uint64_t used_len(const struct virtio_queue *q)
{
    return 4 + 8ull * q->size + 2;
}

static uint64_t avail_len(const struct virtio_queue *q)
{
    return 4 + 2ull * q->size + 2;
}

/* Sections 2.7 and 4.1.5.1.3. A back end would drop the connection over a bad address; found here,
 * it is the guest's fault and stays there. */
static bool queue_valid(struct virtio_dev *d, const struct virtio_queue *q)
{
    return q->size && !(q->size & (q->size - 1)) && q->size <= d->type->queue_size &&
           !(q->desc & 15) && !(q->avail & 1) && !(q->used & 3) &&
           virtio_guest_memory(d, q->desc, 16ull * q->size) &&
           virtio_guest_memory(d, q->avail, avail_len(q)) &&
           virtio_guest_memory(d, q->used, used_len(q));
}

static bool queues_take(struct virtio_dev *d)
{
    for (unsigned i = 0; i < d->type->queues; i++) {
        const struct virtio_queue *q = &d->q[i];
        struct vu_fe_queue *f = &d->fe.q[i];

        f->enabled = q->enabled;
        f->kick_fd = d->vm->kick_fd[d->kick0 + i];
        f->call_fd = d->vm->call_fd[d->call0 + i];
        f->base = 0;
        if (!q->enabled)
            continue;
        if (!queue_valid(d, q))
            return false;
        f->size = q->size;
        f->desc_gpa = q->desc;
        f->avail_gpa = q->avail;
        f->used_gpa = q->used;
    }
    return true;
}

/* ---- status -------------------------------------------------------------------------------------
 */

static bool features_ok(const struct virtio_dev *d)
{
    return !(d->driver_features & ~d->offer) && d->driver_features & BIT(VIRTIO_F_VERSION_1);
}

static void driver_ok(struct virtio_dev *d)
{
    d->fe.acked = d->driver_features;
    virtio_routes_update(d);
    if (d->failed) {
        virtio_needs_reset(d, "its back end is gone for good");
        return;
    }
    if (!queues_take(d)) {
        virtio_needs_reset(d, "a ring lies outside of memory");
        return;
    }
    d->live = true;
    virtio_backend_start(d);
}

void virtio_reset(struct virtio_dev *d)
{
    int r = 0;

    if (d->live || d->fe.started)
        r = vu_frontend_stop(&d->fe, true);
    d->live = false;
    d->fe.acked = 0;
    d->status = 0;
    d->driver_features = 0;
    d->offer_select = d->driver_select = 0;
    d->queue_select = 0;
    d->config_vector = VIRTIO_NO_VECTOR;
    for (unsigned i = 0; i < d->type->queues; i++) {
        d->q[i] = (struct virtio_queue){.size = d->type->queue_size, .vector = VIRTIO_NO_VECTOR};
        d->fe.q[i].enabled = false;
        d->fe.q[i].base = 0;
    }
    virtio_routes_update(d);
    if (r && d->fe.fd >= 0)
        virtio_backend_lost(d, "did not stop", r);
}

void virtio_status_set(struct virtio_dev *d, uint8_t status, bool legacy)
{
    /* Bits are only ever added (section 2.1.1); NEEDS_RESET is the device's own. */
    uint8_t added = (uint8_t)(status & ~d->status & ~VIRTIO_CONFIG_S_NEEDS_RESET);

    if (!status) {
        virtio_reset(d);
        return;
    }
    if (!legacy && added & VIRTIO_CONFIG_S_FEATURES_OK && !features_ok(d))
        added &= (uint8_t)~VIRTIO_CONFIG_S_FEATURES_OK;
    if (!legacy && added & VIRTIO_CONFIG_S_DRIVER_OK &&
        !((d->status | added) & VIRTIO_CONFIG_S_FEATURES_OK)) {
        virtio_needs_reset(d, "DRIVER_OK without FEATURES_OK");
        return;
    }
    d->status |= added;
    if (added & VIRTIO_CONFIG_S_DRIVER_OK)
        driver_ok(d);
}

/* ---- configuration space ------------------------------------------------------------------------
 */

uint64_t virtio_config_read(struct virtio_dev *d, uint64_t off, unsigned size)
{
    uint64_t v = 0;

    if (off >= d->type->config_len || size > d->type->config_len - off)
        return ~0ull;
    memcpy(&v, d->config + off, size);
    return v;
}

void virtio_config_write(struct virtio_dev *d, uint64_t off, unsigned size, uint64_t value)
{
    int r;

    if (off >= d->type->config_len || size > d->type->config_len - off || d->fe.fd < 0)
        return;
    r = vu_frontend_config_write(&d->fe, (uint32_t)off, &value, size);
    if (r == -ENOTSUP || r == -EINVAL || r == -EREMOTEIO)
        return; /* the back end has nothing to write there */
    if (r) {
        virtio_backend_lost(d, "configuration write", r);
        return;
    }
    memcpy(d->config + off, &value, size);
    virtio_backend_serve(d);
}
