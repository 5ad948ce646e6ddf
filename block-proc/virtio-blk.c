/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio-blk back end: configuration space, and the way of a request from queue to I/O thread and
 * back. A failing image is told to the guest as an I/O error and to the vmm as an event; the process
 * goes on. Must never allocate or sleep while the device runs, but in queue_stop.
 */
#include "block-proc/virtio-blk.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include "ipc/fds.h"

static struct vu_backend *backend_memory(void)
{
    static uint64_t mem[(256u << 10) / sizeof(uint64_t)];
    return vu_backend_size() <= sizeof(mem) ? (struct vu_backend *)(void *)mem : NULL;
}

static uint64_t features_offered(const struct blk *b)
{
    uint64_t f = VIRTIO_BLK_F_SEG_MAX_BIT | VIRTIO_BLK_F_BLK_SIZE_BIT | VIRTIO_BLK_F_TOPOLOGY_BIT |
                 VIRTIO_BLK_F_FLUSH_BIT;
    f |= b->opt.readonly ? VIRTIO_BLK_F_RO_BIT
                         : VIRTIO_BLK_F_DISCARD_BIT | VIRTIO_BLK_F_WRITE_ZEROES_BIT;
    if (b->opt.queues > 1)
        f |= VIRTIO_BLK_F_MQ_BIT;
    if (b->state)
        f |= VIRTIO_BLK_F_CONFIG_WCE_BIT;
    return f;
}

/* log2 of logical blocks in a physical one. */
static uint8_t physical_exponent(const struct blk *b)
{
    uint32_t physical = b->opt.physical ? b->opt.physical : b->img->file->align == 4096 ? 4096 : b->opt.logical;
    uint8_t e = 0;
    while (b->opt.logical << e < physical)
        e++;
    return e;
}

static int config_get(void *opaque, uint32_t off, uint32_t size, uint8_t *out)
{
    struct blk *b = opaque;
    /* Front ends that know a longer layout read zeros behind ours. */
    uint8_t space[256] = {0};
    struct vblk_config c = {
        .capacity = b->img->size / VBLK_SECTOR,
        .seg_max = BLK_SEG_MAX,
        .blk_size = b->opt.logical,
        .physical_block_exp = physical_exponent(b),
        .min_io_size = 1,
        .writeback = b->writeback,
        .num_queues = (uint16_t)b->opt.queues,
        .max_discard_sectors = BLK_SEGMENT_SECTORS,
        .max_discard_seg = BLK_SEGMENTS_MAX,
        .discard_sector_alignment = 8,
        .max_write_zeroes_sectors = BLK_SEGMENT_SECTORS,
        .max_write_zeroes_seg = BLK_SEGMENTS_MAX,
        .write_zeroes_may_unmap = b->opt.discard,
    };
    if (off > sizeof(space) || size > sizeof(space) - off)
        return -EINVAL;
    memcpy(space, &c, sizeof(c));
    memcpy(out, space + off, size);
    return 0;
}

/* Only the cache mode is writable; it outlives this process in the state memory. */
static int config_set(void *opaque, uint32_t off, uint32_t size, const uint8_t *in)
{
    struct blk *b = opaque;
    if (off != offsetof(struct vblk_config, writeback) || size != 1 || !b->state ||
        !(vu_backend_features(b->be) & VIRTIO_BLK_F_CONFIG_WCE_BIT))
        return -EINVAL;
    b->writeback = in[0] & 1;
    b->state->writeback = b->writeback;
    __atomic_store_n(&b->state->valid, 1, __ATOMIC_RELEASE);
    return 0;
}

static bool writeback_default(const struct blk *b)
{
    return b->opt.cache != BLK_WRITETHROUGH && b->opt.cache != BLK_DIRECTSYNC;
}

static void reset(void *opaque)
{
    struct blk *b = opaque;
    b->writeback = writeback_default(b);
    if (b->state)
        b->state->valid = 0;
}

static void state_load(struct blk *b)
{
    b->writeback = writeback_default(b);
    if (!b->state)
        return;
    struct blk_state s = *b->state;
    if (s.magic == BLK_STATE_MAGIC && s.version == BLK_STATE_VERSION) {
        if (s.valid == 1)
            b->writeback = s.writeback & 1;
        b->state->opened = 1;
        return;
    }
    memset(b->state, 0, sizeof(*b->state));
    b->state->magic = BLK_STATE_MAGIC;
    b->state->version = BLK_STATE_VERSION;
    b->state->opened = 1;
}

