/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A display surface: x8r8g8b8 pixels in private memory, filled and converted with pixman. Owns its
 * pixels; never maps guest memory itself.
 */
#ifndef BULKHEAD_UI_PROC_SURFACE_H
#define BULKHEAD_UI_PROC_SURFACE_H

#include <stddef.h>
#include <stdint.h>

#define SURFACE_SIDE_MAX 16384

enum surface_format { SURFACE_X8R8G8B8, SURFACE_R5G6B5, SURFACE_R8G8B8 };

struct surface {
    unsigned width, height; /* pixels */
    void *image;            /* pixman_image_t */
};

int surface_init(struct surface *s, unsigned width, unsigned height); /* 0, -EINVAL or -ENOMEM */
void surface_fini(struct surface *s);
/* Rectangle in 0xRRGGBB, clipped to the surface. */
void surface_fill(struct surface *s, unsigned x, unsigned y, unsigned w, unsigned h, uint32_t rgb);
uint32_t surface_pixel(const struct surface *s, unsigned x, unsigned y); /* 0xRRGGBB; outside: 0 */
/* Copies the whole surface into dst (height rows of stride bytes, len bytes in all) in this format.
 * 0, or -EINVAL when it does not fit or the stride is not a multiple of 4. */
int surface_convert(const struct surface *s, enum surface_format f, void *dst, size_t len, size_t stride);

#endif
