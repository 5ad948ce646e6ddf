/* SPDX-License-Identifier: Apache-2.0 */
/*
 * VirtualBox disk images (VDI 1.1): a header, a map of block numbers, blocks of 1 MiB. Must never count a
 * block in the header that the map does not have when the image is closed in order.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>
#include "block-proc/image/bat.h"
#include "block-proc/image/bytes.h"
#include "ipc/log.h"

#define HEADER       512u
#define SIGNATURE    0xbeda107fu
#define VERSION      0x00010001u
#define BLOCK        (1u << 20)
#define UNALLOCATED  0xffffffffu
#define DISCARDED    0xfffffffeu
#define AT_ALLOCATED 388
#define SIZE_MAX_VDI ((uint64_t)BAT_TABLE_MAX / 4 * BLOCK)

enum { TYPE_DYNAMIC = 1, TYPE_STATIC = 2 };

struct vdi {
    struct bat_table map;
    uint64_t data; /* offset of block 0 */
    uint32_t next; /* the first block number that is free */
};

static int refuse(struct img *img, const char *what)
{
    log_error("%s: vdi: %s", img->name, what);
    return -EINVAL;
}

static bool is_zero(const uint8_t *p, size_t n)
{
    while (n && !*p)
        p++, n--;
    return n == 0;
}

static int header_check(struct img *img, const uint8_t *h)
{
    uint64_t size = le64_get(h + 368);
    if (le32_get(h + 64) != SIGNATURE)
        return refuse(img, "the signature is missing");
    if (le32_get(h + 68) != VERSION)
        return refuse(img, "only version 1.1 is built");
    if (le32_get(h + 76) != TYPE_DYNAMIC && le32_get(h + 76) != TYPE_STATIC)
        return refuse(img, "differencing images are not built");
    if (le32_get(h + 340) % HEADER || le32_get(h + 344) % HEADER || le32_get(h + 340) < HEADER)
        return refuse(img, "a table is not at a multiple of 512");
    if (le32_get(h + 360) != IMG_SECTOR || le32_get(h + 376) != BLOCK)
        return refuse(img, "sectors other than 512 bytes and blocks other than 1 MiB are not built");
    if (size > SIZE_MAX_VDI || size % IMG_SECTOR || size > (uint64_t)le32_get(h + 384) * BLOCK)
        return refuse(img, "the disk is larger than its block map");
    if (!is_zero(h + 424, 16) || !is_zero(h + 440, 16))
        return refuse(img, "images linked to another one are not built");
    return 0;
}

static int places_check(struct img *img, struct vdi *v)
{
    struct bat_places p = {calloc(v->map.n ? v->map.n : 1, sizeof(uint64_t)), 0};
    uint64_t end;
    if (!p.host)
        return -ENOMEM;
    for (uint64_t i = 0; i < v->map.n; i++)
        if (v->map.e[i] < DISCARDED)
            p.host[p.n++] = v->data + (uint64_t)v->map.e[i] * BLOCK;
    int r = bat_places_check(img, &p, v->data, BLOCK, &end);
    v->next = (uint32_t)((end - v->data) / BLOCK);
    free(p.host);
    return r;
}

static int count_write(struct img *img, uint32_t n, struct img_io *io)
{
    uint8_t field[4];
    le32_put(field, n);
    return img_file_write(img->file, field, 4, AT_ALLOCATED, io);
}

static int vdi_get(struct img *img, uint64_t block, struct bat_place *p, struct img_io *io)
{
    struct vdi *v = img->priv;
    (void)io;
    uint32_t e = block < v->map.n ? v->map.e[block] : UNALLOCATED;
    p->kind = e < DISCARDED ? IMG_DATA : IMG_ZERO;
    p->host = v->data + (uint64_t)e * BLOCK;
    return 0;
}

static int vdi_room(struct img *img, uint64_t block, struct bat_place *p, struct img_io *io)
{
    struct vdi *v = img->priv;
    (void)block;
    (void)io;
    p->host = v->data + (uint64_t)v->next++ * BLOCK;
    return 0;
}

