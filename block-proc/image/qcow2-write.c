/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Changing a qcow2 disk: in place where the cluster is ours alone, else in new clusters, linked when
 * their data is written. Order: refcount, data, table entry, references of what was replaced. Whatever
 * is cut off in between leaves the old content or the new one, at worst a lost cluster.
 */
#include <errno.h>
#include <stdlib.h>
#include "block-proc/image/qcow2.h"

static bool in_place(const struct qcow2 *q, uint64_t e)
{
    return e & QCOW2_COPIED && e & QCOW2_OFFSET && !(e & QCOW2_PACKED) &&
           !(e & QCOW2_ZERO && q->h.version >= 3);
}

/* The run from off that can be overwritten where it lies; *len = 0 when the first cluster cannot. */
static int run_in_place(struct img *img, uint64_t off, uint64_t *len, uint64_t *host, struct img_io *io)
{
    struct qcow2 *q = qcow2_of(img);
    uint64_t at, in = off & (q->cluster - 1), want = *len, n = 0;
    uint8_t *p;
    int r = qcow2_entry_at(img, off, false, &at, io);
    *len = 0;
    if (r < 0 || !at || !(q->l1[off >> (q->bits + q->l2_bits)] & QCOW2_COPIED))
        return r;
    r = meta_get(&q->l2, at, &p, io);
    if (r < 0)
        return r;
    uint64_t first = qcow2_be64(p), max = qcow2_slice_left(q, off);
    for (; n < max && n << q->bits < want + in; n++) {
        uint64_t e = qcow2_be64(p + 8 * n);
        if (!in_place(q, e) || (e & QCOW2_OFFSET) != (first & QCOW2_OFFSET) + (n << q->bits))
            break;
    }
    if (!n)
        return 0;
    if (first & QCOW2_OFFSET & (q->cluster - 1))
        return qcow2_corrupt(img, io, "data cluster at offset %#llx",
                             (unsigned long long)(first & QCOW2_OFFSET));
    *host = (first & QCOW2_OFFSET) + in;
    *len = (n << q->bits) - in < want ? (n << q->bits) - in : want;
    return 0;
}

struct fresh { /* new clusters for a part of a request */
    uint64_t guest, host, n;
    uint64_t at;   /* of the first L2 entry */
    bool reused;   /* the clusters are the entries' own, kept under a zero flag */
};

/* Nothing of a file offset may be given out that metadata uses: the refcounts were wrong then. */
static bool overlaps_tables(const struct qcow2 *q, uint64_t off, uint64_t len)
{
    struct {
        uint64_t off, len;
    } t[] = {{0, q->cluster},
             {q->h.l1_offset, q->h.l1_size * 8ull},
             {q->h.reftable_offset, (uint64_t)q->h.reftable_clusters * q->cluster},
             {q->h.snapshots_offset, q->h.snapshots ? 1 : 0}};
    for (unsigned i = 0; i < 4; i++)
        if (t[i].len && off < t[i].off + t[i].len && t[i].off < off + len)
            return true;
    for (uint32_t i = 0; i < q->reftable_size; i++)
        if (q->reftable[i] && q->reftable[i] >= off && q->reftable[i] < off + len)
            return true;
    for (uint32_t i = 0; i < q->h.l1_size; i++) {
        uint64_t l2 = q->l1[i] & QCOW2_OFFSET;
        if (l2 && l2 >= off && l2 < off + len)
            return true;
    }
    return false;
}

/* How many entries from the first on are to be replaced, and are alike in having a cluster of theirs. */
static uint64_t run_fresh(const struct qcow2 *q, const uint8_t *p, uint64_t max, bool *reused)
{
    uint64_t n = 0, first = qcow2_be64(p);
    *reused = first & QCOW2_COPIED && first & QCOW2_OFFSET && !(first & QCOW2_PACKED);
    for (; n < max; n++) {
        uint64_t e = qcow2_be64(p + 8 * n);
        bool own = e & QCOW2_COPIED && e & QCOW2_OFFSET && !(e & QCOW2_PACKED);
        if (in_place(q, e) || own != *reused)
            break;
        if (own && (e & QCOW2_OFFSET) != (first & QCOW2_OFFSET) + (n << q->bits))
            break;
    }
    return n;
}

