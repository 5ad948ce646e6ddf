/* SPDX-License-Identifier: Apache-2.0 */
/*
 * VMware disks: opening, blocks over all extents, compressed grains, the content id. Must never let two disks with
 * different content carry the same id: a disk on top of this one compares it.
 */
#include "block-proc/image/vmdk.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include "block-proc/image/bytes.h"
#include "block-proc/image/codec.h"
#include "ipc/log.h"

#define FLAT_BLOCK (64u << 10) /* what flat extents are looked at in */
#define MARKER     12u /* a compressed grain's first sector of the disk and its length */

static int refuse(struct img *img, const char *what)
{
    log_error("%s: vmdk: %s", img->name, what);
    return -EINVAL;
}

uint32_t vmdk_cid(const struct img *img)
{
    return ((const struct vmdk *)img->priv)->cid;
}

const struct vmdk *vmdk_about(const struct img *img)
{
    return img->priv;
}

static struct vmdk_extent *extent_at(const struct img *img, uint64_t sector)
{
    struct vmdk *v = img->priv;
    for (unsigned i = 0; i < v->n; i++)
        if (sector < v->extent[i].start + v->extent[i].sectors)
            return &v->extent[i];
    return NULL;
}

/* ---- blocks */
static int vmdk_get(struct img *img, uint64_t block, struct bat_place *p, struct img_io *io)
{
    uint64_t sector = block * (img->cluster / IMG_SECTOR);
    struct vmdk_extent *x = extent_at(img, sector);
    uint32_t gte;
    p->kind = IMG_ZERO;
    if (!x || x->kind == VMDK_ZERO)
        return 0;
    p->file = x->file;
    if (x->kind == VMDK_FLAT) {
        p->kind = IMG_DATA;
        p->host = (x->flat + sector - x->start) * IMG_SECTOR;
        return 0;
    }
    int r = vmdk_gte_get(img, x, (sector - x->start) / (x->grain / IMG_SECTOR), &gte, io);
    bool zero = gte == 1 && x->zero_grains;
    p->kind = !gte ? IMG_HOLE : zero ? IMG_ZERO : x->compressed ? IMG_PACKED : IMG_DATA;
    p->host = (uint64_t)gte * IMG_SECTOR;
    return r;
}

/* Whoever has seen the disk before sees by the id that it was changed. */
static int cid_change(struct img *img, struct img_io *io)
{
    struct vmdk *v = img->priv;
    char text[9];
    if (v->cid_new || !v->cid_at)
        return 0;
    if (getrandom(&v->cid, sizeof(v->cid), 0) != sizeof(v->cid))
        return -EIO;
    snprintf(text, sizeof(text), "%08x", v->cid);
    v->cid_new = true;
    return img_file_write(img->file, text, 8, v->desc_at + v->cid_at, io);
}

static int vmdk_room(struct img *img, uint64_t block, struct bat_place *p, struct img_io *io)
{
    struct vmdk_extent *x = extent_at(img, block * (img->cluster / IMG_SECTOR));
    (void)io;
    if (!x || x->kind != VMDK_SPARSE || x->compressed)
        return -ENOTSUP;
    p->file = x->file;
    p->host = x->end;
    x->end += x->grain;
    return p->host / IMG_SECTOR > UINT32_MAX ? -EFBIG : 0;
}

static int entry_put(struct img *img, uint64_t block, uint32_t gte, struct img_io *io)
{
    uint64_t sector = block * (img->cluster / IMG_SECTOR);
    struct vmdk_extent *x = extent_at(img, sector);
    return x ? vmdk_gte_put(img, x, (sector - x->start) / (x->grain / IMG_SECTOR), gte, io) : -EIO;
}

static int vmdk_put(struct img *img, uint64_t block, const struct bat_place *p, struct img_io *io)
{
    return entry_put(img, block, (uint32_t)(p->host / IMG_SECTOR), io);
}

