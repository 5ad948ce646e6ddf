/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two levels of tables of 64-bit entries: qed and the old qcow. Owns the first level in memory and a cache
 * of the second. A table is in the file before the first level points to it.
 */
#ifndef BULKHEAD_BLOCK_PROC_IMAGE_TWO_LEVEL_H
#define BULKHEAD_BLOCK_PROC_IMAGE_TWO_LEVEL_H

#include "block-proc/image/image.h"
#include "block-proc/image/meta-cache.h"

struct two_level {
    uint64_t *l1;         /* host byte order */
    uint64_t l1_at, n1;   /* place in the file, entries */
    uint32_t n2;          /* entries of a second-level table, a power of two */
    bool big;             /* big-endian in the file */
    uint64_t low;         /* no table or block lies below */
    uint64_t end;         /* where the file can grow */
    uint32_t align;       /* of what is added there */
    struct meta_cache l2;
};

/* t->l1_at, n1, n2, big, low, align are set. Reads the first level; logs one line for what is wrong. */
int two_level_open(struct img *img, struct two_level *t, struct img_io *io);
void two_level_close(struct two_level *t);
/* The second-level entry of a block; 0 when there is no table. */
int two_level_get(struct img *img, struct two_level *t, uint64_t block, uint64_t *e, struct img_io *io);
/* Writes it, with a new table where there is none. */
int two_level_put(struct img *img, struct two_level *t, uint64_t block, uint64_t e, struct img_io *io);
/* len bytes at the end of the file. */
uint64_t two_level_room(struct two_level *t, uint64_t len);

#endif
