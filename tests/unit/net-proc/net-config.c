/* SPDX-License-Identifier: Apache-2.0 */
/* The network configuration: defaults, derived addresses, and complaints that name the value. */
#include "net-proc/net-config.h"

#include <arpa/inet.h>
#include <string.h>
#include "tests/unit/net-proc/tap.h"

static char err[256];
static struct net_config c;
static uint8_t mac[6] = {0x52, 0x54, 0, 0x12, 0x34, 0x56};

static Ctl__NetConfig fresh(void)
{
    Ctl__NetConfig n = CTL__NET_CONFIG__INIT;
    n.backend = (char *)"user";
    n.mac.data = mac;
    n.mac.len = 6;
    return n;
}

static bool is4(struct in_addr a, const char *s)
{
    return a.s_addr == inet_addr(s);
}

static bool is6(const struct in6_addr *a, const char *s)
{
    struct in6_addr b;
    return inet_pton(AF_INET6, s, &b) == 1 && !memcmp(a, &b, sizeof b);
}

static bool parses(const Ctl__NetConfig *n)
{
    err[0] = 0;
    return net_config_parse(&c, n, err, sizeof err) == 0 && !err[0];
}

static bool refuses(const Ctl__NetConfig *n, const char *word)
{
    err[0] = 0;
    bool good = net_config_parse(&c, n, err, sizeof err) < 0 && strstr(err, word);
    if (!good)
        printf("# wanted '%s', got '%s'\n", word, err);
    return good;
}

static void defaults(void)
{
    Ctl__NetConfig n = fresh();
    ok(parses(&n), "a back end and a MAC are enough");
    ok(is4(c.net, "10.0.2.0") && is4(c.mask, "255.255.255.0"), "network 10.0.2.0/24");
    ok(is4(c.host, "10.0.2.2") && is4(c.dns, "10.0.2.3") && is4(c.dhcpstart, "10.0.2.15"),
       "host .2, name server .3, leases from .15");
    ok(is6(&c.net6, "fec0::") && is6(&c.host6, "fec0::2") && is6(&c.dns6, "fec0::3") &&
           c.prefix6 == 64, "fec0::/64 with ::2 and ::3");
    ok(c.ipv4 && c.ipv6 && !c.restricted && !c.link_down && !c.mtu, "both families, no limits");
}

static void networks(void)
{
    static const struct {
        const char *net, *mask, *host;
    } good[] = {
        {"192.168.5.77/24", "255.255.255.0", "192.168.5.2"},
        {"10.0.0.0", "255.0.0.0", "10.0.0.2"},
        {"172.20.0.0", "255.240.0.0", "172.16.0.2"},
        {"192.168.9.0", "255.255.0.0", "192.168.0.2"},
        {"203.0.113.0", "255.255.255.0", "203.0.113.2"},
        {"10.9.8.0/255.255.255.0", "255.255.255.0", "10.9.8.2"},
        {"10.9.8.16/28", "255.255.255.240", "10.9.8.18"},
    };
    static const char *const bad[] = {"10.0.2.0/", "10.0.2.0/33", "10.0.2.0/-1", "/24", "fec0::/64",
                                      "10.0.2.0/29", "10.0.2.0/255.0.255.0", "10.0.2.0/24x"};
    Ctl__NetConfig n = fresh();
    for (unsigned i = 0; i < sizeof good / sizeof good[0]; i++) {
        n.net = (char *)good[i].net;
        ok(parses(&n) && is4(c.mask, good[i].mask) && is4(c.host, good[i].host), good[i].net);
    }
    for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        n.net = (char *)bad[i];
        ok(refuses(&n, bad[i]), bad[i]);
    }
}

static void members(void)
{
    Ctl__NetConfig n = fresh();
    n.dns = (char *)"10.0.3.3";
    ok(refuses(&n, "dns=10.0.3.3"), "a name server outside the network");
    n.dns = (char *)"10.0.2.255";
    ok(refuses(&n, "dns=10.0.2.255"), "the broadcast address");
    n.dns = (char *)"10.0.2.2";
    ok(refuses(&n, "must differ"), "the host's own address");
    n = fresh();
    n.ipv6_host = (char *)"fec1::2";
    ok(refuses(&n, "ipv6-host=fec1::2"), "an IPv6 host outside the prefix");
    n.ipv6_net = (char *)"fec1:2:3:4::99/62";
    n.ipv6_host = NULL;
    ok(parses(&n) && is6(&c.net6, "fec1:2:3:4::"), "bits behind the prefix are cleared");
}

static void forwards(void)
{
    Ctl__HostFwd f = CTL__HOST_FWD__INIT, *list[NET_FWD_MAX + 1];
    Ctl__NetConfig n = fresh();
    f.host_addr = (char *)"";
    f.guest_addr = (char *)"";
    f.host_port = 2222;
    f.guest_port = 22;
    for (unsigned i = 0; i <= NET_FWD_MAX; i++)
        list[i] = &f;
    n.hostfwd = list;
    n.n_hostfwd = 1;
    ok(parses(&n) && c.n_fwd == 1 && c.fwd[0].host.v4.sin_port == htons(2222) &&
           c.fwd[0].host.v4.sin_addr.s_addr == INADDR_ANY, "empty addresses are wildcards");
    n.n_hostfwd = NET_FWD_MAX + 1;
    ok(refuses(&n, "more than"), "too many rules");
    n.n_hostfwd = 1;
    f.guest_port = 0;
    ok(refuses(&n, "bad guest"), "guest port 0");
    f.guest_port = 22;
    f.host_addr = (char *)"::1";
    ok(refuses(&n, "must both be"), "an IPv6 host address and an IPv4 guest");
    f.guest_addr = (char *)"::";
    ok(refuses(&n, "needs the guest's address"), "an IPv6 guest without an address");
    f.guest_addr = (char *)"fec0::15";
    ok(parses(&n) && c.fwd[0].host.sa.sa_family == AF_INET6, "IPv6 on both sides");
    n.has_ipv6 = true;
    n.ipv6 = false;
    ok(refuses(&n, "IPv6 is off"), "an IPv6 guest on a network without IPv6");
}

int main(void)
{
    Ctl__NetConfig n = fresh();
    char long_name[400];

    defaults();
    networks();
    members();
    forwards();
    memset(long_name, 'x', sizeof long_name - 1);
    long_name[sizeof long_name - 1] = 0;
    n.hostname = long_name;
    ok(refuses(&n, "hostname="), "an endless host name");
    n = fresh();
    char *dns[] = {(char *)"192.0.2.1", (char *)"fe80::1%eth0", (char *)"2001:db8::1",
                   (char *)"name", (char *)"127.0.0.53", (char *)"9.9.9.9"};
    n.host_dns = dns;
    n.n_host_dns = 6;
    ok(parses(&n) && c.n_host_dns == 3 && !strcmp(c.host_dns[1], "2001:db8::1") &&
           !strcmp(c.host_dns[2], "127.0.0.53"), "three plain name servers are kept, in order");
    n = fresh();
    n.mac.len = 5;
    ok(refuses(&n, "mac="), "a short MAC address");
    return tap_done();
}
