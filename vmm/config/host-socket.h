/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sockets by the names a user gives, made while the vmm still is that user: listening, connected or
 * bound ones, all non-blocking and close-on-exec. Must never remove a file that is not a socket, nor
 * wait longer than a connection may take.
 */
#ifndef BULKHEAD_VMM_CONFIG_HOST_SOCKET_H
#define BULKHEAD_VMM_CONFIG_HOST_SOCKET_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

/* Unix: a listening (server) or connected stream socket; a name that a process which is gone left behind is
 * taken over. The descriptor, or -errno. */
int host_unix(const char *path, bool server);
/* Unix datagrams: bound to `local` and connected to `remote`; either may be "". Descriptor or -errno. */
int host_unix_dgram(const char *local, const char *remote);
/* TCP. host "": any address (server) or this host. Descriptor, -errno, or *resolver set to the reason why the
 * name was not resolved (and -ENOENT returned). */
struct host_inet {
    const char *host;
    uint16_t port;
    bool server, nodelay;
};
int host_tcp(const struct host_inet *at, const char **resolver);
/* UDP, IPv4: from the local address (host "": any; port 0: any) to the remote one, connected. */
int host_udp(const struct host_inet *local, const struct host_inet *remote, const char **resolver);
/* UDP multicast, IPv4: a member of the group through the interface with address `local` ("": the kernel's
 * choice); *to is where frames go. */
int host_mcast(const struct host_inet *group, const char *local, struct sockaddr_storage *to, socklen_t *to_len,
               const char **resolver);

#endif
