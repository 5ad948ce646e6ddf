/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sockets VNC clients connect to. They are opened before the vmm gives up its rights and stay with it,
 * so that the death of ui-proc costs nobody his address. Must never accept a client.
 */
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include "ipc/log.h"
#include "vmm/process.h"

#define PORT_BASE 5900u
#define BACKLOG   16

static int unix_listen(const char *path)
{
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    struct stat st;
    int fd;

    if (strlen(path) >= sizeof(sa.sun_path))
        return -ENAMETOOLONG;
    strcpy(sa.sun_path, path);
    if (!lstat(path, &st) && S_ISSOCK(st.st_mode))
        unlink(path); /* left by another life; one in use is somebody's mistake to name */
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    if (bind(fd, (struct sockaddr *)&sa, sizeof(sa)) || listen(fd, BACKLOG)) {
        int e = errno;
        close(fd);
        return -e;
    }
    return fd;
}

static int address_listen(const struct addrinfo *ai)
{
    int one = 1, fd = socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0)
        return -errno;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (ai->ai_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
    if (bind(fd, ai->ai_addr, ai->ai_addrlen) || listen(fd, BACKLOG)) {
        int e = errno;
        close(fd);
        return -e;
    }
    return fd;
}

static void sockets_close(struct vm *vm)
{
    while (vm->n_vnc)
        close(vm->vnc_fd[--vm->n_vnc]);
}

/* Every address of the host's name at one port: all of them, or the port is taken. */
static int port_listen(struct vm *vm, const struct addrinfo *list)
{
    for (const struct addrinfo *ai = list; ai && vm->n_vnc < VNC_LISTEN_MAX; ai = ai->ai_next) {
        int fd = address_listen(ai);

        if (fd == -EAFNOSUPPORT || fd == -EADDRNOTAVAIL)
            continue;
        if (fd < 0) {
            sockets_close(vm);
            return fd;
        }
        vm->vnc_fd[vm->n_vnc++] = fd;
    }
    return vm->n_vnc ? 0 : -EADDRNOTAVAIL;
}

static int tcp_listen(struct vm *vm, char *err, size_t errlen)
{
    const struct plan_vnc *v = &vm->plan.vnc;
    int family = v->ipv4 && !v->ipv6 ? AF_INET : v->ipv6 && !v->ipv4 ? AF_INET6 : AF_UNSPEC;
    unsigned last = v->to > v->display ? v->to : v->display;
    int r = -EADDRINUSE;

    for (unsigned d = v->display; d <= last && r == -EADDRINUSE; d++) {
        struct addrinfo hints = {.ai_family = family, .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
        struct addrinfo *list;
        char port[8];
        int e;

        snprintf(port, sizeof(port), "%u", PORT_BASE + d);
        e = getaddrinfo(v->host[0] ? v->host : NULL, port, &hints, &list);
        if (e) {
            snprintf(err, errlen, "-vnc %s:%u: %s", v->host, d, gai_strerror(e));
            return -EINVAL;
        }
        r = port_listen(vm, list);
        freeaddrinfo(list);
        if (!r) {
            vm->vnc_port = (uint16_t)(PORT_BASE + d);
            log_info("VNC server running on %s:%u", v->host[0] ? v->host : "0.0.0.0", vm->vnc_port);
        }
    }
    if (r)
        snprintf(err, errlen, "-vnc %s:%u: cannot listen on port %u%s: %s", v->host, v->display, PORT_BASE + v->display,
                 last > v->display ? " nor on those up to to=" : "", strerror(-r));
    return r;
}

int vnc_sockets_open(struct vm *vm, char *err, size_t errlen)
{
    int fd;

    if (vm->plan.vnc.kind == VNC_TCP)
        return tcp_listen(vm, err, errlen);
    if (vm->plan.vnc.kind != VNC_UNIX)
        return 0;
    fd = unix_listen(vm->plan.vnc.path);
    if (fd < 0) {
        snprintf(err, errlen, "-vnc unix:%s: cannot listen: %s", vm->plan.vnc.path, strerror(-fd));
        return fd;
    }
    vm->vnc_fd[vm->n_vnc++] = fd;
    return 0;
}

void vnc_sockets_close(struct vm *vm)
{
    sockets_close(vm);
    if (vm->plan.vnc.kind == VNC_UNIX)
        unlink(vm->plan.vnc.path);
}
