/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checks the NetConfig of the BOOT message and turns it into addresses. Every complaint names the
 * option and the value. Must never act on anything, and never resolve a name.
 */
#include "net-proc/net-config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct complaint {
    char *buf;
    size_t len;
};

static int __attribute__((format(printf, 2, 3)))
complain(const struct complaint *c, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(c->buf, c->len, fmt, ap);
    va_end(ap);
    return -EINVAL;
}

static bool given(const char *s)
{
    return s && *s;
}

static int text_copy(char *dst, const char *src, const char *option, const struct complaint *e)
{
    if (!given(src)) {
        dst[0] = 0;
        return 0;
    }
    if (strlen(src) >= NET_NAME_MAX)
        return complain(e, "%s=: longer than %d bytes", option, NET_NAME_MAX - 1);
    strcpy(dst, src);
    return 0;
}

/* Splits "addr/len" or "addr"; *len stays untouched without a slash. max = highest prefix length.
 * */
static int prefix_split(const char *s, char *addr, size_t cap, unsigned *len, unsigned max)
{
    const char *slash = strchr(s, '/');
    size_t n = slash ? (size_t)(slash - s) : strlen(s);
    if (n == 0 || n >= cap)
        return -EINVAL;
    memcpy(addr, s, n);
    addr[n] = 0;
    if (!slash)
        return 0;
    char *end;
    unsigned long v = strtoul(slash + 1, &end, 10);
    if (slash[1] < '0' || slash[1] > '9' || *end || v > max)
        return -EINVAL;
    *len = (unsigned)v;
    return 0;
}

/* RFC 791 class, or RFC 1918 block: what "net=" without a mask has always meant here. */
static unsigned classful_prefix(uint32_t addr)
{
    if (!(addr & 0x80000000u))
        return 8;
    if ((addr & 0xfff00000u) == 0xac100000u)
        return 12;
    if ((addr & 0xc0000000u) == 0x80000000u || (addr & 0xffff0000u) == 0xc0a80000u)
        return 16;
    return (addr & 0xe0000000u) == 0xc0000000u ? 24 : 28;
}

/* "net=": network, or any address in it. A dotted mask is accepted after the slash. */
static int net4_parse(struct net_config *c, const char *s, const struct complaint *e)
{
    char addr[64];
    unsigned len = 255;
    struct in_addr a, m;
    const char *slash = strchr(s, '/');

    if (slash && strchr(slash, '.')) {
        if (inet_pton(AF_INET, slash + 1, &m) != 1 || (~ntohl(m.s_addr) & (~ntohl(m.s_addr) + 1)))
            return complain(e, "net=%s: '%s' is not a network mask", s, slash + 1);
        len = (unsigned)__builtin_popcount(m.s_addr);
        snprintf(addr, sizeof addr, "%.*s", (int)(slash - s), s);
    } else if (prefix_split(s, addr, sizeof addr, &len, 32)) {
        return complain(e, "net=%s: not an IPv4 network", s);
    }
    if (inet_pton(AF_INET, addr, &a) != 1)
        return complain(e, "net=%s: '%s' is not an IPv4 address", s, addr);
    if (len == 255)
        len = classful_prefix(ntohl(a.s_addr));
    if (len < 4 || len > 28)
        return complain(e, "net=%s: the prefix length must be 4 to 28", s);
    c->mask.s_addr = htonl(0xffffffffu << (32 - len));
    c->net.s_addr = a.s_addr & c->mask.s_addr;
    return 0;
}

/* An address inside the network; without an option, host number `dflt` of it. */
static int member4_parse(const struct net_config *c, struct in_addr *out, const char *s,
                         const char *option, uint32_t dflt, const struct complaint *e)
{
    if (!given(s)) {
        out->s_addr = htonl(ntohl(c->net.s_addr) + dflt);
        return 0;
    }
    if (inet_pton(AF_INET, s, out) != 1)
        return complain(e, "%s=%s: not an IPv4 address", option, s);
    uint32_t hostpart = ntohl(out->s_addr) & ~ntohl(c->mask.s_addr);
    if ((out->s_addr & c->mask.s_addr) != c->net.s_addr || !hostpart ||
        hostpart == (~ntohl(c->mask.s_addr)))
        return complain(e, "%s=%s: not a host address of the guest's network", option, s);
    return 0;
}

static int ipv4_parse(struct net_config *c, const Ctl__NetConfig *in, const struct complaint *e)
{
    int r = net4_parse(c, given(in->net) ? in->net : "10.0.2.0/24", e);
    if (!r)
        r = member4_parse(c, &c->host, in->host, "host", 2, e);
    if (!r)
        r = member4_parse(c, &c->dns, in->dns, "dns", 3, e);
    /* Room for the 16 leases even in a /28. */
    uint32_t hosts = ~ntohl(c->mask.s_addr);
    if (!r)
        r = member4_parse(c, &c->dhcpstart, in->dhcpstart, "dhcpstart", hosts < 32 ? 4 : 15, e);
    if (r)
        return r;
    if (c->host.s_addr == c->dns.s_addr)
        return complain(e, "host= and dns= must differ");
    if (c->dhcpstart.s_addr == c->host.s_addr || c->dhcpstart.s_addr == c->dns.s_addr)
        return complain(e, "dhcpstart= must differ from host= and dns=");
    return 0;
}

