/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows of compressed chunks. Must never trust that a chunk unpacks to what it says: less or more is an error.
 */
#include "block-proc/image/chunks.h"

#include <bzlib.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include "ipc/log.h"

static int refuse(struct img *img, const char *what)
{
    log_error("%s: %s: %s", img->name, img->drv->name, what);
    return -EINVAL;
}

int chunks_ready(struct img *img, struct chunks *c)
{
    uint64_t in = 1, out = 1, end = 0;
    for (uint64_t i = 0; i < c->n; i++) {
        const struct chunk *k = &c->v[i];
        bool packed = k->kind == CHUNK_ZLIB || k->kind == CHUNK_BZ2;
        if (k->start < end || !k->len || k->start + k->len < k->start)
            return refuse(img, "chunks overlap or are out of order");
        if (packed && (k->len > CHUNK_MAX || k->packed > CHUNK_MAX))
            return refuse(img, "a chunk is larger than 64 MiB");
        if (k->kind != CHUNK_ZERO && (k->at > img->file->size || k->packed > img->file->size - k->at))
            return refuse(img, "a chunk lies behind the end of the file");
        end = k->start + k->len;
        in = packed && k->packed > in ? k->packed : in;
        out = packed && k->len > out ? k->len : out;
    }
    c->cached = c->n;
    c->in = malloc(in);
    c->out = malloc(out);
    pthread_mutex_init(&c->lock, NULL);
    return c->in && c->out ? 0 : -ENOMEM;
}

void chunks_free(struct chunks *c)
{
    free(c->v);
    free(c->in);
    free(c->out);
}

/* The first chunk that ends behind off. */
static uint64_t find(const struct chunks *c, uint64_t off)
{
    uint64_t low = 0, high = c->n;
    while (low < high) {
        uint64_t mid = (low + high) / 2;
        if (c->v[mid].start + c->v[mid].len <= off)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

int chunks_map(struct img *img, uint64_t off, uint64_t len, struct img_extent *e, struct img_io *io)
{
    const struct chunks *c = img->priv;
    uint64_t i = find(c, off);
    const struct chunk *k = i < c->n ? &c->v[i] : NULL;
    (void)io;
    if (!k || k->start > off) {
        *e = (struct img_extent){.kind = IMG_ZERO, .len = k ? k->start - off : len};
        return 0;
    }
    *e = (struct img_extent){.kind = k->kind == CHUNK_ZERO ? IMG_ZERO : k->kind == CHUNK_RAW ? IMG_DATA : IMG_PACKED,
                             .len = k->start + k->len - off, .file = img->file, .allocated = k->kind == CHUNK_RAW,
                             .host = k->kind == CHUNK_RAW ? k->at + (off - k->start) : 0};
    return 0;
}

static int unpack(struct chunks *c, const struct chunk *k)
{
    unsigned int bz = (unsigned int)k->len;
    uLongf z = (uLongf)k->len;
    if (k->kind == CHUNK_BZ2)
        return BZ2_bzBuffToBuffDecompress((char *)c->out, &bz, (char *)c->in, (unsigned int)k->packed, 0, 0) == BZ_OK &&
                       bz == k->len ? 0 : -EIO;
    return uncompress(c->out, &z, c->in, (uLong)k->packed) == Z_OK && z == k->len ? 0 : -EIO;
}

static int load(struct img *img, struct chunks *c, uint64_t i, struct img_io *io)
{
    const struct chunk *k = &c->v[i];
    if (c->cached == i)
        return 0;
    c->cached = c->n;
    int r = img_file_read(img->file, c->in, (size_t)k->packed, k->at, io);
    if (r == 0)
        r = unpack(c, k);
    if (r == 0)
        c->cached = i;
    return r;
}

int chunks_read(struct img *img, const struct img_buf *b, uint64_t off, struct img_io *io)
{
    struct chunks *c = img->priv;
    int r = 0;
    pthread_mutex_lock(&c->lock);
    for (size_t done = 0; r == 0 && done < b->len;) {
        uint64_t i = find(c, off + done), in = i < c->n ? off + done - c->v[i].start : 0;
        r = i < c->n && c->v[i].start <= off + done ? load(img, c, i, io) : -EIO;
        if (r < 0)
            break;
        size_t part = c->v[i].len - in < b->len - done ? (size_t)(c->v[i].len - in) : b->len - done;
        img_buf_fill(b, done, c->out + in, part);
        done += part;
    }
    pthread_mutex_unlock(&c->lock);
    return r;
}

void chunks_close(struct img *img, struct img_io *io)
{
    (void)io;
    if (img->priv)
        chunks_free(img->priv);
    free(img->priv);
    img->priv = NULL;
}
