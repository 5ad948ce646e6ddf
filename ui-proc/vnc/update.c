/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Framebuffer updates: from a client's dirty tiles to rectangles, and the pseudo-rectangles in front of
 * them. One update is made when everything before it was sent, so a slow client gets fewer frames, never
 * old ones.
 */
#include "ui-proc/vnc/vnc-internal.h"

#include <string.h>

void rect_head(struct vnc_client *c, const struct rect *r, int32_t encoding)
{
    put16(c, r->x);
    put16(c, r->y);
    put16(c, r->w);
    put16(c, r->h);
    put32(c, (uint32_t)encoding);
}

static bool tile_dirty(const struct tiles *t, unsigned tx, unsigned ty)
{
    return t->row[ty][tx / 64] >> tx % 64 & 1;
}
static bool run_dirty(const struct tiles *t, unsigned tx, unsigned n, unsigned ty)
{
    for (unsigned i = 0; i < n; i++) {
        if (!tile_dirty(t, tx + i, ty)) {
            return false;
        }
    }
    return true;
}
static void run_clear(struct tiles *t, unsigned tx, unsigned n, unsigned ty)
{
    for (unsigned i = 0; i < n; i++) {
        t->row[ty][(tx + i) / 64] &= ~(1ull << (tx + i) % 64);
    }
}

/* The widest run from here, and as many rows below as have all of it. Tiles taken are cleared. */
static struct rect rect_take(struct tiles *t, unsigned tx, unsigned ty, unsigned cols, unsigned rows)
{
    unsigned n = 1, h = 1;

    while (tx + n < cols && tile_dirty(t, tx + n, ty)) {
        n++;
    }
    run_clear(t, tx, n, ty);
    while (ty + h < rows && run_dirty(t, tx, n, ty + h)) {
        run_clear(t, tx, n, ty + h);
        h++;
    }
    return (struct rect){tx * TILE_W, ty * TILE_H, n * TILE_W, h * TILE_H};
}

static unsigned rects_make(struct vnc_client *c)
{
    struct vnc *v = c->v;
    unsigned cols = (c->told_w + TILE_W - 1) / TILE_W, rows = (c->told_h + TILE_H - 1) / TILE_H, n = 0;

    for (unsigned ty = 0; ty < rows; ty++) {
        for (unsigned tx = 0; tx < cols && n < VNC_RECTS; tx++) {
            if (!tile_dirty(&c->dirty, tx, ty)) {
                continue;
            }
            struct rect *r = &v->rect[n++];
            *r = rect_take(&c->dirty, tx, ty, cols, rows);
            r->w = r->w < c->told_w - r->x ? r->w : c->told_w - r->x;
            r->h = r->h < c->told_h - r->y ? r->h : c->told_h - r->y;
        }
    }
    return n;
}

/* Tight cannot do more than 2048 columns, and its decoders like small pieces. */
static unsigned rects_split(struct vnc_client *c, unsigned n)
{
    struct rect *r = c->v->rect;
    unsigned most = c->encoding == ENC_TIGHT ? 2048 : 65535;

    for (unsigned i = 0; i < n; i++) {
        unsigned w = r[i].w > most ? most : r[i].w;
        unsigned h = c->encoding == ENC_TIGHT ? 65536 / w & ~(TILE_H - 1) : r[i].h;

        if (r[i].w > w && n < VNC_RECTS) {
            r[n++] = (struct rect){r[i].x + w, r[i].y, r[i].w - w, r[i].h};
            r[i].w = w;
        }
        if (h && r[i].h > h && n < VNC_RECTS) {
            r[n++] = (struct rect){r[i].x, r[i].y + h, r[i].w, r[i].h - h};
            r[i].h = h;
        }
    }
    return n;
}

