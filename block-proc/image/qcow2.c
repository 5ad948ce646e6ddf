/* SPDX-License-Identifier: Apache-2.0 */
/*
 * qcow2, versions 2 and 3: opening, closing, compressed clusters, growing the disk. Must never believe
 * an offset of the file before it is checked, and never leaves the dirty bit out of step with the tables.
 */
#include "block-proc/image/qcow2.h"

#include <errno.h>
#include <stdlib.h>
#include "block-proc/image/codec.h"
#include "ipc/log.h"

#define HEADER_READ  (64u << 10)
#define L2_CACHE_MAX (32u << 20)
#define REF_CACHE    (256u << 10)
#define SLICE_MAX    4096u

static int header_read(struct img *img, struct qcow2 *q, struct img_io *io)
{
    char err[160];
    uint8_t *buf = calloc(1, HEADER_READ);
    if (!buf)
        return -ENOMEM;
    int r = img_file_read(img->file, buf, HEADER_READ, 0, io);
    if (r < 0)
        log_error("%s: cannot read the header: %s", img->name, strerror(-r));
    size_t n = img->file->size < HEADER_READ ? (size_t)img->file->size : HEADER_READ;
    if (r == 0) {
        r = qcow2_header_parse(&q->h, buf, n, err, sizeof(err));
        if (r < 0)
            log_error("%s: %s", img->name, err);
    }
    free(buf);
    return r;
}

/* A table of n big-endian entries inside the file, in host byte order. */
static int table_read(struct img *img, uint64_t off, uint64_t n, uint64_t **out, const char *what,
                      struct img_io *io)
{
    int r = -EINVAL;
    uint64_t *t = NULL;
    if (off > img->file->size || n * 8 > img->file->size - off) {
        log_error("%s: the %s lies behind the end of the file", img->name, what);
        return -EINVAL;
    }
    t = calloc(n ? n : 1, 8);
    r = t ? img_file_read(img->file, t, n * 8, off, io) : -ENOMEM;
    for (uint64_t i = 0; r == 0 && i < n; i++)
        t[i] = be64toh(t[i]);
    if (r < 0) {
        free(t);
        return r;
    }
    *out = t;
    return 0;
}

static int tables_open(struct img *img, struct qcow2 *q, struct img_io *io)
{
    uint32_t slice = q->cluster < SLICE_MAX ? q->cluster : SLICE_MAX;
    uint64_t l2 = (img->size >> q->bits) * 8 + slice;
    q->reftable_size = (uint32_t)((uint64_t)q->h.reftable_clusters * q->cluster / 8);
    int r = table_read(img, q->h.l1_offset, q->h.l1_size, &q->l1, "L1 table", io);
    if (r == 0)
        r = table_read(img, q->h.reftable_offset, q->reftable_size, &q->reftable, "refcount table", io);
    if (r == 0)
        r = meta_init(&q->l2, img->file, slice, (l2 < L2_CACHE_MAX ? l2 : L2_CACHE_MAX) / slice + 1);
    return r < 0 ? r : meta_init(&q->refs, img->file, slice, REF_CACHE / slice);
}

/* Autoclear bits stand for things we do not keep up to date: they go before the first write. */
static int autoclear_drop(struct img *img, struct qcow2 *q, struct img_io *io)
{
    uint8_t zero[8] = {0};
    if (q->h.version < 3 || !q->h.autoclear)
        return 0;
    if (q->h.bitmaps)
        log_warn("%s: its persistent bitmaps are not kept up to date and become inconsistent", img->name);
    q->h.autoclear = 0;
    return img_file_write(img->file, zero, 8, QCOW2_AT_AUTOCLEAR, io);
}

