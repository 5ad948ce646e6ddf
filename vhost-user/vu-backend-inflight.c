/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the inflight journal's memory comes from: made here for a front end that asks, taken from a
 * front end that kept it. Must never map more than the descriptor holds.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "ipc/memfd.h"
#include "vhost-user/vu-backend-internal.h"

#define PAGE 4096ull

static bool shape_ok(const struct vu_backend *be, const struct vu_payload_inflight *i)
{
    uint16_t q = i->queue_size;
    return i->queues > 0 && i->queues <= be->ops->queues && q > 0 && q <= VQ_SIZE_MAX;
}

/* Before the sandbox is locked, so that no memory file needs to be made later. */
int vu_journal_create(struct vu_backend *be)
{
    be->own_len = (vu_inflight_size(be->ops->queues, VQ_SIZE_MAX) + PAGE - 1) & ~(PAGE - 1);
    be->own_fd = ipc_memfd_create("inflight", be->own_len, IPC_SEALS_SIZE);
    if (be->own_fd < 0)
        return be->own_fd;
    be->own_map = mmap(NULL, be->own_len, PROT_READ | PROT_WRITE, MAP_SHARED, be->own_fd, 0);
    if (be->own_map != MAP_FAILED)
        return 0;
    int err = -errno;
    be->own_map = NULL;
    return err;
}

/* GET_INFLIGHT_FD: a fresh region. A size of 0 in the reply says that there is none. */
int vu_journal_offer(struct vu_backend *be, struct vu_msg *m)
{
    struct vu_payload_inflight *i = &m->p.inflight;
    i->mmap_size = i->mmap_off = 0;
    if (!be->own_map || !shape_ok(be, i))
        return VU_REPLY;
    memset(be->own_map, 0, be->own_len);
    i->mmap_size = vu_inflight_size(i->queues, i->queue_size);
    m->fds[0] = be->own_fd;
    m->nfds = 1;
    return VU_REPLY;
}

void vu_journal_drop(struct vu_backend *be)
{
    for (unsigned i = 0; i < VU_QUEUES_MAX; i++)
        be->vq[i].journal = NULL;
    if (be->journal_map)
        munmap(be->journal_map, be->journal_len);
    be->journal_map = NULL;
}

static int check_fd(int fd, const struct vu_payload_inflight *i, uint64_t *end)
{
    if (i->mmap_size < vu_inflight_size(i->queues, i->queue_size) || i->mmap_off % PAGE ||
        __builtin_add_overflow(i->mmap_off, i->mmap_size, end) || *end > INT64_MAX)
        return -EPROTO;
    off_t have = lseek(fd, 0, SEEK_END);
    return have < 0 || (uint64_t)have < *end ? -EPROTO : 0;
}

/* SET_INFLIGHT_FD. #syscalls:block mmap munmap lseek */
int vu_journal_take(struct vu_backend *be, struct vu_msg *m)
{
    const struct vu_payload_inflight *i = &m->p.inflight;
    uint64_t end;
    if (!be->ops->inflight || !shape_ok(be, i))
        return -EPROTO;
    int r = check_fd(m->fds[0], i, &end);
    if (r < 0)
        return r;
    vu_journal_drop(be);
    uint64_t stride = vu_inflight_stride(i->queue_size);
    void *map = mmap(NULL, i->mmap_size, PROT_READ | PROT_WRITE, MAP_SHARED, m->fds[0],
                     (off_t)i->mmap_off);
    if (map == MAP_FAILED)
        return -errno;
    be->journal_map = map;
    be->journal_len = i->mmap_size;
    for (unsigned q = 0; q < i->queues; q++) {
        be->vq[q].journal = (struct vu_inflight_split *)((uint8_t *)map + q * stride);
        be->vq[q].journal_num = i->queue_size;
    }
    return 0;
}
