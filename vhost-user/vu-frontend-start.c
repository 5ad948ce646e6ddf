/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Starting and stopping the rings of a back end, first time and after a death. Owns the inflight
 * memory: kept while back ends come and go, dropped when the driver resets the device. Must never
 * hand out memory that a back end could shrink.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "ipc/fds.h"
#include "ipc/log.h"
#include "ipc/memfd.h"
#include "vhost-user/vu-frontend-internal.h"

#define INFLIGHT_SIZE_MAX (16u << 20)

static int memory_send(struct vu_frontend *fe)
{
    struct vu_msg m;
    vu_msg_init(&m, VU_SET_MEM_TABLE,
                8 + fe->nregions * (uint32_t)sizeof(struct vu_payload_region));
    m.p.mem.n = fe->nregions;
    for (unsigned i = 0; i < fe->nregions; i++) {
        const struct vu_fe_region *r = &fe->region[i];
        m.p.mem.r[i] = (struct vu_payload_region){r->gpa, r->size, r->gpa + VU_FE_UVA_BASE,
                                                  r->offset};
        m.fds[m.nfds++] = r->fd;
    }
    return vu_fe_send_acked(fe, &m);
}

/* A back end's region may hold initial contents: copy them into memory nobody can resize. Only shared
 * memory is read (it has seals), because another kind of file could block us for ever.
 * #syscalls:vmm pread64 pwrite64 write memfd_create ftruncate fcntl fchmod */
static int inflight_copy(int from, uint64_t off, uint64_t size)
{
    uint8_t buf[4096];
    if (fcntl(from, F_GET_SEALS) < 0)
        return -EPROTO;
    int fd = ipc_memfd_create("inflight", size, IPC_SEALS_SIZE);
    for (uint64_t done = 0; fd >= 0 && done < size;) {
        size_t want = size - done < sizeof(buf) ? (size_t)(size - done) : sizeof(buf);
        ssize_t n = pread(from, buf, want, (off_t)(off + done));
        if (n == 0)
            break; /* shorter than it said: the rest stays zero */
        if (n < 0 || pwrite(fd, buf, (size_t)n, (off_t)done) != n) {
            close(fd);
            return -EIO;
        }
        done += (uint64_t)n;
    }
    return fd;
}

static uint16_t largest_queue(const struct vu_frontend *fe)
{
    uint16_t size = 0;
    for (unsigned i = 0; i < fe->nqueues; i++)
        if (fe->q[i].enabled && fe->q[i].size > size)
            size = fe->q[i].size;
    return size;
}

static int inflight_get(struct vu_frontend *fe)
{
    struct vu_msg m;
    vu_msg_init(&m, VU_GET_INFLIGHT_FD, sizeof(m.p.inflight));
    m.p.inflight.queues = (uint16_t)fe->nqueues;
    m.p.inflight.queue_size = largest_queue(fe);
    int r = vu_fe_call(fe, &m);
    if (r < 0)
        return r;
    struct vu_payload_inflight *i = &m.p.inflight;
    if (i->mmap_size == 0 || m.nfds == 0) {
        log_warn("%s: the back end keeps no inflight journal", fe->name);
    } else if (i->mmap_size > INFLIGHT_SIZE_MAX || i->mmap_off > INFLIGHT_SIZE_MAX) {
        r = -EPROTO;
    } else {
        r = inflight_copy(m.fds[0], i->mmap_off, i->mmap_size);
        if (r >= 0) {
            fe->inflight_fd = r;
            fe->inflight_size = i->mmap_size;
            fe->inflight_off = 0;
        }
    }
    vu_msg_close_fds(&m);
    return r < 0 ? r : 0;
}

static int inflight_send(struct vu_frontend *fe)
{
    struct vu_msg m;
    if (!(fe->be_proto & VU_PROTO_INFLIGHT_SHMFD))
        return 0;
    int r = fe->inflight_fd < 0 ? inflight_get(fe) : 0;
    if (r < 0 || fe->inflight_fd < 0)
        return r;
    vu_msg_init(&m, VU_SET_INFLIGHT_FD, sizeof(m.p.inflight));
    m.p.inflight = (struct vu_payload_inflight){.mmap_size = fe->inflight_size,
                                                .mmap_off = fe->inflight_off,
                                                .queues = (uint16_t)fe->nqueues,
                                                .queue_size = largest_queue(fe)};
    m.fds[0] = fe->inflight_fd;
    m.nfds = 1;
    return vu_fe_send_acked(fe, &m);
}

static void inflight_drop(struct vu_frontend *fe)
{
    if (fe->inflight_fd >= 0)
        close(fe->inflight_fd);
    fe->inflight_fd = -1;
}

/* Where the dead back end was: what it completed is in the used ring. Right for devices that complete
 * in order; those that do not keep a journal, which overrides this. */
static void base_recover(struct vu_frontend *fe, struct vu_fe_queue *q)
{
    uint16_t *p = fe->gpa_to_hva ? fe->gpa_to_hva(fe->mem_opaque, q->used_gpa + 2, 2) : NULL;
    if (p)
        q->base = __atomic_load_n(p, __ATOMIC_ACQUIRE);
}

static int state_send(struct vu_frontend *fe, uint32_t request, unsigned index, uint32_t num)
{
    struct vu_msg m;
    vu_msg_init(&m, request, sizeof(m.p.state));
    m.p.state = (struct vu_payload_state){index, num};
    return vu_fe_send(fe, &m);
}

