/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Apple disk images (UDIF), read-only: a trailer, a property list with base64 tables of chunks, or the same tables in a resource
 * fork. Raw, zero, zlib and bzip2 chunks; others are refused by name. Must never look for anything outside of what the
 * trailer delimits.
 */
#include <errno.h>
#include <stdlib.h>
#include "block-proc/image/bytes.h"
#include "block-proc/image/chunks.h"
#include "ipc/log.h"

#define TRAILER   512u
#define TABLE_MAX (64u << 20)
#define MISH_HEAD 204u
#define MISH_RUN  40u

static int refuse(struct img *img, const char *what)
{
    log_error("%s: dmg: %s", img->name, what);
    return -EINVAL;
}

static int chunk_add(struct chunks *c, const struct chunk *k)
{
    if (c->n == CHUNKS_MAX)
        return -EFBIG;
    if ((c->n & (c->n - 1)) == 0) { /* 1, 2, 4, 8, ...: twice the room */
        struct chunk *more = realloc(c->v, (c->n ? 2 * c->n : 1) * sizeof(*more));
        if (!more)
            return -ENOMEM;
        c->v = more;
    }
    c->v[c->n++] = *k;
    return 0;
}

/* One run of a table. 1: the table's end or a comment. */
static int run_read(struct img *img, struct chunks *c, const uint8_t *p, uint64_t first, uint64_t data)
{
    uint32_t type = be32_get(p);
    struct chunk k = {.start = (first + be64_get(p + 8)) * IMG_SECTOR, .len = be64_get(p + 16) * IMG_SECTOR,
                      .at = data + be64_get(p + 24), .packed = be64_get(p + 32)};
    if (be64_get(p + 8) >> 50 || be64_get(p + 16) >> 40 || first >> 50)
        return refuse(img, "a chunk is at an impossible place");
    switch (type) {
    case 0x00000000: case 0x00000002: k.kind = CHUNK_ZERO; break;
    case 0x00000001: k.kind = CHUNK_RAW; break;
    case 0x80000005: k.kind = CHUNK_ZLIB; break;
    case 0x80000006: k.kind = CHUNK_BZ2; break;
    case 0x7ffffffe: case 0xffffffff: return 1;
    case 0x80000004: return refuse(img, "ADC compression is not built");
    case 0x80000007: return refuse(img, "LZFSE compression is not built");
    default: return refuse(img, "a chunk has an unknown type");
    }
    if (k.kind == CHUNK_RAW && k.packed < k.len)
        return refuse(img, "a raw chunk is shorter than its sectors");
    return k.len ? chunk_add(c, &k) : 0;
}

static int mish_read(struct img *img, struct chunks *c, const uint8_t *p, size_t n, uint64_t fork)
{
    if (n < MISH_HEAD || memcmp(p, "mish", 4))
        return 0; /* another kind of resource */
    uint64_t first = be64_get(p + 8), data = fork + be64_get(p + 24);
    uint32_t runs = be32_get(p + 200);
    if (runs > (n - MISH_HEAD) / MISH_RUN)
        return refuse(img, "a table of chunks is cut short");
    for (uint32_t i = 0; i < runs; i++) {
        int r = run_read(img, c, p + MISH_HEAD + i * MISH_RUN, first, data);
        if (r < 0)
            return r;
    }
    return 0;
}

static int digit(char ch)
{
    return ch >= 'A' && ch <= 'Z' ? ch - 'A' : ch >= 'a' && ch <= 'z' ? ch - 'a' + 26 : ch >= '0' && ch <= '9' ? ch - '0' + 52
           : ch == '+' ? 62 : ch == '/' ? 63 : -1;
}

/* In place; white space is left out. The length. */
static size_t base64_decode(char *s, size_t n)
{
    size_t out = 0;
    uint32_t bits = 0, have = 0;
    for (size_t i = 0; i < n && s[i] != '='; i++) {
        int d = digit(s[i]);
        if (d < 0)
            continue;
        bits = bits << 6 | (uint32_t)d;
        have += 6;
        if (have >= 8) {
            have -= 8;
            s[out++] = (char)(bits >> have);
        }
    }
    return out;
}

