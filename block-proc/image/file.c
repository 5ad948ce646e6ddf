/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Host files under an image: a regular file or a block device, buffered or with O_DIRECT. Must never
 * report success for bytes that did not reach the kernel.
 */
#include "block-proc/image/file.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "ipc/log.h"
#include "vhost-user/vq.h"

#define SECTOR 512u
#define WINDOW 128 /* pieces in one system call */

/* The kernel tells what it accepts: 512 where it can, else 4096. Before the filter is on. */
static uint32_t direct_align(int fd)
{
    uint8_t *buf = NULL;
    uint32_t align = IMG_ALIGN_MAX;
    if (posix_memalign((void **)&buf, IMG_ALIGN_MAX, 2 * IMG_ALIGN_MAX) != 0)
        return align;
    /* Both the address and the length are tried at 512. */
    if (pread(fd, buf + SECTOR, SECTOR, 0) >= 0)
        align = SECTOR;
    free(buf);
    return align;
}

int img_file_open(struct img_file *img, int fd, bool readonly)
{
    off_t size = lseek(fd, 0, SEEK_END);
    int flags = fcntl(fd, F_GETFL);
    if (size < 0 || flags < 0) {
        int err = -errno;
        log_error("the image has no size: %s", strerror(-err));
        return err;
    }
    if (!readonly && (flags & O_ACCMODE) != O_RDWR) {
        log_error("the image is not open for writing");
        return -EBADF;
    }
    memset(img, 0, sizeof(*img));
    img->fd = fd;
    img->readonly = readonly;
    img->direct = flags & O_DIRECT;
    img->align = img->direct ? direct_align(fd) : 1;
    img->size = (uint64_t)size;
    return -pthread_rwlock_init(&img->rmw, NULL);
}

/* A window of at most `max` pieces of the buffer, from byte `from` on. */
static unsigned window(const struct img_buf *b, size_t from, struct iovec *out, unsigned max)
{
    size_t skip = b->skip + from, left = b->len - from;
    unsigned n = 0;
    for (unsigned i = 0; i < b->n && n < max && left; i++) {
        if (skip >= b->iov[i].iov_len) {
            skip -= b->iov[i].iov_len;
            continue;
        }
        size_t part = b->iov[i].iov_len - skip;
        out[n].iov_base = (uint8_t *)b->iov[i].iov_base + skip;
        out[n++].iov_len = part < left ? part : left;
        left -= part < left ? part : left;
        skip = 0;
    }
    return n;
}

void img_buf_zero(const struct img_buf *b, size_t from)
{
    struct iovec v[WINDOW];
    while (from < b->len) {
        unsigned n = window(b, from, v, WINDOW);
        for (unsigned i = 0; i < n; i++) {
            memset(v[i].iov_base, 0, v[i].iov_len);
            from += v[i].iov_len;
        }
    }
}

void img_buf_fill(const struct img_buf *b, size_t at, const void *src, size_t len)
{
    buf_to_iov(b->iov, b->n, b->skip + at, src, len);
}

void img_buf_copy(const struct img_buf *b, void *dst, size_t len)
{
    iov_to_buf(b->iov, b->n, b->skip, dst, len);
}

struct img_buf img_buf_part(const struct img_buf *b, size_t from, size_t len)
{
    return (struct img_buf){b->iov, b->n, b->skip + from, len};
}

static void kernel(struct img_io *io, bool inside)
{
    if (io->kernel)
        io->kernel(io->opaque, inside);
}

/* One call after the other until everything is moved. *done: bytes moved. 0 at the end of the file.
 * #syscalls:block preadv pwritev */
static int transfer(int fd, bool write, const struct img_buf *b, uint64_t off, size_t *done,
                    struct img_io *io)
{
    struct iovec v[WINDOW];
    *done = 0;
    while (*done < b->len) {
        int n = (int)window(b, *done, v, WINDOW);
        off_t at = (off_t)(off + *done);
        kernel(io, true);
        ssize_t r = write ? pwritev(fd, v, n, at) : preadv(fd, v, n, at);
        kernel(io, false);
        if (r < 0 && errno == EINTR)
            continue;
        if (r < 0)
            return -errno;
        if (r == 0)
            return write ? -EIO : 0;
        *done += (size_t)r;
    }
    return 0;
}

