/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inflight journal: death at every step of pop and push, in-process, with an out-of-order device
 * and a driver that reuses heads at once; then regions made up by a hostile predecessor.
 */
#include <errno.h>
#include <setjmp.h>
#include <string.h>
#include "ipc/fds.h"
#include "tests/unit/vhost-user/ring-rig.h"

#define NUM      16u
#define FEATURES VIRTIO_F_VERSION_1

static struct ring_rig rig;
static jmp_buf death;
static unsigned die_point, die_skip;

static void crash(unsigned point)
{
    if (point == die_point && die_skip-- == 0)
        longjmp(death, (int)point);
}

/* The driver: which heads are out, and how often each posting was completed. */
static bool out[NUM];
static uint32_t posted[NUM], completed[NUM];
static uint16_t seen_used;
/* The device: chains it holds, in an order of its own. */
static uint16_t held[NUM];
static unsigned n_held;

static void driver_harvest(void)
{
    for (; seen_used != rig.used->idx; seen_used++) {
        uint32_t id = rig.used->ring[seen_used % NUM].id;
        CHECK(id < NUM && out[id]); /* else: "is not a head" */
        out[id] = false;
        completed[id]++;
        CHECK(completed[id] == posted[id]);
    }
}

static void driver_post(void)
{
    for (unsigned tries = 0; tries < 3; tries++) {
        uint16_t head = (uint16_t)((unsigned)rand() % NUM);
        if (out[head])
            continue;
        out[head] = true;
        posted[head]++;
        ring_rig_desc(&rig, head, BUF_GPA + head * 64u, 8, VRING_DESC_WRITE, 0);
        ring_rig_post(&rig, head);
    }
}

static void device_step(void)
{
    if (n_held < 8 && vq_pop(&rig.vq, &rig.e) == 1)
        held[n_held++] = rig.e.head;
    CHECK(!vq_broken(&rig.vq));
    if (n_held && rand() % 3) {
        unsigned i = (unsigned)rand() % n_held;
        uint16_t head = held[i];
        held[i] = held[--n_held];
        struct iovec iov = {ring_rig_at(&rig, BUF_GPA + head * 64u), 8};
        vq_push_iov(&rig.vq, head, &iov, 1, 8);
        vq_notify(&rig.vq);
    }
}

/* Runs until the planned death or the end of the steps. */
static void life(unsigned steps)
{
    n_held = 0;
    ring_rig_start(&rig, NUM, FEATURES, true, false);
    CHECK(!vq_broken(&rig.vq));
    /* All of the journal is popped again before anything new, in order of the counters. */
    uint64_t last = 0;
    for (unsigned i = 0; i < rig.vq.again.n; i++) {
        uint64_t c = rig.journal->desc[rig.vq.again.head[i]].counter;
        CHECK(i == 0 || c > last);
        last = c;
    }
    for (unsigned i = 0; i < steps; i++) {
        driver_harvest();
        driver_post();
        device_step();
    }
}

static void finish_all(void)
{
    die_point = 0;
    n_held = 0;
    ring_rig_start(&rig, NUM, FEATURES, true, false);
    while (vq_pop(&rig.vq, &rig.e) == 1)
        vq_push(&rig.vq, &rig.e, 8);
    driver_harvest();
    for (unsigned i = 0; i < NUM; i++)
        CHECK(!out[i] && posted[i] == completed[i]);
}

static void test_deaths(void)
{
    unsigned deaths[VQ_CRASH_POINTS] = {0};
    vq_crash_hook = crash;
    ring_rig_start(&rig, NUM, FEATURES, true, true);
    for (volatile unsigned round = 0; round < 20000; round++) {
        die_point = 1 + (unsigned)rand() % (VQ_CRASH_POINTS - 1);
        die_skip = (unsigned)rand() % 4;
        if (die_point >= VQ_CRASH_MID_RECOVERY)
            die_skip = 0;
        /* Recovery only has a batch to clear after a death in the middle of a push. */
        int p = setjmp(death);
        if (p == 0)
            life(40);
        else
            deaths[p]++;
        if (p == VQ_CRASH_AFTER_USED_IDX && rand() % 2) {
            die_point = VQ_CRASH_MID_RECOVERY;
            die_skip = 0;
            p = setjmp(death);
            if (p == 0)
                life(10);
            else
                deaths[p]++;
        }
        if (round % 50 == 0)
            finish_all();
    }
    finish_all();
    vq_crash_hook = NULL;
    for (unsigned p = 1; p < VQ_CRASH_POINTS; p++)
        CHECK(deaths[p] > 100);
}

static void journal_make(struct vu_inflight_split *j)
{
    memset(j, 0, vu_inflight_stride(VQ_SIZE_MAX));
    j->version = VU_INFLIGHT_VERSION;
    j->desc_num = NUM;
}

