/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One virtio-blk request: taken apart from a descriptor chain in the loop thread, carried out in an
 * I/O thread, completed in the loop thread again. Its memory belongs to a fixed table.
 */
#ifndef BULKHEAD_BLOCK_PROC_REQUEST_H
#define BULKHEAD_BLOCK_PROC_REQUEST_H

#include "block-proc/image/image.h"
#include "vhost-user/virtio-blk-spec.h"
#include "vhost-user/vq.h"

#define BLK_SEGMENTS_MAX    32u
#define BLK_SEGMENT_SECTORS (4u << 20) /* 2 GiB in one discard or write-zeroes segment */

struct blk_req {
    struct blk_req *next;
    struct vq *vq;
    uint32_t type;
    uint64_t sector;
    uint64_t len;         /* bytes of data */
    struct iovec *data;   /* inside elem.iov, header and status cut off */
    unsigned ndata;
    uint8_t *status;      /* the last writable byte */
    unsigned nseg;
    struct vblk_segment seg[BLK_SEGMENTS_MAX]; /* private copy */
    bool sync;            /* fdatasync before completion */
    bool discard;         /* storage may be given back */
    bool detect, detect_unmap; /* zeros are written as zeros, and may be given back */
    bool copy_on_read;
    int err;              /* result: 0 or -errno */
    struct vq_elem elem;
};

/* Takes the chain in req->elem apart. -EBADMSG: header or status are missing, the queue is to be
 * broken. Otherwise *status is VBLK_S_OK: to be carried out, or the final status. GET_ID is
 * answered here with `serial`. */
int blk_req_parse(struct blk_req *req, const struct img *img, const char *serial, uint8_t *status);
/* Carries it out; sets err. In an I/O thread; io is the thread's. */
void blk_req_run(struct blk_req *req, struct img *img, struct img_io *io);
/* Gives the element its original shape back (the status byte was cut off). */
void blk_req_restore(struct blk_req *req);
const char *blk_req_name(const struct blk_req *req);

#endif
