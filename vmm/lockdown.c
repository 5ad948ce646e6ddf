/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The vmm gives up what it was started with. Everything that needs to be opened is open by now;
 * what follows holds authority over this guest and nothing else. Must run before the first child
 * exists and must never be undone.
 */
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>
#include "seccomp/isolate.h"
#include "seccomp/sandbox.h"
#include "vmm/process.h"

static int refuse(int r, const char *step, char *err, size_t errlen)
{
    snprintf(err, errlen, "sandbox of the vmm: %s: %s", step, strerror(-r));
    return r;
}

/* An ordinary user has no UID to change to and no capability to lose but those of a file or an
 * ambient set; emptying the bounding set would itself need one. */
static int give_up_identity(uid_t uid, const char **step)
{
    if (uid || geteuid() == 0)
        return sbx_stage2_ids(uid, uid, uid != 0, step);
    *step = "capabilities";
    return sbx_caps_keep(0);
}

int lockdown(const struct spawn_plan_reply *reply, enum plan_sandbox mode, char *err, size_t errlen)
{
    const char *step = "";
    int r;

    if (mode == PLAN_SBX_OFF)
        return 0;
    r = give_up_identity(reply->uid, &step);
    if (r < 0)
        return refuse(r, step, err, errlen);
    /* A child dies with the spawner; the vmm does not die with the shell that started it. */
    if (prctl(PR_SET_PDEATHSIG, 0, 0, 0, 0) < 0)
        return refuse(-1, "parent-death signal", err, errlen);
    sbx_stage4_setup();
    r = sbx_stage5_lock(SBX_VMM, (enum sbx_mode)mode, &step);
    return r < 0 ? refuse(r, step, err, errlen) : 0;
}
