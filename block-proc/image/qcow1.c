/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The old qcow format (version 1): two levels of big-endian tables, no reference counts, clusters perhaps deflated.
 * AES encryption is refused by name. Must never read more for a compressed cluster than its entry says.
 */
#include <errno.h>
#include <stdlib.h>
#include <time.h>
#include "block-proc/image/bat.h"
#include "block-proc/image/bytes.h"
#include "block-proc/image/codec.h"
#include "block-proc/image/two-level.h"
#include "ipc/log.h"

#define HEADER 48u
#define PACKED (1ull << 63)

struct qcow1 {
    struct two_level t;
    uint32_t bits; /* of a cluster */
};

static int refuse(struct img *img, const char *what)
{
    log_error("%s: qcow: %s", img->name, what);
    return -EINVAL;
}

static int qcow1_get(struct img *img, uint64_t block, struct bat_place *p, struct img_io *io)
{
    struct qcow1 *q = img->priv;
    uint64_t e;
    int r = two_level_get(img, &q->t, block, &e, io);
    p->kind = e == 0 ? IMG_HOLE : e & PACKED ? IMG_PACKED : IMG_DATA;
    p->host = e;
    if (r == 0 && p->kind == IMG_DATA && (e < q->t.low || e >> 62))
        return refuse(img, "a cluster lies at an impossible offset");
    return r;
}

static int qcow1_room(struct img *img, uint64_t block, struct bat_place *p, struct img_io *io)
{
    (void)block;
    (void)io;
    p->host = two_level_room(&((struct qcow1 *)img->priv)->t, img->cluster);
    return 0;
}

static int qcow1_put(struct img *img, uint64_t block, const struct bat_place *p, struct img_io *io)
{
    return two_level_put(img, &((struct qcow1 *)img->priv)->t, block, p->host, io);
}

static const struct bat_ops ops = {.get = qcow1_get, .room = qcow1_room, .put = qcow1_put};

static int header_check(struct img *img, struct qcow1 *q, const uint8_t *h)
{
    uint64_t size = be64_get(h + 24);
    uint32_t l2_bits = h[33];
    q->bits = h[32];
    if (be32_get(h) != 0x514649fb || be32_get(h + 4) != 1)
        return refuse(img, "the magic is missing");
    if (q->bits < 9 || q->bits > 16 || l2_bits < 6 || l2_bits > 13)
        return refuse(img, "cluster or table size is not allowed");
    if (be32_get(h + 36))
        return refuse(img, "AES encryption is not built");
    if (size > 1ull << 56)
        return refuse(img, "the disk is too large");
    img->cluster = 1u << q->bits;
    img->size = size & ~(uint64_t)(IMG_SECTOR - 1);
    uint64_t per = 1ull << (q->bits + l2_bits);
    q->t = (struct two_level){.l1_at = be64_get(h + 40), .n1 = (size + per - 1) / per, .n2 = 1u << l2_bits, .low = HEADER,
                              .big = true, .align = img->cluster};
    return 0;
}

static int qcow1_open(struct img *img, struct img_io *io)
{
    uint8_t h[HEADER];
    struct qcow1 *q = img->priv = calloc(1, sizeof(*q));
    int r = q ? img_file_read(img->file, h, HEADER, 0, io) : -ENOMEM;
    if (r == 0)
        r = header_check(img, q, h);
    if (r < 0)
        return r;
    uint64_t at = be64_get(h + 8);
    uint32_t len = be32_get(h + 16);
    if (at && (len >= sizeof(img->backing_name) || at > img->file->size))
        return refuse(img, "the backing file's name is too long");
    if (at)
        r = img_file_read(img->file, img->backing_name, len, at, io);
    img->bat = &ops;
    img->packed = true;
    return r < 0 || img->opt.inspect ? r : two_level_open(img, &q->t, io);
}

static void qcow1_close(struct img *img, struct img_io *io)
{
    struct qcow1 *q = img->priv;
    (void)io;
    if (q)
        two_level_close(&q->t);
    free(q);
    img->priv = NULL;
}

