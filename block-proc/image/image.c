/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What all formats share: opening, the way of a read through a chain of images, and the table of
 * requests at work in an image. Must never hold the image's lock while data moves.
 */
#include "block-proc/image/image.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "block-proc/image/codec.h"
#include "ipc/log.h"

int img_open(struct img *img, const struct img_driver *drv, struct img_file *file, const char *name,
             const struct img_options *opt, struct img_io *io)
{
    memset(img, 0, sizeof(*img));
    img->drv = drv;
    img->file = img->data = file;
    img->opt = *opt;
    img->cluster = IMG_SECTOR;
    snprintf(img->name, sizeof(img->name), "%s", name);
    pthread_mutex_init(&img->lock, NULL);
    pthread_cond_init(&img->cond, NULL);
    if (!opt->readonly && !opt->check && !drv->write) {
        log_error("%s: images of the format '%s' can only be read", name, drv->name);
        return -EROFS;
    }
    int r = drv->open(img, io);
    if (r < 0) {
        img->opt.readonly = true; /* nothing is changed any more */
        img_close(img, io);
    }
    return r;
}

int img_backing_set(struct img *img, struct img *below)
{
    int r = img->drv->backing_check && img->drv == below->drv ? img->drv->backing_check(img, below) : 0;
    if (r == 0)
        img->backing = below;
    return r;
}

void img_close(struct img *img, struct img_io *io)
{
    if (img->drv && img->drv->close)
        img->drv->close(img, io);
    free(img->part);
    img->part = NULL;
    img->n_parts = 0;
    img->drv = NULL;
}

int img_io_init(struct img_io *io, const struct img *img)
{
    uint32_t packed = 0;
    if (posix_memalign((void **)&io->bounce, IMG_ALIGN_MAX, IMG_BOUNCE_SIZE) ||
        posix_memalign((void **)&io->cow, IMG_ALIGN_MAX, IMG_BOUNCE_SIZE))
        return -ENOMEM;
    for (; img; img = img->backing)
        if (img->packed && img->cluster > packed)
            packed = img->cluster;
    if (packed && !(io->codec = img_codec_new(packed)))
        return -ENOMEM;
    return 0;
}

void img_io_fini(struct img_io *io)
{
    free(io->bounce);
    free(io->cow);
    img_codec_free(io->codec);
    io->bounce = io->cow = NULL;
    io->codec = NULL;
}

/* ---- requests at work */
static bool conflicts(const struct img *img, uint64_t start, uint64_t end, bool exclusive)
{
    for (unsigned i = 0; i < IMG_RANGES; i++) {
        const struct img_range *r = &img->range[i];
        if (r->used && r->start < end && start < r->end && (exclusive || r->exclusive))
            return true;
    }
    return false;
}

static struct img_range *range_free(struct img *img)
{
    for (unsigned i = 0; i < IMG_RANGES; i++)
        if (!img->range[i].used)
            return &img->range[i];
    return NULL;
}

struct img_range *img_range_take(struct img *img, uint64_t off, uint64_t len, bool exclusive)
{
    uint64_t start = off - off % img->cluster;
    uint64_t end = (off + len + img->cluster - 1) / img->cluster * img->cluster;
    struct img_range *r;
    pthread_mutex_lock(&img->lock);
    while (conflicts(img, start, end, exclusive) || !(r = range_free(img))) {
        img->waiters++;
        pthread_cond_wait(&img->cond, &img->lock);
        img->waiters--;
    }
    *r = (struct img_range){start, end, true, exclusive};
    pthread_mutex_unlock(&img->lock);
    return r;
}

void img_range_drop(struct img *img, struct img_range *r)
{
    pthread_mutex_lock(&img->lock);
    r->used = false;
    if (img->waiters)
        pthread_cond_broadcast(&img->cond);
    pthread_mutex_unlock(&img->lock);
}

/* ---- reading */
static int read_backing(struct img *img, const struct img_buf *b, uint64_t off, struct img_io *io)
{
    struct img *below = img->backing;
    if (!below || off >= below->size) {
        img_buf_zero(b, 0);
        return 0;
    }
    size_t len = below->size - off < b->len ? (size_t)(below->size - off) : b->len;
    struct img_buf part = img_buf_part(b, 0, len);
    int r = img_readv(below, &part, off, io);
    if (r == 0)
        img_buf_zero(b, len);
    return r;
}

static int map(struct img *img, uint64_t off, uint64_t len, struct img_extent *e, struct img_io *io)
{
    memset(e, 0, sizeof(*e));
    pthread_mutex_lock(&img->lock);
    int r = img->drv->map(img, off, len, e, io);
    pthread_mutex_unlock(&img->lock);
    if (r == 0 && e->len > len)
        e->len = len;
    return r == 0 && e->len == 0 ? -EIO : r;
}

