/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The stream back end: frames behind a 32-bit big-endian length over a connected stream socket (TCP or
 * unix; passt, another machine's socket netdev). The sockets are made by whoever has the right to.
 */
#ifndef BULKHEAD_NET_PROC_BACKEND_STREAM_H
#define BULKHEAD_NET_PROC_BACKEND_STREAM_H

#include "ipc/loop.h"
#include "net-proc/backend/backend.h"

/* Survives the process, so that a successor knows whether the connection stands between two frames.
 * Lives in the state memfd, which this process alone writes; hostile to nobody but itself. */
struct net_stream_state {
    uint32_t cut; /* 1: part of a frame is sent and the rest is not */
};
struct net_stream_config {
    int fd;        /* connected, or -1; taken over */
    int listen_fd; /* listening: one peer at a time, the next when it is gone; or -1 */
    struct net_stream_state *state; /* or NULL */
    void (*peer)(void *opaque, bool connected); /* told when it comes and goes; may be NULL */
    void *peer_opaque;
};
/* One per process. 0, or -errno with one line in err. */
int net_stream_open(struct net_backend *be, struct ipc_loop *l, const struct net_stream_config *cfg,
                    const struct net_sink *sink, char *err, size_t errlen);

#endif
