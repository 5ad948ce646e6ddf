/* SPDX-License-Identifier: Apache-2.0 */
/* The thread of a vCPU: see vcpu-thread.h. Must never hold a lock while guest code runs. */
#include "cpu-worker/irq/vcpu-thread.h"

#include <linux/futex.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include "cpu-worker/run/run.h"

/* #syscalls:cpu-worker futex */
static void ticket_wait(uint32_t *word, uint32_t expected)
{
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, expected, NULL, NULL, 0);
}

static void ticket_next(uint32_t *word)
{
    __atomic_fetch_add(word, 1, __ATOMIC_SEQ_CST);
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static void *vcpu_main(void *arg)
{
    struct vcpu_thread *t = arg;
    uint32_t seen = 0, now;
    char name[16];
    snprintf(name, sizeof(name), "vcpu %u", t->index);
    prctl(PR_SET_NAME, name); /* before the process locks itself */
    ticket_next(&t->started);
    for (;;) {
        while ((now = __atomic_load_n(&t->ticket, __ATOMIC_ACQUIRE)) == seen)
            ticket_wait(&t->ticket, seen);
        seen = now;
        if (__atomic_load_n(&t->quit, __ATOMIC_ACQUIRE))
            return NULL;
        cpu_state_load(t->cpu);
        int why = cpu_run(t->cpu);
        __atomic_store_n(&t->parked, 1, __ATOMIC_SEQ_CST);
        t->on_park(t->opaque, why);
    }
}

int vcpu_thread_start(struct vcpu_thread *t)
{
    t->ticket = t->quit = t->started = 0;
    t->parked = 1;
    int err = -pthread_create(&t->thread, NULL, vcpu_main, t);
    /* libc's own start of a thread makes calls (rseq, set_robust_list) that the filter forbids: it has to
     * be over before the process locks itself. */
    while (!err && !__atomic_load_n(&t->started, __ATOMIC_ACQUIRE))
        ticket_wait(&t->started, 0);
    return err;
}

bool vcpu_thread_parked(const struct vcpu_thread *t)
{
    return __atomic_load_n(&t->parked, __ATOMIC_SEQ_CST);
}

void vcpu_thread_run(struct vcpu_thread *t)
{
    __atomic_store_n(&t->cpu->pause_req, 0, __ATOMIC_SEQ_CST);
    __atomic_store_n(&t->parked, 0, __ATOMIC_SEQ_CST);
    ticket_next(&t->ticket);
}

void vcpu_thread_park(struct vcpu_thread *t)
{
    __atomic_store_n(&t->cpu->pause_req, 1, __ATOMIC_SEQ_CST);
    cpu_kick(t->cpu);
}

void vcpu_thread_stop(struct vcpu_thread *t, unsigned wait_s)
{
    struct timespec until;
    __atomic_store_n(&t->quit, 1, __ATOMIC_SEQ_CST);
    vcpu_thread_park(t);
    ticket_next(&t->ticket);
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += wait_s;
    (void)pthread_timedjoin_np(t->thread, NULL, &until); /* the process ends either way */
}
