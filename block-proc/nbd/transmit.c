/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests of one client, one after the other. Must never read or write outside of the export, nor answer a broken request
 * with anything but an error or the end of the connection.
 */
#include <errno.h>
#include <string.h>
#include "block-proc/image/bytes.h"
#include "block-proc/nbd/nbd.h"

#define MAGIC_REQUEST    0x25609513u
#define MAGIC_SIMPLE     0x67446698u
#define MAGIC_STRUCTURED 0x668e33efu
#define EXTENTS_MAX      1024u

enum { CMD_READ, CMD_WRITE, CMD_DISC, CMD_FLUSH, CMD_TRIM, CMD_CACHE, CMD_ZEROES, CMD_STATUS };
enum { F_FUA = 1, F_NO_HOLE = 2, F_DF = 4, F_ONE = 8 };
enum { CHUNK_NONE = 0, CHUNK_DATA = 1, CHUNK_STATUS = 5, CHUNK_ERROR = 32769, CHUNK_DONE = 1 };

struct request {
    uint16_t flags, type;
    uint8_t handle[8];
    uint64_t off;
    uint32_t len;
};

static uint32_t wire_error(int r)
{
    switch (-r) {
    case 0: return 0;
    case EPERM: case EROFS: return 1;
    case ENOMEM: return 12;
    case EINVAL: return 22;
    case ENOSPC: case EFBIG: return 28;
    case EOVERFLOW: return 75;
    case ENOTSUP: return 95;
    default: return 5;
    }
}

static int chunk(const struct nbd_client *c, const struct request *q, uint16_t type, const void *extra, size_t n_extra,
                 const void *data, size_t n)
{
    uint8_t h[20 + 16];
    be32_put(h, MAGIC_STRUCTURED);
    be16_put(h + 4, CHUNK_DONE);
    be16_put(h + 6, type);
    memcpy(h + 8, q->handle, 8);
    be32_put(h + 16, (uint32_t)(n_extra + n));
    memcpy(h + 20, extra, n_extra);
    return nbd_send(c->fd, h, 20 + n_extra, data, n);
}

static int answer(const struct nbd_client *c, const struct request *q, int r, const void *data, size_t n)
{
    uint8_t h[16], extra[8];
    if (r < 0 && c->structured) {
        be32_put(extra, wire_error(r));
        be16_put(extra + 4, 0);
        return chunk(c, q, CHUNK_ERROR, extra, 6, NULL, 0);
    }
    if (n && c->structured) {
        be64_put(extra, q->off);
        return chunk(c, q, CHUNK_DATA, extra, 8, data, n);
    }
    if (c->structured)
        return chunk(c, q, CHUNK_NONE, extra, 0, NULL, 0);
    be32_put(h, MAGIC_SIMPLE);
    be32_put(h + 4, wire_error(r));
    memcpy(h + 8, q->handle, 8);
    return nbd_send(c->fd, h, sizeof(h), data, r < 0 ? 0 : n);
}

/* Images are read and written in sectors, clients ask for bytes: the ends of a range are read, changed and written. */
static int unaligned(struct nbd_client *c, bool write, uint8_t *p, uint32_t len, uint64_t at)
{
    uint8_t sector[IMG_SECTOR];
    while (len) {
        uint32_t in = (uint32_t)(at % IMG_SECTOR), part = IMG_SECTOR - in < len ? IMG_SECTOR - in : len;
        int r = 0;
        if (part == IMG_SECTOR) {
            part = len / IMG_SECTOR * IMG_SECTOR;
            r = write ? img_write(c->e->img, p, part, at, &c->io) : img_read(c->e->img, p, part, at, &c->io);
        } else {
            r = img_read(c->e->img, sector, IMG_SECTOR, at - in, &c->io);
            if (!write)
                memcpy(p, sector + in, part);
            else
                memcpy(sector + in, p, part);
            if (r == 0 && write)
                r = img_write(c->e->img, sector, IMG_SECTOR, at - in, &c->io);
        }
        if (r < 0)
            return r;
        p += part;
        at += part;
        len -= part;
    }
    return 0;
}

static int zero(struct nbd_client *c, const struct request *q, uint64_t at)
{
    uint64_t start = round_up(at, IMG_SECTOR), end = (at + q->len) & ~(uint64_t)(IMG_SECTOR - 1);
    memset(c->buf, 0, IMG_SECTOR);
    if (start >= end) {
        memset(c->buf, 0, q->len);
        return unaligned(c, true, c->buf, q->len, at);
    }
    int r = unaligned(c, true, c->buf, (uint32_t)(start - at), at);
    if (r == 0)
        r = img_zero(c->e->img, start, end - start, !(q->flags & F_NO_HOLE) && c->e->discard, &c->io);
    return r < 0 ? r : unaligned(c, true, c->buf, (uint32_t)(at + q->len - end), end);
}

