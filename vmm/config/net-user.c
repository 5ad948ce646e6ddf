/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parameters of the user network back end: addresses, networks, forwarded ports. Must never
 * resolve a name or open a socket.
 */
#include "vmm/config/net.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

int user_id(struct parse *c, void *obj, const char *key, const char *val)
{
    struct user_net *u = obj;

    return opt_id(c, key, val, u->n.id, sizeof(u->n.id));
}

int user_ip(struct parse *c, void *obj, const char *key, const char *val)
{
    struct user_net *u = obj;
    bool on;

    if (opt_bool(c, key, val, &on))
        return -1;
    if (!strcmp(key, "ipv4")) {
        u->ipv4_on = on;
        u->ipv4_off = !on;
    } else {
        u->ipv6_on = on;
        u->ipv6_off = !on;
    }
    return 0;
}

static int bad_address(struct parse *c, const char *key, const char *val)
{
    return parse_fail(c, "Parameter '%s' expects an IP%s address, not '%s'", key,
                      !strncmp(key, "ipv6", 4) ? "v6" : "v4", val);
}

/* "addr/mask" or "addr/bits"; also "addr", which has the class of old. Host order. */
static int parse_net4(const char *val, uint32_t *addr, uint32_t *mask)
{
    char text[48], *slash, *end;
    struct in_addr a, m;
    unsigned long bits;

    if (strlen(val) >= sizeof(text))
        return -1;
    strcpy(text, val);
    slash = strchr(text, '/');
    if (slash)
        *slash++ = 0;
    if (inet_pton(AF_INET, text, &a) != 1)
        return -1;
    *addr = ntohl(a.s_addr);
    if (!slash) {
        *mask = *addr < 0x80000000u ? 0xff000000u : *addr < 0xc0000000u ? 0xffff0000u : 0xffffff00u;
        return 0;
    }
    if (inet_pton(AF_INET, slash, &m) == 1) {
        *mask = ntohl(m.s_addr);
        return ~*mask & (~*mask + 1) ? -1 : 0; /* the ones must be on the left */
    }
    bits = strtoul(slash, &end, 10);
    if (end == slash || *end || bits < 4 || bits > 30)
        return -1;
    *mask = ~0u << (32 - bits);
    return 0;
}

int user_net4(struct parse *c, void *obj, const char *key, const char *val)
{
    struct user_net *u = obj;
    uint32_t addr, mask;
    struct in_addr a;
    char text[INET_ADDRSTRLEN];

    if (parse_net4(val, &addr, &mask))
        return parse_fail(c, "Parameter '%s' expects a network (10.0.2.0/24), not '%s'", key, val);
    a.s_addr = htonl(addr & mask);
    inet_ntop(AF_INET, &a, text, sizeof(text));
    snprintf(u->n.net, sizeof(u->n.net), "%s/%d", text, mask ? 32 - __builtin_ctz(mask) : 0);
    return 0;
}

int user_addr4(struct parse *c, void *obj, const char *key, const char *val)
{
    struct user_net *u = obj;
    struct in_addr a;
    char *dst = key[0] == 'h' ? u->n.host : key[1] == 'h' ? u->n.dhcpstart : u->n.dns;

    if (inet_pton(AF_INET, val, &a) != 1)
        return bad_address(c, key, val);
    return opt_copy(c, key, val, dst, sizeof(u->n.host));
}

int user_net6(struct parse *c, void *obj, const char *key, const char *val)
{
    struct user_net *u = obj;
    const char *slash = strchr(val, '/');
    size_t len = slash ? (size_t)(slash - val) : strlen(val);
    uint64_t bits = 64;
    char addr[64];

    if (len >= sizeof(addr))
        return bad_address(c, key, val);
    memcpy(addr, val, len);
    addr[len] = 0;
    if (user_prefix6(c, u, "ipv6-prefix", addr))
        return -1;
    if (slash && opt_number(c, key, slash + 1, 1, 126, &bits))
        return -1;
    u->prefix6_len = (unsigned)bits;
    return 0;
}

