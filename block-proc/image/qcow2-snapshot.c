/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Internal snapshots: the list, making, going back to, deleting. The image is quiet meanwhile. Order:
 * references are counted up before anything refers, and counted down after nothing does; what a kill
 * cuts off leaves lost clusters and flags that the next open repairs.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include "block-proc/image/qcow2.h"

#define FIXED      40u
#define EXTRA      24u /* large VM state size, disk size, instruction count */
#define EXTRA_MAX  1024u
#define TABLE_MAX  (64u << 20)

/* ---- the list */
static int entry_read(struct img *img, uint64_t *at, struct qcow2_snapshot *s, struct img_io *io)
{
    uint8_t fixed[FIXED], extra[EXTRA_MAX] = {0};
    int r = img_file_read(img->file, fixed, FIXED, *at, io);
    uint32_t extra_len = qcow2_be32(fixed + 36);
    uint16_t id_len = (uint16_t)(fixed[12] << 8 | fixed[13]), name_len = (uint16_t)(fixed[14] << 8 | fixed[15]);
    if (r == 0 && (extra_len > EXTRA_MAX || id_len >= sizeof(s->id) || name_len >= sizeof(s->name)))
        return -EINVAL;
    if (r == 0)
        r = img_file_read(img->file, extra, extra_len, *at + FIXED, io);
    if (r == 0)
        r = img_file_read(img->file, s->id, id_len, *at + FIXED + extra_len, io);
    if (r == 0)
        r = img_file_read(img->file, s->name, name_len, *at + FIXED + extra_len + id_len, io);
    s->l1_offset = qcow2_be64(fixed);
    s->l1_size = qcow2_be32(fixed + 8);
    s->date_s = qcow2_be32(fixed + 16);
    s->date_ns = qcow2_be32(fixed + 20);
    s->clock_ns = qcow2_be64(fixed + 24);
    s->state_size = extra_len >= 8 ? qcow2_be64(extra) : qcow2_be32(fixed + 32);
    s->disk_size = extra_len >= 16 ? qcow2_be64(extra + 8) : img->size;
    s->icount = extra_len >= 24 ? qcow2_be64(extra + 16) : UINT64_MAX;
    *at += (FIXED + extra_len + id_len + name_len + 7) & ~7ull;
    return r;
}

int qcow2_snapshots(struct img *img, struct qcow2_snapshot **list, unsigned *n, struct img_io *io)
{
    struct qcow2 *q = qcow2_of(img);
    uint64_t at = q->h.snapshots_offset;
    struct qcow2_snapshot *s = calloc(q->h.snapshots + 1ul, sizeof(*s));
    int r = s ? 0 : -ENOMEM;
    for (unsigned i = 0; r == 0 && i < q->h.snapshots; i++) {
        r = entry_read(img, &at, &s[i], io);
        if (r == 0 && (s[i].l1_size > QCOW2_L1_MAX / 8 || s[i].l1_offset & (q->cluster - 1) ||
                       at - q->h.snapshots_offset > TABLE_MAX))
            r = -EINVAL;
    }
    if (r < 0) {
        free(s);
        return r;
    }
    *list = s;
    *n = q->h.snapshots;
    return 0;
}

static size_t entry_write(uint8_t *p, const struct qcow2_snapshot *s)
{
    size_t id = strlen(s->id), name = strlen(s->name);
    qcow2_put64(p, s->l1_offset);
    qcow2_put32(p + 8, s->l1_size);
    p[12] = (uint8_t)(id >> 8), p[13] = (uint8_t)id;
    p[14] = (uint8_t)(name >> 8), p[15] = (uint8_t)name;
    qcow2_put32(p + 16, s->date_s);
    qcow2_put32(p + 20, s->date_ns);
    qcow2_put64(p + 24, s->clock_ns);
    qcow2_put32(p + 32, s->state_size <= UINT32_MAX ? (uint32_t)s->state_size : 0);
    qcow2_put32(p + 36, EXTRA);
    qcow2_put64(p + FIXED, s->state_size);
    qcow2_put64(p + FIXED + 8, s->disk_size);
    qcow2_put64(p + FIXED + 16, s->icount);
    memcpy(p + FIXED + EXTRA, s->id, id);
    memcpy(p + FIXED + EXTRA + id, s->name, name);
    return (FIXED + EXTRA + id + name + 7) & ~(size_t)7;
}

