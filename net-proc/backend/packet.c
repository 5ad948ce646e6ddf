/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames by read and write. A tap takes and gives what is undone (checksums, segmentation) in a virtio
 * header; a socket only finished frames. Must never spend more than a batch on one wake-up, and never
 * wait: a full queue of the kernel holds the card's transmit side until it has room.
 */
#include "net-proc/backend/packet.h"

#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <linux/if_tun.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>
#include "ipc/log.h"

#define PACKET_BATCH 64
#define BIT(n)       (UINT64_C(1) << (n))

struct net_packet {
    int fd;
    bool tap, held, full; /* full: input said no, the descriptor's room is waited for */
    uint8_t mac[6];
    struct sockaddr_storage to;
    socklen_t to_len;
    struct ipc_loop *loop;
    struct net_sink sink;
    struct ipc_ratelimit rl;
    uint64_t errors, received, sent;
    struct {
        net_todo todo;
        uint8_t frame[NET_FRAME_MAX];
    } __attribute__((packed)) rx;
};

static struct net_packet packet; /* its buffer is too large for a stack */

static void events_set(struct net_packet *p)
{
    uint32_t events = (p->held ? 0u : EPOLLIN) | (p->full ? EPOLLOUT : 0u);

    if (ipc_loop_mod(p->loop, p->fd, events))
        log_error("network: cannot change what its descriptor is watched for");
}

static void trouble(struct net_packet *p, const char *what, int err)
{
    p->errors++;
    if (ipc_ratelimit_ok(&p->rl, 3, 60))
        log_warn("network: %s: %s", what, strerror(err));
}

/* ---- from outside ---------------------------------------------------------------------------- */

/* Length of the next frame, 0: none now. */
static size_t frame_read(struct net_packet *p)
{
    ssize_t n = p->tap ? read(p->fd, &p->rx, sizeof(p->rx)) : recv(p->fd, p->rx.frame, NET_FRAME_MAX, 0);

    if (n < 0) {
        /* A connected datagram socket tells that the peer was not there: no reason to stop. */
        if (errno != EAGAIN && errno != EINTR && errno != ECONNREFUSED)
            trouble(p, "cannot receive", errno);
        return 0;
    }
    size_t hdr = p->tap ? sizeof(p->rx.todo) : 0;
    return (size_t)n > hdr ? (size_t)n - hdr : 0;
}

static bool own_echo(const struct net_packet *p, size_t len)
{
    return p->to_len && len >= 12 && !memcmp(p->rx.frame + 6, p->mac, 6);
}

static void frames_receive(struct net_packet *p)
{
    static const net_todo nothing;
    size_t len;

    for (unsigned i = 0; i < PACKET_BATCH && !p->held && (len = frame_read(p)) > 0; i++) {
        net_todo todo = p->tap ? p->rx.todo : nothing;
        if (own_echo(p, len))
            continue;
        p->received++;
        p->sink.frame(p->sink.opaque, p->rx.frame, len, &todo);
    }
    p->sink.frames_done(p->sink.opaque);
}

static void descriptor_ready(void *opaque, int fd, uint32_t events)
{
    struct net_packet *p = opaque;

    if ((events & EPOLLOUT) && p->full) {
        p->full = false;
        events_set(p);
        p->sink.room(p->sink.opaque);
    }
    if (events & EPOLLIN) {
        frames_receive(p);
    } else if (events & (EPOLLERR | EPOLLHUP)) {
        int err = 0;
        socklen_t n = sizeof(err);
        /* An asynchronous error of a socket is taken by reading it; a tap that was deleted stays in this
         * state for ever. */
        if (p->tap || getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &n) < 0) {
            ipc_loop_del(p->loop, fd);
            trouble(p, "the interface is gone, the card's cable is dead", ENODEV);
        }
    }
}

/* ---- from the guest -------------------------------------------------------------------------- */

