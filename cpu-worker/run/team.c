/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Entering and leaving guest code, exclusive sections, flush requests; see team.h. Owns the seats'
 * `inside` words and `excl`; must never wait for a vCPU while counting as inside itself.
 */
#include "cpu-worker/run/team.h"

#include <limits.h>
#include <linux/futex.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "cpu-worker/mmio/mmio.h"
#include "cpu-worker/run/run.h"
#include "cpu-worker/vga/vga.h"
#include "cpu-worker/run/watch.h"

/* #syscalls:cpu-worker futex */
static void word_wait(uint32_t *word, uint32_t expected)
{
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, expected, NULL, NULL, 0);
}
static void word_wake(uint32_t *word)
{
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

struct team *team_create(unsigned n, uint64_t ram_size, struct abi_codepage *cp)
{
    struct team *t = aligned_alloc(128, sizeof(*t));
    if (!t)
        return NULL;
    memset(t, 0, sizeof(*t));
    t->n = n;
    t->cp = cp;
    t->pages = ram_size >> 12;
    t->dma_seq = cp->seq;
    t->mask = mmap(NULL, t->pages * sizeof(*t->mask), PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    t->watched = mmap(NULL, t->pages, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    pthread_mutex_init(&t->code_lock, NULL);
    pthread_mutex_init(&t->excl_lock, NULL);
    for (unsigned i = 0; i < ABI_VCPU_MAX; i++)
        pthread_mutex_init(&t->seat[i].lock, NULL);
    if (t->mask != MAP_FAILED && t->watched != MAP_FAILED)
        return t;
    free(t);
    return NULL;
}

/* The owner of an exclusive section waits for inside to become 0. */
static void inside_clear(struct team *t, struct team_seat *s)
{
    __atomic_store_n(&s->inside, 0, __ATOMIC_SEQ_CST);
    if (__atomic_load_n(&t->excl, __ATOMIC_SEQ_CST))
        word_wake(&s->inside);
}

void team_leave(struct cpu *c)
{
    inside_clear(c->team, &c->team->seat[c->index]);
}

void team_enter(struct cpu *c)
{
    struct team *t = c->team;
    struct team_seat *s = &t->seat[c->index];
    for (;;) {
        __atomic_store_n(&s->inside, 1, __ATOMIC_SEQ_CST);
        uint32_t owner = __atomic_load_n(&t->excl, __ATOMIC_SEQ_CST);
        if (!owner || owner == c->index + 1)
            break;
        inside_clear(t, s);
        word_wait(&t->excl, owner);
    }
    team_marks_obey(c);
    if (__atomic_load_n(&c->sweep_req, __ATOMIC_SEQ_CST))
        team_sweep_obey(c);
}

void team_boundary(struct cpu *c)
{
    struct team *t = c->team;
    uint32_t owner = __atomic_load_n(&t->excl, __ATOMIC_SEQ_CST);
    watch_store_done(c);
    if (owner && owner != c->index + 1) {
        team_leave(c);
        team_enter(c);
    }
    team_marks_obey(c);
    team_stale_drop(c);
    if (__atomic_load_n(&c->sweep_req, __ATOMIC_SEQ_CST))
        team_sweep_obey(c);
}

static void inside_wait(struct team_seat *s)
{
    while (__atomic_load_n(&s->inside, __ATOMIC_SEQ_CST))
        word_wait(&s->inside, 1);
}

void cpu_exclusive_begin(struct cpu *c)
{
    struct team *t = c->team;
    if (t->n == 1)
        return;
    team_leave(c);
    pthread_mutex_lock(&t->excl_lock);
    __atomic_store_n(&t->excl, c->index + 1, __ATOMIC_SEQ_CST);
    for (unsigned i = 0; i < t->n; i++)
        if (i != c->index && t->cpu[i])
            __atomic_store_n(&t->cpu[i]->exit_request, 1, __ATOMIC_SEQ_CST);
    for (unsigned i = 0; i < t->n; i++)
        if (i != c->index)
            inside_wait(&t->seat[i]);
    team_enter(c);
}

void cpu_exclusive_end(struct cpu *c)
{
    struct team *t = c->team;
    if (t->n == 1)
        return;
    __atomic_store_n(&t->excl, 0, __ATOMIC_SEQ_CST);
    word_wake(&t->excl);
    pthread_mutex_unlock(&t->excl_lock);
}

/* The sweep that everybody has obeyed. Who is outside obeys before it stores anything (team_enter). */
static void swept_publish(struct team *t, struct vga *v)
{
    uint32_t all = vga_sweep_now(v);
    for (unsigned i = 0; i < t->n; i++) {
        uint32_t ack = __atomic_load_n(&t->seat[i].sweep_ack, __ATOMIC_SEQ_CST);
        if (__atomic_load_n(&t->seat[i].inside, __ATOMIC_SEQ_CST) && (int32_t)(ack - all) < 0)
            all = ack;
    }
    vga_swept_set(v, all);
}

void team_sweep_obey(struct cpu *c)
{
    struct vga *v = c->mem->vga;
    __atomic_store_n(&c->sweep_req, 0, __ATOMIC_SEQ_CST);
    uint32_t sweep = vga_sweep_now(v);
    tlb_protect_display(c);
    __atomic_store_n(&c->team->seat[c->index].sweep_ack, sweep, __ATOMIC_SEQ_CST);
    swept_publish(c->team, v);
}

void team_sweep(struct team *t, struct vga *v)
{
    vga_sweep_next(v);
    for (unsigned i = 0; i < t->n; i++)
        if (t->cpu[i]) {
            __atomic_store_n(&t->cpu[i]->sweep_req, 1, __ATOMIC_SEQ_CST);
            __atomic_store_n(&t->cpu[i]->exit_request, 1, __ATOMIC_SEQ_CST);
        }
    swept_publish(t, v);
}

void team_flush(struct team *t)
{
    __atomic_fetch_add(&t->flush_seq, 1, __ATOMIC_SEQ_CST);
    for (unsigned i = 0; i < t->n; i++)
        if (t->cpu[i])
            cpu_request_flush(t->cpu[i]);
}

void team_flush_wait(struct cpu *self)
{
    struct team *t = self->team;
    uint32_t seq = __atomic_load_n(&t->flush_seq, __ATOMIC_SEQ_CST);
    if (t->n == 1)
        return;
    team_leave(self); /* two that wait for each other must not */
    for (unsigned i = 0; i < t->n; i++) {
        struct team_seat *s = &t->seat[i];
        while (i != self->index && __atomic_load_n(&s->inside, __ATOMIC_SEQ_CST) &&
               (int32_t)(__atomic_load_n(&s->flush_ack, __ATOMIC_SEQ_CST) - seq) < 0)
            sched_yield();
    }
    team_enter(self);
}
