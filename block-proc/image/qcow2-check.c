/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checks a qcow2 image: counts every reference anew, compares with the refcounts, and can repair. Must
 * never write unless asked to, and follows no offset out of the file.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include "block-proc/image/qcow2.h"

struct work {
    struct img *img;
    struct qcow2 *q;
    struct img_check *c;
    struct img_io *io;
    uint32_t *refs; /* counted, one per cluster of the file */
    uint64_t n;
    uint8_t *table; /* one cluster */
    uint64_t last_host;
    bool fix_leaks, fix_all;
};

static void __attribute__((format(printf, 2, 3))) say(struct work *w, const char *fmt, ...)
{
    char line[200];
    va_list ap;
    if (!w->c->say)
        return;
    va_start(ap, fmt);
    vsnprintf(line, sizeof(line), fmt, ap);
    va_end(ap);
    w->c->say(w->c->opaque, line);
}

/* Counts a reference to [off, off+len). */
static bool count(struct work *w, uint64_t off, uint64_t len, const char *what)
{
    uint64_t first = off >> w->q->bits, last = (off + len - 1) >> w->q->bits;
    if (!len)
        return true;
    if (off + len < off || last >= w->n) {
        say(w, "ERROR %s at %#llx: lies behind the end of the file", what, (unsigned long long)off);
        w->c->corruptions++;
        return false;
    }
    for (uint64_t i = first; i <= last; i++)
        w->refs[i]++;
    if ((last + 1) << w->q->bits > w->c->end)
        w->c->end = (last + 1) << w->q->bits;
    return true;
}

static bool misaligned(struct work *w, uint64_t off, const char *what)
{
    if (!(off & (w->q->cluster - 1)))
        return false;
    say(w, "ERROR %s at %#llx: not at the start of a cluster", what, (unsigned long long)off);
    w->c->corruptions++;
    return true;
}

static void count_entry(struct work *w, uint64_t e, bool active)
{
    uint64_t off = e & QCOW2_OFFSET, len = w->q->cluster;
    if (e & QCOW2_PACKED) {
        qcow2_packed_span(w->q, e, &off, &len);
        w->c->packed += active;
        w->c->fragmented += active;
        off &= ~(uint64_t)(IMG_SECTOR - 1);
        len = (len + IMG_SECTOR - 1) & ~(uint64_t)(IMG_SECTOR - 1);
    } else if (!off || misaligned(w, off, "data cluster")) {
        return;
    }
    if (!count(w, off, len, "data cluster") || !active)
        return;
    w->c->allocated++;
    if (!(e & QCOW2_PACKED)) {
        w->c->fragmented += w->last_host && off != w->last_host;
        w->last_host = off + len;
    }
}

static int count_l2(struct work *w, uint64_t l2, bool active)
{
    int r = img_file_read(w->img->file, w->table, w->q->cluster, l2, w->io);
    w->last_host = 0; /* fragmentation is counted inside a table */
    for (uint32_t i = 0; r == 0 && i < w->q->cluster / 8; i++)
        count_entry(w, qcow2_be64(w->table + 8 * i), active);
    return r;
}

static int count_l1(struct work *w, const uint64_t *l1, uint64_t n, uint64_t off, bool active)
{
    if (n && !count(w, off, n * 8, "L1 table"))
        return 0;
    for (uint64_t i = 0; i < n; i++) {
        uint64_t l2 = l1[i] & QCOW2_OFFSET;
        if (!l2 || misaligned(w, l2, "L2 table") || !count(w, l2, w->q->cluster, "L2 table"))
            continue;
        int r = count_l2(w, l2, active);
        if (r < 0)
            return r;
    }
    return 0;
}

static int count_snapshot_l1(struct work *w, uint64_t off, uint32_t n)
{
    if (n > QCOW2_L1_MAX / 8 || misaligned(w, off, "snapshot's L1 table"))
        return 0;
    uint64_t *l1 = calloc(n ? n : 1, 8);
    int r = l1 ? img_file_read(w->img->file, l1, n * 8ul, off, w->io) : -ENOMEM;
    for (uint32_t i = 0; r == 0 && i < n; i++)
        l1[i] = be64toh(l1[i]);
    if (r == 0)
        r = count_l1(w, l1, n, off, false);
    free(l1);
    return r;
}

/* Specification, "Snapshots": 40 fixed bytes, extra data, id, name, padded to 8. */
static int count_snapshots(struct work *w)
{
    uint64_t at = w->q->h.snapshots_offset;
    for (uint32_t i = 0; i < w->q->h.snapshots; i++) {
        uint8_t s[40];
        int r = img_file_read(w->img->file, s, sizeof(s), at, w->io);
        if (r == 0)
            r = count_snapshot_l1(w, qcow2_be64(s), qcow2_be32(s + 8));
        if (r < 0)
            return r;
        uint64_t names = (uint64_t)(s[12] << 8 | s[13]) + (uint64_t)(s[14] << 8 | s[15]);
        at += (40 + qcow2_be32(s + 36) + names + 7) & ~7ull;
        if (at > w->n << w->q->bits)
            return -EINVAL;
    }
    count(w, w->q->h.snapshots_offset, at - w->q->h.snapshots_offset, "snapshot table");
    return 0;
}

static void count_refcounts(struct work *w)
{
    struct qcow2 *q = w->q;
    count(w, q->h.reftable_offset, (uint64_t)q->h.reftable_clusters * q->cluster, "refcount table");
    for (uint32_t i = 0; i < q->reftable_size; i++)
        if (q->reftable[i] && !misaligned(w, q->reftable[i], "refcount block"))
            count(w, q->reftable[i], q->cluster, "refcount block");
}

