/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sparse extents of VMware disks: "KDMV" (hosted, also stream-optimized) and the older "COWD". A directory of tables of
 * 32-bit sector numbers, mostly twice. Must never follow a number that does not lie inside the extent's file.
 */
#include <errno.h>
#include <stdlib.h>
#include "block-proc/image/bytes.h"
#include "block-proc/image/vmdk.h"
#include "ipc/log.h"

#define HEADER     512u
#define GD_AT_END  UINT64_MAX
#define F_RGD      2u
#define F_ZERO     4u
#define F_COMPRESS (1u << 16)
#define F_MARKERS  (1u << 17)
#define GRAIN      128u /* sectors, of new extents */
#define GTES       512u
#define DESC_AT    1u   /* sectors */
#define DESC_SIZE  20u
#define GD_MAX     (64u << 20) /* bytes */
#define CACHE      (1u << 20)

static int refuse(struct img *img, const char *what)
{
    log_error("%s: vmdk: %s", img->name, what);
    return -EINVAL;
}

static int directory_read(struct img *img, struct vmdk_extent *x, uint64_t at, uint32_t **out, struct img_io *io)
{
    uint64_t table = x->n_gt * 4ull, size = x->file->size;
    if (x->n_gd * 4 > GD_MAX || at > size / IMG_SECTOR || x->n_gd * 4 > size - at * IMG_SECTOR)
        return refuse(img, "the grain directory lies behind the end of the file");
    uint32_t *d = *out = calloc(x->n_gd ? x->n_gd : 1, 4);
    int r = d ? img_file_read(x->file, d, x->n_gd * 4, at * IMG_SECTOR, io) : -ENOMEM;
    for (uint64_t i = 0; r == 0 && i < x->n_gd; i++) {
        d[i] = le32toh(d[i]);
        if (d[i] && ((uint64_t)d[i] * IMG_SECTOR > size || table > size - (uint64_t)d[i] * IMG_SECTOR))
            r = refuse(img, "a grain table lies behind the end of the file");
    }
    return r;
}

static int tables_open(struct img *img, struct vmdk_extent *x, uint64_t gd, uint64_t rgd, struct img_io *io)
{
    uint64_t per = (uint64_t)x->n_gt * (x->grain / IMG_SECTOR);
    x->n_gd = (x->sectors + per - 1) / per;
    x->end = round_up(x->file->size, x->compressed ? IMG_SECTOR : x->grain);
    int r = directory_read(img, x, gd, &x->gd, io);
    if (r == 0 && rgd)
        r = directory_read(img, x, rgd, &x->rgd, io);
    return r < 0 ? r : meta_init(&x->gt, x->file, IMG_SECTOR, CACHE / IMG_SECTOR);
}

static int cowd_open(struct img *img, struct vmdk_extent *x, const uint8_t *h, struct img_io *io)
{
    x->sectors = x->sectors ? x->sectors : le32_get(h + 12);
    x->n_gt = 4096;
    uint32_t grain = le32_get(h + 16);
    if (!grain || grain > 1u << 18 || grain & (grain - 1))
        return refuse(img, "the grain size is not allowed");
    x->grain = grain * IMG_SECTOR;
    return tables_open(img, x, le32_get(h + 20), 0, io);
}

/* Stream-optimized extents that were written in one go have the real header as a footer. */
static int footer_read(struct img *img, struct vmdk_extent *x, uint8_t *h, struct img_io *io)
{
    if (x->file->size < 3 * HEADER)
        return refuse(img, "the file ends before its footer");
    int r = img_file_read(x->file, h, HEADER, x->file->size - 2 * HEADER, io);
    if (r == 0 && (memcmp(h, "KDMV", 4) || le64_get(h + 56) == GD_AT_END))
        return refuse(img, "the footer is missing");
    return r;
}

static int header_check(struct img *img, struct vmdk_extent *x, const uint8_t *h)
{
    uint32_t version = le32_get(h + 4), flags = le32_get(h + 8);
    uint64_t capacity = le64_get(h + 12), grain = le64_get(h + 20);
    if (version < 1 || version > 3)
        return refuse(img, "only versions 1 to 3 are built");
    x->compressed = flags & F_COMPRESS && le16_get(h + 77) == 1;
    x->markers = flags & F_MARKERS;
    x->zero_grains = flags & F_ZERO;
    if (version == 3 && !x->compressed)
        x->readonly = true; /* it says another program tracks changes */
    if (!grain || grain > (2u << 20) / IMG_SECTOR || grain & (grain - 1))
        return refuse(img, "the grain size is not a power of two up to 2 MiB");
    x->grain = (uint32_t)grain * IMG_SECTOR;
    x->n_gt = le32_get(h + 44);
    if (x->n_gt < IMG_SECTOR / 4 || x->n_gt > 1u << 16 || x->n_gt & (x->n_gt - 1))
        return refuse(img, "the number of entries of a grain table is not allowed");
    if (capacity >> 50)
        return refuse(img, "the capacity is not possible");
    x->sectors = x->sectors && x->sectors < capacity ? x->sectors : capacity;
    return 0;
}

int vmdk_sparse_open(struct img *img, struct vmdk_extent *x, uint64_t *desc_at, uint64_t *desc_len, struct img_io *io)
{
    uint8_t h[HEADER];
    int r = img_file_read(x->file, h, HEADER, 0, io);
    *desc_at = *desc_len = 0;
    if (r < 0)
        return r;
    if (!memcmp(h, "COWD", 4))
        return cowd_open(img, x, h, io);
    if (memcmp(h, "KDMV", 4))
        return refuse(img, "a sparse extent has no header");
    if (memcmp(h + 73, "\n \r\n", 4))
        return refuse(img, "the header was changed by a text transfer");
    *desc_at = le64_get(h + 28) * IMG_SECTOR;
    *desc_len = le64_get(h + 36) * IMG_SECTOR;
    if (le64_get(h + 56) == GD_AT_END)
        r = footer_read(img, x, h, io);
    if (r == 0)
        r = header_check(img, x, h);
    if (r < 0)
        return r;
    bool twice = le32_get(h + 8) & F_RGD && le64_get(h + 48);
    return tables_open(img, x, le64_get(h + 56), twice ? le64_get(h + 48) : 0, io);
}

