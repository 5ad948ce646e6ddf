/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Screen dumps in PPM and PNG. One pass, a row at a time; a mode change in the middle does not matter,
 * because the registers were copied first.
 */
#include "ui-proc/screendump.h"

#include <errno.h>
#include <png.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct writer {
    int fd, err;
    size_t used;
    uint8_t buf[65536];
};

/* #syscalls:ui write */
static void flush(struct writer *w)
{
    for (size_t done = 0; done < w->used && !w->err;) {
        ssize_t n = write(w->fd, w->buf + done, w->used - done);

        if (n < 0 && errno != EINTR) {
            w->err = -errno;
        }
        done += n > 0 ? (size_t)n : 0;
    }
    w->used = 0;
}

static void put(struct writer *w, const void *data, size_t len)
{
    const uint8_t *p = data;

    while (len && !w->err) {
        size_t n = sizeof(w->buf) - w->used;

        n = n < len ? n : len;
        memcpy(w->buf + w->used, p, n);
        w->used += n;
        p += n;
        len -= n;
        if (w->used == sizeof(w->buf)) {
            flush(w);
        }
    }
}

static void row_rgb(const struct render *r, unsigned y, uint32_t *pixels, uint8_t *rgb)
{
    r->row(r, y, pixels);
    for (unsigned x = 0; x < r->width; x++) {
        rgb[3 * x] = (uint8_t)(pixels[x] >> 16);
        rgb[3 * x + 1] = (uint8_t)(pixels[x] >> 8);
        rgb[3 * x + 2] = (uint8_t)pixels[x];
    }
}

static void ppm_write(struct writer *w, const struct render *r, uint32_t *pixels, uint8_t *rgb)
{
    char head[48];
    int n = snprintf(head, sizeof(head), "P6\n%u %u\n255\n", r->width, r->height);

    put(w, head, (size_t)n);
    for (unsigned y = 0; y < r->height; y++) {
        row_rgb(r, y, pixels, rgb);
        put(w, rgb, (size_t)3 * r->width);
    }
}

static void png_put(png_structp png, png_bytep data, png_size_t len)
{
    put(png_get_io_ptr(png), data, len);
}
static void png_sync(png_structp png)
{
    (void)png;
}

static void png_rows(png_structp png, png_infop info, const struct render *r, uint32_t *pixels, uint8_t *rgb)
{
    png_set_IHDR(png, info, r->width, r->height, 8, PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE,
                 PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    png_write_info(png, info);
    for (unsigned y = 0; y < r->height; y++) {
        row_rgb(r, y, pixels, rgb);
        png_write_row(png, rgb);
    }
    png_write_end(png, info);
}

static void png_write(struct writer *w, const struct render *r, uint32_t *pixels, uint8_t *rgb)
{
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
    png_infop info = png ? png_create_info_struct(png) : NULL;

    if (!info) {
        w->err = -ENOMEM;
    } else if (setjmp(png_jmpbuf(png))) {
        w->err = w->err ? w->err : -EIO;
    } else {
        png_set_write_fn(png, w, png_put, png_sync);
        png_rows(png, info, r, pixels, rgb);
    }
    png_destroy_write_struct(&png, &info);
}

int screendump_write(const struct display *d, int fd, bool png)
{
    static struct writer w;
    static struct render r;
    uint32_t *pixels;
    uint8_t *rgb;

    for (unsigned tries = 0; !render_begin(&r, d, true); tries++) {
        if (tries == 100) {
            return -EAGAIN;
        }
    }
    w.fd = fd;
    w.err = 0;
    w.used = 0;
    pixels = malloc((size_t)r.width * 4);
    rgb = malloc((size_t)r.width * 3);
    if (!pixels || !rgb) {
        w.err = -ENOMEM;
    } else if (png) {
        png_write(&w, &r, pixels, rgb);
    } else {
        ppm_write(&w, &r, pixels, rgb);
    }
    flush(&w);
    free(pixels);
    free(rgb);
    return w.err;
}
