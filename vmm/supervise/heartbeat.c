/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finds children that live but do not answer. Counts heartbeats, not time: when the vmm itself was
 * stopped for a while, all children would look late at once, and all the answers are waiting
 * unread.
 */
#include "vmm/supervise/supervisor.h"

static void ping(struct child *c)
{
    Ctl__Ping m = CTL__PING__INIT;

    m.seq = ++c->ping_seq;
    sup_child_send(c, CTL_PING, &m, NULL, 0);
}

static void check(struct child *c)
{
    if (c->state != CHILD_RUNNING)
        return;
    c->missed = c->pong_seq == c->ping_seq ? 0 : c->missed + 1;
    if (c->missed >= SUP_PING_MISSES)
        sup_child_lose(c, CAUSE_HANG, "missed its heartbeats");
    else
        ping(c);
}

void heartbeat_tick(void *opaque)
{
    struct supervisor *s = opaque;

    for (unsigned i = 0; i < s->n_child; i++)
        check(&s->child[i]);
    ipc_timer_set(&s->heartbeat, ipc_now_ns() + SUP_PING_INTERVAL_NS);
}
