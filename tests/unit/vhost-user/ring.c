/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The split ring against an honest and a hostile driver. Oracle: no sanitizer report, and a violation
 * breaks the queue and nothing else.
 */
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include "ipc/fds.h"
#include "tests/unit/vhost-user/ring-rig.h"

#define W VRING_DESC_WRITE
#define N VRING_DESC_NEXT
#define I VRING_DESC_INDIRECT
#define ALL (VIRTIO_F_VERSION_1 | VIRTIO_F_INDIRECT_DESC | VIRTIO_F_EVENT_IDX)

static struct ring_rig rig;

static void table(struct ring_rig *r, uint64_t gpa, unsigned i, uint64_t addr, uint32_t len,
                  uint16_t flags, uint16_t next)
{
    struct vring_desc_s d = {addr, len, flags, next};
    for (unsigned b = 0; b < 16; b++) /* may lie across regions */
        *(uint8_t *)ring_rig_at(r, gpa + i * 16 + b) = ((uint8_t *)&d)[b];
}

/* Hostile chains: each fills descriptors and posts. All must break the queue. */
static void h_loop(struct ring_rig *r)
{
    ring_rig_desc(r, 0, BUF_GPA, 8, N, 1);
    ring_rig_desc(r, 1, BUF_GPA, 8, N, 0);
    ring_rig_post(r, 0);
}
static void h_next_range(struct ring_rig *r)
{
    ring_rig_desc(r, 0, BUF_GPA, 8, N, (uint16_t)r->vq.num);
    ring_rig_desc(r, r->vq.num, BUF_GPA, 8, 0, 0); /* sound, but behind the ring */
    ring_rig_post(r, 0);
}
static void h_head_range(struct ring_rig *r)
{
    ring_rig_post(r, (uint16_t)r->vq.num);
}
static void h_avail_jump(struct ring_rig *r)
{
    ring_rig_desc(r, 0, BUF_GPA, 8, 0, 0);
    r->avail->idx = (uint16_t)(r->vq.num + 1);
}
static void h_wrap(struct ring_rig *r)
{
    ring_rig_desc(r, 0, ~0ull - 3, 8, 0, 0);
    ring_rig_post(r, 0);
}
static void h_hole(struct ring_rig *r)
{
    ring_rig_desc(r, 0, HOLE_GPA - 8, 16, 0, 0);
    ring_rig_post(r, 0);
}
static void h_end(struct ring_rig *r)
{
    ring_rig_desc(r, 0, FAR_GPA + FAR_SIZE - 8, 16, W, 0);
    ring_rig_post(r, 0);
}
static void h_len_zero(struct ring_rig *r)
{
    ring_rig_desc(r, 0, BUF_GPA, 0, 0, 0);
    ring_rig_post(r, 0);
}
static void h_len_max(struct ring_rig *r)
{
    ring_rig_desc(r, 0, BUF_GPA, 0xffffffff, 0, 0);
    ring_rig_post(r, 0);
}
static void h_order(struct ring_rig *r)
{
    ring_rig_desc(r, 0, BUF_GPA, 8, N | W, 1);
    ring_rig_desc(r, 1, BUF_GPA, 8, 0, 0);
    ring_rig_post(r, 0);
}
static void h_indirect_next(struct ring_rig *r)
{
    table(r, TABLE_GPA, 0, BUF_GPA, 8, 0, 0);
    ring_rig_desc(r, 0, TABLE_GPA, 16, I | N, 1);
    ring_rig_desc(r, 1, BUF_GPA, 8, 0, 0);
    ring_rig_post(r, 0);
}
static void h_indirect_nested(struct ring_rig *r)
{
    table(r, TABLE_GPA, 0, TABLE_GPA, 16, I, 0);
    ring_rig_desc(r, 0, TABLE_GPA, 16, I, 0);
    ring_rig_post(r, 0);
}
static void h_indirect_odd(struct ring_rig *r)
{
    ring_rig_desc(r, 0, TABLE_GPA, 24, I, 0);
    ring_rig_post(r, 0);
}
static void h_indirect_empty(struct ring_rig *r)
{
    ring_rig_desc(r, 0, TABLE_GPA, 0, I, 0);
    ring_rig_post(r, 0);
}
static void h_indirect_long(struct ring_rig *r)
{
    ring_rig_desc(r, 0, TABLE_GPA, (VQ_CHAIN_MAX + 1) * 16, I, 0);
    ring_rig_post(r, 0);
}
static void h_indirect_hole(struct ring_rig *r)
{
    table(r, HOLE_GPA - 16, 0, BUF_GPA, 8, N, 1);
    ring_rig_desc(r, 0, HOLE_GPA - 16, 32, I, 0);
    ring_rig_post(r, 0);
}
static void h_indirect_wrap(struct ring_rig *r)
{
    ring_rig_desc(r, 0, ~0ull - 15, 32, I, 0);
    ring_rig_post(r, 0);
}
static void h_indirect_range(struct ring_rig *r)
{
    table(r, TABLE_GPA, 0, BUF_GPA, 8, N, 2);
    table(r, TABLE_GPA, 2, BUF_GPA, 8, 0, 0); /* sound, but behind the table */
    ring_rig_desc(r, 0, TABLE_GPA, 32, I, 0);
    ring_rig_post(r, 0);
}
static void h_indirect_loop(struct ring_rig *r)
{
    table(r, TABLE_GPA, 0, BUF_GPA, 8, N, 0);
    ring_rig_desc(r, 0, TABLE_GPA, 32, I, 0);
    ring_rig_post(r, 0);
}
static void h_above_4g(struct ring_rig *r)
{
    for (unsigned i = 0; i < VQ_CHAIN_MAX; i++) /* 8 GiB */
        table(r, TABLE_GPA, i, FAR_GPA, FAR_SIZE, i < VQ_CHAIN_MAX - 1 ? N : 0,
              (uint16_t)(i + 1));
    ring_rig_desc(r, 0, TABLE_GPA, VQ_CHAIN_MAX * 16, I, 0);
    ring_rig_post(r, 0);
}
static void h_many_parts(struct ring_rig *r)
{
    for (unsigned i = 0; i < VQ_CHAIN_MAX; i++) /* each lies in two regions */
        table(r, TABLE_GPA, i, REGION - 1, 2, i < VQ_CHAIN_MAX - 1 ? N : 0, (uint16_t)(i + 1));
    ring_rig_desc(r, 0, TABLE_GPA, VQ_CHAIN_MAX * 16, I, 0);
    ring_rig_post(r, 0);
}
static void h_twice(struct ring_rig *r)
{
    ring_rig_desc(r, 0, BUF_GPA, 8, 0, 0);
    ring_rig_post(r, 0);
    CHECK(vq_pop(&r->vq, &r->e) == 1);
    ring_rig_post(r, 0);
}

