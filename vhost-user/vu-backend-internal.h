/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inside of a back end: one connection, its memory table, its queues and their life. Shared by the
 * files of this folder only.
 */
#ifndef BULKHEAD_VHOST_USER_VU_BACKEND_INTERNAL_H
#define BULKHEAD_VHOST_USER_VU_BACKEND_INTERNAL_H

#include "vhost-user/vq-internal.h"
#include "vhost-user/vu-backend.h"
#include "vhost-user/vu-msg.h"

#define VU_MSG_TIMEOUT_MS 2000 /* for the rest of a message, and for room to reply */
#define VU_POLL_NS        1000000ull

struct vu_backend {
    struct ipc_loop *loop;
    const struct vu_device_ops *ops;
    void *opaque;
    int fd;     /* -1 after the connection was dropped */
    int req_fd; /* channel of SET_BACKEND_REQ_FD */
    bool owned;
    uint64_t features, proto;
    uint8_t status;
    struct vu_mem mem;
    struct vq vq[VU_QUEUES_MAX];
    struct ipc_timer poll; /* rings without a kick descriptor are looked at by the clock */

    int own_fd; /* inflight memory for front ends that ask us to make it; -1 none */
    void *own_map;
    size_t own_len;
    void *journal_map; /* what SET_INFLIGHT_FD brought */
    size_t journal_len;
};

/* Result of a handler: VU_REPLY = the message now holds the reply's payload; 0 = acknowledge;
 * -EPROTO = drop the front end; another -errno = negative acknowledgement. */
#define VU_REPLY 1
int vu_backend_handle(struct vu_backend *be, struct vu_msg *m);

uint64_t vu_backend_offer(const struct vu_backend *be);
enum vu_state vu_backend_state(const struct vu_backend *be);
/* Starts or stops processing so that it agrees with started && enabled. */
void vu_ring_update(struct vu_backend *be, struct vq *vq);
/* GET_VRING_BASE: stops the ring, drops its descriptors; returns the base to report. */
uint16_t vu_ring_stop(struct vu_backend *be, struct vq *vq);
int vu_ring_kick_set(struct vu_backend *be, struct vq *vq, int fd);
/* The device pauses on all rings while the memory table changes under it. */
void vu_rings_pause(struct vu_backend *be);
void vu_rings_resume(struct vu_backend *be);
void vu_backend_reset(struct vu_backend *be);

/* vu-backend-inflight.c */
int vu_journal_create(struct vu_backend *be);
int vu_journal_offer(struct vu_backend *be, struct vu_msg *m);
int vu_journal_take(struct vu_backend *be, struct vu_msg *m);
void vu_journal_drop(struct vu_backend *be);

#endif