/* A new table in new clusters; number and offset change in one write; the old table is given up. */
static int table_write(struct img *img, const struct qcow2_snapshot *s, unsigned n, struct img_io *io)
{
    struct qcow2 *q = qcow2_of(img);
    uint64_t off = 0, old = q->h.snapshots_offset, at = old;
    struct qcow2_snapshot skip;
    size_t max = n * (FIXED + EXTRA + sizeof(s->id) + sizeof(s->name)), len = 0;
    int r = 0;
    for (unsigned i = 0; r == 0 && i < q->h.snapshots; i++)
        r = entry_read(img, &at, memset(&skip, 0, sizeof(skip)), io);
    uint64_t old_n = old ? (at - old + q->cluster - 1) >> q->bits : 0;
    uint8_t *p = calloc(1, max + q->cluster), field[12];
    if (r == 0 && !p)
        r = -ENOMEM;
    for (unsigned i = 0; r == 0 && i < n; i++)
        len += entry_write(p + len, &s[i]);
    if (r == 0 && n)
        r = qcow2_alloc_all(img, (len + q->cluster - 1) >> q->bits, &off, io);
    if (r == 0 && n)
        r = img_file_write(img->file, p, len, off, io);
    if (r == 0)
        r = img_file_flush(img->file, io);
    free(p);
    qcow2_put32(field, n);
    qcow2_put64(field + 4, off);
    if (r == 0)
        r = img_file_write(img->file, field, 12, 60, io);
    if (r < 0)
        return r;
    q->h.snapshots = n;
    q->h.snapshots_offset = off;
    return old_n ? qcow2_refcount_add(img, old >> q->bits, old_n, -1, io) : 0;
}

/* ---- references of a whole L1 table */
struct span {
    uint64_t first, n;
};

static int span_flush(struct img *img, struct span *s, int delta, struct img_io *io)
{
    int r = s->n ? qcow2_refcount_add(img, s->first, s->n, delta, io) : 0;
    s->n = 0;
    return r;
}

/* Neighbouring clusters are counted together. */
static int span_add(struct img *img, struct span *s, uint64_t first, uint64_t n, int delta, struct img_io *io)
{
    int r = 0;
    if (s->n && first != s->first + s->n)
        r = span_flush(img, s, delta, io);
    if (!s->n)
        s->first = first;
    s->n += n;
    return r;
}

static int l2_count(struct img *img, uint8_t *table, uint64_t l2, int delta, struct img_io *io)
{
    struct qcow2 *q = qcow2_of(img);
    struct span s = {0};
    int r = img_file_read(img->file, table, q->cluster, l2, io);
    for (uint32_t i = 0; r == 0 && i < q->cluster / 8; i++) {
        uint64_t e = qcow2_be64(table + 8 * i), off = e & QCOW2_OFFSET, len = 1;
        if (e & QCOW2_PACKED)
            qcow2_packed_span(q, e, &off, &len);
        if (off)
            r = span_add(img, &s, off >> q->bits, ((off + len - 1) >> q->bits) - (off >> q->bits) + 1, delta, io);
    }
    return r < 0 ? r : span_flush(img, &s, delta, io);
}