static const struct {
    const char *name;
    void (*fn)(struct ring_rig *r);
} hostile[] = {
#define H(f) {#f, f}
    H(h_loop), H(h_next_range), H(h_head_range), H(h_avail_jump), H(h_wrap), H(h_hole), H(h_end),
    H(h_len_zero), H(h_len_max), H(h_order), H(h_indirect_next), H(h_indirect_nested),
    H(h_indirect_odd), H(h_indirect_empty), H(h_indirect_long), H(h_indirect_hole),
    H(h_indirect_wrap), H(h_indirect_range), H(h_indirect_loop), H(h_above_4g),
    H(h_many_parts), H(h_twice),
#undef H
};

static void test_hostile(void)
{
    for (unsigned i = 0; i < sizeof(hostile) / sizeof(hostile[0]); i++) {
        ring_rig_start(&rig, 16, ALL, i & 1, true);
        hostile[i].fn(&rig);
        int r = vq_pop(&rig.vq, &rig.e);
        if (r != -EIO || !vq_broken(&rig.vq)) {
            fprintf(stderr, "FAILED: %s did not break the queue (%d)\n", hostile[i].name, r);
            exit(1);
        }
        CHECK(vq_pop(&rig.vq, &rig.e) == -EIO); /* sticky */
        CHECK(vq_empty(&rig.vq));
    }
    /* Indirect without the feature. */
    ring_rig_start(&rig, 16, VIRTIO_F_VERSION_1, false, true);
    table(&rig, TABLE_GPA, 0, BUF_GPA, 8, 0, 0);
    ring_rig_desc(&rig, 0, TABLE_GPA, 16, I, 0);
    ring_rig_post(&rig, 0);
    CHECK(vq_pop(&rig.vq, &rig.e) == -EIO);
}

