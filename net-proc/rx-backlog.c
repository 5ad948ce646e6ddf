/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The receive backlog's ring: records of a 32-bit length and the frame, padded to 8 bytes; a length
 * of RX_SKIP sends the reader back to the start. Must never see guest memory.
 */
#include "net-proc/rx-backlog.h"

#include <string.h>

#define RX_SKIP 0xffffffffu

static uint32_t record_size(size_t len)
{
    return (uint32_t)((4 + len + 7) & ~(size_t)7);
}

static void length_store(struct rx_backlog *b, uint32_t at, uint32_t len)
{
    memcpy(b->mem + at, &len, 4);
}

static uint32_t length_load(const struct rx_backlog *b, uint32_t at)
{
    uint32_t len;
    memcpy(&len, b->mem + at, 4);
    return len;
}

bool rx_backlog_put(struct rx_backlog *b, const void *hdr, size_t hdr_len, const uint8_t *frame, size_t len)
{
    uint32_t need = record_size(hdr_len + len);

    if (hdr_len + len > RX_BACKLOG_BYTES / 2)
        return false;
    if (b->used == 0)
        b->head = b->tail = 0;
    /* A full turn would make head meet tail, which means empty: always leave 8 bytes. */
    if (b->head >= b->tail) {
        uint32_t end = RX_BACKLOG_BYTES - b->head;
        if (need + 8 > end) {
            if (need + 8 > b->tail)
                return false;
            length_store(b, b->head, RX_SKIP);
            b->used += end;
            b->head = 0;
        }
    } else if (need + 8 > b->tail - b->head) {
        return false;
    }
    length_store(b, b->head, (uint32_t)(hdr_len + len));
    if (hdr_len)
        memcpy(b->mem + b->head + 4, hdr, hdr_len);
    memcpy(b->mem + b->head + 4 + hdr_len, frame, len);
    b->head += need;
    b->used += need;
    return true;
}

const uint8_t *rx_backlog_peek(struct rx_backlog *b, size_t *len)
{
    if (b->used == 0)
        return NULL;
    uint32_t n = length_load(b, b->tail);
    if (n == RX_SKIP) {
        b->used -= RX_BACKLOG_BYTES - b->tail;
        b->tail = 0;
        n = length_load(b, 0);
    }
    *len = n;
    return b->mem + b->tail + 4;
}

void rx_backlog_drop(struct rx_backlog *b)
{
    size_t len;
    if (!rx_backlog_peek(b, &len))
        return;
    b->tail += record_size(len);
    b->used -= record_size(len);
}

void rx_backlog_clear(struct rx_backlog *b)
{
    b->head = b->tail = b->used = 0;
}
