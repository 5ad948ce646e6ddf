/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The virtio-blk device: ties queues, requests, I/O threads and the image together in the loop thread.
 * What must survive its death is in guest memory, the inflight journal or the state memory.
 */
#ifndef BULKHEAD_BLOCK_PROC_VIRTIO_BLK_H
#define BULKHEAD_BLOCK_PROC_VIRTIO_BLK_H

#include "block-proc/pool.h"
#include "device-procs/runtime/devproc.h"
#include "vhost-user/vu-backend.h"

#define BLK_REQS    64
#define BLK_SEG_MAX 126 /* fits a queue of 128 */

/* The device's state memfd (FD_STATE): survives incarnations, hostile input when read. */
#define BLK_STATE_MAGIC   0x426b6c62u
#define BLK_STATE_VERSION 2
struct blk_state {
    uint32_t magic;
    uint16_t version;
    uint8_t valid;     /* writeback was chosen by the driver */
    uint8_t writeback;
    uint8_t opened;    /* an incarnation in this machine has opened the image, repaired if need be */
    uint8_t pad[7];
};
_Static_assert(sizeof(struct blk_state) == 16, "state layout");

enum blk_cache { BLK_WRITEBACK, BLK_WRITETHROUGH, BLK_NONE, BLK_DIRECTSYNC, BLK_UNSAFE };

struct blk_options {
    bool readonly, discard;
    enum blk_cache cache;
    unsigned queues;
    char serial[VBLK_ID_BYTES + 1];
};

struct blk {
    struct devproc *proc;
    struct vu_backend *be;
    struct vu_device_ops ops;
    struct blk_options opt;
    struct blk_state *state; /* NULL: the driver may not choose the cache mode */
    bool writeback;          /* the default, or what the driver chose */
    bool starved;            /* a queue was left with chains because the table was full */
    struct img *img;
    struct img_io io; /* of the loop thread: opening and closing */
    struct blk_pool pool;
    struct blk_req *free;
    struct blk_req req[BLK_REQS];
    unsigned outstanding[VU_QUEUES_MAX]; /* requests in the I/O threads, per queue */
    struct ipc_ratelimit event_rl;
};

/* Everything but the image (img is open). sock becomes the device's. 0 or -errno. */
int blk_init(struct blk *b, struct devproc *p, int sock, const struct blk_options *opt,
             struct blk_state *state);
/* Completes what is in flight and makes it durable. */
void blk_fini(struct blk *b);

#endif