/* A host that died left a dirty bit: refcounts are made right before anything is allocated. */
static int recover(struct img *img, struct qcow2 *q, struct img_io *io)
{
    struct img_check c = {0};
    if (!q->dirty)
        return 0;
    q->unclean = img->opt.recovered;
    if (img->opt.recovered)
        return 0;
    log_warn("%s: was not closed, its refcounts are checked", img->name);
    int r = qcow2_check(img, &c, true, true, io);
    if (r == 0 && (c.errors || c.corruptions > c.corruptions_fixed)) {
        log_error("%s: %llu errors remain after the repair", img->name,
                  (unsigned long long)(c.errors + c.corruptions - c.corruptions_fixed));
        r = -EIO;
    }
    return r;
}

static int writable_open(struct img *img, struct qcow2 *q, struct img_io *io)
{
    if (img->opt.check)
        return 0;
    if (q->h.incompatible & QCOW2_CORRUPT) {
        log_error("%s: the image is marked corrupt; it can be opened read-only, or repaired with "
                  "bulkhead-img check -r all", img->name);
        return -EACCES;
    }
    int r = recover(img, q, io);
    return r < 0 ? r : autoclear_drop(img, q, io);
}

static int open_image(struct img *img, struct img_io *io)
{
    struct qcow2 *q = img->priv = calloc(1, sizeof(*q));
    int r = q ? header_read(img, q, io) : -ENOMEM;
    if (r < 0)
        return r;
    q->bits = q->h.cluster_bits;
    q->cluster = img->cluster = 1u << q->bits;
    q->l2_bits = q->bits - 3;
    q->dirty = q->h.incompatible & QCOW2_DIRTY;
    img->size = q->h.size;
    img->packed = true;
    memcpy(img->backing_name, q->h.backing, sizeof(q->h.backing));
    memcpy(img->backing_fmt, q->h.backing_fmt, sizeof(img->backing_fmt));
    if (img->opt.inspect)
        return 0;
    r = tables_open(img, q, io);
    return r < 0 || img->opt.readonly ? r : writable_open(img, q, io);
}

static void free_image(struct qcow2 *q)
{
    free(q->l1);
    free(q->reftable);
    meta_fini(&q->l2);
    meta_fini(&q->refs);
    free(q);
}

static int qcow2_open(struct img *img, struct img_io *io)
{
    int r = open_image(img, io);
    if (r < 0 && img->priv) {
        free_image(img->priv);
        img->priv = NULL;
    }
    return r;
}

/* The dirty bit goes when everything is on the disk. After an unclean predecessor it stays: the next
 * open then finds what leaked. */
static void dirty_clear(struct img *img, struct qcow2 *q, struct img_io *io)
{
    uint8_t field[8];
    if (!q->dirty || q->unclean || img->broken || img_file_flush(img->file, io) < 0)
        return;
    q->h.incompatible &= ~(uint64_t)QCOW2_DIRTY;
    qcow2_put64(field, q->h.incompatible);
    if (img_file_write(img->file, field, 8, QCOW2_AT_INCOMPATIBLE, io) == 0)
        q->dirty = false;
}

static void qcow2_close(struct img *img, struct img_io *io)
{
    struct qcow2 *q = qcow2_of(img);
    if (!q)
        return;
    if (!img->opt.readonly && !img->opt.inspect)
        dirty_clear(img, q, io);
    free_image(q);
    img->priv = NULL;
}

static int packed_load(struct img *img, uint64_t off, struct img_io *io)
{
    struct qcow2 *q = qcow2_of(img);
    uint64_t at, host, len, e = 0;
    size_t room;
    uint8_t *p, *in = img_codec_in(io->codec, &room);
    pthread_mutex_lock(&img->lock);
    int r = qcow2_entry_at(img, off, false, &at, io);
    if (r == 0)
        r = at ? meta_get(&q->l2, at, &p, io) : -EIO;
    if (r == 0)
        e = qcow2_be64(p);
    pthread_mutex_unlock(&img->lock);
    if (r < 0)
        return r;
    qcow2_packed_span(q, e, &host, &len);
    if (!(e & QCOW2_PACKED) || len > room)
        return -EIO;
    r = img_file_read(img->file, in, (size_t)len, host, io);
    return r < 0 ? r : img_codec_unpack(io->codec, q->h.zstd, (size_t)len, q->cluster);
}

