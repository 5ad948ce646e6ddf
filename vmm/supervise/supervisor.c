/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The supervisor as a whole: start-up, orderly end, restart by order, look-up. Must never parse
 * anything a child sends.
 */
#include "vmm/supervise/supervisor.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "vmm/memory/guest-memory.h"

static void spawner_gone(void *opaque)
{
    struct supervisor *s = opaque;

    s->hooks->spawner_gone(s->vm);
}

int sup_start_spawner(struct supervisor *s, const int *files, char *err, size_t errlen)
{
    s->spawn.opaque = s;
    s->spawn.event = sup_spawn_event;
    s->spawn.gone = spawner_gone;
    return spawn_client_start(&s->spawn, &s->splan, files, &s->reply, err, errlen);
}

static int init_child(struct supervisor *s, struct child *c)
{
    c->ctl = calloc(1, sizeof(*c->ctl));
    if (!c->ctl)
        return -ENOMEM;
    if (child_is_device(c)) {
        c->state_fd = mem_device_state_create(c->id);
        if (c->state_fd < 0)
            return c->state_fd;
    }
    return ipc_timer_init(&c->timer, &s->vm->loop, sup_child_deadline, c);
}

/* The children did not end by themselves: no more courtesy. Twice, then the vmm leaves; the spawner
 * kills what is left when it sees the vmm's end close. */
static void stop_deadline(void *opaque)
{
    struct supervisor *s = opaque;

    if (s->killed_all) {
        s->stopped = true;
        s->hooks->all_stopped(s->vm);
        return;
    }
    s->killed_all = true;
    for (unsigned i = 0; i < s->n_child; i++) {
        struct child *c = &s->child[i];
        if (c->state == CHILD_ABSENT)
            continue;
        log_warn("%s#%u does not end: killed", c->tag, c->generation);
        spawn_client_kill(&s->spawn, c->role, c->generation, SIGKILL);
    }
    ipc_timer_set(&s->stop_timer, ipc_now_ns() + SUP_REAP_DEADLINE_NS);
}

int sup_init(struct supervisor *s, const struct sup_hooks *hooks)
{
    int r = 0;

    s->hooks = hooks;
    for (unsigned i = 0; i < s->n_child && r == 0; i++)
        r = init_child(s, &s->child[i]);
    if (r == 0)
        r = ipc_timer_init(&s->heartbeat, &s->vm->loop, heartbeat_tick, s);
    if (r == 0)
        r = ipc_timer_init(&s->stop_timer, &s->vm->loop, stop_deadline, s);
    if (r == 0)
        r = spawn_client_watch(&s->spawn, &s->vm->loop);
    return r;
}

void sup_start_all(struct supervisor *s)
{
    s->starting = true;
    for (unsigned i = 0; i < s->n_child && !s->start_failed; i++)
        if (!s->child[i].standby)
            sup_child_start(&s->child[i]);
    ipc_timer_set(&s->heartbeat, ipc_now_ns() + SUP_PING_INTERVAL_NS);
}

/* A child that serves is asked; one that does not has nothing to lose. */
static void stop_child(struct child *c)
{
    Ctl__Shutdown m = CTL__SHUTDOWN__INIT;
    bool serving = c->state == CHILD_RUNNING;

    if (c->state == CHILD_STOPPING)
        return;
    ipc_timer_set(&c->timer, 0);
    child_move(c, CEV_STOP);
    if (c->state != CHILD_STOPPING)
        return;
    if (c->ctl_fd >= 0) /* nothing it says counts any more */
        ipc_loop_del(&c->sup->vm->loop, c->ctl_fd);
    if (!serving || ctl_send(c->ctl, CTL_SHUTDOWN, &m, NULL, 0, 0) < 0)
        spawn_client_kill(&c->sup->spawn, c->role, c->generation, SIGKILL);
    if (c->backend_up)
        machine_backend_down(c->sup->vm, c->id);
    c->backend_up = false;
}

void sup_child_retire(struct child *c)
{
    c->standby = true;
    stop_child(c);
    if (c->state == CHILD_STOPPING)
        ipc_timer_set(&c->timer, ipc_now_ns() + SUP_STOP_DEADLINE_NS);
}

void sup_stop_all(struct supervisor *s)
{
    if (s->stopping)
        return;
    s->stopping = true;
    ipc_timer_set(&s->heartbeat, 0);
    ipc_timer_set(&s->stop_timer, ipc_now_ns() + SUP_STOP_DEADLINE_NS);
    for (unsigned i = 0; i < s->n_child; i++)
        stop_child(&s->child[i]);
    sup_check_all_stopped(s);
}

struct child *sup_find(struct supervisor *s, const char *id)
{
    for (unsigned i = 0; i < s->n_child; i++)
        if (*id && strcmp(s->child[i].id, id) == 0)
            return &s->child[i];
    for (unsigned i = 0; i < s->n_child; i++)
        if (s->child[i].alias[0] && strcmp(s->child[i].alias, id) == 0)
            return &s->child[i];
    return NULL;
}

struct child *sup_worker(struct supervisor *s)
{
    return &s->child[0];
}

int sup_restart(struct supervisor *s, struct child *c)
{
    if (s->starting || s->stopping)
        return -EBUSY;
    rp_forgive(&c->policy);
    if (child_alive(c)) {
        sup_child_lose(c, CAUSE_REQUESTED, NULL);
    } else if (c->state == CHILD_BACKOFF || c->state == CHILD_FAILED) {
        ipc_timer_set(&c->timer, 0);
        sup_child_start(c);
    }
    return 0;
}
