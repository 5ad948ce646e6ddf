/* SPDX-License-Identifier: Apache-2.0 */
/*
 * VHDX images: headers, regions, metadata, the block table. Must never open an image for writing whose log is not
 * replayed, nor read one whose log would change what is read.
 */
#include "block-proc/image/vhdx.h"

#include <errno.h>
#include <stdlib.h>
#include "block-proc/image/bytes.h"
#include "ipc/log.h"

#define ENTRIES_MAX 2047u
#define BAT_MAX     (256u << 20)

enum { NOT_PRESENT = 0, UNDEFINED = 1, ZERO = 2, UNMAPPED = 3, FULL = 6, PARTIAL = 7 };

const struct vhdx_guid vhdx_guid_bat = {{0x66, 0x77, 0xc2, 0x2d, 0x23, 0xf6, 0x00, 0x42, 0x9d, 0x64, 0x11, 0x5e, 0x9b, 0xfd, 0x4a, 0x08}};
const struct vhdx_guid vhdx_guid_metadata = {{0x06, 0xa2, 0x7c, 0x8b, 0x90, 0x47, 0x9a, 0x4b, 0xb8, 0xfe, 0x57, 0x5f, 0x05, 0x0f, 0x88, 0x6e}};
const struct vhdx_guid vhdx_guid_parameters = {{0x37, 0x67, 0xa1, 0xca, 0x36, 0xfa, 0x43, 0x4d, 0xb3, 0xb6, 0x33, 0xf0, 0xaa, 0x44, 0xe7, 0x6b}};
const struct vhdx_guid vhdx_guid_size = {{0x24, 0x42, 0xa5, 0x2f, 0x1b, 0xcd, 0x76, 0x48, 0xb2, 0x11, 0x5d, 0xbe, 0xd8, 0x3b, 0xf4, 0xb8}};
const struct vhdx_guid vhdx_guid_page83 = {{0xab, 0x12, 0xca, 0xbe, 0xe6, 0xb2, 0x23, 0x45, 0x93, 0xef, 0xc3, 0x09, 0xe0, 0x00, 0xc7, 0x46}};
const struct vhdx_guid vhdx_guid_logical = {{0x1d, 0xbf, 0x41, 0x81, 0x6f, 0xa9, 0x09, 0x47, 0xba, 0x47, 0xf2, 0x33, 0xa8, 0xfa, 0xab, 0x5f}};
const struct vhdx_guid vhdx_guid_physical = {{0xc7, 0x48, 0xa3, 0xcd, 0x5d, 0x44, 0x71, 0x44, 0x9c, 0xc9, 0xe9, 0x88, 0x52, 0x51, 0xc5, 0x56}};

static int refuse(struct img *img, const char *what)
{
    log_error("%s: vhdx: %s", img->name, what);
    return -EINVAL;
}

/* ---- blocks */
static uint64_t *entry_of(struct vhdx *v, uint64_t block)
{
    uint64_t i = block + block / v->ratio; /* 2.5: a bitmap's entry after every `ratio` blocks */
    return i < v->n ? &v->bat[i] : NULL;
}

static int vhdx_get(struct img *img, uint64_t block, struct bat_place *p, struct img_io *io)
{
    uint64_t *e = entry_of(img->priv, block);
    (void)io;
    p->kind = e && (*e & 7) == FULL ? IMG_DATA : IMG_ZERO;
    p->host = e ? *e & ~(uint64_t)(VHDX_MB - 1) : 0;
    return 0;
}

static int vhdx_room(struct img *img, uint64_t block, struct bat_place *p, struct img_io *io)
{
    struct vhdx *v = img->priv;
    (void)block;
    (void)io;
    p->host = v->end;
    v->end += img->cluster;
    return 0;
}

static int entry_put(struct img *img, uint64_t block, uint64_t value, struct img_io *io)
{
    struct vhdx *v = img->priv;
    uint64_t *e = entry_of(v, block), old = e ? *e : 0;
    uint8_t page[VHDX_PAGE] = {0};
    if (!e)
        return -EIO;
    uint64_t i = (uint64_t)(e - v->bat), first = i / (VHDX_PAGE / 8) * (VHDX_PAGE / 8);
    *e = value;
    for (uint64_t k = first; k < v->n && k < first + VHDX_PAGE / 8; k++)
        le64_put(page + 8 * (k - first), v->bat[k]);
    int r = vhdx_log_write(img, v, v->bat_at + 8 * first, page, io);
    if (r < 0)
        *e = old;
    return r;
}

static int vhdx_put(struct img *img, uint64_t block, const struct bat_place *p, struct img_io *io)
{
    return entry_put(img, block, p->host | FULL, io);
}

static const struct bat_ops ops = {.get = vhdx_get, .room = vhdx_room, .put = vhdx_put};

