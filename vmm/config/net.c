/* SPDX-License-Identifier: Apache-2.0 */
/*
 * -netdev, -nic, -net and joining back ends with cards. Must never touch the host's network.
 */
#include "vmm/config/disk.h"
#include "vmm/config/net.h"

#include <string.h>
#include "vmm/config/options.h"

int net_mac(struct parse *c, const char *key, const char *val, uint8_t mac[6])
{
    unsigned b[6];
    int n = 0;

    if (strlen(val) != 17 ||
        sscanf(val, "%2x:%2x:%2x:%2x:%2x:%2x%n", &b[0], &b[1], &b[2], &b[3], &b[4], &b[5], &n) !=
            6 ||
        n != 17)
        return parse_fail(c, "Parameter '%s' expects an Ethernet address, not '%s'", key, val);
    if (b[0] & 1)
        return parse_fail(c, "Parameter '%s': '%s' is a multicast address", key, val);
    for (unsigned i = 0; i < 6; i++)
        mac[i] = (uint8_t)b[i];
    return 0;
}

static int key_mac(struct parse *c, void *obj, const char *key, const char *val)
{
    struct user_net *u = obj;

    u->has_mac = true;
    return net_mac(c, key, val, u->n.mac);
}

static int key_model(struct parse *c, void *obj, const char *key, const char *val)
{
    (void)obj;
    (void)key;
    if (strcmp(val, "virtio") && strcmp(val, "virtio-net-pci"))
        return parse_fail(c, "NIC model '%s' is not built (available: virtio-net-pci)", val);
    return 0;
}

static const struct opt_key net_nic_keys[] = {
    {"model", KEY_FN, .fn = key_model},
    {"macaddr", KEY_FN, .fn = key_mac},
    {"name", KEY_FN, .fn = user_id},
    {"netdev", .kind = KEY_STR, .off = offsetof(struct user_net, n.qdev_id), .size = 64},
    {"addr", KEY_REFUSE, .text = "use -device virtio-net-pci,addr="},
    {"vectors", .kind = KEY_REFUSE},
    KEY_END,
};

static int find_net(const struct parse *c, const char *id)
{
    for (unsigned i = 0; i < c->p->n_net; i++)
        if (!strcmp(c->p->net[i].id, id))
            return (int)i;
    return -1;
}

static void name_net(const struct parse *c, struct plan_net *n)
{
    char id[16];

    for (unsigned i = 0; !n->id[0]; i++) {
        snprintf(id, sizeof(id), "net%u", i);
        if (find_net(c, id) < 0)
            memcpy(n->id, id, sizeof(id));
    }
}

/* Index of the new back end, or -1. */
static int add_net(struct parse *c, const struct plan_net *n)
{
    struct plan *p = c->p;

    if (p->n_net == PLAN_NETS_MAX)
        return parse_fail(c, "too many network back ends (limit %d)", PLAN_NETS_MAX);
    p->net[p->n_net] = *n;
    p->net[p->n_net].link_fd = p->net[p->n_net].listen_fd = -1;
    if (n->id[0] && find_net(c, n->id) >= 0)
        return parse_fail(c, "Duplicate ID '%s' for netdev", n->id);
    p->net[p->n_net].pci_slot = p->net[p->n_net].bootindex = p->net[p->n_net].rom = -1;
    return (int)p->n_net++;
}

int netdev_read(struct parse *c, const char *arg, struct user_net *u)
{
    const struct net_type *t;
    struct optlist l;

    if (optlist_split(c, &l, arg, "type"))
        return -1;
    t = net_type_find(c, optlist_take(&l, "type"));
    if (!t || net_type_apply(c, t, &l, u))
        return -1;
    return u->n.id[0] ? 0 : parse_fail(c, "Parameter 'id' is missing");
}

int set_netdev(struct parse *c, const char *arg)
{
    struct user_net u = {0};

    if (!strcmp(arg, "help")) {
        net_types_help(c->out);
        return 1;
    }
    if (netdev_read(c, arg, &u))
        return -1;
    c->no_default_net = true;
    return add_net(c, &u.n) < 0 ? -1 : 0;
}

/* A card and its back end in one: the card's keys are taken out, the rest is the back end's. */
static int nic_keys_take(struct parse *c, struct optlist *l, struct user_net *u)
{
    static const char *mac_keys[] = {"mac", "macaddr"};
    const char *val = optlist_take(l, "model");

    if (val && key_model(c, u, "model", val))
        return -1;
    for (unsigned i = 0; i < 2; i++) {
        val = optlist_take(l, mac_keys[i]);
        if (val && key_mac(c, u, mac_keys[i], val))
            return -1;
    }
    return 0;
}

static int add_nic(struct parse *c, const struct net_type *t, struct optlist *l)
{
    struct user_net u = {.n.has_card = true};

    if (nic_keys_take(c, l, &u) || net_type_apply(c, t, l, &u))
        return -1;
    return add_net(c, &u.n) < 0 ? -1 : 0;
}

int set_nic(struct parse *c, const char *arg)
{
    const struct net_type *t;
    struct optlist l;
    const char *type, *model;

    if (optlist_split(c, &l, arg, "type"))
        return -1;
    c->no_default_net = true;
    model = optlist_get(&l, "model");
    type = optlist_take(&l, "type");
    if (!strcmp(arg, "help") || (model && !strcmp(model, "help"))) {
        fprintf(c->out, "Supported NIC models:\nvirtio-net-pci\n");
        return 1;
    }
    if (type && !strcmp(type, "none"))
        return l.n ? parse_fail(c, "'none' takes no other parameter") : 0;
    t = net_type_find(c, type);
    return t ? add_nic(c, t, &l) : -1;
}