static void test_ring_addresses(void)
{
    static const struct {
        unsigned num;
        uint64_t desc, avail, used;
    } bad[] = {
        {0, DESC_GPA, AVAIL_GPA, USED_GPA},       {3, DESC_GPA, AVAIL_GPA, USED_GPA},
        {32768, DESC_GPA, AVAIL_GPA, USED_GPA},   {65536 + 16, DESC_GPA, AVAIL_GPA, USED_GPA},
        {16, DESC_GPA + 8, AVAIL_GPA, USED_GPA},  {16, DESC_GPA, AVAIL_GPA + 1, USED_GPA},
        {16, DESC_GPA, AVAIL_GPA, USED_GPA + 2},  {16, HOLE_GPA, AVAIL_GPA, USED_GPA},
        {16, DESC_GPA, HOLE_GPA - 16, USED_GPA},  {16, DESC_GPA, AVAIL_GPA, HOLE_GPA - 64},
        {16, DESC_GPA, AVAIL_GPA, ~0ull - 3},     {16, REGION - 128, AVAIL_GPA, USED_GPA},
    };
    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        ring_rig_start(&rig, 16, ALL, false, true);
        vq_ring_stop(&rig.vq);
        rig.vq.num = bad[i].num;
        rig.vq.desc_uva = UVA + bad[i].desc;
        rig.vq.avail_uva = UVA + bad[i].avail;
        rig.vq.used_uva = UVA + bad[i].used;
        vq_ring_start(&rig.vq);
        rig.vq.running = true;
        CHECK(vq_broken(&rig.vq) && vq_pop(&rig.vq, &rig.e) == -EIO);
        vq_notify(&rig.vq);
        vq_kicks_set(&rig.vq, true);
    }
}

/* Pop and push through the wrap of the 16-bit indexes, ring order and contents. */
static void test_wrap(void)
{
    ring_rig_start(&rig, 16, ALL, true, true);
    for (uint32_t n = 0; n < 70000; n++) {
        uint16_t head = (uint16_t)(n * 7 % 16);
        ring_rig_desc(&rig, head, BUF_GPA + head * 64, 8, W, 0);
        ring_rig_post(&rig, head);
        CHECK(vq_pop(&rig.vq, &rig.e) == 1 && rig.e.head == head && rig.e.n_in == 1);
        CHECK(rig.e.in_len == 8 && rig.e.n_out == 0 && !rig.e.resubmitted);
        CHECK(vq_pop(&rig.vq, &rig.e) == 0);
        rig.e.head = head;
        vq_push(&rig.vq, &rig.e, 8);
        CHECK(rig.used->idx == (uint16_t)(n + 1) && rig.used->ring[n % 16].id == head);
        CHECK(rig.journal->used_idx == rig.used->idx && !rig.journal->desc[head].inflight);
    }
    vq_push(&rig.vq, &rig.e, 8); /* a head that is not out: ignored */
    CHECK(rig.used->idx == (uint16_t)70000);
}

