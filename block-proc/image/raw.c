/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Raw images: a file or a host block device, buffered or with O_DIRECT. Must never report success for
 * bytes that did not reach the kernel.
 */
#include "block-proc/image/image.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "ipc/log.h"
#include "vhost-user/vq.h"

#define SECTOR 512u

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

int img_open(struct img *img, int fd, bool readonly)
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
    img->sectors = ((uint64_t)size + SECTOR - 1) / SECTOR;
    return -pthread_rwlock_init(&img->rmw, NULL);
}

/* What is left of iov after its first `skip` bytes, in rest. */
static unsigned iov_rest(const struct iovec *iov, unsigned n, size_t skip, struct iovec *rest)
{
    unsigned out = 0;
    for (unsigned i = 0; i < n; i++) {
        if (skip >= iov[i].iov_len) {
            skip -= iov[i].iov_len;
            continue;
        }
        rest[out].iov_base = (uint8_t *)iov[i].iov_base + skip;
        rest[out++].iov_len = iov[i].iov_len - skip;
        skip = 0;
    }
    return out;
}

static void zero_tail(const struct iovec *iov, unsigned n, size_t from)
{
    struct iovec rest[VQ_CHAIN_MAX];
    unsigned r = iov_rest(iov, n, from, rest);
    for (unsigned i = 0; i < r; i++)
        memset(rest[i].iov_base, 0, rest[i].iov_len);
}

static void kernel(struct img_io *io, bool inside)
{
    if (io->kernel)
        io->kernel(io->opaque, inside);
}

/* One call after the other until everything is moved. *done: bytes moved. 0 at the end of the file.
 * #syscalls:block preadv pwritev */
static int transfer(int fd, bool write, const struct iovec *iov, unsigned n, uint64_t off,
                    size_t len, size_t *done, struct img_io *io)
{
    struct iovec rest[VQ_CHAIN_MAX];
    *done = 0;
    while (*done < len) {
        const struct iovec *v = iov;
        unsigned vn = n;
        if (*done) {
            vn = iov_rest(iov, n, *done, rest);
            v = rest;
        }
        off_t at = (off_t)(off + *done);
        kernel(io, true);
        ssize_t r = write ? pwritev(fd, v, (int)vn, at) : preadv(fd, v, (int)vn, at);
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

static size_t iov_len(const struct iovec *iov, unsigned n)
{
    size_t len = 0;
    for (unsigned i = 0; i < n; i++)
        len += iov[i].iov_len;
    return len;
}

static bool iov_aligned(const struct iovec *iov, unsigned n, uint32_t align)
{
    for (unsigned i = 0; i < n; i++)
        if ((uintptr_t)iov[i].iov_base % align || iov[i].iov_len % align)
            return false;
    return true;
}

/* Reads whole blocks around [off, off+len) into bounce; zeros behind the end of the file. */
static int bounce_fill(struct img *img, uint64_t off, size_t len, struct img_io *io)
{
    size_t done = 0;
    struct iovec v = {io->bounce, len};
    while (done < len) {
        size_t part;
        v.iov_base = io->bounce + done;
        v.iov_len = len - done;
        int r = transfer(img->fd, false, &v, 1, off + done, v.iov_len, &part, io);
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

static struct span span_next(const struct img *img, uint64_t off, size_t left)
{
    struct span s;
    s.start = off - off % img->align;
    s.head = (size_t)(off - s.start);
    s.want = IMG_BOUNCE_SIZE - s.head < left ? IMG_BOUNCE_SIZE - s.head : left;
    s.len = (s.head + s.want + img->align - 1) / img->align * img->align;
    return s;
}

static int read_bounced(struct img *img, const struct iovec *iov, unsigned n, uint64_t off,
                        size_t len, struct img_io *io)
{
    for (size_t done = 0; done < len;) {
        struct span s = span_next(img, off + done, len - done);
        int r = bounce_fill(img, s.start, s.len, io);
        if (r < 0)
            return r;
        buf_to_iov(iov, n, done, io->bounce + s.head, s.want);
        done += s.want;
    }
    return 0;
}

/* Read-modify-write keeps every other writer out: two of them in one block would undo each other. */
static int write_span(struct img *img, const struct span *s, const struct iovec *iov, unsigned n,
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
        iov_to_buf(iov, n, from, io->bounce + s->head, s->want);
        r = transfer(img->fd, true, &v, 1, s->start, s->len, &done, io);
    }
    pthread_rwlock_unlock(&img->rmw);
    return r;
}

static int write_bounced(struct img *img, const struct iovec *iov, unsigned n, uint64_t off,
                         size_t len, struct img_io *io)
{
    for (size_t done = 0; done < len;) {
        struct span s = span_next(img, off + done, len - done);
        int r = write_span(img, &s, iov, n, done, io);
        if (r < 0)
            return r;
        done += s.want;
    }
    return 0;
}

int img_read(struct img *img, const struct iovec *iov, unsigned n, uint64_t off, struct img_io *io)
{
    size_t len = iov_len(iov, n), done;
    if (img->direct && (off % img->align || len % img->align || !iov_aligned(iov, n, img->align)))
        return read_bounced(img, iov, n, off, len, io);
    int r = transfer(img->fd, false, iov, n, off, len, &done, io);
    if (r == -EINVAL && img->direct) /* continued behind an odd end of the file */
        return read_bounced(img, iov, n, off, len, io);
    if (r == 0 && done < len)
        zero_tail(iov, n, done);
    return r;
}

int img_write(struct img *img, const struct iovec *iov, unsigned n, uint64_t off, struct img_io *io)
{
    size_t len = iov_len(iov, n), done;
    if (!img->direct)
        return transfer(img->fd, true, iov, n, off, len, &done, io);
    if (off % img->align || len % img->align || !iov_aligned(iov, n, img->align))
        return write_bounced(img, iov, n, off, len, io);
    pthread_rwlock_rdlock(&img->rmw);
    int r = transfer(img->fd, true, iov, n, off, len, &done, io);
    pthread_rwlock_unlock(&img->rmw);
    return r;
}

/* #syscalls:block fdatasync */
int img_flush(struct img *img, struct img_io *io)
{
    kernel(io, true);
    int r = fdatasync(img->fd) < 0 ? -errno : 0;
    kernel(io, false);
    return r;
}

/* #syscalls:block fallocate */
static int allocate(struct img *img, int mode, uint64_t off, uint64_t len, struct img_io *io)
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

int img_discard(struct img *img, uint64_t off, uint64_t len, struct img_io *io)
{
    int r = allocate(img, FALLOC_FL_PUNCH_HOLE, off, len, io);
    return r == -EOPNOTSUPP ? 0 : r;
}

static int write_zeros(struct img *img, uint64_t off, uint64_t len, struct img_io *io)
{
    static const uint8_t zeros[64 << 10] __attribute__((aligned(IMG_ALIGN_MAX)));
    while (len) {
        size_t part = len < sizeof(zeros) ? (size_t)len : sizeof(zeros);
        struct iovec v = {(void *)(uintptr_t)zeros, part};
        int r = img_write(img, &v, 1, off, io);
        if (r < 0)
            return r;
        off += part;
        len -= part;
    }
    return 0;
}

int img_zero(struct img *img, uint64_t off, uint64_t len, bool unmap, struct img_io *io)
{
    int r = allocate(img, unmap ? FALLOC_FL_PUNCH_HOLE : FALLOC_FL_ZERO_RANGE, off, len, io);
    return r == -EOPNOTSUPP ? write_zeros(img, off, len, io) : r;
}
