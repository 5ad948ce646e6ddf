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
#include "net-proc/net-gso.h"

#define TX_TURN VQ_SIZE_MAX

/* The driver's header as far as it was negotiated; what was not is a wrong frame. false: the frame is
 * not sent (guest's fault, but no reason to stop its queue: a wrong frame is what a cable may carry
 * too). */
static bool todo_check(const struct net_dev *d, net_todo *todo, size_t len)
{
    uint8_t gso = todo->gso_type & (uint8_t)~VIRTIO_NET_HDR_GSO_ECN;
    bool tso = (gso == VIRTIO_NET_HDR_GSO_TCPV4 && net_dev_has(d, VIRTIO_NET_F_HOST_TSO4)) ||
               (gso == VIRTIO_NET_HDR_GSO_TCPV6 && net_dev_has(d, VIRTIO_NET_F_HOST_TSO6));

    if (len < 14 || (gso != VIRTIO_NET_HDR_GSO_NONE && !tso))
        return false;
    if ((todo->gso_type & VIRTIO_NET_HDR_GSO_ECN) && !net_dev_has(d, VIRTIO_NET_F_HOST_ECN))
        return false;
    todo->flags &= VIRTIO_NET_HDR_F_NEEDS_CSUM;
    todo->num_buffers = 0;
    return !todo->flags || net_dev_has(d, VIRTIO_NET_F_CSUM);
}

/* As much as the back end cannot do itself. */
static bool frame_finish(uint8_t *frame, size_t len, net_todo *todo)
{
    if (todo->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM &&
        net_csum_complete(frame, len, le16toh(todo->csum_start), le16toh(todo->csum_offset)))
        return false;
    todo->flags = 0;
    return true;
}

static bool segment_out(void *opaque, const uint8_t *frame, size_t len)
{
    static const net_todo nothing;
    struct net_dev *d = opaque;

    return d->be.input(d->be.opaque, frame, len, &nothing);
}

enum tx_result { TX_SENT, TX_DROPPED, TX_FULL };

static enum tx_result frame_send(struct net_dev *d, uint8_t *frame, size_t len, net_todo *todo)
{
    bool long_one = todo->gso_type != VIRTIO_NET_HDR_GSO_NONE;

    if (d->be.can & NET_CAN_FINISH)
        return d->be.input(d->be.opaque, frame, len, todo) ? TX_SENT : TX_FULL;
    if (long_one && !(d->be.can & NET_CAN_SEGMENT))
        return net_gso_split(frame, len, todo, d->tx.segment, segment_out, d) ? TX_DROPPED : TX_SENT;
    if (!frame_finish(frame, len, todo))
        return TX_DROPPED;
    return d->be.input(d->be.opaque, frame, len, todo) ? TX_SENT : TX_FULL;
}

static void pending_send(struct net_dev *d)
{
    struct net_tx *tx = &d->tx;
    enum tx_result r = frame_send(d, tx->frame, tx->len, &tx->todo);

    tx->pending = r == TX_FULL;
    if (r == TX_DROPPED)
        d->stats.tx_dropped++;
    if (r != TX_SENT)
        return;
    d->stats.tx_frames++;
    d->stats.tx_bytes += tx->len;
}

/* The chain into the private buffer. false: nothing to send. */
static bool chain_copy(struct net_dev *d)
{
    struct net_tx *tx = &d->tx;
    const struct vq_elem *e = &tx->elem;

    if (e->out_len < d->hdr_len) {
        vq_break(tx->vq, "transmit chain is shorter than its header");
        return false;
    }
    tx->len = e->out_len - d->hdr_len;
    if (!d->link_up || !d->be.input || tx->len > NET_FRAME_MAX)
        return false;
    memset(&tx->todo, 0, sizeof(tx->todo));
    iov_to_buf(e->iov, e->n_out, 0, &tx->todo, d->hdr_len);
    if (!todo_check(d, &tx->todo, tx->len))
        return false;
    iov_to_buf(e->iov, e->n_out, d->hdr_len, tx->frame, tx->len);
    return true;
}

/* Sends until the ring is empty, the back end is full or the turn is over; returns what is left of the
 * turn. A chain is used before its frame goes out: a process that dies in between loses a frame, as
 * a wire may; the other order would send it twice. */
static unsigned ring_send(struct net_dev *d, unsigned turn)
{
    struct net_tx *tx = &d->tx;

    while (turn && !tx->pending && vq_pop(tx->vq, &tx->elem) == 1) {
        bool send = chain_copy(d);
        if (vq_broken(tx->vq))
            return 0;
        vq_push(tx->vq, &tx->elem, 0);
        if (send)
            pending_send(d);
        else
            d->stats.tx_dropped++;
        turn--;
    }
    return turn;
}

void net_tx_run(struct net_dev *d)
{
    struct net_tx *tx = &d->tx;
    unsigned turn = TX_TURN;

    if (!tx->vq || vq_broken(tx->vq) || tx->pending)
        return;
    do {
        vq_kicks_set(tx->vq, false);
        turn = ring_send(d, turn);
        if (!turn || tx->pending)
            break;
        vq_kicks_set(tx->vq, true);
    } while (!vq_broken(tx->vq) && !vq_empty(tx->vq));
    /* Kicks stay off: the rest is done when everybody else had a turn, or when there is room. */
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

void net_tx_room(struct net_dev *d)
{
    if (d->tx.pending)
        pending_send(d);
    net_tx_run(d);
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
