/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes in the window at A0000h that trap: latches, write modes 0 to 3, read modes 0 and 1, chained and
 * odd/even addressing. Owns the data path between a CPU's byte and the four planes; must never be reached
 * where the window is plain memory. Chained addresses are packed: see ipc/abi/display.h.
 */
#include "cpu-worker/vga/vga-internal.h"

/* One bit of each plane, widened to bytes. */
static uint32_t planes_of(unsigned nibble)
{
    uint32_t m = 0;
    for (unsigned p = 0; p < 4; p++)
        if (nibble >> p & 1)
            m |= 0xffu << 8 * p;
    return m;
}
static uint32_t all_planes(uint8_t b)
{
    return b * 0x01010101u;
}

uint32_t vga_word_get(const struct vga *v, uint32_t n)
{
    uint32_t w = v->planes[n];
    if (v->r->text_apart)
        w = (w & 0xffff0000u) | v->text[2 * n] | (uint32_t)v->text[2 * n + 1] << 8;
    return w;
}
static void word_put(struct vga *v, uint32_t n, uint32_t w)
{
    v->planes[n] = w;
    if (v->r->text_apart) {
        v->text[2 * n] = (uint8_t)w;
        v->text[2 * n + 1] = (uint8_t)(w >> 8);
    }
    vga_page_stamp(v, ABI_DISPLAY_VRAM + 4 * (uint64_t)n);
    if (v->r->text_apart)
        vga_page_stamp(v, ABI_DISPLAY_TEXT + 2 * (uint64_t)n);
}

/* Read mode 1: a bit is set where the planes that count have the colour compared with. */
static uint8_t colour_compare(const struct abi_vga *r)
{
    uint32_t differ = (r->latch ^ planes_of(r->gc[GC_COMPARE])) & planes_of(r->gc[GC_DONT_CARE]);
    return (uint8_t) ~(differ | differ >> 8 | differ >> 16 | differ >> 24);
}

/* Which word and, for chained modes, which planes an address means. */
static uint32_t word_of(const struct abi_vga *r, uint32_t addr, bool odd_even, unsigned *planes)
{
    *planes = 15;
    if (r->seq[SEQ_MODE] & SEQ_MODE_CHAIN4) {
        *planes = 1u << (addr & 3);
        return addr >> 2 & (PLANE_WORDS - 1);
    }
    if (odd_even) {
        *planes = addr & 1 ? 10 : 5;
        return addr >> 1 & (PLANE_WORDS - 1);
    }
    return addr & (PLANE_WORDS - 1);
}

uint8_t vga_byte_read(struct vga *v, uint32_t addr)
{
    struct abi_vga *r = v->r;
    struct vga_range range = vga_range_now(r);
    unsigned planes, plane = r->gc[GC_READ_MAP];
    if (addr - range.base >= range.size)
        return 0xff;
    uint32_t n = word_of(r, addr - range.base, r->gc[GC_MODE] & GC_MODE_ODD_EVEN, &planes);
    r->latch = vga_word_get(v, n);
    if (planes == 5 || planes == 10)
        plane = (plane & 2) | (planes == 10);
    else if (planes != 15)
        plane = (unsigned)__builtin_ctz(planes);
    else if (r->gc[GC_MODE] & GC_MODE_READ1)
        return colour_compare(r);
    return (uint8_t)(r->latch >> 8 * (plane & 3));
}

static uint8_t rotated(const struct abi_vga *r, uint8_t b)
{
    unsigned n = r->gc[GC_ROTATE] & 7;
    return (uint8_t)(b >> n | b << (8 - n));
}

/* The function select of the graphics controller, then the bit mask between result and latches. */
static uint32_t combine(const struct abi_vga *r, uint32_t w, uint8_t mask)
{
    switch (r->gc[GC_ROTATE] >> 3 & 3) {
    case 1: w &= r->latch; break;
    case 2: w |= r->latch; break;
    case 3: w ^= r->latch; break;
    }
    uint32_t m = all_planes(mask);
    return (w & m) | (r->latch & ~m);
}

uint32_t vga_write_value(const struct abi_vga *r, uint8_t b)
{
    uint32_t set = planes_of(r->gc[GC_SET_RESET]), enable = planes_of(r->gc[GC_ENABLE]);
    uint8_t mask = r->gc[GC_BIT_MASK];
    switch (r->gc[GC_MODE] & 3) {
    case 0:
        return combine(r, (all_planes(rotated(r, b)) & ~enable) | (set & enable), mask);
    case 1:
        return r->latch;
    case 2:
        return combine(r, planes_of(b & 15), mask);
    default:
        return combine(r, set, mask & rotated(r, b));
    }
}

void vga_byte_write(struct vga *v, uint32_t addr, uint8_t b)
{
    struct abi_vga *r = v->r;
    struct vga_range range = vga_range_now(r);
    unsigned planes;
    if (addr - range.base >= range.size)
        return;
    uint32_t n = word_of(r, addr - range.base, !(r->seq[SEQ_MODE] & SEQ_MODE_SEQUENTIAL), &planes);
    uint32_t m = planes_of(planes & r->seq[SEQ_MAP_MASK]);
    word_put(v, n, (vga_write_value(r, b) & m) | (vga_word_get(v, n) & ~m));
}

uint32_t vga_map_mask(const struct abi_vga *r)
{
    return planes_of(r->seq[SEQ_MAP_MASK]);
}
