/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The state machine of a child: one table, one function that applies it. Must never do anything but
 * change the state: what a transition means is the caller's business.
 */
#include "vmm/supervise/child.h"

/* A table is read by columns. */
/* clang-format off */
#define ABS CHILD_ABSENT
#define SPW CHILD_SPAWNING
#define HSH CHILD_HANDSHAKE
#define RUN CHILD_RUNNING
#define STP CHILD_STOPPING
#define DED CHILD_DEAD
#define BCK CHILD_BACKOFF
#define FLD CHILD_FAILED
#define ___ (-1)
static const signed char next_state[][CHILD_EVENTS] = {
    /*       START STARTED READY LOST BACKOFF GIVE_UP STOP REAPED */
    [ABS] = {SPW,  ___,    ___,  ___, ___,    ___,    ABS, ___},
    [SPW] = {___,  HSH,    ___,  DED, ___,    ___,    STP, ___},
    [HSH] = {___,  ___,    RUN,  DED, ___,    ___,    STP, ___},
    [RUN] = {___,  ___,    ___,  DED, ___,    ___,    STP, ___},
    [STP] = {___,  ___,    ___,  ___, ___,    ___,    ___, ABS},
    [DED] = {SPW,  ___,    ___,  ___, BCK,    FLD,    STP, ___},
    [BCK] = {SPW,  ___,    ___,  ___, ___,    FLD,    ABS, ___},
    [FLD] = {SPW,  ___,    ___,  ___, ___,    ___,    ABS, ___},
};
/* clang-format on */

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
        return -1;
    return next_state[s][e];
}

bool child_move(struct child *c, enum child_event e)
{
    int next = child_next_state(c->state, e);

    if (next < 0) {
        log_error("%s#%u: event %s is not allowed in state %s", c->tag, c->generation,
                  child_event_name(e), child_state_name(c->state));
        return false;
    }
    c->state = (enum child_state)next;
    return true;
}