/* Compares, and repairs what may be repaired. */
static int compare_one(struct work *w, uint64_t i)
{
    struct img_check *c = w->c;
    uint64_t have;
    int r = qcow2_refcount_get(w->img, i, &have, w->io);
    if (r < 0 || have == w->refs[i])
        return r;
    bool leak = have > w->refs[i], fix = leak ? w->fix_leaks : w->fix_all;
    *(leak ? &c->leaks : &c->corruptions) += 1;
    say(w, "%s cluster %llu refcount=%llu reference=%u",
        fix ? "Repairing" : leak ? "Leaked" : "ERROR", (unsigned long long)i, (unsigned long long)have,
        w->refs[i]);
    if (!fix)
        return 0;
    r = qcow2_refcount_set(w->img, i, w->refs[i], w->io);
    if (r == 0)
        *(leak ? &c->leaks_fixed : &c->corruptions_fixed) += 1;
    return r;
}

static int compare(struct work *w)
{
    for (uint64_t i = 0; i < w->n; i++) {
        int r = compare_one(w, i);
        if (r < 0)
            return r;
    }
    return 0;
}

static bool flag_wrong(struct work *w, uint64_t e, const char *what)
{
    uint64_t off = e & QCOW2_OFFSET, i = off >> w->q->bits;
    if (!off || e & QCOW2_PACKED || i >= w->n || off & (w->q->cluster - 1))
        return false;
    if ((w->refs[i] == 1) == !!(e & QCOW2_COPIED))
        return false;
    say(w, "%s OFLAG_COPIED %s: entry=%llx refcount=%u", w->fix_all ? "Repairing" : "ERROR", what,
        (unsigned long long)e, w->refs[i]);
    w->c->corruptions++;
    w->c->corruptions_fixed += w->fix_all;
    return true;
}

static int flags_l2(struct work *w, uint64_t l2)
{
    bool changed = false;
    int r = img_file_read(w->img->file, w->table, w->q->cluster, l2, w->io);
    for (uint32_t i = 0; r == 0 && i < w->q->cluster / 8; i++) {
        uint64_t e = qcow2_be64(w->table + 8 * i);
        if (flag_wrong(w, e, "data cluster")) {
            qcow2_put64(w->table + 8 * i, e ^ QCOW2_COPIED);
            changed = true;
        }
    }
    if (r == 0 && changed && w->fix_all) {
        r = img_file_write(w->img->file, w->table, w->q->cluster, l2, w->io);
        meta_forget(&w->q->l2, l2, w->q->cluster);
    }
    return r;
}

/* "Copied" is said of clusters with exactly one reference. */
static int flags(struct work *w)
{
    struct qcow2 *q = w->q;
    for (uint32_t i = 0; i < q->h.l1_size; i++) {
        uint64_t l2 = q->l1[i] & QCOW2_OFFSET;
        int r = 0;
        if (!l2 || l2 & (q->cluster - 1) || l2 >> q->bits >= w->n)
            continue;
        if (flag_wrong(w, q->l1[i], "L2 cluster") && w->fix_all) {
            uint8_t field[8];
            q->l1[i] ^= QCOW2_COPIED;
            qcow2_put64(field, q->l1[i]);
            r = img_file_write(w->img->file, field, 8, q->h.l1_offset + 8 * i, w->io);
        }
        if (r == 0)
            r = flags_l2(w, l2);
        if (r < 0)
            return r;
    }
    return 0;
}

/* After a repair nothing is left to be said by the dirty and corrupt bits. */
static int bits_clear(struct work *w)
{
    struct qcow2 *q = w->q;
    uint8_t field[8];
    uint64_t gone = QCOW2_DIRTY | (w->fix_all ? QCOW2_CORRUPT : 0);
    if (w->c->errors || w->c->corruptions > w->c->corruptions_fixed || !w->fix_leaks ||
        !(q->h.incompatible & gone))
        return 0;
    int r = img_file_flush(w->img->file, w->io);
    q->h.incompatible &= ~gone;
    qcow2_put64(field, q->h.incompatible);
    if (r == 0)
        r = img_file_write(w->img->file, field, 8, QCOW2_AT_INCOMPATIBLE, w->io);
    q->dirty = false;
    return r;
}

static int run(struct work *w)
{
    struct qcow2 *q = w->q;
    count(w, 0, q->cluster, "header");
    int r = count_l1(w, q->l1, q->h.l1_size, q->h.l1_offset, true);
    if (r == 0)
        r = count_snapshots(w);
    if (r == 0) {
        count_refcounts(w);
        r = compare(w);
    }
    if (r == 0)
        r = flags(w);
    return r < 0 ? r : bits_clear(w);
}

int qcow2_check(struct img *img, struct img_check *c, bool fix_leaks, bool fix_all, struct img_io *io)
{
    struct qcow2 *q = qcow2_of(img);
    int64_t size = img_file_length(img->file);
    if (size < 0)
        return (int)size;
    struct work w = {.img = img, .q = q, .c = c, .io = io, .fix_leaks = fix_leaks, .fix_all = fix_all};
    w.n = ((uint64_t)size + q->cluster - 1) >> q->bits;
    c->total = (img->size + q->cluster - 1) >> q->bits;
    w.refs = calloc(w.n + 1, sizeof(w.refs[0]));
    w.table = malloc(q->cluster);
    int r = w.refs && w.table ? run(&w) : -ENOMEM;
    free(w.refs);
    free(w.table);
    q->hint = 0;
    return r;
}
