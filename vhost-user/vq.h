/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Virtqueue of a back end (split layout, virtio 1.2 section 2.7): takes chains out of guest memory,
 * puts used elements back, keeps the inflight journal. The guest is hostile: every descriptor is
 * copied once and checked before use; a violation breaks the queue (sticky), never the process.
 * Allocates nothing after start.
 */
#ifndef BULKHEAD_VHOST_USER_VQ_H
#define BULKHEAD_VHOST_USER_VQ_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>
#include "vhost-user/vu-mem.h"

#define VQ_SIZE_MAX  1024
#define VQ_CHAIN_MAX 1024 /* descriptors of one chain, indirect ones included */
#define VQ_ATTEMPTS_MAX 2

struct vq_elem {
    uint16_t head;
    uint16_t n_out; /* readable by the device: iov[0..n_out) */
    uint16_t n_in;  /* writable: iov[n_out..n_out+n_in) */
    bool resubmitted; /* came from the inflight journal of a dead incarnation */
    bool poisoned;    /* handling it has killed VQ_ATTEMPTS_MAX incarnations: answer with an error */
    uint64_t out_len, in_len;
    struct iovec iov[VQ_CHAIN_MAX];
};

struct vq; /* embedded in struct vu_backend; see vq-internal.h */

/* Next chain, in order of the journal first and the avail ring after. 1 = got one, 0 = ring empty,
 * -EIO = the queue is (now) broken. Marks the head inflight. */
int vq_pop(struct vq *vq, struct vq_elem *e);
/* Completes a chain: DMA coherence check over the first `written` bytes of its writable part, used
 * element, journal. Does not notify. */
void vq_push(struct vq *vq, const struct vq_elem *e, uint32_t written);
/* As vq_push, but the driver sees it only together with the next vq_push: the parts of one frame appear
 * at once, or, if this process dies, not at all. For queues without a journal. */
void vq_push_part(struct vq *vq, const struct vq_elem *e, uint32_t written);
/* Same for callers that do not keep the whole element (asynchronous back ends): iov/n_in describe the
 * writable part. */
void vq_push_iov(struct vq *vq, uint16_t head, const struct iovec *in, unsigned n_in,
                 uint32_t written);
/* Writes the call eventfd unless the driver asked not to be told (flags or EVENT_IDX). */
void vq_notify(struct vq *vq);
/* Put the last popped chain back (net RX without a frame): only the most recent vq_pop. */
void vq_unpop(struct vq *vq, const struct vq_elem *e);
/* EVENT_IDX/flags: tell the driver whether kicks are wanted. After enabling, re-check the ring. */
void vq_kicks_set(struct vq *vq, bool want);
bool vq_empty(struct vq *vq);
bool vq_broken(const struct vq *vq);
void vq_break(struct vq *vq, const char *why); /* guest's fault: log with a rate limit, sticky */
unsigned vq_index(const struct vq *vq);

/* True while chains of the journal wait to be popped again. */
bool vq_resubmits_pending(const struct vq *vq);
/* Blame for a death of this process. A popped chain is suspect until vq_suspect(.., false), e.g. while
 * it merely waits in a system call, which cannot kill us; (.., true) makes it suspect again. Callable
 * from any thread for a chain that thread owns. Without a journal: no effect. */
void vq_suspect(struct vq *vq, uint16_t head, bool suspect);

/* Points between the steps of pop and push, for vq_crash_hook (vu-backend.h). */
enum vq_crash_point {
    VQ_CRASH_AFTER_POP = 1,      /* head read, nothing noted */
    VQ_CRASH_AFTER_COUNTER,      /* counter stored */
    VQ_CRASH_AFTER_INFLIGHT,     /* inflight = 1 */
    VQ_CRASH_AFTER_USED_RING,    /* used element stored */
    VQ_CRASH_AFTER_BATCH_LINK,   /* last_batch_head stored */
    VQ_CRASH_AFTER_USED_IDX,     /* the guest can see the completion */
    VQ_CRASH_MID_CLEAR,          /* inflight = 0, region's used_idx old */
    VQ_CRASH_AFTER_CLEAR,        /* push complete */
    VQ_CRASH_BEFORE_CALL,        /* the driver wants a call and has not got it */
    VQ_CRASH_AFTER_CALL,
    VQ_CRASH_MID_RECOVERY,       /* last batch cleared, region's used_idx old */
    VQ_CRASH_AFTER_RECOVERY,
    VQ_CRASH_POINTS
};
extern void (*vq_crash_hook)(unsigned point);

/* iov helpers: copy from/to the n entries at offset off; return bytes copied. */
size_t iov_to_buf(const struct iovec *iov, unsigned n, size_t off, void *buf, size_t len);
size_t buf_to_iov(const struct iovec *iov, unsigned n, size_t off, const void *buf, size_t len);

#endif
