/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See ring-rig.h.
 */
#include "tests/unit/vhost-user/ring-rig.h"

#include <string.h>
#include "ipc/fds.h"
#include "ipc/memfd.h"

void ring_rig_init(struct ring_rig *r)
{
    memset(r, 0, sizeof(*r));
    static const uint64_t gpa[3] = {0, REGION, FAR_GPA};
    for (unsigned i = 0; i < 3; i++) {
        uint64_t size = gpa[i] == FAR_GPA ? FAR_SIZE : REGION;
        int fd = ipc_memfd_create("test", size, 0);
        CHECK(fd >= 0);
        CHECK(vu_mem_add(&r->mem, gpa[i], size, UVA + gpa[i], 0, fd) == 0);
    }
    r->desc = ring_rig_at(r, DESC_GPA);
    r->avail = ring_rig_at(r, AVAIL_GPA);
    r->used = ring_rig_at(r, USED_GPA);
    r->journal = calloc(1, vu_inflight_stride(VQ_SIZE_MAX));
    r->call = ipc_eventfd_create();
    CHECK(r->journal && r->call >= 0);
}

void ring_rig_start(struct ring_rig *r, unsigned num, uint64_t features, bool journal, bool fresh)
{
    if (fresh) {
        memset(r->desc, 0, 0xf000);
        memset(r->journal, 0, vu_inflight_stride(VQ_SIZE_MAX));
        r->avail_idx = 0;
    }
    vq_init(&r->vq, 0, &r->mem, "test");
    r->vq.num = num;
    r->vq.features = features;
    r->vq.desc_uva = UVA + DESC_GPA;
    r->vq.avail_uva = UVA + AVAIL_GPA;
    r->vq.used_uva = UVA + USED_GPA;
    r->vq.call_fd = r->call;
    r->vq.journal = journal ? r->journal : NULL;
    r->vq.journal_num = (uint16_t)num;
    vq_ring_start(&r->vq);
    r->vq.running = true;
}

void ring_rig_desc(struct ring_rig *r, unsigned i, uint64_t gpa, uint32_t len, uint16_t flags,
                   uint16_t next)
{
    r->desc[i] = (struct vring_desc_s){gpa, len, flags, next};
}

void ring_rig_post(struct ring_rig *r, uint16_t head)
{
    r->avail->ring[r->avail_idx++ & (r->vq.num - 1)] = head;
    r->avail->idx = r->avail_idx;
}

void *ring_rig_at(struct ring_rig *r, uint64_t gpa)
{
    void *p = vu_mem_gpa(&r->mem, gpa, 1, NULL);
    CHECK(p);
    return p;
}
