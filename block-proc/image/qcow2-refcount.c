/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Refcounts of qcow2: reading, changing, finding free clusters, growing the structure. Every change is in
 * the file before the function returns; what refers to a new cluster must be written after it.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include "block-proc/image/qcow2.h"
#include "ipc/log.h"

static uint64_t per_block(const struct qcow2 *q)
{
    return (uint64_t)q->cluster * 8 >> q->h.refcount_order;
}

static uint64_t load(const uint8_t *slice, uint32_t order, uint64_t i)
{
    uint16_t v16;
    switch (order) {
    case 3:
        return slice[i];
    case 4:
        memcpy(&v16, slice + 2 * i, 2);
        return be16toh(v16);
    case 5:
        return qcow2_be32(slice + 4 * i);
    case 6:
        return qcow2_be64(slice + 8 * i);
    default: /* several in a byte, the first in the low bits */
        return slice[(i << order) / 8] >> ((i << order) % 8) & ((1u << (1u << order)) - 1);
    }
}

static void store(uint8_t *slice, uint32_t order, uint64_t i, uint64_t v)
{
    uint16_t v16 = htobe16((uint16_t)v);
    uint8_t mask = (uint8_t)((1u << (1u << (order & 3))) - 1), shift = (i << order) % 8;
    switch (order) {
    case 3:
        slice[i] = (uint8_t)v;
        break;
    case 4:
        memcpy(slice + 2 * i, &v16, 2);
        break;
    case 5:
        qcow2_put32(slice + 4 * i, (uint32_t)v);
        break;
    case 6:
        qcow2_put64(slice + 8 * i, v);
        break;
    default:
        slice += (i << order) / 8;
        *slice = (uint8_t)((*slice & ~(mask << shift)) | (unsigned)v << shift);
    }
}

static uint64_t count_max(const struct qcow2 *q)
{
    return q->h.refcount_order == 6 ? UINT64_MAX : (1ull << (1u << q->h.refcount_order)) - 1;
}

int qcow2_corrupt(struct img *img, struct img_io *io, const char *fmt, ...)
{
    struct qcow2 *q = qcow2_of(img);
    uint8_t field[8];
    char text[160];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    log_error("%s: the image is corrupt: %s; no more writes (bulkhead-img check -r all repairs)",
              img->name, text);
    if (!img->broken && !img->opt.readonly && q->h.version >= 3) {
        q->h.incompatible |= QCOW2_CORRUPT;
        qcow2_put64(field, q->h.incompatible);
        (void)img_file_write(img->file, field, 8, QCOW2_AT_INCOMPATIBLE, io);
    }
    img->broken = true;
    return -EIO;
}

int qcow2_mark_dirty(struct img *img, struct img_io *io)
{
    struct qcow2 *q = qcow2_of(img);
    uint8_t field[8];
    if (q->dirty || q->h.version < 3)
        return 0;
    qcow2_put64(field, q->h.incompatible | QCOW2_DIRTY);
    int r = img_file_write(img->file, field, 8, QCOW2_AT_INCOMPATIBLE, io);
    if (r == 0)
        r = img_file_flush(img->file, io);
    if (r == 0) {
        q->h.incompatible |= QCOW2_DIRTY;
        q->dirty = true;
    }
    return r;
}

int qcow2_order(struct img *img, struct img_io *io)
{
    return qcow2_of(img)->h.version >= 3 ? 0 : img_file_flush(img->file, io);
}

/* The block for this cluster: *block = 0 when there is none. */
static int block_of(struct img *img, uint64_t cluster, uint64_t *block, struct img_io *io)
{
    struct qcow2 *q = qcow2_of(img);
    uint64_t i = cluster / per_block(q);
    *block = i < q->reftable_size ? q->reftable[i] : 0;
    if (*block & (q->cluster - 1) || *block >= 1ull << 56)
        return qcow2_corrupt(img, io, "refcount block at offset %#llx", (unsigned long long)*block);
    return 0;
}

/* Where the count of this cluster is: offset in the file of the slice's byte run. */
static uint64_t count_at(const struct qcow2 *q, uint64_t block, uint64_t cluster)
{
    return block + ((cluster % per_block(q)) << q->h.refcount_order) / 8;
}

static uint64_t per_slice(const struct qcow2 *q)
{
    return (uint64_t)q->refs.slice * 8 >> q->h.refcount_order;
}

/* The cached slice with this cluster's count, *i its index there. */
static int slice_get(struct img *img, uint64_t block, uint64_t cluster, uint8_t **slice, uint64_t *i,
                     struct img_io *io)
{
    struct qcow2 *q = qcow2_of(img);
    uint64_t at = count_at(q, block, cluster);
    *i = cluster % per_slice(q);
    return meta_get(&q->refs, at - at % q->refs.slice, slice, io);
}

