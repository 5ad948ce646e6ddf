/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Direct-mapped: a slice has one slot it can be in. Must never hold a byte the file does not have.
 */
#include "block-proc/image/meta-cache.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int meta_init(struct meta_cache *c, struct img_file *file, uint32_t slice, uint64_t slots)
{
    uint32_t n = 1;
    while (n < slots)
        n *= 2;
    c->file = file;
    c->slice = slice;
    c->slots = n;
    c->tag = malloc(n * sizeof(c->tag[0]));
    if (!c->tag || posix_memalign((void **)&c->bytes, IMG_ALIGN_MAX, (size_t)n * slice))
        return -ENOMEM;
    memset(c->tag, 0xff, n * sizeof(c->tag[0]));
    return 0;
}

void meta_fini(struct meta_cache *c)
{
    free(c->tag);
    free(c->bytes);
    memset(c, 0, sizeof(*c));
}

/* Neighbouring slices get neighbouring slots; tables far apart must not meet in one. */
static uint32_t slot_of(const struct meta_cache *c, uint64_t start)
{
    uint64_t n = start / c->slice;
    return (uint32_t)(n ^ (n / c->slots)) & (c->slots - 1);
}

int meta_get(struct meta_cache *c, uint64_t off, uint8_t **at, struct img_io *io)
{
    uint64_t start = off - off % c->slice;
    uint32_t s = slot_of(c, start);
    uint8_t *p = c->bytes + (size_t)s * c->slice;
    if (c->tag[s] != start) {
        c->tag[s] = META_EMPTY;
        int r = img_file_read(c->file, p, c->slice, start, io);
        if (r < 0)
            return r;
        c->tag[s] = start;
    }
    *at = p + (off - start);
    return 0;
}

int meta_put(struct meta_cache *c, uint64_t off, const uint8_t *at, uint32_t len, struct img_io *io)
{
    int r = img_file_write(c->file, at, len, off, io);
    if (r < 0) /* how much of it arrived is not known */
        meta_forget(c, off, len);
    return r;
}

void meta_forget(struct meta_cache *c, uint64_t off, uint64_t len)
{
    uint64_t start = off - off % c->slice;
    if (len / c->slice > c->slots) {
        memset(c->tag, 0xff, c->slots * sizeof(c->tag[0]));
        return;
    }
    for (; start < off + len; start += c->slice)
        if (c->tag[slot_of(c, start)] == start)
            c->tag[slot_of(c, start)] = META_EMPTY;
}
