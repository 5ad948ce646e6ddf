/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Test rig for bulkhead-block: plays the vmm (memory, boot channel, front end, restart) and the guest
 * (a virtio-blk driver on one split ring). The driver obeys EVENT_IDX in both directions, so a lost kick
 * or call makes it hang, which the rig reports.
 */
#ifndef BULKHEAD_TESTS_PROTO_VBLK_RIG_H
#define BULKHEAD_TESTS_PROTO_VBLK_RIG_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "ipc/control.h"
#include "vhost-user/virtio-blk-spec.h"
#include "vhost-user/vu-frontend.h"
#include "vhost-user/vu-spec.h"

#define RIG_RAM   (16u << 20)
#define RIG_SPLIT (8u << 20) /* two regions meet here */
#define RIG_QSZ   64
#define RIG_SLOTS 16         /* requests in flight at most */
#define RIG_BLOCK 4096u

struct rig_request {
    bool busy;
    uint32_t type;
    uint64_t block, version;
    uint32_t len;
};

struct rig {
    const char *program, *image;
    uint8_t *ram;
    int ram_fd, code_fd, state_fd;
    struct abi_codepage *codepage;
    struct vu_frontend fe;
    int kick, call;
    pid_t pid;
    int pidfd, log_fd;
    struct ctl_peer ctl;
    uint32_t generation;

    /* Configuration of the next incarnation. */
    uint32_t crash_at, sandbox;
    bool readonly, direct, discard, with_state, wait_event;
    const char *cache;
    long fsize_limit; /* 0 = none */
    const char *werror, *detect, *base, *format; /* NULL = not said; base: FD_IMAGE 1, read-only */
    bool snapshot, copy_on_read;
    const uint64_t *throttle; /* 13 values */
    uint64_t features;

    struct vring_desc_s *desc;
    struct vring_avail_s *avail;
    struct vring_used_s *used;
    uint16_t avail_idx, last_used;
    struct rig_request req[RIG_SLOTS];
    unsigned inflight;
    uint8_t last_status;
    char events[4096]; /* names of the device events seen */
};

#define CHECK(c)                                                                                   \
    do {                                                                                           \
        if (!(c))                                                                                  \
            rig_fail(__FILE__, __LINE__, #c);                                                      \
    } while (0)
void rig_fail(const char *file, int line, const char *what) __attribute__((noreturn));

void rig_init(struct rig *r, const char *program, const char *image);
/* Starts an incarnation and connects; started rings are restarted. false: it died meanwhile. */
bool rig_spawn(struct rig *r);
/* Connects to another program's back end instead; rig_wait then waits for calls only. */
bool rig_attach(struct rig *r, const char *path);
void rig_rings_clear(struct rig *r); /* what a driver does after a reset */
volatile struct vblk_header *rig_header(struct rig *r, unsigned slot);
void rig_reap(struct rig *r);   /* waits for its death, disconnects */
void rig_kill(struct rig *r);   /* SIGKILL and reap */
void rig_shutdown(struct rig *r); /* orderly: expects exit status 0 */
void rig_events_read(struct rig *r);

/* Submits into a free slot (which must exist). The data of a write is stamped for block/version. */
unsigned rig_submit(struct rig *r, uint32_t type, uint64_t block, uint64_t version);
/* Waits up to timeout_ms for a call or the child's death; returns completions handled through `done`,
 * -1 when the child is dead. */
int rig_wait(struct rig *r, int timeout_ms,
             void (*done)(struct rig *r, unsigned slot, uint8_t status));
int rig_harvest(struct rig *r, void (*done)(struct rig *r, unsigned slot, uint8_t status));
/* One request, alone; its status. */
uint8_t rig_one(struct rig *r, uint32_t type, uint64_t block, uint64_t version);

uint8_t *rig_data(struct rig *r, unsigned slot); /* RIG_BLOCK bytes, contiguous */
void rig_stamp(uint8_t *buf, uint64_t block, uint64_t version);
bool rig_stamp_ok(const uint8_t *buf, uint64_t block, uint64_t version);

#endif
