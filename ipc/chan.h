/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SOCK_SEQPACKET channels: one message = one packet, file descriptors by SCM_RIGHTS.
 * Owns framing and descriptor hygiene (surplus descriptors are closed, truncation is an error);
 * knows nothing of what the messages mean.
 */
#ifndef BULKHEAD_IPC_CHAN_H
#define BULKHEAD_IPC_CHAN_H

#include <stddef.h>
#include <sys/types.h>

#define IPC_CHAN_MSG_MAX 65536
#define IPC_CHAN_FDS_MAX 250 /* SCM_MAX_FD is 253 */

int ipc_chan_pair(int sv[2]); /* cloexec, nonblocking; 0 or -errno */

/* Sends one message; waits at most timeout_ms for room (0: -EAGAIN at once). fds stay the caller's.
 * 0 or -errno (-EPIPE when the peer is gone). */
int ipc_chan_send(int fd, const void *buf, size_t len, const int *fds, unsigned nfds, int timeout_ms);

/* Receives one message, waiting at most timeout_ms. *nfds: in = room in fds, out = received; the
 * caller owns them. More descriptors than room, or a truncated message: everything is closed,
 * -EPROTO. Returns length, 0 on hang-up, or -errno (-EAGAIN on time-out). */
ssize_t ipc_chan_recv(int fd, void *buf, size_t cap, int *fds, unsigned *nfds, int timeout_ms);

#endif
