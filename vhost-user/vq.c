/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A virtqueue of a back end: positions, journal, notification in both directions. Must never believe
 * a position stored in guest memory after the ring was started, nor exit because of the guest.
 */
#include "vhost-user/vq-internal.h"

#include <errno.h>
#include <string.h>
#include "ipc/fds.h"

void (*vq_crash_hook)(unsigned point);

static uint16_t *used_event(struct vq *vq)
{
    return &vq->avail->ring[vq->num];
}

static uint16_t *avail_event(struct vq *vq)
{
    return (uint16_t *)&vq->used->ring[vq->num];
}

void vq_init(struct vq *vq, unsigned index, struct vu_mem *mem, const char *name)
{
    memset(vq, 0, sizeof(*vq));
    vq->index = index;
    vq->mem = mem;
    vq->name = name;
    vq->kick_fd = vq->call_fd = vq->err_fd = -1;
}

void vq_break(struct vq *vq, const char *why)
{
    if (!vq->broken && vq->err_fd >= 0)
        ipc_eventfd_signal(vq->err_fd);
    vq->broken = true;
    if (ipc_ratelimit_ok(&vq->rl, 5, 60))
        log_warn("%s: queue %u is broken by the guest: %s", vq->name, vq->index, why);
}

bool vq_broken(const struct vq *vq)
{
    return vq->broken;
}

unsigned vq_index(const struct vq *vq)
{
    return vq->index;
}

bool vq_resubmits_pending(const struct vq *vq)
{
    return vq->live && vq->again.next < vq->again.n;
}

int vq_ring_map(struct vq *vq)
{
    uint64_t num = vq->num;
    vq->desc = NULL;
    if (num == 0 || num > VQ_SIZE_MAX || (num & (num - 1)))
        return -EINVAL;
    if (vq->desc_uva % 16 || vq->avail_uva % 2 || vq->used_uva % 4)
        return -EINVAL;
    /* The event fields behind the rings are only there with EVENT_IDX. */
    uint64_t ev = vq->event_idx ? 2 : 0;
    void *desc = vu_mem_uva(vq->mem, vq->desc_uva, 16 * num);
    vq->avail = vu_mem_uva(vq->mem, vq->avail_uva, 4 + 2 * num + ev);
    vq->used = vu_mem_uva(vq->mem, vq->used_uva, 4 + 8 * num + ev);
    if (!desc || !vq->avail || !vq->used || (uintptr_t)desc % 8 || (uintptr_t)vq->avail % 2 ||
        (uintptr_t)vq->used % 4)
        return -EINVAL;
    vq->desc = desc;
    return 0;
}

/* Positions from the journal if there is one with a past, else from the front end. */
static void positions_set(struct vq *vq)
{
    vq->used_idx = __atomic_load_n(&vq->used->idx, __ATOMIC_ACQUIRE);
    vq->last_avail = vq->base;
    vq->again.n = vq->again.next = 0;
    if (!vq->journal)
        return;
    int r = vu_inflight_recover(vq->journal, vq->journal_num, (uint16_t)vq->num, vq->used_idx,
                                &vq->again);
    if (r < 0) {
        vq_break(vq, "the inflight journal contradicts itself or the used ring");
    } else if (r == 1) {
        vq->last_avail = (uint16_t)(vq->used_idx + vq->again.n);
        vq_crash(VQ_CRASH_AFTER_RECOVERY);
    }
}

void vq_ring_start(struct vq *vq)
{
    vq->event_idx = vq->features & VIRTIO_F_EVENT_IDX;
    vq->indirect = vq->features & VIRTIO_F_INDIRECT_DESC;
    vq->broken = false;
    vq->signalled_valid = false;
    vq->want_kicks = true;
    vq->outstanding = 0;
    memset(vq->busy, 0, sizeof(vq->busy));
    vq->live = true;
    if (vq_ring_map(vq) < 0) {
        vq->last_avail = vq->base;
        vq->again.n = vq->again.next = 0;
        vq_break(vq, "ring size or address is impossible");
        return;
    }
    positions_set(vq);
    vq->seen_avail = vq->last_avail;
    if (!vq->broken)
        vq_kicks_set(vq, true);
}