static int qcow2_read_packed(struct img *img, const struct img_buf *b, uint64_t off, struct img_io *io)
{
    struct qcow2 *q = qcow2_of(img);
    for (size_t done = 0; done < b->len;) {
        size_t in = (size_t)((off + done) & (q->cluster - 1)), part = q->cluster - in;
        int r = packed_load(img, off + done, io);
        if (r < 0)
            return r;
        if (part > b->len - done)
            part = b->len - done;
        img_buf_fill(b, done, img_codec_out(io->codec) + in, part);
        done += part;
    }
    return 0;
}

static int packed_place(struct img *img, size_t len, uint64_t *off, struct img_io *io)
{
    struct qcow2 *q = qcow2_of(img);
    uint64_t left = q->pack_off ? q->cluster - (q->pack_off & (q->cluster - 1)) : 0;
    int r = -EINVAL;
    if (left >= len) {
        r = qcow2_refcount_add(img, q->pack_off >> q->bits, 1, 1, io);
        *off = q->pack_off;
    }
    if (r == -EINVAL) /* no room there, or its refcount is at its maximum */
        r = qcow2_alloc_all(img, 1, off, io);
    if (r == 0)
        q->pack_off = (*off + len) & (q->cluster - 1) ? *off + len : 0;
    return r;
}

static int packed_link(struct img *img, uint64_t off, uint64_t host, size_t len, struct img_io *io)
{
    struct qcow2 *q = qcow2_of(img);
    unsigned x = 62 - (q->bits - 8);
    uint64_t sectors = ((host + len - 1) / IMG_SECTOR) - host / IMG_SECTOR, at, old = 0;
    uint8_t *p;
    int r = qcow2_order(img, io);
    if (r == 0)
        r = qcow2_entry_at(img, off, true, &at, io);
    if (r == 0)
        r = meta_get(&q->l2, at, &p, io);
    if (r < 0)
        return r;
    old = qcow2_be64(p);
    qcow2_put64(p, QCOW2_PACKED | sectors << x | host);
    r = meta_put(&q->l2, at, p, 8, io);
    return r < 0 || !old ? r : qcow2_entry_free(img, old, io);
}

int qcow2_write_packed(struct img *img, const uint8_t *data, uint64_t off, struct img_io *io)
{
    struct qcow2 *q = qcow2_of(img);
    uint64_t host;
    size_t room;
    long len = img_codec_pack(io->codec, q->h.zstd, data, q->cluster);
    if (len < 0)
        return (int)len;
    if (len == 0)
        return img_write(img, data, img->size - off < q->cluster ? (size_t)(img->size - off) : q->cluster,
                         off, io);
    struct img_range *range = img_range_take(img, off, q->cluster, true);
    pthread_mutex_lock(&img->lock);
    int r = packed_place(img, (size_t)len, &host, io);
    pthread_mutex_unlock(&img->lock);
    if (r == 0)
        r = img_file_write(img->file, img_codec_in(io->codec, &room), (size_t)len, host, io);
    pthread_mutex_lock(&img->lock);
    if (r == 0)
        r = packed_link(img, off, host, (size_t)len, io);
    pthread_mutex_unlock(&img->lock);
    img_range_drop(img, range);
    return r;
}

