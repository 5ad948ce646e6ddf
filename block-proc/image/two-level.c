/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two levels of tables. Must never follow an offset that is not inside the file.
 */
#include "block-proc/image/two-level.h"

#include <errno.h>
#include <stdlib.h>
#include "block-proc/image/bytes.h"
#include "ipc/log.h"

#define L1_MAX    (32u << 20) /* bytes */
#define CACHE     (4u << 20)
#define SLICE_MAX 4096u

static uint64_t from_disk(const struct two_level *t, uint64_t v)
{
    return t->big ? be64toh(v) : le64toh(v);
}

static uint64_t to_disk(const struct two_level *t, uint64_t v)
{
    return t->big ? htobe64(v) : htole64(v);
}

static int place_check(struct img *img, const struct two_level *t, uint64_t at)
{
    uint64_t len = t->n2 * 8ull;
    if (at % 8 == 0 && at >= t->low && at <= img->file->size && len <= img->file->size - at)
        return 0;
    log_error("%s: a table at offset %#llx lies outside of the file or in the header", img->name, (unsigned long long)at);
    return -EINVAL;
}

int two_level_open(struct img *img, struct two_level *t, struct img_io *io)
{
    uint32_t slice = t->n2 * 8 < SLICE_MAX ? t->n2 * 8 : SLICE_MAX;
    if (t->n1 > L1_MAX / 8 || t->l1_at > img->file->size || t->n1 * 8 > img->file->size - t->l1_at) {
        log_error("%s: the first-level table lies behind the end of the file", img->name);
        return -EINVAL;
    }
    t->l1 = calloc(t->n1 ? t->n1 : 1, 8);
    int r = t->l1 ? img_file_read(img->file, t->l1, (size_t)t->n1 * 8, t->l1_at, io) : -ENOMEM;
    for (uint64_t i = 0; r == 0 && i < t->n1; i++) {
        t->l1[i] = from_disk(t, t->l1[i]);
        if (t->l1[i])
            r = place_check(img, t, t->l1[i]);
    }
    t->end = round_up(img->file->size, t->align);
    return r < 0 ? r : meta_init(&t->l2, img->file, slice, CACHE / slice);
}

void two_level_close(struct two_level *t)
{
    free(t->l1);
    if (t->l2.bytes)
        meta_fini(&t->l2);
    t->l1 = NULL;
}

uint64_t two_level_room(struct two_level *t, uint64_t len)
{
    uint64_t at = round_up(t->end, t->align);
    t->end = round_up(at + len, t->align);
    return at;
}

/* A slice of the cache may reach over the table's own bounds: slices are aligned to the file. */
static int entry_at(struct img *img, struct two_level *t, uint64_t block, uint8_t **p, struct img_io *io)
{
    uint64_t table = t->l1[block / t->n2];
    (void)img;
    return meta_get(&t->l2, table + 8 * (block % t->n2), p, io);
}

int two_level_get(struct img *img, struct two_level *t, uint64_t block, uint64_t *e, struct img_io *io)
{
    uint8_t *p;
    *e = 0;
    if (block / t->n2 >= t->n1)
        return -EIO;
    if (!t->l1[block / t->n2])
        return 0;
    int r = entry_at(img, t, block, &p, io);
    if (r == 0) {
        memcpy(e, p, 8);
        *e = from_disk(t, *e);
    }
    return r;
}

static int table_make(struct img *img, struct two_level *t, uint64_t i, struct img_io *io)
{
    uint64_t len = t->n2 * 8ull, at = two_level_room(t, len), disk = to_disk(t, at);
    uint8_t *zeros = calloc(1, len);
    int r = zeros ? img_file_write(img->file, zeros, len, at, io) : -ENOMEM;
    free(zeros);
    meta_forget(&t->l2, at, len);
    if (r == 0)
        r = img_file_write(img->file, &disk, 8, t->l1_at + 8 * i, io);
    if (r == 0)
        t->l1[i] = at;
    return r;
}

int two_level_put(struct img *img, struct two_level *t, uint64_t block, uint64_t e, struct img_io *io)
{
    uint64_t disk = to_disk(t, e);
    uint8_t *p;
    int r = block / t->n2 < t->n1 ? 0 : -EIO;
    if (r == 0 && !t->l1[block / t->n2])
        r = table_make(img, t, block / t->n2, io);
    if (r == 0)
        r = entry_at(img, t, block, &p, io);
    if (r < 0)
        return r;
    memcpy(p, &disk, 8);
    return meta_put(&t->l2, t->l1[block / t->n2] + 8 * (block % t->n2), p, 8, io);
}
