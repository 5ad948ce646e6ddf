/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One child process as the supervisor remembers it, and the only function that moves its state.
 * Owns the record; decides nothing.
 */
#ifndef BULKHEAD_VMM_SUPERVISE_CHILD_H
#define BULKHEAD_VMM_SUPERVISE_CHILD_H

#include "ipc/abi/spawn.h"
#include "ipc/control.h"
#include "ipc/log.h"
#include "ipc/loop.h"
#include "vmm/supervise/restart-policy.h"
#include "vmm/vm.h"

struct supervisor;

#define CHILD_NO_CONFIG (~0u)

enum child_event {
    CEV_START,   /* the spawner was asked for a new incarnation */
    CEV_STARTED, /* it exists; BOOT was sent */
    CEV_READY,   /* locked down and serving */
    CEV_LOST,    /* dead, or condemned: nothing it says counts any more */
    CEV_BACKOFF, /* reaped; a successor will come later */
    CEV_GIVE_UP, /* reaped; no successor will come */
    CEV_STOP,    /* asked to end in an orderly way */
    CEV_REAPED,  /* gone for good, by order */
    CHILD_EVENTS
};

/* Why the current incarnation ends, where the supervisor knows better than the wait status. */
enum child_cause {
    CAUSE_NONE,      /* it died by itself, or by someone else's signal */
    CAUSE_PROTOCOL,  /* it broke a protocol; killed */
    CAUSE_HANG,      /* it missed its heartbeats or a deadline; killed */
    CAUSE_BACKEND,   /* its vhost-user end refused or failed the handshake; killed */
    CAUSE_SPAWN,     /* the spawner could not start it */
    CAUSE_REQUESTED, /* device_restart */
};

struct child {
    struct supervisor *sup;
    uint32_t role;         /* index in the spawn plan */
    uint32_t program;      /* enum spawn_program */
    const char *role_name; /* "block", ... */
    unsigned config;       /* index into plan.disk[] or plan.net[]; CHILD_NO_CONFIG: a role in reserve */
    bool standby;          /* serves no device: started on order only, and not brought back */
    char id[64];
    char alias[64]; /* the guest device's id, "" if it has none */
    char tag[80];   /* for messages: "block/virtio0", "ui" */
    enum child_state state;
    uint32_t generation;
    struct restart_policy policy;

    /* this incarnation */
    int pid;
    uint32_t uid, layers, stages;
    bool hello_seen, boot_sent, was_ready, backend_up,
        error_held; /* error_held: first_error was not shown yet */
    enum child_cause cause,
        suspect;  /* suspect: what it is killed for if it does not die by itself */
    char why[96]; /* in words, for the suspect */
    int pidfd, status_fd, ctl_fd, log_fd, image_fd, vu_fd;
    struct ctl_peer *ctl;
    uint64_t started_ns, ready_ns, lost_ns;
    uint32_t ping_seq, pong_seq;
    unsigned missed;       /* heartbeats in a row without an answer */
    char first_error[256]; /* first error line of the incarnation, "" if none */
    char last_line[256];

    /* across incarnations */
    int state_fd;
    unsigned restarts;
    struct ipc_timer
        timer; /* deadline of SPAWNING/HANDSHAKE, second kill of DEAD, end of BACKOFF */
    struct ipc_ratelimit log_limit, event_limit;
};

const char *child_state_name(enum child_state s);
const char *child_event_name(enum child_event e);
/* Is a process of this child (supposed to be) there and listened to? */
static inline bool child_alive(const struct child *c)
{
    return c->state == CHILD_SPAWNING || c->state == CHILD_HANDSHAKE || c->state == CHILD_RUNNING;
}

/* A device whose registers are reached through a device page. */
static inline bool child_is_controller(const struct child *c)
{
    return c->program >= SPAWN_IDE && c->program < SPAWN_PROGRAMS;
}
/* It serves a device of the machine: its death is the machine's business, its state is kept. */
static inline bool child_is_device(const struct child *c)
{
    return c->program == SPAWN_BLOCK || c->program == SPAWN_NET || child_is_controller(c);
}

/* The state that event e leads to from s, or -1 if e is not allowed there. */
int child_next_state(enum child_state s, enum child_event e);
/* Moves c; an illegal event is logged with both names, changes nothing and returns false. */
bool child_move(struct child *c, enum child_event e);

#endif