/* n = 0: somebody else has made the cluster meanwhile. */
static int fresh_get(struct img *img, struct fresh *f, uint64_t len, struct img_io *io)
{
    struct qcow2 *q = qcow2_of(img);
    uint64_t in = f->guest & (q->cluster - 1), max = (in + len + q->cluster - 1) >> q->bits;
    uint8_t *p;
    f->guest -= in;
    int r = qcow2_mark_dirty(img, io);
    if (r == 0)
        r = qcow2_entry_at(img, f->guest, true, &f->at, io);
    if (r == 0)
        r = meta_get(&q->l2, f->at, &p, io);
    if (r < 0)
        return r;
    if (max > qcow2_slice_left(q, f->guest))
        max = qcow2_slice_left(q, f->guest);
    f->n = run_fresh(q, p, max, &f->reused);
    f->host = qcow2_be64(p) & QCOW2_OFFSET;
    if (!f->n || f->reused)
        return 0;
    r = qcow2_alloc(img, f->n, &f->host, &f->n, io);
    if (r == 0 && overlaps_tables(q, f->host, f->n << q->bits))
        r = qcow2_corrupt(img, io, "free cluster %#llx is in use by a table", (unsigned long long)f->host);
    return r;
}

/* Points the entries at the new clusters and gives up what they had. */
static int fresh_link(struct img *img, const struct fresh *f, struct img_io *io)
{
    struct qcow2 *q = qcow2_of(img);
    uint64_t *old = (uint64_t *)(void *)io->cow; /* a slice has at most 512 entries */
    uint8_t *p;
    int r = qcow2_order(img, io);
    if (r == 0)
        r = meta_get(&q->l2, f->at, &p, io);
    if (r < 0)
        return r;
    for (uint64_t i = 0; i < f->n; i++) {
        old[i] = qcow2_be64(p + 8 * i);
        qcow2_put64(p + 8 * i, (f->host + (i << q->bits)) | QCOW2_COPIED);
    }
    r = meta_put(&q->l2, f->at, p, (uint32_t)f->n * 8, io);
    for (uint64_t i = 0; r == 0 && !f->reused && i < f->n; i++)
        r = qcow2_entry_free(img, old[i], io);
    return r;
}

/* What the guest sees of [off, off+len) is copied to host. */
static int copy_part(struct img *img, uint64_t off, uint64_t host, uint64_t len, struct img_io *io)
{
    while (len) {
        size_t part = len < IMG_BOUNCE_SIZE ? (size_t)len : IMG_BOUNCE_SIZE;
        size_t seen = off >= img->size ? 0 : img->size - off < part ? (size_t)(img->size - off) : part;
        struct iovec v = {io->cow, seen};
        int r = img_read_locked(img, &(struct img_buf){&v, 1, 0, seen}, off, io);
        if (r < 0)
            return r;
        memset(io->cow + seen, 0, part - seen);
        r = img_file_write(img->file, io->cow, part, host, io);
        if (r < 0)
            return r;
        off += part;
        host += part;
        len -= part;
    }
    return 0;
}

static int fresh_fill(struct img *img, const struct fresh *f, const struct img_buf *b, uint64_t off,
                      struct img_io *io)
{
    struct qcow2 *q = qcow2_of(img);
    uint64_t head = off - f->guest, end = head + b->len, whole = f->n << q->bits;
    int r = copy_part(img, f->guest, f->host, head, io);
    if (r == 0)
        r = img_file_writev(img->file, b, f->host + head, io);
    return r < 0 ? r : copy_part(img, f->guest + end, f->host + end, whole - end, io);
}

