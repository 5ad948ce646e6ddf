/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The connection of a back end and the life of its rings: receives, checks, dispatches, answers; starts
 * and stops processing. Must never exit because of its front end: it drops the connection and says so.
 */
#include "vhost-user/vu-backend-internal.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "ipc/fds.h"

#define FEATURES_LIBRARY                                                                           \
    (VIRTIO_F_VERSION_1 | VIRTIO_F_EVENT_IDX | VIRTIO_F_INDIRECT_DESC | VIRTIO_F_ANY_LAYOUT |      \
     VHOST_USER_F_PROTOCOL)

uint64_t vu_backend_offer(const struct vu_backend *be)
{
    return be->ops->features | FEATURES_LIBRARY;
}

enum vu_state vu_backend_state(const struct vu_backend *be)
{
    for (unsigned i = 0; i < be->ops->queues; i++)
        if (be->vq[i].live)
            return VU_ST_RUNNING;
    return be->owned ? VU_ST_OWNED : VU_ST_NEW;
}

static void poll_arm(struct vu_backend *be)
{
    for (unsigned i = 0; i < be->ops->queues; i++)
        if (be->vq[i].running && be->vq[i].kick_fd < 0) {
            ipc_timer_set(&be->poll, ipc_now_ns() + VU_POLL_NS);
            return;
        }
}

static void on_poll(void *opaque)
{
    struct vu_backend *be = opaque;
    for (unsigned i = 0; i < be->ops->queues; i++)
        if (be->vq[i].running && be->vq[i].kick_fd < 0)
            be->ops->kick(be->opaque, &be->vq[i]);
    poll_arm(be);
}

/* #syscalls:block read write epoll_ctl
 * #syscalls:net read write epoll_ctl */
static void on_kick(void *opaque, int fd, uint32_t events)
{
    struct vq *vq = opaque;
    struct vu_backend *be = vq->owner;
    (void)events;
    ipc_eventfd_drain(fd); /* before the ring is looked at, or a kick is lost */
    if (vq->running)
        be->ops->kick(be->opaque, vq);
}

void vu_ring_update(struct vu_backend *be, struct vq *vq)
{
    bool want = vq->started && vq->enabled;
    if (want == vq->running)
        return;
    if (!want) {
        be->ops->queue_stop(be->opaque, vq); /* may still push */
        vq->running = false;
        return;
    }
    bool fresh = !vq->live;
    if (fresh)
        vq_ring_start(vq);
    vq->running = true;
    if (fresh)
        vq_call(vq); /* a predecessor may have died between used index and call */
    be->ops->queue_start(be->opaque, vq);
    poll_arm(be);
}

