/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Netdevs and forwards that come at run time, read with the same tables as the command line's. By then the vmm is
 * nobody: what a netdev holds of the host must have been handed over. Must never open anything by name.
 */
#include <stdio.h>
#include <string.h>
#include "vmm/config/net.h"

static void parse_begin(struct parse *c, char *err, size_t errlen)
{
    memset(c, 0, sizeof(*c));
    err[0] = 0;
    c->err = err;
    c->errlen = errlen;
    c->out = stderr;
}

/* An error line of the command line's, without the program's name. */
static int parse_end(char *err, int r)
{
    static const char prefix[] = "bulkhead: ";

    if (r && !strncmp(err, prefix, sizeof(prefix) - 1))
        memmove(err, err + sizeof(prefix) - 1, strlen(err) - sizeof(prefix) + 2);
    return r;
}

/* May it be made now? */
static int needs_nothing(struct parse *c, const struct plan_net *n)
{
    const struct plan_net_addr *a = n->local.kind == ADDR_FD ? &n->local : &n->at;

    if (!strcmp(n->backend, "user") || !strcmp(n->backend, "null"))
        return 0;
    if (!strcmp(n->backend, "tap") ? n->given_fd > 0 : a->kind == ADDR_FD)
        return 0;
    return parse_fail(c, "a running machine opens nothing by name: hand over an open descriptor (getfd, then fd= or "
                         "addr.type=fd), or give this netdev on the command line");
}

int netdev_parse(struct plan_net *out, const char *arg, int (*fd_find)(const char *name), char *err, size_t errlen)
{
    static struct parse c; /* large; one thread, one command at a time */
    struct user_net u = {0};

    parse_begin(&c, err, errlen);
    c.fd_find = fd_find;
    if (netdev_read(&c, arg, &u) || needs_nothing(&c, &u.n))
        return parse_end(err, -1);
    *out = u.n;
    out->link_fd = out->listen_fd = -1;
    out->pci_slot = -1;
    return 0;
}

int netdev_forward_parse(struct plan_hostfwd *out, const char *rule, bool remove, char *err, size_t errlen)
{
    static struct parse c;
    char whole[256];

    parse_begin(&c, err, errlen);
    memset(out, 0, sizeof(*out));
    if (snprintf(whole, sizeof(whole), "%s%s", rule, remove ? "-:1" : "") >= (int)sizeof(whole))
        return parse_end(err, parse_fail(&c, "Invalid host forwarding rule (too long)"));
    return parse_end(err, user_rule(&c, out, whole));
}
