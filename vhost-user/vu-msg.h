/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The vhost-user message table and codec, for both roles. One table names every message with its
 * bounds, descriptor count, reply and the states it is allowed in; a message that breaks its row
 * never reaches a handler. Every wait has a deadline. Must never interpret a payload.
 */
#ifndef BULKHEAD_VHOST_USER_VU_MSG_H
#define BULKHEAD_VHOST_USER_VU_MSG_H

#include <stdbool.h>
#include "vhost-user/vu-spec.h"

/* State of a connection as the back end sees it. */
enum vu_state { VU_ST_NEW = 1, VU_ST_OWNED = 2, VU_ST_RUNNING = 4 };
#define VU_ST_IDLE (VU_ST_NEW | VU_ST_OWNED)
#define VU_ST_UP   (VU_ST_OWNED | VU_ST_RUNNING)
#define VU_ST_ANY  (VU_ST_NEW | VU_ST_OWNED | VU_ST_RUNNING)

/* Front end -> back end. Sizes are payload bytes. rmin..rmax: the reply's payload, 0 0 = no reply of
 * its own (an acknowledgement where REPLY_ACK asks for one). fmin..fmax: descriptors with the
 * request. rfds: descriptors with the reply.
 *    id  NAME                   min  max  fmin fmax rmin rmax rfds states */
#define VU_REQUESTS(M)                                                                             \
    M(1,  GET_FEATURES,          0,   0,   0,   0,   8,   8,   0,   VU_ST_ANY)                     \
    M(2,  SET_FEATURES,          8,   8,   0,   0,   0,   0,   0,   VU_ST_ANY)                     \
    M(3,  SET_OWNER,             0,   0,   0,   0,   0,   0,   0,   VU_ST_ANY)                     \
    M(4,  RESET_OWNER,           0,   0,   0,   0,   0,   0,   0,   VU_ST_ANY)                     \
    M(5,  SET_MEM_TABLE,         8,   264, 0,   8,   0,   0,   0,   VU_ST_UP)                      \
    M(8,  SET_VRING_NUM,         8,   8,   0,   0,   0,   0,   0,   VU_ST_UP)                      \
    M(9,  SET_VRING_ADDR,        40,  40,  0,   0,   0,   0,   0,   VU_ST_UP)                      \
    M(10, SET_VRING_BASE,        8,   8,   0,   0,   0,   0,   0,   VU_ST_UP)                      \
    M(11, GET_VRING_BASE,        8,   8,   0,   0,   8,   8,   0,   VU_ST_UP)                      \
    M(12, SET_VRING_KICK,        8,   8,   0,   1,   0,   0,   0,   VU_ST_UP)                      \
    M(13, SET_VRING_CALL,        8,   8,   0,   1,   0,   0,   0,   VU_ST_UP)                      \
    M(14, SET_VRING_ERR,         8,   8,   0,   1,   0,   0,   0,   VU_ST_UP)                      \
    M(15, GET_PROTOCOL_FEATURES, 0,   0,   0,   0,   8,   8,   0,   VU_ST_ANY)                     \
    M(16, SET_PROTOCOL_FEATURES, 8,   8,   0,   0,   0,   0,   0,   VU_ST_IDLE)                    \
    M(17, GET_QUEUE_NUM,         0,   0,   0,   0,   8,   8,   0,   VU_ST_ANY)                     \
    M(18, SET_VRING_ENABLE,      8,   8,   0,   0,   0,   0,   0,   VU_ST_UP)                      \
    M(21, SET_BACKEND_REQ_FD,    0,   0,   1,   1,   0,   0,   0,   VU_ST_ANY)                     \
    M(24, GET_CONFIG,            12,  268, 0,   0,   12,  268, 0,   VU_ST_ANY)                     \
    M(25, SET_CONFIG,            12,  268, 0,   0,   0,   0,   0,   VU_ST_ANY)                     \
    M(31, GET_INFLIGHT_FD,       20,  24,  0,   0,   20,  24,  1,   VU_ST_IDLE)                    \
    M(32, SET_INFLIGHT_FD,       20,  24,  1,   1,   0,   0,   0,   VU_ST_IDLE)                    \
    M(34, RESET_DEVICE,          0,   0,   0,   0,   0,   0,   0,   VU_ST_ANY)                     \
    M(36, GET_MAX_MEM_SLOTS,     0,   0,   0,   0,   8,   8,   0,   VU_ST_ANY)                     \
    M(37, ADD_MEM_REG,           40,  40,  1,   1,   0,   0,   0,   VU_ST_UP)                      \
    M(38, REM_MEM_REG,           40,  40,  0,   1,   0,   0,   0,   VU_ST_UP)                      \
    M(39, SET_STATUS,            8,   8,   0,   0,   0,   0,   0,   VU_ST_ANY)                     \
    M(40, GET_STATUS,            0,   0,   0,   0,   8,   8,   0,   VU_ST_ANY)

enum vu_request {
#define M(id, NAME, ...) VU_##NAME = id,
    VU_REQUESTS(M)
#undef M
};

/* Back end -> front end, on the channel of SET_BACKEND_REQ_FD. */
enum vu_be_request { VU_BE_CONFIG_CHANGE = 2 };

struct vu_row {
    const char *name; /* NULL: no such message */
    uint16_t min, max;
    uint8_t fds_min, fds_max;
    uint16_t reply_min, reply_max;
    uint8_t reply_fds;
    uint8_t states;
};
/* Row of a request, never NULL; row->name is NULL when the id is unknown. */
const struct vu_row *vu_row_get(uint32_t request);
const char *vu_request_name(uint32_t request);

struct vu_msg {
    struct vu_header h;
    union vu_payload p;
    int fds[VU_MSG_FDS_MAX]; /* owned by whoever holds the message; -1 where taken */
    unsigned nfds;
};

/* All of these return 0 or -errno: -EPIPE hang-up, -ETIMEDOUT deadline, -EPROTO broken message. */

/* Sends h.size payload bytes, descriptors with the first byte. fds stay the caller's. */
int vu_msg_send(int sock, const struct vu_msg *m, int timeout_ms);
/* Receives one message, checked only for version and size of the union; descriptors beyond
 * VU_MSG_FDS_MAX are an error. On error nothing is left open. */
int vu_msg_recv(int sock, struct vu_msg *m, int timeout_ms);
/* A request against its row: sizes, descriptors, state, REPLY bit. */
int vu_msg_check_request(const struct vu_msg *m, enum vu_state state);
/* A reply to `request`: id, REPLY bit, sizes. ack: an acknowledgement is expected. */
int vu_msg_check_reply(const struct vu_msg *m, uint32_t request, bool ack);
void vu_msg_close_fds(struct vu_msg *m);
/* Takes descriptor i out of the message; -1 if there is none. */
int vu_msg_take_fd(struct vu_msg *m, unsigned i);
void vu_msg_init(struct vu_msg *m, uint32_t request, uint32_t size);

#endif
