/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The vmm's end of the spawn protocol: starts the spawner in the way this user can (as root, in a user
 * namespace, or through the system broker) and turns its events into callbacks. Holds no policy.
 */
#ifndef BULKHEAD_VMM_SUPERVISE_SPAWN_CLIENT_H
#define BULKHEAD_VMM_SUPERVISE_SPAWN_CLIENT_H

#include <stddef.h>
#include <sys/types.h>
#include "ipc/abi/spawn.h"
#include "ipc/loop.h"

struct spawn_client {
    int fd;    /* channel to the spawner, or -1 */
    pid_t pid; /* spawner, 0 when it is the broker's child */
    const char *how; /* "root", "user namespace", "broker", "no namespace" */
    uint32_t sub_uid; /* user namespace: the host's UID behind UID 1 inside; events are translated */
    uint32_t own_uid; /* behind UID 0 inside */
    struct ipc_loop *loop;
    int pidfd;        /* of the spawner, -1 when it is the broker's child */
    int slot_fd;      /* user namespace: holds the block of subordinate UIDs, or -1 */
    void *opaque;
    /* fds: STARTED: fds[0] = pidfd, fds[1] = role's file or absent. The callee owns them. */
    void (*event)(void *opaque, const struct spawn_event *ev, int *fds, unsigned nfds);
    void (*gone)(void *opaque); /* the spawner died: the VM must end */
};

/* Starts the spawner and sends the plan with its files. The children's programs are found next to this
 * executable (build tree) or in libexec/bulkhead. 0, or -1 with one clear line in err. */
int spawn_client_start(struct spawn_client *sc, const struct spawn_plan *plan, const int *files,
                       struct spawn_plan_reply *reply, char *err, size_t errlen);
void spawn_client_serve(struct spawn_client *sc); /* events that wait, without waiting */
int spawn_client_watch(struct spawn_client *sc, struct ipc_loop *l);
int spawn_client_start_role(struct spawn_client *sc, unsigned role, uint32_t generation,
                            int ctl_fd, int log_fd); /* fds stay the caller's */
/* The orderly end: hangs up and waits (bounded) until the spawner has ended every child and itself. */
void spawn_client_stop(struct spawn_client *sc);
int spawn_client_kill(struct spawn_client *sc, unsigned role, uint32_t generation, int sig);

#endif
