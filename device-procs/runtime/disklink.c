/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The driver's side of the virtqueue to a block process (virtio 1.2 sections 2.7 and 5.2.6). Tag n is
 * descriptor n, an indirect table of its own: nothing is ever searched. Must never index anything
 * with a number read from the link before it was checked.
 */
#include "device-procs/runtime/disklink.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "ipc/fds.h"
#include "ipc/log.h"

#define DESC_NEXT     1u
#define DESC_WRITE    2u
#define DESC_INDIRECT 4u
#define HEADER_BYTES  16u

static uint64_t gpa_of(const struct disklink *l, const void *p)
{
    return ABI_LINK_GPA + (uint64_t)((const uint8_t *)p - (const uint8_t *)l->shm);
}

static int link_map(struct disklink *l, int fd)
{
    off_t size = fd < 0 ? -1 : lseek(fd, 0, SEEK_END);
    void *p;

    if (size < (off_t)sizeof(*l->shm))
        return -EINVAL;
    p = mmap(NULL, sizeof(*l->shm), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (p == MAP_FAILED)
        return -errno;
    l->shm = p;
    return 0;
}

static void rings_look(struct disklink *l)
{
    l->avail_idx = __atomic_load_n(&l->shm->avail.idx, __ATOMIC_RELAXED);
    l->used_idx = __atomic_load_n(&l->shm->used.idx, __ATOMIC_ACQUIRE);
    l->draining = (uint16_t)(l->avail_idx - l->used_idx);
    if (l->draining > ABI_LINK_TAGS) {
        log_error("disk link: the rings contradict each other");
        disklink_fail(l);
    }
    if (l->draining) /* the kick may have died with its sender */
        ipc_eventfd_signal(l->kick);
}

int disklink_init(struct disklink *l, int fd, int kick, int call,
                  void (*done)(void *opaque, uint32_t cookie, bool ok), void *opaque)
{
    int r;

    memset(l, 0, sizeof(*l));
    r = link_map(l, fd);
    if (r)
        return r;
    l->kick = kick;
    l->call = call;
    l->done = done;
    l->opaque = opaque;
    l->n_free = ABI_LINK_TAGS;
    for (unsigned i = 0; i < ABI_LINK_TAGS; i++)
        l->free[i] = (uint8_t)i;
    rings_look(l);
    return 0;
}

void disklink_revive(struct disklink *l)
{
    if (!l->failed)
        return;
    l->failed = false;
    rings_look(l);
}

unsigned disklink_room(const struct disklink *l)
{
    return l->failed || l->draining ? 0 : l->n_free;
}

bool disklink_idle(const struct disklink *l)
{
    return !l->draining && !l->n_out && !l->n_ready;
}

/* Header, data, status: the layout of section 5.2.6. */
static void table_fill(struct disklink *l, unsigned t, enum dl_op op, const struct dl_seg *seg,
                       unsigned nseg)
{
    struct abi_link_desc *d = l->shm->table[t];
    struct abi_link_tag *tag = &l->shm->tag[t];
    uint16_t dir = op == DL_READ ? DESC_WRITE : 0;
    unsigned n = 0;

    d[n++] = (struct abi_link_desc){gpa_of(l, tag), HEADER_BYTES, DESC_NEXT, 1};
    for (unsigned i = 0; i < nseg; i++, n++)
        d[n] = (struct abi_link_desc){seg[i].gpa, seg[i].len, DESC_NEXT | dir, (uint16_t)(n + 1)};
    d[n++] = (struct abi_link_desc){gpa_of(l, &tag->status), 1, DESC_WRITE, 0};
    l->shm->desc[t] = (struct abi_link_desc){gpa_of(l, d), n * (uint32_t)sizeof(*d), DESC_INDIRECT, 0};
}

/* The segment of a discard lives in the tag, behind its header and status. */
static struct dl_seg range_put(struct disklink *l, unsigned t, uint64_t sector, uint32_t n_sectors)
{
    uint8_t *at = l->shm->tag[t].pad + 7;
    uint32_t flags = 0;

    memcpy(at, &sector, 8);
    memcpy(at + 8, &n_sectors, 4);
    memcpy(at + 12, &flags, 4);
    return (struct dl_seg){gpa_of(l, at), 16};
}

bool disklink_prepare(struct disklink *l, enum dl_op op, uint64_t sector, uint32_t n_sectors,
                      const struct dl_seg *seg, unsigned nseg, uint32_t cookie)
{
    struct dl_seg range;
    unsigned t;

    if (!disklink_room(l) || nseg > ABI_LINK_SEGS)
        return false;
    t = l->free[--l->n_free];
    if (op == DL_DISCARD || op == DL_ZERO) {
        range = range_put(l, t, sector, n_sectors);
        seg = &range;
        nseg = 1;
        sector = 0;
    }
    l->shm->tag[t].type = op;
    l->shm->tag[t].reserved = 0;
    l->shm->tag[t].sector = sector;
    l->shm->tag[t].status = 0xff;
    table_fill(l, t, op, seg, nseg);
    l->tag[t].out = true;
    l->tag[t].forgotten = false;
    l->tag[t].cookie = cookie;
    l->ready[l->n_ready++] = (uint8_t)t;
    return true;
}

/* #syscalls:device write */
void disklink_flush(struct disklink *l)
{
    if (!l->n_ready)
        return;
    for (unsigned i = 0; i < l->n_ready; i++)
        l->shm->avail.ring[l->avail_idx++ % ABI_LINK_TAGS] = l->ready[i];
    l->n_out += l->n_ready;
    l->n_ready = 0;
    __atomic_store_n(&l->shm->avail.idx, l->avail_idx, __ATOMIC_SEQ_CST);
    ipc_eventfd_signal(l->kick);
}

static void tag_finish(struct disklink *l, unsigned t, bool ok)
{
    bool forgotten = l->tag[t].forgotten;

    l->tag[t].out = false;
    l->free[l->n_free++] = (uint8_t)t;
    if (!forgotten)
        l->done(l->opaque, l->tag[t].cookie, ok);
}

static bool entry_take(struct disklink *l, uint32_t id)
{
    if (l->draining) {
        l->draining--;
        return true;
    }
    if (id >= ABI_LINK_TAGS || !l->tag[id].out || !l->n_out) {
        log_error("disk link: the block process completed request %u, which is not out", id);
        return false;
    }
    l->n_out--;
    tag_finish(l, id, __atomic_load_n(&l->shm->tag[id].status, __ATOMIC_RELAXED) == 0);
    return true;
}

void disklink_poll(struct disklink *l)
{
    uint16_t idx = __atomic_load_n(&l->shm->used.idx, __ATOMIC_ACQUIRE);

    while (!l->failed && l->used_idx != idx) {
        uint32_t id = __atomic_load_n(&l->shm->used.ring[l->used_idx % ABI_LINK_TAGS].id,
                                      __ATOMIC_RELAXED);

        l->used_idx++;
        if (!entry_take(l, id))
            disklink_fail(l);
    }
}

void disklink_forget(struct disklink *l)
{
    for (unsigned t = 0; t < ABI_LINK_TAGS; t++)
        l->tag[t].forgotten = l->tag[t].out;
}

void disklink_forget_one(struct disklink *l, uint32_t cookie)
{
    for (unsigned t = 0; t < ABI_LINK_TAGS; t++)
        if (l->tag[t].out && l->tag[t].cookie == cookie)
            l->tag[t].forgotten = true;
}

void disklink_fail(struct disklink *l)
{
    if (l->failed)
        return;
    l->failed = true;
    l->draining = l->n_out = l->n_ready = 0;
    for (unsigned t = 0; t < ABI_LINK_TAGS; t++)
        if (l->tag[t].out)
            tag_finish(l, t, false);
}