void vq_ring_stop(struct vq *vq)
{
    vq->base = vq->last_avail;
    vq->live = vq->running = vq->broken = false;
    vq->again.n = vq->again.next = 0;
    vq->desc = NULL;
    vq->avail = NULL;
    vq->used = NULL;
}

void vq_call(struct vq *vq)
{
    if (vq->call_fd >= 0)
        ipc_eventfd_signal(vq->call_fd);
}

/* Reads avail.idx once. True if a chain is there; may break the queue. */
static bool avail_refresh(struct vq *vq)
{
    vq->seen_avail = __atomic_load_n(&vq->avail->idx, __ATOMIC_ACQUIRE);
    if ((uint16_t)(vq->seen_avail - vq->last_avail) > vq->num) {
        vq_break(vq, "available index jumped");
        return false;
    }
    return vq->seen_avail != vq->last_avail;
}

/* Nothing there: ask for a kick at the next chain, then look once more, because the driver may have
 * added it before it could see the request (virtio 1.2 section 2.7.10.2). */
static bool avail_rearm(struct vq *vq)
{
    if (vq->broken || !vq->event_idx || !vq->want_kicks)
        return false;
    __atomic_store_n(avail_event(vq), vq->last_avail, __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    return avail_refresh(vq);
}

static bool avail_ready(struct vq *vq)
{
    if (vq->seen_avail != vq->last_avail || avail_refresh(vq))
        return true;
    return avail_rearm(vq);
}

void vq_kicks_set(struct vq *vq, bool want)
{
    vq->want_kicks = want;
    if (!vq->live || !vq->desc)
        return;
    if (!vq->event_idx) {
        uint16_t flags = want ? 0 : VRING_USED_NO_KICK;
        __atomic_store_n(&vq->used->flags, flags, __ATOMIC_RELAXED);
    } else if (want) {
        __atomic_store_n(avail_event(vq), vq->last_avail, __ATOMIC_RELAXED);
    }
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

bool vq_empty(struct vq *vq)
{
    if (!vq->running || vq->broken)
        return true;
    return !vq_resubmits_pending(vq) && vq->seen_avail == vq->last_avail && !avail_refresh(vq);
}

static int pop_again(struct vq *vq, struct vq_elem *e)
{
    uint16_t head = vq->again.head[vq->again.next++];
    e->resubmitted = true;
    e->poisoned = vu_inflight_attempts(vq->journal, head) >= VQ_ATTEMPTS_MAX;
    vu_inflight_attempts_add(vq->journal, head, 1);
    return head;
}

static int pop_avail(struct vq *vq, struct vq_elem *e)
{
    uint16_t head = __atomic_load_n(&vq->avail->ring[vq->last_avail & (vq->num - 1)],
                                    __ATOMIC_RELAXED);
    if (head >= vq->num) {
        vq_break(vq, "available ring names a descriptor out of range");
        return -EIO;
    }
    if (vq->busy[head]) {
        vq_break(vq, "chain made available twice");
        return -EIO;
    }
    e->resubmitted = e->poisoned = false;
    vq_crash(VQ_CRASH_AFTER_POP);
    if (vq->journal) {
        vu_inflight_counter_set(vq->journal, head, vq->again.counter++);
        vq_crash(VQ_CRASH_AFTER_COUNTER);
        vu_inflight_mark(vq->journal, head);
        vq_crash(VQ_CRASH_AFTER_INFLIGHT);
    }
    vq->last_avail++;
    return head;
}

int vq_pop(struct vq *vq, struct vq_elem *e)
{
    if (vq->broken)
        return -EIO;
    if (!vq->running)
        return 0;
    bool again = vq_resubmits_pending(vq);
    if (!again && !avail_ready(vq))
        return vq->broken ? -EIO : 0;
    int head = again ? pop_again(vq, e) : pop_avail(vq, e);
    if (head < 0)
        return head;
    vq->busy[head] = true;
    vq->outstanding++;
    int r = vring_chain_read(vq, (uint16_t)head, e);
    return r < 0 ? r : 1;
}

void vq_unpop(struct vq *vq, const struct vq_elem *e)
{
    if (!vq->live || !vq->busy[e->head])
        return;
    vq->busy[e->head] = false;
    vq->outstanding--;
    if (e->resubmitted) {
        vu_inflight_attempts_add(vq->journal, e->head, -1);
        vq->again.next--;
        return;
    }
    if (vq->journal)
        vu_inflight_clear(vq->journal, e->head);
    vq->last_avail--;
}

void vq_suspect(struct vq *vq, uint16_t head, bool suspect)
{
    if (vq->journal && head < vq->journal_num)
        vu_inflight_attempts_add(vq->journal, head, suspect ? 1 : -1);
}

static void mark_written(struct vq *vq, const struct iovec *in, unsigned n_in, uint32_t written)
{
    for (unsigned i = 0; i < n_in && written; i++) {
        uint32_t part = in[i].iov_len < written ? (uint32_t)in[i].iov_len : written;
        vu_mem_written(vq->mem, in[i].iov_base, part);
        written -= part;
    }
}

/* The order of the steps is the journal's promise: see vu-inflight.h. */
void vq_push_iov(struct vq *vq, uint16_t head, const struct iovec *in, unsigned n_in,
                 uint32_t written)
{
    if (!vq->live || !vq->desc || head >= vq->num || !vq->busy[head])
        return;
    mark_written(vq, in, n_in, written);
    vq->busy[head] = false;
    vq->outstanding--;
    struct vring_used_elem_s *u = &vq->used->ring[vq->used_idx & (vq->num - 1)];
    u->id = head;
    u->len = written;
    vq_crash(VQ_CRASH_AFTER_USED_RING);
    if (vq->journal) {
        vu_inflight_batch_link(vq->journal, head);
        vq_crash(VQ_CRASH_AFTER_BATCH_LINK);
    }
    vq->used_idx++;
    __atomic_store_n(&vq->used->idx, vq->used_idx, __ATOMIC_RELEASE);
    vq_crash(VQ_CRASH_AFTER_USED_IDX);
    if (vq->journal) {
        vu_inflight_clear(vq->journal, head);
        vq_crash(VQ_CRASH_MID_CLEAR);
        vu_inflight_used_set(vq->journal, vq->used_idx);
    }
    vq_crash(VQ_CRASH_AFTER_CLEAR);
}

void vq_push(struct vq *vq, const struct vq_elem *e, uint32_t written)
{
    vq_push_iov(vq, e->head, &e->iov[e->n_out], e->n_in, written);
}

void vq_push_part(struct vq *vq, const struct vq_elem *e, uint32_t written)
{
    if (!vq->live || !vq->desc || vq->journal || e->head >= vq->num || !vq->busy[e->head])
        return;
    mark_written(vq, &e->iov[e->n_out], e->n_in, written);
    vq->busy[e->head] = false;
    vq->outstanding--;
    vq->used->ring[vq->used_idx & (vq->num - 1)] = (struct vring_used_elem_s){e->head, written};
    vq->used_idx++;
}

/* virtio 1.2 section 2.7.7.2. */
static bool call_wanted(struct vq *vq)
{
    __atomic_thread_fence(__ATOMIC_SEQ_CST); /* used.idx before the driver's wish */
    if (!vq->event_idx) {
        uint16_t flags = __atomic_load_n(&vq->avail->flags, __ATOMIC_RELAXED);
        return !(flags & VRING_AVAIL_NO_CALL);
    }
    uint16_t event = __atomic_load_n(used_event(vq), __ATOMIC_RELAXED);
    uint16_t now = vq->used_idx, old = vq->signalled;
    bool valid = vq->signalled_valid;
    vq->signalled = now;
    vq->signalled_valid = true;
    return !valid || (uint16_t)(now - event - 1) < (uint16_t)(now - old);
}

void vq_notify(struct vq *vq)
{
    if (!vq->live || !vq->desc || !call_wanted(vq))
        return;
    vq_crash(VQ_CRASH_BEFORE_CALL);
    vq_call(vq);
    vq_crash(VQ_CRASH_AFTER_CALL);
}
