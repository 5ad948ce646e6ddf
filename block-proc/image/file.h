/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A host file or block device as images use it: bytes at offsets, synchronous, callable from several
 * I/O threads at once. Only synchronous system calls are used: a killed process then has no I/O left
 * that could overwrite what its successor writes. Must never know about formats or requests.
 */
#ifndef BULKHEAD_BLOCK_PROC_IMAGE_FILE_H
#define BULKHEAD_BLOCK_PROC_IMAGE_FILE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#define IMG_BOUNCE_SIZE (256u << 10)
#define IMG_ALIGN_MAX   4096u

struct img_file {
    int fd;
    bool readonly;
    bool unsafe;    /* flushes do nothing: what is written can be made again (cache=unsafe) */
    bool direct;    /* O_DIRECT: offsets, lengths and addresses are aligned to `align` */
    uint32_t align; /* 1 without O_DIRECT */
    uint64_t size;  /* bytes when it was opened or resized: what lies behind the end reads as zeros */
    pthread_rwlock_t rmw; /* written by read-modify-write of a part of a block */
};

/* len bytes of a scattered buffer, its first `skip` bytes left out. */
struct img_buf {
    const struct iovec *iov;
    unsigned n;
    size_t skip, len;
};

/* What an I/O thread brings along: private to it, allocated when it starts. */
struct img_io {
    uint8_t *bounce; /* IMG_BOUNCE_SIZE bytes aligned to IMG_ALIGN_MAX; only needed with O_DIRECT */
    uint8_t *cow;    /* IMG_BOUNCE_SIZE bytes aligned likewise: copies between image files */
    struct img_codec *codec; /* decompression, NULL when no image of the chain needs it */
    void (*kernel)(void *opaque, bool inside); /* around each system call; may be NULL */
    void *opaque;
};

/* Looks at an open file. 0, or -errno after logging why. */
int img_file_open(struct img_file *f, int fd, bool readonly);
int img_file_readv(struct img_file *f, const struct img_buf *b, uint64_t off, struct img_io *io);
int img_file_writev(struct img_file *f, const struct img_buf *b, uint64_t off, struct img_io *io);
int img_file_read(struct img_file *f, void *buf, size_t len, uint64_t off, struct img_io *io);
int img_file_write(struct img_file *f, const void *buf, size_t len, uint64_t off, struct img_io *io);
int img_file_flush(struct img_file *f, struct img_io *io);
/* The content of the range becomes undefined or zero; a file system that cannot is no error. */
int img_file_discard(struct img_file *f, uint64_t off, uint64_t len, struct img_io *io);
/* The range reads as zeros afterwards. unmap: storage may be given back. */
int img_file_zero(struct img_file *f, uint64_t off, uint64_t len, bool unmap, struct img_io *io);
int img_file_resize(struct img_file *f, uint64_t size, struct img_io *io);
/* Its size now, or -errno. */
int64_t img_file_length(struct img_file *f);
/* Is there a hole at off? *len is cut to where the answer changes. */
bool img_file_hole(struct img_file *f, uint64_t off, uint64_t *len);

struct img_buf img_buf_part(const struct img_buf *b, size_t from, size_t len);
/* Copies len bytes to byte `at` of the buffer. */
void img_buf_fill(const struct img_buf *b, size_t at, const void *src, size_t len);
/* The first len bytes of the buffer. */
void img_buf_copy(const struct img_buf *b, void *dst, size_t len);
void img_buf_zero(const struct img_buf *b, size_t from);

#endif
