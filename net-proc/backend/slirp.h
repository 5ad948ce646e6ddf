/* SPDX-License-Identifier: Apache-2.0 */
/*
 * User networking: the back end that ends the guest's connections in libslirp and opens its own on
 * the host. Owns every host socket of this process. One instance per process.
 */
#ifndef BULKHEAD_NET_PROC_BACKEND_SLIRP_H
#define BULKHEAD_NET_PROC_BACKEND_SLIRP_H

#include "ipc/loop.h"
#include "net-proc/backend/backend.h"
#include "net-proc/net-config.h"

/* Starts the stack and binds the forwarded ports. 0 with *be filled in; or -errno with one line in
 * err: -EADDRINUSE, -EACCES, ... mean a port that could not be bound. */
int net_slirp_open(struct net_backend *be, struct ipc_loop *l, const struct net_config *cfg,
                   const struct net_sink *sink, char *err, size_t errlen);

#endif
