/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes a new VHDX image: identifier, headers, log, block table, metadata, one behind the other in steps of 1 MiB.
 * Must never be used on a file with content.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>
#include "block-proc/image/bytes.h"
#include "block-proc/image/vhdx.h"

#define CREATOR "Bulkhead"
enum { ZERO = 2, FULL = 6 };

struct plan {
    uint64_t size, log, bat, metadata, data, n;
    uint32_t log_len, bat_len, block;
    bool fixed, zero;
};

static uint32_t block_size(const struct img_create *c)
{
    uint64_t size = c->cluster;
    if (size)
        return size < VHDX_MB ? VHDX_MB : (uint32_t)size;
    if (c->size > 32ull << 40)
        return 64 * VHDX_MB;
    if (c->size > 100ull << 30)
        return 32 * VHDX_MB;
    return c->size > 1ull << 30 ? 16 * VHDX_MB : 8 * VHDX_MB;
}

static int plan_make(const struct img_create *c, struct plan *p)
{
    p->size = c->size;
    p->block = block_size(c);
    if (p->block & (p->block - 1) || c->size > 64ull << 40)
        return -EINVAL;
    uint64_t ratio = (512ull << 23) / p->block, blocks = (c->size + p->block - 1) / p->block;
    p->n = blocks ? blocks + (blocks - 1) / ratio : 0;
    p->log = VHDX_MB;
    p->log_len = (uint32_t)round_up(c->log_size ? c->log_size : VHDX_MB, VHDX_MB);
    p->metadata = p->log + p->log_len + VHDX_MB; /* the block table is the one that grows with the disk: it comes last */
    p->bat = p->metadata + VHDX_MB;
    p->bat_len = (uint32_t)round_up(p->n * 8 + 1, VHDX_MB);
    p->data = round_up(p->bat + p->bat_len, VHDX_MB);
    p->fixed = c->subformat && !strcmp(c->subformat, "fixed");
    p->zero = !c->state_zero_off;
    return p->log_len > VHDX_LOG_MAX ? -EINVAL : 0;
}

static int headers_write(struct img_file *file, const struct plan *p, struct img_io *io)
{
    uint8_t h[VHDX_PAGE] = {0};
    memcpy(h, "head", 4);
    if (getrandom(h + 16, 32, 0) != 32)
        return -EIO;
    le16_put(h + 66, 1);
    le32_put(h + 68, p->log_len);
    le64_put(h + 72, p->log);
    int r = 0;
    for (uint64_t i = 0; r == 0 && i < 2; i++) {
        le64_put(h + 8, i + 1);
        le32_put(h + 4, vhdx_crc32c(h, VHDX_PAGE, 4));
        r = img_file_write(file, h, VHDX_PAGE, i ? VHDX_HEADER_2 : VHDX_HEADER_1, io);
    }
    return r;
}

static int regions_write(struct img_file *file, const struct plan *p, uint8_t *t, struct img_io *io)
{
    memset(t, 0, VHDX_TABLE);
    memcpy(t, "regi", 4);
    le32_put(t + 8, 2);
    memcpy(t + 16, vhdx_guid_bat.b, 16);
    le64_put(t + 32, p->bat);
    le32_put(t + 40, p->bat_len);
    le32_put(t + 44, 1);
    memcpy(t + 48, vhdx_guid_metadata.b, 16);
    le64_put(t + 64, p->metadata);
    le32_put(t + 72, VHDX_MB);
    le32_put(t + 76, 1);
    le32_put(t + 4, vhdx_crc32c(t, VHDX_TABLE, 4));
    int r = img_file_write(file, t, VHDX_TABLE, VHDX_REGION_1, io);
    return r < 0 ? r : img_file_write(file, t, VHDX_TABLE, VHDX_REGION_2, io);
}

static int metadata_write(struct img_file *file, const struct plan *p, uint8_t *t, struct img_io *io)
{
    uint8_t items[40] = {0};
    const struct {
        const struct vhdx_guid *id;
        uint32_t at, len, flags; /* IsRequired 4, IsVirtualDisk 2 */
    } table[] = {{&vhdx_guid_parameters, 0, 8, 4}, {&vhdx_guid_size, 8, 8, 6}, {&vhdx_guid_page83, 16, 16, 6},
                 {&vhdx_guid_logical, 32, 4, 6}, {&vhdx_guid_physical, 36, 4, 6}};
    memset(t, 0, VHDX_TABLE);
    memcpy(t, "metadata", 8);
    le16_put(t + 10, 5);
    for (unsigned i = 0; i < 5; i++) {
        uint8_t *e = t + 32 + 32 * i;
        memcpy(e, table[i].id->b, 16);
        le32_put(e + 16, VHDX_TABLE + table[i].at);
        le32_put(e + 20, table[i].len);
        le32_put(e + 24, table[i].flags);
    }
    le32_put(items, p->block);
    le32_put(items + 4, p->fixed ? 1 : 0);
    le64_put(items + 8, p->size);
    if (getrandom(items + 16, 16, 0) != 16)
        return -EIO;
    le32_put(items + 32, 512);
    le32_put(items + 36, 512);
    int r = img_file_write(file, t, VHDX_TABLE, p->metadata, io);
    return r < 0 ? r : img_file_write(file, items, sizeof(items), p->metadata + VHDX_TABLE, io);
}

static int bat_write_new(struct img_file *file, const struct plan *p, struct img_io *io)
{
    uint64_t ratio = (512ull << 23) / p->block, at = p->data;
    uint8_t *t = calloc(1, p->n * 8 + 8);
    int r = t ? 0 : -ENOMEM;
    for (uint64_t i = 0; r == 0 && i < p->n; i++) {
        bool bitmap = (i + 1) % (ratio + 1) == 0;
        if (bitmap)
            continue;
        le64_put(t + 8 * i, p->fixed ? at | FULL : p->zero ? ZERO : 0);
        at += p->block;
    }
    if (r == 0)
        r = img_file_write(file, t, p->n * 8, p->bat, io);
    free(t);
    return r < 0 || !p->fixed ? r : img_file_resize(file, at, io);
}

int vhdx_create(struct img_file *file, const struct img_create *c, struct img_io *io)
{
    static const char creator[] = CREATOR;
    uint8_t id[8 + 2 * sizeof(creator)] = {0}, *t = malloc(VHDX_TABLE);
    struct plan p;
    int r = t ? plan_make(c, &p) : -ENOMEM;
    if (r == 0)
        r = img_file_resize(file, p.data, io);
    if (r == 0)
        r = headers_write(file, &p, io);
    if (r == 0)
        r = regions_write(file, &p, t, io);
    if (r == 0)
        r = metadata_write(file, &p, t, io);
    if (r == 0)
        r = bat_write_new(file, &p, io);
    free(t);
    memcpy(id, "vhdxfile", 8);
    for (unsigned i = 0; i < sizeof(creator); i++)
        id[8 + 2 * i] = (uint8_t)creator[i];
    return r < 0 ? r : img_file_write(file, id, sizeof(id), 0, io); /* last: a file half made is not an image */
}
