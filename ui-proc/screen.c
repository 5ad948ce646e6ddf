/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Looks at the display and finds what changed by comparing with the last look. Never trusts a size that was
 * not checked by render.
 */
#include "ui-proc/screen.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void tiles_clear(struct tiles *t)
{
    memset(t, 0, sizeof(*t));
}

void tiles_set(struct tiles *t, unsigned x, unsigned y, unsigned w, unsigned h)
{
    if (!w || !h || x >= RENDER_WIDTH_MAX || y >= RENDER_HEIGHT_MAX) {
        return;
    }
    unsigned x1 = w > RENDER_WIDTH_MAX - x ? RENDER_WIDTH_MAX : x + w;
    unsigned y1 = h > RENDER_HEIGHT_MAX - y ? RENDER_HEIGHT_MAX : y + h;

    for (unsigned ty = y / TILE_H; ty <= (y1 - 1) / TILE_H; ty++) {
        for (unsigned tx = x / TILE_W; tx <= (x1 - 1) / TILE_W; tx++) {
            t->row[ty][tx / 64] |= 1ull << tx % 64;
        }
    }
}

void tiles_or(struct tiles *to, const struct tiles *from, unsigned height)
{
    for (unsigned ty = 0; ty < (height + TILE_H - 1) / TILE_H; ty++) {
        for (unsigned i = 0; i < SCREEN_TILE_WORDS; i++) {
            to->row[ty][i] |= from->row[ty][i];
        }
    }
}

static int resize(struct screen *s)
{
    unsigned w = s->render.width, h = s->render.height;
    uint32_t *p = (uint64_t)w * h <= SCREEN_PIXELS_MAX ? calloc((size_t)w * h, 4) : NULL;

    if (!p) {
        return -ENOMEM;
    }
    free(s->pixels);
    s->pixels = p;
    s->width = w;
    s->height = h;
    return 0;
}

int screen_init(struct screen *s, const struct display *d)
{
    static const struct display none;

    memset(s, 0, sizeof(*s));
    s->display = d;
    (void)render_begin(&s->render, &none, true);
    return resize(s);
}

/* One row against its last look, a tile's width at a time. */
static bool row_compare(struct screen *s, unsigned y)
{
    uint32_t *old = s->pixels + (size_t)y * s->width;
    bool any = false;

    s->render.row(&s->render, y, s->line);
    if (!memcmp(old, s->line, (size_t)s->width * 4)) {
        return false;
    }
    for (unsigned x = 0; x < s->width; x += TILE_W) {
        unsigned n = s->width - x < TILE_W ? s->width - x : TILE_W;

        if (memcmp(old + x, s->line + x, (size_t)n * 4)) {
            memcpy(old + x, s->line + x, (size_t)n * 4);
            s->changed.row[y / TILE_H][x / TILE_W / 64] |= 1ull << x / TILE_W % 64;
            any = true;
        }
    }
    return any;
}

/* Registers that no picture depends on: indexes, latches, halves of transfers. */
static void registers_strip(struct abi_vga *v)
{
    v->seq_index = v->gc_index = v->crtc_index = v->attr_data_next = v->dac_state = 0;
    v->dac_read = v->dac_write = v->dac_part = 0;
    v->latch = v->vbe_index = 0;
    memset(v->dac_temp, 0, sizeof(v->dac_temp));
    v->attr_index &= 0x20;
}

static bool linear(const struct screen *s)
{
    return s->render.bytes != 0;
}

/* Everything a row of a mode of the VGA itself can come from: text and the four planes. */
static bool planes_written(const struct screen *s)
{
    return display_written(s->display, s->since, ABI_DISPLAY_TEXT, ABI_DISPLAY_TEXT_LEN) ||
           display_written(s->display, s->since, ABI_DISPLAY_VRAM, 0x40000);
}

static bool row_written(const struct screen *s, unsigned y)
{
    const struct render *r = &s->render;

    return display_written(s->display, s->since, ABI_DISPLAY_VRAM + r->start + y * r->stride,
                           (uint64_t)r->width * r->bytes);
}

/* Is the picture of the same registers as the last one, so that only written pages count? */
static bool same_registers(struct screen *s, bool blink_on)
{
    struct abi_vga now = s->render.vga;
    bool same;

    registers_strip(&now);
    same = s->marks && !memcmp(&now, &s->shown, sizeof(now)) && (linear(s) || blink_on == s->shown_blink);
    s->shown = now;
    s->shown_blink = blink_on;
    return same;
}

/* With the same registers: rows whose pages were written. */
static bool rows_compare(struct screen *s, bool all)
{
    bool any = false;

    if (!all && !linear(s) && !planes_written(s)) {
        return false;
    }
    for (unsigned y = 0; y < s->height; y++) {
        if (!all && linear(s) && !row_written(s, y)) {
            continue;
        }
        any |= row_compare(s, y);
        s->stale = true;
    }
    return any;
}

enum screen_look screen_look(struct screen *s, bool blink_on)
{
    uint32_t swept = s->display->shared ? display_swept(s->display) : 0;
    bool any, sized = false, all;

    tiles_clear(&s->changed);
    if (!render_begin(&s->render, s->display, blink_on)) {
        return SCREEN_SAME;
    }
    if (s->render.width != s->width || s->render.height != s->height) {
        if (resize(s) < 0) {
            return SCREEN_SAME; /* more than a client would take: the last picture stays */
        }
        sized = true;
    }
    s->stale = false;
    all = sized || !s->display->shared || !same_registers(s, blink_on);
    any = rows_compare(s, all);
    s->since = swept;
    return sized ? SCREEN_RESIZED : any ? SCREEN_CHANGED : SCREEN_SAME;
}
