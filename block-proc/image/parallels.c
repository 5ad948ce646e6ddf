/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Parallels disk images: a header of 64 bytes, a table of 32-bit entries, clusters. Both magics: entries count sectors
 * ("WithoutFreeSpace") or clusters ("WithouFreSpacExt"). Must never end in order with the in-use mark set.
 */
#include <errno.h>
#include <stdlib.h>
#include "block-proc/image/bat.h"
#include "block-proc/image/bytes.h"
#include "ipc/log.h"

#define HEADER   64u
#define IN_USE   0x746f6e59u
#define AT_INUSE 44
#define CLUSTER  (1u << 20)

struct parallels {
    struct bat_table map;
    uint32_t unit; /* sectors an entry counts in */
    uint64_t low, end;
    bool in_use;
};

static int refuse(struct img *img, const char *what)
{
    log_error("%s: parallels: %s", img->name, what);
    return -EINVAL;
}

static int use_mark(struct img *img, uint32_t v, struct img_io *io)
{
    uint8_t field[4];
    le32_put(field, v);
    return img_file_write(img->file, field, 4, AT_INUSE, io);
}

static int parallels_get(struct img *img, uint64_t block, struct bat_place *p, struct img_io *io)
{
    struct parallels *v = img->priv;
    (void)io;
    uint32_t e = block < v->map.n ? v->map.e[block] : 0;
    p->kind = e ? IMG_DATA : IMG_ZERO;
    p->host = (uint64_t)e * v->unit * IMG_SECTOR;
    return 0;
}

static int parallels_room(struct img *img, uint64_t block, struct bat_place *p, struct img_io *io)
{
    struct parallels *v = img->priv;
    int r = 0;
    (void)block;
    if (!v->in_use)
        r = use_mark(img, IN_USE, io);
    if (v->end / IMG_SECTOR / v->unit > UINT32_MAX)
        r = -EFBIG;
    if (r < 0)
        return r;
    v->in_use = true;
    p->host = v->end;
    v->end += img->cluster;
    return 0;
}

static int parallels_put(struct img *img, uint64_t block, const struct bat_place *p, struct img_io *io)
{
    struct parallels *v = img->priv;
    return bat_table_put(img, &v->map, block, (uint32_t)(p->host / IMG_SECTOR / v->unit), io);
}

static const struct bat_ops ops = {.get = parallels_get, .room = parallels_room, .put = parallels_put};

static int header_check(struct img *img, struct parallels *v, const uint8_t *h)
{
    bool ext = !memcmp(h, "WithouFreSpacExt", 16);
    uint32_t tracks = le32_get(h + 28);
    uint64_t sectors = le64_get(h + 36);
    if (!ext && memcmp(h, "WithoutFreeSpace", 16))
        return refuse(img, "the magic is missing");
    if (le32_get(h + 16) != 2)
        return refuse(img, "only version 2 is built");
    if (!tracks || tracks > (256u << 20) / IMG_SECTOR)
        return refuse(img, "the cluster size is 0 or over 256 MiB");
    if (le64_get(h + 56))
        return refuse(img, "the format extension (bitmaps) is not built");
    if (!ext)
        sectors &= UINT32_MAX;
    img->cluster = tracks * IMG_SECTOR;
    img->size = sectors * IMG_SECTOR;
    v->unit = ext ? tracks : 1;
    v->map = (struct bat_table){.n = le32_get(h + 32), .at = HEADER};
    v->low = round_up(HEADER + v->map.n * 4, IMG_SECTOR);
    if ((uint64_t)le32_get(h + 48) * IMG_SECTOR > v->low)
        v->low = (uint64_t)le32_get(h + 48) * IMG_SECTOR;
    if (sectors >> 54 || sectors > v->map.n * tracks)
        return refuse(img, "the disk is larger than its table");
    return 0;
}