int qcow2_refcount_get(struct img *img, uint64_t cluster, uint64_t *count, struct img_io *io)
{
    struct qcow2 *q = qcow2_of(img);
    uint64_t block, i = 0;
    uint8_t *slice;
    int r = block_of(img, cluster, &block, io);
    *count = 0;
    if (r < 0 || !block)
        return r;
    r = slice_get(img, block, cluster, &slice, &i, io);
    if (r == 0)
        *count = load(slice, q->h.refcount_order, i);
    return r;
}

/* ---- growing */
static int reftable_entry_write(struct img *img, uint64_t i, struct img_io *io)
{
    struct qcow2 *q = qcow2_of(img);
    uint8_t field[8];
    qcow2_put64(field, q->reftable[i]);
    return img_file_write(img->file, field, 8, q->h.reftable_offset + 8 * i, io);
}

/* A block at `at` whose first n clusters counted from cluster `from` have refcount 1. */
static int block_write(struct img *img, uint64_t at, uint64_t from, uint64_t n, struct img_io *io)
{
    struct qcow2 *q = qcow2_of(img);
    uint8_t *p = calloc(1, q->cluster);
    if (!p)
        return -ENOMEM;
    for (uint64_t i = 0; i < n; i++)
        store(p, q->h.refcount_order, (from + i) % per_block(q), 1);
    int r = img_file_write(img->file, p, q->cluster, at, io);
    free(p);
    meta_forget(&q->refs, at, q->cluster);
    return r;
}

/* A larger table, with the blocks for it, behind everything the old one covers. */
static int reftable_grow(struct img *img, uint64_t need, struct img_io *io)
{
    struct qcow2 *q = qcow2_of(img);
    uint64_t pb = per_block(q), start = q->reftable_size * pb, blocks = 1;
    uint64_t entries = need + need / 2 + 1, old_off = q->h.reftable_offset;
    uint32_t old_clusters = q->h.reftable_clusters, clusters;
    for (;; blocks++) {
        if (entries < q->reftable_size + blocks)
            entries = q->reftable_size + blocks;
        clusters = (uint32_t)((entries * 8 + q->cluster - 1) / q->cluster);
        if (blocks * pb >= blocks + clusters)
            break;
    }
    if ((uint64_t)clusters * q->cluster > QCOW2_REFTABLE_MAX)
        return -EFBIG;
    uint64_t *t = calloc(clusters, q->cluster);
    uint8_t *disk = calloc(clusters, q->cluster);
    int r = t && disk ? 0 : -ENOMEM;
    for (uint64_t i = 0; r == 0 && i < q->reftable_size; i++)
        t[i] = q->reftable[i];
    for (uint64_t i = 0; r == 0 && i < blocks; i++) {
        uint64_t used = blocks + clusters - i * pb;
        t[q->reftable_size + i] = (start + i) << q->bits;
        r = block_write(img, (start + i) << q->bits, start + i * pb, used < pb ? used : pb, io);
    }
    uint64_t off = (start + blocks) << q->bits, size = (uint64_t)clusters * q->cluster / 8;
    for (uint64_t i = 0; r == 0 && i < size; i++)
        qcow2_put64(disk + 8 * i, t[i]);
    if (r == 0)
        r = img_file_write(img->file, disk, (size_t)clusters * q->cluster, off, io);
    if (r == 0)
        r = img_file_flush(img->file, io);
    uint8_t field[12];
    qcow2_put64(field, off);
    qcow2_put32(field + 8, clusters);
    if (r == 0)
        r = img_file_write(img->file, field, 12, 48, io); /* offset and size in one write */
    free(disk);
    if (r < 0) {
        free(t);
        return r;
    }
    free(q->reftable);
    q->reftable = t;
    q->reftable_size = (uint32_t)size;
    q->h.reftable_offset = off;
    q->h.reftable_clusters = clusters;
    return qcow2_refcount_add(img, old_off >> q->bits, old_clusters, -1, io);
}

/* Makes the block for a free cluster, in that very cluster: without a block all of its range is free. */
static int block_make(struct img *img, uint64_t cluster, struct img_io *io)
{
    struct qcow2 *q = qcow2_of(img);
    uint64_t i = cluster / per_block(q);
    if (i >= q->reftable_size)
        return reftable_grow(img, i + 1, io);
    int r = block_write(img, cluster << q->bits, cluster, 1, io);
    if (r == 0)
        r = qcow2_order(img, io);
    if (r < 0)
        return r;
    q->reftable[i] = cluster << q->bits;
    r = reftable_entry_write(img, i, io);
    if (r < 0)
        q->reftable[i] = 0;
    return r;
}

/* ---- changing */
int qcow2_refcount_set(struct img *img, uint64_t cluster, uint64_t count, struct img_io *io)
{
    struct qcow2 *q = qcow2_of(img);
    uint64_t block, i = 0;
    uint8_t *slice;
    int r = block_of(img, cluster, &block, io);
    if (r < 0)
        return r;
    if (!block)
        return count ? -EIO : 0;
    r = slice_get(img, block, cluster, &slice, &i, io);
    if (r < 0)
        return r;
    store(slice, q->h.refcount_order, i, count);
    uint64_t at = count_at(q, block, cluster);
    uint32_t len = q->h.refcount_order > 3 ? 1u << (q->h.refcount_order - 3) : 1;
    return meta_put(&q->refs, at, slice + at % q->refs.slice, len, io);
}

