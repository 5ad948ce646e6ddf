/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The two levels of tables that say where a guest's cluster lies. Must never publish a table before its
 * content and its refcount are written.
 */
#include <errno.h>
#include <stdlib.h>
#include "block-proc/image/codec.h"
#include "block-proc/image/qcow2.h"

uint64_t qcow2_slice_left(const struct qcow2 *q, uint64_t off)
{
    uint64_t per = q->l2.slice / 8, i = off >> q->bits;
    return per - i % per;
}

static int table_check(struct img *img, uint64_t table, struct img_io *io)
{
    if (table & (qcow2_of(img)->cluster - 1))
        return qcow2_corrupt(img, io, "L2 table at offset %#llx", (unsigned long long)table);
    return 0;
}

/* A private table: zeros, or a copy of the one shared with a snapshot. */
static int table_make(struct img *img, uint64_t i, uint64_t old, struct img_io *io)
{
    struct qcow2 *q = qcow2_of(img);
    uint8_t field[8];
    uint64_t off;
    int r = qcow2_alloc_all(img, 1, &off, io);
    if (r < 0)
        return r;
    uint8_t *p = calloc(1, q->cluster);
    r = p ? 0 : -ENOMEM;
    if (r == 0 && old)
        r = img_file_read(img->file, p, q->cluster, old, io);
    if (r == 0)
        r = img_file_write(img->file, p, q->cluster, off, io);
    free(p);
    meta_forget(&q->l2, off, q->cluster);
    if (r == 0)
        r = qcow2_order(img, io);
    qcow2_put64(field, off | QCOW2_COPIED);
    if (r == 0)
        r = img_file_write(img->file, field, 8, q->h.l1_offset + 8 * i, io);
    if (r < 0) {
        (void)qcow2_refcount_add(img, off >> q->bits, 1, -1, io);
        return r;
    }
    q->l1[i] = off | QCOW2_COPIED;
    return old ? qcow2_refcount_add(img, old >> q->bits, 1, -1, io) : 0;
}

int qcow2_entry_at(struct img *img, uint64_t off, bool make, uint64_t *at, struct img_io *io)
{
    struct qcow2 *q = qcow2_of(img);
    uint64_t i = off >> (q->bits + q->l2_bits);
    *at = 0;
    if (i >= q->h.l1_size)
        return -EIO;
    uint64_t table = q->l1[i] & QCOW2_OFFSET;
    int r = table_check(img, table, io);
    if (r == 0 && make && (!table || !(q->l1[i] & QCOW2_COPIED)))
        r = table_make(img, i, table, io);
    if (r < 0)
        return r;
    table = q->l1[i] & QCOW2_OFFSET;
    if (table)
        *at = table + 8 * ((off >> q->bits) & ((1u << q->l2_bits) - 1));
    return 0;
}

/* An L2 entry as an extent, without its length. */
static void entry_extent(const struct img *img, uint64_t e, struct img_extent *out)
{
    const struct qcow2 *q = qcow2_of(img);
    out->file = img->file;
    out->host = 0;
    out->allocated = false;
    if (e & QCOW2_PACKED) {
        out->kind = IMG_PACKED;
        out->allocated = true;
        return;
    }
    out->host = e & QCOW2_OFFSET;
    out->allocated = out->host != 0;
    out->kind = e & QCOW2_ZERO && q->h.version >= 3 ? IMG_ZERO : out->host ? IMG_DATA : IMG_HOLE;
}

static bool continues(const struct img_extent *a, const struct img_extent *b, uint64_t len)
{
    if (a->kind != b->kind || a->kind == IMG_PACKED || a->allocated != b->allocated)
        return false;
    return !a->allocated || b->host == a->host + len;
}

int qcow2_map(struct img *img, uint64_t off, uint64_t len, struct img_extent *e, struct img_io *io)
{
    struct qcow2 *q = qcow2_of(img);
    uint64_t in = off & (q->cluster - 1), at;
    uint8_t *p;
    int r = qcow2_entry_at(img, off, false, &at, io);
    if (r < 0)
        return r;
    if (!at) {
        uint64_t cover = 1ull << (q->bits + q->l2_bits);
        *e = (struct img_extent){.kind = IMG_HOLE, .len = cover - (off & (cover - 1))};
        return 0;
    }
    r = meta_get(&q->l2, at, &p, io);
    if (r < 0)
        return r;
    entry_extent(img, qcow2_be64(p), e);
    if (e->kind == IMG_DATA && e->host & (q->cluster - 1))
        return qcow2_corrupt(img, io, "data cluster at offset %#llx", (unsigned long long)e->host);
    uint64_t n = 1, max = qcow2_slice_left(q, off);
    for (; n < max && n << q->bits < len + in; n++) {
        struct img_extent next;
        entry_extent(img, qcow2_be64(p + 8 * n), &next);
        if (!continues(e, &next, n << q->bits))
            break;
    }
    e->len = (n << q->bits) - in;
    if (e->host)
        e->host += in;
    return 0;
}

void qcow2_packed_span(const struct qcow2 *q, uint64_t entry, uint64_t *off, uint64_t *len)
{
    /* Specification, "Compressed Clusters Descriptor": x = 62 - (cluster_bits - 8) */
    unsigned x = 62 - (q->bits - 8);
    *off = entry & ((1ull << x) - 1);
    *len = ((entry >> x & ((1ull << (q->bits - 8)) - 1)) + 1) * IMG_SECTOR - (*off & (IMG_SECTOR - 1));
}

int qcow2_entry_free(struct img *img, uint64_t entry, struct img_io *io)
{
    struct qcow2 *q = qcow2_of(img);
    uint64_t off = entry & QCOW2_OFFSET, len = 1;
    if (entry & QCOW2_PACKED)
        qcow2_packed_span(q, entry, &off, &len);
    if (!off)
        return 0;
    uint64_t first = off >> q->bits, last = (off + len - 1) >> q->bits;
    if (q->pack_off && q->pack_off >> q->bits >= first && q->pack_off >> q->bits <= last)
        q->pack_off = 0; /* nothing more is put beside what may become free */
    return qcow2_refcount_add(img, first, last - first + 1, -1, io);
}
