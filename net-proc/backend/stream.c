/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames in a byte stream. The socket's queue is only looked at (MSG_PEEK) until it holds a whole frame,
 * and a frame is taken out before it is delivered: a process that dies loses frames, and never leaves
 * half of one to its successor, nor shows one twice. Must never wait, and never believe a length above
 * the largest frame: such a peer is dropped.
 */
#include "net-proc/backend/stream.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "ipc/log.h"

#define STREAM_RX  (256u * 1024) /* several frames a look; at least one of the largest */
#define STREAM_TX  (512u * 1024)
#define LEN_BYTES  4u
#define STREAM_LOOKS 8

struct net_stream {
    int fd, listen_fd; /* fd -1: no peer */
    bool held, full;
    uint32_t events; /* what fd is watched for */
    struct ipc_loop *loop;
    struct net_sink sink;
    struct net_stream_config cfg;
    struct ipc_ratelimit rl;
    uint64_t received, sent, lost;
    size_t tx_at, tx_end; /* tx[tx_at, tx_end) is to be sent */
    uint8_t rx[STREAM_RX], tx[STREAM_TX];
};

static struct net_stream stream;

/* By edges: the first part of a frame stays in the socket's queue, and would wake this process for ever
 * otherwise. Changing the set reports again what is there. */
static void events_set(struct net_stream *s)
{
    uint32_t events = EPOLLET | (s->held ? 0u : EPOLLIN) | (s->tx_at != s->tx_end ? EPOLLOUT : 0u);

    if (s->fd < 0 || events == s->events)
        return;
    s->events = events;
    (void)ipc_loop_mod(s->loop, s->fd, events);
}

static void cut_note(struct net_stream *s, bool cut)
{
    if (s->cfg.state)
        __atomic_store_n(&s->cfg.state->cut, cut, __ATOMIC_RELEASE);
}

/* #syscalls:net-link shutdown close */
static void peer_drop(struct net_stream *s, const char *why)
{
    log_warn("network: the peer of the stream is gone (%s)%s", why,
             s->listen_fd >= 0 ? ", waiting for the next" : "; the card's cable is dead");
    ipc_loop_del(s->loop, s->fd);
    shutdown(s->fd, SHUT_RDWR); /* the vmm holds this connection too */
    close(s->fd);
    s->fd = -1;
    s->tx_at = s->tx_end = 0;
    cut_note(s, false);
    if (s->listen_fd >= 0)
        (void)ipc_loop_mod(s->loop, s->listen_fd, EPOLLIN);
    if (s->cfg.peer)
        s->cfg.peer(s->cfg.peer_opaque, false);
    s->full = false;
    s->sink.room(s->sink.opaque);
}

/* ---- from the peer ----------------------------------------------------------------------------- */

static uint32_t length_at(const uint8_t *p)
{
    uint32_t be;
    memcpy(&be, p, LEN_BYTES);
    return ntohl(be);
}

/* How many of n bytes are whole frames. *bad: a length no frame has. */
static size_t whole_frames(const uint8_t *p, size_t n, bool *bad)
{
    size_t at = 0;

    while (n - at >= LEN_BYTES) {
        uint32_t len = length_at(p + at);
        *bad = len > NET_FRAME_MAX;
        if (*bad || len > n - at - LEN_BYTES)
            break;
        at += LEN_BYTES + len;
    }
    return at;
}

static void frames_deliver(struct net_stream *s, size_t n)
{
    static const net_todo nothing;

    for (size_t at = 0; at < n;) {
        uint32_t len = length_at(s->rx + at);
        s->received++;
        s->sink.frame(s->sink.opaque, s->rx + at + LEN_BYTES, len, &nothing);
        at += LEN_BYTES + len;
    }
    s->sink.frames_done(s->sink.opaque);
}

/* Takes out exactly what will be delivered. #syscalls:net-link recvfrom */
static bool frames_take(struct net_stream *s, size_t whole)
{
    for (size_t at = 0; at < whole;) {
        ssize_t r = recv(s->fd, s->rx + at, whole - at, 0);
        if (r <= 0)
            return false;
        at += (size_t)r;
    }
    return true;
}

/* One look. false: nothing more to do now. */
static bool bytes_receive(struct net_stream *s)
{
    bool bad = false;
    ssize_t n = recv(s->fd, s->rx, sizeof(s->rx), MSG_PEEK);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return false;
    if (n <= 0) {
        peer_drop(s, n ? strerror(errno) : "it closed the connection");
        return false;
    }
    size_t whole = whole_frames(s->rx, (size_t)n, &bad);
    if (whole && frames_take(s, whole))
        frames_deliver(s, whole);
    if (bad && s->fd >= 0)
        peer_drop(s, "it announced a frame longer than any");
    return whole > 0 && s->fd >= 0 && !s->held;
}

/* ---- to the peer ------------------------------------------------------------------------------- */

static size_t room_left(const struct net_stream *s)
{
    return STREAM_TX - (s->tx_end - s->tx_at);
}

