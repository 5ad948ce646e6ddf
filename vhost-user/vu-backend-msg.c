/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One handler per vhost-user message, dispatched from the table. Sizes, descriptor counts and states
 * were checked against the row before a handler runs. A handler takes the descriptors it keeps; the
 * rest are closed by the caller.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>
#include "ipc/fds.h"
#include "vhost-user/vu-backend-internal.h"

#define PROTO_LIBRARY                                                                              \
    (VU_PROTO_MQ | VU_PROTO_REPLY_ACK | VU_PROTO_BACKEND_REQ | VU_PROTO_CONFIG |                   \
     VU_PROTO_RESET_DEVICE | VU_PROTO_MEM_SLOTS | VU_PROTO_STATUS)

static int reply_u64(struct vu_msg *m, uint64_t v)
{
    m->p.u64 = v;
    m->h.size = 8;
    return VU_REPLY;
}

static struct vq *queue_of(struct vu_backend *be, uint64_t index)
{
    return index < be->ops->queues ? &be->vq[index] : NULL;
}

static int handle_GET_FEATURES(struct vu_backend *be, struct vu_msg *m)
{
    return reply_u64(m, vu_backend_offer(be));
}

static int handle_SET_FEATURES(struct vu_backend *be, struct vu_msg *m)
{
    if (m->p.u64 & ~vu_backend_offer(be))
        return -EPROTO;
    be->features = m->p.u64 & ~VHOST_USER_F_PROTOCOL;
    for (unsigned i = 0; i < be->ops->queues; i++)
        be->vq[i].features = be->features;
    if (be->ops->features_set)
        be->ops->features_set(be->opaque, be->features);
    /* Without bit 30 there is no SET_VRING_ENABLE: all rings are enabled. */
    for (unsigned i = 0; !(m->p.u64 & VHOST_USER_F_PROTOCOL) && i < be->ops->queues; i++) {
        be->vq[i].enabled = true;
        vu_ring_update(be, &be->vq[i]);
    }
    return 0;
}

static int handle_SET_OWNER(struct vu_backend *be, struct vu_msg *m)
{
    (void)m;
    be->owned = true;
    return 0;
}

static int handle_RESET_OWNER(struct vu_backend *be, struct vu_msg *m)
{
    (void)be, (void)m; /* deprecated by the specification: ignore */
    return 0;
}

static int mem_add(struct vu_backend *be, const struct vu_payload_region *r, int fd)
{
    if (fd < 0)
        return -EPROTO;
    int err = vu_mem_add(&be->mem, r->gpa, r->size, r->uva, r->mmap_off, fd);
    if (err < 0)
        log_error("memory region %#llx+%#llx refused: %s", (unsigned long long)r->gpa,
                  (unsigned long long)r->size, strerror(-err));
    return err;
}

static int handle_SET_MEM_TABLE(struct vu_backend *be, struct vu_msg *m)
{
    const struct vu_payload_mem *t = &m->p.mem;
    if (t->n > VU_MEM_TABLE_MAX || t->n != m->nfds || m->h.size < 8 + t->n * sizeof(t->r[0]))
        return -EPROTO;
    int err = 0;
    vu_rings_pause(be);
    vu_mem_clear(&be->mem);
    for (unsigned i = 0; i < t->n && err == 0; i++)
        err = mem_add(be, &t->r[i], vu_msg_take_fd(m, i));
    vu_rings_resume(be);
    return err;
}

static int handle_ADD_MEM_REG(struct vu_backend *be, struct vu_msg *m)
{
    /* Existing mappings do not move: running rings need no pause. */
    return mem_add(be, &m->p.slot.r, vu_msg_take_fd(m, 0));
}

static int handle_REM_MEM_REG(struct vu_backend *be, struct vu_msg *m)
{
    const struct vu_payload_region *r = &m->p.slot.r;
    vu_rings_pause(be);
    int err = vu_mem_remove(&be->mem, r->gpa, r->size, r->uva);
    vu_rings_resume(be);
    return err;
}

static int handle_GET_MAX_MEM_SLOTS(struct vu_backend *be, struct vu_msg *m)
{
    (void)be;
    return reply_u64(m, VU_REGIONS_MAX);
}

static int handle_SET_VRING_NUM(struct vu_backend *be, struct vu_msg *m)
{
    struct vq *vq = queue_of(be, m->p.state.index);
    if (!vq || vq->live)
        return -EPROTO;
    vq->num = m->p.state.num; /* the guest may have chosen it: checked when the ring starts */
    return 0;
}

static int handle_SET_VRING_ADDR(struct vu_backend *be, struct vu_msg *m)
{
    const struct vu_payload_addr *a = &m->p.addr;
    struct vq *vq = queue_of(be, a->index);
    if (!vq || vq->live)
        return -EPROTO;
    vq->desc_uva = a->desc;
    vq->avail_uva = a->avail;
    vq->used_uva = a->used;
    return 0;
}

static int handle_SET_VRING_BASE(struct vu_backend *be, struct vu_msg *m)
{
    struct vq *vq = queue_of(be, m->p.state.index);
    if (!vq || vq->live)
        return -EPROTO;
    vq->base = (uint16_t)m->p.state.num;
    return 0;
}

static int handle_GET_VRING_BASE(struct vu_backend *be, struct vu_msg *m)
{
    struct vq *vq = queue_of(be, m->p.state.index);
    if (!vq)
        return -EPROTO;
    m->p.state.num = vu_ring_stop(be, vq);
    return VU_REPLY;
}

