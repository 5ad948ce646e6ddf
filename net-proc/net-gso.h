/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Segmentation in software: one long TCP segment of the guest into frames that fit a cable, for back
 * ends that cannot do it. Owns no state; must never be given guest memory.
 */
#ifndef BULKHEAD_NET_PROC_NET_GSO_H
#define BULKHEAD_NET_PROC_NET_GSO_H

#include "net-proc/backend/backend.h"

/* Cuts frame (len bytes, Ethernet with IPv4 or IPv6 and TCP) into segments of at most
 * todo->gso_size bytes of payload, each with its own lengths, sequence number, flags and checksums,
 * and calls out for each; out returning false ends it (the rest is dropped, as on a full wire).
 * scratch has room for a frame of NET_FRAME_MAX bytes. 0, or -EINVAL for a frame whose headers do
 * not add up: nothing was sent then. */
int net_gso_split(const uint8_t *frame, size_t len, const net_todo *todo, uint8_t *scratch,
                  bool (*out)(void *opaque, const uint8_t *frame, size_t len), void *opaque);

#endif
