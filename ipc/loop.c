/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The epoll loop. Owns the epoll descriptor and the source table; never closes a source's descriptor,
 * never allocates.
 */
#include "ipc/loop.h"

#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LOOP_BATCH 16

/* #syscalls:all clock_gettime */
uint64_t ipc_now_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

int ipc_loop_init(struct ipc_loop *l)
{
    memset(l, 0, sizeof(*l));
    for (unsigned i = 0; i < IPC_LOOP_SOURCES; i++) {
        l->src[i].fd = -1;
    }
    l->epfd = epoll_create1(EPOLL_CLOEXEC);
    return l->epfd < 0 ? -errno : 0;
}

void ipc_loop_fini(struct ipc_loop *l)
{
    if (l->epfd >= 0) {
        close(l->epfd);
        l->epfd = -1;
    }
}

static int loop_slot_find(const struct ipc_loop *l, int fd)
{
    for (int i = 0; i < IPC_LOOP_SOURCES; i++) {
        if (l->src[i].fd == fd) {
            return i;
        }
    }
    return -1;
}

/* The event carries slot and generation, so that one queued for a source that is gone by the time it
 * is looked at cannot reach the slot's next owner. */
static struct epoll_event loop_event_make(const struct ipc_loop *l, int slot, uint32_t events)
{
    struct epoll_event ev = {.events = events};

    ev.data.u64 = (uint64_t)l->src[slot].gen << 32 | (uint32_t)slot;
    return ev;
}

/* #syscalls:all epoll_ctl */
int ipc_loop_add(struct ipc_loop *l, int fd, uint32_t events, ipc_io_fn fn, void *opaque)
{
    struct epoll_event ev;
    int slot;

    if (fd < 0 || loop_slot_find(l, fd) >= 0) {
        return -EINVAL;
    }
    slot = loop_slot_find(l, -1);
    if (slot < 0) {
        return -ENOSPC;
    }
    l->src[slot].gen++;
    ev = loop_event_make(l, slot, events);
    if (epoll_ctl(l->epfd, EPOLL_CTL_ADD, fd, &ev) < 0) {
        return -errno;
    }
    l->src[slot].fd = fd;
    l->src[slot].fn = fn;
    l->src[slot].opaque = opaque;
    return 0;
}

int ipc_loop_mod(struct ipc_loop *l, int fd, uint32_t events)
{
    int slot = fd < 0 ? -1 : loop_slot_find(l, fd);
    struct epoll_event ev;

    if (slot < 0) {
        return -ENOENT;
    }
    ev = loop_event_make(l, slot, events);
    return epoll_ctl(l->epfd, EPOLL_CTL_MOD, fd, &ev) < 0 ? -errno : 0;
}

void ipc_loop_del(struct ipc_loop *l, int fd)
{
    int slot = fd < 0 ? -1 : loop_slot_find(l, fd);
    struct epoll_event ev = {0};

    if (slot < 0) {
        return;
    }
    (void)epoll_ctl(l->epfd, EPOLL_CTL_DEL, fd, &ev);
    l->src[slot].gen++;
    l->src[slot].fd = -1;
    l->src[slot].fn = NULL;
}

int ipc_timer_init(struct ipc_timer *t, struct ipc_loop *l, ipc_timer_fn fn, void *opaque)
{
    for (unsigned i = 0; i < IPC_LOOP_TIMERS; i++) {
        if (!l->timer[i]) {
            *t = (struct ipc_timer){.fn = fn, .opaque = opaque, .loop = l};
            l->timer[i] = t;
            return 0;
        }
    }
    return -ENOSPC;
}

void ipc_timer_set(struct ipc_timer *t, uint64_t deadline_ns)
{
    t->deadline_ns = deadline_ns;
}

void ipc_timer_fini(struct ipc_timer *t)
{
    if (!t->loop) {
        return;
    }
    for (unsigned i = 0; i < IPC_LOOP_TIMERS; i++) {
        if (t->loop->timer[i] == t) {
            t->loop->timer[i] = NULL;
        }
    }
    t->loop = NULL;
}

/* How long to wait: the caller's limit or the next deadline, whichever comes first; -1 = for ever. */
static int64_t loop_wait_ns(const struct ipc_loop *l, int timeout_ms)
{
    int64_t wait = timeout_ms < 0 ? -1 : (int64_t)timeout_ms * 1000000;
    uint64_t now = 0;

    for (unsigned i = 0; i < IPC_LOOP_TIMERS; i++) {
        const struct ipc_timer *t = l->timer[i];
        int64_t left;

        if (!t || !t->deadline_ns) {
            continue;
        }
        now = now ? now : ipc_now_ns();
        left = t->deadline_ns > now ? (int64_t)(t->deadline_ns - now) : 0;
        wait = wait < 0 || left < wait ? left : wait;
    }
    return wait;
}

static void loop_timers_run(struct ipc_loop *l)
{
    uint64_t now = ipc_now_ns();

    for (unsigned i = 0; i < IPC_LOOP_TIMERS && !l->quit; i++) {
        struct ipc_timer *t = l->timer[i];

        if (t && t->deadline_ns && t->deadline_ns <= now) {
            t->deadline_ns = 0;
            t->fn(t->opaque);
        }
    }
}

static void loop_event_run(struct ipc_loop *l, const struct epoll_event *ev)
{
    uint32_t slot = (uint32_t)ev->data.u64;
    uint32_t gen = (uint32_t)(ev->data.u64 >> 32);

    if (slot < IPC_LOOP_SOURCES && l->src[slot].fd >= 0 && l->src[slot].gen == gen) {
        l->src[slot].fn(l->src[slot].opaque, l->src[slot].fd, ev->events);
    }
}

/* #syscalls:all epoll_pwait2
 * epoll_wait() counts in milliseconds, too coarse for guest timers. */
int ipc_loop_run_once(struct ipc_loop *l, int timeout_ms)
{
    struct epoll_event ev[LOOP_BATCH];
    int64_t wait = loop_wait_ns(l, timeout_ms);
    struct timespec ts = {.tv_sec = wait / 1000000000, .tv_nsec = wait % 1000000000};
    int n = epoll_pwait2(l->epfd, ev, LOOP_BATCH, wait < 0 ? NULL : &ts, NULL);

    if (n < 0 && errno != EINTR) {
        return -errno;
    }
    for (int i = 0; i < n && !l->quit; i++) {
        loop_event_run(l, &ev[i]);
    }
    loop_timers_run(l);
    return 0;
}

int ipc_loop_run(struct ipc_loop *l)
{
    int err = 0;

    while (!l->quit && !err) {
        err = ipc_loop_run_once(l, -1);
    }
    return err;
}