static int l1_count(struct img *img, const uint64_t *l1, uint64_t n, int delta, struct img_io *io)
{
    struct qcow2 *q = qcow2_of(img);
    uint8_t *table = malloc(q->cluster);
    int r = table ? 0 : -ENOMEM;
    for (uint64_t i = 0; r == 0 && i < n; i++) {
        uint64_t l2 = l1[i] & QCOW2_OFFSET;
        if (!l2)
            continue;
        if (l2 & (q->cluster - 1))
            r = qcow2_corrupt(img, io, "L2 table at offset %#llx", (unsigned long long)l2);
        else
            r = l2_count(img, table, l2, delta, io);
        if (r == 0)
            r = qcow2_refcount_add(img, l2 >> q->bits, 1, delta, io);
    }
    free(table);
    return r;
}

/* "Copied" of an entry: one reference, so it may be written in place. clear: of none. */
static int flag_of(struct img *img, uint64_t *e, bool clear, bool *changed, struct img_io *io)
{
    uint64_t off = *e & QCOW2_OFFSET, count, want = *e & ~QCOW2_COPIED;
    if (!off || *e & QCOW2_PACKED)
        return 0;
    int r = clear ? 0 : qcow2_refcount_get(img, off >> qcow2_of(img)->bits, &count, io);
    if (r == 0 && !clear && count == 1)
        want |= QCOW2_COPIED;
    *changed |= r == 0 && want != *e;
    *e = r == 0 ? want : *e;
    return r;
}

static int l2_flags(struct img *img, uint8_t *table, uint64_t l2, bool clear, struct img_io *io)
{
    struct qcow2 *q = qcow2_of(img);
    bool changed = false;
    int r = img_file_read(img->file, table, q->cluster, l2, io);
    for (uint32_t i = 0; r == 0 && i < q->cluster / 8; i++) {
        uint64_t e = qcow2_be64(table + 8 * i);
        r = flag_of(img, &e, clear, &changed, io);
        qcow2_put64(table + 8 * i, e);
    }
    return r == 0 && changed ? img_file_write(img->file, table, q->cluster, l2, io) : r;
}

/* Of the active tables. A table another snapshot shares says nothing of "copied". */
static int flags_set(struct img *img, bool clear, struct img_io *io)
{
    struct qcow2 *q = qcow2_of(img);
    uint8_t *table = malloc(q->cluster), field[8];
    int r = table ? 0 : -ENOMEM;
    for (uint32_t i = 0; r == 0 && i < q->h.l1_size; i++) {
        uint64_t l2 = q->l1[i] & QCOW2_OFFSET;
        bool changed = false;
        if (!l2)
            continue;
        r = flag_of(img, &q->l1[i], clear, &changed, io);
        qcow2_put64(field, q->l1[i]);
        if (r == 0 && changed)
            r = img_file_write(img->file, field, 8, q->h.l1_offset + 8ull * i, io);
        if (r == 0)
            r = l2_flags(img, table, l2, clear, io);
    }
    free(table);
    meta_forget(&q->l2, 0, UINT64_MAX / 2);
    return r;
}

/* n entries in new clusters. */
static int l1_write(struct img *img, const uint64_t *l1, uint32_t n, uint64_t *off, struct img_io *io)
{
    struct qcow2 *q = qcow2_of(img);
    uint64_t clusters = ((uint64_t)n * 8 + q->cluster - 1) >> q->bits;
    uint8_t *disk = calloc(clusters ? clusters : 1, q->cluster);
    int r = disk ? qcow2_alloc_all(img, clusters ? clusters : 1, off, io) : -ENOMEM;
    for (uint32_t i = 0; r == 0 && i < n; i++)
        qcow2_put64(disk + 8ull * i, l1[i]);
    if (r == 0)
        r = img_file_write(img->file, disk, (clusters ? clusters : 1) * q->cluster, *off, io);
    free(disk);
    return r;
}

static int l1_free(struct img *img, uint64_t off, uint32_t n, struct img_io *io)
{
    struct qcow2 *q = qcow2_of(img);
    uint64_t clusters = ((uint64_t)n * 8 + q->cluster - 1) >> q->bits;
    return qcow2_refcount_add(img, off >> q->bits, clusters ? clusters : 1, -1, io);
}

