/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The card's memory against a plain model written from the manual, one plane and one bit at a time; the
 * window; the registers' rules; the Bochs display interface.
 */
#include <stdlib.h>
#include <string.h>

#include "cpu-worker/vga/vga-internal.h"
#include "tests/lib/ctest.h"

#define VRAM (1u << 20)

static struct abi_display *d;
static struct vga *v;

/* ---- the model: graphics controller of the PS/2 reference, bit by bit ---- */
static struct {
    uint8_t plane[4][65536], latch[4];
} model;

static bool in_range(unsigned addr, unsigned *off)
{
    static const unsigned base[4] = {0, 0, 0x10000, 0x18000}, size[4] = {0x20000, 0x10000, 0x8000, 0x8000};
    unsigned m = d->vga.gc[6] >> 2 & 3;

    *off = addr - base[m];
    return addr >= base[m] && addr < base[m] + size[m];
}
static unsigned place(unsigned off, bool odd_even, bool chain4, bool select[4])
{
    for (unsigned p = 0; p < 4; p++)
        select[p] = chain4 ? p == (off & 3) : odd_even ? (p & 1) == (off & 1) : true;
    return (chain4 ? off >> 2 : odd_even ? off >> 1 : off) & 0xffff;
}
static uint8_t model_read(unsigned addr)
{
    const uint8_t *g = d->vga.gc;
    bool chain4 = d->vga.seq[4] & 8, oe = (g[5] & 0x10) && !chain4, sel[4];
    unsigned off, at;
    uint8_t out = 0;

    if (!in_range(addr, &off))
        return 0xff;
    at = place(off, oe, chain4, sel);
    for (unsigned p = 0; p < 4; p++)
        model.latch[p] = model.plane[p][at];
    if (chain4)
        return model.latch[off & 3];
    if (oe)
        return model.latch[(g[4] & 2) | (off & 1)];
    if (!(g[5] & 8))
        return model.latch[g[4] & 3];
    for (unsigned bit = 0; bit < 8; bit++) {
        bool match = true;
        for (unsigned p = 0; p < 4; p++)
            if (g[7] >> p & 1)
                match &= (model.latch[p] >> bit & 1) == (g[2] >> p & 1);
        out |= (uint8_t)(match << bit);
    }
    return out;
}
static bool alu(unsigned func, bool a, bool latch)
{
    return func == 0 ? a : func == 1 ? a && latch : func == 2 ? a || latch : a != latch;
}
static void model_write(unsigned addr, uint8_t b)
{
    const uint8_t *g = d->vga.gc;
    bool chain4 = d->vga.seq[4] & 8, oe = !(d->vga.seq[4] & 4) && !chain4, sel[4];
    unsigned off, at, mode = g[5] & 3, rot = g[3] & 7, func = g[3] >> 3 & 3;
    uint8_t turned = (uint8_t)(b >> rot | b << (8 - rot));

    if (!in_range(addr, &off))
        return;
    at = place(off, oe, chain4, sel);
    for (unsigned p = 0; p < 4; p++) {
        uint8_t out = 0;
        if (!sel[p] || !(d->vga.seq[2] >> p & 1))
            continue;
        for (unsigned bit = 0; bit < 8; bit++) {
            bool latch = model.latch[p] >> bit & 1, in, mask = g[8] >> bit & 1;
            if (mode == 0)
                in = g[1] >> p & 1 ? g[0] >> p & 1 : turned >> bit & 1;
            else if (mode == 2)
                in = b >> p & 1;
            else
                in = g[0] >> p & 1;
            if (mode == 3)
                mask = mask && (turned >> bit & 1);
            bool res = mode == 1 ? latch : mask ? alu(func, in, latch) : latch;
            out |= (uint8_t)(res << bit);
        }
        model.plane[p][at] = out;
    }
}

static void out(uint16_t port, uint8_t index, uint8_t value)
{
    vga_port_write(v, port, index);
    vga_port_write(v, port + 1, value);
}
static void window_now(void)
{
    struct vga_window w = vga_window_wanted(v);
    vga_window_move(v, &w);
}

