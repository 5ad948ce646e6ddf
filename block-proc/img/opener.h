/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The two halves of bulkhead-img. The program forks at its start: the parent opens files and does nothing
 * else, the child does the work and locks itself down (seccomp role "img": no open, no socket) before
 * it reads the first byte of an image. What may be opened is said before the lock: names of the command
 * line, each with what may be done to it. Names out of images go through ipc/imagepath.h, in the parent.
 * The parent must never look into a file; the child must never be given more than was granted.
 */
#ifndef BULKHEAD_BLOCK_PROC_IMG_OPENER_H
#define BULKHEAD_BLOCK_PROC_IMG_OPENER_H

#include <stddef.h>
#include "seccomp/sandbox.h"

enum {
    OPENER_WRITE = 1,
    OPENER_CREATE = 2,  /* made, or emptied */
    OPENER_DIRECT = 4,  /* O_DIRECT */
    OPENER_BELOW = 8,   /* grant: files that images name may be opened for writing */
    OPENER_PARTS = 16,  /* grant: files beside this one that carry its name and a suffix of opener_part */
};
#define OPENER_PATH_MAX 4096

/* Returns in the child. The parent serves, and ends the program with the child's exit status. */
void opener_start(void);
/* Before the lock: this name may be opened so. path NULL with OPENER_BELOW: for the whole run. */
void opener_grant(const char *path, unsigned flags);
/* The policy of the lock: SBX_IMG unless another is said before it. */
void opener_role(enum sbx_role role);
/* Ends granting and locks the child down. Does nothing the second time. */
void opener_lock(void);

/* A granted name. The descriptor or -errno; -EACCES: not granted. */
int opener_open(const char *path, unsigned flags);
/* A name found in the image at `image`, itself opened through here. real: what was opened (OPENER_PATH_MAX).
 * -EPERM: the rule of ipc/imagepath.h forbids it. */
int opener_open_below(const char *image, const char *name, unsigned flags, char *real);
/* A file an image consists of: as below, and written where the image itself was granted so. */
int opener_open_member(const char *image, const char *name, unsigned flags, char *real);
/* A part of an image of several files that is being made: NAME-flat.EXT, NAME-s001.EXT or NAME-f001.EXT (kind 'F',
 * 's' or 'f'). The name without its directory goes to `name` (OPENER_PATH_MAX). */
int opener_part(const char *path, char kind, unsigned number, char *name);

#endif