static int l1_read(struct img *img, const struct qcow2_snapshot *s, uint32_t room, uint64_t **l1, struct img_io *io)
{
    uint64_t *t = calloc(room > s->l1_size ? room : s->l1_size + 1ul, 8);
    int r = t ? img_file_read(img->file, t, s->l1_size * 8ul, s->l1_offset, io) : -ENOMEM;
    for (uint32_t i = 0; r == 0 && i < s->l1_size; i++)
        t[i] = be64toh(t[i]);
    *l1 = t;
    return r;
}

/* ---- the three operations */
static int find(struct qcow2_snapshot *s, unsigned n, const char *which)
{
    for (unsigned i = 0; i < n; i++)
        if (!strcmp(s[i].id, which))
            return (int)i;
    for (unsigned i = 0; i < n; i++)
        if (!strcmp(s[i].name, which))
            return (int)i;
    return -ENOENT;
}

static void describe(const struct img *img, struct qcow2_snapshot *list, unsigned n, const char *name)
{
    struct timespec now;
    unsigned long id = 0;
    clock_gettime(CLOCK_REALTIME, &now);
    for (unsigned i = 0; i < n; i++)
        if (strtoul(list[i].id, NULL, 10) > id)
            id = strtoul(list[i].id, NULL, 10);
    list[n].date_s = (uint32_t)now.tv_sec;
    list[n].date_ns = (uint32_t)now.tv_nsec;
    list[n].disk_size = img->size;
    snprintf(list[n].id, sizeof(list[n].id), "%lu", id + 1);
    snprintf(list[n].name, sizeof(list[n].name), "%s", name);
}

int qcow2_snapshot_create(struct img *img, const char *name, struct img_io *io)
{
    struct qcow2 *q = qcow2_of(img);
    struct qcow2_snapshot *list = NULL;
    unsigned n;
    int r = qcow2_snapshots(img, &list, &n, io);
    if (r < 0)
        return r;
    if (n + 2 >= 1ull << (q->h.refcount_order < 5 ? 1u << q->h.refcount_order : 32) || n >= QCOW2_SNAPSHOTS)
        r = -E2BIG; /* refcounts could not count the references */
    describe(img, list, n, name);
    if (r == 0)
        r = qcow2_mark_dirty(img, io);
    q->pack_off = 0;
    if (r == 0)
        r = flags_set(img, true, io);
    if (r == 0)
        r = l1_count(img, q->l1, q->h.l1_size, 1, io);
    list[n].l1_size = q->h.l1_size;
    if (r == 0)
        r = l1_write(img, q->l1, q->h.l1_size, &list[n].l1_offset, io);
    if (r == 0)
        r = table_write(img, list, n + 1, io);
    free(list);
    return r;
}

int qcow2_snapshot_delete(struct img *img, const char *which, struct img_io *io)
{
    struct qcow2_snapshot *list = NULL, gone;
    uint64_t *l1 = NULL;
    unsigned n;
    int r = qcow2_snapshots(img, &list, &n, io), i = r < 0 ? r : find(list, n, which);
    if (i < 0) {
        free(list);
        return i;
    }
    gone = list[i];
    memmove(&list[i], &list[i + 1], (n - (unsigned)i - 1) * sizeof(*list));
    r = qcow2_mark_dirty(img, io);
    if (r == 0)
        r = l1_read(img, &gone, 0, &l1, io);
    if (r == 0)
        r = table_write(img, list, n - 1, io);
    if (r == 0)
        r = l1_count(img, l1, gone.l1_size, -1, io);
    if (r == 0)
        r = l1_free(img, gone.l1_offset, gone.l1_size, io);
    if (r == 0)
        r = flags_set(img, false, io);
    free(l1);
    free(list);
    return r;
}