/* ---- -net: cards and back ends meet in order
 * ----------------------------------------------------- */
static int net_legacy(struct parse *c, const struct net_type *t, struct optlist *l)
{
    struct user_net u = {0};
    const char *name = optlist_take(l, "name");
    int i;

    if ((name && user_id(c, &u, "name", name)) || net_type_apply(c, t, l, &u))
        return -1;
    i = add_net(c, &u.n);
    if (i < 0)
        return -1;
    c->legacy_user[c->n_legacy_user++] = i;
    return 0;
}

static int net_nic(struct parse *c, struct optlist *l)
{
    struct user_net u = {0};
    struct pend_device *d;

    if (optkeys_apply(c, net_nic_keys, l, &u, NULL))
        return -1;
    if (c->n_dev == PARSE_DEV_MAX)
        return parse_fail(c, "too many devices (limit %d)", PARSE_DEV_MAX);
    d = &c->dev[c->n_dev++];
    *d = (struct pend_device){.kind = DEV_NET,
                              .model = "virtio-net-pci",
                              .opt = c->opt,
                              .arg = c->arg,
                              .slot = -1,
                              .has_mac = u.has_mac,
                              .index = 1};
    memcpy(d->mac, u.n.mac, 6);
    memcpy(d->id, u.n.id, sizeof(d->id));
    memcpy(d->backend, u.n.qdev_id, sizeof(d->backend)); /* netdev= */
    return 0;
}

int set_net(struct parse *c, const char *arg)
{
    const struct net_type *t;
    struct optlist l;
    const char *type;

    if (optlist_split(c, &l, arg, "type"))
        return -1;
    c->no_default_net = true;
    type = optlist_take(&l, "type");
    if (type && !strcmp(type, "none"))
        return l.n ? parse_fail(c, "'none' takes no other parameter") : 0;
    if (type && !strcmp(type, "nic"))
        return net_nic(c, &l);
    t = net_type_find(c, type);
    return t ? net_legacy(c, t, &l) : -1;
}

/* ---- resolution
 * ---------------------------------------------------------------------------------- */
static int card_backend(struct parse *c, const struct pend_device *d, unsigned *legacy)
{
    int i;

    if (d->backend[0]) {
        i = find_net(c, d->backend);
        if (i < 0)
            return parse_fail(c, "Property '%s.netdev' can't find value '%s'", d->model,
                              d->backend);
    } else if (d->index == 1 && *legacy < c->n_legacy_user) {
        i = c->legacy_user[(*legacy)++];
    } else {
        return parse_fail(c, "the network card has no back end (netdev=, or -net user)");
    }
    if (c->p->net[i].has_card)
        return parse_fail(c, "netdev '%s' is already in use by another card", c->p->net[i].id);
    return i;
}

static int attach_card(struct parse *c, const struct pend_device *d, unsigned *legacy)
{
    struct plan_net *n;
    int i;

    c->opt = d->opt;
    c->arg = d->arg;
    i = card_backend(c, d, legacy);
    if (i < 0)
        return -1;
    n = &c->p->net[i];
    n->has_card = true;
    n->pci_slot = d->slot;
    n->bootindex = d->bootindex;
    if (device_rom(c, d, &n->rom))
        return -1;
    n->pci_fn = d->fn;
    n->disable_legacy = d->disable_legacy;
    n->disable_modern = d->disable_modern;
    memcpy(n->qdev_id, d->id, sizeof(n->qdev_id));
    if (d->has_mac)
        memcpy(n->mac, d->mac, 6);
    return 0;
}

static bool mac_is(const uint8_t mac[6], const uint8_t other[6])
{
    return !memcmp(mac, other, 6);
}

/* Cards without an address get 52:54:00:12:34:56 and up, as QEMU's do, around those given. */
static void give_macs(struct plan *p)
{
    uint8_t next[6] = {0x52, 0x54, 0x00, 0x12, 0x34, 0x56};
    static const uint8_t zero[6];

    for (unsigned i = 0; i < p->n_net; i++) {
        bool taken = true;

        if (!p->net[i].has_card || !mac_is(p->net[i].mac, zero))
            continue;
        while (taken) {
            taken = false;
            for (unsigned j = 0; j < p->n_net; j++)
                taken |= mac_is(p->net[j].mac, next);
            if (taken)
                next[5]++;
        }
        memcpy(p->net[i].mac, next, 6);
    }
}

int net_resolve(struct parse *c)
{
    struct optlist none = {.n = 0};
    unsigned legacy = 0;

    for (unsigned i = 0; i < c->n_dev; i++)
        if (c->dev[i].kind == DEV_NET && attach_card(c, &c->dev[i], &legacy))
            return -1;
    c->opt = c->arg = NULL;
    for (unsigned i = 0; i < c->n_dev; i++)
        c->no_default_net |= c->dev[i].kind == DEV_NET;
    if (!c->no_default_net && !c->p->nodefaults && add_nic(c, net_type_find(c, "user"), &none))
        return -1;
    for (unsigned i = 0; i < c->p->n_net; i++)
        name_net(c, &c->p->net[i]);
    give_macs(c->p);
    return 0;
}
