/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Bochs display interface (VBE DISPI): index and data registers that set any resolution. Owns which
 * values are taken; must never let a mode reach beyond the video memory. Reference: the interface's
 * description in Bochs' documentation (vbe_display).
 */
#include "cpu-worker/vga/vga-internal.h"

#include <string.h>

static unsigned bits_per_pixel(const struct abi_vga *r)
{
    return r->vbe[ABI_VBE_BPP] == 15 ? 16 : r->vbe[ABI_VBE_BPP];
}
/* Four bits per pixel are planar: an eighth of the width in words. */
static uint64_t line_bytes(const struct abi_vga *r, unsigned width)
{
    return r->vbe[ABI_VBE_BPP] == 4 ? (uint64_t)width / 2 : (uint64_t)width * bits_per_pixel(r) / 8;
}

static bool fits(const struct vga *v, unsigned width, unsigned height)
{
    return line_bytes(v->r, width) * height <= v->vram_size;
}

/* Derived: the virtual width is at least the visible one, and the height is what memory holds. */
static void geometry_update(struct vga *v)
{
    uint16_t *b = v->r->vbe;
    if (b[ABI_VBE_VIRT_WIDTH] < b[ABI_VBE_XRES] || !fits(v, b[ABI_VBE_VIRT_WIDTH], 1))
        b[ABI_VBE_VIRT_WIDTH] = b[ABI_VBE_XRES];
    uint64_t line = line_bytes(v->r, b[ABI_VBE_VIRT_WIDTH]);
    uint64_t rows = line ? v->vram_size / line : 0;
    b[ABI_VBE_VIRT_HEIGHT] = rows < 0xffff ? (uint16_t)rows : 0xffff;
}

static void enable_write(struct vga *v, uint16_t value)
{
    uint16_t *b = v->r->vbe, old = b[ABI_VBE_ENABLE];
    bool on = value & ABI_VBE_ENABLED;
    if (on && (!b[ABI_VBE_XRES] || !b[ABI_VBE_YRES] || !fits(v, b[ABI_VBE_XRES], b[ABI_VBE_YRES])))
        return;
    b[ABI_VBE_ENABLE] = value & 0xff;
    if (on && !(old & ABI_VBE_ENABLED)) {
        b[ABI_VBE_VIRT_WIDTH] = b[ABI_VBE_XRES];
        b[ABI_VBE_X_OFFSET] = b[ABI_VBE_Y_OFFSET] = 0;
        geometry_update(v);
        if (!(value & ABI_VBE_NOCLEAR))
            memset(v->planes, 0, line_bytes(v->r, b[ABI_VBE_XRES]) * b[ABI_VBE_YRES]);
        vga_stamp_all(v);
    }
    if (!on)
        b[ABI_VBE_BANK] = 0;
}

static bool bpp_known(uint16_t v)
{
    return v == 4 || v == 8 || v == 15 || v == 16 || v == 24 || v == 32;
}

uint16_t vbe_read(struct vga *v, unsigned index)
{
    const uint16_t *b = v->r->vbe;
    bool caps = b[ABI_VBE_ENABLE] & ABI_VBE_GETCAPS;
    if (index >= ABI_VBE_COUNT)
        return 0;
    if (caps && index == ABI_VBE_XRES)
        return ABI_VBE_X_MAX;
    if (caps && index == ABI_VBE_YRES)
        return ABI_VBE_Y_MAX;
    if (caps && index == ABI_VBE_BPP)
        return 32;
    return index == ABI_VBE_MEM_64K ? (uint16_t)(v->vram_size >> 16) : b[index];
}

static void offset_write(struct vga *v, unsigned index, uint16_t value)
{
    uint16_t *b = v->r->vbe, old = b[index];
    b[index] = value;
    if (b[ABI_VBE_X_OFFSET] + b[ABI_VBE_XRES] > b[ABI_VBE_VIRT_WIDTH] ||
        b[ABI_VBE_Y_OFFSET] + b[ABI_VBE_YRES] > b[ABI_VBE_VIRT_HEIGHT])
        b[index] = old;
}

bool vbe_write(struct vga *v, unsigned index, uint16_t value)
{
    uint16_t *b = v->r->vbe;
    bool on = b[ABI_VBE_ENABLE] & ABI_VBE_ENABLED;
    switch (index) {
    case ABI_VBE_ID:
        if ((value & 0xfff0) == 0xb0c0 && (value & 15) <= 5)
            b[index] = value;
        return false;
    case ABI_VBE_XRES:
        if (!on && value <= ABI_VBE_X_MAX && !(value & 7))
            b[index] = value;
        return false;
    case ABI_VBE_YRES:
        if (!on && value <= ABI_VBE_Y_MAX)
            b[index] = value;
        return false;
    case ABI_VBE_BPP:
        if (!on && (bpp_known(value) || !value))
            b[index] = value ? value : 8;
        return false;
    case ABI_VBE_ENABLE:
        enable_write(v, value);
        return true;
    case ABI_VBE_BANK:
        if (value < v->vram_size >> 16)
            b[index] = value;
        return true;
    case ABI_VBE_VIRT_WIDTH:
        b[index] = value & ~7;
        geometry_update(v);
        return false;
    case ABI_VBE_X_OFFSET:
    case ABI_VBE_Y_OFFSET:
        offset_write(v, index, value);
    }
    return false;
}