/* A longer L1 table elsewhere: refcount, table, then header offset and length in one write. */
static int l1_grow(struct img *img, uint32_t n, struct img_io *io)
{
    struct qcow2 *q = qcow2_of(img);
    uint64_t off, clusters = ((uint64_t)n * 8 + q->cluster - 1) >> q->bits;
    uint64_t old_off = q->h.l1_offset, old = ((uint64_t)q->h.l1_size * 8 + q->cluster - 1) >> q->bits;
    uint8_t *disk = calloc(clusters, q->cluster), field[12];
    uint64_t *l1 = calloc(n, 8);
    int r = disk && l1 ? qcow2_alloc_all(img, clusters, &off, io) : -ENOMEM;
    for (uint32_t i = 0; r == 0 && i < q->h.l1_size; i++)
        qcow2_put64(disk + 8 * i, l1[i] = q->l1[i]);
    if (r == 0)
        r = img_file_write(img->file, disk, clusters * q->cluster, off, io);
    if (r == 0)
        r = img_file_flush(img->file, io);
    qcow2_put32(field, n); /* l1_size at 36, l1_table_offset at 40 */
    if (r == 0)
        qcow2_put64(field + 4, off);
    if (r == 0)
        r = img_file_write(img->file, field, 12, 36, io);
    free(disk);
    if (r < 0) {
        free(l1);
        return r;
    }
    free(q->l1);
    q->l1 = l1;
    q->h.l1_offset = off;
    q->h.l1_size = n;
    return old ? qcow2_refcount_add(img, old_off >> q->bits, old, -1, io) : 0;
}

static int qcow2_resize(struct img *img, uint64_t size, struct img_io *io)
{
    struct qcow2 *q = qcow2_of(img);
    uint64_t per = 1ull << (q->bits + q->l2_bits), need = (size + per - 1) / per, old = img->size;
    uint8_t field[8];
    int r = 0;
    if (size % IMG_SECTOR || need > QCOW2_L1_MAX / 8)
        return -EINVAL;
    if (q->h.snapshots) {
        log_error("%s: an image with internal snapshots cannot be resized", img->name);
        return -ENOTSUP;
    }
    if (size < old) /* what comes back when it grows again reads as zeros */
        r = qcow2_discard(img, size, old - size, io);
    pthread_mutex_lock(&img->lock);
    if (r == 0 && need > q->h.l1_size)
        r = l1_grow(img, (uint32_t)need, io);
    qcow2_put64(field, size);
    if (r == 0)
        r = img_file_write(img->file, field, 8, 24, io);
    if (r == 0)
        img->size = q->h.size = size;
    pthread_mutex_unlock(&img->lock);
    /* The old last cluster may hold bytes behind the old end. */
    if (r == 0 && size > old && old & (q->cluster - 1)) {
        uint64_t end = (old + q->cluster - 1) & ~(uint64_t)(q->cluster - 1);
        r = img_write_zeros(img, old, (end < size ? end : size) - old, io);
    }
    return r;
}

void qcow2_about(const struct img *img, struct qcow2_about *a)
{
    const struct qcow2 *q = qcow2_of(img);
    *a = (struct qcow2_about){.refcount_bits = 1u << q->h.refcount_order,
                              .v3 = q->h.version >= 3,
                              .lazy = q->h.compatible & QCOW2_LAZY,
                              .zstd = q->h.zstd,
                              .corrupt = q->h.incompatible & QCOW2_CORRUPT,
                              .dirty = q->h.incompatible & QCOW2_DIRTY};
}

static bool qcow2_probe(const uint8_t *head, size_t n)
{
    return n >= 8 && qcow2_be32(head) == QCOW2_MAGIC && qcow2_be32(head + 4) >= 2;
}

const struct img_driver img_qcow2 = {
    .name = "qcow2",
    .probe = qcow2_probe,
    .open = qcow2_open,
    .close = qcow2_close,
    .map = qcow2_map,
    .read_packed = qcow2_read_packed,
    .write = qcow2_write,
    .zero = qcow2_zero,
    .discard = qcow2_discard,
    .copy_up = qcow2_copy_up,
    .resize = qcow2_resize,
    .check = qcow2_check,
    .write_packed = qcow2_write_packed,
};
