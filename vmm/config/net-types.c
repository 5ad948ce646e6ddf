/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The types of -netdev and their keys; the user network's own are in net-user.c. Parser, help and the list in
 * error lines come from the one table. Must never open anything.
 */
#include <stdlib.h>
#include <string.h>
#include "vmm/config/net.h"

#define NET_STR(f)  .kind = KEY_STR, .off = offsetof(struct user_net, n.f), .size = sizeof(((struct plan_net *)0)->f)
#define NET_BOOL(f) .kind = KEY_BOOL, .off = offsetof(struct user_net, n.f)
#define ID_KEY      {"id", KEY_FN, .fn = user_id}

static int net_fd(struct parse *c, const char *key, const char *val, int *out)
{
    uint64_t v;

    if (c->fd_find) {
        *out = c->fd_find(val);
        return *out < 0 ? parse_fail(c, "Parameter '%s': no descriptor '%s' was handed over (getfd)", key, val) : 0;
    }
    if (opt_number(c, key, val, 3, 1 << 20, &v))
        return -1;
    *out = (int)v;
    return 0;
}
static int key_fd(struct parse *c, void *obj, const char *key, const char *val)
{
    return net_fd(c, key, val, &((struct user_net *)obj)->n.given_fd);
}
static int key_sndbuf(struct parse *c, void *obj, const char *key, const char *val)
{
    return opt_size(c, key, val, 1, &((struct user_net *)obj)->n.sndbuf);
}

/* ---- tap and bridge ---------------------------------------------------------------------------- */

static const struct opt_key tap_keys[] = {
    ID_KEY,
    {"ifname", NET_STR(ifname), .form = "name", .text = "the interface; made if it is not there"},
    {"fd", KEY_FN, .fn = key_fd, .form = "n", .text = "an open tap instead"},
    {"script", NET_STR(script), .form = "file|no", .text = "is run with the interface's name (/etc/qemu-ifup)"},
    {"downscript", KEY_ONLY, .form = "no"},
    {"br", NET_STR(br), .form = "bridge", .text = "with helper="},
    {"helper", NET_STR(helper), .form = "program", .text = "makes the tap and joins it to the bridge"},
    {"sndbuf", KEY_FN, .fn = key_sndbuf, .form = "size"},
    {"vnet_hdr", KEY_ONLY, .form = "on"},
    {"vhost", KEY_ONLY, .form = "off"},
    {"queues", KEY_ONLY, .form = "1"},
    {"fds", .kind = KEY_REFUSE},
    {"vhostfd", .kind = KEY_REFUSE},
    {"vhostfds", .kind = KEY_REFUSE},
    {"vhostforce", .kind = KEY_REFUSE},
    {"poll-us", .kind = KEY_REFUSE},
    KEY_END,
};
static const struct opt_key bridge_keys[] = {
    ID_KEY,
    {"br", NET_STR(br), .form = "bridge", .text = "br0 when not given"},
    {"helper", NET_STR(helper), .form = "program", .text = "makes the tap and joins it to the bridge"},
    KEY_END,
};

static int tap_finish(struct parse *c, struct user_net *u)
{
    const struct plan_net *n = &u->n;

    if (n->given_fd && (n->ifname[0] || n->script[0] || n->helper[0] || n->br[0]))
        return parse_fail(c, "fd= excludes ifname=, script=, br= and helper=");
    if (n->helper[0] && (n->ifname[0] || n->script[0]))
        return parse_fail(c, "helper= excludes ifname= and script=");
    if (n->br[0] && !n->helper[0])
        return parse_fail(c, "br= needs helper= (or use -netdev bridge)");
    return 0;
}

/* ---- addresses --------------------------------------------------------------------------------- */

