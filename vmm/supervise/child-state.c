/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The state machine of a child: one table, one function that applies it. Must never do anything but
 * change the state: what a transition means is the caller's business.
 */
#include "vmm/supervise/child.h"

#define NO (-1)

static const signed char next_state[][CHILD_EVENTS] = {
    /*                  START           STARTED          READY          LOST        BACKOFF        GIVE_UP       STOP            REAPED */
    [CHILD_ABSENT]    = {CHILD_SPAWNING, NO,              NO,            NO,         NO,            NO,           CHILD_ABSENT,   NO},
    [CHILD_SPAWNING]  = {NO,             CHILD_HANDSHAKE, NO,            CHILD_DEAD, NO,            NO,           CHILD_STOPPING, NO},
    [CHILD_HANDSHAKE] = {NO,             NO,              CHILD_RUNNING, CHILD_DEAD, NO,            NO,           CHILD_STOPPING, NO},
    [CHILD_RUNNING]   = {NO,             NO,              NO,            CHILD_DEAD, NO,            NO,           CHILD_STOPPING, NO},
    [CHILD_STOPPING]  = {NO,             NO,              NO,            NO,         NO,            NO,           NO,             CHILD_ABSENT},
    [CHILD_DEAD]      = {CHILD_SPAWNING, NO,              NO,            NO,         CHILD_BACKOFF, CHILD_FAILED, CHILD_STOPPING, NO},
    [CHILD_BACKOFF]   = {CHILD_SPAWNING, NO,              NO,            NO,         NO,            CHILD_FAILED, CHILD_ABSENT,   NO},
    [CHILD_FAILED]    = {CHILD_SPAWNING, NO,              NO,            NO,         NO,            NO,           CHILD_ABSENT,   NO},
};

const char *child_state_name(enum child_state s)
{
    static const char *const names[] = {"absent",   "spawning", "handshake", "running",
                                        "stopping", "dead",     "backoff",   "failed"};

    return (unsigned)s < sizeof(names) / sizeof(names[0]) ? names[s] : "?";
}

const char *child_event_name(enum child_event e)
{
    static const char *const names[] = {"start",   "started", "ready", "lost",
                                        "backoff", "give-up", "stop",  "reaped"};

    return (unsigned)e < CHILD_EVENTS ? names[e] : "?";
}

int child_next_state(enum child_state s, enum child_event e)
{
    if ((unsigned)s > CHILD_FAILED || (unsigned)e >= CHILD_EVENTS)
        return NO;
    return next_state[s][e];
}

bool child_move(struct child *c, enum child_event e)
{
    int next = child_next_state(c->state, e);

    if (next == NO) {
        log_error("%s#%u: event %s is not allowed in state %s", c->tag, c->generation, child_event_name(e), child_state_name(c->state));
        return false;
    }
    c->state = (enum child_state)next;
    return true;
}
