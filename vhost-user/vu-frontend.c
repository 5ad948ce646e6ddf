/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connection, requests and configuration space of the front end. The back end is hostile: every reply
 * has a deadline and is checked against the table. Must never wait for a reply without serving the
 * back end's own requests, or the two would wait for each other.
 */
#include "vhost-user/vu-frontend-internal.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "ipc/fds.h"
#include "ipc/log.h"
#include "ipc/loop.h"

#define PROTO_KNOWN                                                                                \
    (VU_PROTO_MQ | VU_PROTO_REPLY_ACK | VU_PROTO_BACKEND_REQ | VU_PROTO_CONFIG |                   \
     VU_PROTO_INFLIGHT_SHMFD | VU_PROTO_RESET_DEVICE | VU_PROTO_STATUS)
#define REQUESTS_PER_WAIT 16 /* of the back end, while a reply is due: more is a storm */

void vu_frontend_init(struct vu_frontend *fe, const char *name, unsigned nqueues)
{
    memset(fe, 0, sizeof(*fe));
    fe->fd = fe->req_fd = fe->inflight_fd = -1;
    fe->nqueues = nqueues < VU_FE_QUEUES_MAX ? nqueues : VU_FE_QUEUES_MAX;
    fe->timeout_ms = 2000;
    snprintf(fe->name, sizeof(fe->name), "%s", name);
    for (unsigned i = 0; i < VU_FE_QUEUES_MAX; i++)
        fe->q[i].kick_fd = fe->q[i].call_fd = fe->q[i].err_fd = -1;
    for (unsigned i = 0; i < VU_FE_REGIONS; i++)
        fe->region[i].fd = -1;
}

void vu_frontend_set_memory(struct vu_frontend *fe, const struct vu_fe_region *r, unsigned n,
                            void *(*gpa_to_hva)(void *opaque, uint64_t gpa, uint64_t len),
                            void *opaque)
{
    fe->nregions = n < VU_FE_REGIONS ? n : VU_FE_REGIONS;
    memcpy(fe->region, r, fe->nregions * sizeof(*r));
    fe->gpa_to_hva = gpa_to_hva;
    fe->mem_opaque = opaque;
}

/* One request of the back end, if there is one. 1 = served, 0 = none, -errno. */
static int serve_one(struct vu_frontend *fe)
{
    struct vu_msg m;
    struct pollfd pf = {.fd = fe->req_fd, .events = POLLIN};
    if (fe->req_fd < 0 || poll(&pf, 1, 0) <= 0)
        return 0;
    int r = vu_msg_recv(fe->req_fd, &m, fe->timeout_ms);
    if (r < 0)
        return r;
    bool ok = m.h.request == VU_BE_CONFIG_CHANGE && m.h.size == 0 && m.nfds == 0 &&
              !(m.h.flags & VU_FLAG_REPLY);
    vu_msg_close_fds(&m);
    if (!ok)
        return -EPROTO;
    fe->config_pending = true;
    if (m.h.flags & VU_FLAG_NEED_REPLY) {
        vu_msg_init(&m, VU_BE_CONFIG_CHANGE, 8);
        m.h.flags |= VU_FLAG_REPLY;
        r = vu_msg_send(fe->req_fd, &m, 0);
    }
    return r < 0 ? r : 1;
}

/* Until the first byte of a reply is there. #syscalls:vmm poll recvmsg sendmsg close */
static int reply_wait(struct vu_frontend *fe, uint64_t deadline)
{
    for (unsigned served = 0; served < REQUESTS_PER_WAIT;) {
        uint64_t now = ipc_now_ns();
        if (now >= deadline)
            return -ETIMEDOUT;
        struct pollfd pf[2] = {{.fd = fe->fd, .events = POLLIN},
                               {.fd = fe->req_fd, .events = POLLIN}};
        int n = poll(pf, 2, (int)((deadline - now) / 1000000 + 1));
        if (n < 0 && errno != EINTR)
            return -errno;
        if (n <= 0)
            continue;
        if (pf[0].revents)
            return 0;
        int r = serve_one(fe);
        if (r < 0)
            return r;
        served++;
    }
    return -EPROTO;
}