static void random_registers(void)
{
    static const uint8_t seq4[6] = {2, 6, 4, 6, 0x0e, 6}, gc5[5] = {0, 1, 2, 3, 0x10};
    out(0x3c4, 2, (uint8_t)(random() & 15));
    out(0x3c4, 4, seq4[random() % 6]);
    out(0x3ce, 0, (uint8_t)random());
    out(0x3ce, 1, random() & 3 ? (uint8_t)random() : 0);
    out(0x3ce, 2, (uint8_t)random());
    out(0x3ce, 3, random() & 1 ? (uint8_t)random() : 0);
    out(0x3ce, 4, (uint8_t)random());
    out(0x3ce, 5, (uint8_t)(gc5[random() % 5] | (random() & 8)));
    out(0x3ce, 6, (uint8_t)(random() & 15));
    out(0x3ce, 7, (uint8_t)random());
    out(0x3ce, 8, random() & 1 ? (uint8_t)random() : 0xff);
    if (random() & 3)
        return;
    bool chained = random() & 1; /* as text and 256-colour modes leave them */
    out(0x3c4, 2, chained ? 15 : 3);
    out(0x3c4, 4, chained ? 0x0e : 2);
    out(0x3ce, 1, 0);
    out(0x3ce, 3, 0);
    out(0x3ce, 4, 0);
    out(0x3ce, 5, chained ? 0x40 : 0x10);
    out(0x3ce, 8, 0xff);
}

/* A byte as a CPU would reach it: through the window where it is plain. */
static void cpu_write(unsigned addr, uint8_t b)
{
    uint64_t off;
    if (vga_window_find(v, 0xa0000 + addr, &off))
        ((uint8_t *)d)[off] = b;
    else
        vga_byte_write(v, addr, b);
}
static uint8_t cpu_read(unsigned addr)
{
    uint64_t off;
    return vga_window_find(v, 0xa0000 + addr, &off) ? ((uint8_t *)d)[off] : vga_byte_read(v, addr);
}

static void planes_agree(void)
{
    unsigned bad = 0, plain = 0;
    srandom(7);
    for (unsigned n = 0; n < 400000 && !bad; n++) {
        if (n % 40 == 0) {
            random_registers();
            window_now();
            plain += v->window != 0;
            /* plain reads do not load the latches: both sides begin from the same ones */
            for (unsigned p = 0; p < 4; p++)
                model.latch[p] = (uint8_t)(v->r->latch >> 8 * p);
        }
        unsigned addr = (unsigned)random() & 0x1ffff;
        if (n & 1) {
            uint8_t b = (uint8_t)random();
            cpu_write(addr, b);
            model_write(addr, b);
        } else {
            uint64_t off;
            bool is_plain = vga_window_find(v, 0xa0000 + addr, &off);
            uint8_t keep[4];
            memcpy(keep, model.latch, 4);
            bad += cpu_read(addr) != model_read(addr);
            if (is_plain)
                memcpy(model.latch, keep, 4);
        }
    }
    ok(!bad, "400000 random accesses agree with the model");
    ok(plain > 100, "some of them (%u of 10000 sets of registers) through the plain window", plain);
    out(0x3ce, 5, 0);
    out(0x3c4, 4, 6);
    window_now();
    for (unsigned n = 0; n < 65536; n++)
        for (unsigned p = 0; p < 4; p++)
            bad += (v->planes[n] >> 8 * p & 0xff) != model.plane[p][n];
    ok(!bad, "and so do all four planes afterwards");
}

static void text_window(void)
{
    uint64_t off;
    out(0x3c4, 2, 3);
    out(0x3c4, 4, 2);
    out(0x3ce, 0, 0);
    out(0x3ce, 1, 0);
    out(0x3ce, 3, 0);
    out(0x3ce, 4, 0);
    out(0x3ce, 5, 0x10);
    out(0x3ce, 6, 0x0e);
    out(0x3ce, 8, 0xff);
    window_now();
    ok(vga_window_find(v, 0xb8000, &off) && off == ABI_DISPLAY_TEXT && vga_window_find(v, 0xbffff, &off) &&
           !vga_window_find(v, 0xb7fff, &off) && !vga_window_find(v, 0xc0000, &off),
       "text mode: B8000h to BFFFFh is plain memory");
    cpu_write(0x18000, 'A');
    cpu_write(0x18001, 7);
    out(0x3c4, 4, 6); /* as for loading a font */
    out(0x3c4, 2, 4);
    window_now();
    ok(!vga_window_find(v, 0xb8000, &off), "not while a font is loaded");
    ok((v->planes[0] & 0xffff) == ('A' | 7 << 8), "characters and attributes are in planes 0 and 1 meanwhile");
    out(0x3c4, 4, 2);
    out(0x3c4, 2, 3);
    window_now();
    ok(cpu_read(0x18000) == 'A' && cpu_read(0x18001) == 7, "and back");
}

