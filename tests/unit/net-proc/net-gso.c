/* SPDX-License-Identifier: Apache-2.0 */
/* Segmentation against what a receiver checks: order, lengths, flags, checksums; and hostile headers. */
#include "net-proc/net-gso.h"

#include <stdlib.h>
#include <string.h>
#include "net-proc/net-csum.h"
#include "tests/unit/net-proc/tap.h"

static uint8_t frame[NET_FRAME_MAX], scratch[NET_FRAME_MAX], joined[NET_FRAME_MAX];
static struct {
    unsigned n, stop_at;
    size_t joined, longest;
    bool good;
    uint32_t next_seq;
    bool v6;
    unsigned vlan;
} seen;

static unsigned be16(const uint8_t *p)
{
    return (unsigned)(p[0] << 8 | p[1]);
}

/* One's complement over pseudo-header and segment, which is 0xffff for a right checksum. */
static bool tcp_sum_right(const uint8_t *ip, const uint8_t *tcp, size_t n)
{
    static uint8_t b[NET_FRAME_MAX + 64];
    size_t a = seen.v6 ? 32 : 8;
    memcpy(b, ip + (seen.v6 ? 8 : 12), a);
    memset(b + a, 0, 8);
    b[a + 2] = (uint8_t)(n >> 8), b[a + 3] = (uint8_t)n, b[a + 7] = 6; /* IPv6's form sums the same */
    memcpy(b + a + 8, tcp, n);
    return net_csum_sum(b, a + 8 + n) == 0xffff;
}

static bool take(void *opaque, const uint8_t *f, size_t len)
{
    const uint8_t *ip = f + 14 + 4 * seen.vlan, *tcp = ip + (seen.v6 ? 40 : 20), *data = tcp + 32;
    uint32_t seq = (uint32_t)be16(tcp + 4) << 16 | be16(tcp + 6);
    size_t n = len - (size_t)(data - f);
    bool first = seen.n == 0, last;

    (void)opaque;
    memcpy(joined + seen.joined, data, n);
    seen.joined += n;
    seen.longest = n > seen.longest ? n : seen.longest;
    last = seen.joined == 10000;
    seen.good &= seq == seen.next_seq && tcp_sum_right(ip, tcp, len - (size_t)(tcp - f));
    seen.good &= seen.v6 ? be16(ip + 4) == len - (size_t)(tcp - f) : be16(ip + 2) == len - (size_t)(ip - f);
    seen.good &= seen.v6 || net_csum_sum(ip, 20) == 0xffff;
    seen.good &= seen.v6 || be16(ip + 4) == ((0x1234 + seen.n) & 0xffff);
    seen.good &= !!(tcp[13] & 0x80) == first && !!(tcp[13] & 0x09) == last && (tcp[13] & 0x10);
    seen.next_seq = seq + (uint32_t)n;
    return ++seen.n != seen.stop_at;
}

