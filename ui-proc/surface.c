/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Surfaces over pixman. Every size is checked here, because pixman believes its caller.
 */
#include "ui-proc/surface.h"

#include <errno.h>
#include <pixman.h>
#include <stdbool.h>

static pixman_format_code_t format_code(enum surface_format f)
{
    switch (f) {
    case SURFACE_R5G6B5:
        return PIXMAN_r5g6b5;
    case SURFACE_R8G8B8:
        return PIXMAN_r8g8b8;
    case SURFACE_X8R8G8B8:
        break;
    }
    return PIXMAN_x8r8g8b8;
}

static bool side_ok(unsigned n)
{
    return n > 0 && n <= SURFACE_SIDE_MAX;
}

int surface_init(struct surface *s, unsigned width, unsigned height)
{
    if (!side_ok(width) || !side_ok(height)) {
        return -EINVAL;
    }
    s->image = pixman_image_create_bits(PIXMAN_x8r8g8b8, (int)width, (int)height, NULL, 0);
    if (!s->image) {
        return -ENOMEM;
    }
    s->width = width;
    s->height = height;
    return 0;
}

void surface_fini(struct surface *s)
{
    if (s->image) {
        pixman_image_unref(s->image);
        s->image = NULL;
    }
}

void surface_fill(struct surface *s, unsigned x, unsigned y, unsigned w, unsigned h, uint32_t rgb)
{
    if (x >= s->width || y >= s->height) {
        return;
    }
    w = w < s->width - x ? w : s->width - x;
    h = h < s->height - y ? h : s->height - y;
    pixman_fill(pixman_image_get_data(s->image), pixman_image_get_stride(s->image) / 4, 32, (int)x,
                (int)y, (int)w, (int)h, rgb & 0xffffff);
}

uint32_t surface_pixel(const struct surface *s, unsigned x, unsigned y)
{
    const uint32_t *data = pixman_image_get_data(s->image);
    size_t stride = (size_t)pixman_image_get_stride(s->image) / 4;

    return x < s->width && y < s->height ? data[y * stride + x] & 0xffffff : 0;
}

int surface_convert(const struct surface *s, enum surface_format f, void *dst, size_t len, size_t stride)
{
    pixman_format_code_t code = format_code(f);
    size_t row = (size_t)s->width * (PIXMAN_FORMAT_BPP(code) / 8);
    pixman_image_t *to;

    if (stride < row || stride % 4 || stride > INT32_MAX || len / stride < s->height) {
        return -EINVAL;
    }
    to = pixman_image_create_bits(code, (int)s->width, (int)s->height, dst, (int)stride);
    if (!to) {
        return -ENOMEM;
    }
    pixman_image_composite32(PIXMAN_OP_SRC, s->image, NULL, to, 0, 0, 0, 0, 0, 0, (int32_t)s->width,
                             (int32_t)s->height);
    pixman_image_unref(to);
    return 0;
}