/* *done: how much was written, 0 when the clusters are there by now. */
static int write_fresh(struct img *img, const struct img_buf *b, uint64_t off, size_t *done,
                       struct img_io *io)
{
    struct qcow2 *q = qcow2_of(img);
    struct fresh f = {.guest = off};
    struct img_range *range = img_range_take(img, off, b->len, true);
    pthread_mutex_lock(&img->lock);
    int r = fresh_get(img, &f, b->len, io);
    pthread_mutex_unlock(&img->lock);
    *done = 0;
    if (r == 0 && f.n) {
        uint64_t room = (f.n << q->bits) - (off - f.guest);
        struct img_buf part = img_buf_part(b, 0, b->len < room ? b->len : (size_t)room);
        r = fresh_fill(img, &f, &part, off, io);
        pthread_mutex_lock(&img->lock);
        if (r == 0)
            r = fresh_link(img, &f, io);
        else if (!f.reused)
            (void)qcow2_refcount_add(img, f.host >> q->bits, f.n, -1, io);
        pthread_mutex_unlock(&img->lock);
        *done = part.len;
    }
    img_range_drop(img, range);
    return r;
}

int qcow2_copy_up(struct img *img, uint64_t off, uint64_t len, struct img_io *io)
{
    struct qcow2 *q = qcow2_of(img);
    struct img_buf nothing = {NULL, 0, 0, 0};
    int r = 0;
    for (uint64_t at = off & ~(uint64_t)(q->cluster - 1); r == 0 && at < off + len; at += q->cluster) {
        struct fresh f = {.guest = at};
        struct img_range *range = img_range_take(img, at, q->cluster, true);
        pthread_mutex_lock(&img->lock);
        r = fresh_get(img, &f, q->cluster, io);
        pthread_mutex_unlock(&img->lock);
        if (r == 0 && f.n) {
            r = fresh_fill(img, &f, &nothing, at, io);
            pthread_mutex_lock(&img->lock);
            if (r == 0)
                r = fresh_link(img, &f, io);
            else if (!f.reused)
                (void)qcow2_refcount_add(img, f.host >> q->bits, f.n, -1, io);
            pthread_mutex_unlock(&img->lock);
        }
        img_range_drop(img, range);
    }
    return r;
}

static int write_step(struct img *img, const struct img_buf *b, uint64_t off, size_t *done,
                      struct img_io *io)
{
    uint64_t len = b->len, host = 0;
    struct img_range *range = img_range_take(img, off, len, false);
    pthread_mutex_lock(&img->lock);
    int r = run_in_place(img, off, &len, &host, io);
    pthread_mutex_unlock(&img->lock);
    if (r == 0 && len) {
        struct img_buf part = img_buf_part(b, 0, (size_t)len);
        r = img_file_writev(img->file, &part, host, io);
    }
    img_range_drop(img, range);
    *done = (size_t)len;
    return r < 0 || len ? r : write_fresh(img, b, off, done, io);
}

int qcow2_write(struct img *img, const struct img_buf *b, uint64_t off, struct img_io *io)
{
    for (size_t at = 0, done; at < b->len; at += done) {
        struct img_buf part = img_buf_part(b, at, b->len - at);
        int r = write_step(img, &part, off + at, &done, io);
        if (r < 0)
            return r;
    }
    return 0;
}

/* ---- zeros and discards: whole clusters */
struct cut {
    bool unmap;  /* give the clusters up */
    bool expose; /* reads may show what is below: discard without a backing image */
};

/* What an entry becomes, or the entry itself when it has to be written as data. */
static bool cut_entry(const struct img *img, const struct cut *c, uint64_t e, uint64_t *out)
{
    const struct qcow2 *q = qcow2_of(img);
    bool own = e & QCOW2_COPIED && e & QCOW2_OFFSET && !(e & QCOW2_PACKED);
    *out = 0;
    if (!img->backing && !img->backing_name[0] && (c->unmap || !(e & ~QCOW2_ZERO)))
        return true;
    if (q->h.version < 3)
        return c->expose && (*out = e, true);
    *out = QCOW2_ZERO;
    if (own && !c->unmap)
        *out |= e & (QCOW2_OFFSET | QCOW2_COPIED);
    return true;
}

