/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which files a name found inside an image may lead to. The name is hostile: it can open what lies in the
 * directory of the image that holds it, or in a directory the user listed in BULKHEAD_IMAGE_DIRS, and
 * nothing else. Must never follow a link out of such a directory.
 */
#ifndef BULKHEAD_IPC_IMAGEPATH_H
#define BULKHEAD_IPC_IMAGEPATH_H

#include <stddef.h>

#define IPC_IMAGE_DIRS_ENV "BULKHEAD_IMAGE_DIRS"

/* What `name`, found in the image at `image`, means: an absolute path without "." and "..". 0 or -errno
 * (-EPROTONOSUPPORT: a protocol that is not built; -ENAMETOOLONG). */
int ipc_image_path(const char *image, const char *name, char *path, size_t len);
/* Opens that path if the rule allows it. The descriptor; -EPERM: the rule forbids it; or -errno. */
int ipc_image_open_path(const char *image, const char *path, int flags);

#endif
