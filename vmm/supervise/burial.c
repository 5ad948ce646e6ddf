/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The spawner's events, and what follows a death: a successor now, a successor later, or none. The
 * only place that asks the restart policy. Must never restart what has not been reaped: the block
 * fence and the one-process-per-UID rule depend on it.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "vmm/supervise/supervisor.h"

static void give_up(struct child *c)
{
    child_move(c, CEV_GIVE_UP);
    failure_record(c);
    if (child_is_device(c))
        machine_backend_failed(c->sup->vm, c->id);
}

static void follow_policy(struct child *c, bool charged, const struct crash_note *note)
{
    uint64_t now = ipc_now_ns(), delay = 0;
    uint64_t lived = c->ready_ns ? c->lost_ns - c->ready_ns : 0;

    switch (rp_death(&c->policy, now, charged, lived, &delay)) {
    case RP_NOW: /* the guest waits for the successor, nobody waits for the news */
        sup_child_start(c);
        crash_note_tell(c->sup, note);
        break;
    case RP_LATER:
        child_move(c, CEV_BACKOFF);
        ipc_timer_set(&c->timer, now + delay);
        crash_note_tell(c->sup, note);
        break;
    case RP_GIVE_UP:
        crash_note_tell(c->sup, note);
        give_up(c);
        break;
    }
}

/* No VM was promised yet: say why in one line, in the child's own words if it had any. */
static void fail_start(struct child *c, const char *reason)
{
    struct supervisor *s = c->sup;
    char line[400];

    child_move(c, CEV_GIVE_UP);
    if (s->start_failed)
        return;
    s->start_failed = true;
    snprintf(line, sizeof(line), "%s: %s", c->tag, c->first_error[0] ? c->first_error : reason);
    s->hooks->start_failed(s->vm, line);
}

static void worker_died(struct child *c, const char *reason, const struct crash_note *note)
{
    crash_note_tell(c->sup, note);
    child_move(c, CEV_GIVE_UP);
    c->sup->hooks->worker_lost(c->sup->vm, reason);
}

static void conclude(struct child *c, int status, bool known)
{
    bool charged = death_is_charged(c, status, known);
    struct crash_note note;
    char reason[64];

    death_reason(c, status, known, reason, sizeof(reason));
    if (c->sup->starting) {
        fail_start(c, reason);
        return;
    }
    child_log_flush_held(c);
    crash_note_make(c, status, known, &note);
    if (c->cause == CAUSE_REQUESTED)
        sup_child_start(c);
    else if (c->program == SPAWN_CPU_WORKER)
        worker_died(c, reason, &note);
    else
        follow_policy(c, charged, &note);
}

void sup_check_all_stopped(struct supervisor *s)
{
    for (unsigned i = 0; i < s->n_child; i++)
        if (s->child[i].state != CHILD_ABSENT)
            return;
    if (s->stopping && !s->stopped) {
        s->stopped = true;
        s->hooks->all_stopped(s->vm);
    }
}

void sup_child_bury(struct child *c, int status, bool known)
{
    sup_child_lose(c, CAUSE_NONE, NULL);
    for (unsigned i = 0; i < 4; i++)
        child_log_read(c);
    ipc_timer_set(&c->timer, 0);
    incarnation_close(c);
    if (c->state == CHILD_DEAD && c->standby)
        child_move(c, CEV_STOP); /* who ordered it looks at first_error */
    if (c->state == CHILD_DEAD && c->sup->stopping) {
        struct crash_note note;
        crash_note_make(c, status, known, &note);
        if (c->cause == CAUSE_NONE) /* maybe the very reason why everything ends */
            crash_note_tell(c->sup, &note);
        child_move(c, CEV_STOP);
    }
    if (c->state == CHILD_STOPPING) {
        child_log_flush_held(c);
        child_move(c, CEV_REAPED);
        sup_check_all_stopped(c->sup);
    } else if (c->state == CHILD_DEAD) {
        conclude(c, status, known);
    }
}

static void close_all(int *fds, unsigned nfds)
{
    for (unsigned i = 0; i < nfds; i++)
        close(fds[i]);
}

static void on_started(struct child *c, const struct spawn_event *ev, int *fds, unsigned nfds)
{
    if (c->state == CHILD_SPAWNING) {
        sup_child_started(c, ev, fds, nfds);
        return;
    }
    /* Condemned between START and STARTED; the kill that went out then came too early. */
    close_all(fds, nfds);
    c->pid = ev->pid;
    spawn_client_kill(&c->sup->spawn, c->role, c->generation, 9);
}

static void on_failed(struct child *c, const struct spawn_event *ev)
{
    size_t n = strnlen(ev->text, sizeof(ev->text));

    if (n >= sizeof(c->first_error))
        n = sizeof(c->first_error) - 1;
    memcpy(c->first_error, ev->text, n);
    c->first_error[n] = '\0';
    sup_child_lose(c, CAUSE_SPAWN, c->sup->starting ? NULL : c->first_error);
    sup_child_bury(c, 0, false);
}

/* The spawner is more trusted than the vmm, but its messages are checked all the same. */
void sup_spawn_event(void *opaque, const struct spawn_event *ev, int *fds, unsigned nfds)
{
    struct supervisor *s = opaque;
    struct child *c = ev->role < s->n_child ? &s->child[ev->role] : NULL;

    if (!c || ev->generation != c->generation) {
        close_all(fds, nfds);
        return;
    }
    if (ev->kind == SPAWN_EV_STARTED) {
        on_started(c, ev, fds, nfds);
        return;
    }
    close_all(fds, nfds);
    if (ev->kind == SPAWN_EV_FAILED)
        on_failed(c, ev);
    else if (ev->kind == SPAWN_EV_EXITED)
        sup_child_bury(c, ev->status, true);
}
