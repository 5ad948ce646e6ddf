/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vhost-user back end: speaks the protocol on one connected socket, owns the memory table and the
 * queues, and calls the device. Runs in the device process's loop, one thread. A front end that
 * breaks the protocol is dropped. Must never act on a queue that is stopped or disabled.
 */
#ifndef BULKHEAD_VHOST_USER_VU_BACKEND_H
#define BULKHEAD_VHOST_USER_VU_BACKEND_H

#include "ipc/loop.h"
#include "vhost-user/vq.h"

#define VU_QUEUES_MAX 8
struct vu_backend;

struct vu_device_ops {
    uint64_t features;          /* virtio device and ring features offered (VERSION_1, bit 30 added) */
    uint64_t protocol_features; /* beyond MQ, REPLY_ACK, CONFIG, INFLIGHT_SHMFD, CONFIGURE_MEM_SLOTS,
                                   RESET_DEVICE, STATUS which the library provides */
    unsigned queues;
    bool inflight;              /* keep the inflight journal */
    /* Device configuration space; 0 or -errno. set may be NULL (read-only). */
    int (*config_get)(void *opaque, uint32_t off, uint32_t size, uint8_t *out);
    int (*config_set)(void *opaque, uint32_t off, uint32_t size, const uint8_t *in);
    void (*features_set)(void *opaque, uint64_t features);
    /* A queue became started and enabled: process it once at once (a kick may have been lost). */
    void (*queue_start)(void *opaque, struct vq *vq);
    /* A queue is to stop: complete or drop everything of it before returning. */
    void (*queue_stop)(void *opaque, struct vq *vq);
    void (*kick)(void *opaque, struct vq *vq);
    /* The connection is gone. */
    void (*closed)(void *opaque);
    /* The driver reset the device (optional): its rings are already stopped. */
    void (*reset)(void *opaque);
};

/* be is large: allocate once (static or calloc). fd becomes the back end's. codepage may be NULL.
 * 0 or -errno. */
int vu_backend_init(struct vu_backend *be, struct ipc_loop *l, int fd, const struct vu_device_ops *ops,
                    void *opaque);
size_t vu_backend_size(void);
void vu_backend_set_codepage(struct vu_backend *be, struct abi_codepage *cp, uint64_t pages);
struct vq *vu_backend_vq(struct vu_backend *be, unsigned index);
struct vu_mem *vu_backend_mem(struct vu_backend *be);
uint64_t vu_backend_features(const struct vu_backend *be);
/* Tell the front end the configuration changed (BACKEND_REQ channel), if it can be told. */
void vu_backend_config_changed(struct vu_backend *be);
void vu_backend_fini(struct vu_backend *be);

/* Test hook, declared in vq.h: vq_crash_hook(enum vq_crash_point) is called between the steps of pop,
 * push, notify and recovery. */

#endif