/* Queue and descriptor of a KICK, CALL or ERR message. The descriptor may not block us. */
static struct vq *vring_fd(struct vu_backend *be, struct vu_msg *m, int *fd)
{
    struct vq *vq = queue_of(be, m->p.u64 & VU_VRING_INDEX_MASK);
    bool nofd = m->p.u64 & VU_VRING_NOFD;
    if (!vq || nofd != (m->nfds == 0))
        return NULL;
    *fd = vu_msg_take_fd(m, 0);
    if (*fd >= 0)
        ipc_fd_nonblock(*fd, true);
    return vq;
}

static int handle_SET_VRING_KICK(struct vu_backend *be, struct vu_msg *m)
{
    int fd;
    struct vq *vq = vring_fd(be, m, &fd);
    return vq ? vu_ring_kick_set(be, vq, fd) : -EPROTO;
}

static int handle_SET_VRING_CALL(struct vu_backend *be, struct vu_msg *m)
{
    int fd;
    struct vq *vq = vring_fd(be, m, &fd);
    if (!vq)
        return -EPROTO;
    if (vq->call_fd >= 0)
        close(vq->call_fd);
    vq->call_fd = fd;
    if (vq->running)
        vq_call(vq); /* one may have been due while there was no descriptor */
    return 0;
}

static int handle_SET_VRING_ERR(struct vu_backend *be, struct vu_msg *m)
{
    int fd;
    struct vq *vq = vring_fd(be, m, &fd);
    if (!vq)
        return -EPROTO;
    if (vq->err_fd >= 0)
        close(vq->err_fd);
    vq->err_fd = fd;
    return 0;
}

static int handle_GET_PROTOCOL_FEATURES(struct vu_backend *be, struct vu_msg *m)
{
    uint64_t v = PROTO_LIBRARY | be->ops->protocol_features;
    return reply_u64(m, be->ops->inflight ? v | VU_PROTO_INFLIGHT_SHMFD : v);
}

static int handle_SET_PROTOCOL_FEATURES(struct vu_backend *be, struct vu_msg *m)
{
    be->proto = m->p.u64;
    return 0;
}

static int handle_GET_QUEUE_NUM(struct vu_backend *be, struct vu_msg *m)
{
    return reply_u64(m, be->ops->queues);
}

static int handle_SET_VRING_ENABLE(struct vu_backend *be, struct vu_msg *m)
{
    struct vq *vq = queue_of(be, m->p.state.index);
    if (!vq || m->p.state.num > 1)
        return -EPROTO;
    vq->enabled = m->p.state.num;
    vu_ring_update(be, vq);
    return 0;
}

static int handle_SET_BACKEND_REQ_FD(struct vu_backend *be, struct vu_msg *m)
{
    if (be->req_fd >= 0)
        close(be->req_fd);
    be->req_fd = vu_msg_take_fd(m, 0);
    return 0;
}

static bool config_range_ok(const struct vu_msg *m)
{
    const struct vu_payload_config *c = &m->p.config;
    return c->size <= VU_CONFIG_SIZE_MAX && c->offset <= VU_CONFIG_SIZE_MAX - c->size;
}

static int handle_GET_CONFIG(struct vu_backend *be, struct vu_msg *m)
{
    struct vu_payload_config *c = &m->p.config;
    bool ok = be->ops->config_get && config_range_ok(m);
    if (ok)
        ok = be->ops->config_get(be->opaque, c->offset, c->size, c->data) == 0;
    /* An empty payload tells the front end that there is no such part. */
    m->h.size = ok ? (uint32_t)offsetof(struct vu_payload_config, data) + c->size : 0;
    return VU_REPLY;
}

static int handle_SET_CONFIG(struct vu_backend *be, struct vu_msg *m)
{
    const struct vu_payload_config *c = &m->p.config;
    if (!config_range_ok(m) || m->h.size < offsetof(struct vu_payload_config, data) + c->size)
        return -EPROTO;
    if (!be->ops->config_set)
        return 0; /* read-only device: a write is the guest's mistake and changes nothing */
    be->ops->config_set(be->opaque, c->offset, c->size, c->data);
    return 0;
}

static int handle_GET_INFLIGHT_FD(struct vu_backend *be, struct vu_msg *m)
{
    return vu_journal_offer(be, m);
}

static int handle_SET_INFLIGHT_FD(struct vu_backend *be, struct vu_msg *m)
{
    return vu_journal_take(be, m);
}

static int handle_RESET_DEVICE(struct vu_backend *be, struct vu_msg *m)
{
    (void)m;
    vu_backend_reset(be);
    return 0;
}

static int handle_SET_STATUS(struct vu_backend *be, struct vu_msg *m)
{
    be->status = (uint8_t)m->p.u64;
    if (be->status == 0)
        vu_backend_reset(be);
    return 0;
}

static int handle_GET_STATUS(struct vu_backend *be, struct vu_msg *m)
{
    return reply_u64(m, be->status);
}

int vu_backend_handle(struct vu_backend *be, struct vu_msg *m)
{
    switch (m->h.request) {
#define M(id, NAME, ...)                                                                           \
    case VU_##NAME:                                                                                \
        return handle_##NAME(be, m);
        VU_REQUESTS(M)
#undef M
    }
    return -EPROTO;
}