static int fd_send(struct vu_frontend *fe, uint32_t request, unsigned index, int fd)
{
    struct vu_msg m;
    vu_msg_init(&m, request, 8);
    m.p.u64 = index | (fd < 0 ? VU_VRING_NOFD : 0);
    if (fd >= 0) {
        m.fds[0] = fd;
        m.nfds = 1;
    }
    return vu_fe_send(fe, &m);
}

static int addr_send(struct vu_frontend *fe, unsigned index)
{
    const struct vu_fe_queue *q = &fe->q[index];
    struct vu_msg m;
    vu_msg_init(&m, VU_SET_VRING_ADDR, sizeof(m.p.addr));
    m.p.addr.index = index;
    m.p.addr.desc = q->desc_gpa + VU_FE_UVA_BASE;
    m.p.addr.avail = q->avail_gpa + VU_FE_UVA_BASE;
    m.p.addr.used = q->used_gpa + VU_FE_UVA_BASE;
    return vu_fe_send(fe, &m);
}

static int queue_send(struct vu_frontend *fe, unsigned i)
{
    struct vu_fe_queue *q = &fe->q[i];
    int r = state_send(fe, VU_SET_VRING_NUM, i, q->size);
    if (r == 0)
        r = state_send(fe, VU_SET_VRING_BASE, i, q->base);
    if (r == 0)
        r = addr_send(fe, i);
    if (r == 0 && q->err_fd >= 0)
        r = fd_send(fe, VU_SET_VRING_ERR, i, q->err_fd);
    if (r == 0)
        r = fd_send(fe, VU_SET_VRING_KICK, i, q->kick_fd);
    if (r == 0)
        r = fd_send(fe, VU_SET_VRING_CALL, i, q->call_fd);
    return r;
}

static int queues_send(struct vu_frontend *fe, bool restart)
{
    int r = 0;
    for (unsigned i = 0; i < fe->nqueues && r == 0; i++) {
        if (!fe->q[i].enabled)
            continue;
        if (restart)
            base_recover(fe, &fe->q[i]);
        r = queue_send(fe, i);
    }
    /* Protocol features imply bit 30, and with bit 30 rings start disabled. */
    for (unsigned i = 0; i < fe->nqueues && r == 0 && fe->be_proto; i++)
        if (fe->q[i].enabled)
            r = state_send(fe, VU_SET_VRING_ENABLE, i, 1);
    return r;
}

/* A predecessor may have died with a kick unanswered or a call unsent. */
static void queues_poke(struct vu_frontend *fe, bool restart)
{
    for (unsigned i = 0; i < fe->nqueues; i++) {
        if (!fe->q[i].enabled)
            continue;
        if (fe->q[i].kick_fd >= 0)
            ipc_eventfd_signal(fe->q[i].kick_fd);
        if (restart && fe->q[i].call_fd >= 0)
            ipc_eventfd_signal(fe->q[i].call_fd);
    }
}

int vu_frontend_start(struct vu_frontend *fe)
{
    bool restart = fe->started || fe->recover;
    uint64_t echo;
    if (fe->fd < 0)
        return -ENOTCONN;
    /* From here on the back end may touch the rings, whatever happens to it. */
    fe->started = true;
    int r = vu_fe_set_u64(fe, VU_SET_FEATURES,
                          fe->acked | (fe->be_proto ? VHOST_USER_F_PROTOCOL : 0));
    if (r == 0)
        r = memory_send(fe);
    if (r == 0)
        r = inflight_send(fe);
    if (r == 0)
        r = queues_send(fe, restart);
    if (r == 0 && (fe->be_proto & VU_PROTO_STATUS))
        r = vu_fe_set_u64(fe, VU_SET_STATUS, VIRTIO_STATUS_RUNNING);
    /* A reply proves that everything before it was taken. */
    if (r == 0)
        r = vu_fe_get_u64(fe, VU_GET_FEATURES, &echo);
    if (r < 0)
        return r;
    fe->recover = false;
    queues_poke(fe, restart);
    return 0;
}

static int queue_stop(struct vu_frontend *fe, unsigned i)
{
    struct vu_msg m;
    vu_msg_init(&m, VU_GET_VRING_BASE, sizeof(m.p.state));
    m.p.state.index = i;
    int r = vu_fe_call(fe, &m);
    if (r < 0)
        return r;
    if (m.p.state.index != i)
        return -EPROTO;
    fe->q[i].base = (uint16_t)m.p.state.num;
    return 0;
}

int vu_frontend_stop(struct vu_frontend *fe, bool drop_inflight)
{
    int r = 0;
    if (fe->started && fe->fd < 0)
        fe->recover = true;
    for (unsigned i = 0; i < fe->nqueues && r == 0 && fe->started && fe->fd >= 0; i++)
        if (fe->q[i].enabled)
            r = queue_stop(fe, i);
    if (r < 0)
        fe->recover = true;
    if (r == 0 && drop_inflight && fe->fd >= 0 && (fe->be_proto & VU_PROTO_STATUS))
        r = vu_fe_set_u64(fe, VU_SET_STATUS, 0);
    fe->started = false;
    if (!drop_inflight)
        return r;
    inflight_drop(fe);
    fe->recover = false;
    for (unsigned i = 0; i < VU_FE_QUEUES_MAX; i++)
        fe->q[i].base = 0;
    return r;
}
