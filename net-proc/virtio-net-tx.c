/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Transmit side: chains of the guest into frames for the back end. Each chain is copied once into a
 * private buffer, and everything that is checked or used afterwards is that copy. Must never spend
 * more than one ring's worth of frames in a turn.
 */
#include "net-proc/virtio-net-internal.h"

#include <endian.h>
#include <string.h>
#include "net-proc/net-csum.h"

#define TX_TURN VQ_SIZE_MAX

/* Checks the header and finishes the checksum. false: the frame is not sent (guest's fault, but no
 * reason to stop its queue: a wrong frame is what a cable may carry too). */
static bool frame_prepare(struct net_dev *d, uint8_t *frame, size_t len)
{
    struct virtio_net_hdr_v1 hdr = {0};

    memcpy(&hdr, d->tx.frame, d->hdr_len);
    if (len < 14)
        return false;
    uint8_t gso = hdr.gso_type & (uint8_t)~VIRTIO_NET_HDR_GSO_ECN;
    /* A TCP frame for segmentation is one long TCP segment with a correct IP length: slirp, which
     * ends TCP itself, takes it whole. Nothing else was offered. */
    bool tso = (gso == VIRTIO_NET_HDR_GSO_TCPV4 && net_dev_has(d, VIRTIO_NET_F_HOST_TSO4)) ||
               (gso == VIRTIO_NET_HDR_GSO_TCPV6 && net_dev_has(d, VIRTIO_NET_F_HOST_TSO6));
    if (gso != VIRTIO_NET_HDR_GSO_NONE && !tso)
        return false;
    if (hdr.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) {
        if (!net_dev_has(d, VIRTIO_NET_F_CSUM))
            return false;
        return !net_csum_complete(frame, len, le16toh(hdr.csum_start), le16toh(hdr.csum_offset));
    }
    return true;
}

static void chain_send(struct net_dev *d)
{
    struct net_tx *tx = &d->tx;
    const struct vq_elem *e = &tx->elem;

    if (e->out_len < d->hdr_len) {
        vq_break(tx->vq, "transmit chain is shorter than its header");
        return;
    }
    uint8_t *frame = tx->frame + d->hdr_len;
    size_t len = e->out_len - d->hdr_len;
    bool send = d->link_up && d->be.input && len <= NET_FRAME_MAX;

    if (send) {
        iov_to_buf(e->iov, e->n_out, 0, tx->frame, d->hdr_len + len);
        send = frame_prepare(d, frame, len);
    }
    if (!send) {
        d->stats.tx_dropped++;
        return;
    }
    d->stats.tx_frames++;
    d->stats.tx_bytes += len;
    d->be.input(d->be.opaque, frame, len);
}

/* Sends until the ring is empty or the turn is over; returns what is left of the turn. */
static unsigned ring_send(struct net_dev *d, unsigned turn)
{
    struct net_tx *tx = &d->tx;

    while (turn && vq_pop(tx->vq, &tx->elem) == 1) {
        chain_send(d);
        if (vq_broken(tx->vq))
            return 0;
        vq_push(tx->vq, &tx->elem, 0);
        turn--;
    }
    return turn;
}

void net_tx_run(struct net_dev *d)
{
    struct net_tx *tx = &d->tx;
    unsigned turn = TX_TURN;

    if (!tx->vq || vq_broken(tx->vq))
        return;
    do {
        vq_kicks_set(tx->vq, false);
        turn = ring_send(d, turn);
        if (!turn)
            break;
        vq_kicks_set(tx->vq, true);
    } while (!vq_broken(tx->vq) && !vq_empty(tx->vq));
    /* Kicks stay off: the rest is done when everybody else had a turn. */
    if (!turn && !vq_broken(tx->vq))
        ipc_timer_set(&tx->again, ipc_now_ns());
    vq_notify(tx->vq);
    if (d->be.input_done)
        d->be.input_done(d->be.opaque);
    net_rx_flush(d);
}

static void turn_again(void *opaque)
{
    net_tx_run(opaque);
}

int net_tx_init(struct net_dev *d)
{
    return ipc_timer_init(&d->tx.again, d->loop, turn_again, d);
}

void net_tx_start(struct net_dev *d, struct vq *vq)
{
    d->tx.vq = vq;
    net_tx_run(d);
}

void net_tx_stop(struct net_dev *d)
{
    ipc_timer_set(&d->tx.again, 0);
    d->tx.vq = NULL;
}