int user_prefix6(struct parse *c, void *obj, const char *key, const char *val)
{
    struct user_net *u = obj;
    struct in6_addr a;
    uint64_t bits;

    if (!strcmp(key, "ipv6-prefixlen")) {
        if (opt_number(c, key, val, 1, 126, &bits))
            return -1;
        u->prefix6_len = (unsigned)bits;
        return 0;
    }
    if (inet_pton(AF_INET6, val, &a) != 1)
        return bad_address(c, key, val);
    return opt_copy(c, key, val, u->prefix6, sizeof(u->prefix6));
}

int user_addr6(struct parse *c, void *obj, const char *key, const char *val)
{
    struct user_net *u = obj;
    struct in6_addr a;
    char *dst = !strcmp(key, "ipv6-host") ? u->n.ipv6_host : u->n.ipv6_dns;

    if (inet_pton(AF_INET6, val, &a) != 1)
        return bad_address(c, key, val);
    return opt_copy(c, key, val, dst, sizeof(u->n.ipv6_host));
}

int user_dnssearch(struct parse *c, void *obj, const char *key, const char *val)
{
    struct user_net *u = obj;

    if (u->n.n_dnssearch == 8)
        return parse_fail(c, "too many dnssearch= (limit 8)");
    return opt_copy(c, key, val, u->n.dnssearch[u->n.n_dnssearch++], 64);
}

/* ---- hostfwd=[tcp|udp]:[hostaddr]:hostport-[guestaddr]:guestport
 * ----------------------------------- */
static int bad_rule(struct parse *c, const char *rule, const char *what)
{
    return parse_fail(c, "Invalid host forwarding rule '%s' (%s)", rule, what);
}

/* Copies up to the character end (an address in [brackets] may contain it); *s moves behind it. */
static int rule_part(const char **s, char end, char *dst, size_t size)
{
    const char *start = *s, *stop;
    size_t len;

    if (*start == '[') {
        start++;
        stop = strchr(start, ']');
        if (!stop || stop[1] != end)
            return -1;
        *s = stop + 2;
    } else {
        stop = strchr(start, end);
        if (!stop)
            return -1;
        *s = stop + 1;
    }
    len = (size_t)(stop - start);
    if (len >= size)
        return -1;
    memcpy(dst, start, len);
    dst[len] = 0;
    return 0;
}

static int rule_port(const char *s, unsigned min, uint16_t *out)
{
    unsigned long v;
    char *end;

    if (*s < '0' || *s > '9')
        return -1;
    v = strtoul(s, &end, 10);
    if (*end || v < min || v > 65535)
        return -1;
    *out = (uint16_t)v;
    return 0;
}

static bool is_address(const char *s)
{
    struct in6_addr a;

    return !*s || inet_pton(AF_INET, s, &a) == 1 || inet_pton(AF_INET6, s, &a) == 1;
}

int user_rule(struct parse *c, struct plan_hostfwd *f, const char *rule)
{
    const char *s = rule;
    char proto[8], port[16];

    if (rule_part(&s, ':', proto, sizeof(proto)) ||
        (*proto && strcmp(proto, "tcp") && strcmp(proto, "udp")))
        return bad_rule(c, rule, "Bad protocol name");
    f->udp = !strcmp(proto, "udp");
    if (rule_part(&s, ':', f->host_addr, sizeof(f->host_addr)) || !is_address(f->host_addr))
        return bad_rule(c, rule, "Bad host address");
    if (rule_part(&s, '-', port, sizeof(port)) || rule_port(port, 0, &f->host_port))
        return bad_rule(c, rule, "Bad host port");
    if (rule_part(&s, ':', f->guest_addr, sizeof(f->guest_addr)) || !is_address(f->guest_addr))
        return bad_rule(c, rule, "Bad guest address");
    if (rule_port(s, 1, &f->guest_port))
        return bad_rule(c, rule, "Bad guest port");
    if (strchr(f->host_addr, ':') || strchr(f->guest_addr, ':'))
        return bad_rule(c, rule, "IPv6 addresses are not built");
    return 0;
}

int user_hostfwd(struct parse *c, void *obj, const char *key, const char *val)
{
    struct user_net *u = obj;

    (void)key;
    if (u->n.n_hostfwd == PLAN_FWD_MAX)
        return parse_fail(c, "too many hostfwd= (limit %d)", PLAN_FWD_MAX);
    return user_rule(c, &u->n.hostfwd[u->n.n_hostfwd++], val);
}

