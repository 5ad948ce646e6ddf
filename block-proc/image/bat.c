/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Blocks found through a table: in place where they are, else new ones behind the end of the file. Order:
 * room, content, entry; what is cut off in between leaves the old content and unused bytes at the end.
 */
#include "block-proc/image/bat.h"

#include <errno.h>
#include <stdlib.h>
#include "block-proc/image/bytes.h"
#include "ipc/log.h"

static int place_get(struct img *img, uint64_t block, struct bat_place *p, struct img_io *io)
{
    memset(p, 0, sizeof(*p));
    int r = img->bat->get(img, block, p, io);
    if (!p->file)
        p->file = img->file;
    return r;
}

int bat_map(struct img *img, uint64_t off, uint64_t len, struct img_extent *e, struct img_io *io)
{
    uint64_t size = img->cluster, in = off % size, block = off / size, n = 1;
    struct bat_place p, next;
    int r = place_get(img, block, &p, io);
    if (r < 0)
        return r;
    for (; p.kind != IMG_PACKED && n * size < in + len && (block + n) * size < img->size; n++) {
        r = place_get(img, block + n, &next, io);
        if (r < 0 || next.kind != p.kind || (p.kind == IMG_DATA && (next.file != p.file || next.host != p.host + n * size)))
            break;
    }
    *e = (struct img_extent){.kind = p.kind, .len = n * size - in, .file = p.file, .allocated = p.kind == IMG_DATA};
    e->host = p.kind == IMG_DATA ? p.host + in : 0;
    return 0;
}

/* What the disk shows of [off, off+len) is written to host. */
static int copy_old(struct img *img, uint64_t off, const struct bat_place *to, uint64_t in, uint64_t len, struct img_io *io)
{
    for (uint64_t at = 0; at < len;) {
        size_t part = len - at < IMG_BOUNCE_SIZE ? (size_t)(len - at) : IMG_BOUNCE_SIZE;
        size_t seen = off + at >= img->size ? 0 : img->size - off - at < part ? (size_t)(img->size - off - at) : part;
        struct iovec v = {io->cow, seen};
        int r = img_read_locked(img, &(struct img_buf){&v, 1, 0, seen}, off + at, io);
        memset(io->cow + seen, 0, part - seen);
        if (r == 0)
            r = img_file_write(to->file, io->cow, part, to->host + in + at, io);
        if (r < 0)
            return r;
        at += part;
    }
    return 0;
}

/* Room at the file's end is zeros by itself. *fresh: it is such room. */
static int room_get(struct img *img, uint64_t block, struct bat_place *p, bool *fresh, struct img_io *io)
{
    int64_t before = img_file_length(img->file);
    int r = img->bat->room ? img->bat->room(img, block, p, io) : -EROFS;
    if (r < 0)
        return r;
    if (!p->file)
        p->file = img->file;
    else if (p->file != img->file) /* a part grows by its room alone, which is new */
        before = (int64_t)p->host;
    *fresh = before >= 0 && p->host >= (uint64_t)before;
    if (*fresh && img_file_length(p->file) < (int64_t)(p->host + img->cluster) &&
        img_file_resize(p->file, p->host + img->cluster, io) < 0)
        *fresh = false; /* a device: its old bytes are there */
    return 0;
}

static int write_new(struct img *img, const struct img_buf *b, uint64_t off, const struct bat_place *old, struct img_io *io)
{
    uint64_t size = img->cluster, in = off % size, start = off - in;
    struct bat_place to = {.kind = IMG_DATA};
    bool fresh;
    pthread_mutex_lock(&img->lock);
    int r = room_get(img, start / size, &to, &fresh, io);
    pthread_mutex_unlock(&img->lock);
    if (r < 0)
        return r;
    bool zeros = old->kind == IMG_ZERO || (old->kind == IMG_HOLE && !img->backing);
    if (!(fresh && zeros))
        r = copy_old(img, start, &to, 0, in, io);
    if (r == 0)
        r = img_file_writev(to.file, b, to.host + in, io);
    if (r == 0 && !(fresh && zeros))
        r = copy_old(img, off + b->len, &to, in + b->len, size - in - b->len, io);
    pthread_mutex_lock(&img->lock);
    if (r == 0)
        r = img->bat->put(img, start / size, &to, io);
    pthread_mutex_unlock(&img->lock);
    return r;
}

/* Inside one block. */
static int write_block(struct img *img, const struct img_buf *b, uint64_t off, struct img_io *io)
{
    struct bat_place p;
    int r;
    for (bool exclusive = false;; exclusive = true) {
        struct img_range *range = img_range_take(img, off, b->len, exclusive);
        pthread_mutex_lock(&img->lock);
        r = place_get(img, off / img->cluster, &p, io);
        pthread_mutex_unlock(&img->lock);
        bool done = r < 0 || p.kind == IMG_DATA || exclusive;
        if (r == 0 && p.kind == IMG_DATA)
            r = img_file_writev(p.file, b, p.host + off % img->cluster, io);
        else if (r == 0 && exclusive)
            r = write_new(img, b, off, &p, io);
        img_range_drop(img, range);
        if (done)
            return r;
    }
}