static int addr_fail(struct parse *c, const char *key, const char *val)
{
    return parse_fail(c, "Parameter '%s' expects host:port, not '%s'", key, val);
}
/* "host:port", ":port" */
static int addr_split(struct parse *c, const char *key, const char *val, struct plan_net_addr *a)
{
    const char *colon = strrchr(val, ':');
    uint64_t port;

    if (!colon || (size_t)(colon - val) >= sizeof(a->host))
        return addr_fail(c, key, val);
    if (opt_number(c, key, colon + 1, 1, 65535, &port))
        return -1;
    memcpy(a->host, val, (size_t)(colon - val));
    a->host[colon - val] = 0;
    a->port = (uint16_t)port;
    a->kind = ADDR_INET;
    return 0;
}
/* The members of QAPI's SocketAddress behind a prefix: type, path, host, port, str. */
static int addr_member(struct parse *c, struct plan_net_addr *a, const char *key, const char *val)
{
    const char *m = strchr(key, '.') + 1;
    uint64_t port;

    if (!strcmp(m, "type")) {
        a->kind = !strcmp(val, "unix") ? ADDR_UNIX : !strcmp(val, "inet") ? ADDR_INET : ADDR_FD;
        if (a->kind == ADDR_FD && strcmp(val, "fd"))
            return parse_fail(c, "Parameter '%s' expects inet, unix or fd, not '%s'", key, val);
        return 0;
    }
    if (!strcmp(m, "str"))
        return net_fd(c, key, val, &a->fd);
    if (strcmp(m, "port"))
        return !strcmp(m, "path") ? opt_copy(c, key, val, a->path, sizeof(a->path))
                                  : opt_copy(c, key, val, a->host, sizeof(a->host));
    if (opt_number(c, key, val, 1, 65535, &port))
        return -1;
    a->port = (uint16_t)port;
    return 0;
}
static int key_at(struct parse *c, void *obj, const char *key, const char *val)
{
    return addr_member(c, &((struct user_net *)obj)->n.at, key, val);
}
static int key_local(struct parse *c, void *obj, const char *key, const char *val)
{
    return addr_member(c, &((struct user_net *)obj)->n.local, key, val);
}
static int addr_complete(struct parse *c, const char *name, const struct plan_net_addr *a)
{
    const char *missing = a->kind == ADDR_UNIX && !a->path[0] ? "path"
                          : a->kind == ADDR_INET && !a->port  ? "port"
                          : a->kind == ADDR_FD && !a->fd      ? "str"
                                                              : NULL;
    return missing ? parse_fail(c, "Parameter '%s.%s' is missing", name, missing) : 0;
}

#define ADDR_KEYS(P, F)                                                                            \
    {P ".type", KEY_FN, .fn = F, .form = "inet|unix|fd"}, {P ".path", KEY_FN, .fn = F, .form = "path"},   \
        {P ".host", KEY_FN, .fn = F, .form = "address"}, {P ".port", KEY_FN, .fn = F, .form = "n"},       \
        {P ".str", KEY_FN, .fn = F, .form = "fd"}, {P ".abstract", KEY_ONLY, .form = "off"},              \
    {                                                                                              \
        P ".tight", KEY_ONLY, .form = "on"                                                         \
    }

/* ---- stream and dgram -------------------------------------------------------------------------- */

static const struct opt_key stream_keys[] = {
    ID_KEY,
    {"server", NET_BOOL(server), .form = "on|off", .text = "listen instead of connecting"},
    ADDR_KEYS("addr", key_at),
    {"addr.numeric", .kind = KEY_REFUSE},
    {"addr.to", .kind = KEY_REFUSE},
    {"addr.ipv4", .kind = KEY_REFUSE},
    {"addr.ipv6", .kind = KEY_REFUSE},
    {"addr.keep-alive", .kind = KEY_REFUSE},
    {"addr.mptcp", .kind = KEY_REFUSE},
    {"reconnect", KEY_ONLY, .form = "0"},
    KEY_END,
};
static int stream_finish(struct parse *c, struct user_net *u)
{
    if (u->n.at.kind == ADDR_NONE)
        return parse_fail(c, "Parameter 'addr.type' is missing");
    return addr_complete(c, "addr", &u->n.at);
}

static const struct opt_key dgram_keys[] = {
    ID_KEY,
    ADDR_KEYS("local", key_local),
    ADDR_KEYS("remote", key_at),
    KEY_END,
};
static bool is_group(const char *host)
{
    int first = atoi(host);

    return first >= 224 && first <= 239;
}
static int dgram_finish(struct parse *c, struct user_net *u)
{
    struct plan_net *n = &u->n;

    if (n->local.kind == ADDR_NONE && n->at.kind == ADDR_NONE)
        return parse_fail(c, "Parameter 'local.type' or 'remote.type' is missing");
    n->mcast = n->at.kind == ADDR_INET && is_group(n->at.host);
    if (n->local.kind == ADDR_FD)
        return addr_complete(c, "local", &n->local);
    if (n->at.kind == ADDR_NONE || n->at.kind == ADDR_FD)
        return parse_fail(c, "Parameter 'remote.type' must be inet or unix (or local.type=fd)");
    if (!n->mcast && n->local.kind != n->at.kind)
        return parse_fail(c, "local.type and remote.type must be the same");
    if (n->local.kind == ADDR_UNIX && addr_complete(c, "local", &n->local))
        return -1;
    return addr_complete(c, "remote", &n->at);
}

