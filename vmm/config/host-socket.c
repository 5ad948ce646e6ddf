/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opening sockets by name; see host-socket.h. Owns no descriptor: the caller does.
 */
#include "vmm/config/host-socket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define CONNECT_MS  10000
#define SOCK_FLAGS  (SOCK_CLOEXEC | SOCK_NONBLOCK)

/* Closes fd and returns the error, negative. */
static int drop(int fd, int err)
{
    close(fd);
    return -err;
}

static int finish_connect(int fd, const void *sa, socklen_t len)
{
    struct pollfd p = {.fd = fd, .events = POLLOUT};
    int err = 0;
    socklen_t n = sizeof(err);

    if (!connect(fd, sa, len))
        return 0;
    if (errno != EINPROGRESS)
        return errno;
    if (poll(&p, 1, CONNECT_MS) != 1)
        return ETIMEDOUT;
    return getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &n) ? errno : err;
}

/* ---- unix ------------------------------------------------------------------------------------ */

static int unix_name(struct sockaddr_un *sa, const char *path)
{
    memset(sa, 0, sizeof(*sa));
    sa->sun_family = AF_UNIX;
    if (strlen(path) >= sizeof(sa->sun_path))
        return -ENAMETOOLONG;
    strcpy(sa->sun_path, path);
    return 0;
}

/* A name left by a process that is gone is taken over; a live one is not. */
static int clear_stale(const struct sockaddr_un *sa, int type)
{
    struct stat st;
    int fd, err;

    if (lstat(sa->sun_path, &st))
        return errno == ENOENT ? 0 : errno;
    if (!S_ISSOCK(st.st_mode))
        return EEXIST;
    fd = socket(AF_UNIX, type | SOCK_FLAGS, 0);
    if (fd < 0)
        return errno;
    err = connect(fd, (const struct sockaddr *)sa, sizeof(*sa)) ? errno : 0;
    close(fd);
    if (err != ECONNREFUSED)
        return EADDRINUSE;
    return unlink(sa->sun_path) ? errno : 0;
}

static int unix_bind(int fd, const struct sockaddr_un *sa, int type)
{
    int err = clear_stale(sa, type);

    if (!err && bind(fd, (const struct sockaddr *)sa, sizeof(*sa)))
        err = errno;
    return err;
}

int host_unix(const char *path, bool server)
{
    struct sockaddr_un sa;
    int err = unix_name(&sa, path), fd;

    if (err)
        return err;
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_FLAGS, 0);
    if (fd < 0)
        return -errno;
    if (!server)
        err = finish_connect(fd, &sa, sizeof(sa));
    else if (!(err = unix_bind(fd, &sa, SOCK_STREAM)) && listen(fd, 1))
        err = errno;
    return err ? drop(fd, err) : fd;
}

int host_unix_dgram(const char *local, const char *remote)
{
    struct sockaddr_un from, to;
    int err = unix_name(&from, local), fd;

    if (!err)
        err = unix_name(&to, remote);
    if (err)
        return err;
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_FLAGS, 0);
    if (fd < 0)
        return -errno;
    if (*local)
        err = unix_bind(fd, &from, SOCK_DGRAM);
    if (!err && *remote && connect(fd, (struct sockaddr *)&to, sizeof(to)))
        err = errno;
    return err ? drop(fd, err) : fd;
}

/* ---- internet -------------------------------------------------------------------------------- */

static struct addrinfo *resolve(const struct host_inet *at, int family, int type, const char **resolver)
{
    struct addrinfo hints = {.ai_family = family, .ai_socktype = type, .ai_flags = AI_NUMERICSERV}, *list;
    char port[8];
    int err;

    if (at->server)
        hints.ai_flags |= AI_PASSIVE;
    snprintf(port, sizeof(port), "%u", at->port);
    err = getaddrinfo(*at->host ? at->host : NULL, port, &hints, &list);
    if (err)
        *resolver = gai_strerror(err);
    return err ? NULL : list;
}

static int tcp_try(const struct host_inet *at, const struct addrinfo *ai)
{
    int fd = socket(ai->ai_family, SOCK_STREAM | SOCK_FLAGS, 0), one = 1, err;

    if (fd < 0)
        return -errno;
    if (at->nodelay)
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)); /* accepted ones inherit it */
    if (at->server) {
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
        err = bind(fd, ai->ai_addr, ai->ai_addrlen) || listen(fd, 1) ? errno : 0;
    } else {
        err = finish_connect(fd, ai->ai_addr, ai->ai_addrlen);
    }
    return err ? drop(fd, err) : fd;
}

int host_tcp(const struct host_inet *at, const char **resolver)
{
    struct addrinfo *list = resolve(at, AF_UNSPEC, SOCK_STREAM, resolver);
    int fd = -ENOENT;

    for (const struct addrinfo *ai = list; ai && fd < 0; ai = ai->ai_next)
        fd = tcp_try(at, ai);
    if (list)
        freeaddrinfo(list);
    return fd;
}

static int udp_socket(const struct addrinfo *from)
{
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_FLAGS, 0), one = 1;

    if (fd < 0)
        return -errno;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    return bind(fd, from->ai_addr, from->ai_addrlen) ? drop(fd, errno) : fd;
}

int host_udp(const struct host_inet *local, const struct host_inet *remote, const char **resolver)
{
    struct host_inet passive = *local;
    struct addrinfo *from, *to;
    int fd = -ENOENT;

    passive.server = true;
    from = resolve(&passive, AF_INET, SOCK_DGRAM, resolver);
    to = from ? resolve(remote, AF_INET, SOCK_DGRAM, resolver) : NULL;
    if (to)
        fd = udp_socket(from);
    if (fd >= 0 && connect(fd, to->ai_addr, to->ai_addrlen))
        fd = drop(fd, errno);
    if (from)
        freeaddrinfo(from);
    if (to)
        freeaddrinfo(to);
    return fd;
}

static int mcast_join(int fd, const struct sockaddr_in *group, const char *local)
{
    struct ip_mreq req = {.imr_multiaddr = group->sin_addr};
    int one = 1;

    if (*local && inet_pton(AF_INET, local, &req.imr_interface) != 1)
        return EINVAL;
    if (bind(fd, (const struct sockaddr *)group, sizeof(*group)) ||
        setsockopt(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &req, sizeof(req)) ||
        setsockopt(fd, IPPROTO_IP, IP_MULTICAST_LOOP, &one, sizeof(one)))
        return errno;
    if (*local && setsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &req.imr_interface, sizeof(req.imr_interface)))
        return errno;
    return 0;
}

int host_mcast(const struct host_inet *group, const char *local, struct sockaddr_storage *to, socklen_t *to_len,
               const char **resolver)
{
    struct addrinfo *list = resolve(group, AF_INET, SOCK_DGRAM, resolver);
    int fd, one = 1, err;

    if (!list)
        return -ENOENT;
    memcpy(to, list->ai_addr, list->ai_addrlen);
    *to_len = list->ai_addrlen;
    freeaddrinfo(list);
    const struct sockaddr_in *in = (const struct sockaddr_in *)to;
    if (!IN_MULTICAST(ntohl(in->sin_addr.s_addr))) {
        *resolver = "not a multicast address (224.0.0.0 to 239.255.255.255)";
        return -ENOENT;
    }
    fd = socket(AF_INET, SOCK_DGRAM | SOCK_FLAGS, 0);
    if (fd < 0)
        return -errno;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    err = mcast_join(fd, in, local);
    return err ? drop(fd, err) : fd;
}
