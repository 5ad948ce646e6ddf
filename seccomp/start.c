/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stage 1: what a child starts with. Runs in the spawner's child before exec; never allocates.
 */
#include "seccomp/isolate.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "ipc/fds.h"

#define START_FD_HIGH 32 /* above every bootstrap descriptor, so that dup2 cannot hit one in use */

/*
 * Stage 1, in the child, before anything is given up.
 * Should: leave exactly the bootstrap descriptors (0-2 on /dev/null: no child holds the user's terminal)
 *         and the program, default signal dispositions, death with the parent.
 * Mustn't: look at what the descriptors are, or keep one because it might be useful.
 */
int sbx_stage1_start(int null_fd, int ctl_fd, int log_fd, int world_fd, int *keep_fd, const char **step)
{
    const int src[SBX_FDS] = {null_fd, null_fd, null_fd, ctl_fd, log_fd, world_fd};
    int high[SBX_FDS + 1];
    sigset_t none;

    *step = "descriptors";
    for (int i = 0; i <= SBX_FDS; i++) {
        high[i] = fcntl(i < SBX_FDS ? src[i] : *keep_fd, F_DUPFD_CLOEXEC, START_FD_HIGH);
        if (high[i] < 0) {
            return -errno;
        }
    }
    for (int i = 0; i <= SBX_FDS; i++) {
        if (dup3(high[i], i, i < SBX_FDS ? 0 : O_CLOEXEC) < 0) {
            return -errno;
        }
    }
    *keep_fd = SBX_FDS;
    if (ipc_close_range(SBX_FDS + 1, ~0u) < 0) {
        return -errno;
    }
    *step = "signals";
    for (int sig = 1; sig < NSIG; sig++) {
        signal(sig, SIG_DFL); /* refused for KILL, STOP and libc's own: those are right already */
    }
    sigemptyset(&none);
    if (sigprocmask(SIG_SETMASK, &none, NULL) < 0) {
        return -errno;
    }
    *step = "parent-death signal";
    return prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0 ? -errno : 0;
}

/* Limits a device process never needs to reach. Memory is bounded by the cgroup, not here: guest RAM is
 * mapped and would count. */
int sbx_stage1_rlimits(const char **step)
{
    static const struct {
        int resource;
        rlim_t max;
    } limits[] = {
        {RLIMIT_CORE, 0}, {RLIMIT_NOFILE, 1024}, {RLIMIT_MSGQUEUE, 0}, {RLIMIT_NICE, 0}, {RLIMIT_RTPRIO, 0},
    };

    *step = "resource limits";
    for (unsigned i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
        struct rlimit r;

        if (getrlimit(limits[i].resource, &r) < 0) {
            return -errno;
        }
        r.rlim_max = limits[i].max < r.rlim_max ? limits[i].max : r.rlim_max;
        r.rlim_cur = r.rlim_max;
        if (setrlimit(limits[i].resource, &r) < 0) {
            return -errno;
        }
    }
    return 0;
}
