/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small epoll loop with timers, no allocation after init. One loop per thread. Handlers may add and
 * remove sources, their own included; a source removed while its event is pending is not called.
 */
#ifndef BULKHEAD_IPC_LOOP_H
#define BULKHEAD_IPC_LOOP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>

#define IPC_LOOP_SOURCES 256
#define IPC_LOOP_TIMERS  64

struct ipc_loop;
typedef void (*ipc_io_fn)(void *opaque, int fd, uint32_t events);
typedef void (*ipc_timer_fn)(void *opaque);

struct ipc_timer { /* embedded by its owner; zero-initialise, then ipc_timer_init */
    ipc_timer_fn fn;
    void *opaque;
    uint64_t deadline_ns; /* CLOCK_MONOTONIC; 0 = not armed */
    struct ipc_loop *loop;
};

struct ipc_loop {
    int epfd;
    bool quit;
    struct {
        int fd; /* -1 = free */
        uint32_t gen;
        ipc_io_fn fn;
        void *opaque;
    } src[IPC_LOOP_SOURCES];
    struct ipc_timer *timer[IPC_LOOP_TIMERS];
};

uint64_t ipc_now_ns(void); /* CLOCK_MONOTONIC */

int ipc_loop_init(struct ipc_loop *l);  /* 0 or -errno */
void ipc_loop_fini(struct ipc_loop *l);
int ipc_loop_add(struct ipc_loop *l, int fd, uint32_t events, ipc_io_fn fn, void *opaque);
int ipc_loop_mod(struct ipc_loop *l, int fd, uint32_t events);
void ipc_loop_del(struct ipc_loop *l, int fd); /* before closing fd */

int ipc_timer_init(struct ipc_timer *t, struct ipc_loop *l, ipc_timer_fn fn, void *opaque);
void ipc_timer_set(struct ipc_timer *t, uint64_t deadline_ns); /* 0 disarms */
void ipc_timer_fini(struct ipc_timer *t);

/* Waits at most timeout_ms (-1: until something happens), runs what is due. 0, or -errno. */
int ipc_loop_run_once(struct ipc_loop *l, int timeout_ms);
int ipc_loop_run(struct ipc_loop *l); /* until l->quit */

#endif