/* Entries in one slice. *n: how many were done before one that needs data. */
static int cut_slice(struct img *img, const struct cut *c, uint64_t off, uint64_t *n, struct img_io *io)
{
    struct qcow2 *q = qcow2_of(img);
    uint64_t *old = (uint64_t *)(void *)io->cow, at, done = 0;
    uint8_t *p;
    int r = qcow2_mark_dirty(img, io);
    if (r == 0)
        r = qcow2_entry_at(img, off, true, &at, io);
    if (r == 0)
        r = meta_get(&q->l2, at, &p, io);
    for (; r == 0 && done < *n; done++) {
        uint64_t e = qcow2_be64(p + 8 * done), to;
        if (!cut_entry(img, c, e, &to))
            break;
        old[done] = (e & QCOW2_OFFSET || e & QCOW2_PACKED) && !(to & QCOW2_OFFSET) ? e : 0;
        qcow2_put64(p + 8 * done, to);
    }
    *n = done;
    if (r == 0 && done)
        r = meta_put(&q->l2, at, p, (uint32_t)done * 8, io);
    for (uint64_t i = 0; r == 0 && i < done; i++) {
        if (old[i] && img->opt.unmap && old[i] & QCOW2_COPIED)
            (void)img_file_discard(img->file, old[i] & QCOW2_OFFSET, q->cluster, io);
        if (old[i])
            r = qcow2_entry_free(img, old[i], io);
    }
    return r;
}

/* Whole clusters; *len becomes what was done. */
static int cut_step(struct img *img, const struct cut *c, uint64_t off, uint64_t *len, struct img_io *io)
{
    struct qcow2 *q = qcow2_of(img);
    uint64_t n = (*len + q->cluster - 1) >> q->bits, i = off >> (q->bits + q->l2_bits);
    if (n > qcow2_slice_left(q, off))
        n = qcow2_slice_left(q, off);
    struct img_range *range = img_range_take(img, off, n << q->bits, true);
    pthread_mutex_lock(&img->lock);
    int r = 0;
    if (q->l1[i] & QCOW2_OFFSET || img->backing || img->backing_name[0])
        r = cut_slice(img, c, off, &n, io);
    pthread_mutex_unlock(&img->lock);
    img_range_drop(img, range);
    if (r == 0 && n == 0) {
        n = 1;
        r = img_write_zeros(img, off, *len < q->cluster ? *len : q->cluster, io);
    }
    *len = n << q->bits < *len ? n << q->bits : *len;
    return r;
}

static int cut_all(struct img *img, const struct cut *c, uint64_t off, uint64_t end, struct img_io *io)
{
    while (off < end) {
        uint64_t len = end - off;
        int r = cut_step(img, c, off, &len, io);
        if (r < 0)
            return r;
        off += len;
    }
    return 0;
}

int qcow2_zero(struct img *img, uint64_t off, uint64_t len, bool unmap, struct img_io *io)
{
    struct qcow2 *q = qcow2_of(img);
    struct cut c = {.unmap = unmap};
    uint64_t end = off + len, start = (off + q->cluster - 1) & ~(uint64_t)(q->cluster - 1);
    uint64_t stop = end == img->size ? end : end & ~(uint64_t)(q->cluster - 1);
    if (start >= stop)
        return img_write_zeros(img, off, len, io);
    int r = img_write_zeros(img, off, start - off, io);
    if (r == 0)
        r = cut_all(img, &c, start, stop, io);
    return r < 0 ? r : img_write_zeros(img, stop, end - stop, io);
}

int qcow2_discard(struct img *img, uint64_t off, uint64_t len, struct img_io *io)
{
    struct qcow2 *q = qcow2_of(img);
    struct cut c = {.unmap = true, .expose = true};
    uint64_t end = off + len;
    off = (off + q->cluster - 1) & ~(uint64_t)(q->cluster - 1);
    if (end != img->size)
        end &= ~(uint64_t)(q->cluster - 1);
    return off < end ? cut_all(img, &c, off, end, io) : 0;
}
