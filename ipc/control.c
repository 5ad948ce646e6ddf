/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The control protocol: checks every packet against its row of CTL_MESSAGES before a byte is unpacked,
 * then unpacks into a bounded arena. Never calls a handler, never allocates, never trusts the peer.
 */
#include "ipc/control.h"

#include <errno.h>
#include <string.h>
#include <sys/types.h>

#include "ipc/chan.h"
#include "ipc/fds.h"
#include "ipc/log.h"
#include "ipc/loop.h"

struct ctl_row {
    const char *name;
    const ProtobufCMessageDescriptor *desc;
    uint32_t min, max; /* protobuf bytes */
    unsigned fds;
    unsigned dir, states;
};

static const struct ctl_row ctl_rows[] = {
#define M(id, NAME, type, mn, mx, nf, dr, st)                                                      \
    [id] = {.name = #NAME, .desc = &ctl__##type##__descriptor, .min = mn, .max = mx, .fds = nf,    \
            .dir = dr, .states = st},
    CTL_MESSAGES(M)
#undef M
};
#define CTL_ROWS (sizeof(ctl_rows) / sizeof(ctl_rows[0]))

#define M(id, NAME, type, mn, mx, nf, dr, st)                                                      \
    _Static_assert((mx) + sizeof(struct ctl_header) <= IPC_CHAN_MSG_MAX, "fits a packet");         \
    _Static_assert((nf) <= IPC_CHAN_FDS_MAX, "fits a packet");
CTL_MESSAGES(M)
#undef M

static const struct ctl_row *ctl_row_find(unsigned type)
{
    return type < CTL_ROWS && ctl_rows[type].name ? &ctl_rows[type] : NULL;
}

const char *ctl_msg_name(unsigned type)
{
    const struct ctl_row *row = ctl_row_find(type);

    return row ? row->name : "?";
}

/* The allocator protobuf-c sees: a bump pointer with an end. A message that wants more fails. */
static void *arena_alloc(void *opaque, size_t size)
{
    struct ctl_arena *a = opaque;
    size_t need = (size + 15) & ~(size_t)15;
    void *p;

    if (size > sizeof(a->mem) || need > sizeof(a->mem) - a->used) {
        return NULL;
    }
    p = a->mem + a->used;
    a->used += need;
    return p;
}

static void arena_free(void *opaque, void *p)
{
    (void)opaque;
    (void)p; /* everything goes at once, at the next ctl_recv */
}

void ctl_peer_init(struct ctl_peer *p, int fd, enum ctl_dir incoming, uint32_t generation)
{
    p->fd = fd;
    p->incoming = incoming;
    p->state = CTL_ST_NEW;
    p->generation = generation;
    p->arena.used = 0;
}

/* NULL when the packet may be unpacked, else what is wrong with it. */
static const char *ctl_packet_check(const struct ctl_peer *p, const struct ctl_header *h, size_t len,
                                    unsigned nfds)
{
    const struct ctl_row *row = ctl_row_find(h->type);
    size_t body = len - sizeof(*h);

    if (h->version != CTL_VERSION) {
        return "wrong protocol version";
    }
    if (!row) {
        return "unknown message";
    }
    if (row->dir != (unsigned)p->incoming) {
        return "wrong direction";
    }
    if (!(row->states & (unsigned)p->state)) {
        return "not allowed in this state";
    }
    if (body < row->min || body > row->max) {
        return "wrong size";
    }
    if (nfds > row->fds) {
        return "too many descriptors";
    }
    return NULL;
}

/* A child learns its generation from BOOT, so HELLO is sent without one. */
static bool ctl_generation_free(unsigned type)
{
    return type == CTL_HELLO || type == CTL_BOOT;
}

static int ctl_refuse(const struct ctl_peer *p, unsigned type, const char *why, int *fds, unsigned n)
{
    log_warn("control: %s (%u) from %s refused: %s", ctl_msg_name(type), type,
             p->incoming == CTL_TO_CHILD ? "vmm" : "child", why);
    ipc_fds_close(fds, n);
    return -EPROTO;
}

