/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames that wait for receive buffers of the guest: a fixed byte ring, first in, first out. A card
 * has a FIFO of this kind too. Must never allocate; overflow is the caller's to count.
 */
#ifndef BULKHEAD_NET_PROC_RX_BACKLOG_H
#define BULKHEAD_NET_PROC_RX_BACKLOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RX_BACKLOG_BYTES (512u * 1024)
/* Above this the back end should stop reading from its sockets: 128 KiB is what one slirp
 * connection can have in flight. */
#define RX_BACKLOG_HIGH (256u * 1024)

struct rx_backlog {
    uint32_t head, tail; /* offsets; head == tail is empty. Records never wrap. */
    uint32_t used;
    uint8_t mem[RX_BACKLOG_BYTES] __attribute__((aligned(8)));
};

/* A frame behind its header (hdr_len bytes, may be 0). false: full. */
bool rx_backlog_put(struct rx_backlog *b, const void *hdr, size_t hdr_len, const uint8_t *frame, size_t len);
/* Oldest record, header and frame, or NULL; valid until drop or put. */
const uint8_t *rx_backlog_peek(struct rx_backlog *b, size_t *len);
void rx_backlog_drop(struct rx_backlog *b); /* the one peek showed */
void rx_backlog_clear(struct rx_backlog *b);
static inline bool rx_backlog_empty(const struct rx_backlog *b)
{
    return b->used == 0;
}

#endif
