/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The log of a VHDX image ([MS-VHDX] 2.3): replay of what a killed or powered-off writer left, and the one way in which
 * tables are changed. Must never replay an entry that is not whole, or one of another log.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>
#include "block-proc/image/bytes.h"
#include "block-proc/image/vhdx.h"
#include "ipc/log.h"

#define ENTRY_HEADER 64u
#define DESCRIPTOR   32u
#define AT_LOG_GUID  48u /* in the header */

static int refuse(struct img *img, const char *what)
{
    log_error("%s: vhdx: %s", img->name, what);
    return -EINVAL;
}

/* CRC-32C, bit by bit over a table made once. */
uint32_t vhdx_crc32c(const void *p, size_t n, size_t field)
{
    static uint32_t table[256]; /* threads that meet here write the same */
    uint32_t crc = UINT32_MAX;
    const uint8_t *b = p;
    for (uint32_t i = 0; !table[255] && i < 256; i++) {
        uint32_t c = i;
        for (int k = 0; k < 8; k++)
            c = c & 1 ? c >> 1 ^ 0x82f63b78u : c >> 1;
        table[i] = c;
    }
    for (size_t i = 0; i < n; i++)
        crc = table[(crc ^ (i - field < 4 ? 0 : b[i])) & 0xff] ^ crc >> 8;
    return ~crc;
}

int vhdx_header_write(struct img *img, struct vhdx *v, struct img_io *io)
{
    le64_put(v->header + 8, ++v->sequence);
    le32_put(v->header + 4, 0);
    le32_put(v->header + 4, vhdx_crc32c(v->header, VHDX_PAGE, 4));
    v->header_at = v->header_at == VHDX_HEADER_1 ? VHDX_HEADER_2 : VHDX_HEADER_1;
    int r = img_file_write(img->file, v->header, VHDX_PAGE, v->header_at, io);
    return r < 0 ? r : img_file_flush(img->file, io);
}

/* ---- replay */
struct log { /* the whole log in memory */
    uint8_t *b;
    uint32_t len;
    const uint8_t *guid;
    uint8_t *scratch; /* an entry that runs over the log's end, in one piece */
};

/* The entry at `at`, or NULL when there is no whole one. */
static const uint8_t *entry_at(const struct log *l, uint32_t at)
{
    const uint8_t *h = l->b + at;
    uint32_t len = le32_get(h + 8), descriptors = le32_get(h + 24);
    if (memcmp(h, "loge", 4) || memcmp(h + 32, l->guid, 16) || !len || len % VHDX_PAGE || len > l->len)
        return NULL;
    uint32_t first = len < l->len - at ? len : l->len - at;
    memcpy(l->scratch, h, first);
    memcpy(l->scratch + first, l->b, len - first);
    if (vhdx_crc32c(l->scratch, len, 4) != le32_get(h + 4))
        return NULL;
    return (uint64_t)descriptors * DESCRIPTOR + ENTRY_HEADER <= len ? l->scratch : NULL;
}

struct run { /* entries one behind the other */
    uint32_t first, n;
    uint64_t sequence; /* of the last */
    uint32_t tail;
};

static struct run run_from(const struct log *l, uint32_t at)
{
    struct run r = {.first = at};
    const uint8_t *e;
    uint64_t walked = 0;
    while (walked < l->len && (e = entry_at(l, at)) && (r.n == 0 || le64_get(e + 16) == r.sequence + 1)) {
        r.sequence = le64_get(e + 16);
        r.tail = le32_get(e + 12);
        walked += le32_get(e + 8);
        at = (uint32_t)((at + le32_get(e + 8)) % l->len);
        r.n++;
    }
    return r;
}

/* 2.3.2: the run with the highest number whose tail is one of its own entries. */
static struct run run_find(const struct log *l)
{
    struct run best = {0};
    for (uint32_t at = 0; at < l->len; at += VHDX_PAGE) {
        struct run r = run_from(l, at);
        if (r.n && r.sequence > best.sequence && r.tail == r.first)
            best = r;
    }
    return best;
}

static int data_apply(struct img *img, const uint8_t *d, const uint8_t *sector, struct img_io *io)
{
    uint8_t page[VHDX_PAGE];
    if (memcmp(sector, "data", 4) || ((uint64_t)le32_get(sector + 4) << 32 | le32_get(sector + VHDX_PAGE - 4)) != le64_get(d + 24))
        return refuse(img, "a data sector of the log is torn");
    memcpy(page, d + 8, 8);
    memcpy(page + 8, sector + 8, VHDX_PAGE - 12);
    memcpy(page + VHDX_PAGE - 4, d + 4, 4);
    return img_file_write(img->file, page, VHDX_PAGE, le64_get(d + 16), io);
}