static int reply_recv(struct vu_frontend *fe, struct vu_msg *m, uint32_t request, bool ack)
{
    uint64_t deadline = ipc_now_ns() + (uint64_t)fe->timeout_ms * 1000000;
    int r = reply_wait(fe, deadline);
    if (r < 0)
        return r;
    uint64_t now = ipc_now_ns();
    r = vu_msg_recv(fe->fd, m, now < deadline ? (int)((deadline - now) / 1000000) : 0);
    if (r < 0)
        return r;
    r = vu_msg_check_reply(m, request, ack);
    if (r < 0)
        vu_msg_close_fds(m);
    return r;
}

/* Why a back end was given up, once, where it happened. */
static int failed(struct vu_frontend *fe, uint32_t request, int err)
{
    if (err < 0)
        log_warn("%s: back end failed at %s: %s", fe->name, vu_request_name(request),
                 strerror(-err));
    return err;
}

int vu_fe_send(struct vu_frontend *fe, struct vu_msg *m)
{
    if (fe->fd < 0)
        return -ENOTCONN;
    return failed(fe, m->h.request, vu_msg_send(fe->fd, m, fe->timeout_ms));
}

int vu_fe_call(struct vu_frontend *fe, struct vu_msg *m)
{
    uint32_t request = m->h.request;
    int r = vu_fe_send(fe, m);
    return r < 0 ? r : failed(fe, request, reply_recv(fe, m, request, false));
}

int vu_fe_send_acked(struct vu_frontend *fe, struct vu_msg *m)
{
    uint32_t request = m->h.request;
    struct vu_msg ack;
    if (!(fe->be_proto & VU_PROTO_REPLY_ACK))
        return vu_fe_send(fe, m);
    m->h.flags |= VU_FLAG_NEED_REPLY;
    int r = vu_fe_send(fe, m);
    if (r == 0)
        r = failed(fe, request, reply_recv(fe, &ack, request, true));
    if (r == 0 && ack.p.u64 != 0)
        r = failed(fe, request, -EREMOTEIO);
    return r;
}

int vu_fe_get_u64(struct vu_frontend *fe, uint32_t request, uint64_t *value)
{
    struct vu_msg m;
    vu_msg_init(&m, request, 0);
    int r = vu_fe_call(fe, &m);
    if (r == 0)
        *value = m.p.u64;
    return r;
}

int vu_fe_set_u64(struct vu_frontend *fe, uint32_t request, uint64_t value)
{
    struct vu_msg m;
    vu_msg_init(&m, request, 8);
    m.p.u64 = value;
    return vu_fe_send(fe, &m);
}

/* #syscalls:vmm socketpair */
static int request_channel_open(struct vu_frontend *fe)
{
    int sv[2];
    struct vu_msg m;
    if (!(fe->be_proto & VU_PROTO_BACKEND_REQ))
        return 0;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, sv) < 0)
        return -errno;
    fe->req_fd = sv[0];
    vu_msg_init(&m, VU_SET_BACKEND_REQ_FD, 0);
    m.fds[0] = sv[1];
    m.nfds = 1;
    int r = vu_fe_send(fe, &m);
    close(sv[1]);
    return r;
}

static int features_learn(struct vu_frontend *fe)
{
    uint64_t features = 0;
    int r = vu_fe_get_u64(fe, VU_GET_FEATURES, &features);
    if (r < 0)
        return r;
    fe->be_proto = 0;
    if (features & VHOST_USER_F_PROTOCOL) {
        r = vu_fe_get_u64(fe, VU_GET_PROTOCOL_FEATURES, &fe->be_proto);
        fe->be_proto &= PROTO_KNOWN;
        if (!(fe->be_proto & VU_PROTO_CONFIG)) /* the request channel is only for its changes */
            fe->be_proto &= ~VU_PROTO_BACKEND_REQ;
        if (r == 0)
            r = vu_fe_set_u64(fe, VU_SET_PROTOCOL_FEATURES, fe->be_proto);
        if (r < 0)
            return r;
    }
    features &= ~VHOST_USER_F_PROTOCOL;
    if ((fe->acked & ~features) ||
        (fe->inflight_fd >= 0 && !(fe->be_proto & VU_PROTO_INFLIGHT_SHMFD))) {
        log_error("%s: the new back end lacks what the guest already uses (features %#llx)",
                  fe->name, (unsigned long long)(fe->acked & ~features));
        return -ENOTSUP;
    }
    fe->be_features = fe->known ? fe->be_features & features : features;
    return 0;
}

