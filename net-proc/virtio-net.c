/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The card's outer face: features, configuration space, link, and the vhost-user callbacks. Must
 * never move a frame itself.
 */
#include "net-proc/virtio-net-internal.h"

#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NET_QUEUE_RX, NET_QUEUE_TX, NET_QUEUES }; /* virtio 1.2, 5.1.2 */

#define BIT(n) (UINT64_C(1) << (n))
#define NET_FEATURES                                                                               \
    (BIT(VIRTIO_NET_F_MAC) | BIT(VIRTIO_NET_F_STATUS) | BIT(VIRTIO_NET_F_MRG_RXBUF) |              \
     BIT(VIRTIO_NET_F_CSUM) | BIT(VIRTIO_NET_F_GUEST_CSUM) | BIT(VIRTIO_NET_F_HOST_TSO4) |         \
     BIT(VIRTIO_NET_F_HOST_TSO6) | BIT(VIRTIO_NET_F_HOST_ECN) | BIT(VIRTIO_NET_F_GUEST_TSO4) |    \
     BIT(VIRTIO_NET_F_GUEST_TSO6) | BIT(VIRTIO_NET_F_GUEST_ECN) | BIT(VIRTIO_F_ANY_LAYOUT) | BIT(VIRTIO_RING_F_INDIRECT_DESC) |   \
     BIT(VIRTIO_RING_F_EVENT_IDX) | BIT(VIRTIO_F_IN_ORDER))

static int config_get(void *opaque, uint32_t off, uint32_t size, uint8_t *out)
{
    const struct net_dev *d = opaque;

    if (off > sizeof d->config || size > sizeof d->config - off)
        return -EINVAL;
    memcpy(out, (const uint8_t *)&d->config + off, size);
    return 0;
}

/* Only a legacy driver may write, and only the MAC (virtio 1.2, 5.1.4.4). The card does not filter
 * by address, so remembering it is all there is to do. */
static int config_set(void *opaque, uint32_t off, uint32_t size, const uint8_t *in)
{
    struct net_dev *d = opaque;

    if (off > sizeof d->config.mac || size > sizeof d->config.mac - off)
        return -EINVAL;
    if (!net_dev_has(d, VIRTIO_F_VERSION_1))
        memcpy(d->config.mac + off, in, size);
    return 0;
}

static void features_set(void *opaque, uint64_t features)
{
    struct net_dev *d = opaque;

    d->features = features;
    d->mergeable = net_dev_has(d, VIRTIO_NET_F_MRG_RXBUF);
    d->guest_csum = net_dev_has(d, VIRTIO_NET_F_GUEST_CSUM);
    bool wide = d->mergeable || net_dev_has(d, VIRTIO_F_VERSION_1);
    if (d->be.features)
        d->be.features(d->be.opaque, features);
    d->hdr_len = wide ? sizeof(struct virtio_net_hdr_v1) : sizeof(struct virtio_net_hdr);
}

static void queue_start(void *opaque, struct vq *vq)
{
    if (vq_index(vq) == NET_QUEUE_RX)
        net_rx_start(opaque, vq);
    else
        net_tx_start(opaque, vq);
    struct net_dev *d = opaque;
    if (d->tx.vq && d->announce) {
        d->announce = false;
        net_dev_announce(d);
    }
}

static void queue_stop(void *opaque, struct vq *vq)
{
    if (vq_index(vq) == NET_QUEUE_RX)
        net_rx_stop(opaque);
    else
        net_tx_stop(opaque);
}

static void queue_kick(void *opaque, struct vq *vq)
{
    if (vq_index(vq) == NET_QUEUE_RX)
        net_rx_kick(opaque);
    else
        net_tx_run(opaque);
}

static void front_end_closed(void *opaque)
{
    struct net_dev *d = opaque;

    net_rx_stop(d);
    net_tx_stop(d);
    d->closed(d->closed_opaque);
}

