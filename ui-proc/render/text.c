/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Text modes: characters and attributes in planes 0 and 1, glyphs in plane 2. Reads one row of one line of
 * characters at a time.
 */
#include "ui-proc/render/render.h"

#include <string.h>

#define ATTR_BLINK     0x80
#define MODE_LINE_GFX  0x04 /* attribute mode: the ninth column of C0h to DFh repeats the eighth */
#define MODE_BLINK     0x08

/* Sequencer font select: bits 4, 1, 0 are map B, bits 5, 3, 2 map A; in this order of 8 KiB blocks. */
static uint32_t font_base(uint8_t sel, bool a)
{
    static const uint16_t base[8] = {0x0000, 0x4000, 0x8000, 0xc000, 0x2000, 0x6000, 0xa000, 0xe000};
    unsigned n = a ? (sel >> 2 & 3) | (sel >> 3 & 4) : (sel & 3) | (sel >> 2 & 4);

    return base[n];
}

static bool at_cursor(const struct render *r, uint32_t cell, unsigned line)
{
    const uint8_t *c = r->vga.crtc;
    unsigned first = c[0x0a] & 0x1f, last = c[0x0b] & 0x1f;

    if ((c[0x0a] & 0x20) || !r->blink_on || (cell & 0xffff) != (unsigned)(c[0x0e] << 8 | c[0x0f])) {
        return false;
    }
    return line >= first && line <= last;
}

static unsigned glyph_bits(const struct render *r, uint8_t ch, uint8_t attr, unsigned line)
{
    uint32_t base = font_base(r->vga.seq[3], attr & 8);
    unsigned bits = render_word(r, base + ch * 32u + line) >> 16 & 0xff;

    if ((r->vga.crtc[0x14] & 0x1f) == line && (attr & 0x77) == 1) {
        bits = 0xff; /* underlined in the monochrome modes, which place the line inside the cell */
    }
    if (r->blink_on || !(attr & ATTR_BLINK) || !(r->vga.attr[0x10] & MODE_BLINK)) {
        return bits;
    }
    return 0;
}

static void cell_row(const struct render *r, uint32_t cell, unsigned line, uint32_t *out)
{
    uint32_t w = render_word(r, cell);
    uint8_t ch = (uint8_t)w, attr = (uint8_t)(w >> 8);
    bool blink = r->vga.attr[0x10] & MODE_BLINK;
    uint32_t fg = r->palette[attr & 15], bg = r->palette[attr >> 4 & (blink ? 7 : 15)];
    unsigned bits = glyph_bits(r, ch, attr, line) << 1;

    if ((r->vga.attr[0x10] & MODE_LINE_GFX) && (ch & 0xe0) == 0xc0) {
        bits |= bits >> 1 & 1;
    }
    if (at_cursor(r, cell, line)) {
        bits = 0x1ff;
    }
    for (unsigned x = 0; x < r->cell_w; x++) {
        out[x] = bits >> (8 - x) & 1 ? fg : bg;
    }
}

static void text_row(const struct render *r, unsigned y, uint32_t *out)
{
    const uint8_t *c = r->vga.crtc;
    unsigned row = y / r->cell_h, line = y % r->cell_h, split = crtc_line_compare(&r->vga) + 1;
    uint32_t cell = crtc_start(&r->vga);

    if (y * r->line_div >= split) { /* the lower window starts at address 0 */
        unsigned below = y - split / r->line_div;
        row = below / r->cell_h;
        line = below % r->cell_h;
        cell = 0;
    }
    cell += row * c[0x13] * 2u;
    for (unsigned x = 0; x < r->cols; x++) {
        cell_row(r, cell + x, line, out + (size_t)x * r->cell_w);
    }
}

void render_text_begin(struct render *r)
{
    const struct abi_vga *v = &r->vga;

    render_palette_attr(r);
    r->cols = v->crtc[1] + 1u;
    r->cell_w = v->seq[1] & 1 ? 8 : 9;
    r->cell_h = (v->crtc[9] & 0x1fu) + 1;
    r->line_div = v->crtc[9] & 0x80 ? 2 : 1;
    r->width = r->cols * r->cell_w;
    r->height = crtc_lines(v) / r->line_div;
    r->row = text_row;
}
