/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Graphics modes of the VGA itself: 2, 4, 16 and 256 colours from the four planes, CGA's interleaved lines,
 * split screen, panning. Chained 256-colour modes are the same bytes (ipc/abi/display.h).
 */
#include "ui-proc/render/render.h"

#define GC5_CGA 0x20
#define GC5_256 0x40

/* CRT mode control bits 0 and 1, when clear, put row-scan bits into the address: CGA and Hercules. */
static uint32_t line_address(const struct render *r, uint32_t n, unsigned scan)
{
    unsigned mode = r->vga.crtc[0x17], shift = mode & 0x40 ? 13 : 12;

    if (!(mode & 1)) {
        n = (n & ~(1u << shift)) | (scan & 1) << shift;
    }
    if (!(mode & 2)) {
        n = (n & ~(2u << shift)) | (scan >> 1 & 1) << (shift + 1);
    }
    return n;
}

/* Address of row y's first word, and whether it belongs to the part below the split. */
static uint32_t row_word(const struct render *r, unsigned y, bool *below)
{
    const struct abi_vga *v = &r->vga;
    bool vbe = v->vbe[ABI_VBE_ENABLE] & ABI_VBE_ENABLED;
    unsigned per_row = (v->crtc[9] & 0x1fu) + 1, split = crtc_line_compare(v) + 1, scans = y * r->line_div;
    unsigned twice = v->crtc[9] & 0x80 ? 2 : 1;
    uint32_t start = (uint32_t)r->start;

    *below = false;
    if (vbe) {
        return start + y * (uint32_t)r->stride;
    }
    if (scans >= split) {
        scans -= split;
        start = 0;
        *below = true;
    }
    scans /= twice;
    return line_address(r, start + scans / per_row * (uint32_t)r->stride, scans % per_row);
}

static unsigned panning(const struct render *r, bool below)
{
    bool stays = below && (r->vga.attr[0x10] & 0x20);

    return stays ? 0 : r->vga.attr[0x13] & 7;
}

static unsigned planar_pixel(uint32_t w, unsigned bit)
{
    return (w >> bit & 1) | (w >> (8 + bit) & 1) << 1 | (w >> (16 + bit) & 1) << 2 | (w >> (24 + bit) & 1) << 3;
}

static void row_16(const struct render *r, unsigned y, uint32_t *out)
{
    bool below;
    uint32_t n = row_word(r, y, &below);
    unsigned pan = panning(r, below), enable = r->vga.attr[0x12] & 15;

    for (unsigned x = 0; x < r->width; x++) {
        uint32_t w = render_word(r, n + (x + pan) / 8);

        out[x] = r->palette[planar_pixel(w, 7 - (x + pan) % 8) & enable];
    }
}

/* Four pixels of two bits in each byte, of plane 0 and plane 1 by turns. */
static void row_cga(const struct render *r, unsigned y, uint32_t *out)
{
    bool below;
    uint32_t n = row_word(r, y, &below);
    unsigned enable = r->vga.attr[0x12] & 15;

    for (unsigned x = 0; x < r->width; x++) {
        uint32_t w = render_word(r, n + x / 8);
        unsigned shift = (x % 8 / 4) * 8 + 6 - x % 4 * 2;

        out[x] = r->palette[(w >> shift & 3) & enable];
    }
}

static void row_256(const struct render *r, unsigned y, uint32_t *out)
{
    bool below;
    uint32_t n = row_word(r, y, &below);
    unsigned pan = panning(r, below) >> 1;

    for (unsigned x = 0; x < r->width; x++) {
        uint32_t w = render_word(r, n + (x + pan) / 4);

        out[x] = r->palette[w >> (x + pan) % 4 * 8 & 0xff];
    }
}

static void vbe_planar_begin(struct render *r)
{
    const uint16_t *b = r->vga.vbe;

    r->width = b[ABI_VBE_XRES];
    r->height = b[ABI_VBE_YRES];
    r->stride = b[ABI_VBE_VIRT_WIDTH] / 8;
    r->start = b[ABI_VBE_Y_OFFSET] * r->stride + b[ABI_VBE_X_OFFSET] / 8;
    r->line_div = 1;
    render_palette_attr(r);
    r->row = row_16;
}

/* Scan lines that show the same row of pixels are one row of the picture. */
static unsigned lines_per_row(const struct abi_vga *v)
{
    unsigned n = v->crtc[9] & 0x80 ? 2 : 1;

    return (v->crtc[0x17] & 3) == 3 ? n * ((v->crtc[9] & 0x1fu) + 1) : n;
}

void render_planar_begin(struct render *r)
{
    const struct abi_vga *v = &r->vga;
    unsigned dots = (v->crtc[1] + 1u) * 8;

    if (v->vbe[ABI_VBE_ENABLE] & ABI_VBE_ENABLED) {
        vbe_planar_begin(r);
        return;
    }
    r->line_div = lines_per_row(v);
    r->width = dots;
    r->height = crtc_lines(v) / r->line_div;
    r->start = crtc_start(v) + (v->crtc[8] >> 5 & 3);
    r->stride = v->crtc[0x13] * 2u;
    if (v->gc[5] & GC5_256) {
        render_palette_dac(r);
        r->width = dots / 2;
        r->row = row_256;
        return;
    }
    render_palette_attr(r);
    r->row = v->gc[5] & GC5_CGA ? row_cga : row_16;
}