static bool in_prefix6(const struct in6_addr *a, const struct in6_addr *net, unsigned len)
{
    unsigned bytes = len / 8, bits = len % 8;
    if (memcmp(a, net, bytes))
        return false;
    return !bits || !((a->s6_addr[bytes] ^ net->s6_addr[bytes]) & (uint8_t)(0xff00u >> bits));
}

static int member6_parse(const struct net_config *c, struct in6_addr *out, const char *s,
                         const char *option, uint8_t dflt, const struct complaint *e)
{
    if (!given(s)) {
        *out = c->net6;
        out->s6_addr[15] |= dflt;
        return 0;
    }
    if (inet_pton(AF_INET6, s, out) != 1)
        return complain(e, "%s=%s: not an IPv6 address", option, s);
    if (!in_prefix6(out, &c->net6, c->prefix6))
        return complain(e, "%s=%s: not in the guest's IPv6 network", option, s);
    return 0;
}

static int ipv6_parse(struct net_config *c, const Ctl__NetConfig *in, const struct complaint *e)
{
    const char *s = given(in->ipv6_net) ? in->ipv6_net : "fec0::/64";
    char addr[64];
    unsigned len = 64;

    if (prefix_split(s, addr, sizeof addr, &len, 126) || inet_pton(AF_INET6, addr, &c->net6) != 1)
        return complain(e, "ipv6-net=%s: not an IPv6 network", s);
    c->prefix6 = (uint8_t)len;
    for (unsigned bit = len; bit < 128; bit++)
        c->net6.s6_addr[bit / 8] &= (uint8_t)~(0x80u >> (bit % 8));
    int r = member6_parse(c, &c->host6, in->ipv6_host, "ipv6-host", 2, e);
    if (!r)
        r = member6_parse(c, &c->dns6, in->ipv6_dns, "ipv6-dns", 3, e);
    if (!r && !memcmp(&c->host6, &c->dns6, sizeof c->host6))
        r = complain(e, "ipv6-host= and ipv6-dns= must differ");
    return r;
}

/* A numeric address of either family plus port; "" = the family's wildcard. */
static int endpoint_parse(struct sockaddr_in6 *out, const char *addr, uint32_t port, int family)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)out;

    memset(out, 0, sizeof *out);
    if (port == 0 || port > 65535)
        return -EINVAL;
    bool v6 = given(addr) ? strchr(addr, ':') != NULL : family == AF_INET6;
    out->sin6_family = v6 ? AF_INET6 : AF_INET;
    out->sin6_port = htons((uint16_t)port);
    if (!given(addr))
        return 0;
    if (v6)
        return inet_pton(AF_INET6, addr, &out->sin6_addr) == 1 ? 0 : -EINVAL;
    return inet_pton(AF_INET, addr, &v4->sin_addr) == 1 ? 0 : -EINVAL;
}

static int hostfwd_parse(struct net_config *c, const Ctl__HostFwd *f, const struct complaint *e)
{
    const char *proto = f->udp ? "udp" : "tcp";
    if (c->n_fwd == NET_FWD_MAX)
        return complain(e, "hostfwd: more than %d rules", NET_FWD_MAX);
    struct net_hostfwd *o = &c->fwd[c->n_fwd];

    o->udp = f->udp;
    if (endpoint_parse(&o->host.v6, f->host_addr, f->host_port, AF_INET))
        return complain(e, "hostfwd=%s:%s:%u: bad host address or port", proto, f->host_addr,
                        f->host_port);
    if (endpoint_parse(&o->guest.v6, f->guest_addr, f->guest_port, AF_INET))
        return complain(e, "hostfwd=%s:...-%s:%u: bad guest address or port", proto, f->guest_addr,
                        f->guest_port);
    bool v6 = o->guest.sa.sa_family == AF_INET6;
    if (v6 ? !c->ipv6 : !c->ipv4)
        return complain(e, "hostfwd=%s:...-%s:%u: IPv%c is off on this network", proto,
                        f->guest_addr, f->guest_port, v6 ? '6' : '4');
    /* libslirp 4.7 takes a mixed pair, and crashes on its first packet. */
    if (o->host.sa.sa_family != o->guest.sa.sa_family)
        return complain(e, "hostfwd=%s:%s:%u: host and guest address must both be IPv4 or IPv6",
                        proto, f->host_addr, f->host_port);
    if (v6 && IN6_IS_ADDR_UNSPECIFIED(&o->guest.v6.sin6_addr))
        return complain(e, "hostfwd=%s:%s:%u: an IPv6 forward needs the guest's address", proto,
                        f->host_addr, f->host_port);
    c->n_fwd++;
    return 0;
}

