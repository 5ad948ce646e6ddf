/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What most formats have in common: a disk of blocks of one size (img->cluster), each at a place of its own in the
 * file or nowhere, found through a table. A format says where a block lies, where a new one can lie, and
 * writes the entry; this engine reads and writes. Must never let an entry point to a block before its
 * content is in the file.
 */
#ifndef BULKHEAD_BLOCK_PROC_IMAGE_BAT_H
#define BULKHEAD_BLOCK_PROC_IMAGE_BAT_H

#include "block-proc/image/image.h"

struct bat_place {
    enum img_kind kind;
    uint64_t host;         /* DATA: of the block's first byte */
    struct img_file *file; /* NULL = img->file */
};

struct bat_ops { /* all under the image's lock; 0 or -errno */
    int (*get)(struct img *img, uint64_t block, struct bat_place *p, struct img_io *io);
    /* Room for this block, which nothing refers to yet. NULL: nothing can be allocated. */
    int (*room)(struct img *img, uint64_t block, struct bat_place *p, struct img_io *io);
    int (*put)(struct img *img, uint64_t block, const struct bat_place *p, struct img_io *io);
    /* The block reads as zeros from now on. NULL: they are written. */
    int (*put_zero)(struct img *img, uint64_t block, struct img_io *io);
};

/* The driver's functions of these names; img->bat is the format's. */
int bat_map(struct img *img, uint64_t off, uint64_t len, struct img_extent *e, struct img_io *io);
int bat_write(struct img *img, const struct img_buf *b, uint64_t off, struct img_io *io);
int bat_zero(struct img *img, uint64_t off, uint64_t len, bool unmap, struct img_io *io);

/* A table of 32-bit entries, kept in memory in the host's byte order. */
struct bat_table {
    uint32_t *e;
    uint64_t n, at; /* entries, place in the file */
    bool big;       /* big-endian in the file */
};
#define BAT_TABLE_MAX (64u << 20) /* bytes */
/* Reads it; logs one line if it does not lie inside the file. */
int bat_table_read(struct img *img, struct bat_table *t, struct img_io *io);
int bat_table_put(struct img *img, struct bat_table *t, uint64_t i, uint32_t v, struct img_io *io);

struct bat_places { /* where blocks lie, to be looked at together */
    uint64_t *host, n;
};
/* Every block begins between low and the file's end and lies `span` bytes from the next: 0, or -EINVAL after
 * one line. *end: behind the last one (low if there is none). Sorts the list. */
int bat_places_check(struct img *img, struct bat_places *p, uint64_t low, uint64_t span, uint64_t *end);

/* Findings of a check of a format whose whole state is its table: already refused at open. */
int bat_check(struct img *img, struct img_check *c, bool fix, struct img_io *io);

#endif