static ssize_t frame_write(struct net_packet *p, const uint8_t *frame, size_t len, const net_todo *todo)
{
    struct iovec iov[2] = {{(void *)(uintptr_t)todo, sizeof(*todo)}, {(void *)(uintptr_t)frame, len}};

    if (p->tap)
        return writev(p->fd, iov, 2);
    return sendto(p->fd, frame, len, MSG_NOSIGNAL, p->to_len ? (struct sockaddr *)&p->to : NULL, p->to_len);
}

static bool packet_input(void *opaque, const uint8_t *frame, size_t len, const net_todo *todo)
{
    struct net_packet *p = opaque;

    if (frame_write(p, frame, len, todo) >= 0) {
        p->sent++;
        return true;
    }
    if (errno == EAGAIN) {
        p->full = true;
        events_set(p);
        return false;
    }
    if (errno != ECONNREFUSED && errno != ENOENT) /* nobody listens: as on any unplugged cable */
        trouble(p, "cannot send a frame", errno);
    return true;
}

static void packet_hold(void *opaque, bool on)
{
    struct net_packet *p = opaque;

    if (on != p->held) {
        p->held = on;
        events_set(p);
    }
}

/* What the kernel may leave undone follows what the driver takes undone. */
static void packet_features(void *opaque, uint64_t features)
{
    struct net_packet *p = opaque;
    unsigned long offload = 0;

    if (features & BIT(VIRTIO_NET_F_GUEST_CSUM)) {
        offload = TUN_F_CSUM;
        offload |= features & BIT(VIRTIO_NET_F_GUEST_TSO4) ? TUN_F_TSO4 : 0;
        offload |= features & BIT(VIRTIO_NET_F_GUEST_TSO6) ? TUN_F_TSO6 : 0;
        if (features & BIT(VIRTIO_NET_F_GUEST_ECN))
            offload |= offload & (TUN_F_TSO4 | TUN_F_TSO6) ? TUN_F_TSO_ECN : 0;
    }
    if (ioctl(p->fd, TUNSETOFFLOAD, offload) < 0)
        trouble(p, "cannot set the tap's offloads", errno);
}

static void packet_info(void *opaque, char *out, size_t cap)
{
    const struct net_packet *p = opaque;

    snprintf(out, cap, "%s: %" PRIu64 " frames received, %" PRIu64 " sent, %" PRIu64 " errors\n",
             p->tap ? "tap" : "datagrams", p->received, p->sent, p->errors);
}

/* ---- start ------------------------------------------------------------------------------------ */

static int tap_prepare(int fd)
{
    int size = sizeof(net_todo), le = 1;

    if (ioctl(fd, TUNSETVNETHDRSZ, &size) < 0 || ioctl(fd, TUNSETVNETLE, &le) < 0)
        return -errno;
    return 0;
}

/* #syscalls:net-link read recvfrom writev sendto ioctl getsockopt epoll_ctl */
int net_packet_open(struct net_backend *be, struct ipc_loop *l, const struct net_packet_config *cfg,
                    const struct net_sink *sink, char *err, size_t errlen)
{
    struct net_packet *p = &packet;
    int r = cfg->tap ? tap_prepare(cfg->fd) : 0;

    if (r) {
        snprintf(err, errlen, "the descriptor is not a tap with virtio headers (vnet_hdr=on): %s", strerror(-r));
        return r;
    }
    p->fd = cfg->fd;
    p->tap = cfg->tap;
    p->loop = l;
    p->sink = *sink;
    p->to = cfg->to;
    p->to_len = cfg->to_len;
    memcpy(p->mac, cfg->mac, 6);
    r = ipc_loop_add(l, p->fd, EPOLLIN, descriptor_ready, p);
    if (r) {
        snprintf(err, errlen, "the network descriptor cannot be waited for: %s", strerror(-r));
        return r;
    }
    *be = (struct net_backend){
        .opaque = p,
        .can = cfg->tap ? NET_CAN_FINISH : 0,
        .input = packet_input,
        .hold = packet_hold,
        .features = cfg->tap ? packet_features : NULL,
        .info = packet_info,
    };
    return 0;
}
