/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Registers of devices that live in processes of their own (ipc/abi/device-page.h). Owns the worker's half
 * of struct abi_dev_mbox and the position in a data window. Must never wait for a device process
 * beyond DEVICE_WAIT_NS, nor use a number of its page before checking it.
 */
#include "cpu-worker/mmio/device.h"

#include <linux/futex.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include "cpu-worker/chipset/chipset.h"
#include "cpu-worker/mmio/mmio.h"
#include "cpu-worker/run/run.h"
#include "cpu-worker/run/team.h"
#include "ipc/fds.h"
#include "ipc/loop.h"

/* Less than the vmm's patience with a worker that is to pause (5 s); many times what a device process
 * takes to come back after a crash. */
#define DEVICE_WAIT_NS 4000000000ull

static uint64_t ones(unsigned size)
{
    return size >= 8 ? ~0ull : (1ull << (8 * size)) - 1;
}

static void doorbell(struct cpu *c, unsigned dev)
{
    uint32_t slot = __atomic_load_n(&c->page->dev[dev].kick, __ATOMIC_RELAXED);

    if (slot < ABI_KICK_MAX && c->mem->kick[slot] >= 0)
        ipc_eventfd_signal(c->mem->kick[slot]);
}

/* #syscalls:cpu-worker futex write clock_gettime -- shared futex: the device process wakes it */
static bool answer_wait(struct cpu *c, unsigned dev, struct abi_dev_mbox *b, uint32_t req)
{
    const struct abi_devpage *p = c->mem->dev[dev];
    uint64_t end = ipc_now_ns() + DEVICE_WAIT_NS;

    for (;;) {
        uint32_t done = __atomic_load_n(&b->done, __ATOMIC_ACQUIRE);
        struct timespec ts = {.tv_nsec = 250000000};

        if (done == req)
            return true;
        if (__atomic_load_n(&c->mem->stop, __ATOMIC_RELAXED) ||
            __atomic_load_n(&p->given_up, __ATOMIC_RELAXED) || ipc_now_ns() >= end)
            return false;
        syscall(SYS_futex, &b->done, FUTEX_WAIT, done, &ts, NULL, 0);
    }
}

static void lines_look(struct cpu *c, unsigned dev)
{
    for (unsigned i = 0; i < ABI_DEV_LINES; i++) {
        uint32_t isr = __atomic_load_n(&c->page->dev[dev].isr[i], __ATOMIC_RELAXED);

        if (isr && isr <= ABI_ISR_MAX)
            chipset_isr_update(c->chipset, isr - 1);
    }
}

static bool ask(struct cpu *c, unsigned dev, struct abi_dev_mbox *b)
{
    struct abi_devpage *p = c->mem->dev[dev];
    uint32_t req = b->req + 1;
    bool answered;

    __atomic_store_n(&b->req, req, __ATOMIC_SEQ_CST);
    doorbell(c, dev);
    if (c->team)
        team_leave(c); /* others need not wait for the device */
    answered = answer_wait(c, dev, b, req);
    if (c->team)
        team_enter(c);
    if (!answered && !__atomic_load_n(&p->given_up, __ATOMIC_RELAXED)) {
        __atomic_fetch_add(&p->timeouts, 1, __ATOMIC_SEQ_CST);
        ipc_eventfd_signal(c->mem->doorbell_vmm);
    }
    return answered;
}

static uint64_t device_call(struct cpu *c, unsigned dev, enum abi_dev_op op, uint64_t addr, unsigned size,
                            uint64_t value)
{
    struct abi_devpage *p = c->mem->dev[dev];
    struct abi_dev_mbox *b = &p->mbox[c->index];
    uint64_t v = ~0ull;

    if (__atomic_load_n(&p->given_up, __ATOMIC_RELAXED))
        return v;
    b->op = op;
    b->size = size;
    b->addr = addr;
    b->value = value;
    if (ask(c, dev, b))
        v = __atomic_load_n(&b->value, __ATOMIC_RELAXED);
    lines_look(c, dev);
    return v;
}

/* ---- data windows: a string of IN or OUT costs no round trip ------------------------------------ */

static struct abi_dev_window *window_find(struct abi_devpage *p, uint64_t addr, uint32_t dir, unsigned *n)
{
    for (*n = 0; *n < ABI_DEV_WINDOWS; ++*n) {
        struct abi_dev_window *w = &p->window[*n];

        if (__atomic_load_n(&w->active, __ATOMIC_ACQUIRE) == dir && w->addr == addr)
            return w;
    }
    return NULL;
}

/* The bytes of this access, or NULL when nothing is left. The last one closes the window. */
static uint8_t *window_move(struct abi_devpage *p, struct abi_dev_window *w, unsigned n, unsigned *size,
                            bool *last)
{
    uint32_t pos = __atomic_load_n(&w->pos, __ATOMIC_RELAXED);
    uint32_t len = __atomic_load_n(&w->len, __ATOMIC_RELAXED);

    if (len > ABI_DEV_WINDOW || pos >= len)
        return NULL;
    if (*size > len - pos)
        *size = len - pos;
    *last = pos + *size == len;
    __atomic_store_n(&w->pos, pos + *size, __ATOMIC_RELAXED);
    return p->data[n] + pos;
}

static void window_end(struct cpu *c, unsigned dev, struct abi_dev_window *w, unsigned n)
{
    __atomic_store_n(&w->active, ABI_DEV_WINDOW_OFF, __ATOMIC_RELEASE);
    device_call(c, dev, ABI_DEV_WINDOW_DONE, n, 4, 0);
}

static bool window_read(struct cpu *c, unsigned dev, uint64_t addr, unsigned size, uint64_t *v)
{
    struct abi_devpage *p = c->mem->dev[dev];
    bool last = false;
    unsigned n;
    struct abi_dev_window *w = window_find(p, addr, ABI_DEV_WINDOW_IN, &n);
    const uint8_t *at = w ? window_move(p, w, n, &size, &last) : NULL;

    if (!at)
        return false;
    *v = 0;
    memcpy(v, at, size);
    if (last)
        window_end(c, dev, w, n);
    return true;
}

static bool window_write(struct cpu *c, unsigned dev, uint64_t addr, unsigned size, uint64_t v)
{
    struct abi_devpage *p = c->mem->dev[dev];
    bool last = false;
    unsigned n;
    struct abi_dev_window *w = window_find(p, addr, ABI_DEV_WINDOW_OUT, &n);
    uint8_t *at = w ? window_move(p, w, n, &size, &last) : NULL;

    if (!at)
        return false;
    memcpy(at, &v, size);
    if (last)
        window_end(c, dev, w, n);
    return true;
}

uint64_t device_read(struct cpu *c, const struct abi_map_entry *e, uint64_t addr, unsigned size)
{
    uint64_t at = e->offset + (addr - e->gpa), v;

    if (e->slot >= ABI_DEV_MAX || !c->mem->dev[e->slot])
        return ones(size);
    if (window_read(c, e->slot, at, size, &v))
        return v;
    return device_call(c, e->slot, ABI_DEV_READ, at, size, 0) & ones(size);
}

void device_write(struct cpu *c, const struct abi_map_entry *e, uint64_t addr, unsigned size,
                  uint64_t value)
{
    uint64_t at = e->offset + (addr - e->gpa);

    if (e->slot >= ABI_DEV_MAX || !c->mem->dev[e->slot])
        return;
    if (!window_write(c, e->slot, at, size, value))
        device_call(c, e->slot, ABI_DEV_WRITE, at, size, value & ones(size));
}
