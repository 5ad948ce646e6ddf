/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The raw format: the file, or a window of it, is the disk. Must never let a guest turn an image whose
 * format was guessed into another format's by what it writes to the first sector.
 */
#include <errno.h>
#include <string.h>
#include "block-proc/image/image.h"
#include "block-proc/image/probe.h"
#include "ipc/log.h"
#include "vhost-user/vq.h"

static int raw_open(struct img *img, struct img_io *io)
{
    uint64_t off = img->opt.raw_offset, size = img->opt.raw_size;
    (void)io;
    if (off > img->file->size || size > img->file->size - off) {
        log_error("%s: offset= and size= reach behind the end of the file", img->name);
        return -EINVAL;
    }
    if (size % IMG_SECTOR || off % IMG_SECTOR) {
        log_error("%s: offset= and size= must be multiples of 512", img->name);
        return -EINVAL;
    }
    if (!size)
        size = (img->file->size - off + IMG_SECTOR - 1) / IMG_SECTOR * IMG_SECTOR;
    img->size = size;
    return 0;
}

static int raw_map(struct img *img, uint64_t off, uint64_t len, struct img_extent *e, struct img_io *io)
{
    (void)io;
    *e = (struct img_extent){IMG_DATA, len, off + img->opt.raw_offset, img->file, true};
    return 0;
}

/* A header another program would believe, in the sector that decides what the file is taken for. */
static bool forges_header(struct img *img, const struct img_buf *b, uint64_t off)
{
    uint8_t head[IMG_SECTOR] = {0};
    if (!img->opt.probed || off >= IMG_SECTOR || img->opt.raw_offset)
        return false;
    size_t room = IMG_SECTOR - (size_t)off;
    iov_to_buf(b->iov, b->n, b->skip, head + off, b->len < room ? b->len : room);
    return img_probe_header(head, sizeof(head)) != NULL;
}

static int raw_write(struct img *img, const struct img_buf *b, uint64_t off, struct img_io *io)
{
    if (forges_header(img, b, off)) {
        log_error("%s: the guest writes another format's header into an image whose format was guessed; "
                  "refused (format=raw allows it)", img->name);
        return -EPERM;
    }
    return img_file_writev(img->file, b, off + img->opt.raw_offset, io);
}

static int raw_zero(struct img *img, uint64_t off, uint64_t len, bool unmap, struct img_io *io)
{
    return img_file_zero(img->file, off + img->opt.raw_offset, len, unmap, io);
}

static int raw_discard(struct img *img, uint64_t off, uint64_t len, struct img_io *io)
{
    return img_file_discard(img->file, off + img->opt.raw_offset, len, io);
}

static int raw_resize(struct img *img, uint64_t size, struct img_io *io)
{
    if (img->opt.raw_offset || img->opt.raw_size)
        return -EOPNOTSUPP;
    int r = img_file_resize(img->file, size, io);
    if (r == 0)
        img->size = size;
    return r;
}

const struct img_driver img_raw = {
    .name = "raw",
    .open = raw_open,
    .map = raw_map,
    .write = raw_write,
    .zero = raw_zero,
    .discard = raw_discard,
    .resize = raw_resize,
};
