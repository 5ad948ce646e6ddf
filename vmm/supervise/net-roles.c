/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Roles of netdevs at run time: one in reserve becomes a netdev's, a standby is started and waited for, a running one
 * is asked. The waits are bounded, and answer the guest meanwhile; must never run the whole loop, whose other
 * handlers (another monitor command) could not bear it.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "vmm/supervise/supervisor.h"

#define AWAIT_NS 5000000000ull
#define ASK_NS   2000000000ull

struct child *sup_net_child(struct supervisor *s, unsigned config)
{
    for (unsigned i = 0; i < s->n_child; i++)
        if (s->child[i].program == SPAWN_NET && s->child[i].config == config)
            return &s->child[i];
    return NULL;
}

static bool in_reserve(const struct child *c)
{
    return c->program == SPAWN_NET && c->config == CHILD_NO_CONFIG && c->state == CHILD_ABSENT;
}

struct child *sup_net_reserve(struct supervisor *s, unsigned config, const struct plan_net *n)
{
    bool host_net = !strcmp(n->backend, "user");

    for (unsigned i = 0; i < s->n_child; i++) {
        struct child *c = &s->child[i];
        if (!in_reserve(c) || s->splan.role[c->role].host_net != host_net)
            continue;
        c->config = config;
        snprintf(c->id, sizeof(c->id), "%s", n->id);
        snprintf(c->tag, sizeof(c->tag), "%s/%s", c->role_name, n->id);
        c->alias[0] = 0;
        return c;
    }
    return NULL;
}

void sup_net_release(struct child *c)
{
    c->config = CHILD_NO_CONFIG;
    c->id[0] = c->alias[0] = 0;
}

/* One look at everything that can bring this child forward.
 * #syscalls:vmm poll read */
static void wait_once(struct child *c, int timeout_ms)
{
    struct vm *vm = c->sup->vm;
    struct pollfd p[3] = {{.fd = c->sup->spawn.fd, .events = POLLIN},
                          {.fd = c->ctl_fd, .events = POLLIN},
                          {.fd = vm->doorbell_vmm, .events = POLLIN}};

    if (poll(p, 3, timeout_ms) <= 0)
        return;
    if (p[2].revents & POLLIN)
        machine_mailbox(vm); /* the doorbell stays rung: it also says "serial output" to the loop */
    if (p[0].revents)
        spawn_client_serve(&c->sup->spawn);
    if (p[1].revents && c->ctl_fd >= 0)
        sup_child_receive(c);
}

/* The doorbell that stays rung would make every poll return at once: then a short pause is the wait. */
static void wait_for(struct child *c, uint64_t deadline)
{
    struct pollfd p = {.fd = c->ctl_fd, .events = POLLIN};
    uint64_t now = ipc_now_ns();

    wait_once(c, now >= deadline ? 0 : (int)((deadline - now) / 1000000) + 1);
    (void)poll(&p, p.fd >= 0, 1);
}

int sup_await(struct child *c)
{
    uint64_t deadline = ipc_now_ns() + AWAIT_NS;

    sup_child_start(c);
    while (child_alive(c) && c->state != CHILD_RUNNING && ipc_now_ns() < deadline)
        wait_for(c, deadline);
    if (c->state == CHILD_RUNNING)
        return 0;
    while (c->log_fd >= 0 && c->state == CHILD_DEAD && ipc_now_ns() < deadline) /* its last words */
        wait_for(c, deadline);
    if (child_alive(c))
        sup_child_lose(c, CAUSE_HANG, "was not ready in time");
    return c->first_error[0] ? -EINVAL : -EPIPE;
}

/* ---- questions --------------------------------------------------------------------------------- */

static struct {
    const struct child *who;
    uint32_t seq;
    bool answered;
    char *text;
    size_t cap;
} asked;

void sup_answer(struct child *c, const Ctl__InfoReply *m)
{
    if (c != asked.who || m->seq != asked.seq) /* late: of a question that was given up */
        return;
    snprintf(asked.text, asked.cap, "%s", m->text);
    asked.answered = true;
}

int sup_ask(struct child *c, enum ctl_msg type, void *msg, uint32_t *seq, char *text, size_t cap)
{
    uint64_t deadline = ipc_now_ns() + ASK_NS;
    uint32_t number = asked.seq + 1;
    int r;

    if (c->state != CHILD_RUNNING)
        return -ENOTCONN;
    asked.who = c;
    asked.seq = *seq = number;
    asked.answered = false;
    asked.text = text;
    asked.cap = cap;
    r = sup_child_send(c, type, msg, NULL, 0);
    while (!r && !asked.answered && c->state == CHILD_RUNNING && ipc_now_ns() < deadline)
        wait_for(c, deadline);
    asked.who = NULL;
    return r ? r : asked.answered ? 0 : -ETIMEDOUT;
}
