/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The control protocol: one table names every message with its bounds, descriptor count, direction and
 * the states it is allowed in. Dispatcher, names, negative tests and docs/protocol/control.md come
 * from this table. Unpacking happens in a bounded arena; a message that breaks its row never reaches
 * a handler.
 */
#ifndef BULKHEAD_IPC_CONTROL_H
#define BULKHEAD_IPC_CONTROL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "ipc/proto/control.pb-c.h"

#define CTL_VERSION 1
#define CTL_FD      3 /* bootstrap: control channel in every child */
#define CTL_LOG_FD  4 /* bootstrap: log channel in every child */

enum ctl_state { CTL_ST_NEW = 1, CTL_ST_BOOTING = 2, CTL_ST_RUNNING = 4 };
#define CTL_ANY (CTL_ST_NEW | CTL_ST_BOOTING | CTL_ST_RUNNING)
enum ctl_dir { CTL_TO_CHILD = 1, CTL_TO_VMM = 2 };

/*       id  name          protobuf type     min  max    fds  direction     states          */
#define CTL_MESSAGES(M)                                                                            \
    M(1,  HELLO,        hello,        2, 128,   0,   CTL_TO_VMM,   CTL_ST_NEW)                     \
    M(2,  BOOT,         boot,         8, 65000, 250, CTL_TO_CHILD, CTL_ST_NEW)                     \
    M(3,  READY,        ready,        2, 1024,  0,   CTL_TO_VMM,   CTL_ST_BOOTING)                 \
    M(4,  PING,         ping,         2, 16,    0,   CTL_TO_CHILD, CTL_ST_RUNNING)                 \
    M(5,  PONG,         pong,         2, 16,    0,   CTL_TO_VMM,   CTL_ST_RUNNING)                 \
    M(6,  SHUTDOWN,     shutdown,     0, 0,     0,   CTL_TO_CHILD, CTL_ANY)                        \
    M(7,  WORKER_RUN,   worker_run,   2, 16,    0,   CTL_TO_CHILD, CTL_ST_RUNNING)                 \
    M(8,  WORKER_PAUSE, worker_pause, 2, 16,    0,   CTL_TO_CHILD, CTL_ST_RUNNING)                 \
    M(9,  WORKER_RESET, worker_reset, 2, 16,    0,   CTL_TO_CHILD, CTL_ST_RUNNING)                 \
    M(10, WORKER_ACK,   worker_ack,   2, 16,    0,   CTL_TO_VMM,   CTL_ST_RUNNING)                 \
    M(11, WORKER_EVENT, worker_event, 2, 1024,  0,   CTL_TO_VMM,   CTL_ST_RUNNING)                 \
    M(12, DEVICE_EVENT, device_event, 2, 1024,  0,   CTL_TO_VMM,   CTL_ST_BOOTING | CTL_ST_RUNNING)\
    M(13, NET_LINK,     net_link,     2, 16,    0,   CTL_TO_CHILD, CTL_ST_RUNNING)                 \
    M(14, INFO_REQUEST, info_request, 4, 256,   0,   CTL_TO_CHILD, CTL_ST_RUNNING)                 \
    M(15, INFO_REPLY,   info_reply,   4, 32768, 0,   CTL_TO_VMM,   CTL_ST_RUNNING)                 \
    M(16, NET_FORWARD,  net_forward,  4, 512,   0,   CTL_TO_CHILD, CTL_ST_RUNNING)                 \
    M(17, BLOCK_CONTROL, block_control, 2, 256, 0,  CTL_TO_CHILD, CTL_ST_RUNNING)                 \
    M(20, SCREENDUMP,   screendump,   4, 16,    1,   CTL_TO_CHILD, CTL_ST_RUNNING)                 \
    M(21, SCREENDUMP_DONE, screendump_done, 4, 16, 0, CTL_TO_VMM,  CTL_ST_RUNNING)                 \
    M(22, VNC_PASSWORD, vnc_password, 4, 64,    0,   CTL_TO_CHILD, CTL_ST_RUNNING)

enum ctl_msg {
#define M(id, NAME, type, min, max, fds, dir, st) CTL_##NAME = id,
    CTL_MESSAGES(M)
#undef M
};

struct ctl_header { /* in front of the protobuf bytes in each packet */
    uint16_t type;
    uint16_t version;    /* CTL_VERSION */
    uint32_t generation; /* of the child; a message of an older one is dropped by the vmm */
};

const char *ctl_msg_name(unsigned type); /* "BOOT", or "?" */

/* A received message: `msg` lives in the receiver's arena until the next ctl_recv on it. */
struct ctl_arena {
    size_t used;
    uint8_t mem[65536] __attribute__((aligned(16)));
};
struct ctl_peer {
    int fd;
    enum ctl_dir incoming; /* CTL_TO_CHILD in a child, CTL_TO_VMM in the vmm */
    enum ctl_state state;  /* the owner moves it */
    uint32_t generation;
    struct ctl_arena arena;
    uint8_t rxbuf[65536];
};
void ctl_peer_init(struct ctl_peer *p, int fd, enum ctl_dir incoming, uint32_t generation);

/* 1 = message in *type and *msg, its descriptors in fds[0..*nfds) (caller owns them); 0 = hang-up;
 * *nfds: in = room in fds, out = received; fds and nfds may be NULL for "none";
 * -EAGAIN = none within timeout_ms; -EPROTO = the peer broke the protocol (descriptors are closed,
 * the reason is logged): drop it. */
int ctl_recv(struct ctl_peer *p, enum ctl_msg *type, ProtobufCMessage **msg, int *fds,
             unsigned *nfds, int timeout_ms);

/* Packs and sends; msg is the generated struct that belongs to type. 0 or -errno; -EINVAL: the table
 * does not allow this message now. */
int ctl_send(struct ctl_peer *p, enum ctl_msg type, const void *msg, const int *fds, unsigned nfds,
             int timeout_ms);

#endif