static int packed_load(struct img *img, uint64_t off, struct img_io *io)
{
    struct qcow1 *q = img->priv;
    struct bat_place p = {0};
    size_t room;
    uint8_t *in = img_codec_in(io->codec, &room);
    pthread_mutex_lock(&img->lock);
    int r = qcow1_get(img, off >> q->bits, &p, io);
    pthread_mutex_unlock(&img->lock);
    uint64_t len = p.host >> (63 - q->bits) & (img->cluster - 1), at = p.host & ((1ull << (63 - q->bits)) - 1);
    if (r < 0 || p.kind != IMG_PACKED || len > room)
        return r < 0 ? r : -EIO;
    r = img_file_read(img->file, in, (size_t)len, at, io);
    return r < 0 ? r : img_codec_unpack(io->codec, IMG_CODEC_DEFLATE, (size_t)len, img->cluster);
}

static int qcow1_read_packed(struct img *img, const struct img_buf *b, uint64_t off, struct img_io *io)
{
    for (size_t done = 0; done < b->len;) {
        size_t in = (size_t)((off + done) & (img->cluster - 1)), part = img->cluster - in;
        int r = packed_load(img, off + done, io);
        if (r < 0)
            return r;
        part = part < b->len - done ? part : b->len - done;
        img_buf_fill(b, done, img_codec_out(io->codec) + in, part);
        done += part;
    }
    return 0;
}

static int qcow1_write_packed(struct img *img, const uint8_t *data, uint64_t off, struct img_io *io)
{
    struct qcow1 *q = img->priv;
    size_t room;
    long len = img_codec_pack(io->codec, IMG_CODEC_DEFLATE, data, img->cluster);
    if (len < 0)
        return (int)len;
    if (len == 0)
        return img_write(img, data, img->size - off < img->cluster ? (size_t)(img->size - off) : img->cluster, off, io);
    struct img_range *range = img_range_take(img, off, img->cluster, true);
    pthread_mutex_lock(&img->lock);
    uint64_t at = q->t.end;
    q->t.end = at + (uint64_t)len; /* packed densely: only tables and whole clusters are aligned */
    pthread_mutex_unlock(&img->lock);
    int r = img_file_write(img->file, img_codec_in(io->codec, &room), (size_t)len, at, io);
    pthread_mutex_lock(&img->lock);
    if (r == 0)
        r = two_level_put(img, &q->t, off >> q->bits, PACKED | (uint64_t)len << (63 - q->bits) | at, io);
    pthread_mutex_unlock(&img->lock);
    img_range_drop(img, range);
    return r;
}

static int qcow1_create(struct img_file *file, const struct img_create *c, struct img_io *io)
{
    uint8_t h[HEADER + IMG_NAME_MAX] = {0};
    uint32_t bits = c->backing ? 9 : 12, l2_bits = c->backing ? 12 : 9; /* small clusters: little is copied */
    uint64_t per = 1ull << (bits + l2_bits), l1 = HEADER;
    if (c->backing) {
        size_t n = strlen(c->backing);
        if (n >= IMG_NAME_MAX)
            return -ENAMETOOLONG;
        be64_put(h + 8, HEADER);
        be32_put(h + 16, (uint32_t)n);
        memcpy(h + HEADER, c->backing, n);
        l1 += n;
    }
    l1 = round_up(l1, 8);
    be32_put(h, 0x514649fb);
    be32_put(h + 4, 1);
    be32_put(h + 20, (uint32_t)time(NULL));
    be64_put(h + 24, c->size);
    h[32] = (uint8_t)bits;
    h[33] = (uint8_t)l2_bits;
    be64_put(h + 40, l1);
    uint64_t n1 = (c->size + per - 1) / per;
    if (n1 * 8 > 32u << 20)
        return -EFBIG;
    int r = img_file_resize(file, round_up(l1 + n1 * 8, IMG_SECTOR), io);
    return r < 0 ? r : img_file_write(file, h, l1 < sizeof(h) ? (size_t)l1 : sizeof(h), 0, io);
}

static bool qcow1_probe(const uint8_t *head, size_t n)
{
    return n >= HEADER && be32_get(head) == 0x514649fb && be32_get(head + 4) == 1;
}

const struct img_driver img_qcow1 = {
    .name = "qcow",
    .probe = qcow1_probe,
    .open = qcow1_open,
    .close = qcow1_close,
    .map = bat_map,
    .read_packed = qcow1_read_packed,
    .write = bat_write,
    .zero = bat_zero,
    .create = qcow1_create,
    .write_packed = qcow1_write_packed,
};