/* As far as one slice goes: *n becomes how many were changed. */
static int add_in_slice(struct img *img, uint64_t first, uint64_t *n, int delta, struct img_io *io)
{
    struct qcow2 *q = qcow2_of(img);
    uint64_t block, i = 0, left;
    uint8_t *slice;
    int r = block_of(img, first, &block, io);
    if (r == 0 && !block)
        r = qcow2_corrupt(img, io, "cluster %#llx in use has no refcount",
                          (unsigned long long)first << q->bits);
    if (r == 0)
        r = slice_get(img, block, first, &slice, &i, io);
    if (r < 0)
        return r;
    left = per_slice(q) - i;
    if (*n > left)
        *n = left;
    for (uint64_t k = 0; k < *n; k++) {
        uint64_t v = load(slice, q->h.refcount_order, i + k);
        if (delta < 0 ? v == 0 : v == count_max(q)) {
            meta_forget(&q->refs, count_at(q, block, first), 1);
            return delta < 0 ? qcow2_corrupt(img, io, "refcount of cluster %#llx would become negative",
                                             (unsigned long long)(first + k) << q->bits)
                             : -EINVAL;
        }
        store(slice, q->h.refcount_order, i + k, v + (uint64_t)(int64_t)delta);
        if (v == 1 && delta < 0 && first + k < q->hint)
            q->hint = first + k;
    }
    uint64_t at = count_at(q, block, first), end = count_at(q, block, first + *n - 1);
    uint32_t unit = q->h.refcount_order > 3 ? 1u << (q->h.refcount_order - 3) : 1;
    return meta_put(&q->refs, at, slice + at % q->refs.slice, (uint32_t)(end - at) + unit, io);
}

int qcow2_refcount_add(struct img *img, uint64_t first, uint64_t n, int delta, struct img_io *io)
{
    int r = qcow2_mark_dirty(img, io);
    while (r == 0 && n) {
        uint64_t part = n;
        r = add_in_slice(img, first, &part, delta, io);
        first += part;
        n -= part;
    }
    return r;
}

/* ---- finding free clusters */
/* From *at on: the first free cluster, whose block exists after the call. */
static int find_free(struct img *img, uint64_t *at, struct img_io *io)
{
    struct qcow2 *q = qcow2_of(img);
    for (uint64_t c = *at;;) {
        uint64_t block, i = 0;
        uint8_t *slice;
        int r = block_of(img, c, &block, io);
        if (r == 0 && !block) {
            r = block_make(img, c, io);
            if (r == 0)
                continue; /* the block took the cluster */
        }
        if (r == 0)
            r = slice_get(img, block, c, &slice, &i, io);
        if (r < 0)
            return r;
        for (; i < per_slice(q); i++, c++)
            if (load(slice, q->h.refcount_order, i) == 0) {
                *at = c;
                return c >> (56 - q->bits) ? -EFBIG : 0;
            }
    }
}

/* How many clusters from `first` on are free, at most want; blocks are not made. */
static int free_run(struct img *img, uint64_t first, uint64_t want, uint64_t *n, struct img_io *io)
{
    for (*n = 1; *n < want; (*n)++) {
        uint64_t block, count = 0;
        int r = block_of(img, first + *n, &block, io);
        if (r == 0 && block)
            r = qcow2_refcount_get(img, first + *n, &count, io);
        if (r < 0)
            return r;
        if (!block || count)
            break;
    }
    return 0;
}

int qcow2_alloc(struct img *img, uint64_t want, uint64_t *off, uint64_t *got, struct img_io *io)
{
    struct qcow2 *q = qcow2_of(img);
    uint64_t first = q->hint;
    int r = qcow2_mark_dirty(img, io);
    if (r == 0)
        r = find_free(img, &first, io);
    if (r == 0)
        r = free_run(img, first, want, got, io);
    if (r == 0)
        r = qcow2_refcount_add(img, first, *got, 1, io);
    if (r < 0)
        return r;
    q->hint = first + *got;
    *off = first << q->bits;
    return 0;
}

int qcow2_alloc_all(struct img *img, uint64_t n, uint64_t *off, struct img_io *io)
{
    struct qcow2 *q = qcow2_of(img);
    uint64_t first = q->hint, got = 0;
    int r = qcow2_mark_dirty(img, io);
    while (r == 0) {
        r = find_free(img, &first, io);
        if (r == 0)
            r = free_run(img, first, n, &got, io);
        if (r < 0 || got == n)
            break;
        first += got;
    }
    if (r == 0)
        r = qcow2_refcount_add(img, first, n, 1, io);
    *off = first << q->bits;
    return r;
}
