/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Isolation stages 1-3. They run in the child between clone and exec, as the spawner's code with the
 * spawner's authority, so nothing here allocates or parses. Stage 3 has an end after exec: the dynamic
 * loader needs the system's libraries, so the root is emptied by the spawner once the child has said
 * that it is loaded.
 *
 *   stage 1 start   descriptors, environment, resource limits, parent-death signal
 *   stage 2 ids     own UID and GID, no groups, no capabilities, empty bounding set, no-new-privs
 *   stage 3 world   own mount, pid, ipc, uts, net namespaces; empty read-only root
 *   exec
 *   stage 4 setup   what libc loads lazily is loaded          (sandbox.h)
 *   stage 5 lock    system-call filter                         (sandbox.h)
 */
#ifndef BULKHEAD_SECCOMP_ISOLATE_H
#define BULKHEAD_SECCOMP_ISOLATE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define SBX_STAGE_1 0x01u
#define SBX_STAGE_2 0x02u
#define SBX_STAGE_3 0x04u
#define SBX_STAGE_4 0x08u
#define SBX_STAGE_5 0x10u

/* Bootstrap descriptors of a child, in this order from 0. */
enum { SBX_FD_CTL = 3, SBX_FD_LOG = 4, SBX_FD_WORLD = 5, SBX_FDS = 6 };

/* Every stage: 0, or -errno with the failing step in *step. */

/* null_fd becomes 0-2, the others the bootstrap descriptors; every other descriptor but *keep_fd (the
 * program; moved, close-on-exec) is closed. */
int sbx_stage1_start(int null_fd, int ctl_fd, int log_fd, int world_fd, int *keep_fd, const char **step);
/* Resource limits; part of stage 1, a layer of its own. */
int sbx_stage1_rlimits(const char **step);
/* uid 0: stay who we are (no UID to change to), only give up capabilities. */
int sbx_stage2_ids(uid_t uid, gid_t gid, bool change, const char **step);
/* Makes the spawner's own root the template every child's mount namespace is a copy of: read-only
 * tmpfs, the system's library directories read-only in it, and an empty directory to pivot into. */
int sbx_stage3_template(const char **step);
/* Child, before stage 2: the host's name is none of its business. */
int sbx_stage3_hostname(const char **step);
/* Spawner: empties the root of the child whose mount namespace (a copy of the template) mnt_fd is, and
 * comes back to own_mnt_fd. */
int sbx_stage3_world(int mnt_fd, int own_mnt_fd, const char **step);
/* Child, first thing in its program: says it is loaded, waits until its root is empty. *stages: the
 * SBX_STAGE_1..3 bits the spawner did. Without a spawner (no SBX_FD_WORLD): 0 stages. */
int sbx_stage3_finish(uint32_t *stages);

/* The caller's permitted and effective capabilities become this set (bit n = capability n) as far as it
 * has them; inheritable and ambient ones go. 0 or -errno. */
int sbx_caps_keep(uint64_t caps);
/* Empties the bounding set. Needs CAP_SETPCAP. 0 or -errno. */
int sbx_caps_bound(void);

#endif
