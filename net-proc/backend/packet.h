/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Back ends where one read is one frame: a tap device, a datagram socket, a multicast group. The
 * descriptor is made by whoever has the right to; this process only reads and writes it.
 */
#ifndef BULKHEAD_NET_PROC_BACKEND_PACKET_H
#define BULKHEAD_NET_PROC_BACKEND_PACKET_H

#include <sys/socket.h>
#include "ipc/loop.h"
#include "net-proc/backend/backend.h"

struct net_packet_config {
    int fd;             /* taken over */
    bool tap;           /* a tap device with virtio headers of 12 bytes, little-endian */
    const uint8_t *mac; /* of the card: its own frames, echoed by a multicast group, are left out */
    /* Where frames go when the socket is not connected; to_len 0: it is (or it is a tap). */
    struct sockaddr_storage to;
    socklen_t to_len;
};
/* One per process. 0, or -errno with one line in err. */
int net_packet_open(struct net_backend *be, struct ipc_loop *l, const struct net_packet_config *cfg,
                    const struct net_sink *sink, char *err, size_t errlen);

#endif
