/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The thread of a vCPU: parked, running, parked again. Owns who may touch the vCPU's state when:
 * the thread while it runs, everybody else while it is parked. Must never wait for the vCPU
 * itself: a park request returns at once and the thread reports.
 */
#ifndef BULKHEAD_CPU_WORKER_VCPU_THREAD_H
#define BULKHEAD_CPU_WORKER_VCPU_THREAD_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct cpu;

struct vcpu_thread {
    struct cpu *cpu;
    unsigned index;   /* of the vCPU, for the thread's name */
    pthread_t thread;
    uint32_t ticket;  /* futex: incremented for each run */
    uint32_t started; /* futex: 1 once the thread runs its own code */
    uint32_t parked;  /* atomic */
    uint32_t quit;    /* atomic */
    /* Called in the vCPU's thread after it has parked; why = enum cpu_exit. */
    void (*on_park)(void *opaque, int why);
    void *opaque;
};

/* Starts the thread, parked, and waits until it runs. cpu, on_park and opaque are set by the caller. 0 or -errno. */
int vcpu_thread_start(struct vcpu_thread *t);
bool vcpu_thread_parked(const struct vcpu_thread *t);
void vcpu_thread_run(struct vcpu_thread *t);  /* only while parked; loads the state from the page */
void vcpu_thread_park(struct vcpu_thread *t); /* any thread: asks; on_park tells when */
/* ends it; gives up waiting after wait_s */
void vcpu_thread_stop(struct vcpu_thread *t, unsigned wait_s);

#endif
