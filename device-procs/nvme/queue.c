/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Queues (NVMe 1.4 section 4): commands are copied into the state, completions are noted there and written
 * after the commit. Must never look at a command twice.
 */
#include <string.h>
#include "device-procs/nvme/nvme.h"

static bool cq_full(const struct nvme_cq *q)
{
    return (uint16_t)((q->tail + 1) % q->size) == q->head;
}

static bool post(struct regdev *d, struct nvme_cmd *c)
{
    const struct nvme_sq *s = &nvme.sq[c->sqid % NVME_QUEUES];
    struct nvme_cq *q = &nvme.cq[s->cqid];
    struct nvme_post *p = &nvme.post[nvme.n_post];

    if (c->sqid >= NVME_QUEUES || !s->used || !q->used)
        return true; /* its queue was deleted: nobody waits */
    if (cq_full(q) || nvme.n_post == NVME_POSTS)
        return false;
    p->gpa = q->base + 16ull * q->tail;
    p->e = (struct nvme_cqe){.result = c->result, .sq_head = s->head, .sqid = c->sqid, .cid = c->cid,
                             .status = (uint16_t)(c->status << 1 | q->phase)};
    nvme.n_post++;
    if (++q->tail == q->size) {
        q->tail = 0;
        q->phase ^= 1;
    }
    if (q->ien)
        regdev_call(d, 1u + q->iv);
    return true;
}

void nvme_complete(struct regdev *d, struct nvme_cmd *c, uint16_t status, uint32_t result)
{
    c->stage = NVME_DONE;
    c->status = status;
    c->result = result;
    if (post(d, c))
        c->stage = NVME_FREE;
}

static struct nvme_cmd *cmd_free(void)
{
    for (unsigned i = 0; i < NVME_COMMANDS; i++)
        if (nvme.cmd[i].stage == NVME_FREE)
            return &nvme.cmd[i];
    return NULL;
}

static void queue_stop(struct regdev *d, unsigned qid)
{
    regdev_guest_error(d, "submission queue %u is not in memory", qid);
    nvme.sq[qid].used = 0;
    nvme.csts |= 2; /* fatal */
}

/* One command of a queue; false: none, or no room. */
static bool take(struct regdev *d, unsigned qid)
{
    struct nvme_sq *s = &nvme.sq[qid];
    struct nvme_cmd *c = s->used && s->head != s->tail ? cmd_free() : NULL;
    struct nvme_sqe e;

    if (!c || nvme.n_post + 2 > NVME_POSTS)
        return false;
    if (!regdev_bus_master(d) || !guestram_read(&d->ram, s->base + 64ull * s->head, &e, sizeof(e))) {
        queue_stop(d, qid);
        return false;
    }
    s->head = (uint16_t)((s->head + 1) % s->size);
    *c = (struct nvme_cmd){.sqid = (uint16_t)qid, .cid = e.cid, .opcode = e.opcode, .stage = NVME_OUT};
    if (e.flags & 0xc0 || e.flags & 3) /* SGLs, fused operations */
        nvme_complete(d, c, NVME_INVALID_FIELD | NVME_DNR, 0);
    else if (qid)
        nvme_io(d, c, &e);
    else
        nvme_admin(d, c, &e);
    return true;
}

void nvme_queues_run(struct regdev *d)
{
    for (unsigned i = 0; i < NVME_COMMANDS; i++)
        if (nvme.cmd[i].stage == NVME_DONE && post(d, &nvme.cmd[i]))
            nvme.cmd[i].stage = NVME_FREE;
    for (unsigned q = 0; q < NVME_QUEUES; q++)
        while (take(d, q))
            ;
}