void vmdk_sparse_close(struct vmdk_extent *x)
{
    free(x->gd);
    free(x->rgd);
    if (x->gt.bytes)
        meta_fini(&x->gt);
}

int vmdk_gte_get(struct img *img, struct vmdk_extent *x, uint64_t grain, uint32_t *gte, struct img_io *io)
{
    uint64_t i = grain / x->n_gt;
    uint8_t *p;
    *gte = 0;
    if (i >= x->n_gd || !x->gd[i])
        return 0;
    int r = meta_get(&x->gt, (uint64_t)x->gd[i] * IMG_SECTOR + 4 * (grain % x->n_gt), &p, io);
    if (r < 0)
        return r;
    *gte = le32_get(p);
    if (*gte > (x->zero_grains ? 1u : 0u) && (uint64_t)*gte * IMG_SECTOR >= round_up(x->end, IMG_SECTOR)) {
        log_error("%s: vmdk: a grain lies behind the end of the file", img->name);
        return -EINVAL;
    }
    return 0;
}

/* The redundant table first: the other one is the one that counts. */
int vmdk_gte_put(struct img *img, struct vmdk_extent *x, uint64_t grain, uint32_t gte, struct img_io *io)
{
    uint64_t i = grain / x->n_gt, in = 4 * (grain % x->n_gt);
    uint8_t *p, field[4];
    le32_put(field, gte);
    if (i >= x->n_gd || !x->gd[i]) {
        log_error("%s: vmdk: a grain has no table", img->name);
        return -ENOTSUP;
    }
    int r = 0;
    if (x->rgd && x->rgd[i] && x->rgd[i] != x->gd[i])
        r = img_file_write(x->file, field, 4, (uint64_t)x->rgd[i] * IMG_SECTOR + in, io);
    uint64_t at = (uint64_t)x->gd[i] * IMG_SECTOR + in;
    if (r == 0)
        r = meta_get(&x->gt, at, &p, io);
    if (r < 0)
        return r;
    memcpy(p, field, 4);
    return meta_put(&x->gt, at, p, 4, io);
}

/* ---- making */
struct plan { /* sectors */
    uint64_t gts, gd_len, rgd, gd, data;
};

static struct plan plan_make(uint64_t sectors)
{
    struct plan p;
    uint64_t grains = (sectors + GRAIN - 1) / GRAIN, table = GTES * 4 / IMG_SECTOR;
    p.gts = (grains + GTES - 1) / GTES;
    p.gd_len = (p.gts * 4 + IMG_SECTOR - 1) / IMG_SECTOR;
    p.rgd = DESC_AT + DESC_SIZE;
    p.gd = p.rgd + p.gd_len + table * p.gts;
    p.data = round_up(p.gd + p.gd_len + table * p.gts, GRAIN);
    return p;
}

static int directory_write(struct img_file *file, const struct plan *p, uint64_t at, struct img_io *io)
{
    uint32_t *d = calloc(p->gd_len, IMG_SECTOR);
    int r = d ? 0 : -ENOMEM;
    for (uint64_t i = 0; r == 0 && i < p->gts; i++)
        d[i] = htole32((uint32_t)(at + p->gd_len + i * (GTES * 4 / IMG_SECTOR)));
    if (r == 0 && p->gts)
        r = img_file_write(file, d, p->gd_len * IMG_SECTOR, at * IMG_SECTOR, io);
    free(d);
    return r;
}

int vmdk_sparse_create(struct img_file *file, const struct img_create *c, uint64_t size, bool packed, const char *desc,
                       struct img_io *io)
{
    uint64_t sectors = size / IMG_SECTOR;
    struct plan p = plan_make(sectors);
    uint8_t h[HEADER] = {0}, text[DESC_SIZE * IMG_SECTOR] = {0};
    if (p.gd > UINT32_MAX || strlen(desc) >= sizeof(text))
        return -EFBIG;
    memcpy(h, "KDMV", 4);
    le32_put(h + 4, packed ? 3 : c->zeroed_grain ? 2 : 1);
    le32_put(h + 8, 1 | F_RGD | (packed ? F_COMPRESS | F_MARKERS : 0) | (c->zeroed_grain ? F_ZERO : 0));
    le64_put(h + 12, sectors);
    le64_put(h + 20, GRAIN);
    le64_put(h + 28, DESC_AT);
    le64_put(h + 36, DESC_SIZE);
    le32_put(h + 44, GTES);
    le64_put(h + 48, p.rgd);
    le64_put(h + 56, p.gd);
    le64_put(h + 64, p.data);
    memcpy(h + 73, "\n \r\n", 4);
    le16_put(h + 77, packed);
    strcpy((char *)text, desc);
    int r = img_file_resize(file, p.data * IMG_SECTOR, io);
    if (r == 0)
        r = directory_write(file, &p, p.rgd, io);
    if (r == 0)
        r = directory_write(file, &p, p.gd, io);
    if (r == 0)
        r = img_file_write(file, text, sizeof(text), DESC_AT * IMG_SECTOR, io);
    return r < 0 ? r : img_file_write(file, h, HEADER, 0, io);
}