/* ---- opening */
static int header_read(struct img *img, struct vhdx *v, struct img_io *io)
{
    uint8_t h[VHDX_PAGE];
    bool any = false;
    for (unsigned i = 0; i < 2; i++) {
        uint64_t at = i ? VHDX_HEADER_2 : VHDX_HEADER_1;
        int r = img_file_read(img->file, h, VHDX_PAGE, at, io);
        if (r < 0)
            return r;
        if (memcmp(h, "head", 4) || vhdx_crc32c(h, VHDX_PAGE, 4) != le32_get(h + 4) || (any && le64_get(h + 8) <= v->sequence))
            continue;
        any = true;
        memcpy(v->header, h, VHDX_PAGE);
        v->sequence = le64_get(h + 8);
        v->header_at = at;
    }
    if (!any)
        return refuse(img, "no header is whole");
    if (le16_get(v->header + 66) != 1 || le16_get(v->header + 64) != 0)
        return refuse(img, "only version 1 is built");
    v->log_len = le32_get(v->header + 68);
    v->log_at = le64_get(v->header + 72);
    if (v->log_len % VHDX_MB || !v->log_len || v->log_len > VHDX_LOG_MAX || v->log_at % VHDX_MB || v->log_at < VHDX_MB ||
        v->log_at > img->file->size || v->log_len > img->file->size - v->log_at)
        return refuse(img, "the log does not lie inside the file");
    return 0;
}

static bool guid_is(const uint8_t *p, const struct vhdx_guid *g)
{
    return !memcmp(p, g->b, 16);
}

struct regions {
    uint64_t bat, metadata;
    uint32_t bat_len, metadata_len;
};

static int region_add(struct img *img, const uint8_t *e, struct regions *g)
{
    uint64_t at = le64_get(e + 16);
    uint32_t len = le32_get(e + 24);
    if (at % VHDX_MB || at < VHDX_MB || !len || len % VHDX_MB || at > img->file->size || len > img->file->size - at)
        return refuse(img, "a region does not lie inside the file");
    if (guid_is(e, &vhdx_guid_bat)) {
        g->bat = at;
        g->bat_len = len;
    } else if (guid_is(e, &vhdx_guid_metadata)) {
        g->metadata = at;
        g->metadata_len = len;
    } else if (le32_get(e + 28) & 1) {
        return refuse(img, "a required region is unknown");
    }
    return 0;
}

static int regions_read(struct img *img, struct regions *g, struct img_io *io)
{
    uint8_t *t = malloc(VHDX_TABLE);
    int r = t ? 0 : -ENOMEM;
    bool good = false;
    for (unsigned i = 0; r == 0 && !good && i < 2; i++) {
        r = img_file_read(img->file, t, VHDX_TABLE, i ? VHDX_REGION_2 : VHDX_REGION_1, io);
        good = r == 0 && !memcmp(t, "regi", 4) && vhdx_crc32c(t, VHDX_TABLE, 4) == le32_get(t + 4) && le32_get(t + 8) <= ENTRIES_MAX;
    }
    if (r == 0 && !good)
        r = refuse(img, "no region table is whole");
    for (uint32_t i = 0; r == 0 && i < le32_get(t + 8); i++)
        r = region_add(img, t + 16 + 32 * i, g);
    free(t);
    if (r == 0 && (!g->bat || !g->metadata))
        r = refuse(img, "a required region is missing");
    return r;
}

struct metadata {
    uint32_t block, flags, logical, found;
    uint64_t size;
};

/* The item's value, at most 8 bytes of it. */
static int item_read(struct img *img, const struct regions *g, const uint8_t *e, struct metadata *m, struct img_io *io)
{
    uint8_t val[8] = {0};
    uint32_t at = le32_get(e + 16), len = le32_get(e + 20);
    if (at < VHDX_TABLE || at > g->metadata_len || len > g->metadata_len - at)
        return refuse(img, "a metadata item does not lie inside its region");
    int r = img_file_read(img->file, val, len < 8 ? len : 8, g->metadata + at, io);
    if (guid_is(e, &vhdx_guid_parameters)) {
        m->block = le32_get(val);
        m->flags = le32_get(val + 4);
        m->found |= 1;
    } else if (guid_is(e, &vhdx_guid_size)) {
        m->size = le64_get(val);
        m->found |= 2;
    } else if (guid_is(e, &vhdx_guid_logical)) {
        m->logical = le32_get(val);
        m->found |= 4;
    } else if (!guid_is(e, &vhdx_guid_page83) && !guid_is(e, &vhdx_guid_physical) && le32_get(e + 24) & 4) {
        return refuse(img, "a required metadata item is unknown (a differencing disk?)");
    }
    return r;
}

