/* SPDX-License-Identifier: Apache-2.0 */
/*
 * QED images: header, two levels of tables, clusters. Must never start allocating without the need-check mark, nor
 * leave it after an orderly end.
 */
#include <errno.h>
#include <stdlib.h>
#include "block-proc/image/bat.h"
#include "block-proc/image/bytes.h"
#include "block-proc/image/two-level.h"
#include "ipc/log.h"

#define HEADER      64u
#define F_BACKING   1u
#define F_CHECK     2u
#define F_RAW       4u /* the backing file is raw and must not be probed */
#define AT_FEATURES 16
#define ENTRY_ZERO  1u

struct qed {
    struct two_level t;
    uint64_t features;
    uint32_t header; /* bytes */
};

static int refuse(struct img *img, const char *what)
{
    log_error("%s: qed: %s", img->name, what);
    return -EINVAL;
}

static bool power(uint64_t v, uint64_t min, uint64_t max)
{
    return v >= min && v <= max && !(v & (v - 1));
}

static int features_write(struct img *img, uint64_t features, struct img_io *io)
{
    struct qed *q = img->priv;
    uint8_t field[8];
    le64_put(field, features);
    int r = img_file_write(img->file, field, 8, AT_FEATURES, io);
    if (r == 0)
        r = img_file_flush(img->file, io);
    if (r == 0)
        q->features = features;
    return r;
}

static int qed_get(struct img *img, uint64_t block, struct bat_place *p, struct img_io *io)
{
    struct qed *q = img->priv;
    uint64_t e;
    int r = two_level_get(img, &q->t, block, &e, io);
    if (r < 0)
        return r;
    p->kind = e == 0 ? IMG_HOLE : e == ENTRY_ZERO ? IMG_ZERO : IMG_DATA;
    p->host = e;
    if (p->kind == IMG_DATA && (e % img->cluster || e < q->t.low || e >= img->file->size + (64ull << 40)))
        return refuse(img, "a cluster lies at an impossible offset");
    return 0;
}

static int qed_room(struct img *img, uint64_t block, struct bat_place *p, struct img_io *io)
{
    struct qed *q = img->priv;
    (void)block;
    int r = q->features & F_CHECK ? 0 : features_write(img, q->features | F_CHECK, io);
    if (r == 0)
        p->host = two_level_room(&q->t, img->cluster);
    return r;
}

static int qed_put(struct img *img, uint64_t block, const struct bat_place *p, struct img_io *io)
{
    return two_level_put(img, &((struct qed *)img->priv)->t, block, p->host, io);
}

static int qed_put_zero(struct img *img, uint64_t block, struct img_io *io)
{
    struct qed *q = img->priv;
    int r = q->features & F_CHECK ? 0 : features_write(img, q->features | F_CHECK, io);
    return r < 0 ? r : two_level_put(img, &q->t, block, ENTRY_ZERO, io);
}

static const struct bat_ops ops = {.get = qed_get, .room = qed_room, .put = qed_put, .put_zero = qed_put_zero};

static int header_check(struct img *img, struct qed *q, const uint8_t *h)
{
    uint32_t cluster = le32_get(h + 4), table = le32_get(h + 8), header = le32_get(h + 12);
    uint64_t size = le64_get(h + 48);
    if (memcmp(h, "QED", 4))
        return refuse(img, "the magic is missing");
    if (!power(cluster, 4096, 64u << 20) || !power(table, 1, 16) || !header || header > 64)
        return refuse(img, "cluster, table or header size is not allowed");
    if (le64_get(h + 16) & ~7ull)
        return refuse(img, "an unknown feature is in use");
    img->cluster = cluster;
    q->features = le64_get(h + 16);
    q->header = header * cluster;
    q->t = (struct two_level){.l1_at = le64_get(h + 40), .n1 = (uint64_t)table * cluster / 8, .low = q->header,
                              .n2 = table * cluster / 8, .align = cluster};
    if (size % IMG_SECTOR || size / cluster > q->t.n1 * q->t.n2)
        return refuse(img, "the disk is larger than its tables");
    if (q->t.l1_at % cluster || q->t.l1_at < q->header)
        return refuse(img, "the first table lies in the header");
    img->size = size;
    return 0;
}

static int backing_read(struct img *img, const struct qed *q, const uint8_t *h, struct img_io *io)
{
    uint32_t at = le32_get(h + 56), len = le32_get(h + 60);
    if (!(q->features & F_BACKING))
        return 0;
    if (len >= sizeof(img->backing_name) || (uint64_t)at + len > q->header)
        return refuse(img, "the backing file's name is too long");
    if (q->features & F_RAW)
        strcpy(img->backing_fmt, "raw");
    return img_file_read(img->file, img->backing_name, len, at, io);
}

static int qed_open(struct img *img, struct img_io *io)
{
    uint8_t h[HEADER];
    struct qed *q = img->priv = calloc(1, sizeof(*q));
    int r = q ? img_file_read(img->file, h, HEADER, 0, io) : -ENOMEM;
    if (r == 0)
        r = header_check(img, q, h);
    if (r == 0)
        r = backing_read(img, q, h, io);
    if (r < 0)
        return r;
    img->bat = &ops;
    return img->opt.inspect ? 0 : two_level_open(img, &q->t, io);
}

static void qed_close(struct img *img, struct img_io *io)
{
    struct qed *q = img->priv;
    if (!q)
        return;
    if (q->features & F_CHECK && q->t.l1 && !img->opt.readonly && img_file_flush(img->file, io) == 0)
        (void)features_write(img, q->features & ~(uint64_t)F_CHECK, io);
    two_level_close(&q->t);
    free(q);
    img->priv = NULL;
}