static int read_extent(struct img *img, const struct img_extent *e, const struct img_buf *b,
                       uint64_t off, struct img_io *io)
{
    switch (e->kind) {
    case IMG_DATA:
        return img_file_readv(e->file, b, e->host, io);
    case IMG_ZERO:
        img_buf_zero(b, 0);
        return 0;
    case IMG_PACKED:
        return img->drv->read_packed(img, b, off, io);
    default:
        return read_backing(img, b, off, io);
    }
}

int img_read_locked(struct img *img, const struct img_buf *b, uint64_t off, struct img_io *io)
{
    for (size_t done = 0; done < b->len;) {
        struct img_extent e;
        int r = map(img, off + done, b->len - done, &e, io);
        if (r < 0)
            return r;
        struct img_buf part = img_buf_part(b, done, (size_t)e.len);
        r = read_extent(img, &e, &part, off + done, io);
        if (r < 0)
            return r;
        done += (size_t)e.len;
    }
    return 0;
}

int img_readv(struct img *img, const struct img_buf *b, uint64_t off, struct img_io *io)
{
    if (b->len == 0)
        return 0;
    if (off > img->size || b->len > img->size - off)
        return -EINVAL;
    if (img->opt.readonly) /* nothing moves in it */
        return img_read_locked(img, b, off, io);
    struct img_range *range = img_range_take(img, off, b->len, false);
    int r = img_read_locked(img, b, off, io);
    img_range_drop(img, range);
    return r;
}

static int check_write(const struct img *img, uint64_t off, uint64_t len)
{
    if (img->opt.readonly)
        return -EROFS;
    if (img->broken)
        return -EIO;
    return off > img->size || len > img->size - off ? -EINVAL : 0;
}

int img_writev(struct img *img, const struct img_buf *b, uint64_t off, struct img_io *io)
{
    int r = check_write(img, off, b->len);
    if (r == 0 && !img->drv->write)
        r = -EROFS;
    return r < 0 || b->len == 0 ? r : img->drv->write(img, b, off, io);
}

int img_read(struct img *img, void *buf, size_t len, uint64_t off, struct img_io *io)
{
    struct iovec v = {buf, len};
    return img_readv(img, &(struct img_buf){&v, 1, 0, len}, off, io);
}

int img_write(struct img *img, const void *buf, size_t len, uint64_t off, struct img_io *io)
{
    struct iovec v = {(void *)(uintptr_t)buf, len};
    return img_writev(img, &(struct img_buf){&v, 1, 0, len}, off, io);
}

int img_flush(struct img *img, struct img_io *io)
{
    if (img->opt.readonly)
        return 0;
    if (img->drv->flush) {
        int r = img->drv->flush(img, io);
        if (r < 0)
            return r;
    }
    if (img->data != img->file) {
        int r = img_file_flush(img->data, io);
        if (r < 0)
            return r;
    }
    return img_file_flush(img->file, io);
}

int img_discard(struct img *img, uint64_t off, uint64_t len, struct img_io *io)
{
    int r = check_write(img, off, len);
    return r < 0 || !img->drv->discard || len == 0 ? r : img->drv->discard(img, off, len, io);
}

int img_write_zeros(struct img *img, uint64_t off, uint64_t len, struct img_io *io)
{
    static const uint8_t zeros[64 << 10] __attribute__((aligned(IMG_ALIGN_MAX)));
    while (len) {
        size_t part = len < sizeof(zeros) ? (size_t)len : sizeof(zeros);
        int r = img_write(img, zeros, part, off, io);
        if (r < 0)
            return r;
        off += part;
        len -= part;
    }
    return 0;
}

int img_zero(struct img *img, uint64_t off, uint64_t len, bool unmap, struct img_io *io)
{
    int r = check_write(img, off, len);
    if (r < 0 || len == 0)
        return r;
    return img->drv->zero ? img->drv->zero(img, off, len, unmap, io)
                          : img_write_zeros(img, off, len, io);
}

int img_copy_up(struct img *img, uint64_t off, uint64_t len, struct img_io *io)
{
    int r = check_write(img, off, len);
    if (!img->backing || !img->drv->copy_up)
        return r;
    for (uint64_t at = 0; r == 0 && at < len;) {
        struct img_extent e;
        r = map(img, off + at, len - at, &e, io);
        if (r == 0 && e.kind == IMG_HOLE)
            r = img->drv->copy_up(img, off + at, e.len, io);
        at += e.len;
    }
    return r;
}

int img_status(struct img *img, uint64_t off, uint64_t len, struct img_extent *e, struct img_io *io)
{
    return off >= img->size ? -EINVAL : map(img, off, len < img->size - off ? len : img->size - off, e, io);
}

int img_resize(struct img *img, uint64_t size, struct img_io *io)
{
    if (img->opt.readonly)
        return -EROFS;
    return img->drv->resize ? img->drv->resize(img, size, io) : -EOPNOTSUPP;
}
