/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Virtual PC disks (VHD 1.0): fixed (the disk, then a footer) and dynamic (footer copy, header, table, blocks each
 * with a sector bitmap in front, footer). Must never leave a dynamic image without a footer that can be read.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>
#include "block-proc/image/bat.h"
#include "block-proc/image/bytes.h"
#include "ipc/log.h"

#define FOOTER       512u
#define DYNAMIC      1024u
#define BLOCK        (2u << 20)
#define UNALLOCATED  0xffffffffu
#define CHS_MAX      (65535ull * 16 * 255) /* sectors */
#define SECTORS_MAX  (2040ull << 21)       /* 2040 GiB */
#define EPOCH_2000   946684800

enum { TYPE_FIXED = 2, TYPE_DYNAMIC = 3 };

struct vpc {
    uint8_t footer[FOOTER];
    struct bat_table map;
    uint32_t bitmap; /* bytes in front of a block */
    uint64_t end;    /* behind the last block: where the footer is */
    bool fixed;
};

static int refuse(struct img *img, const char *what)
{
    log_error("%s: vpc: %s", img->name, what);
    return -EINVAL;
}

/* The one's complement of the sum of all bytes but the field's own. */
static uint32_t sum(const uint8_t *p, size_t n, size_t field)
{
    uint32_t s = 0;
    for (size_t i = 0; i < n; i++)
        if (i < field || i >= field + 4)
            s += p[i];
    return ~s;
}

static int footer_read(struct img *img, struct vpc *v, struct img_io *io)
{
    int r = img_file_read(img->file, v->footer, FOOTER, 0, io);
    if (r < 0 || !memcmp(v->footer, "conectix", 8))
        return r;
    if (img->file->size < FOOTER)
        return refuse(img, "the file is shorter than a footer");
    r = img_file_read(img->file, v->footer, FOOTER, img->file->size - FOOTER, io);
    if (r == 0 && memcmp(v->footer, "conectix", 8))
        return refuse(img, "there is no footer");
    return r;
}

/* Virtual PC and old QEMU mean the geometry, others the size in bytes. */
static uint64_t sectors_of(const uint8_t *f)
{
    static const char sized[][5] = {"win ", "qem2", "d2v ", "tap", "CTXS"};
    uint64_t chs = (uint64_t)be16_get(f + 56) * f[58] * f[59];
    for (unsigned i = 0; i < sizeof(sized) / sizeof(sized[0]); i++)
        if (!memcmp(f + 28, sized[i], 4))
            return be64_get(f + 48) / IMG_SECTOR;
    return chs >= CHS_MAX || chs == 0 ? be64_get(f + 48) / IMG_SECTOR : chs;
}

static int places_check(struct img *img, struct vpc *v)
{
    struct bat_places p = {calloc(v->map.n ? v->map.n : 1, sizeof(uint64_t)), 0};
    if (!p.host)
        return -ENOMEM;
    for (uint64_t i = 0; i < v->map.n; i++)
        if (v->map.e[i] != UNALLOCATED)
            p.host[p.n++] = (uint64_t)v->map.e[i] * IMG_SECTOR;
    int r = bat_places_check(img, &p, round_up(v->map.at + v->map.n * 4, IMG_SECTOR), v->bitmap + img->cluster, &v->end);
    free(p.host);
    return r;
}

static int vpc_get(struct img *img, uint64_t block, struct bat_place *p, struct img_io *io)
{
    struct vpc *v = img->priv;
    (void)io;
    uint32_t e = block < v->map.n ? v->map.e[block] : UNALLOCATED;
    p->kind = e == UNALLOCATED ? IMG_ZERO : IMG_DATA;
    p->host = (uint64_t)e * IMG_SECTOR + v->bitmap;
    return 0;
}

/* The footer moves behind the new block first: whenever the process dies, one is where it is looked for. */
static int vpc_room(struct img *img, uint64_t block, struct bat_place *p, struct img_io *io)
{
    struct vpc *v = img->priv;
    uint8_t *bits = malloc(v->bitmap);
    uint64_t at = v->end, next = at + v->bitmap + img->cluster;
    (void)block;
    if (!bits || at / IMG_SECTOR >= UNALLOCATED) {
        free(bits);
        return bits ? -EFBIG : -ENOMEM;
    }
    int r = img_file_write(img->file, v->footer, FOOTER, next, io);
    memset(bits, 0xff, v->bitmap);
    if (r == 0)
        r = img_file_write(img->file, bits, v->bitmap, at, io);
    free(bits);
    if (r < 0)
        return r;
    v->end = next;
    p->host = at + v->bitmap;
    return 0;
}

