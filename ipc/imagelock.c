/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Image locks over byte ranges. Never waits without a limit; keeps no state beside the kernel's.
 */
#include "ipc/imagelock.h"

#include <errno.h>
#include <fcntl.h>
#include <time.h>
#include "ipc/loop.h"

/* QEMU's image locking, as a format: a read lock on PERM + n says "I use right n", a read lock on
 * SHARED + n says "nobody else may use right n". */
#define PERM          100
#define SHARED        200
#define RIGHT_READ    0
#define RIGHT_WRITE   1
#define RIGHT_RESIZE  3
#define FENCE         300

/* Runs before the filter is on: no tags. */
static int range(int fd, int cmd, short type, off_t byte, struct flock *out)
{
    struct flock fl = {.l_type = type, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};
    if (fcntl(fd, cmd, &fl) < 0)
        return errno == EACCES ? -EAGAIN : -errno;
    if (out)
        *out = fl;
    return 0;
}

/* Is a byte locked by another description? */
static int held_elsewhere(int fd, off_t byte)
{
    struct flock fl = {0};
    int r = range(fd, F_OFD_GETLK, F_WRLCK, byte, &fl);
    if (r < 0)
        return r;
    return fl.l_type == F_UNLCK ? 0 : -EAGAIN;
}

int ipc_image_lock(int fd, bool exclusive)
{
    static const off_t rw_take[] = {PERM + RIGHT_READ, PERM + RIGHT_WRITE, SHARED + RIGHT_WRITE,
                                    SHARED + RIGHT_RESIZE};
    static const off_t rw_check[] = {SHARED + RIGHT_READ, SHARED + RIGHT_WRITE,
                                     PERM + RIGHT_WRITE, PERM + RIGHT_RESIZE};
    static const off_t ro_take[] = {PERM + RIGHT_READ, SHARED + RIGHT_WRITE};
    static const off_t ro_check[] = {SHARED + RIGHT_READ, PERM + RIGHT_WRITE};
    const off_t *take = exclusive ? rw_take : ro_take, *check = exclusive ? rw_check : ro_check;
    unsigned n_take = exclusive ? 4 : 2, n_check = exclusive ? 4 : 2;
    int r = 0;
    /* Take first, check after: of two that start together at least one sees the other. */
    for (unsigned i = 0; i < n_take && r == 0; i++)
        r = range(fd, F_OFD_SETLK, F_RDLCK, take[i], NULL);
    for (unsigned i = 0; i < n_check && r == 0; i++)
        r = held_elsewhere(fd, check[i]);
    for (unsigned i = 0; i < n_take && r < 0; i++)
        range(fd, F_OFD_SETLK, F_UNLCK, take[i], NULL);
    return r;
}

int ipc_image_fence(int fd, int timeout_ms)
{
    uint64_t end = ipc_now_ns() + (uint64_t)timeout_ms * 1000000;
    struct timespec nap = {.tv_nsec = 100000};
    for (;;) {
        int r = range(fd, F_OFD_SETLK, F_WRLCK, FENCE, NULL);
        if (r != -EAGAIN || ipc_now_ns() >= end)
            return r;
        nanosleep(&nap, NULL);
        if (nap.tv_nsec < 5000000)
            nap.tv_nsec *= 2;
    }
}