/* Positions are ours: a driver that scribbles over used.idx moves nothing. */
static void test_scribble(void)
{
    ring_rig_start(&rig, 16, ALL, false, true);
    ring_rig_desc(&rig, 1, BUF_GPA, 8, W, 0);
    ring_rig_post(&rig, 1);
    CHECK(vq_pop(&rig.vq, &rig.e) == 1);
    rig.used->idx = 999;
    vq_push(&rig.vq, &rig.e, 8);
    CHECK(rig.used->idx == 1 && rig.used->ring[0].id == 1);
}

/* A buffer over the border of two regions comes as two iov; a table over it is read whole. */
static void test_split(void)
{
    ring_rig_start(&rig, 16, ALL, false, true);
    table(&rig, REGION - 24, 0, REGION - 100, 300, N, 1);
    table(&rig, REGION - 24, 1, BUF_GPA, 8, N | W, 2);
    table(&rig, REGION - 24, 2, FAR_GPA, 16, W, 0);
    ring_rig_desc(&rig, 0, BUF_GPA, 4, N, 1);
    ring_rig_desc(&rig, 1, REGION - 24, 48, I, 0);
    ring_rig_post(&rig, 0);
    CHECK(vq_pop(&rig.vq, &rig.e) == 1);
    CHECK(rig.e.n_out == 3 && rig.e.out_len == 304 && rig.e.n_in == 2 && rig.e.in_len == 24);
    CHECK(rig.e.iov[1].iov_len == 100 && rig.e.iov[2].iov_len == 200);
    uint8_t a[304], b[304];
    for (unsigned i = 0; i < 304; i++)
        a[i] = (uint8_t)(i * 3);
    CHECK(buf_to_iov(rig.e.iov, 3, 0, a, sizeof(a)) == 304);
    CHECK(iov_to_buf(rig.e.iov, 3, 50, b, sizeof(b)) == 254 && !memcmp(a + 50, b, 254));
    CHECK(*(uint8_t *)ring_rig_at(&rig, REGION) == a[104]);
}

/* A chain may be longer than the queue: 1024 entries on a ring of 8. */
static void test_long_chain(void)
{
    ring_rig_start(&rig, 8, ALL, false, true);
    for (unsigned i = 0; i < VQ_CHAIN_MAX; i++)
        table(&rig, TABLE_GPA, i, BUF_GPA + i, 1, i < VQ_CHAIN_MAX - 1 ? N : 0, (uint16_t)(i + 1));
    ring_rig_desc(&rig, 3, TABLE_GPA, VQ_CHAIN_MAX * 16, I, 0);
    ring_rig_post(&rig, 3);
    CHECK(vq_pop(&rig.vq, &rig.e) == 1 && rig.e.n_out == VQ_CHAIN_MAX);
    /* One direct descriptor in front makes it one too many. */
    ring_rig_desc(&rig, 4, BUF_GPA, 1, N, 5);
    ring_rig_desc(&rig, 5, TABLE_GPA, VQ_CHAIN_MAX * 16, I, 0);
    ring_rig_post(&rig, 4);
    CHECK(vq_pop(&rig.vq, &rig.e) == -EIO);
}

