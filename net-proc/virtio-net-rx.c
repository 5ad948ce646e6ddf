/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Receive side: frames of the back end into the guest's buffers, or into the backlog while there
 * are none. Chains are used strictly in the order they were offered (VIRTIO_F_IN_ORDER), and a
 * frame is published only when all of it is written. Must never wait.
 */
#include "net-proc/virtio-net-internal.h"

#include <endian.h>
#include <string.h>

enum rx_result { RX_DONE, RX_WAIT, RX_DROP };

static struct vq_elem *held_at(struct net_rx *rx, unsigned i)
{
    return &rx->held[(rx->first + i) % NET_RX_CHAINS];
}

/* Takes one more chain. 1, 0 = none offered, -1 = queue broken. */
static int chain_take(struct net_dev *d)
{
    struct net_rx *rx = &d->rx;
    struct vq_elem *e = held_at(rx, rx->n_held);
    int r = vq_pop(rx->vq, e);

    if (r <= 0)
        return r < 0 ? -1 : 0;
    /* virtio 1.2, 5.1.6.3: device-writable, and the first part takes the whole header. */
    if (e->in_len < d->hdr_len) {
        vq_break(rx->vq, "receive buffer has no room for the header");
        return -1;
    }
    rx->n_held++;
    return 1;
}

/* Gathers chains until `need` bytes fit. RX_DONE: *count chains from held_at(0) hold it. */
static enum rx_result chains_gather(struct net_dev *d, size_t need, unsigned *count)
{
    struct net_rx *rx = &d->rx;
    size_t room = 0;
    /* Without mergeable buffers one frame must fit one chain. */
    unsigned limit = d->mergeable ? NET_RX_CHAINS : 1;

    for (unsigned n = 0; n < limit; n++) {
        if (n == rx->n_held) {
            int r = chain_take(d);
            if (r <= 0)
                return r < 0 ? RX_DROP : RX_WAIT;
        }
        room += held_at(rx, n)->in_len;
        if (room >= need) {
            *count = n + 1;
            return RX_DONE;
        }
    }
    return RX_DROP;
}

static void chains_fill(struct net_dev *d, const uint8_t *frame, size_t len, const net_todo *todo,
                        unsigned count)
{
    struct net_rx *rx = &d->rx;
    struct virtio_net_hdr_v1 hdr = *todo;
    size_t done = 0;

    hdr.num_buffers = htole16((uint16_t)count);
    for (unsigned i = 0; i < count; i++) {
        const struct vq_elem *e = held_at(rx, i);
        size_t off = 0;
        if (i == 0)
            off = buf_to_iov(e->iov + e->n_out, e->n_in, 0, &hdr, d->hdr_len);
        size_t n = buf_to_iov(e->iov + e->n_out, e->n_in, off, frame + done, len - done);
        done += n;
        (i + 1 < count ? vq_push_part : vq_push)(rx->vq, e, (uint32_t)(off + n));
    }
    rx->first = (rx->first + count) % NET_RX_CHAINS;
    rx->n_held -= count;
    rx->notify = true;
}

static enum rx_result frame_deliver(struct net_dev *d, const uint8_t *frame, size_t len,
                                    const net_todo *todo)
{
    unsigned count;
    enum rx_result r = chains_gather(d, d->hdr_len + len, &count);

    if (r == RX_DONE) {
        chains_fill(d, frame, len, todo, count);
        d->stats.rx_frames++;
        d->stats.rx_bytes += len;
    } else if (r == RX_DROP) {
        d->stats.rx_dropped++;
    }
    return r;
}

static void kicks_want(struct net_rx *rx, bool want)
{
    if (rx->kicks_wanted != want) {
        rx->kicks_wanted = want;
        vq_kicks_set(rx->vq, want);
    }
}

/* Delivers a frame, closing the race with a driver that adds buffers while kicks are still off. */
static enum rx_result frame_try(struct net_dev *d, const uint8_t *frame, size_t len,
                                const net_todo *todo)
{
    enum rx_result r = frame_deliver(d, frame, len, todo);

    if (r != RX_WAIT || d->rx.kicks_wanted)
        return r;
    kicks_want(&d->rx, true);
    if (vq_empty(d->rx.vq))
        return RX_WAIT;
    return frame_deliver(d, frame, len, todo);
}

