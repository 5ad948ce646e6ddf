/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The isolation stages of a child. Stages 1-3 run in the spawner between clone and exec, 4 and 5 in the
 * child's own program. Each implementation has a Should/Mustn't comment. Knows no device.
 */
#ifndef BULKHEAD_SECCOMP_SANDBOX_H
#define BULKHEAD_SECCOMP_SANDBOX_H

#include <stddef.h>
#include <stdint.h>

enum sbx_role {
    SBX_VMM,
    SBX_SPAWNER,
    SBX_CPU_WORKER,
    SBX_BLOCK,
    SBX_NET,
    SBX_NET_LINK,
    SBX_UI,
    SBX_IMG, SBX_NBD,
    SBX_CLERK,
    SBX_TRANSLATOR,
    SBX_IDE,
    SBX_AHCI,
    SBX_NVME,
    SBX_SCSI,
    SBX_ROLES
};
enum sbx_mode { SBX_REQUIRE, SBX_REDUCED, SBX_OFF }; /* same values as enum spawn_sandbox */

const char *sbx_role_name(enum sbx_role role);
int sbx_mode_parse(const char *s, enum sbx_mode *mode); /* 0 or -EINVAL */

/* Stage 4: touch what libc loads lazily, before the filter is on. */
void sbx_stage4_setup(void);
/* Stage 5: no-new-privs, not dumpable, system-call filter of the role (embedded policy). A forbidden
 * call is named on the log channel, then the process dies of SIGSYS. 0, or -errno with the failing
 * step in *step. mode SBX_OFF: does nothing, returns 0. */
int sbx_stage5_lock(enum sbx_role role, enum sbx_mode mode, const char **step);

/* Name of a system call of this architecture, "unknown" if it has none. */
const char *sbx_syscall_name(long nr);

/* What /proc says about a process: for query-sandbox. */
struct sbx_status {
    uint32_t uid;
    uint64_t cap_eff;
    int seccomp; /* 0, 1, 2 */
    int no_new_privs;
};
int sbx_status_read(int pid, struct sbx_status *st);

#endif
