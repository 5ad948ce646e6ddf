/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Modes of the Bochs display interface: 8, 15, 16, 24 and 32 bits per pixel, one row after another. A row
 * that would reach beyond the video memory is black.
 */
#include "ui-proc/render/render.h"

#include <string.h>

static const uint8_t *row_at(const struct render *r, unsigned y)
{
    uint64_t at = r->start + y * r->stride;

    if (at + (uint64_t)r->width * r->bytes > r->display->vram_size) {
        return NULL;
    }
    return display_vram(r->display) + at;
}

static void row_8(const struct render *r, const uint8_t *p, uint32_t *out)
{
    for (unsigned x = 0; x < r->width; x++) {
        out[x] = r->palette[p[x]];
    }
}

static uint32_t widen(unsigned v, unsigned bits)
{
    return v << (8 - bits) | v >> (2 * bits - 8);
}

static void row_16(const struct render *r, const uint8_t *p, uint32_t *out)
{
    bool five = r->vga.vbe[ABI_VBE_BPP] == 15;

    for (unsigned x = 0; x < r->width; x++) {
        unsigned v = p[2 * x] | (unsigned)p[2 * x + 1] << 8;
        unsigned red = five ? v >> 10 & 31 : v >> 11, green = five ? v >> 5 & 31 : v >> 5 & 63;

        out[x] = widen(red, 5) << 16 | widen(green, five ? 5 : 6) << 8 | widen(v & 31, 5);
    }
}

static void row_24(const struct render *r, const uint8_t *p, uint32_t *out)
{
    for (unsigned x = 0; x < r->width; x++) {
        out[x] = p[3 * x] | (uint32_t)p[3 * x + 1] << 8 | (uint32_t)p[3 * x + 2] << 16;
    }
}

static void row_32(const struct render *r, const uint8_t *p, uint32_t *out)
{
    memcpy(out, p, (size_t)r->width * 4);
    for (unsigned x = 0; x < r->width; x++) {
        out[x] &= 0xffffff;
    }
}

static void linear_row(const struct render *r, unsigned y, uint32_t *out)
{
    static void (*const rows[5])(const struct render *r, const uint8_t *p, uint32_t *out) = {
        NULL, row_8, row_16, row_24, row_32};
    const uint8_t *p = row_at(r, y);

    if (p) {
        rows[r->bytes](r, p, out);
    } else {
        memset(out, 0, (size_t)r->width * 4);
    }
}

void render_linear_begin(struct render *r)
{
    const uint16_t *b = r->vga.vbe;
    unsigned bytes = (b[ABI_VBE_BPP] + 7u) / 8;

    if (bytes < 1 || bytes > 4) {
        return; /* no width: blank */
    }
    r->bytes = bytes;
    r->width = b[ABI_VBE_XRES];
    r->height = b[ABI_VBE_YRES];
    r->stride = (uint64_t)b[ABI_VBE_VIRT_WIDTH] * bytes;
    r->start = b[ABI_VBE_Y_OFFSET] * r->stride + (uint64_t)b[ABI_VBE_X_OFFSET] * bytes;
    if (bytes == 1) {
        render_palette_dac(r);
    }
    r->row = linear_row;
}
