/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Steps: one event, one commit, then its effects. Must never publish an answer, hand over a request or
 * move a line before the state that explains it is committed, nor answer anything while requests of a
 * dead predecessor are still out.
 */
#include "device-procs/runtime/regdev.h"

#include <limits.h>
#include <linux/futex.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "device-procs/runtime/regdev-internal.h"
#include "ipc/fds.h"

#define PCI_COMMAND_MASTER_BIT 0x4u

static struct regdev_head *head(struct regdev *d)
{
    return d->ops->state;
}

/* #syscalls:device futex */
static void futex_wake(uint32_t *word)
{
    syscall(SYS_futex, word, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

void regdev_call(struct regdev *d, unsigned call)
{
    if (call < REGDEV_CALLS_MAX)
        d->calls_due |= 1ull << call;
}

bool regdev_bus_master(const struct regdev *d)
{
    return __atomic_load_n(&d->page->command, __ATOMIC_RELAXED) & PCI_COMMAND_MASTER_BIT;
}

struct disklink *regdev_link(struct regdev *d, unsigned unit)
{
    return unit < ABI_DEV_UNITS && d->link[unit].there ? &d->link[unit].l : NULL;
}

void regdev_guest_error(struct regdev *d, const char *fmt, ...)
{
    char text[160];
    va_list ap;

    if (!ipc_ratelimit_ok(&d->guest_rl, 4, 10))
        return;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    log_warn("guest: %s", text);
}

void regdev_window_open(struct regdev *d, unsigned window, enum abi_dev_window_dir dir, uint64_t at,
                        uint32_t n)
{
    struct abi_dev_window *w = &d->page->window[window];

    __atomic_store_n(&w->active, ABI_DEV_WINDOW_OFF, __ATOMIC_RELAXED);
    w->pos = 0;
    w->len = n;
    w->addr = at;
    __atomic_store_n(&w->active, dir, __ATOMIC_RELEASE);
}

void regdev_window_close(struct regdev *d, unsigned window)
{
    __atomic_store_n(&d->page->window[window].active, ABI_DEV_WINDOW_OFF, __ATOMIC_RELEASE);
}

/* The worker looks at the lines itself after each access; it has to be rung for the rest, and for a
 * rise in any case, because the route may be a message. */
static void lines_drive(struct regdev *d)
{
    unsigned want = d->ops->lines(d);

    for (unsigned i = 0; i < d->ops->n_lines; i++) {
        uint32_t now = __atomic_load_n(&d->page->line[i], __ATOMIC_RELAXED);

        if ((now & 1) == (want >> i & 1))
            continue;
        __atomic_store_n(&d->page->line[i], now + 1, __ATOMIC_SEQ_CST);
        if (!d->in_access || want >> i & 1)
            regdev_call(d, i);
    }
}

void regdev_step_begin(struct regdev *d)
{
    if (d->ops->step_begin)
        d->ops->step_begin(d);
}

void regdev_step_end(struct regdev *d)
{
    devstate_commit(&d->st);
    if (d->ops->publish)
        d->ops->publish(d);
    for (unsigned i = 0; i < ABI_DEV_UNITS; i++)
        if (d->link[i].there)
            disklink_flush(&d->link[i].l);
    lines_drive(d);
    for (unsigned i = 0; d->calls_due; i++, d->calls_due >>= 1)
        if (d->calls_due & 1 && d->call[i] >= 0)
            ipc_eventfd_signal(d->call[i]);
}

static void answer_publish(struct regdev *d, unsigned vcpu, uint32_t req, uint64_t value)
{
    struct abi_dev_mbox *b = &d->page->mbox[vcpu];

    __atomic_store_n(&b->value, value, __ATOMIC_RELAXED);
    __atomic_store_n(&b->done, req, __ATOMIC_SEQ_CST);
    futex_wake(&b->done);
}

/* The predecessor committed an answer and may have died before it was out. */
void regdev_answer_again(struct regdev *d)
{
    struct regdev_head *h = head(d);
    const struct abi_dev_mbox *b = &d->page->mbox[h->last_vcpu % ABI_DEV_VCPUS];

    if (h->last_vcpu < ABI_DEV_VCPUS && h->last_req == __atomic_load_n(&b->req, __ATOMIC_ACQUIRE) &&
        h->last_req != __atomic_load_n(&b->done, __ATOMIC_RELAXED))
        answer_publish(d, h->last_vcpu, h->last_req, h->last_value);
}

static uint64_t request_run(struct regdev *d, const struct abi_dev_mbox *q)
{
    unsigned region = (unsigned)(q->addr >> ABI_DEV_REGION_SHIFT);
    uint32_t off = (uint32_t)q->addr;

    switch (q->op) {
    case ABI_DEV_READ:
        return d->ops->read(d, region, off, q->size);
    case ABI_DEV_WRITE:
        d->ops->write(d, region, off, q->size, q->value);
        return 0;
    case ABI_DEV_WINDOW_DONE:
        if (d->ops->window_done && q->addr < ABI_DEV_WINDOWS)
            d->ops->window_done(d, (unsigned)q->addr);
        return 0;
    }
    return ~0ull;
}

static bool size_ok(uint32_t size)
{
    return size == 1 || size == 2 || size == 4 || size == 8;
}

/* One slot: copied once, and dropped if the worker gave it up for another while it was copied. */
static void slot_serve(struct regdev *d, unsigned vcpu)
{
    struct abi_dev_mbox *b = &d->page->mbox[vcpu], q;
    uint32_t req = __atomic_load_n(&b->req, __ATOMIC_ACQUIRE);

    if (req == __atomic_load_n(&b->done, __ATOMIC_RELAXED))
        return;
    q.op = __atomic_load_n(&b->op, __ATOMIC_RELAXED);
    q.size = __atomic_load_n(&b->size, __ATOMIC_RELAXED);
    q.addr = __atomic_load_n(&b->addr, __ATOMIC_RELAXED);
    q.value = __atomic_load_n(&b->value, __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    if (__atomic_load_n(&b->req, __ATOMIC_RELAXED) != req)
        return;
    d->in_access = true;
    regdev_step_begin(d);
    q.value = size_ok(q.size) ? request_run(d, &q) : ~0ull;
    head(d)->last_vcpu = vcpu;
    head(d)->last_req = req;
    head(d)->last_value = q.value;
    regdev_step_end(d);
    d->in_access = false;
    answer_publish(d, vcpu, req, q.value);
}

static void reset_look(struct regdev *d)
{
    uint32_t seq = __atomic_load_n(&d->page->reset_seq, __ATOMIC_ACQUIRE);
    struct regdev_head h = *head(d);

    if (seq == h.reset_seen)
        return;
    for (unsigned i = 0; i < ABI_DEV_UNITS; i++)
        if (d->link[i].there)
            disklink_forget(&d->link[i].l);
    for (unsigned i = 0; i < ABI_DEV_WINDOWS; i++)
        regdev_window_close(d, i);
    memset(d->ops->state, 0, d->ops->state_size);
    h.reset_seen = seq;
    *head(d) = h;
    d->ops->power_on(d);
    regdev_step_end(d);
    __atomic_store_n(&d->page->reset_done, seq, __ATOMIC_SEQ_CST);
    futex_wake(&d->page->reset_done);
}

static bool links_drained(const struct regdev *d)
{
    for (unsigned i = 0; i < ABI_DEV_UNITS; i++)
        if (d->link[i].there && d->link[i].l.draining)
            return false;
    return true;
}

static void resume(struct regdev *d)
{
    if (!links_drained(d))
        return;
    d->ready = true;
    if (d->ops->publish)
        d->ops->publish(d);
    regdev_answer_again(d);
    regdev_step_begin(d);
    regdev_units_look(d);
    if (d->ops->units_changed)
        d->ops->units_changed(d);
    d->ops->resume(d);
    regdev_step_end(d);
}

void regdev_look(struct regdev *d)
{
    unsigned vcpus = __atomic_load_n(&d->page->vcpus, __ATOMIC_RELAXED);

    if (!d->ready)
        resume(d);
    reset_look(d);
    if (d->ready)
        regdev_step_begin(d);
    if (regdev_units_look(d) && d->ready)
        regdev_step_end(d);
    if (!d->ready)
        return;
    for (unsigned i = 0; i < vcpus && i < ABI_DEV_VCPUS; i++)
        slot_serve(d, i);
}
