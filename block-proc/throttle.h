/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rate limits of one drive: bytes and requests per second, in all, read and written, each with a burst. Leaky buckets: a
 * request is let in while no bucket is over its brim, and then fills them. Must never hold a request itself.
 */
#ifndef BULKHEAD_BLOCK_PROC_THROTTLE_H
#define BULKHEAD_BLOCK_PROC_THROTTLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Order of the values in messages: bps, bps_rd, bps_wr, bps_max, bps_rd_max, bps_wr_max, the same six of iops, iops_size. */
#define THROTTLE_VALUES 13

struct throttle {
    struct {
        double avg, brim, level; /* per second; units it holds; units in it */
    } bucket[6];                 /* bps, bps_rd, bps_wr, iops, iops_rd, iops_wr; avg 0 = no limit */
    uint64_t size;               /* so many bytes count as a request, 0 = any number */
    uint64_t last_ns;
    bool on;
};

/* 0, or -EINVAL: not n values, a burst below its rate, or a total beside its parts. */
int throttle_set(struct throttle *t, const uint64_t *v, size_t n);
/* How long a request has to wait, in ns; 0: now. */
uint64_t throttle_wait(struct throttle *t, bool write, uint64_t now_ns);
/* It is let in. */
void throttle_count(struct throttle *t, bool write, uint64_t bytes);

#endif
