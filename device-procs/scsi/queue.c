/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The three queues: requests, control, events. Must never take a chain while requests of a dead predecessor are still with
 * a drive.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include "device-procs/scsi/scsi.h"
#include "ipc/fds.h"

#define STOP_POLL_MS 100
#define EVENTS_MAX   64u

static struct vu_backend *backend_memory(void)
{
    static uint64_t mem[(256u << 10) / sizeof(uint64_t)];
    return vu_backend_size() <= sizeof(mem) ? (struct vu_backend *)(void *)mem : NULL;
}

static uint32_t data_room(const struct vscsi_req *r)
{
    const struct vq_elem *e = &r->elem;
    uint64_t in = e->in_len - sizeof(struct vscsi_response), out = e->out_len - sizeof(struct vscsi_header);

    return (uint32_t)(out ? out : in);
}

void vscsi_finish(struct vscsi_req *r, uint8_t response, uint8_t status)
{
    struct vq_elem *e = &r->elem;
    struct vscsi_response a = {.status = status, .response = response};
    uint32_t room = data_room(r);

    if (status == SCSI_CHECK_CONDITION) {
        scsi_sense_put(&vscsi_state.lun[r->unit].sense, a.sense);
        a.sense_len = 18;
        r->moved = 0;
    }
    a.residual = room > r->moved ? room - r->moved : 0;
    buf_to_iov(&e->iov[e->n_out], e->n_in, 0, &a, sizeof(a));
    vq_push(r->vq, e, (uint32_t)e->in_len);
    r->out = false;
    r->next = vscsi.free;
    vscsi.free = r;
    vscsi.outstanding--;
    vscsi.answered = true;
}

static bool request_take(struct vq *vq)
{
    struct vscsi_req *r = vscsi.free;

    if (!r || vq_pop(vq, &r->elem) != 1)
        return false;
    if (r->elem.out_len < sizeof(struct vscsi_header) || r->elem.in_len < sizeof(struct vscsi_response)) {
        vq_break(vq, "request without header or response");
        return false;
    }
    vscsi.free = r->next;
    vscsi.outstanding++;
    r->vq = vq;
    r->out = true;
    if (r->elem.poisoned)
        vscsi_finish(r, VSCSI_S_FAILURE, SCSI_GOOD);
    else
        vscsi_command(r);
    return true;
}

/* 5.6.6.2: whatever is to be aborted is over soon; nothing is ever kept from ending. */
static bool control_take(struct vq *vq)
{
    static struct vq_elem e;
    uint32_t type = 0;
    uint8_t ok[5] = {0};

    if (vq_pop(vq, &e) != 1)
        return false;
    iov_to_buf(e.iov, e.n_out, 0, &type, sizeof(type));
    if (type == 0) /* task management: one byte; else no event is supported: a word, and a byte */
        buf_to_iov(&e.iov[e.n_out], e.n_in, 0, ok, 1);
    else
        buf_to_iov(&e.iov[e.n_out], e.n_in, 0, ok, 5);
    vq_push(vq, &e, (uint32_t)e.in_len);
    vscsi.answered = true;
    return true;
}

static void queue_run(struct vq *vq)
{
    unsigned index = vq_index(vq);

    if (!vscsi.dev->ready || index == VSCSI_EVENT) /* buffers for events wait in their ring */
        return;
    vscsi.answered = false;
    while (index == VSCSI_REQUEST ? request_take(vq) : control_take(vq))
        ;
    if (vscsi.answered)
        vq_notify(vq);
}

void vscsi_queues_run(void)
{
    struct vq *vq = vu_backend_vq(vscsi.be, VSCSI_REQUEST);

    if (vscsi.answered)
        vq_notify(vq);
    queue_run(vq);
}

static void process(void *opaque, struct vq *vq)
{
    (void)opaque;
    queue_run(vq);
    regdev_step_end(vscsi.dev);
}

static void links_wait(void)
{
    struct pollfd p[ABI_DEV_UNITS];
    unsigned n = 0;

    for (unsigned i = 0; i < ABI_DEV_UNITS; i++)
        if (vscsi.dev->link[i].there)
            p[n++] = (struct pollfd){.fd = vscsi.dev->link[i].l.call, .events = POLLIN};
    poll(p, n, STOP_POLL_MS);
    for (unsigned i = 0; i < ABI_DEV_UNITS; i++)
        if (vscsi.dev->link[i].there)
            disklink_poll(&vscsi.dev->link[i].l);
}

/* Everything taken is finished first, what a dead predecessor had taken included; a drive that does not answer costs
 * this process its life, by the front end's deadline. #syscalls:scsi poll */
static void queue_stop(void *opaque, struct vq *vq)
{
    (void)opaque;
    if (vq_index(vq) != VSCSI_REQUEST)
        return;
    while (!vscsi.dev->ready) {
        links_wait();
        regdev_look(vscsi.dev);
    }
    while (vscsi.outstanding || (vq_resubmits_pending(vq) && !vq_broken(vq))) {
        if (vq_resubmits_pending(vq) && !vq_broken(vq))
            request_take(vq);
        regdev_step_end(vscsi.dev);
        if (vscsi.outstanding)
            links_wait();
    }
    vq_notify(vq);
}

static int config_get(void *opaque, uint32_t off, uint32_t size, uint8_t *out)
{
    uint8_t space[256] = {0};
    struct vscsi_config c = {
        .num_queues = 1, .seg_max = 126, .max_sectors = 2048, .cmd_per_lun = 32, .event_info_size = 16,
        .sense_size = VSCSI_SENSE, .cdb_size = 32, .max_target = ABI_DEV_UNITS - 1,
    };

    (void)opaque;
    if (off > sizeof(space) || size > sizeof(space) - off)
        return -EINVAL;
    memcpy(space, &c, sizeof(c));
    memcpy(out, space + off, size);
    return 0;
}

static void closed(void *opaque)
{
    (void)opaque;
    vscsi.dev->proc->loop.quit = true;
}

int vscsi_backend_init(struct regdev *d, int sock)
{
    vscsi.dev = d;
    for (unsigned i = 0; i < VSCSI_REQS; i++) {
        vscsi.req[i].next = vscsi.free;
        vscsi.free = &vscsi.req[i];
    }
    vscsi.ops = (struct vu_device_ops){.queues = VSCSI_QUEUES, .inflight = true, .config_get = config_get,
                                       .queue_start = process, .queue_stop = queue_stop, .kick = process,
                                       .closed = closed};
    vscsi.be = backend_memory();
    return vscsi.be ? vu_backend_init(vscsi.be, &d->proc->loop, sock, &vscsi.ops, NULL) : -ENOMEM;
}