static int vmdk_put_zero(struct img *img, uint64_t block, struct img_io *io)
{
    struct vmdk_extent *x = extent_at(img, block * (img->cluster / IMG_SECTOR));
    return x && x->zero_grains ? entry_put(img, block, 1, io) : -ENOTSUP;
}

static const struct bat_ops ops = {.get = vmdk_get, .room = vmdk_room, .put = vmdk_put};
static const struct bat_ops ops_zero = {.get = vmdk_get, .room = vmdk_room, .put = vmdk_put, .put_zero = vmdk_put_zero};

/* ---- compressed grains */
static int packed_load(struct img *img, uint64_t off, struct img_io *io)
{
    struct bat_place p = {0};
    size_t room;
    uint8_t *in = img_codec_in(io->codec, &room), marker[MARKER];
    pthread_mutex_lock(&img->lock);
    int r = vmdk_get(img, off / img->cluster, &p, io);
    pthread_mutex_unlock(&img->lock);
    struct vmdk_extent *x = extent_at(img, off / IMG_SECTOR);
    if (r < 0 || p.kind != IMG_PACKED || !x)
        return r < 0 ? r : -EIO;
    uint64_t len = img->cluster + 512u < room ? img->cluster + 512u : room;
    if (x->markers) {
        r = img_file_read(p.file, marker, MARKER, p.host, io);
        len = le32_get(marker + 8);
        p.host += MARKER;
    }
    if (r == 0)
        r = len > room ? -EIO : img_file_read(p.file, in, (size_t)len, p.host, io);
    return r < 0 ? r : img_codec_unpack(io->codec, IMG_CODEC_ZLIB, (size_t)len, img->cluster);
}

static int vmdk_read_packed(struct img *img, const struct img_buf *b, uint64_t off, struct img_io *io)
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

static int grain_append(struct img *img, const uint8_t *data, size_t len, uint64_t off, struct img_io *io)
{
    static const uint8_t zeros[IMG_SECTOR];
    struct vmdk_extent *x = extent_at(img, off / IMG_SECTOR);
    uint8_t marker[MARKER];
    uint32_t gte;
    pthread_mutex_lock(&img->lock);
    uint64_t at = x->end, pad = round_up(MARKER + len, IMG_SECTOR) - MARKER - len;
    int r = vmdk_gte_get(img, x, (off / IMG_SECTOR - x->start) / (x->grain / IMG_SECTOR), &gte, io);
    if (r == 0 && gte)
        r = refuse(img, "a compressed grain can be written once only");
    else if (r == 0)
        x->end = at + MARKER + len + pad;
    pthread_mutex_unlock(&img->lock);
    le64_put(marker, off / IMG_SECTOR);
    le32_put(marker + 8, (uint32_t)len);
    if (r == 0)
        r = img_file_write(x->file, marker, MARKER, at, io);
    if (r == 0)
        r = img_file_write(x->file, data, len, at + MARKER, io);
    if (r == 0)
        r = img_file_write(x->file, zeros, pad, at + MARKER + len, io);
    pthread_mutex_lock(&img->lock);
    if (r == 0)
        r = entry_put(img, off / img->cluster, (uint32_t)(at / IMG_SECTOR), io);
    pthread_mutex_unlock(&img->lock);
    return r;
}

static int vmdk_write_packed(struct img *img, const uint8_t *data, uint64_t off, struct img_io *io)
{
    struct vmdk_extent *x = extent_at(img, off / IMG_SECTOR);
    size_t room, end = img->size - off < img->cluster ? (size_t)(img->size - off) : img->cluster;
    if (!x || !x->compressed)
        return img_write(img, data, end, off, io);
    long len = img_codec_pack(io->codec, IMG_CODEC_ZLIB, data, img->cluster);
    return len <= 0 ? -EIO : grain_append(img, img_codec_in(io->codec, &room), (size_t)len, off, io);
}