/* The table is the card's for life: vu_backend keeps a reference. */
static struct vu_device_ops net_ops = {
    .features = NET_FEATURES,
    .queues = NET_QUEUES,
    .inflight = false,
    .config_get = config_get,
    .config_set = config_set,
    .features_set = features_set,
    .queue_start = queue_start,
    .queue_stop = queue_stop,
    .kick = queue_kick,
    .closed = front_end_closed,
};

struct net_dev *net_dev_create(struct ipc_loop *l, const struct net_config *cfg)
{
    struct net_dev *d = calloc(1, sizeof *d);

    if (!d)
        return NULL;
    d->loop = l;
    memcpy(d->config.mac, cfg->mac, 6);
    if (cfg->mtu) {
        net_ops.features |= BIT(VIRTIO_NET_F_MTU);
        d->config.mtu = htole16(cfg->mtu);
    }
    d->link_up = !cfg->link_down;
    d->announce = cfg->announce;
    d->config.status = htole16(d->link_up ? VIRTIO_NET_S_LINK_UP : 0);
    features_set(d, 0);
    if (net_tx_init(d)) {
        free(d);
        return NULL;
    }
    return d;
}

int net_dev_connect(struct net_dev *d, int vu_fd, struct abi_codepage *codepage, uint64_t pages,
                    void (*closed)(void *opaque), void *opaque)
{
    d->closed = closed;
    d->closed_opaque = opaque;
    d->vu = calloc(1, vu_backend_size());
    if (!d->vu)
        return -ENOMEM;
    int r = vu_backend_init(d->vu, d->loop, vu_fd, &net_ops, d);
    if (!r && codepage)
        vu_backend_set_codepage(d->vu, codepage, pages);
    return r;
}

void net_dev_attach(struct net_dev *d, const struct net_backend *be)
{
    d->be = *be;
    if (d->be.features)
        d->be.features(d->be.opaque, d->features);
}

static void sink_frame(void *opaque, const uint8_t *frame, size_t len, const net_todo *todo)
{
    net_rx_frame(opaque, frame, len, todo);
}

static void sink_room(void *opaque)
{
    net_tx_room(opaque);
}

static void sink_done(void *opaque)
{
    net_rx_flush(opaque);
}

struct net_sink net_dev_sink(struct net_dev *d)
{
    return (struct net_sink){.opaque = d, .frame = sink_frame, .frames_done = sink_done,
                             .room = sink_room};
}

void net_dev_link_set(struct net_dev *d, bool up)
{
    if (up == d->link_up)
        return;
    d->link_up = up;
    d->config.status = htole16(up ? VIRTIO_NET_S_LINK_UP : 0);
    rx_backlog_clear(&d->rx.backlog);
    if (d->vu)
        vu_backend_config_changed(d->vu);
}

/* RFC 903: "my hardware address is ...; what is my protocol address?". Switches learn the way from it. */
void net_dev_announce(struct net_dev *d)
{
    static const uint8_t rarp[10] = {0x80, 0x35, 0, 1, 0x08, 0, 6, 4, 0, 3};
    static const net_todo nothing;
    uint8_t f[60] = {0};

    memset(f, 0xff, 6);
    memcpy(f + 6, d->config.mac, 6);
    memcpy(f + 12, rarp, sizeof(rarp));
    memcpy(f + 22, d->config.mac, 6);
    memcpy(f + 32, d->config.mac, 6);
    if (d->be.input)
        (void)d->be.input(d->be.opaque, f, sizeof(f), &nothing);
    if (d->be.input_done)
        d->be.input_done(d->be.opaque);
}

void net_dev_info(struct net_dev *d, char *out, size_t cap)
{
    const struct net_stats *s = &d->stats;

    snprintf(out, cap,
             "link=%s rx-frames=%" PRIu64 " rx-bytes=%" PRIu64 " rx-dropped=%" PRIu64
             " tx-frames=%" PRIu64 " tx-bytes=%" PRIu64 " tx-dropped=%" PRIu64 "\n",
             d->link_up ? "up" : "down", s->rx_frames, s->rx_bytes, s->rx_dropped, s->tx_frames,
             s->tx_bytes, s->tx_dropped);
}