static int queues_learn(struct vu_frontend *fe)
{
    uint64_t n = fe->nqueues;
    int r = 0;
    if (fe->be_proto & VU_PROTO_MQ)
        r = vu_fe_get_u64(fe, VU_GET_QUEUE_NUM, &n);
    if (r == 0)
        fe->max_queues = n < VU_FE_QUEUES_MAX ? (unsigned)n : VU_FE_QUEUES_MAX;
    return r;
}

int vu_frontend_connect(struct vu_frontend *fe, int fd)
{
    struct vu_msg m;
    vu_frontend_disconnect(fe);
    fe->fd = fd;
    int r = ipc_fd_nonblock(fd, true);
    if (r == 0)
        r = features_learn(fe);
    vu_msg_init(&m, VU_SET_OWNER, 0);
    if (r == 0)
        r = vu_fe_send(fe, &m);
    if (r == 0)
        r = queues_learn(fe);
    if (r == 0)
        r = request_channel_open(fe);
    if (r < 0)
        vu_frontend_disconnect(fe);
    else
        fe->known = true;
    return r;
}

void vu_frontend_disconnect(struct vu_frontend *fe)
{
    if (fe->fd >= 0)
        close(fe->fd);
    if (fe->req_fd >= 0)
        close(fe->req_fd);
    fe->fd = fe->req_fd = -1;
}

static int config_prepare(struct vu_frontend *fe, struct vu_msg *m, uint32_t request, uint32_t off,
                          uint32_t len)
{
    if (len > VU_CONFIG_SIZE_MAX || off > VU_CONFIG_SIZE_MAX - len)
        return -EINVAL;
    if (!(fe->be_proto & VU_PROTO_CONFIG))
        return -ENOTSUP;
    vu_msg_init(m, request, (uint32_t)offsetof(struct vu_payload_config, data) + len);
    m->p.config.offset = off;
    m->p.config.size = len;
    return 0;
}

int vu_frontend_config_read(struct vu_frontend *fe, uint32_t off, void *buf, uint32_t len)
{
    struct vu_msg m;
    int r = config_prepare(fe, &m, VU_GET_CONFIG, off, len);
    if (r == 0)
        r = vu_fe_call(fe, &m);
    if (r < 0)
        return r;
    if (m.h.size == 0)
        return -ENXIO;
    if (m.h.size != offsetof(struct vu_payload_config, data) + len || m.p.config.size != len)
        return failed(fe, VU_GET_CONFIG, -EPROTO);
    memcpy(buf, m.p.config.data, len);
    return 0;
}

int vu_frontend_config_write(struct vu_frontend *fe, uint32_t off, const void *buf, uint32_t len)
{
    struct vu_msg m;
    int r = config_prepare(fe, &m, VU_SET_CONFIG, off, len);
    if (r < 0)
        return r;
    memcpy(m.p.config.data, buf, len);
    return vu_fe_send_acked(fe, &m);
}

int vu_frontend_request_fd(const struct vu_frontend *fe)
{
    return fe->req_fd;
}

int vu_frontend_request_serve(struct vu_frontend *fe, bool *config_changed)
{
    int r = 1;
    for (unsigned i = 0; i < REQUESTS_PER_WAIT && r > 0; i++)
        r = serve_one(fe);
    *config_changed = fe->config_pending;
    fe->config_pending = false;
    return r < 0 ? r : 0;
}