static bool buf_aligned(const struct img_buf *b, uint32_t align)
{
    struct iovec v[WINDOW];
    for (size_t at = 0; at < b->len;) {
        unsigned n = window(b, at, v, WINDOW);
        for (unsigned i = 0; i < n; i++) {
            if ((uintptr_t)v[i].iov_base % align || v[i].iov_len % align)
                return false;
            at += v[i].iov_len;
        }
    }
    return true;
}

/* Reads whole blocks around [off, off+len) into bounce; zeros behind the end of the file. */
static int bounce_fill(struct img_file *img, uint64_t off, size_t len, struct img_io *io)
{
    size_t done = 0;
    while (done < len) {
        size_t part;
        struct iovec v = {io->bounce + done, len - done};
        struct img_buf b = {&v, 1, 0, v.iov_len};
        int r = transfer(img->fd, false, &b, off + done, &part, io);
        /* A short read that is not a multiple of the block size is the end of the file. */
        if (r == -EINVAL && done)
            break;
        if (r < 0)
            return r;
        if (part == 0)
            break;
        done += part;
    }
    memset(io->bounce + done, 0, len - done);
    return 0;
}

struct span { /* of one bounce step, block aligned around the wanted bytes */
    uint64_t start;
    size_t len, head, want;
};

static struct span span_next(const struct img_file *img, uint64_t off, size_t left)
{
    struct span s;
    s.start = off - off % img->align;
    s.head = (size_t)(off - s.start);
    s.want = IMG_BOUNCE_SIZE - s.head < left ? IMG_BOUNCE_SIZE - s.head : left;
    s.len = (s.head + s.want + img->align - 1) / img->align * img->align;
    return s;
}

static int read_bounced(struct img_file *img, const struct img_buf *b, uint64_t off,
                        struct img_io *io)
{
    for (size_t done = 0; done < b->len;) {
        struct span s = span_next(img, off + done, b->len - done);
        int r = bounce_fill(img, s.start, s.len, io);
        if (r < 0)
            return r;
        buf_to_iov(b->iov, b->n, b->skip + done, io->bounce + s.head, s.want);
        done += s.want;
    }
    return 0;
}

/* Read-modify-write keeps every other writer out: two of them in one block would undo each other. */
static int write_span(struct img_file *img, const struct span *s, const struct img_buf *b,
                      size_t from, struct img_io *io)
{
    bool part = s->head || s->want != s->len;
    int r = 0;
    if (part)
        pthread_rwlock_wrlock(&img->rmw);
    else
        pthread_rwlock_rdlock(&img->rmw);
    if (part)
        r = bounce_fill(img, s->start, s->len, io);
    if (r == 0) {
        struct iovec v = {io->bounce, s->len};
        size_t done;
        struct img_buf whole = {&v, 1, 0, s->len};
        iov_to_buf(b->iov, b->n, b->skip + from, io->bounce + s->head, s->want);
        r = transfer(img->fd, true, &whole, s->start, &done, io);
    }
    pthread_rwlock_unlock(&img->rmw);
    return r;
}

static int write_bounced(struct img_file *img, const struct img_buf *b, uint64_t off,
                         struct img_io *io)
{
    for (size_t done = 0; done < b->len;) {
        struct span s = span_next(img, off + done, b->len - done);
        int r = write_span(img, &s, b, done, io);
        if (r < 0)
            return r;
        done += s.want;
    }
    return 0;
}

int img_file_readv(struct img_file *img, const struct img_buf *b, uint64_t off, struct img_io *io)
{
    size_t done;
    if (img->direct && (off % img->align || b->len % img->align || !buf_aligned(b, img->align)))
        return read_bounced(img, b, off, io);
    int r = transfer(img->fd, false, b, off, &done, io);
    if (r == -EINVAL && img->direct) /* continued behind an odd end of the file */
        return read_bounced(img, b, off, io);
    if (r == 0 && done < b->len)
        img_buf_zero(b, done);
    return r;
}