static int places_check(struct img *img, struct parallels *v)
{
    struct bat_places p = {calloc(v->map.n ? v->map.n : 1, sizeof(uint64_t)), 0};
    if (!p.host)
        return -ENOMEM;
    for (uint64_t i = 0; i < v->map.n; i++)
        if (v->map.e[i])
            p.host[p.n++] = (uint64_t)v->map.e[i] * v->unit * IMG_SECTOR;
    uint64_t low = p.n ? round_up(HEADER + v->map.n * 4, IMG_SECTOR) : v->low;
    int r = bat_places_check(img, &p, low, img->cluster, &v->end);
    if (v->end < v->low)
        v->end = v->low;
    v->end = round_up(v->end, (uint64_t)v->unit * IMG_SECTOR);
    free(p.host);
    return r;
}

static int parallels_open(struct img *img, struct img_io *io)
{
    uint8_t h[HEADER];
    struct parallels *v = img->priv = calloc(1, sizeof(*v));
    int r = v ? img_file_read(img->file, h, HEADER, 0, io) : -ENOMEM;
    if (r == 0)
        r = header_check(img, v, h);
    if (r == 0)
        r = bat_table_read(img, &v->map, io);
    if (r < 0)
        return r;
    img->bat = &ops;
    /* Entries are written after their clusters: what was not closed needs no repair, only the mark goes. */
    v->in_use = le32_get(h + AT_INUSE) == IN_USE;
    return places_check(img, v);
}

static void parallels_close(struct img *img, struct img_io *io)
{
    struct parallels *v = img->priv;
    if (!v)
        return;
    if (v->in_use && !img->opt.readonly && !img->opt.inspect && img_file_flush(img->file, io) == 0)
        (void)use_mark(img, 0, io);
    free(v->map.e);
    free(v);
    img->priv = NULL;
}

static int parallels_create(struct img_file *file, const struct img_create *c, struct img_io *io)
{
    uint32_t cluster = c->cluster ? c->cluster : CLUSTER;
    uint64_t n = (c->size + cluster - 1) / cluster, low = round_up(HEADER + n * 4, cluster);
    uint8_t h[HEADER] = {0};
    if (n * 4 > BAT_TABLE_MAX || cluster % IMG_SECTOR)
        return -EINVAL;
    memcpy(h, "WithouFreSpacExt", 16);
    le32_put(h + 16, 2);
    le32_put(h + 20, 16);
    le32_put(h + 24, (uint32_t)(c->size / IMG_SECTOR / 16 / 32));
    le32_put(h + 28, cluster / IMG_SECTOR);
    le32_put(h + 32, (uint32_t)n);
    le64_put(h + 36, c->size / IMG_SECTOR);
    le32_put(h + 48, (uint32_t)(low / IMG_SECTOR));
    int r = img_file_resize(file, low, io);
    return r < 0 ? r : img_file_write(file, h, HEADER, 0, io);
}

static int parallels_check(struct img *img, struct img_check *c, bool fix_leaks, bool fix_all, struct img_io *io)
{
    struct parallels *v = img->priv;
    int r = bat_check(img, c, fix_leaks, io);
    int64_t size = img_file_length(img->file);
    (void)fix_all;
    c->end = v->end;
    if (r == 0 && size > (int64_t)v->end) {
        c->leaks = ((uint64_t)size - v->end + img->cluster - 1) / img->cluster;
        if (fix_leaks && (r = img_file_resize(img->file, v->end, io)) == 0)
            c->leaks_fixed = c->leaks;
    }
    if (r == 0 && v->in_use && !img->opt.readonly) {
        c->corruptions = c->corruptions_fixed = 1; /* the mark goes when the image is closed */
    } else if (v->in_use) {
        c->corruptions = 1;
        if (c->say)
            c->say(c->opaque, "ERROR image was not closed correctly");
    }
    return r;
}

static bool parallels_probe(const uint8_t *head, size_t n)
{
    return n >= HEADER && (!memcmp(head, "WithoutFreeSpace", 16) || !memcmp(head, "WithouFreSpacExt", 16));
}

const struct img_driver img_parallels = {
    .name = "parallels",
    .probe = parallels_probe,
    .open = parallels_open,
    .close = parallels_close,
    .map = bat_map,
    .write = bat_write,
    .zero = bat_zero,
    .create = parallels_create,
    .check = parallels_check,
    .no_info = true,
};