/* Section 5.2.5.2: a driver that did not take FLUSH cannot flush, so every write must be durable. */
static bool sync_wanted(const struct blk *b, uint32_t type)
{
    bool flush = vu_backend_features(b->be) & VIRTIO_BLK_F_FLUSH_BIT;
    if (b->opt.cache == BLK_UNSAFE || type == VBLK_IN)
        return false;
    return type == VBLK_FLUSH || !flush || !b->writeback;
}

static void complete(struct blk *b, struct blk_req *req, uint8_t status)
{
    struct vq_elem *e = &req->elem;
    *req->status = status;
    blk_req_restore(req);
    vq_push_iov(req->vq, e->head, &e->iov[e->n_out], e->n_in, (uint32_t)e->in_len);
    req->next = b->free;
    b->free = req;
}

/* action: what the guest or the machine sees of it. The first "stop" is always told: the vmm acts on it. */
static void error_report(struct blk *b, const struct blk_req *req, const char *action, const char *reason)
{
    bool stop = !strcmp(action, "stop") && !b->stopped;
    b->stopped = b->stopped || stop;
    if (!ipc_ratelimit_ok(&b->event_rl, 10, 10) && !stop)
        return;
    log_error("%s at sector %" PRIu64 ": %s", blk_req_name(req), req->sector, reason);
    devproc_event(b->proc, "BLOCK_IO_ERROR", "operation=%s sector=%" PRIu64 " action=%s reason=%s",
                  blk_req_name(req), req->sector, action, reason);
}

/* One popped request: answered at once, or on its way to an I/O thread. True: answered. */
static bool dispatch(struct blk *b, struct blk_req *req)
{
    uint8_t status;
    if (blk_req_parse(req, b->img, b->opt.serial, &status) < 0) {
        vq_break(req->vq, "request without header or status");
        req->next = b->free;
        b->free = req;
        return false;
    }
    bool direct = status != VBLK_S_OK || req->type == VBLK_GET_ID ||
                  (req->type == VBLK_FLUSH && !sync_wanted(b, req->type));
    if (req->elem.poisoned) {
        error_report(b, req, "report", "the request killed this process twice");
        status = VBLK_S_IOERR;
        direct = true;
    }
    if (direct) {
        complete(b, req, status);
        return true;
    }
    req->sync = sync_wanted(b, req->type);
    req->discard = b->opt.discard;
    req->detect = b->opt.detect != DETECT_OFF;
    req->detect_unmap = b->opt.detect == DETECT_UNMAP;
    req->copy_on_read = b->opt.copy_on_read;
    b->outstanding[vq_index(req->vq)]++;
    vq_suspect(req->vq, req->elem.head, false); /* waiting harms nobody */
    gate_submit(&b->gate, req);
    return false;
}

/* One chain of the queue. 1 = taken, 0 = none or no room. */
static int take_one(struct blk *b, struct vq *vq, bool *answered)
{
    struct blk_req *req = b->free;
    if (!req) {
        b->starved = true;
        return 0;
    }
    if (vq_pop(vq, &req->elem) != 1)
        return 0;
    b->free = req->next;
    req->vq = vq;
    *answered |= dispatch(b, req);
    return 1;
}

static void process(void *opaque, struct vq *vq)
{
    bool answered = false;
    while (take_one(opaque, vq, &answered) == 1)
        ;
    if (answered)
        vq_notify(vq);
}

static void finish(struct blk *b, struct blk_req *req)
{
    static const char *const actions[] = {"report", "ignore", "stop"};
    uint8_t status = VBLK_S_OK;
    if (req->err < 0) {
        enum gate_policy p = gate_failed(&b->gate, req);
        error_report(b, req, actions[p], strerror(-req->err));
        if (p == GATE_STOP)
            return; /* it waits for `cont` */
        status = p == GATE_IGNORE ? VBLK_S_OK : VBLK_S_IOERR;
    }
    b->outstanding[vq_index(req->vq)]--;
    complete(b, req, status);
}

/* Completes what the I/O threads handed back, then tells each queue's driver once. */
static void collect(struct blk *b, bool wait)
{
    bool touched[VU_QUEUES_MAX] = {false};
    struct blk_req *req = blk_pool_collect(&b->pool, wait), *next;
    for (; req; req = next) {
        next = req->next;
        touched[vq_index(req->vq)] = true;
        finish(b, req);
    }
    for (unsigned i = 0; i < b->opt.queues; i++)
        if (touched[i])
            vq_notify(vu_backend_vq(b->be, i));
}