/* A grain that is written at all is written whole. */
static int stream_write(struct img *img, const struct img_buf *b, uint64_t off, struct img_io *io)
{
    uint8_t *grain = malloc(img->cluster);
    int r = grain ? 0 : -ENOMEM;
    for (size_t done = 0; r == 0 && done < b->len;) {
        size_t in = (size_t)((off + done) & (img->cluster - 1)), part = img->cluster - in;
        part = part < b->len - done ? part : b->len - done;
        memset(grain, 0, img->cluster);
        struct img_buf from = img_buf_part(b, done, part);
        img_buf_copy(&from, grain + in, part);
        r = vmdk_write_packed(img, grain, off + done - in, io);
        done += part;
    }
    free(grain);
    return r;
}

static int write_check(struct img *img, uint64_t off, uint64_t len, bool *packed, struct img_io *io)
{
    *packed = false;
    for (uint64_t at = off / IMG_SECTOR, end = (off + len) / IMG_SECTOR; at < end;) {
        struct vmdk_extent *x = extent_at(img, at);
        if (!x || x->readonly || x->kind == VMDK_ZERO)
            return -EROFS;
        *packed = *packed || x->compressed;
        at = x->start + x->sectors;
    }
    pthread_mutex_lock(&img->lock);
    int r = cid_change(img, io);
    pthread_mutex_unlock(&img->lock);
    return r;
}

static int vmdk_write(struct img *img, const struct img_buf *b, uint64_t off, struct img_io *io)
{
    bool packed;
    int r = write_check(img, off, b->len, &packed, io);
    if (r < 0)
        return r;
    return packed ? stream_write(img, b, off, io) : bat_write(img, b, off, io);
}

static int vmdk_flush(struct img *img, struct img_io *io)
{
    int r = 0;
    for (unsigned i = 0; r == 0 && i < img->n_parts; i++)
        if (img->part[i].file)
            r = img_file_flush(img->part[i].file, io);
    return r;
}

/* ---- opening */
static int shape_check(struct img *img)
{
    struct vmdk *v = img->priv;
    bool zero_grains = false;
    img->cluster = 0;
    for (unsigned i = 0; i < v->n; i++) {
        struct vmdk_extent *x = &v->extent[i];
        if (x->kind == VMDK_SPARSE && img->cluster && img->cluster != x->grain)
            return refuse(img, "extents of different grain sizes are not built");
        if (x->kind == VMDK_SPARSE)
            img->cluster = x->grain;
        img->packed = img->packed || x->compressed;
        zero_grains = zero_grains || x->zero_grains;
        if (x->kind == VMDK_FLAT && (x->flat + x->sectors) * IMG_SECTOR > round_up(x->file->size, IMG_SECTOR))
            return refuse(img, "a flat extent is longer than its file");
    }
    img->bat = zero_grains ? &ops_zero : &ops;
    bool flat = !img->cluster;
    img->cluster = flat ? FLAT_BLOCK : img->cluster;
    for (unsigned i = 1; i < v->n; i++) {
        if (v->extent[i].start % (img->cluster / IMG_SECTOR) && !flat)
            return refuse(img, "an extent does not begin at a multiple of the grain size");
        if (v->extent[i].start % (img->cluster / IMG_SECTOR))
            img->cluster = IMG_SECTOR;
    }
    uint64_t end = v->n ? v->extent[v->n - 1].start + v->extent[v->n - 1].sectors : 0;
    if (end >> 50)
        return refuse(img, "the disk is larger than is possible");
    img->size = end * IMG_SECTOR;
    return 0;
}

static int desc_read(struct img *img, uint64_t at, uint64_t len, struct img_io *io)
{
    struct vmdk *v = img->priv;
    len = len < VMDK_DESC_MAX ? len : VMDK_DESC_MAX;
    char *text = calloc(1, len + 1);
    int r = text ? img_file_read(img->file, text, len, at, io) : -ENOMEM;
    v->desc_at = at;
    if (r == 0)
        r = vmdk_desc_parse(img, text);
    free(text);
    return r;
}

