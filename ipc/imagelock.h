/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Locks on a disk image, by open file description (F_OFD_*): the user lock keeps a second emulator
 * off, the fence keeps a new incarnation of a device process waiting until the old one's last I/O is
 * over. Both are bytes far from each other, so a dying predecessor never looks like a second user.
 * The user lock uses the bytes QEMU uses, so the two programs keep each other off as well.
 */
#ifndef BULKHEAD_IPC_IMAGELOCK_H
#define BULKHEAD_IPC_IMAGELOCK_H

#include <stdbool.h>

/* For the vmm, once, on the description it opened the image with; held until that description's last
 * descriptor is closed. exclusive: the guest will write. 0; -EAGAIN: the image is in use by another
 * program; or -errno. Files that cannot be locked at all (-EINVAL, -ENOLCK, -EOPNOTSUPP): the
 * caller decides. */
int ipc_image_lock(int fd, bool exclusive);

/* For a device process, on the description opened for this incarnation (open for writing). Waits at
 * most timeout_ms for the predecessor's to be gone. 0, -EAGAIN on time-out, or -errno. */
int ipc_image_fence(int fd, int timeout_ms);

#endif
