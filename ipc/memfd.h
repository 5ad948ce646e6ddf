/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shared memory files: creation with the right mode, sealing, and the checks a receiver must make
 * before it maps one. Never maps anything itself.
 */
#ifndef BULKHEAD_IPC_MEMFD_H
#define BULKHEAD_IPC_MEMFD_H

#include <stdint.h>

/* Size fixed for ever: nobody can shrink it under a mapping (SIGBUS) or grow it. */
#define IPC_SEALS_SIZE 0x0007 /* F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW */

/* A memfd of `size` bytes, close-on-exec, mode 0600 (a memfd is born 0777, which lets any UID reopen a
 * read-only descriptor for writing), sealed with `seals` (F_SEAL_*; 0 = none yet). fd or -errno. */
int ipc_memfd_create(const char *name, uint64_t size, unsigned seals);
int ipc_memfd_seal(int fd, unsigned seals); /* 0 or -errno */
/* A second descriptor of the same memory, opened read-only. fd or -errno. Needs /proc. */
int ipc_memfd_readonly(int fd);
/* A received descriptor is a regular file of exactly `size` bytes whose seals contain `seals`:
 * 0, or -EINVAL. */
int ipc_memfd_check(int fd, uint64_t size, unsigned seals);

#endif
