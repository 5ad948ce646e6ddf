/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inside of a virtqueue, shared by the files of this folder. Positions (last_avail, used_idx) are
 * private: what the guest writes over its rings later cannot move them.
 */
#ifndef BULKHEAD_VHOST_USER_VQ_INTERNAL_H
#define BULKHEAD_VHOST_USER_VQ_INTERNAL_H

#include "ipc/log.h"
#include "vhost-user/vq.h"
#include "vhost-user/vu-inflight.h"

struct vq {
    unsigned index;
    void *owner; /* struct vu_backend */
    struct vu_mem *mem;
    const char *name; /* for messages */

    /* As told by the front end. */
    uint32_t num;
    uint16_t base;
    uint64_t desc_uva, avail_uva, used_uva;
    uint64_t features;
    int kick_fd, call_fd, err_fd; /* -1 = none */
    bool started, enabled;        /* ring life of the specification */

    /* While live. */
    bool live;    /* rings mapped, positions known */
    bool running; /* live, started and enabled: the device processes it */
    bool broken;  /* sticky until the ring is stopped */
    struct vring_desc_s *desc;
    struct vring_avail_s *avail;
    struct vring_used_s *used;
    uint16_t last_avail, used_idx;
    uint16_t seen_avail; /* avail.idx as last read */
    uint16_t signalled;  /* used_idx at the last decision about a call */
    bool signalled_valid;
    bool event_idx, indirect, want_kicks;
    unsigned outstanding;
    bool busy[VQ_SIZE_MAX]; /* heads popped and not pushed */

    struct vu_inflight_split *journal; /* NULL: none */
    uint16_t journal_num;
    struct vu_inflight_heads again;
    struct ipc_ratelimit rl;
};

static inline void vq_crash(unsigned point)
{
    if (__builtin_expect(vq_crash_hook != NULL, 0))
        vq_crash_hook(point);
}

void vq_init(struct vq *vq, unsigned index, struct vu_mem *mem, const char *name);
/* Maps the rings, recovers the journal, sets positions. Afterwards live; broken if the guest's rings
 * make no sense. */
void vq_ring_start(struct vq *vq);
/* Forgets the rings. The base to report is vq->last_avail before this call. */
void vq_ring_stop(struct vq *vq);
/* Ring addresses again after the memory table changed. */
int vq_ring_map(struct vq *vq);
/* The lost-call rule: a predecessor may have died between used index and call. */
void vq_call(struct vq *vq);

/* Walks the chain at head into e. 0, or -EIO with the queue broken. */
int vring_chain_read(struct vq *vq, uint16_t head, struct vq_elem *e);

#endif