/* A segment of 10,000 bytes, timestamps option, ACK CWR PSH FIN. Bytes of the frame. */
static size_t frame_make(bool v6, unsigned vlan)
{
    uint8_t *ip = frame + 14 + 4 * vlan, *tcp = ip + (v6 ? 40 : 20);
    size_t len = 14 + 4 * vlan + (v6 ? 40 : 20) + 32 + 10000;

    memset(frame, 0, sizeof(frame));
    for (unsigned i = 0; i < vlan; i++)
        frame[12 + 4 * i] = 0x81;
    ip[-2] = v6 ? 0x86 : 0x08, ip[-1] = v6 ? 0xdd : 0;
    for (unsigned i = 0; i < (v6 ? 40u : 20u); i++)
        ip[i] = (uint8_t)(i * 3 + 1);
    ip[0] = v6 ? 0x60 : 0x45;
    ip[v6 ? 6 : 9] = 6;
    if (!v6)
        ip[4] = 0x12, ip[5] = 0x34, ip[6] = 0x40, ip[7] = 0;
    memcpy(tcp, (uint8_t[]){0, 80, 4, 0, 0xff, 0xff, 0xfe, 0, 1, 2, 3, 4, 0x80, 0x99, 1, 0}, 16);
    for (unsigned i = 0; i < 10000; i++)
        tcp[32 + i] = (uint8_t)(i * 7 + i / 256);
    memset(&seen, 0, sizeof(seen));
    seen.good = true, seen.v6 = v6, seen.vlan = vlan, seen.next_seq = 0xfffffe00;
    return len;
}
static net_todo todo_for(bool v6, unsigned mss)
{
    return (net_todo){.gso_type = v6 ? VIRTIO_NET_HDR_GSO_TCPV6 : VIRTIO_NET_HDR_GSO_TCPV4, .gso_size = (uint16_t)mss};
}
static bool splits(bool v6, unsigned vlan, unsigned mss)
{
    size_t len = frame_make(v6, vlan);
    net_todo todo = todo_for(v6, mss);

    if (net_gso_split(frame, len, &todo, scratch, take, NULL))
        return false;
    return seen.good && seen.joined == 10000 && seen.longest <= mss && seen.n == (10000 + mss - 1) / mss &&
           !memcmp(joined, frame + len - 10000, 10000);
}
static bool stops_when_full(void)
{
    size_t len = frame_make(false, 0);
    net_todo todo = todo_for(false, 1448);
    seen.stop_at = 3;
    return net_gso_split(frame, len, &todo, scratch, take, NULL) == 0 && seen.n == 3;
}
static bool only_lengths(void *opaque, const uint8_t *f, size_t len)
{
    *(size_t *)opaque += len > NET_FRAME_MAX || f != scratch;
    return true;
}
/* Anything may be in the headers: no read outside of the frame, no frame longer than may be. */
static bool survives_anything(void)
{
    size_t bad = 0;
    srand(3);
    for (unsigned i = 0; i < 200000; i++) {
        size_t len = frame_make(i & 1, i % 3);
        for (unsigned k = 0; k < 6; k++)
            frame[rand() % 90] = (uint8_t)rand();
        len = rand() % 4 ? len : (size_t)(rand() % 100);
        uint8_t *copy = malloc(len ? len : 1); /* so that a sanitizer sees the first byte behind */
        memcpy(copy, frame, len);
        net_todo todo = todo_for(rand() & 1, (unsigned)rand() % 3000);
        net_gso_split(copy, len, &todo, scratch, only_lengths, &bad);
        free(copy);
    }
    return bad == 0;
}

int main(void)
{
    net_todo todo = todo_for(false, 1448);

    ok(splits(false, 0, 1448), "IPv4: every segment has its own length, sequence, flags and checksums");
    ok(splits(true, 0, 1428), "IPv6 as well");
    ok(splits(false, 1, 1444) && splits(true, 2, 1000), "behind VLAN tags");
    ok(splits(false, 0, 10000) && splits(false, 0, 9999), "one segment, and one byte too many for one");
    ok(stops_when_full(), "a full wire ends it");
    size_t len = frame_make(false, 0);
    frame[14 + 9] = 17;
    ok(net_gso_split(frame, len, &todo, scratch, take, NULL) < 0 && !seen.n, "not TCP: refused");
    len = frame_make(false, 0);
    frame[14 + 6] = 0x20;
    ok(net_gso_split(frame, len, &todo, scratch, take, NULL) < 0 && !seen.n, "a fragment: refused");
    len = frame_make(true, 0);
    ok(net_gso_split(frame, len, &todo, scratch, take, NULL) < 0 && !seen.n, "IPv6 announced as IPv4: refused");
    len = frame_make(false, 0);
    todo.gso_size = 0;
    ok(net_gso_split(frame, len, &todo, scratch, take, NULL) < 0 && !seen.n, "segments of nothing: refused");
    ok(survives_anything(), "200,000 damaged frames: nothing outside of the frame is read or made");
    return tap_done();
}
