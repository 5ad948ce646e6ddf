/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of roles and modes, and stage 4. Decides nothing.
 */
#include "seccomp/sandbox.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <time.h>

static const char *const role_names[SBX_ROLES] = {
    [SBX_VMM] = "vmm",
    [SBX_SPAWNER] = "spawner",
    [SBX_CPU_WORKER] = "cpu-worker",
    [SBX_BLOCK] = "block",
    [SBX_NET] = "net",
    [SBX_NET_LINK] = "net-link",
    [SBX_UI] = "ui",
    [SBX_IMG] = "img",     [SBX_NBD] = "nbd",
    [SBX_IDE] = "ide",
    [SBX_AHCI] = "ahci",
    [SBX_NVME] = "nvme",
    [SBX_SCSI] = "scsi",
    [SBX_CLERK] = "clerk",
    [SBX_TRANSLATOR] = "translator",
};

const char *sbx_role_name(enum sbx_role role)
{
    return (unsigned)role < SBX_ROLES ? role_names[role] : "?";
}

int sbx_mode_parse(const char *s, enum sbx_mode *mode)
{
    static const char *const names[] = {"require", "reduced", "off"};

    for (unsigned i = 0; i < 3; i++) {
        if (!strcmp(s, names[i])) {
            *mode = (enum sbx_mode)i;
            return 0;
        }
    }
    return -EINVAL;
}

static void *thread_nothing(void *arg)
{
    return arg;
}

/*
 * Stage 4, in the child, all descriptors taken over, filter not yet on.
 * Should: make libc do now what it would do lazily with calls the filter refuses (time zone, message
 *         catalogue of strerror, first thread's stack and robust list).
 * Mustn't: read anything a guest or a peer can write, or leave a thread behind.
 */
void sbx_stage4_setup(void)
{
    time_t now = time(NULL);
    struct tm tm;
    pthread_t t;

    tzset();
    (void)localtime_r(&now, &tm);
    (void)strerror(EIO);
    if (pthread_create(&t, NULL, thread_nothing, NULL) == 0) {
        pthread_join(t, NULL);
    }
}