static int plist_read(struct img *img, struct chunks *c, uint64_t at, uint64_t len, uint64_t fork, struct img_io *io)
{
    if (len > TABLE_MAX || at > img->file->size || len > img->file->size - at)
        return refuse(img, "the property list lies behind the end of the file");
    char *text = calloc(1, len + 1), *p = text, *end;
    int r = text ? img_file_read(img->file, text, len, at, io) : -ENOMEM;
    while (r == 0 && (p = strstr(p, "<data>")) && (end = strstr(p, "</data>"))) {
        p += 6;
        size_t n = base64_decode(p, (size_t)(end - p));
        r = mish_read(img, c, (uint8_t *)p, n, fork);
        p = end;
    }
    free(text);
    return r;
}

/* Resources are length and bytes, one behind the other. */
static int fork_read(struct img *img, struct chunks *c, uint64_t at, uint64_t len, uint64_t fork, struct img_io *io)
{
    if (len > TABLE_MAX || len < 16 || at > img->file->size || len > img->file->size - at)
        return refuse(img, "the resource fork lies behind the end of the file");
    uint8_t *b = malloc(len);
    int r = b ? img_file_read(img->file, b, len, at, io) : -ENOMEM;
    uint64_t pos = r == 0 ? be32_get(b) : 0, end = r == 0 ? pos + be32_get(b + 8) : 0;
    end = end < len ? end : len;
    while (r == 0 && pos + 4 <= end) {
        uint32_t n = be32_get(b + pos);
        pos += 4;
        if (n > end - pos)
            break;
        r = mish_read(img, c, b + pos, n, fork);
        pos += n;
    }
    free(b);
    return r;
}

static void sort(struct chunk *v, uint64_t n)
{
    for (uint64_t i = 1; i < n; i++) { /* nearly sorted as it is */
        struct chunk k = v[i];
        uint64_t j = i;
        for (; j && v[j - 1].start > k.start; j--)
            v[j] = v[j - 1];
        v[j] = k;
    }
}

static int dmg_open(struct img *img, struct img_io *io)
{
    uint8_t t[TRAILER];
    struct chunks *c = img->priv = calloc(1, sizeof(*c));
    if (!c)
        return -ENOMEM;
    if (img->file->size < TRAILER)
        return refuse(img, "the file is shorter than a trailer");
    int r = img_file_read(img->file, t, TRAILER, img->file->size - TRAILER, io);
    if (r == 0 && memcmp(t, "koly", 4))
        r = refuse(img, "there is no trailer");
    if (r < 0)
        return r;
    uint64_t fork = be64_get(t + 24), sectors = be64_get(t + 492);
    if (be64_get(t + 216) && be64_get(t + 224))
        r = plist_read(img, c, be64_get(t + 216), be64_get(t + 224), fork, io);
    else if (be64_get(t + 48))
        r = fork_read(img, c, be64_get(t + 40), be64_get(t + 48), fork, io);
    else
        r = refuse(img, "neither a property list nor a resource fork");
    if (r < 0)
        return r;
    if (c->n > 8192)
        for (uint64_t i = 1; i < c->n; i++)
            if (c->v[i].start < c->v[i - 1].start)
                return refuse(img, "too many chunks out of order");
    sort(c->v, c->n);
    uint64_t end = c->n ? c->v[c->n - 1].start + c->v[c->n - 1].len : 0;
    img->size = sectors >> 50 || sectors * IMG_SECTOR < end ? end : sectors * IMG_SECTOR;
    return chunks_ready(img, c);
}

const struct img_driver img_dmg = {
    .name = "dmg",
    .open = dmg_open,
    .close = chunks_close,
    .map = chunks_map,
    .read_packed = chunks_read,
    .no_info = true,
};