static void test_events(void)
{
    ring_rig_start(&rig, 16, ALL, false, true);
    uint16_t *used_event = &rig.avail->ring[16], *avail_event = (uint16_t *)&rig.used->ring[16];
    for (unsigned i = 0; i < 16; i++)
        ring_rig_desc(&rig, i, BUF_GPA, 8, W, 0);
    /* An empty pop asks for a kick at the next position. */
    CHECK(vq_pop(&rig.vq, &rig.e) == 0 && *avail_event == 0);
    for (unsigned i = 0; i < 3; i++) {
        ring_rig_post(&rig, (uint16_t)i);
        CHECK(vq_pop(&rig.vq, &rig.e) == 1);
        vq_push(&rig.vq, &rig.e, 0);
    }
    CHECK(vq_pop(&rig.vq, &rig.e) == 0 && *avail_event == 3);
    vq_notify(&rig.vq); /* the first one always */
    CHECK(ipc_eventfd_drain(rig.call) == 1);
    *used_event = 10; /* not before the eleventh */
    ring_rig_post(&rig, 3);
    CHECK(vq_pop(&rig.vq, &rig.e) == 1);
    vq_push(&rig.vq, &rig.e, 0);
    vq_notify(&rig.vq);
    CHECK(ipc_eventfd_drain(rig.call) == 0);
    *used_event = 4;
    ring_rig_post(&rig, 4);
    CHECK(vq_pop(&rig.vq, &rig.e) == 1);
    vq_push(&rig.vq, &rig.e, 0);
    vq_notify(&rig.vq);
    CHECK(ipc_eventfd_drain(rig.call) == 1);
}

static void test_flags(void)
{
    ring_rig_start(&rig, 16, VIRTIO_F_VERSION_1, false, true);
    ring_rig_desc(&rig, 0, BUF_GPA, 8, W, 0);
    vq_kicks_set(&rig.vq, false);
    CHECK(rig.used->flags == VRING_USED_NO_KICK);
    vq_kicks_set(&rig.vq, true);
    CHECK(rig.used->flags == 0);
    ring_rig_post(&rig, 0);
    CHECK(!vq_empty(&rig.vq) && vq_pop(&rig.vq, &rig.e) == 1);
    vq_unpop(&rig.vq, &rig.e);
    CHECK(vq_pop(&rig.vq, &rig.e) == 1 && rig.e.head == 0);
    vq_push(&rig.vq, &rig.e, 8);
    rig.avail->flags = VRING_AVAIL_NO_CALL;
    vq_notify(&rig.vq);
    CHECK(ipc_eventfd_drain(rig.call) == 0);
    rig.avail->flags = 0;
    vq_notify(&rig.vq);
    CHECK(ipc_eventfd_drain(rig.call) == 1);
}

/* A descriptor that changes while it is read: whatever pop returns lies inside guest memory. */
static volatile bool flip_stop;

static void *flip(void *arg)
{
    struct vring_desc_s *d = arg;
    for (unsigned i = 0; !flip_stop; i++) {
        *(volatile uint64_t *)&d->addr = i & 1 ? BUF_GPA : ~0ull - 4;
        *(volatile uint32_t *)&d->len = i & 2 ? 8 : 0xfffffff0;
        *(volatile uint16_t *)&d->flags = (uint16_t)(i & 7);
    }
    return NULL;
}

static void test_mutation(void)
{
    pthread_t t;
    for (unsigned round = 0; round < 20; round++) {
        ring_rig_start(&rig, 16, ALL, false, true);
        flip_stop = false;
        CHECK(pthread_create(&t, NULL, flip, &rig.desc[0]) == 0);
        for (unsigned n = 0; n < 200; n++) {
            rig.vq.broken = false;
            memset(rig.vq.busy, 0, sizeof(rig.vq.busy));
            rig.vq.seen_avail = rig.vq.last_avail;
            ring_rig_post(&rig, 0);
            if (vq_pop(&rig.vq, &rig.e) != 1)
                rig.vq.last_avail = rig.avail_idx;
            else
                for (unsigned i = 0; i < rig.e.n_out + rig.e.n_in; i++)
                    memset(rig.e.iov[i].iov_base, 1, rig.e.iov[i].iov_len);
        }
        flip_stop = true;
        pthread_join(t, NULL);
    }
}

int main(void)
{
    ipc_log_set_level(IPC_LOG_ERROR);
    ring_rig_init(&rig);
    test_hostile();
    test_ring_addresses();
    test_wrap();
    test_scribble();
    test_split();
    test_long_chain();
    test_events();
    test_flags();
    test_mutation();
    return 0;
}
