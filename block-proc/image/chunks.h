/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Read-only images that are a row of compressed chunks (cloop, dmg): a sorted table says where each begins on the disk and
 * in the file. Must never unpack more than the table says.
 */
#ifndef BULKHEAD_BLOCK_PROC_IMAGE_CHUNKS_H
#define BULKHEAD_BLOCK_PROC_IMAGE_CHUNKS_H

#include "block-proc/image/image.h"

#define CHUNK_MAX  (64u << 20) /* of the disk, and of the file */
#define CHUNKS_MAX (4u << 20)

enum chunk_kind { CHUNK_ZLIB, CHUNK_BZ2, CHUNK_RAW, CHUNK_ZERO };
struct chunk {
    uint64_t start, len;  /* of the disk, bytes */
    uint64_t at, packed;  /* in the file */
    enum chunk_kind kind;
};
struct chunks {
    struct chunk *v;
    uint64_t n;
    uint8_t *in, *out;      /* of the longest one */
    uint64_t cached;        /* whose bytes are in out, n = nobody's */
    pthread_mutex_t lock;   /* of the three above: one chunk is unpacked at a time */
};

/* Sorted by start, without overlaps; sizes are checked: 0, or -EINVAL after one line. */
int chunks_ready(struct img *img, struct chunks *c);
void chunks_free(struct chunks *c);
/* The driver's functions of these names; img->priv is a struct chunks. What no chunk covers is zeros. */
int chunks_map(struct img *img, uint64_t off, uint64_t len, struct img_extent *e, struct img_io *io);
int chunks_read(struct img *img, const struct img_buf *b, uint64_t off, struct img_io *io);
void chunks_close(struct img *img, struct img_io *io);

#endif