/* 1 = unpacked; 0 = of an older incarnation, dropped; -EPROTO = refused. */
static int ctl_packet_unpack(struct ctl_peer *p, size_t len, ProtobufCMessage **msg, int *fds,
                             unsigned nfds, struct ctl_header *h)
{
    ProtobufCAllocator alloc = {arena_alloc, arena_free, &p->arena};
    const char *why;

    if (len < sizeof(*h)) {
        return ctl_refuse(p, 0, "shorter than its header", fds, nfds);
    }
    memcpy(h, p->rxbuf, sizeof(*h));
    why = ctl_packet_check(p, h, len, nfds);
    if (why) {
        return ctl_refuse(p, h->type, why, fds, nfds);
    }
    if (!ctl_generation_free(h->type) && h->generation != p->generation) {
        if (p->incoming == CTL_TO_VMM && h->generation < p->generation) {
            ipc_fds_close(fds, nfds);
            return 0;
        }
        return ctl_refuse(p, h->type, "wrong generation", fds, nfds);
    }
    p->arena.used = 0;
    *msg = protobuf_c_message_unpack(ctl_rows[h->type].desc, &alloc, len - sizeof(*h),
                                     p->rxbuf + sizeof(*h));
    return *msg ? 1 : ctl_refuse(p, h->type, "malformed or too complex", fds, nfds);
}

int ctl_recv(struct ctl_peer *p, enum ctl_msg *type, ProtobufCMessage **msg, int *fds,
             unsigned *nfds, int timeout_ms)
{
    uint64_t deadline = ipc_now_ns() + (uint64_t)(timeout_ms > 0 ? timeout_ms : 0) * 1000000u;
    unsigned room = nfds ? *nfds : 0;
    int left = timeout_ms;

    if (nfds) {
        *nfds = 0;
    }
    for (;;) {
        unsigned got = room;
        ssize_t n = ipc_chan_recv(p->fd, p->rxbuf, sizeof(p->rxbuf), fds, &got, left);
        struct ctl_header h = {0};
        uint64_t now;
        int r;

        if (n == -EPROTO) {
            return ctl_refuse(p, 0, "packet too long or more descriptors than expected", fds, 0);
        }
        if (n <= 0) {
            return (int)n;
        }
        r = ctl_packet_unpack(p, (size_t)n, msg, fds, got, &h);
        if (r) {
            if (r == 1) {
                *type = (enum ctl_msg)h.type;
                if (nfds) {
                    *nfds = got;
                }
            }
            return r;
        }
        now = ipc_now_ns();
        left = now < deadline ? (int)((deadline - now) / 1000000) : 0;
    }
}

int ctl_send(struct ctl_peer *p, enum ctl_msg type, const void *msg, const int *fds, unsigned nfds,
             int timeout_ms)
{
    const struct ctl_row *row = ctl_row_find(type);
    struct ctl_header h = {.type = (uint16_t)type, .version = CTL_VERSION,
                           .generation = p->generation};
    uint8_t buf[IPC_CHAN_MSG_MAX];
    size_t len;

    /* A message against our own table is our bug; the peer would rightly drop us for it. */
    if (!row || row->dir == (unsigned)p->incoming || !(row->states & (unsigned)p->state) ||
        nfds > row->fds || ((const ProtobufCMessage *)msg)->descriptor != row->desc) {
        log_error("control: %s may not be sent now (state %d, %u descriptors)", ctl_msg_name(type),
                  (int)p->state, nfds);
        return -EINVAL;
    }
    len = protobuf_c_message_get_packed_size(msg);
    if (len < row->min || len > row->max) {
        log_error("control: %s of %zu bytes is outside %u..%u", row->name, len, row->min, row->max);
        return -EMSGSIZE;
    }
    memcpy(buf, &h, sizeof(h));
    protobuf_c_message_pack(msg, buf + sizeof(h));
    return ipc_chan_send(p->fd, buf, sizeof(h) + len, fds, nfds, timeout_ms);
}
