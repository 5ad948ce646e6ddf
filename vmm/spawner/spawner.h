/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The spawner: the one process of a virtual machine that keeps authority over the host. It takes a frozen
 * plan, then role indexes. Fixed memory, fixed structures, no parser, no path from anybody else.
 */
#ifndef BULKHEAD_VMM_SPAWNER_SPAWNER_H
#define BULKHEAD_VMM_SPAWNER_SPAWNER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "ipc/abi/spawn.h"

#define SP_CHANNEL_FD 3   /* the vmm */
#define SP_CHILDREN   128 /* two incarnations of every role may overlap */
#define SP_UID_BASE   1879048192u
#define SP_UID_BLOCK  128 /* UIDs of one virtual machine: the vmm's, then one per role */
#define SP_SLOTS      4096

struct sp_child {
    bool used;
    bool started; /* STARTED was sent: its end is an EXITED, not a FAILED */
    uint32_t role, generation;
    pid_t pid;
    int pidfd;
    int mnt_fd;   /* its mount namespace, -1 when it has none of its own or the root is empty already */
    int world_fd; /* our end of its SBX_FD_WORLD, -1 after stage 3 */
    int file_fd;  /* the role's file opened anew, until it is passed on; -1 = none */
    uint64_t loaded_deadline_ns;
    struct spawn_event failure; /* what the child said before it gave up */
};

struct spawner {
    int fd; /* the vmm */
    bool userns;       /* UIDs are those of a user namespace made for us */
    bool foreign;      /* the vmm came through the broker and is not root */
    unsigned ids;      /* UIDs to give away, from uid_base + 1; 0 = children keep ours */
    uid_t uid_base;
    unsigned slot;
    int slot_fd;       /* holding it open holds the slot */
    struct spawn_plan plan;
    int file[SPAWN_FILES_MAX];
    int program[SPAWN_PROGRAMS];
    int null_fd, self_fd_dir, self_ns_dir, own_mnt_fd;
    int cgroup_fd, cgroup_parent_fd; /* -1: layer missing */
    uint32_t layers;
    uint32_t last_generation[SPAWN_ROLES_MAX];
    struct sp_child child[SP_CHILDREN];
    char missing[160]; /* layers that could not be had, for the reply */
};

/* plan.c: takes and checks message 1. 0, or -errno with the reason in text. */
int sp_plan_receive(struct spawner *sp, char *text, size_t len);

/* setup.c: everything that needs paths or more authority than serving does. 0 or -errno and text. */
int sp_setup(struct spawner *sp, char *text, size_t len);

/* ids.c: a block of UIDs no other virtual machine has; nothing runs under them when it returns. */
int sp_ids_claim(struct spawner *sp, char *text, size_t len);

/* cgroup.c: a cgroup for this virtual machine; cgroup_fd stays -1 where there is none to have. */
void sp_cgroup_create(struct spawner *sp);
int sp_cgroup_leaf(struct spawner *sp, unsigned role); /* directory for CLONE_INTO_CGROUP, or -1 */
void sp_cgroup_remove(struct spawner *sp);

/* child.c: one incarnation. On success *c is filled and running. 0 or -errno; *step says where. */
int sp_child_start(struct spawner *sp, struct sp_child *c, int ctl_fd, int log_fd, const char **step);
/* What a child that cannot go on says on its world socket. */
struct sp_failure {
    int32_t error;
    char step[60];
};

/* serve.c: until the vmm hangs up. Returns the exit status; no child is left. */
int sp_serve(struct spawner *sp);

/* session.c: one virtual machine on channel fd, from plan to end. Returns the exit status. */
int sp_session(int fd, bool userns, unsigned ids, bool foreign);

/* broker.c: a session per connection of the listening socket. */
int sp_broker(const char *listen_path);

#endif
