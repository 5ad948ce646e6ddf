/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Repeated string instructions in planar memory, a range at a time: fills, copies out of memory, and copies
 * inside the window (latch to latch in write mode 1). Chained modes and the odd ones go byte by byte under
 * one lock. Must give what single bytes would.
 */
#include <string.h>
#include "cpu-worker/mmio/mmio.h"
#include "cpu-worker/run/run.h"
#include "cpu-worker/vga/vga-internal.h"

#define WINDOW_BASE 0xa0000u
#define WINDOW_SIZE 0x20000u

/* Plain planes: an address is a word, of all four planes. */
static bool unchained(const struct abi_vga *r)
{
    return (r->seq[SEQ_MODE] & SEQ_MODE_SEQUENTIAL) && !(r->seq[SEQ_MODE] & SEQ_MODE_CHAIN4) &&
           !(r->gc[GC_MODE] & GC_MODE_ODD_EVEN) && !r->text_apart;
}

/* The words of [addr, addr + len), if the range is inside what the card decodes and does not wrap. */
static uint32_t *words_of(const struct vga *v, uint32_t addr, uint64_t len)
{
    struct vga_range range = vga_range_now(v->r);
    uint32_t n = addr - range.base;
    if (n >= range.size || len > range.size - n || n + len > PLANE_WORDS)
        return NULL;
    return v->planes + n;
}

static void words_stamp(struct vga *v, const uint32_t *w, uint64_t len)
{
    uint64_t first = (uint64_t)((const uint8_t *)w - (const uint8_t *)v->d);
    for (uint64_t off = first & ~4095ull; off < first + 4 * len; off += 4096)
        vga_page_stamp(v, off);
}

/* Stores do not change the latches, so each byte of the pattern always becomes the same word. */
static void fill(struct vga *v, uint32_t *w, uint64_t pattern, unsigned size, uint64_t len)
{
    uint32_t m = vga_map_mask(v->r), value[8];
    for (unsigned i = 0; i < size; i++)
        value[i] = vga_write_value(v->r, (uint8_t)(pattern >> 8 * i)) & m;
    if (size == 1 || (size == 2 && value[0] == value[1])) {
        uint32_t one = value[0];
        for (uint64_t i = 0; i < len; i++)
            w[i] = (w[i] & ~m) | one;
    } else {
        for (uint64_t i = 0; i < len; i++)
            w[i] = (w[i] & ~m) | value[i & (size - 1)];
    }
    words_stamp(v, w, len);
}

/* Does the guest address trap in the window, whose bytes are v's? */
static bool traps(struct cpu *c, uint64_t gpa)
{
    uint64_t off;
    bool writable;
    return c->mem->vga && gpa - WINDOW_BASE < WINDOW_SIZE && !vga_window_find(c->mem->vga, gpa, &off) &&
           !mem_host(c->mem, gpa, &writable, NULL) && mmio_is_vga_window(c->mem, gpa);
}

uint64_t vga_range_fill(struct cpu *c, uint64_t gpa, uint64_t pattern, unsigned size, uint64_t len)
{
    if (!traps(c, gpa))
        return 0;
    struct vga *v = c->mem->vga;
    uint32_t addr = (uint32_t)(gpa - WINDOW_BASE);
    pthread_mutex_lock(&v->lock);
    uint32_t *w = unchained(v->r) ? words_of(v, addr, len) : NULL;
    if (w)
        fill(v, w, pattern, size, len);
    else
        for (uint64_t i = 0; i < len; i++)
            vga_byte_write(v, addr + (uint32_t)i, (uint8_t)(pattern >> 8 * (i & (size - 1))));
    pthread_mutex_unlock(&v->lock);
    return len;
}

uint64_t vga_range_in(struct cpu *c, uint64_t gpa, const uint8_t *from, uint64_t len)
{
    if (!traps(c, gpa))
        return 0;
    struct vga *v = c->mem->vga;
    uint32_t addr = (uint32_t)(gpa - WINDOW_BASE), m = vga_map_mask(v->r);
    pthread_mutex_lock(&v->lock);
    uint32_t *w = unchained(v->r) ? words_of(v, addr, len) : NULL;
    for (uint64_t i = 0; i < len; i++)
        if (w)
            w[i] = (w[i] & ~m) | (vga_write_value(v->r, from[i]) & m);
        else
            vga_byte_write(v, addr + (uint32_t)i, from[i]);
    if (w)
        words_stamp(v, w, len);
    pthread_mutex_unlock(&v->lock);
    return len;
}

/* Write mode 1 stores the latches that the load just filled: words move. The last load's latches stay. */
static bool latch_move(struct vga *v, uint32_t to, uint32_t from, uint64_t len)
{
    uint32_t *d = words_of(v, to, len), *s = words_of(v, from, len), m = vga_map_mask(v->r);
    if (!d || !s || (v->r->gc[GC_MODE] & 3) != 1)
        return false;
    v->r->latch = s[len - 1]; /* not what an overlap has overwritten: see below */
    if (m == ~0u && (d + len <= s || s + len <= d || d < s)) {
        memmove(d, s, len * 4);
    } else {
        for (uint64_t i = 0; i < len; i++) {
            v->r->latch = s[i];
            d[i] = (d[i] & ~m) | (s[i] & m);
        }
    }
    words_stamp(v, d, len);
    return true;
}

uint64_t vga_range_move(struct cpu *c, uint64_t to, uint64_t from, uint64_t len)
{
    if (!traps(c, to) || !traps(c, from))
        return 0;
    struct vga *v = c->mem->vga;
    uint32_t d = (uint32_t)(to - WINDOW_BASE), s = (uint32_t)(from - WINDOW_BASE);
    pthread_mutex_lock(&v->lock);
    if (!unchained(v->r) || !latch_move(v, d, s, len))
        for (uint64_t i = 0; i < len; i++)
            vga_byte_write(v, d + (uint32_t)i, vga_byte_read(v, s + (uint32_t)i));
    pthread_mutex_unlock(&v->lock);
    return len;
}
