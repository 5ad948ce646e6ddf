/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shared memory files: creation with the right mode, sealing, receiver's checks. Never maps.
 */
#include "ipc/memfd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

_Static_assert(IPC_SEALS_SIZE == (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW), "seals");

int ipc_memfd_create(const char *name, uint64_t size, unsigned seals)
{
    int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    int err;

    if (fd < 0) {
        return -errno;
    }
    if (fchmod(fd, 0600) < 0 || ftruncate(fd, (off_t)size) < 0) {
        err = -errno;
        goto out_close;
    }
    err = seals ? ipc_memfd_seal(fd, seals) : 0;
    if (err < 0) {
        goto out_close;
    }
    return fd;

out_close:
    close(fd);
    return err;
}

int ipc_memfd_seal(int fd, unsigned seals)
{
    return fcntl(fd, F_ADD_SEALS, seals) < 0 ? -errno : 0;
}

int ipc_memfd_readonly(int fd)
{
    char path[64];
    int ro;

    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    ro = open(path, O_RDONLY | O_CLOEXEC);
    return ro < 0 ? -errno : ro;
}

int ipc_memfd_check(int fd, uint64_t size, unsigned seals)
{
    struct stat st;
    int have;

    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || (uint64_t)st.st_size != size) {
        return -EINVAL;
    }
    have = fcntl(fd, F_GET_SEALS);
    if (have < 0 || ((unsigned)have & seals) != seals) {
        return -EINVAL;
    }
    return 0;
}