static int trim(struct nbd_client *c, const struct request *q, uint64_t at)
{
    uint64_t start = round_up(at, IMG_SECTOR), end = (at + q->len) & ~(uint64_t)(IMG_SECTOR - 1);
    return c->e->discard && start < end ? img_discard(c->e->img, start, end - start, &c->io) : 0;
}

/* What the whole chain shows: 1 = hole, 2 = reads as zeros. *len is cut to where it changes. */
static uint32_t status_at(struct nbd_client *c, uint64_t off, uint64_t *len)
{
    struct img_extent e;
    for (struct img *img = c->e->img; img && off < img->size; img = img->backing) {
        if (img_status(img, off, *len, &e, &c->io) < 0)
            return 0;
        *len = e.len;
        if (e.kind == IMG_ZERO)
            return e.allocated ? 2 : 3;
        if (e.kind == IMG_DATA)
            return img_file_hole(e.file, e.host, len) ? 3 : 0;
        if (e.kind == IMG_PACKED)
            return 0;
    }
    return 3;
}

static int block_status(struct nbd_client *c, const struct request *q)
{
    uint8_t id[4], list[8 * EXTENTS_MAX];
    unsigned n = 0, max = q->flags & F_ONE ? 1 : EXTENTS_MAX;
    uint64_t at = c->e->offset + q->off, end = at + q->len;
    while (at < end && n < max) {
        uint64_t len = end - at;
        uint32_t flags = status_at(c, at, &len);
        be32_put(list + 8 * n, (uint32_t)len);
        be32_put(list + 8 * n++ + 4, flags);
        at += len;
    }
    be32_put(id, 1);
    return chunk(c, q, CHUNK_STATUS, id, 4, list, 8 * n);
}

/* A write's bytes are taken off the wire whatever becomes of them. */
static int run(struct nbd_client *c, const struct request *q)
{
    const struct nbd_export *e = c->e;
    bool writes = q->type == CMD_WRITE || q->type == CMD_TRIM || q->type == CMD_ZEROES;
    uint64_t at = e->offset + q->off;
    if (writes && e->readonly)
        return -EPERM;
    if (q->type != CMD_FLUSH && (q->off > e->size || q->len > e->size - q->off))
        return writes ? -ENOSPC : -EINVAL;
    int r = q->type == CMD_READ     ? unaligned(c, false, c->buf, q->len, at)
            : q->type == CMD_WRITE  ? unaligned(c, true, c->buf, q->len, at)
            : q->type == CMD_FLUSH  ? img_flush(e->img, &c->io)
            : q->type == CMD_TRIM   ? trim(c, q, at)
            : q->type == CMD_ZEROES ? zero(c, q, at)
            : q->type == CMD_CACHE  ? 0 : -EINVAL;
    return r == 0 && writes && q->flags & F_FUA ? img_flush(e->img, &c->io) : r;
}

static int request_read(struct nbd_client *c, struct request *q)
{
    uint8_t h[28];
    int r = nbd_recv(c->fd, h, sizeof(h));
    if (r < 0)
        return r;
    q->flags = be16_get(h + 4);
    q->type = be16_get(h + 6);
    memcpy(q->handle, h + 8, 8);
    q->off = be64_get(h + 16);
    q->len = be32_get(h + 24);
    bool carries = q->type == CMD_READ || q->type == CMD_WRITE;
    if (be32_get(h) != MAGIC_REQUEST || (carries && q->len > NBD_REQUEST_MAX))
        return -EPROTO;
    return q->type == CMD_WRITE ? nbd_recv(c->fd, c->buf, q->len) : 0;
}

void nbd_transmit(struct nbd_client *c)
{
    struct request q;
    int r = 0;
    while (r == 0 && request_read(c, &q) == 0 && q.type != CMD_DISC) {
        if (q.type == CMD_STATUS && c->allocation && q.len && q.off < c->e->size && q.len <= c->e->size - q.off) {
            r = block_status(c, &q);
            continue;
        }
        int did = run(c, &q);
        r = answer(c, &q, did, c->buf, q.type == CMD_READ && did == 0 ? q.len : 0);
    }
}
