/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the network options share. Internal to vmm/config.
 */
#ifndef BULKHEAD_VMM_CONFIG_NET_H
#define BULKHEAD_VMM_CONFIG_NET_H

#include <netinet/in.h>
#include "vmm/config/optlist.h"

/* "52:54:00:12:34:56", unicast. 0 or -1 (reported). */
int net_mac(struct parse *c, const char *key, const char *val, uint8_t mac[6]);
/* Keys of -netdev user, also used by -nic and -net; the object is a struct user_net. */
struct user_net {
    struct plan_net n;
    bool ipv4_on, ipv4_off, ipv6_on, ipv6_off, has_mac;
    char prefix6[64];
    unsigned prefix6_len; /* 0 = not given */
};
/* What a type of -netdev is made of. */
struct net_type {
    const char *name, *backend;
    const struct opt_key *keys; /* of a struct user_net */
    int (*finish)(struct parse *c, struct user_net *u); /* after every key */
    const char *help;
};
/* NULL: reported, with the list of what exists. */
const struct net_type *net_type_find(struct parse *c, const char *name);
void net_types_help(FILE *out);
/* Reads the keys of one netdev of this type. 0 or -1 (reported). */
int net_type_apply(struct parse *c, const struct net_type *t, const struct optlist *l, struct user_net *u);
extern const struct opt_key user_net_keys[];

int netdev_read(struct parse *c, const char *arg, struct user_net *u); /* net.c: one -netdev */

/* Makes the descriptors of a netdev: plan_open_files. 0, or -1 with one line on stderr. */
int net_open(struct plan_net *n);
int net_open_to(struct plan_net *n, char *err, size_t errlen); /* the line in err */
/* netdev-runtime.c. A netdev for netdev_add: "type,id=..." or a JSON object. What it holds of the host must be open
 * already: fd_find gives the descriptor that a monitor was handed under a name, -1: none of that name. 0 or -1 with a
 * line in err. */
int netdev_parse(struct plan_net *out, const char *arg, int (*fd_find)(const char *name), char *err, size_t errlen);
/* "[tcp|udp]:[hostaddr]:hostport-[guestaddr]:guestport", or, to remove, what is before the '-'. 0 or -1. */
int netdev_forward_parse(struct plan_hostfwd *out, const char *rule, bool remove, char *err, size_t errlen);

/* net-tap-open.c: the tap of -netdev tap or bridge. Descriptor, or -1 with a line in err. */
int net_tap_open(struct plan_net *n, char *err, size_t errlen);

int user_id(struct parse *c, void *obj, const char *key, const char *val);
int user_ip(struct parse *c, void *obj, const char *key, const char *val);
int user_net4(struct parse *c, void *obj, const char *key, const char *val);
int user_addr4(struct parse *c, void *obj, const char *key, const char *val);
int user_net6(struct parse *c, void *obj, const char *key, const char *val);
int user_prefix6(struct parse *c, void *obj, const char *key, const char *val);
int user_addr6(struct parse *c, void *obj, const char *key, const char *val);
int user_dnssearch(struct parse *c, void *obj, const char *key, const char *val);
int user_rule(struct parse *c, struct plan_hostfwd *f, const char *rule);
int user_hostfwd(struct parse *c, void *obj, const char *key, const char *val);
/* After every key: address families and that each address lies in its network. */
int user_finish(struct parse *c, struct user_net *u);

#endif
