/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TCP segmentation (RFC 9293 3.4 for the sequence space, RFC 791 and RFC 8200 for the lengths). The
 * headers are parsed once from a private copy of the frame; every segment is built in the caller's
 * scratch. Must never believe a length that the frame does not have.
 */
#include "net-proc/net-gso.h"

#include <endian.h>
#include <errno.h>
#include <string.h>
#include "net-proc/net-csum.h"

#define ETH_HDR  14u
#define IP6_HDR  40u
#define TCP_FIN  0x01u
#define TCP_PSH  0x08u
#define TCP_CWR  0x80u
#define PROTO_TCP 6u

struct gso {
    unsigned ip;      /* offset of the IP header */
    unsigned tcp;     /* offset of the TCP header */
    unsigned payload; /* offset of the data = bytes of all headers */
    unsigned mss;
    bool v6;
};

static unsigned be16(const uint8_t *p)
{
    return (unsigned)(p[0] << 8 | p[1]);
}
static void be16_put(uint8_t *p, unsigned v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}
static uint32_t be32(const uint8_t *p)
{
    return (uint32_t)be16(p) << 16 | be16(p + 2);
}
static void be32_put(uint8_t *p, uint32_t v)
{
    be16_put(p, v >> 16);
    be16_put(p + 2, v & 0xffff);
}

/* Behind at most two VLAN tags (IEEE 802.1Q, 802.1ad). 0: neither IPv4 nor IPv6. */
static unsigned ip_find(const uint8_t *frame, size_t len, bool *v6)
{
    unsigned at = ETH_HDR;

    for (unsigned i = 0; i <= 2 && at <= len; i++) {
        unsigned type = be16(frame + at - 2);
        if (type == 0x0800 || type == 0x86dd) {
            *v6 = type == 0x86dd;
            return at;
        }
        if (type != 0x8100 && type != 0x88a8)
            return 0;
        at += 4;
    }
    return 0;
}

/* Where TCP starts; 0 for anything else. Extension headers are not followed: a driver does not ask for
 * segmentation of such a packet. */
static unsigned tcp_find(const uint8_t *frame, size_t len, const struct gso *g)
{
    const uint8_t *ip = frame + g->ip;

    if (g->v6)
        return len >= g->ip + IP6_HDR && ip[6] == PROTO_TCP ? g->ip + IP6_HDR : 0;
    if (len < g->ip + 20 || ip[9] != PROTO_TCP || (be16(ip + 6) & 0x3fff)) /* a fragment */
        return 0;
    unsigned hdr = (ip[0] & 15u) * 4;
    return hdr >= 20 ? g->ip + hdr : 0;
}

static int gso_parse(struct gso *g, const uint8_t *frame, size_t len, const net_todo *todo)
{
    unsigned type = todo->gso_type & ~(unsigned)VIRTIO_NET_HDR_GSO_ECN;

    if (len < ETH_HDR || len > NET_FRAME_MAX)
        return -EINVAL;
    g->ip = ip_find(frame, len, &g->v6);
    g->tcp = g->ip ? tcp_find(frame, len, g) : 0;
    if (!g->tcp || len < g->tcp + 20 || g->v6 != (type == VIRTIO_NET_HDR_GSO_TCPV6))
        return -EINVAL;
    g->payload = g->tcp + (frame[g->tcp + 12] >> 4) * 4u;
    g->mss = le16toh(todo->gso_size);
    return g->payload >= g->tcp + 20 && g->payload <= len && g->mss >= 8 ? 0 : -EINVAL;
}

static void ip_finish(uint8_t *frame, const struct gso *g, size_t total, unsigned index)
{
    uint8_t *ip = frame + g->ip;

    if (g->v6) {
        be16_put(ip + 4, (unsigned)(total - g->ip - IP6_HDR));
        return;
    }
    be16_put(ip + 2, (unsigned)(total - g->ip));
    be16_put(ip + 4, be16(ip + 4) + index); /* RFC 6864: each packet its own identification */
    memset(ip + 10, 0, 2);
    uint16_t sum = (uint16_t)~net_csum_sum(ip, g->tcp - g->ip);
    memcpy(ip + 10, &sum, 2);
}

/* RFC 9293 3.1: the pseudo-header is addresses, protocol and length. */
static void tcp_checksum(uint8_t *frame, const struct gso *g, size_t total)
{
    uint8_t pseudo[40] = {0};
    unsigned tcp_len = (unsigned)(total - g->tcp), n = g->v6 ? 40 : 12;

    memcpy(pseudo, frame + g->ip + (g->v6 ? 8 : 12), g->v6 ? 32 : 8);
    pseudo[g->v6 ? 39 : 9] = PROTO_TCP;
    be16_put(pseudo + (g->v6 ? 34 : 10), tcp_len); /* below 64 KiB: IPv6's upper half stays 0 */
    memset(frame + g->tcp + 16, 0, 2);
    uint32_t sum = (uint32_t)net_csum_sum(pseudo, n) + net_csum_sum(frame + g->tcp, tcp_len);
    sum = (sum & 0xffff) + (sum >> 16);
    uint16_t out = (uint16_t)~(sum + (sum >> 16));
    memcpy(frame + g->tcp + 16, &out, 2);
}

/* FIN and PSH belong to the last segment, CWR to the first (RFC 3168 6.1.2). */
static void tcp_finish(uint8_t *frame, const struct gso *g, uint32_t seq, bool first, bool last)
{
    uint8_t *flags = frame + g->tcp + 13;

    be32_put(frame + g->tcp + 4, seq);
    if (!last)
        *flags &= (uint8_t)~(TCP_FIN | TCP_PSH);
    if (!first)
        *flags &= (uint8_t)~TCP_CWR;
}

int net_gso_split(const uint8_t *frame, size_t len, const net_todo *todo, uint8_t *scratch,
                  bool (*out)(void *opaque, const uint8_t *frame, size_t len), void *opaque)
{
    struct gso g;
    int r = gso_parse(&g, frame, len, todo);

    if (r)
        return r;
    size_t data = len - g.payload, at = 0;
    uint32_t seq = be32(frame + g.tcp + 4);
    for (unsigned i = 0; i == 0 || at < data; i++) {
        size_t n = data - at < g.mss ? data - at : g.mss;
        memcpy(scratch, frame, g.payload);
        memcpy(scratch + g.payload, frame + g.payload + at, n);
        ip_finish(scratch, &g, g.payload + n, i);
        tcp_finish(scratch, &g, seq + (uint32_t)at, i == 0, at + n == data);
        tcp_checksum(scratch, &g, g.payload + n);
        if (!out(opaque, scratch, g.payload + n))
            break;
        at += n;
    }
    return 0;
}