static int vdi_put(struct img *img, uint64_t block, const struct bat_place *p, struct img_io *io)
{
    struct vdi *v = img->priv;
    int r = bat_table_put(img, &v->map, block, (uint32_t)((p->host - v->data) / BLOCK), io);
    return r < 0 ? r : count_write(img, v->next, io);
}

static const struct bat_ops ops = {.get = vdi_get, .room = vdi_room, .put = vdi_put};

static int vdi_open(struct img *img, struct img_io *io)
{
    uint8_t h[HEADER];
    struct vdi *v = img->priv = calloc(1, sizeof(*v));
    int r = v ? img_file_read(img->file, h, HEADER, 0, io) : -ENOMEM;
    if (r == 0)
        r = header_check(img, h);
    if (r < 0)
        return r;
    img->bat = &ops;
    img->cluster = BLOCK;
    img->size = le64_get(h + 368);
    v->data = le32_get(h + 344);
    v->map = (struct bat_table){.n = le32_get(h + 384), .at = le32_get(h + 340)};
    if (v->map.at + v->map.n * 4 > v->data)
        return refuse(img, "the block map reaches into the blocks");
    r = bat_table_read(img, &v->map, io);
    if (r == 0)
        r = places_check(img, v);
    if (r == 0 && !img->opt.readonly && !img->opt.inspect && le32_get(h + AT_ALLOCATED) != v->next)
        r = count_write(img, v->next, io); /* a killed process had got further with one than with the other */
    return r;
}

static void vdi_close(struct img *img, struct img_io *io)
{
    struct vdi *v = img->priv;
    (void)io;
    if (v)
        free(v->map.e);
    free(v);
    img->priv = NULL;
}

static int vdi_create(struct img_file *file, const struct img_create *c, struct img_io *io)
{
    static const char text[] = "<<< Oracle VM VirtualBox Disk Image >>>\n";
    uint8_t h[HEADER] = {0};
    uint64_t blocks = (c->size + BLOCK - 1) / BLOCK, map = round_up(blocks * 4, HEADER);
    bool fixed = c->fixed;
    if (c->size > SIZE_MAX_VDI)
        return -EFBIG;
    memcpy(h, text, sizeof(text) - 1);
    le32_put(h + 64, SIGNATURE);
    le32_put(h + 68, VERSION);
    le32_put(h + 72, 0x180);
    le32_put(h + 76, fixed ? TYPE_STATIC : TYPE_DYNAMIC);
    le32_put(h + 340, HEADER);
    le32_put(h + 344, (uint32_t)(HEADER + map));
    le32_put(h + 360, IMG_SECTOR);
    le64_put(h + 368, c->size);
    le32_put(h + 376, BLOCK);
    le32_put(h + 384, (uint32_t)blocks);
    le32_put(h + AT_ALLOCATED, fixed ? (uint32_t)blocks : 0);
    if (getrandom(h + 392, 32, 0) != 32) /* identifiers of the image and of its last snapshot */
        return -EIO;
    uint32_t *e = calloc(1, map + 4);
    int r = e ? 0 : -ENOMEM;
    for (uint64_t i = 0; r == 0 && i < blocks; i++)
        e[i] = htole32(fixed ? (uint32_t)i : UNALLOCATED);
    if (r == 0 && map)
        r = img_file_write(file, e, map, HEADER, io);
    free(e);
    if (r == 0 && fixed)
        r = img_file_resize(file, HEADER + map + blocks * BLOCK, io);
    return r < 0 ? r : img_file_write(file, h, HEADER, 0, io);
}

static int vdi_check(struct img *img, struct img_check *c, bool fix_leaks, bool fix_all, struct img_io *io)
{
    (void)fix_all;
    int r = bat_check(img, c, fix_leaks, io);
    c->total = c->allocated = 0; /* qemu-img says no figures of this format */
    return r;
}

static bool vdi_probe(const uint8_t *head, size_t n)
{
    return n >= 68 && le32_get(head + 64) == SIGNATURE;
}

const struct img_driver img_vdi = {
    .name = "vdi",
    .probe = vdi_probe,
    .open = vdi_open,
    .close = vdi_close,
    .map = bat_map,
    .write = bat_write,
    .zero = bat_zero,
    .create = vdi_create,
    .check = vdi_check,
};
