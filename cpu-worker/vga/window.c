/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the window at A0000h is plain memory: text and other odd/even modes (the text area), chained and
 * linear modes (video memory), as long as the registers let a byte through unchanged. Owns that decision
 * and the move of planes 0 and 1; must never be entered with a vCPU in guest code.
 */
#include "cpu-worker/vga/vga-internal.h"

#define PAGE_A0000 0xa0u
#define WINDOW(page, pages, off) ((uint64_t)(page) | (uint64_t)(pages) << 12 | (uint64_t)((off) >> 12) << 24)

struct vga_range vga_range_now(const struct abi_vga *r)
{
    static const struct vga_range ranges[4] = {{0, 0x20000}, {0, 0x10000}, {0x10000, 0x8000}, {0x18000, 0x8000}};
    return ranges[r->gc[GC_MISC] >> 2 & 3];
}

/* A store puts the CPU's byte into memory and a load gets it back. */
static bool bytes_pass(const struct abi_vga *r)
{
    return !(r->gc[GC_MODE] & 0x0b) && !r->gc[GC_ENABLE] && !r->gc[GC_ROTATE] && r->gc[GC_BIT_MASK] == 0xff;
}
static bool text_plain(const struct abi_vga *r)
{
    return !(r->seq[SEQ_MODE] & (SEQ_MODE_SEQUENTIAL | SEQ_MODE_CHAIN4)) && (r->gc[GC_MODE] & GC_MODE_ODD_EVEN) &&
           r->seq[SEQ_MAP_MASK] == 3 && !(r->gc[GC_READ_MAP] & 2);
}
static bool chain_plain(const struct abi_vga *r)
{
    return (r->seq[SEQ_MODE] & SEQ_MODE_CHAIN4) && r->seq[SEQ_MAP_MASK] == 15;
}

static struct vga_window linear_window(const struct vga *v)
{
    uint64_t off = (uint64_t)v->r->vbe[ABI_VBE_BANK] << 16;
    if (off + 0x10000 > v->vram_size)
        return (struct vga_window){0, false};
    return (struct vga_window){WINDOW(PAGE_A0000, 16, ABI_DISPLAY_VRAM + off), false};
}

struct vga_window vga_window_wanted(const struct vga *v)
{
    const struct abi_vga *r = v->r;
    struct vga_range range = vga_range_now(r);
    uint32_t page = PAGE_A0000 + (range.base >> 12), pages = range.size >> 12;
    if (vbe_linear(r))
        return linear_window(v);
    if (bytes_pass(r) && text_plain(r))
        return (struct vga_window){WINDOW(page, pages, ABI_DISPLAY_TEXT), true};
    if (bytes_pass(r) && chain_plain(r))
        return (struct vga_window){WINDOW(page, pages, ABI_DISPLAY_VRAM), false};
    return (struct vga_window){0, false};
}

static void text_take(struct vga *v)
{
    for (uint32_t n = 0; n < ABI_DISPLAY_TEXT_LEN / 2; n++) {
        v->text[2 * n] = (uint8_t)v->planes[n];
        v->text[2 * n + 1] = (uint8_t)(v->planes[n] >> 8);
    }
}
static void text_give_back(struct vga *v)
{
    for (uint32_t n = 0; n < ABI_DISPLAY_TEXT_LEN / 2; n++)
        v->planes[n] = (v->planes[n] & 0xffff0000u) | v->text[2 * n] | (uint32_t)v->text[2 * n + 1] << 8;
}

void vga_window_move(struct vga *v, const struct vga_window *w)
{
    __atomic_fetch_add(&v->d->seq, 1, __ATOMIC_SEQ_CST);
    if (w->text_apart && !v->r->text_apart)
        text_take(v);
    else if (!w->text_apart && v->r->text_apart)
        text_give_back(v);
    v->r->text_apart = w->text_apart;
    vga_stamp_all(v);
    __atomic_store_n(&v->window, w->word, __ATOMIC_SEQ_CST);
    __atomic_fetch_add(&v->d->seq, 1, __ATOMIC_SEQ_CST);
}

bool vga_window_find(const struct vga *v, uint64_t gpa, uint64_t *off)
{
    uint64_t w = v ? __atomic_load_n(&v->window, __ATOMIC_RELAXED) : 0;
    uint64_t at = (gpa >> 12) - (w & 0xfff);
    if (at >= (w >> 12 & 0xfff))
        return false;
    *off = ((w >> 24) + at) << 12 | (gpa & 0xfff);
    return true;
}
