/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inflight journal: recovery of what a dead incarnation left, and the single steps of marking and
 * clearing. Only the order of stores within this thread matters: the model is death of the process,
 * not of the host. Must never index with a value it has read twice.
 */
#include "vhost-user/vu-inflight.h"

#include <errno.h>
#include <string.h>

#define STEP() __atomic_thread_fence(__ATOMIC_RELEASE)

uint64_t vu_inflight_stride(uint16_t queue_size)
{
    uint64_t n = sizeof(struct vu_inflight_split) +
                 (uint64_t)queue_size * sizeof(struct vu_inflight_desc);
    return (n + VU_INFLIGHT_ALIGN - 1) & ~(uint64_t)(VU_INFLIGHT_ALIGN - 1);
}

uint64_t vu_inflight_size(unsigned queues, uint16_t queue_size)
{
    return queues * vu_inflight_stride(queue_size);
}

struct copy { /* of a region, private */
    uint16_t version, desc_num, last_batch_head, used_idx;
    struct vu_inflight_desc desc[VQ_SIZE_MAX];
};

static int init_region(struct vu_inflight_split *live, uint16_t desc_num, uint16_t used_idx,
                       struct vu_inflight_heads *out)
{
    memset(live->desc, 0, desc_num * sizeof(live->desc[0]));
    live->features = 0;
    live->desc_num = desc_num;
    live->last_batch_head = 0;
    live->used_idx = used_idx;
    STEP();
    live->version = VU_INFLIGHT_VERSION;
    out->counter = 0;
    return 0;
}

/* The chains of the last batch that reached the used ring but were not yet cleared: clears them in the
 * copy and lists them. Returns how many, or -EINVAL. */
static int last_batch(struct copy *c, uint16_t num, uint16_t used_idx, uint16_t *list)
{
    unsigned n = (uint16_t)(used_idx - c->used_idx);
    uint16_t head = c->last_batch_head;
    if (n > num)
        return -EINVAL;
    for (unsigned i = 0; i < n; i++) {
        if (head >= num)
            return -EINVAL;
        list[i] = head;
        c->desc[head].inflight = 0;
        head = c->desc[head].next;
    }
    return (int)n;
}

/* Inserts by counter; chains come nearly sorted, so this is linear in practice. */
static int insert_head(const struct copy *c, struct vu_inflight_heads *out, uint16_t head)
{
    uint64_t counter = c->desc[head].counter;
    unsigned pos = out->n;
    while (pos > 0 && c->desc[out->head[pos - 1]].counter > counter) {
        out->head[pos] = out->head[pos - 1];
        pos--;
    }
    out->head[pos] = head;
    out->n++;
    if (pos > 0 && c->desc[out->head[pos - 1]].counter == counter)
        return -EINVAL;
    return 0;
}

static int collect(const struct copy *c, uint16_t desc_num, uint16_t num,
                   struct vu_inflight_heads *out)
{
    for (unsigned i = 0; i < desc_num; i++) {
        if (!c->desc[i].inflight)
            continue;
        if (i >= num || insert_head(c, out, (uint16_t)i) < 0)
            return -EINVAL;
    }
    if (out->n == 0)
        return 0;
    uint64_t last = c->desc[out->head[out->n - 1]].counter;
    if (last > UINT64_MAX / 2) /* cannot be counted up to: made up */
        return -EINVAL;
    out->counter = last + 1;
    return 0;
}

int vu_inflight_recover(struct vu_inflight_split *live, uint16_t desc_num, uint16_t num,
                        uint16_t used_idx, struct vu_inflight_heads *out)
{
    struct copy c;
    uint16_t done[VQ_SIZE_MAX];
    memset(out, 0, sizeof(*out));
    if (num == 0 || num > desc_num || desc_num > VQ_SIZE_MAX)
        return -EINVAL;
    c.version = live->version;
    c.desc_num = live->desc_num;
    c.last_batch_head = live->last_batch_head;
    c.used_idx = live->used_idx;
    memcpy(c.desc, live->desc, desc_num * sizeof(c.desc[0]));
    __asm__ volatile("" ::: "memory"); /* from here on only the copy is read */
    if (c.version == 0)
        return init_region(live, desc_num, used_idx, out);
    if (c.version != VU_INFLIGHT_VERSION || c.desc_num != desc_num)
        return -EINVAL;
    int n = last_batch(&c, num, used_idx, done);
    if (n < 0 || collect(&c, desc_num, num, out) < 0)
        return -EINVAL;
    for (int i = 0; i < n; i++)
        vu_inflight_clear(live, done[i]);
    STEP();
    if (n && vq_crash_hook)
        vq_crash_hook(VQ_CRASH_MID_RECOVERY);
    vu_inflight_used_set(live, used_idx);
    return 1;
}

void vu_inflight_counter_set(struct vu_inflight_split *live, uint16_t head, uint64_t counter)
{
    live->desc[head].counter = counter;
    live->desc[head].attempts = 1;
    STEP();
}

void vu_inflight_mark(struct vu_inflight_split *live, uint16_t head)
{
    __atomic_store_n(&live->desc[head].inflight, 1, __ATOMIC_RELEASE);
    STEP();
}

void vu_inflight_batch_link(struct vu_inflight_split *live, uint16_t head)
{
    live->desc[head].next = live->last_batch_head;
    STEP();
    __atomic_store_n(&live->last_batch_head, head, __ATOMIC_RELEASE);
    STEP();
}

void vu_inflight_clear(struct vu_inflight_split *live, uint16_t head)
{
    STEP();
    __atomic_store_n(&live->desc[head].inflight, 0, __ATOMIC_RELEASE);
}

void vu_inflight_used_set(struct vu_inflight_split *live, uint16_t used_idx)
{
    STEP();
    __atomic_store_n(&live->used_idx, used_idx, __ATOMIC_RELEASE);
}

unsigned vu_inflight_attempts(const struct vu_inflight_split *live, uint16_t head)
{
    return __atomic_load_n(&live->desc[head].attempts, __ATOMIC_RELAXED);
}

void vu_inflight_attempts_add(struct vu_inflight_split *live, uint16_t head, int delta)
{
    int v = (int)vu_inflight_attempts(live, head) + delta;
    v = v < 0 ? 0 : v > 255 ? 255 : v;
    __atomic_store_n(&live->desc[head].attempts, (uint8_t)v, __ATOMIC_RELAXED);
}
