/* SPDX-License-Identifier: Apache-2.0 */
/* ZRLE encoding (RFC 6143, 7.7.6): tiles of 64 by 64, as one colour, a palette, runs, or pixels; deflated. */
#include "ui-proc/vnc/vnc-internal.h"

#include <string.h>

#define SIDE    64u
#define COLOURS 16u

struct tile {
    uint32_t p[SIDE * SIDE]; /* w * h, close together */
    unsigned w, h, n;        /* n colours, COLOURS + 1 = more */
    uint32_t colour[COLOURS];
    unsigned runs;
};

/* A CPIXEL leaves out the byte that a 24-bit colour does not use. */
static unsigned cpixel_size(const struct vnc_client *c, unsigned *from)
{
    const struct pixel_format *f = &c->pf;
    uint32_t used = 0;

    *from = 0;
    if (f->bpp != 32 || f->depth > 24 || !f->true_colour) {
        return f->bpp / 8;
    }
    for (unsigned k = 0; k < 3; k++) {
        used |= (uint32_t)f->max[k] << f->shift[k];
    }
    if (used & 0xff && used & 0xff000000u) {
        return 4;
    }
    bool low = !(used & 0xff000000u);
    *from = f->big_endian ? low : !low;
    return 3;
}

static void cpixel(const struct vnc_client *c, uint8_t **to, uint32_t rgb, unsigned size, unsigned from)
{
    uint32_t v = pixel_value(c, rgb);

    memcpy(*to, (uint8_t *)&v + from, size);
    *to += size;
}

static unsigned colour_index(const struct tile *t, uint32_t v)
{
    unsigned i = 0;

    while (i < t->n && t->colour[i] != v) {
        i++;
    }
    return i;
}

static void tile_take(struct tile *t, const struct screen *s, unsigned x, unsigned y)
{
    t->n = t->runs = 0;
    for (unsigned i = 0; i < t->h; i++) {
        memcpy(t->p + (size_t)i * t->w, s->pixels + (size_t)(y + i) * s->width + x, (size_t)t->w * 4);
    }
    for (unsigned i = 0; i < t->w * t->h; i++) {
        if (i && t->p[i] == t->p[i - 1]) {
            continue;
        }
        t->runs++;
        if (t->n <= COLOURS && colour_index(t, t->p[i]) == t->n) {
            if (t->n < COLOURS) {
                t->colour[t->n] = t->p[i];
            }
            t->n++;
        }
    }
}

static void packed_put(const struct vnc_client *c, const struct tile *t, uint8_t **to, unsigned size, unsigned from)
{
    unsigned bits = t->n <= 2 ? 1 : t->n <= 4 ? 2 : 4;

    *(*to)++ = (uint8_t)t->n;
    for (unsigned i = 0; i < t->n; i++) {
        cpixel(c, to, t->colour[i], size, from);
    }
    for (unsigned y = 0; y < t->h; y++) {
        unsigned acc = 0, have = 0;

        for (unsigned x = 0; x < t->w; x++) {
            acc = acc << bits | colour_index(t, t->p[(size_t)y * t->w + x]);
            have += bits;
            if (have == 8) {
                *(*to)++ = (uint8_t)acc;
                acc = have = 0;
            }
        }
        if (have) {
            *(*to)++ = (uint8_t)(acc << (8 - have));
        }
    }
}

/* Plain runs (128) or, with a palette, indexes (128 + colours); a length is a row of 255s and the rest. */
static void runs_put(const struct vnc_client *c, const struct tile *t, uint8_t **to, unsigned size, unsigned from)
{
    bool palette = t->n <= COLOURS;
    unsigned total = t->w * t->h;

    *(*to)++ = (uint8_t)(128 + (palette ? t->n : 0));
    for (unsigned i = 0; palette && i < t->n; i++) {
        cpixel(c, to, t->colour[i], size, from);
    }
    for (unsigned i = 0, len; i < total; i += len) {
        for (len = 1; i + len < total && t->p[i + len] == t->p[i]; len++) {
        }
        if (!palette) {
            cpixel(c, to, t->p[i], size, from);
        } else {
            *(*to)++ = (uint8_t)(colour_index(t, t->p[i]) | (len > 1 ? 128 : 0));
        }
        if (palette && len == 1) {
            continue;
        }
        unsigned rest = len - 1;
        for (; rest >= 255; rest -= 255) {
            *(*to)++ = 255;
        }
        *(*to)++ = (uint8_t)rest;
    }
}

static void tile_put(const struct vnc_client *c, const struct tile *t, uint8_t **to)
{
    unsigned from, size = cpixel_size(c, &from), total = t->w * t->h;
    unsigned bits = t->n <= 2 ? 1 : t->n <= 4 ? 2 : 4;

    if (t->n == 1) {
        *(*to)++ = 1;
        cpixel(c, to, t->colour[0], size, from);
    } else if (t->n <= COLOURS && t->runs * 2 > total * bits / 8) {
        packed_put(c, t, to, size, from);
    } else if (t->n <= COLOURS || t->runs * (size + 1) < total * size) {
        runs_put(c, t, to, size, from);
    } else {
        *(*to)++ = 0;
        for (unsigned i = 0; i < total; i++) {
            cpixel(c, to, t->p[i], size, from);
        }
    }
}

void encode_zrle(struct vnc_client *c, const struct rect *r)
{
    static struct tile t;
    /* a tile is at most its pixels with a length each, its palette and its kind */
    size_t tiles = (size_t)((r->w + SIDE - 1) / SIDE) * ((r->h + SIDE - 1) / SIDE), at, n;
    uint8_t *work = work_area(c, (size_t)r->w * r->h * 5 + tiles * 128), *to = work;

    for (unsigned y = 0; work && y < r->h; y += SIDE) {
        for (unsigned x = 0; x < r->w; x += SIDE) {
            t.w = r->w - x < SIDE ? r->w - x : SIDE;
            t.h = r->h - y < SIDE ? r->h - y : SIDE;
            tile_take(&t, c->v->screen, r->x + x, r->y + y);
            tile_put(c, &t, &to);
        }
    }
    rect_head(c, r, ENC_ZRLE);
    at = c->out_len;
    put32(c, 0);
    n = work ? deflate_put(c, &c->zrle, &c->zrle_on, c->level < 0 ? 1 : c->level, work, (size_t)(to - work)) : 0;
    if (!c->out_failed) {
        uint32_t be = __builtin_bswap32((uint32_t)n);

        memcpy(c->out + at, &be, 4);
    }
}