/* ---- the older socket netdev -------------------------------------------------------------------- */

static int key_socket(struct parse *c, void *obj, const char *key, const char *val)
{
    struct plan_net *n = &((struct user_net *)obj)->n;

    if (!strcmp(key, "localaddr")) {
        const char *colon = strchr(val, ':'); /* udp: host:port; mcast: an address */
        return colon ? addr_split(c, key, val, &n->local) : opt_copy(c, key, val, n->local.host, sizeof(n->local.host));
    }
    if (n->at.kind != ADDR_NONE || n->given_fd)
        return parse_fail(c, "exactly one of fd=, listen=, connect=, mcast= and udp= is needed");
    n->server = !strcmp(key, "listen");
    n->mcast = !strcmp(key, "mcast");
    strcpy(n->backend, n->mcast || !strcmp(key, "udp") ? "dgram" : "stream");
    return addr_split(c, key, val, &n->at);
}
static const struct opt_key socket_net_keys[] = {
    ID_KEY,
    {"fd", KEY_FN, .fn = key_fd, .form = "n", .text = "a connected stream socket"},
    {"listen", KEY_FN, .fn = key_socket, .form = "[host]:port"},
    {"connect", KEY_FN, .fn = key_socket, .form = "host:port"},
    {"mcast", KEY_FN, .fn = key_socket, .form = "group:port"},
    {"udp", KEY_FN, .fn = key_socket, .form = "host:port"},
    {"localaddr", KEY_FN, .fn = key_socket, .form = "address[:port]"},
    KEY_END,
};
static int socket_finish(struct parse *c, struct user_net *u)
{
    struct plan_net *n = &u->n;

    if (n->given_fd && n->at.kind == ADDR_NONE) {
        n->at = (struct plan_net_addr){.kind = ADDR_FD, .fd = n->given_fd};
        strcpy(n->backend, "stream");
    }
    if (n->at.kind == ADDR_NONE)
        return parse_fail(c, "exactly one of fd=, listen=, connect=, mcast= and udp= is needed");
    if (!strcmp(n->backend, "dgram") && !n->mcast && n->local.kind != ADDR_INET)
        return parse_fail(c, "udp= needs localaddr=host:port");
    return 0;
}

static const struct opt_key null_keys[] = {ID_KEY, KEY_END};

/* ---- the table ---------------------------------------------------------------------------------- */

static const struct net_type types[] = {
    {"user", "user", user_net_keys, user_finish, "a network of its own, translated to the host's sockets"},
    {"tap", "tap", tap_keys, tap_finish, "an interface of the host"},
    {"bridge", "tap", bridge_keys, NULL, "an interface joined to a bridge of the host by a helper program"},
    {"socket", "", socket_net_keys, socket_finish, "another machine, by TCP, UDP or multicast"},
    {"stream", "stream", stream_keys, stream_finish, "a stream socket: passt, another machine"},
    {"dgram", "dgram", dgram_keys, dgram_finish, "datagram sockets"},
    {"null", "null", null_keys, NULL, "a cable that ends nowhere"},
    {.name = NULL},
};

void net_types_help(FILE *out)
{
    fprintf(out, "Available netdev backend types:\n");
    for (const struct net_type *t = types; t->name; t++)
        fprintf(out, "%s\n", t->name);
}

const struct net_type *net_type_find(struct parse *c, const char *name)
{
    char list[128] = "";

    for (const struct net_type *t = types; t->name; t++) {
        if (name && !strcmp(t->name, name))
            return t;
        size_t n = strlen(list);
        snprintf(list + n, sizeof(list) - n, "%s%s", n ? ", " : "", t->name);
    }
    parse_fail(c, "network back end '%s' is not built (available: %s)", name ? name : "", list);
    return NULL;
}

int net_type_apply(struct parse *c, const struct net_type *t, const struct optlist *l, struct user_net *u)
{
    snprintf(u->n.type, sizeof(u->n.type), "%s", t->name);
    snprintf(u->n.backend, sizeof(u->n.backend), "%s", t->backend);
    if (optkeys_apply(c, t->keys, l, u, NULL))
        return -1;
    return t->finish ? t->finish(c, u) : 0;
}