static int single_open(struct img *img, struct img_io *io)
{
    struct vmdk *v = img->priv;
    uint64_t at, len;
    v->extent = calloc(1, sizeof(*v->extent));
    if (!v->extent)
        return -ENOMEM;
    v->n = 1;
    v->extent[0] = (struct vmdk_extent){.kind = VMDK_SPARSE, .file = img->file, .part = -1};
    int r = vmdk_sparse_open(img, &v->extent[0], &at, &len, io);
    v->parent_cid = UINT32_MAX;
    if (r == 0 && at && len && v->extent[0].sectors && at < img->file->size)
        r = desc_read(img, at, len, io);
    return r < 0 ? r : shape_check(img);
}

static int vmdk_open(struct img *img, struct img_io *io)
{
    uint8_t h[4];
    struct vmdk *v = img->priv = calloc(1, sizeof(*v));
    int r = v ? img_file_read(img->file, h, 4, 0, io) : -ENOMEM;
    if (r < 0)
        return r;
    if (!memcmp(h, "KDMV", 4) || !memcmp(h, "COWD", 4))
        return single_open(img, io);
    r = desc_read(img, 0, img->file->size, io);
    for (unsigned i = 0; r == 0 && i < v->n; i++)
        img->size += v->extent[i].sectors * IMG_SECTOR;
    if (r == 0 && !v->n)
        r = refuse(img, "the descriptor names no extent");
    return r < 0 || img->n_parts ? r : shape_check(img);
}

static int vmdk_join(struct img *img, struct img_io *io)
{
    struct vmdk *v = img->priv;
    uint64_t at, len;
    int r = 0;
    for (unsigned i = 0; r == 0 && i < v->n; i++) {
        struct vmdk_extent *x = &v->extent[i];
        if (x->part >= 0)
            x->file = img->part[x->part].file;
        if (x->kind == VMDK_SPARSE)
            r = vmdk_sparse_open(img, x, &at, &len, io);
    }
    return r < 0 ? r : shape_check(img);
}

static void vmdk_close(struct img *img, struct img_io *io)
{
    struct vmdk *v = img->priv;
    (void)io;
    for (unsigned i = 0; v && i < v->n; i++)
        vmdk_sparse_close(&v->extent[i]);
    if (v)
        free(v->extent);
    free(v);
    img->priv = NULL;
}

static int vmdk_backing_check(const struct img *img, const struct img *below)
{
    const struct vmdk *v = img->priv;
    if (v->parent_cid == vmdk_cid(below))
        return 0;
    log_error("%s: vmdk: its backing file was changed since it was made (content ids %08x, %08x)", img->name, v->parent_cid,
              vmdk_cid(below));
    return -EINVAL;
}

static int vmdk_check(struct img *img, struct img_check *c, bool fix_leaks, bool fix_all, struct img_io *io)
{
    (void)fix_all;
    int r = bat_check(img, c, fix_leaks, io);
    c->total = c->allocated = 0; /* qemu-img says no figures of this format */
    return r;
}

static bool vmdk_probe(const uint8_t *head, size_t n)
{
    return n >= 4 && (!memcmp(head, "KDMV", 4) || !memcmp(head, "COWD", 4) || (n >= 21 && !memcmp(head, "# Disk DescriptorFile", 21)));
}

const struct img_driver img_vmdk = {
    .name = "vmdk",
    .probe = vmdk_probe,
    .open = vmdk_open,
    .close = vmdk_close,
    .map = bat_map,
    .read_packed = vmdk_read_packed,
    .write = vmdk_write,
    .zero = bat_zero,
    .flush = vmdk_flush,
    .create = vmdk_create,
    .check = vmdk_check,
    .write_packed = vmdk_write_packed,
    .join = vmdk_join,
    .backing_check = vmdk_backing_check,
};
