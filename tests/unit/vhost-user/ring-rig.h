/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A queue with its guest memory, without a connection: two adjoining regions and one behind a hole, the
 * rings in the first. The test is the driver.
 */
#ifndef BULKHEAD_TESTS_UNIT_VHOST_USER_RING_RIG_H
#define BULKHEAD_TESTS_UNIT_VHOST_USER_RING_RIG_H

#include <stdio.h>
#include <stdlib.h>
#include "vhost-user/vq-internal.h"

#define CHECK(c)                                                                                   \
    do {                                                                                           \
        if (!(c)) {                                                                                \
            fprintf(stderr, "FAILED %s:%d: %s\n", __FILE__, __LINE__, #c);                         \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

#define REGION    0x100000ull
#define HOLE_GPA  (2 * REGION)  /* nothing here */
#define FAR_GPA   (4 * REGION)  /* third region */
#define FAR_SIZE  (8 * REGION)
#define UVA       0x7000000000ull
#define DESC_GPA  0x1000u
#define AVAIL_GPA 0x6000u
#define USED_GPA  0x8000u
#define TABLE_GPA 0x20000u
#define BUF_GPA   0x40000u

struct ring_rig {
    struct vu_mem mem;
    struct vq vq;
    struct vring_desc_s *desc;
    struct vring_avail_s *avail;
    struct vring_used_s *used;
    uint16_t avail_idx;
    int call;
    struct vu_inflight_split *journal;
    struct vq_elem e;
};

void ring_rig_init(struct ring_rig *r);
/* A ring of num entries, started; journal: keep one. Memory of the rings is zeroed if fresh. */
void ring_rig_start(struct ring_rig *r, unsigned num, uint64_t features, bool journal, bool fresh);
void ring_rig_desc(struct ring_rig *r, unsigned i, uint64_t gpa, uint32_t len, uint16_t flags,
                   uint16_t next);
void ring_rig_post(struct ring_rig *r, uint16_t head);
void *ring_rig_at(struct ring_rig *r, uint64_t gpa);

#endif
