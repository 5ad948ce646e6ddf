/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The virtio-blk device: ties queues, requests, I/O threads and the image together in the loop thread.
 * What must survive its death is in guest memory, the inflight journal or the state memory.
 */
#ifndef BULKHEAD_BLOCK_PROC_VIRTIO_BLK_H
#define BULKHEAD_BLOCK_PROC_VIRTIO_BLK_H

#include "block-proc/gate.h"
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

enum blk_detect { DETECT_OFF, DETECT_ON, DETECT_UNMAP };

struct blk_options {
    bool readonly, discard;
    bool snapshot;      /* the top image is an empty file: what is written goes there and is forgotten */
    bool copy_on_read;  /* what is read from a backing file is kept in the image */
    enum blk_detect detect; /* writes of zeros */
    enum gate_policy werror, rerror;
    uint32_t logical, physical; /* block sizes; physical 0 = what the file is aligned to */
    uint64_t throttle[THROTTLE_VALUES];
    size_t n_throttle;
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
    struct blk_gate gate;
    bool stopped; /* the vmm was told that a request is parked */
    struct blk_req *free;
    struct blk_req req[BLK_REQS];
    unsigned outstanding[VU_QUEUES_MAX]; /* requests in the I/O threads, per queue */
    struct ipc_ratelimit event_rl;
};

/* Everything but the image (img is open). sock becomes the device's. 0 or -errno. */
int blk_init(struct blk *b, struct devproc *p, int sock, const struct blk_options *opt,
             struct blk_state *state);
/* Orders of the vmm while the device runs. 0 or -errno. */
int blk_control(struct blk *b, const Ctl__BlockControl *m);
/* Completes what is in flight and makes it durable. */
void blk_fini(struct blk *b);

#endif
