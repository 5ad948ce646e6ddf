/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What lies between the card and the outside: a network back end takes frames of the guest and
 * gives frames for it. Owns the interface only; a back end knows no virtqueue, a card no socket.
 */
#ifndef BULKHEAD_NET_PROC_BACKEND_BACKEND_H
#define BULKHEAD_NET_PROC_BACKEND_BACKEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Ethernet header plus the largest IP packet, rounded: also the largest unsegmented TCP frame. */
#define NET_FRAME_MAX 65550

struct net_backend {
    void *opaque;
    /* A frame of the guest, len 14..NET_FRAME_MAX; the callee copies what it keeps. */
    void (*input)(void *opaque, const uint8_t *frame, size_t len);
    /* A batch of input calls is over: send what is pending, look at the timers. */
    void (*input_done)(void *opaque);
    /* The card cannot take more frames for now (or can again). Advice, not a promise. */
    void (*hold)(void *opaque, bool on);
    /* Text about connections for `info usernet`; cut to cap, always terminated. */
    void (*info)(void *opaque, char *out, size_t cap);
};
struct net_sink { /* the card, as a back end sees it */
    void *opaque;
    /* A frame for the guest; copied or dropped before it returns. */
    void (*frame)(void *opaque, const uint8_t *frame, size_t len);
    /* A batch of frames is over: tell the guest now. */
    void (*frames_done)(void *opaque);
};

#endif
