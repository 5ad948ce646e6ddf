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
#define USER_NET_KEYS                                                                              \
    {"id", KEY_FN, .fn = user_id}, {"ipv4", KEY_FN, .fn = user_ip},                                \
        {"ipv6", KEY_FN, .fn = user_ip}, {"net", KEY_FN, .fn = user_net4},                         \
        {"host", KEY_FN, .fn = user_addr4}, {"dhcpstart", KEY_FN, .fn = user_addr4},               \
        {"dns", KEY_FN, .fn = user_addr4}, {"ipv6-net", KEY_FN, .fn = user_net6},                  \
        {"ipv6-prefix", KEY_FN, .fn = user_prefix6},                                               \
        {"ipv6-prefixlen", KEY_FN, .fn = user_prefix6}, {"ipv6-host", KEY_FN, .fn = user_addr6},   \
        {"ipv6-dns", KEY_FN, .fn = user_addr6},                                                    \
        {"restrict", .kind = KEY_BOOL, .off = offsetof(struct user_net, n.restricted)},            \
        {"hostname", .kind = KEY_STR, .off = offsetof(struct user_net, n.hostname), .size = 64},   \
        {"domainname", .kind = KEY_STR, .off = offsetof(struct user_net, n.domainname),            \
         .size = 64},                                                                              \
        {"dnssearch", KEY_FN, .fn = user_dnssearch}, {"hostfwd", KEY_FN, .fn = user_hostfwd},      \
        {"guestfwd", .kind = KEY_REFUSE}, {"smb", .kind = KEY_REFUSE},                             \
        {"smbserver", .kind = KEY_REFUSE}, {"tftp", .kind = KEY_REFUSE},                           \
        {"tftp-server-name", .kind = KEY_REFUSE},                                                  \
    {                                                                                              \
        "bootfile", .kind = KEY_REFUSE                                                             \
    }
int user_id(struct parse *c, void *obj, const char *key, const char *val);
int user_ip(struct parse *c, void *obj, const char *key, const char *val);
int user_net4(struct parse *c, void *obj, const char *key, const char *val);
int user_addr4(struct parse *c, void *obj, const char *key, const char *val);
int user_net6(struct parse *c, void *obj, const char *key, const char *val);
int user_prefix6(struct parse *c, void *obj, const char *key, const char *val);
int user_addr6(struct parse *c, void *obj, const char *key, const char *val);
int user_dnssearch(struct parse *c, void *obj, const char *key, const char *val);
int user_hostfwd(struct parse *c, void *obj, const char *key, const char *val);
/* After every key: address families and that each address lies in its network. */
int user_finish(struct parse *c, struct user_net *u);

#endif