static int entry_apply(struct img *img, const uint8_t *e, struct img_io *io)
{
    uint32_t n = le32_get(e + 24), len = le32_get(e + 8);
    uint64_t sectors = round_up(ENTRY_HEADER + (uint64_t)n * DESCRIPTOR, VHDX_PAGE), last = le64_get(e + 56);
    if (last > img->file->size && last < 1ull << 46 && img_file_resize(img->file, last, io) < 0)
        return refuse(img, "the file cannot grow to what the log says");
    for (uint32_t i = 0; i < n; i++) {
        const uint8_t *d = e + ENTRY_HEADER + i * DESCRIPTOR;
        uint64_t at = le64_get(d + 16), zeros = le64_get(d + 8);
        int r = 0;
        if (le64_get(d + 24) != le64_get(e + 16) || at % VHDX_PAGE || at >= img->file->size)
            return refuse(img, "a descriptor of the log is impossible");
        if (!memcmp(d, "zero", 4) && zeros <= img->file->size - at) {
            r = img_file_zero(img->file, at, zeros, false, io);
        } else if (!memcmp(d, "desc", 4) && sectors + VHDX_PAGE <= len) {
            r = data_apply(img, d, e + sectors, io);
            sectors += VHDX_PAGE;
        } else {
            r = refuse(img, "a descriptor of the log is unknown");
        }
        if (r < 0)
            return r;
    }
    return 0;
}

int vhdx_log_replay(struct img *img, struct vhdx *v, struct img_io *io)
{
    struct log l = {malloc(v->log_len), v->log_len, v->header + AT_LOG_GUID, malloc(v->log_len)};
    int r = l.b && l.scratch ? img_file_read(img->file, l.b, v->log_len, v->log_at, io) : -ENOMEM;
    struct run run = {0};
    if (r == 0)
        run = run_find(&l);
    log_warn("%s: was not closed, %u entries of its log are replayed", img->name, run.n);
    for (uint32_t i = 0, at = run.first; r == 0 && i < run.n; i++) {
        const uint8_t *e = entry_at(&l, at);
        r = e ? entry_apply(img, e, io) : -EIO;
        if (e)
            at = (uint32_t)((at + le32_get(e + 8)) % l.len);
    }
    if (r == 0)
        r = img_file_flush(img->file, io);
    free(l.b);
    free(l.scratch);
    memset(v->header + AT_LOG_GUID, 0, 16);
    return r < 0 ? r : vhdx_header_write(img, v, io);
}

/* ---- writing */
/* The header names a log from the first change of a session on; also new write identifiers (2.2.2.1). */
static int log_begin(struct img *img, struct vhdx *v, struct img_io *io)
{
    if (v->log_used)
        return 0;
    if (getrandom(v->header + 16, 48, 0) != 48) /* FileWriteGuid, DataWriteGuid, LogGuid */
        return -EIO;
    v->log_used = true;
    v->log_next = 0;
    v->log_seq = 1;
    return vhdx_header_write(img, v, io);
}

int vhdx_log_write(struct img *img, struct vhdx *v, uint64_t at, const uint8_t *page, struct img_io *io)
{
    uint8_t e[2 * VHDX_PAGE] = {0}, *d = e + ENTRY_HEADER, *s = e + VHDX_PAGE;
    int r = log_begin(img, v, io);
    int64_t size = img_file_length(img->file);
    if (r < 0 || size < 0)
        return r < 0 ? r : (int)size;
    if (v->log_next + sizeof(e) > v->log_len)
        v->log_next = 0;
    memcpy(e, "loge", 4);
    le32_put(e + 8, sizeof(e));
    le32_put(e + 12, (uint32_t)v->log_next); /* what came before is in place: the tail is this entry */
    le64_put(e + 16, v->log_seq);
    le32_put(e + 24, 1);
    memcpy(e + 32, v->header + AT_LOG_GUID, 16);
    le64_put(e + 48, (uint64_t)size);
    le64_put(e + 56, (uint64_t)size);
    memcpy(d, "desc", 4);
    memcpy(d + 4, page + VHDX_PAGE - 4, 4);
    memcpy(d + 8, page, 8);
    le64_put(d + 16, at);
    le64_put(d + 24, v->log_seq);
    memcpy(s, "data", 4);
    le32_put(s + 4, (uint32_t)(v->log_seq >> 32));
    memcpy(s + 8, page + 8, VHDX_PAGE - 12);
    le32_put(s + VHDX_PAGE - 4, (uint32_t)v->log_seq);
    le32_put(e + 4, vhdx_crc32c(e, sizeof(e), 4));
    r = img_file_write(img->file, e, sizeof(e), v->log_at + v->log_next, io);
    if (r == 0)
        r = img_file_flush(img->file, io);
    v->log_next += sizeof(e);
    v->log_seq++;
    if (r == 0)
        r = img_file_write(img->file, page, VHDX_PAGE, at, io);
    /* The next entry says that this one is in place. */
    return r < 0 ? r : img_file_flush(img->file, io);
}
