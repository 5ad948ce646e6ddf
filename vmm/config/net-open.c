/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Makes what a netdev holds of the host, as the user who started the vmm: sockets here, taps in
 * net-tap-open.c. The process that serves it gets the descriptor and nothing else.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "ipc/fds.h"
#include "vmm/config/host-socket.h"
#include "vmm/config/net.h"

struct opening {
    char err[300];
    const char *resolver;
};

/* A descriptor of the user's, or one handed over at run time: a socket of this type, made non-blocking and private.
 * #syscalls:vmm getsockopt fcntl */
static int socket_given(int fd, int type, struct opening *o)
{
    int have = 0;
    socklen_t n = sizeof(have);

    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &have, &n) || have != type) {
        snprintf(o->err, sizeof(o->err), "descriptor %d is not a %s socket", fd,
                 type == SOCK_STREAM ? "stream" : "datagram");
        return -1;
    }
    if (fcntl(fd, F_SETFD, FD_CLOEXEC) || fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK))
        return -errno;
    return fd;
}

static void address_print(const struct plan_net_addr *a, char *out, size_t cap)
{
    if (a->kind == ADDR_UNIX)
        snprintf(out, cap, "%s", a->path);
    else
        snprintf(out, cap, "%s:%u", a->host, a->port);
}

static int failed(struct opening *o, const char *what, const struct plan_net_addr *a, int fd)
{
    char where[160];

    if (fd >= 0 || o->err[0])
        return fd < 0 ? -1 : fd;
    address_print(a, where, sizeof(where));
    snprintf(o->err, sizeof(o->err), "cannot %s %s: %s", what, where, o->resolver ? o->resolver : strerror(-fd));
    return -1;
}

static int stream_socket(struct plan_net *n, struct opening *o)
{
    const struct host_inet at = {n->at.host, n->at.port, n->server, true};

    if (n->at.kind == ADDR_FD)
        return socket_given(n->at.fd, SOCK_STREAM, o);
    if (n->at.kind == ADDR_UNIX)
        return host_unix(n->at.path, n->server);
    return host_tcp(&at, &o->resolver);
}
static int stream_open(struct plan_net *n, struct opening *o)
{
    int fd = failed(o, n->server ? "listen on" : "connect to", &n->at, stream_socket(n, o));
    int listens = 0;
    socklen_t len = sizeof(listens);

    if (fd < 0)
        return -1;
    if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &len) == 0 && listens)
        n->listen_fd = fd;
    else
        n->link_fd = fd;
    return 0;
}

static int dgram_socket(struct plan_net *n, struct opening *o)
{
    const struct host_inet at = {n->at.host, n->at.port, false, false};
    const struct host_inet local = {n->local.host, n->local.port, false, false};
    struct sockaddr_storage to;
    socklen_t len = 0;
    int fd;

    if (n->local.kind == ADDR_FD)
        return socket_given(n->local.fd, SOCK_DGRAM, o);
    if (n->at.kind == ADDR_UNIX)
        return host_unix_dgram(n->local.path, n->at.path);
    if (!n->mcast)
        return host_udp(&local, &at, &o->resolver);
    fd = host_mcast(&at, n->local.host, &to, &len, &o->resolver);
    if (fd >= 0 && len <= sizeof(n->send_to)) {
        memcpy(n->send_to, &to, len);
        n->send_to_len = len;
    }
    return fd;
}
static int dgram_open(struct plan_net *n, struct opening *o)
{
    n->link_fd = failed(o, n->mcast ? "join the group" : "use", &n->at, dgram_socket(n, o));
    return n->link_fd < 0 ? -1 : 0;
}

static int backend_open(struct plan_net *n, struct opening *o)
{
    if (!strcmp(n->backend, "stream"))
        return stream_open(n, o);
    if (!strcmp(n->backend, "dgram"))
        return dgram_open(n, o);
    if (strcmp(n->backend, "tap"))
        return 0;
    n->link_fd = net_tap_open(n, o->err, sizeof(o->err));
    return n->link_fd < 0 ? -1 : 0;
}

int net_open_to(struct plan_net *n, char *err, size_t errlen)
{
    struct opening o = {.err = ""};
    int r = backend_open(n, &o);

    if (r)
        snprintf(err, errlen, "%s", o.err);
    return r;
}

int net_open(struct plan_net *n)
{
    char err[300];

    if (!net_open_to(n, err, sizeof(err)))
        return 0;
    fprintf(stderr, "bulkhead: -netdev %s,id=%s: %s\n", n->type, n->id, err);
    return -1;
}
