/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The images of a drive, top to base, over the descriptors BOOT brought. Owns the nodes; must never take
 * a name out of a header for more than text.
 */
#ifndef BULKHEAD_BLOCK_PROC_CHAIN_H
#define BULKHEAD_BLOCK_PROC_CHAIN_H

#include "block-proc/image/image.h"

struct chain_link {
    int fd;
    const char *format; /* NULL = probe it */
    const char *name;   /* for messages */
};
/* Opens all of them, the top one with `top`, the others read-only. NULL after logging why. */
struct img *blk_chain_open(const struct chain_link *links, unsigned n, const struct img_options *top, bool snapshot,
                           struct img_io *io);

#endif