static void on_done(void *opaque, int fd, uint32_t events)
{
    struct blk *b = opaque;
    (void)events;
    ipc_eventfd_drain(fd);
    collect(b, false);
    if (!b->starved)
        return;
    b->starved = false;
    for (unsigned i = 0; i < b->opt.queues; i++)
        process(b, vu_backend_vq(b->be, i));
}

/* Everything taken from the ring is finished first, what a dead incarnation had taken included. */
static void queue_stop(void *opaque, struct vq *vq)
{
    struct blk *b = opaque;
    bool answered = false;
    for (;;) {
        while (vq_resubmits_pending(vq) && !vq_broken(vq) && take_one(b, vq, &answered) == 1)
            ;
        struct blk_req *parked = gate_drain(&b->gate, vq);
        if (parked) { /* nobody will ask for it again */
            b->outstanding[vq_index(vq)]--;
            complete(b, parked, VBLK_S_IOERR);
            answered = true;
            continue;
        }
        if (b->outstanding[vq_index(vq)] == 0)
            break;
        collect(b, true);
    }
    if (answered)
        vq_notify(vq);
}

static void closed(void *opaque)
{
    struct blk *b = opaque;
    b->proc->loop.quit = true;
}

int blk_init(struct blk *b, struct devproc *p, int sock, const struct blk_options *opt,
             struct blk_state *state)
{
    b->proc = p;
    b->opt = *opt;
    b->state = state;
    state_load(b);
    for (unsigned i = 0; i < BLK_REQS; i++) {
        b->req[i].next = b->free;
        b->free = &b->req[i];
    }
    b->ops = (struct vu_device_ops){.features = features_offered(b),
                                    .queues = opt->queues,
                                    .inflight = true,
                                    .config_get = config_get,
                                    .config_set = config_set,
                                    .queue_start = process,
                                    .queue_stop = queue_stop,
                                    .kick = process,
                                    .closed = closed,
                                    .reset = reset};
    b->be = backend_memory();
    if (!b->be)
        return -ENOMEM;
    b->gate.werror = opt->werror;
    b->gate.rerror = opt->rerror;
    int r = opt->n_throttle ? throttle_set(&b->gate.throttle, opt->throttle, opt->n_throttle) : 0;
    if (r < 0)
        log_error("the rate limits contradict each other");
    if (r == 0)
        r = blk_pool_start(&b->pool, b->img);
    if (r == 0)
        r = gate_init(&b->gate, &p->loop, &b->pool);
    if (r == 0)
        r = ipc_loop_add(&p->loop, b->pool.done_fd, EPOLLIN, on_done, b);
    if (r == 0)
        r = vu_backend_init(b->be, &p->loop, sock, &b->ops, b);
    return r;
}

/* #syscalls:block ftruncate */
static int resize(struct blk *b, uint64_t size)
{
    if (size % VBLK_SECTOR || size == 0)
        return -EINVAL;
    if (b->opt.readonly)
        return -EROFS;
    int r = size == b->img->size ? 0 : img_resize(b->img, size, &b->io);
    if (r < 0) {
        log_error("cannot make the disk %" PRIu64 " bytes long: %s", size, strerror(-r));
        devproc_event(b->proc, "BLOCK_RESIZE_FAILED", "size=%" PRIu64 " reason=%s", size, strerror(-r));
        return 0; /* the user's business, not a broken channel */
    }
    vu_backend_config_changed(b->be);
    return 0;
}

int blk_control(struct blk *b, const Ctl__BlockControl *m)
{
    switch (m->kind) {
    case CTL__BLOCK_CONTROL__KIND__RETRY:
        b->stopped = false;
        gate_retry(&b->gate);
        return 0;
    case CTL__BLOCK_CONTROL__KIND__RESIZE:
        return resize(b, m->size);
    case CTL__BLOCK_CONTROL__KIND__THROTTLE:
        return gate_limit(&b->gate, m->throttle, m->n_throttle);
    default:
        return -EPROTO;
    }
}

void blk_fini(struct blk *b)
{
    vu_backend_fini(b->be); /* stops the rings: nothing is in flight afterwards */
    int r = b->opt.cache == BLK_UNSAFE ? 0 : img_flush(b->img, &b->io);
    if (r < 0)
        log_error("final flush: %s", strerror(-r));
    img_close(b->img, &b->io);
}
