/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From our pixels to a client's format: three tables made once when the format is set. Never divides by
 * what a client sent.
 */
#include "ui-proc/vnc/vnc-internal.h"

#include <string.h>

static uint32_t swapped(const struct pixel_format *f, uint32_t v)
{
    if (!f->big_endian) {
        return v;
    }
    return f->bpp == 32 ? __builtin_bswap32(v) : f->bpp == 16 ? __builtin_bswap16((uint16_t)v) : v;
}

static void tables_make(struct vnc_client *c)
{
    const struct pixel_format *f = &c->pf;

    for (unsigned k = 0; k < 3; k++) {
        for (unsigned i = 0; i < 256; i++) {
            uint32_t v = (i * f->max[k] + 127) / 255;

            c->lut[k][i] = swapped(f, v << f->shift[k]);
        }
    }
    c->plain = f->bpp == 32 && !f->big_endian && f->max[0] == 255 && f->max[1] == 255 && f->max[2] == 255 &&
               f->shift[0] == 16 && f->shift[1] == 8 && f->shift[2] == 0;
}

/* A client with a colour map gets one with three bits of red and green and two of blue. */
static void colour_map_put(struct vnc_client *c)
{
    put8(c, 1);
    put8(c, 0);
    put16(c, 0);
    put16(c, 256);
    for (unsigned i = 0; i < 256; i++) {
        put16(c, (i >> 5) * 65535 / 7);
        put16(c, (i >> 2 & 7) * 65535 / 7);
        put16(c, (i & 3) * 65535 / 3);
    }
}

bool format_set(struct vnc_client *c, const uint8_t *w)
{
    struct pixel_format f = {.bpp = w[0], .depth = w[1], .big_endian = w[2] != 0, .true_colour = w[3] != 0,
                             .max = {get16(w + 4), get16(w + 6), get16(w + 8)}, .shift = {w[10], w[11], w[12]}};

    if (f.bpp != 8 && f.bpp != 16 && f.bpp != 32) {
        return false;
    }
    if (!f.true_colour) {
        if (f.bpp != 8) {
            return false;
        }
        f = (struct pixel_format){8, 8, 0, 0, {7, 7, 3}, {5, 2, 0}};
    }
    for (unsigned k = 0; k < 3; k++) {
        if (f.shift[k] >= f.bpp || f.max[k] > 255) {
            return false;
        }
    }
    c->pf = f;
    tables_make(c);
    if (!f.true_colour) {
        colour_map_put(c);
    }
    return true;
}

void format_put(struct vnc_client *c)
{
    const struct pixel_format *f = &c->pf;
    uint8_t w[16] = {f->bpp, f->depth, f->big_endian, f->true_colour, (uint8_t)(f->max[0] >> 8), (uint8_t)f->max[0],
                     (uint8_t)(f->max[1] >> 8), (uint8_t)f->max[1], (uint8_t)(f->max[2] >> 8), (uint8_t)f->max[2],
                     f->shift[0], f->shift[1], f->shift[2]};

    put(c, w, sizeof(w));
}

uint32_t pixel_value(const struct vnc_client *c, uint32_t rgb)
{
    return c->lut[0][rgb >> 16 & 255] | c->lut[1][rgb >> 8 & 255] | c->lut[2][rgb & 255];
}

void pixels_convert(const struct vnc_client *c, const uint32_t *from, size_t n, uint8_t *to)
{
    if (c->plain) {
        memcpy(to, from, n * 4);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        uint32_t v = pixel_value(c, from[i]);

        memcpy(to + i * c->pf.bpp / 8, &v, c->pf.bpp / 8);
    }
}
