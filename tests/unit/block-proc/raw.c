/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The raw image: transfers at odd places, alignment by bounce buffer, read-modify-write against
 * concurrent writers, holes. A 4096-byte block device is imitated by setting the alignment by hand.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "block-proc/image/file.h"
#include "ipc/memfd.h"

#define CHECK(c)                                                                                   \
    do {                                                                                           \
        if (!(c)) {                                                                                \
            fprintf(stderr, "FAILED %s:%d: %s\n", __FILE__, __LINE__, #c);                         \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

#define SIZE (4u << 20)

static struct img_file img;
static uint8_t model[SIZE], buf[SIZE];

static size_t length(const struct iovec *v, unsigned n)
{
    size_t len = 0;
    for (unsigned i = 0; i < n; i++)
        len += v[i].iov_len;
    return len;
}

static int writev_at(const struct iovec *v, unsigned n, uint64_t off, struct img_io *io)
{
    return img_file_writev(&img, &(struct img_buf){v, n, 0, length(v, n)}, off, io);
}

static int readv_at(const struct iovec *v, unsigned n, uint64_t off, struct img_io *io)
{
    return img_file_readv(&img, &(struct img_buf){v, n, 0, length(v, n)}, off, io);
}

static void make(uint32_t align, uint64_t size)
{
    int fd = ipc_memfd_create("image", size, 0);
    CHECK(fd >= 0);
    if (img.fd > 0)
        close(img.fd);
    CHECK(img_file_open(&img, fd, false) == 0 && img.size == size && !img.direct);
    if (align > 1) {
        img.direct = true;
        img.align = align;
    }
    memset(model, 0, sizeof(model));
}

static uint8_t *bounce_make(void)
{
    void *p;
    CHECK(posix_memalign(&p, IMG_ALIGN_MAX, IMG_BOUNCE_SIZE) == 0);
    return p;
}

/* Random requests in random pieces, against a model. */
static void test_random(uint32_t align)
{
    struct img_io io = {.bounce = bounce_make()};
    make(align, SIZE);
    for (unsigned n = 0; n < 2000; n++) {
        uint64_t off = (unsigned)rand() % (SIZE / 512 - 1) * 512u;
        uint64_t len = (1 + (unsigned)rand() % (n % 20 ? 16 : 1500)) * 512u;
        struct iovec v[5];
        unsigned parts = 0;
        len = off + len > SIZE ? SIZE - off : len;
        for (uint64_t done = 0; done < len; parts++) {
            uint64_t part = parts == 4 ? len - done : 1 + (unsigned)rand() % (len - done);
            v[parts] = (struct iovec){buf + done, part};
            done += part;
        }
        switch (rand() % 4) {
        case 0:
        case 1:
            for (uint64_t i = 0; i < len; i++)
                model[off + i] = buf[i] = (uint8_t)rand();
            CHECK(writev_at(v, parts, off, &io) == 0);
            break;
        case 2:
            CHECK(img_file_zero(&img, off, len, n & 1, &io) == 0);
            memset(model + off, 0, len);
            break;
        default:
            CHECK(readv_at(v, parts, off, &io) == 0);
            CHECK(!memcmp(buf, model + off, len));
        }
    }
    struct iovec all = {buf, SIZE};
    CHECK(readv_at(&all, 1, 0, &io) == 0 && !memcmp(buf, model, SIZE));
    CHECK(img_file_flush(&img, &io) == 0 && img_file_discard(&img, 0, SIZE, &io) == 0);
    free(io.bounce);
}

/* Eight threads, each with its own sector of the same blocks: no update may be lost. */
static void *sector_writer(void *arg)
{
    unsigned me = (unsigned)(uintptr_t)arg;
    struct img_io io = {.bounce = bounce_make()};
    uint8_t *mine = malloc(4096);
    for (unsigned n = 1; n <= 300; n++) {
        uint64_t off = (n % 4) * 4096 + me * 512u;
        memset(mine, (int)(me * 17 + n), 512);
        struct iovec v = {mine, 512};
        CHECK(writev_at(&v, 1, off, &io) == 0);
        memset(mine, 0, 512);
        CHECK(readv_at(&v, 1, off, &io) == 0);
        for (unsigned i = 0; i < 512; i++)
            CHECK(mine[i] == (uint8_t)(me * 17 + n));
    }
    free(mine);
    free(io.bounce);
    return NULL;
}

static void test_neighbours(void)
{
    pthread_t t[8];
    make(4096, SIZE);
    for (unsigned i = 0; i < 8; i++)
        CHECK(pthread_create(&t[i], NULL, sector_writer, (void *)(uintptr_t)i) == 0);
    for (unsigned i = 0; i < 8; i++)
        pthread_join(t[i], NULL);
}

/* Behind the end of the file there are zeros, for every alignment. */
static void test_odd_end(uint32_t align)
{
    struct img_io io = {.bounce = bounce_make()};
    make(align, 10000);
    struct iovec v = {buf, 1024};
    memset(buf, 1, 1024);
    CHECK(readv_at(&v, 1, 9728 - 512, &io) == 0);
    for (unsigned i = 0; i < 1024; i++)
        CHECK(buf[i] == 0);
    free(io.bounce);
}

static void test_errors(void)
{
    struct img_io io = {.bounce = bounce_make()};
    int sv = open("/dev/null", O_RDONLY | O_CLOEXEC), p[2];
    CHECK(sv >= 0 && img_file_open(&img, sv, false) == -EBADF); /* not writable */
    close(sv);
    CHECK(pipe(p) == 0 && img_file_open(&img, p[0], true) == -ESPIPE);
    close(p[0]);
    close(p[1]);
    make(1, SIZE);
    int full = open("/dev/full", O_RDWR | O_CLOEXEC);
    CHECK(full >= 0);
    close(img.fd);
    img.fd = full;
    struct iovec v = {buf, 512};
    CHECK(writev_at(&v, 1, 0, &io) == -ENOSPC);
    free(io.bounce);
}

int main(void)
{
    srand(7);
    img.fd = -1;
    test_random(1);
    test_random(512);
    test_random(4096);
    test_neighbours();
    test_odd_end(1);
    test_odd_end(512);
    test_odd_end(4096);
    test_errors();
    return 0;
}
