/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Capabilities of the calling process through libcap-ng. Only ever takes away.
 */
#include "seccomp/isolate.h"

#include <cap-ng.h>
#include <errno.h>
#include <linux/capability.h>
#include <sys/prctl.h>

/* Root of a container may lack some: asking for those would fail the whole call. */
static uint64_t caps_held(void)
{
    uint64_t have = 0;

    capng_setpid(0);
    if (capng_get_caps_process()) {
        return 0;
    }
    for (unsigned c = 0; c <= CAP_LAST_CAP; c++) {
        if (capng_have_capability(CAPNG_PERMITTED, c)) {
            have |= UINT64_C(1) << c;
        }
    }
    return have;
}

int sbx_caps_keep(uint64_t caps)
{
    uint64_t keep = caps ? caps & caps_held() : 0;

    capng_clear(CAPNG_SELECT_ALL);
    capng_setpid(0); /* it remembers the thread it first saw; after a bare clone that is not us */
    for (unsigned c = 0; c <= CAP_LAST_CAP; c++) {
        if ((keep >> c & 1) && capng_update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED, c)) {
            return -EINVAL;
        }
    }
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0) {
        return -errno;
    }
    return capng_apply(CAPNG_SELECT_CAPS) ? -EPERM : 0;
}

/* Asked of the kernel directly: libcap-ng would read the highest capability from /proc, which a child
 * no longer has. */
int sbx_caps_bound(void)
{
    for (unsigned c = 0; prctl(PR_CAPBSET_READ, c, 0, 0, 0) >= 0; c++) {
        if (prctl(PR_CAPBSET_DROP, c, 0, 0, 0) < 0) {
            return -errno;
        }
    }
    return 0;
}
