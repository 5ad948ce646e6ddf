/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inflight journal of one split ring, in memory the front end keeps while back ends die. Written
 * step by step in the order of the specification so that death between any two steps is recoverable.
 * What a dead incarnation left behind is hostile input: it is copied once, checked, then used.
 */
#ifndef BULKHEAD_VHOST_USER_VU_INFLIGHT_H
#define BULKHEAD_VHOST_USER_VU_INFLIGHT_H

#include "vhost-user/vq.h"
#include "vhost-user/vu-spec.h"

/* Bytes of the region of one queue, and of all queues. */
uint64_t vu_inflight_stride(uint16_t queue_size);
uint64_t vu_inflight_size(unsigned queues, uint16_t queue_size);

struct vu_inflight_heads { /* what is to be done again, oldest first */
    uint16_t n, next;
    uint64_t counter; /* of the next chain */
    uint16_t head[VQ_SIZE_MAX];
};

/* Prepares a queue's region for a ring start. live: the region; desc_num: queue size of the message
 * that brought it; num: size of this ring (<= desc_num); used_idx: read from the guest's ring.
 * 1: recovered, *out holds the heads, and last_avail = used_idx + out->n. 0: the region was new and
 * is initialised now; the front end's base counts. -EINVAL: contradicts itself; nothing was written. */
int vu_inflight_recover(struct vu_inflight_split *live, uint16_t desc_num, uint16_t num,
                        uint16_t used_idx, struct vu_inflight_heads *out);

/* Steps of pop. */
void vu_inflight_counter_set(struct vu_inflight_split *live, uint16_t head, uint64_t counter);
void vu_inflight_mark(struct vu_inflight_split *live, uint16_t head);
/* Steps of push. */
void vu_inflight_batch_link(struct vu_inflight_split *live, uint16_t head);
void vu_inflight_clear(struct vu_inflight_split *live, uint16_t head);
void vu_inflight_used_set(struct vu_inflight_split *live, uint16_t used_idx);
/* How often this chain was being handled when the process died; saturates. */
unsigned vu_inflight_attempts(const struct vu_inflight_split *live, uint16_t head);
void vu_inflight_attempts_add(struct vu_inflight_split *live, uint16_t head, int delta);

#endif
