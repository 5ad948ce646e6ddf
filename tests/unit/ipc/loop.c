/* SPDX-License-Identifier: Apache-2.0 */
/* The loop: sources removed by a handler, slots used again, timers. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "ipc/fds.h"
#include "ipc/loop.h"
#include "tests/lib/ctest.h"

static struct ipc_loop l;
static int a, b;
static unsigned calls_a, calls_b, calls_late, timer_calls;
static struct ipc_timer t1, t2;

static void on_late(void *opaque, int fd, uint32_t events)
{
    (void)opaque;
    (void)fd;
    (void)events;
    calls_late++;
}

/* Whichever of the two comes first removes the other, and puts a third source into its slot. */
static void on_event(void *opaque, int fd, uint32_t events)
{
    static int c = -1;

    (void)events;
    ++*(unsigned *)opaque;
    ipc_loop_del(&l, fd == a ? b : a);
    if (c < 0) {
        c = ipc_eventfd_create();
        ok(ipc_loop_add(&l, c, EPOLLIN, on_late, NULL) == 0, "a handler may add");
    }
    ipc_eventfd_drain(fd);
}

static void on_timer(void *opaque)
{
    struct ipc_timer *t = opaque;

    timer_calls++;
    ipc_timer_fini(t == &t1 ? &t2 : &t1);
}

static void on_quit(void *opaque)
{
    (void)opaque;
    l.quit = true;
}

static void test_sources(void)
{
    a = ipc_eventfd_create();
    b = ipc_eventfd_create();
    ok(ipc_loop_add(&l, a, EPOLLIN, on_event, &calls_a) == 0, "add");
    ok(ipc_loop_add(&l, b, EPOLLIN, on_event, &calls_b) == 0, "add another");
    ok(ipc_loop_add(&l, a, EPOLLIN, on_event, &calls_a) == -EINVAL, "the same twice is refused");
    ok(ipc_loop_add(&l, -1, EPOLLIN, on_event, NULL) == -EINVAL, "-1 is refused");
    ok(ipc_loop_mod(&l, 999, EPOLLIN) == -ENOENT, "one that is not there cannot be changed");
    ipc_eventfd_signal(a);
    ipc_eventfd_signal(b);
    ok(ipc_loop_run_once(&l, 0) == 0 && calls_a + calls_b == 1, "a source removed while pending is not called");
    ok(calls_late == 0, "nor is the one that took its slot");
    ok(ipc_loop_run_once(&l, 0) == 0 && calls_a + calls_b == 1, "nor later");
}

static void test_timers(void)
{
    struct ipc_timer t[IPC_LOOP_TIMERS], q;
    uint64_t t0 = ipc_now_ns();
    int i;

    ipc_timer_init(&t1, &l, on_timer, &t1);
    ipc_timer_init(&t2, &l, on_timer, &t2);
    ipc_timer_set(&t1, t0 + 5000000);
    ipc_timer_set(&t2, t0 + 5000000);
    ipc_loop_run_once(&l, 1000);
    ok(ipc_now_ns() - t0 >= 5000000 && timer_calls == 1, "a timer may end another that is due");
    ipc_timer_fini(&t1);
    ipc_timer_fini(&t2);
    ok(ipc_loop_run_once(&l, 0) == 0 && timer_calls == 1, "and runs once");
    for (i = 0; i < IPC_LOOP_TIMERS && ipc_timer_init(&t[i], &l, on_quit, NULL) == 0; i++) {
    }
    ok(i == IPC_LOOP_TIMERS && ipc_timer_init(&q, &l, on_quit, NULL) == -ENOSPC, "there are %d timers", i);
    ipc_timer_set(&t[3], ipc_now_ns() + 1000000);
    ok(ipc_loop_run(&l) == 0 && l.quit, "run ends when told");
}

static void test_eventfd(void)
{
    int e = ipc_eventfd_create();

    ipc_eventfd_signal(e);
    ipc_eventfd_signal(e);
    ok(ipc_eventfd_drain(e) == 2 && ipc_eventfd_drain(e) == 0, "an eventfd counts and is emptied");
    close(e);
}

int main(void)
{
    ok(ipc_loop_init(&l) == 0, "init");
    test_eventfd();
    test_sources();
    test_timers();
    ipc_loop_fini(&l);
    return ctest_done();
}