static void rect_encode(struct vnc_client *c, const struct rect *r)
{
    switch (c->encoding) {
    case ENC_HEXTILE: encode_hextile(c, r); break;
    case ENC_ZLIB:    encode_zlib(c, r); break;
    case ENC_ZRLE:    encode_zrle(c, r); break;
    case ENC_TIGHT:   encode_tight(c, r); break;
    default:          encode_raw(c, r); break;
    }
}

/* ---- pseudo-rectangles ---- */

static void size_put(struct vnc_client *c)
{
    const struct screen *s = c->v->screen;
    struct rect r = {0, 0, s->width, s->height};

    if (!c->has_ext_size) {
        rect_head(c, &r, PSEUDO_DESKTOP_SIZE);
        return;
    }
    rect_head(c, &r, PSEUDO_EXT_DESKTOP);
    put8(c, 1);
    put8(c, 0);
    put16(c, 0);
    put32(c, 0);
    put16(c, 0);
    put16(c, 0);
    put16(c, s->width);
    put16(c, s->height);
    put32(c, 0);
}

static bool size_due(const struct vnc_client *c)
{
    bool differs = c->told_w != c->v->screen->width || c->told_h != c->v->screen->height;

    return (differs && (c->has_size || c->has_ext_size)) || (c->has_ext_size && !c->size_told);
}
static bool leds_due(const struct vnc_client *c)
{
    return c->has_led && c->leds_told != (input_leds(c->v->input) | 0x80);
}
static bool ext_key_due(const struct vnc_client *c)
{
    return c->has_ext_key && !c->greeted_ext_key;
}
static bool pointer_due(const struct vnc_client *c)
{
    return c->has_pointer_change && !c->pointer_absolute_told;
}

static unsigned pseudo_count(const struct vnc_client *c)
{
    return (unsigned)size_due(c) + leds_due(c) + ext_key_due(c) + pointer_due(c);
}

static void pseudo_put(struct vnc_client *c)
{
    static const struct rect none;
    unsigned leds = input_leds(c->v->input);

    if (size_due(c)) {
        size_put(c);
        c->told_w = c->v->screen->width;
        c->told_h = c->v->screen->height;
        c->size_told = true;
    }
    if (leds_due(c)) {
        rect_head(c, &none, PSEUDO_LED);
        put8(c, leds);
        c->leds_told = leds | 0x80;
    }
    if (ext_key_due(c)) {
        rect_head(c, &none, PSEUDO_EXT_KEY);
        c->greeted_ext_key = true;
    }
    if (pointer_due(c)) { /* x = 0: a mouse, which only knows how far it moved */
        rect_head(c, &none, PSEUDO_POINTER_CHANGE);
        c->pointer_absolute_told = true;
    }
}

/* A client that cannot be told of another size sees the part that fits. */
static bool fits(const struct vnc_client *c)
{
    return c->told_w <= c->v->screen->width && c->told_h <= c->v->screen->height;
}

void update_send(struct vnc_client *c)
{
    unsigned pseudo, n;
    size_t at;

    if (c->state != CL_RUNNING || !(c->wants || c->continuous) || !client_idle(c)) {
        return;
    }
    pseudo = pseudo_count(c);
    if (size_due(c)) {
        tiles_set(&c->dirty, 0, 0, c->v->screen->width, c->v->screen->height);
    } else if (!fits(c)) {
        return;
    }
    at = c->out_len;
    put8(c, 0);
    put8(c, 0);
    put16(c, 0);
    pseudo_put(c);
    n = rects_split(c, rects_make(c));
    for (unsigned i = 0; i < n; i++) {
        rect_encode(c, &c->v->rect[i]);
    }
    if (!n && !pseudo) {
        c->out_len = at; /* nothing has changed: the client goes on waiting */
        return;
    }
    if (!c->out_failed) {
        c->out[at + 2] = (uint8_t)((n + pseudo) >> 8);
        c->out[at + 3] = (uint8_t)(n + pseudo);
    }
    c->wants = false;
    c->frames++;
    client_flush(c);
}
