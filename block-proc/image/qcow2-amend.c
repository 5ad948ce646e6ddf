/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Changes of a qcow2 header as a whole: backing file, version, lazy refcounts. The first cluster is built anew with all
 * extensions that are not concerned, and written at once. Must never leave a header that does not fit its cluster.
 */
#include <errno.h>
#include <stdlib.h>
#include "block-proc/image/qcow2.h"
#include "ipc/log.h"

#define EXT_FORMAT   0xe2792acau
#define EXT_FEATURES 0x6803f857u
#define V2_LENGTH    72u

struct draft {
    uint8_t *b;
    size_t at, size;
};

static bool put(struct draft *d, const void *p, size_t n)
{
    if (n > d->size - d->at)
        return false;
    memcpy(d->b + d->at, p, n);
    d->at += n;
    return true;
}

static bool put_extension(struct draft *d, uint32_t type, const void *p, uint32_t len)
{
    static const uint8_t pad[8];
    uint8_t head[8];
    qcow2_put32(head, type);
    qcow2_put32(head + 4, len);
    return put(d, head, 8) && put(d, p, len) && put(d, pad, -len & 7);
}

/* Those of the old header that stay. */
static bool put_others(struct draft *d, const uint8_t *old, size_t at, size_t end, uint32_t version)
{
    while (at + 8 <= end) {
        uint32_t type = qcow2_be32(old + at), len = qcow2_be32(old + at + 4);
        if (!type || len > end - at - 8)
            return true;
        if (type != EXT_FORMAT && !(type == EXT_FEATURES && version < 3) && !put_extension(d, type, old + at + 8, len))
            return false;
        at += 8 + ((len + 7) & ~7u);
    }
    return true;
}

static void fixed_put(struct draft *d, const struct qcow2 *q, const uint8_t *old, uint32_t version, bool lazy)
{
    memcpy(d->b, old, q->h.version >= 3 && q->h.header_length < QCOW2_HEADER_MAX ? q->h.header_length
                      : q->h.version >= 3 ? QCOW2_HEADER_MAX : V2_LENGTH);
    qcow2_put32(d->b + 4, version);
    d->at = version >= 3 ? QCOW2_HEADER_MAX : V2_LENGTH;
    if (version < 3) {
        memset(d->b + V2_LENGTH, 0, QCOW2_HEADER_MAX - V2_LENGTH);
        return;
    }
    qcow2_put64(d->b + 80, (q->h.compatible & ~(uint64_t)QCOW2_LAZY) | (lazy ? QCOW2_LAZY : 0));
    qcow2_put32(d->b + 96, q->h.refcount_order);
    qcow2_put32(d->b + 100, QCOW2_HEADER_MAX);
}

static bool backing_put(struct draft *d, const char *name)
{
    uint64_t at = name[0] ? d->at + 8 : 0; /* behind the end mark */
    static const uint8_t end[8];
    qcow2_put64(d->b + 8, at);
    qcow2_put32(d->b + 16, (uint32_t)strlen(name));
    return put(d, end, 8) && put(d, name, strlen(name));
}

int qcow2_header_change(struct img *img, const struct qcow2_change *c, struct img_io *io)
{
    struct qcow2 *q = qcow2_of(img);
    const char *name = c->backing ? c->backing : img->backing_name;
    const char *fmt = c->backing ? c->backing_fmt : img->backing_fmt;
    uint32_t version = c->version ? c->version : q->h.version;
    bool lazy = c->lazy < 0 ? (q->h.compatible & QCOW2_LAZY) != 0 : c->lazy > 0;
    uint8_t *old = calloc(2, q->cluster);
    struct draft d = {old ? old + q->cluster : NULL, 0, q->cluster};
    int r = old ? img_file_read(img->file, old, q->cluster, 0, io) : -ENOMEM;
    if (r == 0) {
        fixed_put(&d, q, old, version, lazy);
        size_t end = q->h.backing[0] ? (size_t)qcow2_be64(old + 8) : q->cluster;
        bool good = !name[0] || !fmt || !fmt[0] || put_extension(&d, EXT_FORMAT, fmt, (uint32_t)strlen(fmt));
        good = good && put_others(&d, old, q->h.version >= 3 ? q->h.header_length : V2_LENGTH, end, version) && backing_put(&d, name);
        r = good ? img_file_write(img->file, d.b, q->cluster, 0, io) : -ENOSPC;
    }
    free(old);
    if (r == 0)
        r = img_file_flush(img->file, io);
    return r;
}

/* Version 2 has no clusters of zeros: they become nothing, or data over a backing file. */
int qcow2_zeros_expand(struct img *img, struct img_io *io)
{
    int r = 0;
    for (uint64_t off = 0; r == 0 && off < img->size;) {
        struct img_extent e;
        r = img_status(img, off, img->size - off, &e, io);
        if (r == 0 && e.kind == IMG_ZERO)
            r = img->backing_name[0] ? img_write_zeros(img, off, e.len, io) : qcow2_discard(img, off, e.len, io);
        off += e.len;
    }
    return r;
}

const char *qcow2_downgrade_refuse(const struct img *img)
{
    const struct qcow2 *q = qcow2_of(img);
    if (q->h.snapshots)
        return "an image with internal snapshots cannot be made compat=0.10 here";
    if (q->h.refcount_order != 4)
        return "compat=0.10 needs refcount_bits=16";
    if (q->h.incompatible & ~(uint64_t)QCOW2_DIRTY || q->h.bitmaps)
        return "the image uses a feature that compat=0.10 does not have";
    return NULL;
}
