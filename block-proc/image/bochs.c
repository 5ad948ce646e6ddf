/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Growing images of Bochs, read-only: a catalog of extents, each with a bitmap of the sectors it has. Must never believe
 * a size of the header before it is checked against the file.
 */
#include <errno.h>
#include <stdlib.h>
#include "block-proc/image/bat.h"
#include "block-proc/image/bytes.h"
#include "ipc/log.h"

#define HEADER      512u
#define UNALLOCATED 0xffffffffu
#define EXTENT_MAX  (8u << 20)

struct bochs {
    struct bat_table catalog;
    uint64_t data;              /* where extents begin */
    uint32_t bitmap, extent;    /* bytes, in whole sectors */
    uint32_t cached;            /* whose bitmap is in `bits`, UNALLOCATED = none */
    uint8_t *bits;
};

static int refuse(struct img *img, const char *what)
{
    log_error("%s: bochs: %s", img->name, what);
    return -EINVAL;
}

static int bits_load(struct img *img, struct bochs *b, uint32_t slot, struct img_io *io)
{
    if (b->cached == slot)
        return 0;
    b->cached = UNALLOCATED;
    int r = img_file_read(img->file, b->bits, b->bitmap, b->data + (uint64_t)slot * (b->bitmap + b->extent), io);
    if (r == 0)
        b->cached = slot;
    return r;
}

/* A block is a sector: its extent's bitmap says whether it is there. */
static int bochs_get(struct img *img, uint64_t block, struct bat_place *p, struct img_io *io)
{
    struct bochs *b = img->priv;
    uint32_t per = b->extent / IMG_SECTOR, in = (uint32_t)(block % per);
    uint32_t slot = block / per < b->catalog.n ? b->catalog.e[block / per] : UNALLOCATED;
    p->kind = IMG_ZERO;
    if (slot == UNALLOCATED)
        return 0;
    int r = bits_load(img, b, slot, io);
    if (r == 0 && b->bits[in / 8] >> in % 8 & 1) {
        p->kind = IMG_DATA;
        p->host = b->data + (uint64_t)slot * (b->bitmap + b->extent) + b->bitmap + (uint64_t)in * IMG_SECTOR;
    }
    return r;
}

static const struct bat_ops ops = {.get = bochs_get};

static int header_check(struct img *img, struct bochs *b, const uint8_t *h)
{
    uint32_t version = le32_get(h + 64);
    if (strcmp((const char *)h, "Bochs Virtual HD Image") || strcmp((const char *)h + 32, "Redolog") ||
        strcmp((const char *)h + 48, "Growing"))
        return refuse(img, "not a growing image");
    if (version != 0x00010000 && version != 0x00020000)
        return refuse(img, "only versions 1 and 2 are built");
    img->size = le64_get(h + (version == 0x00010000 ? 84 : 88)) / IMG_SECTOR * IMG_SECTOR;
    b->catalog = (struct bat_table){.n = le32_get(h + 72), .at = le32_get(h + 68)};
    b->bitmap = (uint32_t)round_up(le32_get(h + 76), IMG_SECTOR);
    b->extent = (uint32_t)round_up(le32_get(h + 80), IMG_SECTOR);
    b->data = b->catalog.at + b->catalog.n * 4;
    if (b->extent < IMG_SECTOR || b->extent > EXTENT_MAX || le32_get(h + 80) % IMG_SECTOR || b->extent & (b->extent - 1))
        return refuse(img, "the extent size is not a power of two between 512 and 8 MiB");
    if (!b->bitmap || b->bitmap > EXTENT_MAX || b->bitmap * 8ull < b->extent / IMG_SECTOR)
        return refuse(img, "the bitmap is too short for an extent");
    if (img->size >> 50 || img->size > b->catalog.n * b->extent)
        return refuse(img, "the disk is larger than its catalog");
    return 0;
}

static int bochs_open(struct img *img, struct img_io *io)
{
    uint8_t h[HEADER + 1] = {0};
    struct bochs *b = img->priv = calloc(1, sizeof(*b));
    int r = b ? img_file_read(img->file, h, HEADER, 0, io) : -ENOMEM;
    if (r == 0)
        r = header_check(img, b, h);
    if (r == 0)
        r = bat_table_read(img, &b->catalog, io);
    if (r < 0)
        return r;
    for (uint64_t i = 0; i < b->catalog.n; i++)
        if (b->catalog.e[i] != UNALLOCATED &&
            b->data + (uint64_t)b->catalog.e[i] * (b->bitmap + b->extent) + b->bitmap > img->file->size)
            return refuse(img, "an extent lies behind the end of the file");
    img->bat = &ops;
    b->cached = UNALLOCATED;
    b->bits = malloc(b->bitmap);
    return b->bits ? 0 : -ENOMEM;
}

static void bochs_close(struct img *img, struct img_io *io)
{
    struct bochs *b = img->priv;
    (void)io;
    if (b) {
        free(b->catalog.e);
        free(b->bits);
    }
    free(b);
    img->priv = NULL;
}

static bool bochs_probe(const uint8_t *head, size_t n)
{
    return n >= 56 && !memcmp(head, "Bochs Virtual HD Image", 23) && !memcmp(head + 32, "Redolog", 8);
}

const struct img_driver img_bochs = {
    .name = "bochs",
    .probe = bochs_probe,
    .open = bochs_open,
    .close = bochs_close,
    .map = bat_map,
    .no_info = true,
};
