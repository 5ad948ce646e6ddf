/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Register accesses that the vmm answers. Owns the worker's half of struct abi_mailbox; must never
 * wait without looking at pause and shutdown.
 */
#include "cpu-worker/mmio/mailbox.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include "cpu-worker/mmio/mmio.h"
#include "cpu-worker/run/run.h"
#include "cpu-worker/run/team.h"
#include "ipc/fds.h"
#include "ipc/log.h"

/* #syscalls:cpu-worker futex write -- shared futex: the vmm wakes it from its own process */
static void futex_wait_1s(uint32_t *word, uint32_t expected)
{
    struct timespec ts = {.tv_sec = 1};
    syscall(SYS_futex, word, FUTEX_WAIT, expected, &ts, NULL, 0);
}

static bool mailbox_wait(struct cpu *c, struct abi_mailbox *b, uint32_t req)
{
    for (unsigned tries = 0;; tries++) {
        uint32_t done = __atomic_load_n(&b->done, __ATOMIC_ACQUIRE);
        if (done == req)
            return true;
        if (__atomic_load_n(&c->mem->stop, __ATOMIC_RELAXED))
            return false;
        if (tries && c->pause_req) {
            log_warn("register access abandoned: the vmm asks for a pause and does not answer");
            return false;
        }
        if (tries) /* the doorbell may have been drained before the request was looked at */
            ipc_eventfd_signal(c->mem->doorbell_vmm);
        futex_wait_1s(&b->done, done);
    }
}

uint64_t mailbox_call(struct cpu *c, enum abi_mbox_op op, uint64_t addr, unsigned size,
                      uint64_t value)
{
    struct abi_mailbox *b = &c->page->mbox[c->index];
    uint64_t mask = size >= 8 ? ~0ull : (1ull << (8 * size)) - 1;
    if (c->mem->doorbell_vmm < 0)
        return mask;
    b->op = op;
    b->size = size;
    b->addr = addr;
    b->value = value & mask;
    uint32_t req = b->req + 1;
    __atomic_store_n(&b->req, req, __ATOMIC_SEQ_CST);
    ipc_eventfd_signal(c->mem->doorbell_vmm);
    if (c->team)
        team_leave(c); /* others need not wait for the vmm */
    bool answered = mailbox_wait(c, b, req);
    if (c->team)
        team_enter(c);
    uint64_t v = answered ? __atomic_load_n(&b->value, __ATOMIC_RELAXED) : ~0ull;
    if (mmio_map_refresh(c->mem)) { /* in force for every vCPU before the next instruction */
        if (c->team) {
            team_flush(c->team);
            team_flush_wait(c);
        } else {
            cpu_request_flush(c);
        }
    }
    return v & mask;
}
