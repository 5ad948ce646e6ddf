/* SPDX-License-Identifier: Apache-2.0 */
/* Hextile encoding (RFC 6143, 7.7.4): tiles of one colour, of two, or raw. */
#include "ui-proc/vnc/vnc-internal.h"

#define SIDE 16u
#define HX_RAW        1
#define HX_BACKGROUND 2
#define HX_FOREGROUND 4
#define HX_SUBRECTS   8

struct tile {
    const uint32_t *p; /* top left, rows `stride` apart */
    size_t stride;
    unsigned w, h;
};

/* How many colours, 3 = more than two. */
static unsigned colours_count(const struct tile *t, uint32_t colour[2])
{
    unsigned n = 1;

    colour[0] = t->p[0];
    for (unsigned y = 0; y < t->h; y++) {
        for (unsigned x = 0; x < t->w; x++) {
            uint32_t v = t->p[y * t->stride + x];

            if (v == colour[0] || (n == 2 && v == colour[1])) {
                continue;
            }
            if (n == 2) {
                return 3;
            }
            colour[n++] = v;
        }
    }
    return n;
}

static void pixel_put(struct vnc_client *c, uint32_t rgb)
{
    uint32_t v = pixel_value(c, rgb);

    put(c, &v, c->pf.bpp / 8);
}

static void raw_put(struct vnc_client *c, const struct tile *t)
{
    size_t row = (size_t)t->w * c->pf.bpp / 8;

    put8(c, HX_RAW);
    uint8_t *to = put_room(c, row * t->h);
    for (unsigned y = 0; to && y < t->h; y++) {
        pixels_convert(c, t->p + y * t->stride, t->w, to + y * row);
    }
}

/* Runs of the second colour, one row high. */
static unsigned runs_make(const struct tile *t, uint32_t fg, uint8_t runs[][2])
{
    unsigned n = 0;

    for (unsigned y = 0; y < t->h; y++) {
        for (unsigned x = 0; x < t->w;) {
            unsigned from = x;

            while (x < t->w && t->p[y * t->stride + x] == fg) {
                x++;
            }
            if (x > from) {
                runs[n][0] = (uint8_t)(from << 4 | y);
                runs[n++][1] = (uint8_t)((x - from - 1) << 4);
            } else {
                x++;
            }
        }
    }
    return n;
}

static void tile_put(struct vnc_client *c, const struct tile *t)
{
    uint8_t runs[SIDE * SIDE / 2 + SIDE][2];
    uint32_t colour[2];
    unsigned n = colours_count(t, colour), k;

    if (n == 1) {
        put8(c, HX_BACKGROUND);
        pixel_put(c, colour[0]);
        return;
    }
    k = n == 2 ? runs_make(t, colour[1], runs) : 0;
    if (n > 2 || k > 255 || 2 * k >= t->w * t->h * c->pf.bpp / 8) {
        raw_put(c, t);
        return;
    }
    put8(c, HX_BACKGROUND | HX_FOREGROUND | HX_SUBRECTS);
    pixel_put(c, colour[0]);
    pixel_put(c, colour[1]);
    put8(c, k);
    put(c, runs, (size_t)2 * k);
}

void encode_hextile(struct vnc_client *c, const struct rect *r)
{
    const struct screen *s = c->v->screen;

    rect_head(c, r, ENC_HEXTILE);
    for (unsigned y = 0; y < r->h; y += SIDE) {
        for (unsigned x = 0; x < r->w; x += SIDE) {
            struct tile t = {s->pixels + (size_t)(r->y + y) * s->width + r->x + x, s->width,
                             r->w - x < SIDE ? r->w - x : SIDE, r->h - y < SIDE ? r->h - y : SIDE};

            tile_put(c, &t);
        }
    }
}