/* ---- the whole
 * ----------------------------------------------------------------------------------- */
static int check_inside(struct parse *c, const char *key, const char *addr, uint32_t net,
                        uint32_t mask)
{
    struct in_addr a;

    if (!*addr || inet_pton(AF_INET, addr, &a) != 1)
        return 0;
    if ((ntohl(a.s_addr) & mask) != net)
        return parse_fail(c, "%s=%s is not inside the network", key, addr);
    if ((ntohl(a.s_addr) & ~mask) == 0 || (ntohl(a.s_addr) & ~mask) == ~mask)
        return parse_fail(c, "%s=%s is not a host address of the network", key, addr);
    return 0;
}

/* Default or given network address and mask; inside/outside tests need both families apart. */
static int check_addresses(struct parse *c, const struct plan_net *n)
{
    uint32_t addr, mask;

    if (parse_net4(n->net[0] ? n->net : "10.0.2.0/24", &addr, &mask))
        return parse_fail(c, "bad network '%s'", n->net);
    if (check_inside(c, "host", n->host, addr, mask) ||
        check_inside(c, "dhcpstart", n->dhcpstart, addr, mask) ||
        check_inside(c, "dns", n->dns, addr, mask))
        return -1;
    if (n->host[0] && !strcmp(n->host, n->dns))
        return parse_fail(c, "host= and dns= are the same address '%s'", n->host);
    return 0;
}

int user_finish(struct parse *c, struct user_net *u)
{
    /* As QEMU: naming one family alone switches the other off. */
    u->n.ipv4 = !(u->ipv4_off || (u->ipv6_on && !u->ipv4_on));
    u->n.ipv6 = !(u->ipv6_off || (u->ipv4_on && !u->ipv6_on));
    if (!u->n.ipv4 && !u->n.ipv6)
        return parse_fail(c, "ipv4=off and ipv6=off leave nothing");
    if (u->prefix6_len && !u->prefix6[0])
        strcpy(u->prefix6, "fec0::");
    if (u->prefix6[0])
        snprintf(u->n.ipv6_net, sizeof(u->n.ipv6_net), "%.45s/%u", u->prefix6,
                 u->prefix6_len ? u->prefix6_len : 64);
    return check_addresses(c, &u->n);
}

#define USER_STR(f, n) .kind = KEY_STR, .off = offsetof(struct user_net, f), .size = n
const struct opt_key user_net_keys[] = {
    {"id", KEY_FN, .fn = user_id},
    {"ipv4", KEY_FN, .fn = user_ip},
    {"ipv6", KEY_FN, .fn = user_ip},
    {"net", KEY_FN, .fn = user_net4},
    {"host", KEY_FN, .fn = user_addr4},
    {"dhcpstart", KEY_FN, .fn = user_addr4},
    {"dns", KEY_FN, .fn = user_addr4},
    {"ipv6-net", KEY_FN, .fn = user_net6},
    {"ipv6-prefix", KEY_FN, .fn = user_prefix6},
    {"ipv6-prefixlen", KEY_FN, .fn = user_prefix6},
    {"ipv6-host", KEY_FN, .fn = user_addr6},
    {"ipv6-dns", KEY_FN, .fn = user_addr6},
    {"restrict", .kind = KEY_BOOL, .off = offsetof(struct user_net, n.restricted)},
    {"hostname", USER_STR(n.hostname, 64)},
    {"domainname", USER_STR(n.domainname, 64)},
    {"dnssearch", KEY_FN, .fn = user_dnssearch},
    {"hostfwd", KEY_FN, .fn = user_hostfwd},
    {"guestfwd", .kind = KEY_REFUSE},
    {"smb", .kind = KEY_REFUSE},
    {"smbserver", .kind = KEY_REFUSE},
    {"tftp", .kind = KEY_REFUSE},
    {"tftp-server-name", .kind = KEY_REFUSE},
    {"bootfile", .kind = KEY_REFUSE},
    KEY_END,
};
