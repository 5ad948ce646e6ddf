/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The interrupt pump: the worker's main thread turns eventfds of devices into interrupts by the
 * routes the vmm publishes, runs the chipset's timers, and looks at the machine page when the vmm
 * rings. Owns the timerfd; must never decide a vector itself.
 */
#ifndef BULKHEAD_CPU_WORKER_PUMP_H
#define BULKHEAD_CPU_WORKER_PUMP_H

#include <pthread.h>
#include "cpu-worker/irq/clock.h"
#include "cpu-worker/mmio/mmio.h"
#include "ipc/loop.h"

struct chipset;
struct cpu;
struct team;

struct pump {
    struct ipc_loop *loop;
    struct abi_machine_page *page;
    struct chipset *cs;
    struct mmu_host *mem;
    struct vclock *clock;
    const struct abi_input_page *input; /* NULL: nobody asks for sweeps of display memory */
    struct team *team;
    uint32_t sweep_seen;
    /* The address map changed or the like: flush the vCPU's TLB. Called in the pump's thread. */
    void (*flush)(void *opaque);
    void *opaque;
    int doorbell;           /* vmm -> worker */
    int call[ABI_CALL_MAX]; /* -1 = none */
    int timerfd;
    pthread_mutex_t arm_lock;
    uint64_t armed_ns;      /* CLOCK_MONOTONIC, 0 = disarmed; under arm_lock */
};

/* Everything above `timerfd` is set by the caller. Creates the timerfd and adds all sources to the
 * loop. 0 or -errno. */
int pump_init(struct pump *p);
/* The chipset's deadline, or whether time runs, may have changed: set the timerfd. Any thread. */
void pump_rearm(struct pump *p);
/* What the vmm's doorbell means: rings, routes, map, power button. */
void pump_look(struct pump *p);

/* A device rang call eventfd `slot`: deliver by its route. false: the route is being rewritten,
 * come back. Separate from the eventfds for tests. */
bool route_fire(struct abi_machine_page *page, struct chipset *cs, unsigned slot);

#endif
