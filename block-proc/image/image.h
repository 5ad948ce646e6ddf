/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A disk image as the request handling sees it: bytes at offsets, synchronous, callable from several
 * I/O threads at once. Only synchronous system calls are used: a killed process then has no I/O left
 * that could overwrite what its successor writes. Must never know about queues or requests.
 */
#ifndef BULKHEAD_BLOCK_PROC_IMAGE_IMAGE_H
#define BULKHEAD_BLOCK_PROC_IMAGE_IMAGE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#define IMG_BOUNCE_SIZE (256u << 10)
#define IMG_ALIGN_MAX   4096u

struct img {
    int fd;
    bool readonly;
    bool direct;     /* O_DIRECT: offsets, lengths and addresses are aligned to `align` */
    uint32_t align;  /* 1 without O_DIRECT */
    uint64_t sectors; /* of 512 bytes, rounded up: what lies behind the end reads as zeros */
    pthread_rwlock_t rmw; /* written by read-modify-write of a part of a block */
};

/* What an I/O thread brings along. */
struct img_io {
    uint8_t *bounce; /* IMG_BOUNCE_SIZE bytes aligned to IMG_ALIGN_MAX; only needed with O_DIRECT */
    void (*kernel)(void *opaque, bool inside); /* around each system call; may be NULL */
    void *opaque;
};

/* Looks at an open image. 0, or -errno after logging why. */
int img_open(struct img *img, int fd, bool readonly);
/* off and the total length of iov are multiples of 512; io is private to the calling thread. All return
 * 0 or -errno. */
int img_read(struct img *img, const struct iovec *iov, unsigned n, uint64_t off, struct img_io *io);
int img_write(struct img *img, const struct iovec *iov, unsigned n, uint64_t off, struct img_io *io);
int img_flush(struct img *img, struct img_io *io);
/* The content of the range becomes undefined or zero; a file system that cannot is no error. */
int img_discard(struct img *img, uint64_t off, uint64_t len, struct img_io *io);
/* The range reads as zeros afterwards. unmap: storage may be given back. */
int img_zero(struct img *img, uint64_t off, uint64_t len, bool unmap, struct img_io *io);

#endif
