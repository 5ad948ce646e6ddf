/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The virtio network card (virtio 1.2, section 5.1): one receive and one transmit queue between a
 * vhost-user front end and a network back end. Keeps no guest-visible state of its own beyond link
 * status and configuration: with VIRTIO_F_IN_ORDER the used index is the journal. Must never trust
 * a header, a length or a chain of the guest.
 */
#ifndef BULKHEAD_NET_PROC_VIRTIO_NET_H
#define BULKHEAD_NET_PROC_VIRTIO_NET_H

#include <stdbool.h>
#include "ipc/loop.h"
#include "net-proc/backend/backend.h"
#include "net-proc/net-config.h"
#include "vhost-user/vu-backend.h"

struct net_dev;

/* A card on the connected vhost-user socket vu_fd (taken over). The back end is attached later;
 * until then frames of the guest are dropped. Allocates once. codepage may be NULL. closed is
 * called when the front end is gone. NULL when there is no memory. */
struct net_dev *net_dev_create(struct ipc_loop *l, const struct net_config *cfg);
int net_dev_connect(struct net_dev *d, int vu_fd, struct abi_codepage *codepage, uint64_t pages,
                    void (*closed)(void *opaque), void *opaque);
void net_dev_attach(struct net_dev *d, const struct net_backend *be);
/* The interface a back end delivers to. */
struct net_sink net_dev_sink(struct net_dev *d);
/* Cable in or out: configuration change for the guest; frames are dropped both ways while out. */
void net_dev_link_set(struct net_dev *d, bool up);
/* Tells the network where the card is now: a RARP request with its address, as other machine monitors send. */
void net_dev_announce(struct net_dev *d);
/* Counters as text for INFO_REQUEST "stats". */
void net_dev_info(struct net_dev *d, char *out, size_t cap);

#endif
