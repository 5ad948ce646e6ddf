/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bulkhead-nvme: ties the NVMe controller to its skeleton. Owns power-on, the check of a predecessor's state, the
 * writing of completion entries, and what is done again after a death. Must never open anything.
 */
#include "device-procs/nvme/nvme.h"

struct nvme_state nvme;

_Static_assert(sizeof(struct nvme_state) <= DEVSTATE_ROOM, "fits the state memfd");

static void power_on(struct regdev *d)
{
    (void)d;
    nvme.features[6] = 1;
}

static bool queues_ok(void)
{
    for (unsigned i = 0; i < NVME_QUEUES; i++) {
        const struct nvme_sq *s = &nvme.sq[i];
        const struct nvme_cq *c = &nvme.cq[i];

        if (s->used && (s->size < 2 || s->size > NVME_ENTRIES || s->head >= s->size || s->tail >= s->size ||
                        s->cqid >= NVME_QUEUES))
            return false;
        if (c->used && (c->size < 2 || c->size > NVME_ENTRIES || c->head >= c->size || c->tail >= c->size ||
                        c->iv >= NVME_QUEUES || c->phase > 1))
            return false;
    }
    return true;
}

static bool command_ok(const struct nvme_cmd *c)
{
    if (c->stage == NVME_FREE)
        return true;
    return c->stage < NVME_STAGES && c->sqid <= NVME_QUEUES && c->unit < ABI_DEV_UNITS && c->nsect <= 65536 &&
           c->ranges <= 256 && c->at <= c->ranges;
}

static bool state_ok(struct regdev *d)
{
    (void)d;
    if (nvme.n_post > NVME_POSTS || !queues_ok())
        return false;
    for (unsigned i = 0; i < NVME_COMMANDS; i++)
        if (!command_ok(&nvme.cmd[i]))
            return false;
    return true;
}

/* After the commit: the guest may see a completion only when no death can take it back. */
static void publish(struct regdev *d)
{
    for (unsigned i = 0; i < nvme.n_post; i++) {
        const struct nvme_post *p = &nvme.post[i];

        /* The entry's last four bytes carry the phase: they come last. */
        if (guestram_write(&d->ram, p->gpa, &p->e, 12))
            guestram_write(&d->ram, p->gpa + 12, &p->e.cid, 4);
    }
}

static void step_begin(struct regdev *d)
{
    (void)d;
    nvme.n_post = 0;
}

static void resume(struct regdev *d)
{
    if (nvme.draining) {
        nvme_drained(d);
        return;
    }
    for (unsigned i = 0; i < NVME_COMMANDS; i++)
        if (nvme.cmd[i].stage == NVME_OUT || nvme.cmd[i].stage == NVME_FLUSHING)
            nvme_io_again(d, &nvme.cmd[i]);
    for (unsigned i = 0; i < NVME_QUEUES; i++) /* its message may have died with the predecessor */
        if (nvme.cq[i].used && nvme.cq[i].ien && nvme.cq[i].head != nvme.cq[i].tail)
            regdev_call(d, 1u + nvme.cq[i].iv);
    nvme_queues_run(d);
}

static void disk_done(struct regdev *d, unsigned unit, uint32_t cookie, bool ok)
{
    struct nvme_cmd *c = &nvme.cmd[cookie < NVME_COMMANDS ? cookie : 0];

    if (c->unit != unit || (c->stage != NVME_OUT && c->stage != NVME_FLUSHING))
        return;
    if (nvme.draining) {
        c->stage = NVME_FREE;
        if (!nvme_anything_out())
            nvme_drained(d);
        return;
    }
    nvme_io_done(d, c, ok);
    nvme_queues_run(d);
}

static unsigned lines(struct regdev *d)
{
    (void)d;
    for (unsigned i = 0; i < NVME_QUEUES; i++)
        if (nvme.cq[i].used && nvme.cq[i].ien && nvme.cq[i].head != nvme.cq[i].tail &&
            !(nvme.mask >> nvme.cq[i].iv & 1))
            return 1;
    return 0;
}

int main(int argc, char **argv)
{
    static struct regdev_ops ops = {
        .proc = {.program = "bulkhead-nvme", .role = "nvme", .sbx = SBX_NVME},
        .kind = 0x454d564e, .version = 1,
        .state = &nvme, .state_size = sizeof(nvme),
        .power_on = power_on, .state_ok = state_ok, .resume = resume,
        .step_begin = step_begin, .publish = publish,
        .read = nvme_read, .write = nvme_write, .disk_done = disk_done,
        .lines = lines, .n_lines = 1,
    };

    return regdev_main(argc, argv, &ops);
}