static int metadata_read(struct img *img, const struct regions *g, struct metadata *m, struct img_io *io)
{
    uint8_t *t = malloc(VHDX_TABLE);
    int r = t ? img_file_read(img->file, t, VHDX_TABLE, g->metadata, io) : -ENOMEM;
    if (r == 0 && (memcmp(t, "metadata", 8) || le16_get(t + 10) > ENTRIES_MAX))
        r = refuse(img, "the metadata table is damaged");
    for (uint32_t i = 0; r == 0 && i < le16_get(t + 10); i++)
        r = item_read(img, g, t + 32 + 32 * i, m, io);
    free(t);
    if (r < 0)
        return r;
    if (m->found != 7)
        return refuse(img, "a required metadata item is missing");
    if (m->block < VHDX_MB || m->block > 256 * VHDX_MB || m->block & (m->block - 1))
        return refuse(img, "the block size is not a power of two between 1 and 256 MiB");
    if (m->flags & 2)
        return refuse(img, "differencing disks are not built");
    if ((m->logical != 512 && m->logical != 4096) || m->size % m->logical || m->size > 64ull << 40)
        return refuse(img, "sector or disk size is not allowed");
    return 0;
}

static int places_check(struct img *img, struct vhdx *v)
{
    struct bat_places p = {calloc(v->n, sizeof(uint64_t)), 0};
    uint64_t end = 0;
    int r = p.host ? 0 : -ENOMEM;
    for (uint64_t i = 0; r == 0 && i < v->n; i++) {
        bool bitmap = (i + 1) % (v->ratio + 1) == 0;
        unsigned state = v->bat[i] & 7;
        if (!bitmap && state != NOT_PRESENT && state != UNDEFINED && state != ZERO && state != UNMAPPED && state != 5 && state != FULL)
            r = refuse(img, "a block is in an unknown state");
        if (!bitmap && state == FULL)
            p.host[p.n++] = v->bat[i] & ~(uint64_t)(VHDX_MB - 1);
    }
    if (r == 0)
        r = bat_places_check(img, &p, VHDX_MB, img->cluster, &end);
    free(p.host);
    v->end = round_up(img->file->size > end ? img->file->size : end, VHDX_MB);
    return r;
}

static int bat_read(struct img *img, struct vhdx *v, const struct regions *g, struct img_io *io)
{
    uint64_t blocks = (img->size + img->cluster - 1) / img->cluster;
    v->n = blocks ? blocks + (blocks - 1) / v->ratio : 0;
    v->bat_at = g->bat;
    if (v->n * 8 > g->bat_len || v->n * 8 > BAT_MAX)
        return refuse(img, "the disk is larger than its block table");
    v->bat = calloc(v->n + 1, 8);
    int r = v->bat ? img_file_read(img->file, v->bat, v->n * 8, g->bat, io) : -ENOMEM;
    for (uint64_t i = 0; i < v->n; i++)
        v->bat[i] = le64toh(v->bat[i]);
    if (r == 0 && v->n)
        r = places_check(img, v);
    return r;
}

static int log_look(struct img *img, struct vhdx *v, struct img_io *io)
{
    static const uint8_t none[16];
    if (!memcmp(v->header + 48, none, 16))
        return 0;
    if (!img->opt.readonly)
        return vhdx_log_replay(img, v, io);
    log_error("%s: vhdx: the log has to be replayed first: open it once for writing (bulkhead-img check -r all)", img->name);
    return -EACCES;
}

static int vhdx_open(struct img *img, struct img_io *io)
{
    uint8_t magic[8];
    struct regions g = {0};
    struct metadata m = {0};
    struct vhdx *v = img->priv = calloc(1, sizeof(*v));
    int r = v ? img_file_read(img->file, magic, 8, 0, io) : -ENOMEM;
    if (r == 0 && memcmp(magic, "vhdxfile", 8))
        r = refuse(img, "the signature is missing");
    if (r == 0)
        r = header_read(img, v, io);
    if (r == 0 && !img->opt.inspect)
        r = log_look(img, v, io);
    if (r == 0)
        r = regions_read(img, &g, io);
    if (r == 0)
        r = metadata_read(img, &g, &m, io);
    if (r < 0)
        return r;
    img->bat = &ops;
    img->cluster = m.block;
    img->size = m.size;
    v->ratio = ((uint64_t)m.logical << 23) / m.block;
    return img->opt.inspect ? 0 : bat_read(img, v, &g, io);
}

static void vhdx_close(struct img *img, struct img_io *io)
{
    struct vhdx *v = img->priv;
    if (!v)
        return;
    if (v->log_used && !img->opt.readonly && img_file_flush(img->file, io) == 0) {
        memset(v->header + 48, 0, 16);
        (void)vhdx_header_write(img, v, io);
    }
    free(v->bat);
    free(v);
    img->priv = NULL;
}

static int vhdx_check(struct img *img, struct img_check *c, bool fix_leaks, bool fix_all, struct img_io *io)
{
    (void)fix_all;
    int r = bat_check(img, c, fix_leaks, io);
    c->total = c->allocated = 0; /* qemu-img says no figures of this format */
    return r;
}

static bool vhdx_probe(const uint8_t *head, size_t n)
{
    return n >= 8 && !memcmp(head, "vhdxfile", 8);
}

const struct img_driver img_vhdx = {
    .name = "vhdx",
    .probe = vhdx_probe,
    .open = vhdx_open,
    .close = vhdx_close,
    .map = bat_map,
    .write = bat_write,
    .zero = bat_zero,
    .create = vhdx_create,
    .check = vhdx_check,
};