static int qed_resize(struct img *img, uint64_t size, struct img_io *io)
{
    struct qed *q = img->priv;
    uint8_t field[8];
    if (size % IMG_SECTOR || size / img->cluster > q->t.n1 * q->t.n2)
        return -EINVAL;
    if (size < img->size)
        return -ENOTSUP; /* as qemu-img */
    le64_put(field, size);
    int r = img_file_write(img->file, field, 8, 48, io);
    if (r == 0)
        img->size = size;
    return r;
}

static int qed_backing_write(struct img *img, const char *name, const char *fmt, struct img_io *io)
{
    struct qed *q = img->priv;
    uint8_t field[8 + IMG_NAME_MAX] = {0};
    size_t n = strlen(name);
    bool raw = fmt && !strcmp(fmt, "raw");
    if (n >= IMG_NAME_MAX || HEADER + n > q->header)
        return -ENOSPC;
    le32_put(field, n ? HEADER : 0);
    le32_put(field + 4, (uint32_t)n);
    memcpy(field + 8, name, n);
    int r = img_file_write(img->file, field, 8 + n, 56, io);
    uint64_t features = q->features & ~(uint64_t)(F_BACKING | F_RAW);
    return r < 0 ? r : features_write(img, features | (n ? F_BACKING : 0) | (n && raw ? F_RAW : 0), io);
}

static int qed_create(struct img_file *file, const struct img_create *c, struct img_io *io)
{
    uint32_t cluster = c->cluster ? c->cluster : 65536, table = c->table_size ? c->table_size : 4;
    uint8_t h[HEADER + IMG_NAME_MAX] = {0};
    uint64_t per = (uint64_t)table * cluster / 8;
    if (c->size / cluster > per * per)
        return -EFBIG;
    memcpy(h, "QED", 4);
    le32_put(h + 4, cluster);
    le32_put(h + 8, table);
    le32_put(h + 12, 1);
    le64_put(h + 40, cluster);
    le64_put(h + 48, c->size);
    if (c->backing) {
        size_t n = strlen(c->backing);
        bool raw = c->backing_fmt && !strcmp(c->backing_fmt, "raw");
        if (n >= IMG_NAME_MAX)
            return -ENAMETOOLONG;
        le64_put(h + AT_FEATURES, F_BACKING | (raw ? F_RAW : 0));
        le32_put(h + 56, HEADER);
        le32_put(h + 60, (uint32_t)n);
        memcpy(h + HEADER, c->backing, n);
    }
    int r = img_file_resize(file, cluster + (uint64_t)table * cluster, io);
    return r < 0 ? r : img_file_write(file, h, sizeof(h), 0, io);
}

/* ---- checking */
struct use {
    uint8_t *seen; /* a bit for each cluster of the file */
    uint64_t n;
};

static bool use_mark(struct use *u, uint64_t at, uint64_t len, uint32_t cluster)
{
    bool good = len > 0;
    for (uint64_t i = at / cluster; good && i < (at + len) / cluster; i++) {
        good = i < u->n && !(u->seen[i / 8] & 1u << i % 8);
        if (good)
            u->seen[i / 8] |= (uint8_t)(1u << i % 8);
    }
    return good;
}

static int entries_check(struct img *img, struct use *u, struct img_check *c, struct img_io *io)
{
    struct qed *q = img->priv;
    uint64_t before = 0;
    for (uint64_t i = 0; i < q->t.n1; i++)
        if (q->t.l1[i] && !use_mark(u, q->t.l1[i], q->t.n2 * 8ull, img->cluster))
            c->corruptions++;
    for (uint64_t i = 0; i < c->total; i++) {
        uint64_t e;
        int r = two_level_get(img, &q->t, i, &e, io);
        if (r < 0)
            return r;
        if (!e || e == ENTRY_ZERO)
            continue;
        c->fragmented += before && e != before + img->cluster;
        before = e;
        c->allocated++;
        if (e % img->cluster || !use_mark(u, e, img->cluster, img->cluster))
            c->corruptions++;
    }
    return 0;
}

static int qed_check(struct img *img, struct img_check *c, bool fix_leaks, bool fix_all, struct img_io *io)
{
    struct qed *q = img->priv;
    struct use u = {.n = (img->file->size + img->cluster - 1) / img->cluster};
    (void)fix_leaks;
    (void)fix_all;
    c->total = (img->size + img->cluster - 1) / img->cluster;
    u.seen = calloc(1, u.n / 8 + 1);
    if (!u.seen)
        return -ENOMEM;
    bool head = use_mark(&u, 0, q->header, img->cluster) && use_mark(&u, q->t.l1_at, q->t.n1 * 8, img->cluster);
    int r = head ? entries_check(img, &u, c, io) : 0;
    c->corruptions += !head;
    for (uint64_t i = 0; i < u.n; i++)
        c->leaks += !(u.seen[i / 8] & 1u << i % 8);
    free(u.seen);
    return r;
}

static bool qed_probe(const uint8_t *head, size_t n)
{
    return n >= HEADER && !memcmp(head, "QED", 4);
}

const struct img_driver img_qed = {
    .name = "qed",
    .probe = qed_probe,
    .open = qed_open,
    .close = qed_close,
    .map = bat_map,
    .write = bat_write,
    .zero = bat_zero,
    .resize = qed_resize,
    .create = qed_create,
    .check = qed_check,
    .backing_write = qed_backing_write,
};
