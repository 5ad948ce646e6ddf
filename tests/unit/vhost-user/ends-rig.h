/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Both ends of vhost-user in one process: a back end with a device that completes every chain at once, in
 * a thread of its own, and a front end whose driver is the test.
 */
#ifndef BULKHEAD_TESTS_UNIT_VHOST_USER_ENDS_RIG_H
#define BULKHEAD_TESTS_UNIT_VHOST_USER_ENDS_RIG_H

#include <pthread.h>
#include "tests/unit/vhost-user/ring-rig.h"
#include "vhost-user/vu-backend-internal.h"
#include "vhost-user/vu-frontend-internal.h"

#define RAM (4u << 20)
#define NUM 16u

extern uint8_t *ram;
extern int ram_fd;
extern struct vu_frontend fe;
extern struct vring_avail_s *avail;
extern struct vring_used_s *used;

struct echo { /* the device; counts what it was told */
    struct ipc_loop loop;
    struct vu_backend be;
    struct vu_device_ops ops;
    int quit_fd;
    pthread_t thread;
    unsigned starts, stops, kicks, closed, resets, processed;
    uint64_t features;
};

void ends_init(void); /* memory; once */
void echo_begin(struct echo *d, int sock, bool inflight);
void echo_end(struct echo *d);
void fe_make(void); /* a fresh front end and fresh rings of two queues, the first enabled */
void fe_drop(void);
int connect_pair(struct echo *d, bool inflight); /* vu_frontend_connect to a new echo device */
void post(uint16_t n, bool kick);                /* n chains on queue 0 */
bool wait_used(uint16_t want);
bool stays_at(uint16_t idx); /* nothing more is completed for 100 ms */
bool called(void);

#endif
