/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What one net-proc was asked to be: the checked, native form of the BOOT message's NetConfig.
 * Owns validation of addresses and their relations; must never touch a socket or the guest.
 */
#ifndef BULKHEAD_NET_PROC_NET_CONFIG_H
#define BULKHEAD_NET_PROC_NET_CONFIG_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include "ipc/proto/control.pb-c.h"

#define NET_FWD_MAX       32
#define NET_DNSSEARCH_MAX 8
#define NET_DNS_MAX       3
#define NET_NAME_MAX      256
#define NET_MTU_MIN       68    /* RFC 791: every IPv4 hop carries 68 bytes */
#define NET_MTU_MAX       65521 /* the largest libslirp builds */

struct net_hostfwd {
    bool udp;
    union {
        struct sockaddr sa;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } host, guest;
};

enum net_kind { NET_USER, NET_TAP, NET_DGRAM, NET_STREAM, NET_NULL, NET_KINDS };

struct net_config {
    enum net_kind kind;
    bool announce;
    struct sockaddr_storage send_to; /* NET_DGRAM that is not connected */
    socklen_t send_to_len;
    uint8_t mac[6];
    uint16_t mtu; /* 0: not configured */
    bool link_down, restricted, ipv4, ipv6;
    struct in_addr net, mask, host, dhcpstart, dns;
    struct in6_addr net6, host6, dns6;
    uint8_t prefix6;
    char hostname[NET_NAME_MAX], domainname[NET_NAME_MAX], bootfile[NET_NAME_MAX];
    char dnssearch[NET_DNSSEARCH_MAX][NET_NAME_MAX];
    unsigned n_dnssearch;
    struct net_hostfwd fwd[NET_FWD_MAX];
    unsigned n_fwd;
    char host_dns[NET_DNS_MAX][INET6_ADDRSTRLEN]; /* name servers of the host, numeric */
    unsigned n_host_dns;
};

/* One more rule at the end of c->fwd (n_fwd grows). 0, or -EINVAL as below. */
int net_config_forward(struct net_config *c, const Ctl__HostFwd *f, char *err, size_t errlen);
/* Fills *c from the message. 0, or -EINVAL with one line in err that names the bad value. */
int net_config_parse(struct net_config *c, const Ctl__NetConfig *in, char *err, size_t errlen);

#endif
