/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The picture as the clients know it: pixels of the last look, and which tiles the next look finds
 * changed. One per process. Owns the copy; must never send anything.
 */
#ifndef BULKHEAD_UI_PROC_SCREEN_H
#define BULKHEAD_UI_PROC_SCREEN_H

#include "ui-proc/render/render.h"

#define TILE_W 64u
#define TILE_H 16u
#define SCREEN_PIXELS_MAX (1u << 24)
#define SCREEN_TILE_ROWS  ((RENDER_HEIGHT_MAX + TILE_H - 1) / TILE_H)
#define SCREEN_TILE_WORDS (RENDER_WIDTH_MAX / TILE_W / 64)

struct tiles { /* one bit for each tile */
    uint64_t row[SCREEN_TILE_ROWS][SCREEN_TILE_WORDS];
};

struct screen {
    const struct display *display;
    struct render render;
    unsigned width, height;
    uint32_t *pixels; /* width * height, 0x00RRGGBB */
    uint32_t line[RENDER_WIDTH_MAX];
    struct tiles changed; /* by the last look */
    uint32_t since;       /* the sweep that was over at the last look */
    struct abi_vga shown; /* what the last look was made from */
    bool shown_blink, marks; /* marks: a worker keeps page stamps; else every look is at everything */
    bool stale;           /* pages are marked that the next sweep may clear */
};

enum screen_look { SCREEN_SAME, SCREEN_CHANGED, SCREEN_RESIZED };
int screen_init(struct screen *s, const struct display *d); /* 0 or -ENOMEM */
/* Draws what is there now. RESIZED: everything is new. */
enum screen_look screen_look(struct screen *s, bool blink_on);

void tiles_set(struct tiles *t, unsigned x, unsigned y, unsigned w, unsigned h);
void tiles_clear(struct tiles *t);
void tiles_or(struct tiles *to, const struct tiles *from, unsigned height);

#endif
