/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stage 2: identity. Runs in the spawner's child before exec; never allocates.
 */
#include "seccomp/isolate.h"

#include <errno.h>
#include <grp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

static int ids_change(uid_t uid, gid_t gid, const char **step)
{
    *step = "supplementary groups";
    if (setgroups(0, NULL) < 0) {
        return -errno;
    }
    *step = "GID";
    if (setresgid(gid, gid, gid) < 0) {
        return -errno;
    }
    *step = "UID";
    return setresuid(uid, uid, uid) < 0 ? -errno : 0;
}

/*
 * Stage 2, in the child, after stage 1.
 * Should: take a UID nobody else has, give up every group and every capability, for ever.
 * Mustn't: set NO_SETUID_FIXUP or keep-caps bits (they would let the capabilities survive the change), or
 *          trust that a change worked: what remains is checked.
 */
int sbx_stage2_ids(uid_t uid, gid_t gid, bool change, const char **step)
{
    int err;

    *step = "no-new-privs";
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) {
        return -errno;
    }
    /* The bounding set can only be emptied while the capabilities are there. */
    *step = "bounding set";
    err = sbx_caps_bound();
    if (!err && change) {
        err = ids_change(uid, gid, step);
    }
    if (err) {
        return err;
    }
    *step = "capabilities";
    err = sbx_caps_keep(0);
    if (!err && change && (getuid() != uid || geteuid() != uid || setuid(0) == 0)) {
        err = -EPERM;
    }
    if (err) {
        return err;
    }
    *step = "parent-death signal"; /* the kernel forgets it when the UID changes */
    return prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0 ? -errno : 0;
}