/* The host's name servers. One that is not a plain address (a scope id, say) is left out: libslirp
 * would need interface look-ups for it. */
static void host_dns_parse(struct net_config *c, const Ctl__NetConfig *in)
{
    struct in6_addr any;
    for (unsigned i = 0; i < in->n_host_dns && c->n_host_dns < NET_DNS_MAX; i++) {
        const char *s = in->host_dns[i];
        if (inet_pton(AF_INET, s, &any) == 1 || inet_pton(AF_INET6, s, &any) == 1)
            strcpy(c->host_dns[c->n_host_dns++], s);
    }
}

static int names_parse(struct net_config *c, const Ctl__NetConfig *in, const struct complaint *e)
{
    int r = text_copy(c->hostname, in->hostname, "hostname", e);
    if (!r)
        r = text_copy(c->domainname, in->domainname, "domainname", e);
    if (!r)
        r = text_copy(c->bootfile, in->bootfile, "bootfile", e);
    if (!r && in->n_dnssearch > NET_DNSSEARCH_MAX)
        r = complain(e, "dnssearch=: more than %d domains", NET_DNSSEARCH_MAX);
    for (unsigned i = 0; !r && i < in->n_dnssearch; i++) {
        r = text_copy(c->dnssearch[i], in->dnssearch[i], "dnssearch", e);
        c->n_dnssearch = i + 1;
    }
    return r;
}

static int card_parse(struct net_config *c, const Ctl__NetConfig *in, const struct complaint *e)
{
    if (in->mac.len != 6 || (in->mac.data[0] & 1))
        return complain(e, "mac=: not a unicast Ethernet address");
    memcpy(c->mac, in->mac.data, 6);
    c->link_down = in->has_link_down && in->link_down;
    if (in->has_mtu && in->mtu) {
        if (in->mtu < NET_MTU_MIN || in->mtu > NET_MTU_MAX)
            return complain(e, "host_mtu=%u: must be %d to %d", in->mtu, NET_MTU_MIN, NET_MTU_MAX);
        c->mtu = (uint16_t)in->mtu;
    }
    return 0;
}

static int kind_parse(struct net_config *c, const Ctl__NetConfig *in, const struct complaint *e)
{
    static const char *names[NET_KINDS] = {"user", "tap", "dgram", "stream", "null"};

    for (unsigned i = 0; i < NET_KINDS; i++) {
        if (!strcmp(in->backend, names[i])) {
            c->kind = (enum net_kind)i;
            return 0;
        }
    }
    return complain(e, "network back end '%s' is not built", in->backend);
}

static int send_to_parse(struct net_config *c, const Ctl__NetConfig *in, const struct complaint *e)
{
    if (!in->has_send_to)
        return 0;
    if (in->send_to.len < sizeof(sa_family_t) || in->send_to.len > sizeof(c->send_to))
        return complain(e, "an address of %zu bytes", in->send_to.len);
    memcpy(&c->send_to, in->send_to.data, in->send_to.len);
    c->send_to_len = (socklen_t)in->send_to.len;
    return 0;
}

static int user_parse(struct net_config *c, const Ctl__NetConfig *in, const struct complaint *e)
{
    if (given(in->tftp))
        return complain(e, "tftp=%s: not available, the network process sees no files", in->tftp);
    c->restricted = in->has_restricted && in->restricted;
    c->ipv4 = !in->has_ipv4 || in->ipv4;
    c->ipv6 = !in->has_ipv6 || in->ipv6;
    if (!c->ipv4 && !c->ipv6)
        return complain(e, "ipv4=off,ipv6=off: nothing is left of the network");
    int r = ipv4_parse(c, in, e);
    if (!r)
        r = ipv6_parse(c, in, e);
    if (!r)
        r = names_parse(c, in, e);
    for (unsigned i = 0; !r && i < in->n_hostfwd; i++)
        r = hostfwd_parse(c, in->hostfwd[i], e);
    host_dns_parse(c, in);
    return r;
}

int net_config_parse(struct net_config *c, const Ctl__NetConfig *in, char *err, size_t errlen)
{
    struct complaint e = {err, errlen};

    memset(c, 0, sizeof *c);
    c->announce = in->has_announce && in->announce;
    int r = kind_parse(c, in, &e);
    if (!r)
        r = card_parse(c, in, &e);
    if (!r && c->kind == NET_USER)
        r = user_parse(c, in, &e);
    if (!r && c->kind == NET_DGRAM)
        r = send_to_parse(c, in, &e);
    return r;
}

int net_config_forward(struct net_config *c, const Ctl__HostFwd *f, char *err, size_t errlen)
{
    const struct complaint e = {err, errlen};

    return hostfwd_parse(c, f, &e);
}
