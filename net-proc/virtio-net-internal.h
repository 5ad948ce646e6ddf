/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shape of the card, shared by its receive, transmit and configuration parts. Nobody outside
 * virtio-net*.c includes this.
 */
#ifndef BULKHEAD_NET_PROC_VIRTIO_NET_INTERNAL_H
#define BULKHEAD_NET_PROC_VIRTIO_NET_INTERNAL_H

#include <linux/virtio_net.h>
#include "ipc/log.h"
#include "net-proc/rx-backlog.h"
#include "net-proc/virtio-net.h"

#define NET_HDR_MAX sizeof(struct virtio_net_hdr_v1)
/* Receive chains one frame may spread over: 64 KiB into Linux' smallest mergeable buffers (1536).
 * */
#define NET_RX_CHAINS 48u

struct net_rx { /* receive queue: device -> guest */
    struct vq *vq;     /* NULL while stopped */
    bool kicks_wanted; /* out of buffers: told the driver to kick */
    bool notify;       /* used elements the guest was not told of */
    bool holding;      /* the back end was asked to wait */
    /* Chains popped and not used yet, oldest first: ring of NET_RX_CHAINS from `first`. */
    unsigned first, n_held;
    struct vq_elem held[NET_RX_CHAINS];
    struct rx_backlog backlog;
};
struct net_tx { /* transmit queue: guest -> device */
    struct vq *vq;
    struct ipc_timer again; /* the ring was still full after one turn */
    bool pending; /* frame waits for room in the back end: nothing more is taken from the ring */
    size_t len;
    net_todo todo;
    struct vq_elem elem;
    uint8_t frame[NET_FRAME_MAX], segment[NET_FRAME_MAX];
};
struct net_stats {
    uint64_t rx_frames, rx_bytes, rx_dropped, tx_frames, tx_bytes, tx_dropped;
};
struct net_dev {
    struct ipc_loop *loop;
    struct vu_backend *vu;
    struct net_backend be;
    void (*closed)(void *opaque);
    void *closed_opaque;
    uint64_t features; /* accepted by the driver */
    unsigned hdr_len;  /* 12, or 10 for a legacy driver without mergeable buffers */
    bool mergeable, guest_csum, link_up;
    bool announce; /* once, when the transmit queue starts */
    struct virtio_net_config config;
    struct ipc_ratelimit rl;
    struct net_stats stats;
    struct net_rx rx;
    struct net_tx tx;
};

static inline bool net_dev_has(const struct net_dev *d, unsigned bit)
{
    return d->features >> bit & 1;
}

/* virtio-net-rx.c */
void net_rx_start(struct net_dev *d, struct vq *vq);
void net_rx_stop(struct net_dev *d);
void net_rx_kick(struct net_dev *d);
void net_rx_frame(struct net_dev *d, const uint8_t *frame, size_t len, const net_todo *todo);
void net_rx_flush(struct net_dev *d);

/* virtio-net-tx.c */
int net_tx_init(struct net_dev *d);
void net_tx_start(struct net_dev *d, struct vq *vq);
void net_tx_stop(struct net_dev *d);
void net_tx_run(struct net_dev *d);
void net_tx_room(struct net_dev *d); /* the back end has room again */

#endif
