/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes a new qcow2 image: header, refcount table, one refcount block, an empty L1 table. Must never be
 * used on a file with content.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include "block-proc/image/qcow2.h"

#define EXT_FORMAT   0xe2792acau
#define EXT_FEATURES 0x6803f857u

static uint8_t *extension_put(uint8_t *p, uint32_t type, const void *data, uint32_t len)
{
    qcow2_put32(p, type);
    qcow2_put32(p + 4, len);
    memcpy(p + 8, data, len);
    return p + 8 + ((len + 7) & ~7u);
}

/* Names other programs show for feature bits they do not know. */
static uint8_t *features_put(uint8_t *p)
{
    static const struct {
        uint8_t type, bit;
        char name[46];
    } names[] = {
        {0, 0, "dirty bit"},       {0, 1, "corrupt bit"},      {0, 2, "external data file"},
        {0, 3, "compression type"}, {0, 4, "extended L2 entries"}, {1, 0, "lazy refcounts"},
        {2, 0, "bitmaps"},         {2, 1, "raw external data"},
    };
    return extension_put(p, EXT_FEATURES, names, sizeof(names));
}

static void header_put(uint8_t *h, const struct qcow2_create *c, const struct qcow2_header *q)
{
    qcow2_put32(h, QCOW2_MAGIC);
    qcow2_put32(h + 4, q->version);
    qcow2_put32(h + 20, q->cluster_bits);
    qcow2_put64(h + 24, c->size);
    qcow2_put32(h + 36, q->l1_size);
    qcow2_put64(h + 40, q->l1_offset);
    qcow2_put64(h + 48, q->reftable_offset);
    qcow2_put32(h + 56, q->reftable_clusters);
    uint8_t *p = h + 72;
    if (q->version >= 3) {
        qcow2_put64(h + 72, c->zstd ? QCOW2_COMPRESSION : 0);
        qcow2_put64(h + 80, c->lazy ? QCOW2_LAZY : 0);
        qcow2_put32(h + 96, q->refcount_order);
        qcow2_put32(h + 100, QCOW2_HEADER_MAX);
        h[104] = c->zstd;
        p = h + QCOW2_HEADER_MAX;
    }
    if (c->backing && c->backing_fmt)
        p = extension_put(p, EXT_FORMAT, c->backing_fmt, (uint32_t)strlen(c->backing_fmt));
    /* QEMU leaves the names out where they do not fit beside the backing file's name. */
    if (q->version >= 3 && c->cluster >= 4096)
        p = features_put(p);
    p += 8; /* the end mark is zeros */
    if (!c->backing)
        return;
    qcow2_put64(h + 8, (uint64_t)(p - h));
    qcow2_put32(h + 16, (uint32_t)strlen(c->backing));
    memcpy(p, c->backing, strlen(c->backing));
}

/* Header, table, block and L1 behind each other, all in the first refcount block. */
static int image_write(struct img_file *file, const struct qcow2_create *c, struct qcow2_header *q,
                       struct img_io *io)
{
    uint64_t cs = c->cluster, l1_clusters = ((uint64_t)q->l1_size * 8 + cs - 1) / cs;
    uint8_t *head = calloc(4, cs);
    int r = head ? 0 : -ENOMEM;
    if (r == 0) {
        q->reftable_offset = cs;
        q->reftable_clusters = 1;
        q->l1_offset = 3 * cs;
        header_put(head, c, q);
        qcow2_put64(head + cs, 2 * cs);
        r = img_file_resize(file, (3 + l1_clusters) * cs, io);
    }
    if (r == 0)
        r = img_file_write(file, head + cs, (size_t)(2 * cs), cs, io);
    if (r == 0) /* the header last: a file half made is not an image */
        r = img_file_write(file, head, (size_t)cs, 0, io);
    free(head);
    return r;
}

/* The three first clusters and the L1 table get their counts through the image's own functions. */
static int counts_write(struct img *img, struct img_io *io)
{
    struct qcow2 *q = qcow2_of(img);
    uint64_t n = 3 + (((uint64_t)q->h.l1_size * 8 + q->cluster - 1) >> q->bits);
    uint64_t off;
    q->hint = 0;
    for (uint64_t i = 0; i < n;) {
        uint64_t got;
        int r = qcow2_alloc(img, n - i, &off, &got, io);
        if (r < 0)
            return r;
        i = (off >> q->bits) + got;
    }
    return 0;
}

static int preallocate(struct img *img, const struct qcow2_create *c, struct img_io *io)
{
    struct qcow2 *q = qcow2_of(img);
    for (uint64_t off = 0; off < c->size;) {
        uint64_t host, got, at, n = (c->size - off + q->cluster - 1) >> q->bits;
        uint8_t *p;
        if (n > qcow2_slice_left(q, off))
            n = qcow2_slice_left(q, off);
        int r = qcow2_entry_at(img, off, true, &at, io);
        if (r == 0)
            r = qcow2_alloc(img, n, &host, &got, io);
        if (r == 0)
            r = meta_get(&q->l2, at, &p, io);
        for (uint64_t i = 0; r == 0 && i < got; i++)
            qcow2_put64(p + 8 * i, (host + (i << q->bits)) | QCOW2_COPIED);
        if (r == 0)
            r = meta_put(&q->l2, at, p, (uint32_t)got * 8, io);
        if (r == 0 && (int64_t)(host + (got << q->bits)) > img_file_length(img->file))
            r = img_file_resize(img->file, host + (got << q->bits), io);
        if (r < 0)
            return r;
        off += got << q->bits;
    }
    return 0;
}

/* falloc and full: the file's storage is there before the first write. */
static int storage_get(struct img *img, const struct qcow2_create *c, struct img_io *io)
{
    int64_t end = img_file_length(img->file);
    if (c->falloc)
        return -posix_fallocate(img->file->fd, 0, end);
    for (uint64_t off = 0; c->full && off < c->size; off += 1u << 20)
    {
        uint64_t len = c->size - off < 1u << 20 ? c->size - off : 1u << 20;
        int r = img_write_zeros(img, off, len, io);
        if (r < 0)
            return r;
    }
    return 0;
}

int qcow2_create(struct img_file *file, const struct qcow2_create *c, struct img_io *io)
{
    struct qcow2_header q = {.version = c->v2 ? 2 : 3};
    struct img_options opt = {.check = true};
    struct img img;
    while (1u << q.cluster_bits < c->cluster)
        q.cluster_bits++;
    while (1u << q.refcount_order < c->refcount_bits)
        q.refcount_order++;
    uint64_t per = 1ull << (2 * q.cluster_bits - 3), l1 = (c->size + per - 1) / per;
    if (l1 > QCOW2_L1_MAX / 8)
        return -EFBIG;
    q.l1_size = (uint32_t)l1;
    int r = image_write(file, c, &q, io);
    if (r == 0)
        r = img_open(&img, &img_qcow2, file, "new image", &opt, io);
    if (r < 0)
        return r;
    r = counts_write(&img, io);
    if (r == 0 && (c->metadata || c->falloc || c->full))
        r = preallocate(&img, c, io);
    if (r == 0)
        r = storage_get(&img, c, io);
    img_close(&img, io);
    return r;
}