/* #syscalls:net-link sendto */
static void bytes_send(struct net_stream *s)
{
    while (s->fd >= 0 && s->tx_at != s->tx_end) {
        cut_note(s, true);
        ssize_t n = send(s->fd, s->tx + s->tx_at, s->tx_end - s->tx_at, MSG_NOSIGNAL);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            break;
        if (n < 0) {
            peer_drop(s, strerror(errno));
            return;
        }
        s->tx_at += (size_t)n;
    }
    if (s->tx_at == s->tx_end) {
        s->tx_at = s->tx_end = 0;
        cut_note(s, false);
    }
    events_set(s);
}

static bool stream_input(void *opaque, const uint8_t *frame, size_t len, const net_todo *todo)
{
    struct net_stream *s = opaque;
    uint32_t be = htonl((uint32_t)len);

    (void)todo;
    if (s->fd < 0) {
        s->lost++;
        return true;
    }
    if (room_left(s) < LEN_BYTES + len) {
        bytes_send(s);
        if (s->fd >= 0 && room_left(s) < LEN_BYTES + len) {
            s->full = true;
            return false;
        }
    }
    if (STREAM_TX - s->tx_end < LEN_BYTES + len) {
        memmove(s->tx, s->tx + s->tx_at, s->tx_end - s->tx_at);
        s->tx_end -= s->tx_at;
        s->tx_at = 0;
    }
    memcpy(s->tx + s->tx_end, &be, LEN_BYTES);
    memcpy(s->tx + s->tx_end + LEN_BYTES, frame, len);
    s->tx_end += LEN_BYTES + len;
    s->sent++;
    return true;
}

static void stream_input_done(void *opaque)
{
    bytes_send(opaque);
}

static void stream_hold(void *opaque, bool on)
{
    struct net_stream *s = opaque;

    s->held = on;
    events_set(s);
}

static void stream_info(void *opaque, char *out, size_t cap)
{
    const struct net_stream *s = opaque;

    snprintf(out, cap, "stream: %s, %" PRIu64 " frames received, %" PRIu64 " sent, %" PRIu64 " lost without a peer\n",
             s->fd >= 0 ? "connected" : s->listen_fd >= 0 ? "listening" : "disconnected", s->received,
             s->sent, s->lost);
}

/* ---- connections ------------------------------------------------------------------------------- */

static void connection_ready(void *opaque, int fd, uint32_t events)
{
    struct net_stream *s = opaque;

    (void)fd;
    if (events & EPOLLOUT)
        bytes_send(s);
    if (s->fd >= 0 && s->full && room_left(s) >= STREAM_TX / 2) {
        s->full = false;
        s->sink.room(s->sink.opaque);
    }
    if (s->fd < 0 || s->held || !(events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
        return;
    for (unsigned i = 0; i < STREAM_LOOKS; i++)
        if (!bytes_receive(s))
            return;
    s->events = 0; /* the others' turn; then go on, without waiting for an edge */
    events_set(s);
}

static int connection_take(struct net_stream *s, int fd)
{
    int r;

    s->events = EPOLLET | (s->held ? 0u : EPOLLIN);
    r = ipc_loop_add(s->loop, fd, s->events, connection_ready, s);
    if (!r)
        s->fd = fd;
    return r;
}

/* One peer at a time: the queue of the listening socket holds the others.
 * #syscalls:net-link accept4 */
static void peer_waits(void *opaque, int fd, uint32_t events)
{
    struct net_stream *s = opaque;
    int peer = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

    (void)events;
    if (peer < 0)
        return;
    if (s->fd >= 0 || connection_take(s, peer)) {
        close(peer);
        return;
    }
    (void)ipc_loop_mod(s->loop, fd, 0);
    if (s->cfg.peer)
        s->cfg.peer(s->cfg.peer_opaque, true);
}

/* The predecessor may have died with a frame half sent: what follows would be read as its rest. */
static bool connection_usable(const struct net_stream *s)
{
    return !s->cfg.state || !__atomic_load_n(&s->cfg.state->cut, __ATOMIC_ACQUIRE);
}

int net_stream_open(struct net_backend *be, struct ipc_loop *l, const struct net_stream_config *cfg,
                    const struct net_sink *sink, char *err, size_t errlen)
{
    struct net_stream *s = &stream;
    int r = 0;

    s->fd = -1;
    s->listen_fd = cfg->listen_fd;
    s->loop = l;
    s->sink = *sink;
    s->cfg = *cfg;
    if (s->listen_fd >= 0)
        r = ipc_loop_add(l, s->listen_fd, EPOLLIN, peer_waits, s);
    if (!r && cfg->fd >= 0)
        r = connection_take(s, cfg->fd);
    if (r) {
        snprintf(err, errlen, "the stream's socket cannot be waited for: %s", strerror(-r));
        return r;
    }
    *be = (struct net_backend){
        .opaque = s,
        .input = stream_input,
        .input_done = stream_input_done,
        .hold = stream_hold,
        .info = stream_info,
    };
    if (s->fd >= 0 && !connection_usable(s))
        peer_drop(s, "the process before this one died in the middle of a frame");
    return 0;
}