static void fd_drop(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static void kick_drop(struct vu_backend *be, struct vq *vq)
{
    if (vq->kick_fd >= 0)
        ipc_loop_del(be->loop, vq->kick_fd);
    fd_drop(&vq->kick_fd);
}

int vu_ring_kick_set(struct vu_backend *be, struct vq *vq, int fd)
{
    kick_drop(be, vq);
    if (fd >= 0) {
        int r = ipc_loop_add(be->loop, fd, EPOLLIN, on_kick, vq);
        if (r < 0) {
            close(fd);
            return r;
        }
    }
    vq->kick_fd = fd;
    vq->started = true;
    if (vq->running) { /* exchanged on a live ring: a kick on the old one may be lost */
        be->ops->kick(be->opaque, vq);
        poll_arm(be);
        return 0;
    }
    vu_ring_update(be, vq);
    return 0;
}

uint16_t vu_ring_stop(struct vu_backend *be, struct vq *vq)
{
    vq->started = false;
    vu_ring_update(be, vq);
    if (vq->live)
        vq_ring_stop(vq);
    kick_drop(be, vq);
    fd_drop(&vq->call_fd);
    fd_drop(&vq->err_fd);
    return vq->base;
}

void vu_backend_reset(struct vu_backend *be)
{
    for (unsigned i = 0; i < be->ops->queues; i++) {
        vu_ring_stop(be, &be->vq[i]);
        be->vq[i].enabled = false;
        be->vq[i].base = 0;
    }
    if (be->ops->reset)
        be->ops->reset(be->opaque);
}

void vu_rings_pause(struct vu_backend *be)
{
    for (unsigned i = 0; i < be->ops->queues; i++)
        if (be->vq[i].running)
            be->ops->queue_stop(be->opaque, &be->vq[i]);
}

void vu_rings_resume(struct vu_backend *be)
{
    for (unsigned i = 0; i < be->ops->queues; i++) {
        struct vq *vq = &be->vq[i];
        if (!vq->live)
            continue;
        if (vq_ring_map(vq) < 0)
            vq_break(vq, "its memory was removed");
        if (vq->running)
            be->ops->queue_start(be->opaque, vq);
    }
}

static void connection_drop(struct vu_backend *be)
{
    if (be->fd < 0)
        return;
    ipc_loop_del(be->loop, be->fd);
    fd_drop(&be->fd);
    for (unsigned i = 0; i < be->ops->queues; i++)
        vu_ring_stop(be, &be->vq[i]);
    fd_drop(&be->req_fd);
}

static int answer(struct vu_backend *be, struct vu_msg *m, int result)
{
    bool ack = (m->h.flags & VU_FLAG_NEED_REPLY) && (be->proto & VU_PROTO_REPLY_ACK);
    if (result != VU_REPLY) {
        if (!ack)
            return result; /* a failure that cannot be reported ends the connection */
        m->p.u64 = result == 0 ? 0 : 1;
        m->h.size = 8;
        m->nfds = 0;
    }
    m->h.flags = VU_FLAG_VERSION | VU_FLAG_REPLY;
    return vu_msg_send(be->fd, m, VU_MSG_TIMEOUT_MS);
}

static int serve(struct vu_backend *be, struct vu_msg *m)
{
    int r = vu_msg_check_request(m, vu_backend_state(be));
    if (r == 0)
        r = vu_backend_handle(be, m);
    if (m->h.request != VU_GET_INFLIGHT_FD || r != VU_REPLY)
        vu_msg_close_fds(m); /* what the handler did not take */
    return r == -EPROTO ? r : answer(be, m, r);
}

static void on_message(void *opaque, int fd, uint32_t events)
{
    struct vu_backend *be = opaque;
    struct vu_msg m;
    (void)events;
    int r = vu_msg_recv(fd, &m, VU_MSG_TIMEOUT_MS);
    if (r == 0) {
        r = serve(be, &m);
        if (r < 0)
            log_error("front end dropped: message %s (%u): %s", vu_request_name(m.h.request),
                      m.h.request, strerror(-r));
    } else if (r != -EPIPE) {
        log_error("front end dropped: %s", strerror(-r));
    }
    if (r == 0 || be->fd < 0)
        return;
    connection_drop(be);
    if (be->ops->closed)
        be->ops->closed(be->opaque);
}

size_t vu_backend_size(void)
{
    return sizeof(struct vu_backend);
}

int vu_backend_init(struct vu_backend *be, struct ipc_loop *l, int fd,
                    const struct vu_device_ops *ops, void *opaque)
{
    if (ops->queues == 0 || ops->queues > VU_QUEUES_MAX)
        return -EINVAL;
    memset(be, 0, sizeof(*be));
    be->loop = l;
    be->ops = ops;
    be->opaque = opaque;
    be->fd = fd;
    be->req_fd = be->own_fd = -1;
    for (unsigned i = 0; i < VU_QUEUES_MAX; i++) {
        vq_init(&be->vq[i], i, &be->mem, "virtio");
        be->vq[i].owner = be;
    }
    int r = ipc_fd_nonblock(fd, true);
    if (r == 0)
        r = ipc_timer_init(&be->poll, l, on_poll, be);
    if (r == 0 && ops->inflight)
        r = vu_journal_create(be);
    if (r == 0)
        r = ipc_loop_add(l, fd, EPOLLIN, on_message, be);
    return r;
}

void vu_backend_set_codepage(struct vu_backend *be, struct abi_codepage *cp, uint64_t pages)
{
    be->mem.codepage = cp;
    be->mem.codepage_pages = pages;
}

struct vq *vu_backend_vq(struct vu_backend *be, unsigned index)
{
    return index < be->ops->queues ? &be->vq[index] : NULL;
}

struct vu_mem *vu_backend_mem(struct vu_backend *be)
{
    return &be->mem;
}

uint64_t vu_backend_features(const struct vu_backend *be)
{
    return be->features;
}

void vu_backend_config_changed(struct vu_backend *be)
{
    struct vu_msg m;
    if (be->req_fd < 0)
        return;
    vu_msg_init(&m, VU_BE_CONFIG_CHANGE, 0);
    if (vu_msg_send(be->req_fd, &m, 0) < 0)
        log_warn("the front end could not be told of a configuration change");
}

void vu_backend_fini(struct vu_backend *be)
{
    connection_drop(be);
    ipc_timer_fini(&be->poll);
    vu_journal_drop(be);
    if (be->own_map)
        munmap(be->own_map, be->own_len);
    be->own_map = NULL;
    fd_drop(&be->own_fd);
    vu_mem_clear(&be->mem);
}