static void registers(void)
{
    out(0x3d4, 0x11, 0x80);
    out(0x3d4, 0, 0x55);
    vga_port_write(v, 0x3d4, 0);
    ok(vga_port_read(v, 0x3d5) == 0xff, "a monochrome adapter does not answer at 3D4h");
    vga_port_write(v, 0x3c2, 0x67);
    out(0x3d4, 0x11, 0);
    out(0x3d4, 0, 0x55);
    out(0x3d4, 7, 0);
    out(0x3d4, 0x11, 0x80);
    out(0x3d4, 0, 0x66);
    out(0x3d4, 7, 0xff);
    ok(v->r->crtc[0] == 0x55 && v->r->crtc[7] == 0x10, "protected registers but for the line-compare bit");
    vga_port_read(v, 0x3da);
    vga_port_write(v, 0x3c0, 0x05);
    vga_port_write(v, 0x3c0, 0x3a);
    vga_port_write(v, 0x3c0, 0x20);
    ok(v->r->attr[5] == 0x3a && v->r->attr_index == 0x20, "attribute index and data by turns");
    vga_port_write(v, 0x3c8, 254);
    for (unsigned i = 0; i < 9; i++)
        vga_port_write(v, 0x3c9, (uint8_t)(i + 1));
    vga_port_write(v, 0x3c7, 254);
    bool good = true;
    for (unsigned i = 0; i < 9; i++)
        good &= vga_port_read(v, 0x3c9) == i + 1;
    ok(good && v->r->dac[0] == 7, "DAC entries one after another, 255 then 0");
    unsigned seen = 0;
    for (unsigned i = 0; i < 2000000 && seen != 15; i++) {
        uint8_t s = vga_port_read(v, 0x3da);
        seen |= (s & 1 ? 1 : 2) | (s & 8 ? 4 : 8);
    }
    ok(seen == 15, "display and retrace bits come and go");
}

static void dispi(void)
{
    uint64_t off;
    ok(vbe_read(v, ABI_VBE_ID) == 0xb0c5 && vbe_read(v, ABI_VBE_MEM_64K) == VRAM >> 16, "identity and memory");
    vbe_write(v, ABI_VBE_XRES, 1024);
    vbe_write(v, ABI_VBE_YRES, 768);
    vbe_write(v, ABI_VBE_BPP, 32);
    vbe_write(v, ABI_VBE_ENABLE, ABI_VBE_ENABLED);
    ok(!(vbe_read(v, ABI_VBE_ENABLE) & 1), "3 MiB do not fit in one: refused");
    vbe_write(v, ABI_VBE_XRES, 320);
    vbe_write(v, ABI_VBE_YRES, 200);
    memset(v->planes, 0x55, VRAM);
    vbe_write(v, ABI_VBE_ENABLE, ABI_VBE_ENABLED | ABI_VBE_LFB);
    ok((vbe_read(v, ABI_VBE_ENABLE) & 1) && v->planes[0] == 0 && v->planes[320 * 200 - 1] == 0 &&
           v->planes[320 * 200] == 0x55555555, "enabled, and the picture is cleared");
    ok(vbe_read(v, ABI_VBE_VIRT_WIDTH) == 320 && vbe_read(v, ABI_VBE_VIRT_HEIGHT) == VRAM / 1280, "virtual size");
    vbe_write(v, ABI_VBE_XRES, 640);
    ok(vbe_read(v, ABI_VBE_XRES) == 320, "no change of resolution while enabled");
    vbe_write(v, ABI_VBE_Y_OFFSET, 0xffff);
    ok(vbe_read(v, ABI_VBE_Y_OFFSET) == 0, "an offset beyond the virtual screen is refused");
    vbe_write(v, ABI_VBE_BANK, 3);
    window_now();
    ok(vga_window_find(v, 0xa0010, &off) && off == ABI_DISPLAY_VRAM + 0x30010 && !vga_window_find(v, 0xb0000, &off),
       "the bank is plain memory at A0000h");
    vbe_write(v, ABI_VBE_BANK, 16);
    ok(vbe_read(v, ABI_VBE_BANK) == 3, "a bank beyond the memory is refused");
    vbe_write(v, ABI_VBE_ENABLE, ABI_VBE_ENABLED | ABI_VBE_GETCAPS);
    ok(vbe_read(v, ABI_VBE_XRES) == ABI_VBE_X_MAX && vbe_read(v, ABI_VBE_BPP) == 32, "capabilities");
}

int main(void)
{
    d = aligned_alloc(4096, ABI_DISPLAY_VRAM + VRAM);
    memset(d, 0, ABI_DISPLAY_VRAM + VRAM);
    ok(!vga_create(d, ABI_DISPLAY_VRAM + VRAM), "foreign memory is refused");
    d->magic = ABI_DISPLAY_MAGIC;
    d->version = ABI_DISPLAY_VERSION;
    d->size = ABI_DISPLAY_VRAM + VRAM;
    d->vga.vbe[ABI_VBE_ID] = 0xb0c5;
    d->vga.misc = 0;
    v = vga_create(d, d->size);
    planes_agree();
    text_window();
    registers();
    dispi();
    vga_destroy(v);
    free(d);
    return ctest_done();
}