/* Regions that contradict themselves are refused before anything is written. */
static void test_refusals(void)
{
    struct vu_inflight_heads h;
    struct vu_inflight_split *j = rig.journal;
    journal_make(j);
    CHECK(vu_inflight_recover(j, NUM, NUM, 0, &h) == 1 && h.n == 0);
    j->desc_num = NUM * 2;
    CHECK(vu_inflight_recover(j, NUM, NUM, 0, &h) == -EINVAL);
    journal_make(j);
    j->version = 2;
    CHECK(vu_inflight_recover(j, NUM, NUM, 0, &h) == -EINVAL);
    journal_make(j);
    CHECK(vu_inflight_recover(j, NUM, NUM, NUM + 1, &h) == -EINVAL); /* batch above the ring */
    j->last_batch_head = NUM;
    CHECK(vu_inflight_recover(j, NUM, NUM, 1, &h) == -EINVAL);
    j->last_batch_head = 3;
    j->desc[3].next = 0xffff;
    j->desc[3].inflight = 1;
    CHECK(vu_inflight_recover(j, NUM, NUM, 2, &h) == -EINVAL && j->desc[3].inflight == 1);
    journal_make(j);
    j->desc[1].inflight = j->desc[2].inflight = 1;
    j->desc[1].counter = j->desc[2].counter = 5;
    CHECK(vu_inflight_recover(j, NUM, NUM, 0, &h) == -EINVAL);
    j->desc[2].counter = ~0ull;
    CHECK(vu_inflight_recover(j, NUM, NUM, 0, &h) == -EINVAL);
    journal_make(j);
    j->desc[12].inflight = 1; /* beyond a ring that became smaller */
    CHECK(vu_inflight_recover(j, NUM, 8, 0, &h) == -EINVAL);
    CHECK(vu_inflight_recover(j, NUM, NUM * 2, 0, &h) == -EINVAL);
    CHECK(vu_inflight_recover(j, 2048, 16, 0, &h) == -EINVAL);
    /* Completed for the guest, not yet cleared: not to be done again. */
    journal_make(j);
    j->desc[3].inflight = j->desc[5].inflight = 1;
    j->desc[5].counter = 1;
    j->last_batch_head = 3;
    CHECK(vu_inflight_recover(j, NUM, NUM, 1, &h) == 1 && h.n == 1 && h.head[0] == 5);
    CHECK(j->desc[3].inflight == 0 && j->used_idx == 1);
    /* inflight is a truth value: anything but 0 counts, once. */
    journal_make(j);
    j->desc[4].inflight = 0xfe;
    j->desc[4].counter = 9;
    j->desc[7].inflight = 1;
    j->desc[7].counter = 2;
    CHECK(vu_inflight_recover(j, NUM, NUM, 0, &h) == 1);
    CHECK(h.n == 2 && h.head[0] == 7 && h.head[1] == 4 && h.counter == 10);
}

static void test_fuzz(void)
{
    struct vu_inflight_heads h;
    uint8_t *bytes = (uint8_t *)rig.journal;
    for (unsigned round = 0; round < 100000; round++) {
        journal_make(rig.journal);
        for (unsigned i = (unsigned)rand() % 12; i; i--)
            bytes[(unsigned)rand() % vu_inflight_stride(NUM)] = (uint8_t)rand();
        int r = vu_inflight_recover(rig.journal, NUM, NUM, (uint16_t)(rand() % 20), &h);
        CHECK(r == 0 || r == 1 || r == -EINVAL);
        CHECK(h.n <= NUM || r < 0);
        for (unsigned i = 0; r == 1 && i < h.n; i++)
            CHECK(h.head[i] < NUM);
        /* A ring start on it never does worse than breaking the queue. */
        ring_rig_start(&rig, NUM, FEATURES, true, false);
        for (unsigned i = 0; i < NUM && vq_pop(&rig.vq, &rig.e) == 1; i++)
            vq_push(&rig.vq, &rig.e, 0);
    }
}

/* A chain whose handling kills the process twice comes back marked. */
static void test_poison(void)
{
    ring_rig_start(&rig, NUM, FEATURES, true, true);
    ring_rig_desc(&rig, 2, BUF_GPA, 8, VRING_DESC_WRITE, 0);
    ring_rig_desc(&rig, 3, BUF_GPA, 8, VRING_DESC_WRITE, 0);
    ring_rig_post(&rig, 2);
    ring_rig_post(&rig, 3);
    for (unsigned life_nr = 0; life_nr < 3; life_nr++) {
        for (unsigned i = 0; i < 2; i++) {
            CHECK(vq_pop(&rig.vq, &rig.e) == 1 && rig.e.head == 2 + i);
            CHECK(rig.e.resubmitted == (life_nr > 0));
            CHECK(rig.e.poisoned == (life_nr == 2 && i == 0));
            if (rig.e.head == 3)
                vq_suspect(&rig.vq, 3, false); /* merely waiting when death comes */
        }
        if (life_nr < 2)
            ring_rig_start(&rig, NUM, FEATURES, true, false);
    }
    rig.e.head = 2;
    vq_push(&rig.vq, &rig.e, 0);
    ring_rig_post(&rig, 2); /* the next use of the head starts clean */
    CHECK(vq_pop(&rig.vq, &rig.e) == 1 && !rig.e.poisoned);
    CHECK(vu_inflight_attempts(rig.journal, 2) == 1);
}

int main(void)
{
    srand(1);
    ipc_log_set_level(IPC_LOG_ERROR);
    ring_rig_init(&rig);
    test_refusals();
    test_poison();
    test_deaths();
    test_fuzz();
    return 0;
}
