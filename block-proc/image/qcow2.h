/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An open qcow2 image, shared by the qcow2 files of this folder. Everything is under the image's lock
 * unless it says otherwise. Must never be seen outside block-proc/image.
 */
#ifndef BULKHEAD_BLOCK_PROC_IMAGE_QCOW2_H
#define BULKHEAD_BLOCK_PROC_IMAGE_QCOW2_H

#include "block-proc/image/image.h"
#include "block-proc/image/meta-cache.h"
#include "block-proc/image/qcow2-header.h"
#include "block-proc/image/qcow2-tool.h"

#define QCOW2_COPIED  (1ull << 63)
#define QCOW2_PACKED  (1ull << 62)
#define QCOW2_ZERO    1ull
#define QCOW2_OFFSET  0x00fffffffffffe00ull

struct qcow2 {
    struct qcow2_header h;
    uint32_t cluster; /* bytes */
    uint32_t bits;    /* of a cluster */
    uint32_t l2_bits; /* entries of an L2 table */
    uint64_t *l1;     /* as in the file, host byte order */
    uint64_t *reftable;
    uint32_t reftable_size; /* entries */
    struct meta_cache l2, refs;
    uint64_t hint;     /* no free cluster below this index */
    uint64_t pack_off; /* where the next compressed cluster can begin, 0 = in a new cluster */
    bool dirty;        /* the dirty bit is in the file */
    bool unclean;      /* ... and stays: clusters may have leaked before this open */
};

static inline struct qcow2 *qcow2_of(const struct img *img)
{
    return img->priv;
}

/* qcow2-refcount.c. All return 0 or -errno. */
int qcow2_refcount_get(struct img *img, uint64_t cluster, uint64_t *count, struct img_io *io);
int qcow2_refcount_set(struct img *img, uint64_t cluster, uint64_t count, struct img_io *io);
int qcow2_refcount_add(struct img *img, uint64_t first, uint64_t n, int delta, struct img_io *io);
/* Between 1 and want contiguous clusters with refcount 1; *off is their offset. */
int qcow2_alloc(struct img *img, uint64_t want, uint64_t *off, uint64_t *got, struct img_io *io);
/* Exactly n contiguous clusters. */
int qcow2_alloc_all(struct img *img, uint64_t n, uint64_t *off, struct img_io *io);
/* Before the first change of a session: what is written is then repaired after a host's death. */
int qcow2_mark_dirty(struct img *img, struct img_io *io);
/* Between a refcount and what refers to it: version 2 has no dirty bit and waits for the disk. */
int qcow2_order(struct img *img, struct img_io *io);
/* Says what is wrong, refuses further writes, and tells it to the next program by the corrupt bit. */
int qcow2_corrupt(struct img *img, struct img_io *io, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* qcow2-table.c. Offset in the file of the L2 entry for off; 0 = there is no table. With `make` the
 * table is made, and is not shared with a snapshot. */
int qcow2_entry_at(struct img *img, uint64_t off, bool make, uint64_t *at, struct img_io *io);
int qcow2_map(struct img *img, uint64_t off, uint64_t len, struct img_extent *e, struct img_io *io);
/* Drops one reference of what an L2 entry pointed to. */
int qcow2_entry_free(struct img *img, uint64_t entry, struct img_io *io);
/* The bytes a compressed entry names. */
void qcow2_packed_span(const struct qcow2 *q, uint64_t entry, uint64_t *off, uint64_t *len);
/* Entries of the L2 table from `off` on that lie in one slice of the cache. */
uint64_t qcow2_slice_left(const struct qcow2 *q, uint64_t off);

/* qcow2-write.c */
int qcow2_write(struct img *img, const struct img_buf *b, uint64_t off, struct img_io *io);
int qcow2_copy_up(struct img *img, uint64_t off, uint64_t len, struct img_io *io);
int qcow2_zero(struct img *img, uint64_t off, uint64_t len, bool unmap, struct img_io *io);
int qcow2_discard(struct img *img, uint64_t off, uint64_t len, struct img_io *io);

#endif
