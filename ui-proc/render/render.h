/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From registers and video memory to pixels, one row at a time. Every address is masked or bounded here:
 * registers are whatever a guest left in them. Owns no memory of the screen.
 */
#ifndef BULKHEAD_UI_PROC_RENDER_H
#define BULKHEAD_UI_PROC_RENDER_H

#include "ui-proc/display.h"

#define RENDER_WIDTH_MAX  16384u
#define RENDER_HEIGHT_MAX 12000u

struct render {
    const struct display *display;
    struct abi_vga vga; /* the copy the picture is made from */
    unsigned width, height;
    void (*row)(const struct render *r, unsigned y, uint32_t *out); /* width pixels, 0x00RRGGBB */
    uint32_t palette[256];
    bool blink_on; /* cursor and blinking characters are in their visible phase */
    /* text */
    unsigned cols, cell_w, cell_h;
    /* planar and linear */
    unsigned line_div; /* scan lines for one row of pixels */
    uint64_t start, stride; /* bytes of video memory */
    unsigned bytes; /* per pixel */
};

/* Takes the registers and works out the mode. false: they were being changed. */
bool render_begin(struct render *r, const struct display *d, bool blink_on);

/* parts: palette.c, text.c, planar.c, linear.c */
void render_palette_dac(struct render *r);  /* 256 colours of the DAC */
void render_palette_attr(struct render *r); /* 16 colours through the attribute controller */
void render_text_begin(struct render *r);
void render_planar_begin(struct render *r);
void render_linear_begin(struct render *r);

/* Word n of the four planes, wherever planes 0 and 1 are. */
static inline uint32_t render_word(const struct render *r, uint32_t n)
{
    const uint8_t *v = display_vram(r->display) + 4 * (size_t)(n & 0xffff), *t;
    uint32_t w = (uint32_t)v[2] << 16 | (uint32_t)v[3] << 24;

    t = r->vga.text_apart ? display_text(r->display) + 2 * (size_t)(n & 0xffff) : v;
    return w | t[0] | (uint32_t)t[1] << 8;
}

/* CRT controller */
static inline unsigned crtc_lines(const struct abi_vga *v) /* displayed scan lines */
{
    return (v->crtc[0x12] | (v->crtc[7] & 2u) << 7 | (v->crtc[7] & 0x40u) << 3) + 1;
}
static inline unsigned crtc_line_compare(const struct abi_vga *v)
{
    return v->crtc[0x18] | (v->crtc[7] & 0x10u) << 4 | (v->crtc[9] & 0x40u) << 3;
}
static inline unsigned crtc_start(const struct abi_vga *v)
{
    return v->crtc[0x0c] << 8 | v->crtc[0x0d];
}

#endif