/* The header's size, crypt method (none), L1 size and L1 offset are neighbours: one write. */
static int header_switch(struct img *img, uint64_t size, uint32_t n, uint64_t off, struct img_io *io)
{
    uint8_t field[24] = {0};
    int r = img_file_flush(img->file, io);
    qcow2_put64(field, size);
    qcow2_put32(field + 12, n);
    qcow2_put64(field + 16, off);
    return r < 0 ? r : img_file_write(img->file, field, sizeof(field), 24, io);
}

int qcow2_snapshot_apply(struct img *img, const char *which, struct img_io *io)
{
    struct qcow2 *q = qcow2_of(img);
    struct qcow2_snapshot *list = NULL;
    uint64_t *l1 = NULL, off = 0, *old = q->l1;
    uint64_t old_off = q->h.l1_offset, per = 1ull << (q->bits + q->l2_bits);
    uint32_t old_n = q->h.l1_size;
    unsigned n;
    int r = qcow2_snapshots(img, &list, &n, io), i = r < 0 ? r : find(list, n, which);
    if (i < 0) {
        free(list);
        return i;
    }
    struct qcow2_snapshot s = list[i];
    uint32_t size = s.l1_size > old_n ? s.l1_size : old_n;
    free(list);
    if ((s.disk_size + per - 1) / per > size)
        return -EINVAL;
    r = qcow2_mark_dirty(img, io);
    if (r == 0)
        r = l1_read(img, &s, size, &l1, io);
    for (uint32_t k = 0; r == 0 && k < s.l1_size; k++)
        l1[k] &= ~QCOW2_COPIED;
    if (r == 0)
        r = l1_count(img, l1, s.l1_size, 1, io);
    if (r == 0)
        r = l1_write(img, l1, size, &off, io);
    if (r == 0)
        r = header_switch(img, s.disk_size, size, off, io);
    if (r < 0) {
        free(l1);
        return r;
    }
    q->l1 = l1;
    q->h.l1_size = size;
    q->h.l1_offset = off;
    img->size = q->h.size = s.disk_size;
    q->pack_off = 0;
    r = l1_count(img, old, old_n, -1, io);
    if (r == 0)
        r = l1_free(img, old_off, old_n, io);
    if (r == 0)
        r = flags_set(img, false, io);
    free(old);
    return r;
}

int qcow2_empty(struct img *img, struct img_io *io)
{
    struct qcow2 *q = qcow2_of(img);
    size_t bytes = q->h.l1_size * 8ul;
    uint64_t *old = malloc(bytes ? bytes : 8);
    int r = old ? qcow2_mark_dirty(img, io) : -ENOMEM;
    if (r == 0) {
        memcpy(old, q->l1, bytes);
        memset(q->l1, 0, bytes);
        r = img_file_write(img->file, q->l1, bytes, q->h.l1_offset, io);
    }
    if (r == 0)
        r = img_file_flush(img->file, io);
    meta_forget(&q->l2, 0, UINT64_MAX / 2);
    q->pack_off = 0;
    if (r == 0)
        r = l1_count(img, old, q->h.l1_size, -1, io);
    free(old);
    return r;
}

int qcow2_snapshot_load(struct img *img, const char *which, struct img_io *io)
{
    struct qcow2 *q = qcow2_of(img);
    struct qcow2_snapshot *list = NULL;
    uint64_t *l1 = NULL;
    unsigned n;
    int r = qcow2_snapshots(img, &list, &n, io), i = r < 0 ? r : find(list, n, which);
    uint64_t per = 1ull << (q->bits + q->l2_bits);
    if (i >= 0)
        r = (list[i].disk_size + per - 1) / per > list[i].l1_size ? -EINVAL : l1_read(img, &list[i], list[i].l1_size, &l1, io);
    if (i >= 0 && r == 0) {
        free(q->l1);
        q->l1 = l1;
        q->h.l1_size = list[i].l1_size;
        img->size = list[i].disk_size;
    }
    free(list);
    return i < 0 ? i : r;
}