int bat_write(struct img *img, const struct img_buf *b, uint64_t off, struct img_io *io)
{
    for (size_t at = 0; at < b->len;) {
        uint64_t left = img->cluster - (off + at) % img->cluster;
        struct img_buf part = img_buf_part(b, at, b->len - at < left ? b->len - at : (size_t)left);
        int r = write_block(img, &part, off + at, io);
        if (r < 0)
            return r;
        at += part.len;
    }
    return 0;
}

/* A whole block, or one that reads as zeros anyway. *done: nothing needs to be written. */
static int zero_block(struct img *img, uint64_t off, uint64_t len, bool *done, struct img_io *io)
{
    struct bat_place p;
    struct img_range *range = img_range_take(img, off, len, true);
    pthread_mutex_lock(&img->lock);
    int r = place_get(img, off / img->cluster, &p, io);
    *done = r == 0 && (p.kind == IMG_ZERO || (p.kind == IMG_HOLE && !img->backing && !img->backing_name[0]));
    bool whole = off % img->cluster == 0 && (len == img->cluster || off + len == img->size);
    if (r == 0 && !*done && whole && p.kind == IMG_HOLE && img->bat->put_zero) {
        r = img->bat->put_zero(img, off / img->cluster, io);
        *done = r == 0;
    }
    pthread_mutex_unlock(&img->lock);
    img_range_drop(img, range);
    return r;
}

int bat_zero(struct img *img, uint64_t off, uint64_t len, bool unmap, struct img_io *io)
{
    (void)unmap; /* no format here gives a block back */
    while (len) {
        uint64_t part = img->cluster - off % img->cluster;
        bool done;
        part = part < len ? part : len;
        int r = zero_block(img, off, part, &done, io);
        if (r == 0 && !done)
            r = img_write_zeros(img, off, part, io);
        if (r < 0)
            return r;
        off += part;
        len -= part;
    }
    return 0;
}

int bat_table_read(struct img *img, struct bat_table *t, struct img_io *io)
{
    if (t->n > BAT_TABLE_MAX / 4 || t->at > img->file->size || t->n * 4 > img->file->size - t->at) {
        log_error("%s: the block table lies behind the end of the file", img->name);
        return -EINVAL;
    }
    t->e = calloc(t->n ? t->n : 1, 4);
    int r = t->e ? img_file_read(img->file, t->e, (size_t)t->n * 4, t->at, io) : -ENOMEM;
    for (uint64_t i = 0; r == 0 && i < t->n; i++)
        t->e[i] = t->big ? be32toh(t->e[i]) : le32toh(t->e[i]);
    return r;
}

int bat_table_put(struct img *img, struct bat_table *t, uint64_t i, uint32_t v, struct img_io *io)
{
    uint32_t disk = t->big ? htobe32(v) : htole32(v);
    int r = img_file_write(img->file, &disk, 4, t->at + 4 * i, io);
    if (r == 0)
        t->e[i] = v;
    return r;
}

/* Heapsort: in place, whatever the image says. (libc's qsort asks the kernel how much memory there is.) */
static void sift(uint64_t *v, uint64_t i, uint64_t n)
{
    for (uint64_t child; (child = 2 * i + 1) < n; i = child) {
        child += child + 1 < n && v[child + 1] > v[child];
        if (v[i] >= v[child])
            return;
        uint64_t t = v[i];
        v[i] = v[child];
        v[child] = t;
    }
}

static void sort(uint64_t *v, uint64_t n)
{
    for (uint64_t i = n / 2; i-- > 0;)
        sift(v, i, n);
    for (uint64_t end = n; end-- > 1;) {
        uint64_t t = v[0];
        v[0] = v[end];
        v[end] = t;
        sift(v, 0, end);
    }
}

int bat_places_check(struct img *img, struct bat_places *p, uint64_t low, uint64_t span, uint64_t *end)
{
    sort(p->host, p->n);
    *end = low;
    for (uint64_t i = 0; i < p->n; i++) {
        if (p->host[i] < *end) {
            log_error("%s: two blocks, or a block and a table, lie at offset %#llx", img->name,
                      (unsigned long long)p->host[i]);
            return -EINVAL;
        }
        if (p->host[i] >= img->file->size || p->host[i] >> 62) {
            log_error("%s: a block at offset %#llx lies behind the end of the file", img->name,
                      (unsigned long long)p->host[i]);
            return -EINVAL;
        }
        *end = p->host[i] + span;
    }
    return 0;
}

int bat_check(struct img *img, struct img_check *c, bool fix, struct img_io *io)
{
    (void)fix;
    c->total = (img->size + img->cluster - 1) / img->cluster;
    uint64_t before = 0;
    for (uint64_t i = 0; i < c->total; i++) {
        struct bat_place p;
        pthread_mutex_lock(&img->lock);
        int r = place_get(img, i, &p, io);
        pthread_mutex_unlock(&img->lock);
        if (r < 0)
            return r;
        if (p.kind != IMG_DATA)
            continue;
        c->fragmented += c->allocated && p.host != before + img->cluster;
        c->allocated++;
        before = p.host;
    }
    return 0;
}
