/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What lies between the card and the outside: a network back end takes frames of the guest and
 * gives frames for it. Owns the interface only; a back end knows no virtqueue, a card no socket.
 */
#ifndef BULKHEAD_NET_PROC_BACKEND_BACKEND_H
#define BULKHEAD_NET_PROC_BACKEND_BACKEND_H

#include <linux/virtio_net.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Ethernet header plus the largest IP packet, rounded: also the largest unsegmented TCP frame. */
#define NET_FRAME_MAX 65550

/* What a frame still needs (checksum, segmentation): the header of virtio 1.2, 5.1.6, with
 * num_buffers 0. All zero: the frame is complete. */
typedef struct virtio_net_hdr_v1 net_todo;

enum {
    NET_CAN_SEGMENT = 1, /* takes one long TCP segment whole, its checksum complete */
    NET_CAN_FINISH = 2,  /* takes a frame with everything its header says undone */
};

struct net_backend {
    void *opaque;
    unsigned can; /* NET_CAN_*: the card does the rest before it calls input */
    /* A frame of the guest, len 14..NET_FRAME_MAX; the callee copies what it keeps. false: it has no
     * room and did nothing; offer the frame again after sink.room. */
    bool (*input)(void *opaque, const uint8_t *frame, size_t len, const net_todo *todo);
    /* A batch of input calls is over: send what is pending, look at the timers. Optional. */
    void (*input_done)(void *opaque);
    /* The card cannot take more frames for now (or can again). Advice, not a promise. Optional. */
    void (*hold)(void *opaque, bool on);
    /* What the driver takes undone: VIRTIO_NET_F_GUEST_* of `features`. Optional. */
    void (*features)(void *opaque, uint64_t features);
    /* Opens (or closes) a forwarded port: struct net_hostfwd. 0, or -errno with a line in err. Optional. */
    int (*forward)(void *opaque, const void *rule, bool add, char *err, size_t errlen);
    /* Text about connections for `info usernet`; cut to cap, always terminated. Optional. */
    void (*info)(void *opaque, char *out, size_t cap);
};
struct net_sink { /* the card, as a back end sees it */
    void *opaque;
    /* A frame for the guest; copied or dropped before it returns. todo NULL: complete, and its
     * checksums are known to be right. */
    void (*frame)(void *opaque, const uint8_t *frame, size_t len, const net_todo *todo);
    /* A batch of frames is over: tell the guest now. */
    void (*frames_done)(void *opaque);
    /* After input said no: there is room. */
    void (*room)(void *opaque);
};

#endif