static int vpc_put(struct img *img, uint64_t block, const struct bat_place *p, struct img_io *io)
{
    struct vpc *v = img->priv;
    return bat_table_put(img, &v->map, block, (uint32_t)((p->host - v->bitmap) / IMG_SECTOR), io);
}

static const struct bat_ops ops = {.get = vpc_get, .room = vpc_room, .put = vpc_put};

static int dynamic_open(struct img *img, struct vpc *v, struct img_io *io)
{
    uint8_t d[DYNAMIC];
    uint64_t at = be64_get(v->footer + 16);
    if (at > img->file->size || img->file->size - at < DYNAMIC)
        return refuse(img, "the dynamic header lies behind the end of the file");
    int r = img_file_read(img->file, d, DYNAMIC, at, io);
    if (r < 0)
        return r;
    if (memcmp(d, "cxsparse", 8) || sum(d, DYNAMIC, 36) != be32_get(d + 36))
        return refuse(img, "the dynamic header is damaged");
    img->cluster = be32_get(d + 32);
    if (img->cluster < IMG_SECTOR || img->cluster & (img->cluster - 1) || img->cluster > 256u << 20)
        return refuse(img, "the block size is not a power of two between 512 and 256 MiB");
    v->bitmap = (uint32_t)round_up((img->cluster / IMG_SECTOR + 7) / 8, IMG_SECTOR);
    v->map = (struct bat_table){.n = be32_get(d + 28), .at = be64_get(d + 16), .big = true};
    if (v->map.n < (img->size + img->cluster - 1) / img->cluster)
        return refuse(img, "the disk is larger than its block table");
    r = bat_table_read(img, &v->map, io);
    return r < 0 ? r : places_check(img, v);
}

static int vpc_open(struct img *img, struct img_io *io)
{
    struct vpc *v = img->priv = calloc(1, sizeof(*v));
    int r = v ? footer_read(img, v, io) : -ENOMEM;
    if (r < 0)
        return r;
    if (sum(v->footer, FOOTER, 64) != be32_get(v->footer + 64))
        return refuse(img, "the footer's checksum is wrong");
    uint32_t type = be32_get(v->footer + 60);
    uint64_t sectors = sectors_of(v->footer);
    if (sectors > SECTORS_MAX)
        return refuse(img, "the disk is larger than 2040 GiB");
    img->size = sectors * IMG_SECTOR;
    img->bat = &ops;
    v->fixed = type == TYPE_FIXED;
    if (type == TYPE_DYNAMIC)
        return dynamic_open(img, v, io);
    if (type != TYPE_FIXED)
        return refuse(img, "differencing disks are not built");
    if (img->size > img->file->size)
        return refuse(img, "the disk is longer than the file");
    return 0;
}

static void vpc_close(struct img *img, struct img_io *io)
{
    struct vpc *v = img->priv;
    (void)io;
    if (v)
        free(v->map.e);
    free(v);
    img->priv = NULL;
}

static int vpc_map(struct img *img, uint64_t off, uint64_t len, struct img_extent *e, struct img_io *io)
{
    if (!((struct vpc *)img->priv)->fixed)
        return bat_map(img, off, len, e, io);
    *e = (struct img_extent){IMG_DATA, len, off, img->file, true};
    return 0;
}

static int vpc_write(struct img *img, const struct img_buf *b, uint64_t off, struct img_io *io)
{
    bool fixed = ((struct vpc *)img->priv)->fixed;
    return fixed ? img_file_writev(img->file, b, off, io) : bat_write(img, b, off, io);
}

static int vpc_zero(struct img *img, uint64_t off, uint64_t len, bool unmap, struct img_io *io)
{
    bool fixed = ((struct vpc *)img->priv)->fixed;
    return fixed ? img_file_zero(img->file, off, len, unmap, io) : bat_zero(img, off, len, unmap, io);
}

/* ---- making */
struct chs {
    uint32_t c, h, s;
};