int img_file_writev(struct img_file *img, const struct img_buf *b, uint64_t off, struct img_io *io)
{
    size_t done;
    if (!img->direct)
        return transfer(img->fd, true, b, off, &done, io);
    if (off % img->align || b->len % img->align || !buf_aligned(b, img->align))
        return write_bounced(img, b, off, io);
    pthread_rwlock_rdlock(&img->rmw);
    int r = transfer(img->fd, true, b, off, &done, io);
    pthread_rwlock_unlock(&img->rmw);
    return r;
}

int img_file_read(struct img_file *img, void *buf, size_t len, uint64_t off, struct img_io *io)
{
    struct iovec v = {buf, len};
    return img_file_readv(img, &(struct img_buf){&v, 1, 0, len}, off, io);
}

int img_file_write(struct img_file *img, const void *buf, size_t len, uint64_t off, struct img_io *io)
{
    struct iovec v = {(void *)(uintptr_t)buf, len};
    return img_file_writev(img, &(struct img_buf){&v, 1, 0, len}, off, io);
}

/* #syscalls:block ftruncate */
int img_file_resize(struct img_file *img, uint64_t size, struct img_io *io)
{
    kernel(io, true);
    int r = ftruncate(img->fd, (off_t)size) < 0 ? -errno : 0;
    kernel(io, false);
    if (r == 0)
        img->size = size;
    return r;
}

/* #syscalls:block lseek */
int64_t img_file_length(struct img_file *img)
{
    off_t size = lseek(img->fd, 0, SEEK_END);
    return size < 0 ? -errno : size;
}

/* A file system without holes calls everything data. */
bool img_file_hole(struct img_file *img, uint64_t off, uint64_t *len)
{
    off_t data = lseek(img->fd, (off_t)off, SEEK_DATA);
    if (data < 0 && errno == ENXIO) {
        off_t end = lseek(img->fd, 0, SEEK_END);
        return end >= 0 && off < (uint64_t)end;
    }
    if (data > (off_t)off) {
        if ((uint64_t)data - off < *len)
            *len = (uint64_t)data - off;
        return true;
    }
    off_t hole = data < 0 ? -1 : lseek(img->fd, (off_t)off, SEEK_HOLE);
    if (hole > (off_t)off && (uint64_t)hole - off < *len)
        *len = (uint64_t)hole - off;
    return false;
}

/* #syscalls:block fdatasync */
int img_file_flush(struct img_file *img, struct img_io *io)
{
    if (img->unsafe)
        return 0;
    kernel(io, true);
    int r = fdatasync(img->fd) < 0 ? -errno : 0;
    kernel(io, false);
    return r;
}

/* #syscalls:block fallocate */
static int allocate(struct img_file *img, int mode, uint64_t off, uint64_t len, struct img_io *io)
{
    int r;
    kernel(io, true);
    do
        r = fallocate(img->fd, mode | FALLOC_FL_KEEP_SIZE, (off_t)off, (off_t)len);
    while (r < 0 && errno == EINTR);
    kernel(io, false);
    if (r == 0)
        return 0;
    /* ENODEV, EINVAL: what some devices and old file systems say instead. */
    return errno == ENODEV || errno == EINVAL || errno == ENOSYS ? -EOPNOTSUPP : -errno;
}

int img_file_discard(struct img_file *img, uint64_t off, uint64_t len, struct img_io *io)
{
    int r = allocate(img, FALLOC_FL_PUNCH_HOLE, off, len, io);
    return r == -EOPNOTSUPP ? 0 : r;
}

static int write_zeros(struct img_file *img, uint64_t off, uint64_t len, struct img_io *io)
{
    static const uint8_t zeros[64 << 10] __attribute__((aligned(IMG_ALIGN_MAX)));
    while (len) {
        size_t part = len < sizeof(zeros) ? (size_t)len : sizeof(zeros);
        int r = img_file_write(img, zeros, part, off, io);
        if (r < 0)
            return r;
        off += part;
        len -= part;
    }
    return 0;
}

int img_file_zero(struct img_file *img, uint64_t off, uint64_t len, bool unmap, struct img_io *io)
{
    if (off + len > img->size) /* KEEP_SIZE below: what grows the file is written */
        return write_zeros(img, off, len, io);
    int r = allocate(img, unmap ? FALLOC_FL_PUNCH_HOLE : FALLOC_FL_ZERO_RANGE, off, len, io);
    return r == -EOPNOTSUPP ? write_zeros(img, off, len, io) : r;
}
