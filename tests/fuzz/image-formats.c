/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libFuzzer target: any bytes as an image of any format: opened, mapped, read, written, checked, closed. Byte 0 picks the
 * format, byte 1 whether it is written. Owns one memfd; must reach no other file. image-formats-run.c runs it in every build.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "block-proc/image/image.h"
#include "ipc/log.h"
#include "ipc/memfd.h"

#define STEPS 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint8_t buf[1 << 16] __attribute__((aligned(4096)));
static unsigned lines;

static void count_line(void *opaque, const char *text)
{
    (void)opaque;
    (void)text;
    lines++;
}

static void use(struct img *img, bool write, struct img_io *io)
{
    const uint64_t at[] = {0, img->size / 2 & ~511ull, img->size > sizeof(buf) ? (img->size - sizeof(buf)) & ~511ull : 0};
    struct img_extent e;
    uint64_t off = 0;
    for (unsigned i = 0; i < STEPS && off < img->size && img_status(img, off, img->size - off, &e, io) == 0; i++)
        off += e.len;
    for (unsigned i = 0; i < 3; i++) {
        size_t len = img->size - at[i] < sizeof(buf) ? (size_t)(img->size - at[i]) : sizeof(buf);
        (void)img_read(img, buf, len, at[i], io);
        if (write && len >= 1024)
            (void)img_write(img, buf, 1024, at[i], io);
        if (write)
            (void)img_zero(img, at[i], len, false, io);
    }
    struct img_check c = {0};
    if (img->drv->check && img->size < 1ull << 32)
        (void)img->drv->check(img, &c, write, write, io);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int fd = -1;
    struct img_file f;
    struct img img;
    struct img_io io = {0};
    if (fd < 0)
        fd = ipc_memfd_create("fuzz", 0, 0);
    if (size < 2 || ftruncate(fd, 0) || ftruncate(fd, (off_t)size - 2) || pwrite(fd, data + 2, size - 2, 0) != (ssize_t)size - 2)
        return 0;
    const struct img_driver *drv = img_driver_at(data[0] % img_driver_count());
    bool write = data[1] & 1;
    struct img_options opt = {.readonly = !write || !drv->write, .check = data[1] & 2};
    ipc_log_capture(count_line, NULL);
    lines = 0;
    if (img_file_open(&f, fd, opt.readonly) < 0 || img_io_init(&io, NULL) < 0)
        abort();
    int r = img_open(&img, drv, &f, "fuzz", &opt, &io);
    if (r < 0 && r > -4096 && lines > 3)
        abort(); /* what is refused is said, not shouted */
    if (r == 0) {
        img_io_fini(&io);
        if (img_io_init(&io, &img) == 0)
            use(&img, write && !opt.readonly, &io);
    }
    img_close(&img, &io);
    img_io_fini(&io);
    pthread_rwlock_destroy(&f.rmw);
    return 0;
}