/* Specification, "Appendix: CHS Calculation". */
static struct chs geometry(uint64_t sectors)
{
    uint64_t total = sectors < CHS_MAX ? sectors : CHS_MAX, tracks;
    struct chs g = {.h = 16, .s = 255};
    if (total > 65535ull * 16 * 63) {
        tracks = total / g.s;
    } else {
        g.s = 17;
        tracks = total / g.s;
        g.h = (uint32_t)((tracks + 1023) / 1024);
        g.h = g.h < 4 ? 4 : g.h;
        if (tracks >= g.h * 1024ull || g.h > 16)
            g.s = 31, g.h = 16, tracks = total / g.s;
        if (tracks >= g.h * 1024ull)
            g.s = 63, g.h = 16, tracks = total / g.s;
    }
    g.c = (uint32_t)(tracks / g.h);
    return g;
}

static int footer_make(uint8_t *f, const struct img_create *c, bool fixed, uint64_t *size)
{
    uint64_t sectors = c->size / IMG_SECTOR, want = sectors < CHS_MAX ? sectors : CHS_MAX;
    struct chs g = geometry(want);
    for (uint64_t i = 1; !c->force_size && (uint64_t)g.c * g.h * g.s < want; i++)
        g = geometry(want + i);
    if (!c->force_size && (uint64_t)g.c * g.h * g.s != CHS_MAX)
        sectors = (uint64_t)g.c * g.h * g.s;
    if (sectors > SECTORS_MAX)
        return -EFBIG;
    *size = sectors * IMG_SECTOR;
    memset(f, 0, FOOTER);
    memcpy(f, "conectix", 8);
    be32_put(f + 8, 2);
    be32_put(f + 12, 0x10000);
    be64_put(f + 16, fixed ? UINT64_MAX : FOOTER);
    be32_put(f + 24, (uint32_t)(time(NULL) - EPOCH_2000));
    memcpy(f + 28, c->force_size ? "qem2" : "qemu", 4); /* how programs know which size counts */
    be16_put(f + 32, 5);
    be16_put(f + 34, 3);
    memcpy(f + 36, "Wi2k", 4);
    be64_put(f + 40, *size);
    be64_put(f + 48, *size);
    be16_put(f + 56, (uint16_t)g.c);
    f[58] = (uint8_t)g.h;
    f[59] = (uint8_t)g.s;
    be32_put(f + 60, fixed ? TYPE_FIXED : TYPE_DYNAMIC);
    if (getrandom(f + 68, 16, 0) != 16)
        return -EIO;
    be32_put(f + 64, sum(f, FOOTER, 64));
    return 0;
}

static int dynamic_make(struct img_file *file, const uint8_t *footer, uint64_t size, struct img_io *io)
{
    uint8_t d[DYNAMIC] = {0};
    uint64_t n = (size + BLOCK - 1) / BLOCK, len = round_up(n * 4, IMG_SECTOR);
    uint8_t *table = malloc(len + FOOTER);
    if (!table)
        return -ENOMEM;
    memset(table, 0xff, len);
    memcpy(table + len, footer, FOOTER);
    memcpy(d, "cxsparse", 8);
    be64_put(d + 8, UINT64_MAX);
    be64_put(d + 16, FOOTER + DYNAMIC);
    be32_put(d + 24, 0x10000);
    be32_put(d + 28, (uint32_t)n);
    be32_put(d + 32, BLOCK);
    be32_put(d + 36, sum(d, DYNAMIC, 36));
    int r = img_file_write(file, table, len + FOOTER, FOOTER + DYNAMIC, io);
    free(table);
    if (r == 0)
        r = img_file_write(file, d, DYNAMIC, FOOTER, io);
    return r < 0 ? r : img_file_write(file, footer, FOOTER, 0, io);
}

static int vpc_create(struct img_file *file, const struct img_create *c, struct img_io *io)
{
    uint8_t footer[FOOTER];
    uint64_t size;
    bool fixed = c->subformat && !strcmp(c->subformat, "fixed");
    int r = footer_make(footer, c, fixed, &size);
    if (r < 0 || !fixed)
        return r < 0 ? r : dynamic_make(file, footer, size, io);
    r = img_file_resize(file, size + FOOTER, io);
    return r < 0 ? r : img_file_write(file, footer, FOOTER, size, io);
}

static bool vpc_probe(const uint8_t *head, size_t n)
{
    return n >= 8 && !memcmp(head, "conectix", 8);
}

const struct img_driver img_vpc = {
    .name = "vpc",
    .probe = vpc_probe,
    .open = vpc_open,
    .close = vpc_close,
    .map = vpc_map,
    .write = vpc_write,
    .zero = vpc_zero,
    .create = vpc_create,
};