static void back_end_hold(struct net_dev *d)
{
    struct net_rx *rx = &d->rx;
    bool on = rx->holding ? !rx_backlog_empty(&rx->backlog) : rx->backlog.used > RX_BACKLOG_HIGH;

    if (on != rx->holding && d->be.hold) {
        rx->holding = on;
        d->be.hold(d->be.opaque, on);
    }
}

static void backlog_drain(struct net_dev *d)
{
    struct net_rx *rx = &d->rx;
    const uint8_t *record;
    size_t len;

    while (rx->vq && (record = rx_backlog_peek(&rx->backlog, &len)) != NULL) {
        net_todo todo;
        memcpy(&todo, record, sizeof(todo));
        if (frame_try(d, record + sizeof(todo), len - sizeof(todo), &todo) == RX_WAIT)
            break;
        rx_backlog_drop(&rx->backlog);
    }
    if (rx->vq && rx_backlog_empty(&rx->backlog))
        kicks_want(rx, false);
    back_end_hold(d);
}

/* What the driver agreed to take undone (virtio 1.2, 5.1.6.4.1). A frame that needs more is not for
 * it: the back end was told, and this is one from before. */
static bool todo_acceptable(const struct net_dev *d, const net_todo *todo)
{
    switch (todo->gso_type & ~VIRTIO_NET_HDR_GSO_ECN) {
    case VIRTIO_NET_HDR_GSO_NONE:
        return !(todo->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) || d->guest_csum;
    case VIRTIO_NET_HDR_GSO_TCPV4:
        return net_dev_has(d, VIRTIO_NET_F_GUEST_TSO4);
    case VIRTIO_NET_HDR_GSO_TCPV6:
        return net_dev_has(d, VIRTIO_NET_F_GUEST_TSO6);
    default:
        return false;
    }
}

/* A back end whose checksums are right says so with NULL, and the guest need not sum again. */
static net_todo todo_of(const struct net_dev *d, const uint8_t *frame, const net_todo *given)
{
    net_todo todo = {0};
    uint16_t type = (uint16_t)(frame[12] << 8 | frame[13]);

    if (given) {
        todo = *given;
        todo.flags &= d->guest_csum ? VIRTIO_NET_HDR_F_NEEDS_CSUM | VIRTIO_NET_HDR_F_DATA_VALID
                                    : VIRTIO_NET_HDR_F_NEEDS_CSUM;
        return todo;
    }
    if (d->guest_csum && (type == 0x0800 || type == 0x86dd))
        todo.flags = VIRTIO_NET_HDR_F_DATA_VALID;
    return todo;
}

void net_rx_frame(struct net_dev *d, const uint8_t *frame, size_t len, const net_todo *given)
{
    struct net_rx *rx = &d->rx;

    if (!rx->vq || !d->link_up || vq_broken(rx->vq) || len < 14 || len > NET_FRAME_MAX) {
        d->stats.rx_dropped++;
        return;
    }
    net_todo todo = todo_of(d, frame, given);
    if (!todo_acceptable(d, &todo)) {
        d->stats.rx_dropped++;
        return;
    }
    if (rx_backlog_empty(&rx->backlog) && frame_try(d, frame, len, &todo) != RX_WAIT)
        return;
    if (!rx_backlog_put(&rx->backlog, &todo, sizeof(todo), frame, len))
        d->stats.rx_dropped++;
    back_end_hold(d);
}

void net_rx_flush(struct net_dev *d)
{
    struct net_rx *rx = &d->rx;

    if (rx->vq && rx->notify)
        vq_notify(rx->vq);
    rx->notify = false;
}

void net_rx_kick(struct net_dev *d)
{
    backlog_drain(d);
    net_rx_flush(d);
}

void net_rx_start(struct net_dev *d, struct vq *vq)
{
    struct net_rx *rx = &d->rx;

    rx->vq = vq;
    rx->first = rx->n_held = 0;
    rx->notify = false;
    /* Nobody waits for buffers yet: the first frame that finds none asks for kicks. */
    rx->kicks_wanted = true;
    kicks_want(rx, false);
    net_rx_kick(d);
}

void net_rx_stop(struct net_dev *d)
{
    struct net_rx *rx = &d->rx;

    if (!rx->vq)
        return;
    net_rx_flush(d);
    /* Newest first, so that the next one to start sees all of them as never taken. */
    while (rx->n_held)
        vq_unpop(rx->vq, held_at(rx, --rx->n_held));
    rx->vq = NULL;
    rx_backlog_clear(&rx->backlog);
    back_end_hold(d);
}
