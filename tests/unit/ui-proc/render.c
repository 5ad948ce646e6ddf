/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From registers to pixels: the card's own modes drawn with a few known bytes each, and registers of any
 * value, which must neither be drawn outside of the row nor read outside of the memory.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/lib/ctest.h"
#include "ui-proc/render/render.h"

#define VRAM (1u << 20)

static struct abi_display *d;
static struct display view;
static uint8_t *vram;
static struct render r;
static uint32_t row[RENDER_WIDTH_MAX];

static void setup(void)
{
    int fd = memfd_create("display", MFD_CLOEXEC);

    if (ftruncate(fd, ABI_DISPLAY_VRAM + VRAM) < 0) {
        abort();
    }
    d = mmap(NULL, ABI_DISPLAY_VRAM + VRAM, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    d->magic = ABI_DISPLAY_MAGIC;
    d->version = ABI_DISPLAY_VERSION;
    vram = (uint8_t *)d + ABI_DISPLAY_VRAM;
    ok(display_map(&view, fd) == 0 && view.vram_size == VRAM, "mapped");
}

static void mode(uint8_t cols, uint16_t lines, uint8_t scan, uint8_t offset, uint8_t crtc17, uint8_t gc5)
{
    struct abi_vga *v = &d->vga;

    memset(v, 0, sizeof(*v));
    v->misc = 0x67;
    v->seq[0] = 3;
    v->seq[1] = 1;
    v->attr_index = 0x20;
    v->attr[0x12] = 15;
    v->dac_mask = 0xff;
    for (unsigned i = 0; i < 16; i++) {
        v->attr[i] = (uint8_t)i;
    }
    for (unsigned i = 0; i < 768; i++) {
        v->dac[i] = (uint8_t)(i / 3 & 63);
    }
    v->crtc[1] = cols - 1;
    v->crtc[9] = scan;
    v->crtc[0x12] = (uint8_t)(lines - 1);
    v->crtc[7] = (uint8_t)(((lines - 1) >> 8 & 1) << 1 | ((lines - 1) >> 9 & 1) << 6 | 0x10);
    v->crtc[9] |= 0x40;
    v->crtc[0x18] = 0xff; /* no split */
    v->crtc[0x13] = offset;
    v->crtc[0x17] = crtc17;
    v->gc[5] = gc5;
    v->gc[6] = 5;
}
static uint32_t grey(unsigned n)
{
    return (n << 2 | n >> 4) * 0x010101u;
}
static bool begin(unsigned width, unsigned height)
{
    return render_begin(&r, &view, true) && r.width == width && r.height == height;
}
static uint32_t pixel(unsigned x, unsigned y)
{
    r.row(&r, y, row);
    return row[x];
}

static void modes(void)
{
    memset(vram, 0, VRAM);
    mode(80, 480, 0, 40, 0xe3, 0); /* 12h */
    vram[4 * (80 * 3 + 2) + 0] = 0x80;
    vram[4 * (80 * 3 + 2) + 3] = 0x81;
    ok(begin(640, 480) && pixel(16, 3) == grey(9) && pixel(23, 3) == grey(8) && !pixel(17, 3), "mode 12h");
    d->vga.attr[0x13] = 3;
    ok(begin(640, 480) && pixel(13, 3) == grey(9), "panned by three");
    d->vga.attr[0x13] = 0;
    d->vga.crtc[0x0d] = 80;
    ok(begin(640, 480) && pixel(16, 2) == grey(9), "start address");
    d->vga.crtc[0x0d] = 0;
    d->vga.crtc[0x18] = 99;
    d->vga.crtc[7] &= (uint8_t)~0x10;
    d->vga.crtc[9] &= (uint8_t)~0x40;
    ok(begin(640, 480) && pixel(16, 103) == grey(9), "below the split the addresses begin at 0");

    memset(vram, 0, VRAM);
    mode(80, 400, 1, 40, 0xa3, 0x40); /* 13h */
    vram[320 * 199 + 319] = 63;
    vram[320 * 1] = 5;
    ok(begin(320, 200) && pixel(319, 199) == grey(63) && pixel(0, 1) == grey(5), "mode 13h");

    memset(vram, 0, VRAM);
    mode(40, 400, 0xc1 & 0x1f, 20, 0xa2, 0x20); /* 4: 320x200 in four colours; odd lines at 2000h */
    d->vga.crtc[9] |= 0x80;
    d->vga.text_apart = 1;
    uint8_t *text = (uint8_t *)d + ABI_DISPLAY_TEXT;
    text[80 + 1] = 0x1b;          /* row 2 */
    text[0x2000 + 80 * 99 + 79] = 0xe4; /* row 199 */
    ok(begin(320, 200), "mode 4: %ux%u", r.width, r.height);
    ok(pixel(4, 2) == 0 && pixel(5, 2) == grey(1) && pixel(7, 2) == grey(3), "even lines");
    ok(pixel(316, 199) == grey(3) && pixel(319, 199) == 0 && pixel(317, 199) == grey(2), "odd lines");
    memset(text, 0, ABI_DISPLAY_TEXT_LEN);
}

static void linear(void)
{
    uint16_t *b;

    memset(vram, 0, VRAM);
    mode(80, 400, 0, 40, 0xa3, 0);
    b = d->vga.vbe;
    b[ABI_VBE_ENABLE] = ABI_VBE_ENABLED | ABI_VBE_LFB;
    b[ABI_VBE_XRES] = 64;
    b[ABI_VBE_YRES] = 48;
    b[ABI_VBE_VIRT_WIDTH] = 128;
    b[ABI_VBE_BPP] = 16;
    b[ABI_VBE_X_OFFSET] = 2;
    b[ABI_VBE_Y_OFFSET] = 1;
    vram[2 * (128 * 2 + 3)] = 0x1f;     /* blue */
    vram[2 * (128 * 2 + 4) + 1] = 0xf8; /* red */
    vram[2 * (128 * 2 + 5)] = 0xe0;
    vram[2 * (128 * 2 + 5) + 1] = 0x07;
    ok(begin(64, 48) && pixel(1, 1) == 0xff && pixel(2, 1) == 0xff0000 && pixel(3, 1) == 0xff00, "16 bits per pixel");
    b[ABI_VBE_BPP] = 15;
    /* 07E0h is 0 00001 11111 00000 */
    ok(begin(64, 48) && pixel(3, 1) == 0x08ff00, "15 bits per pixel");
    b[ABI_VBE_BPP] = 24;
    memset(vram, 0, VRAM);
    memcpy(vram + 3 * (128 + 2), "\x01\x02\x03", 3);
    ok(begin(64, 48) && pixel(0, 0) == 0x030201, "24 bits per pixel");
    b[ABI_VBE_BPP] = 32;
    b[ABI_VBE_Y_OFFSET] = 60000;
    ok(begin(64, 48) && pixel(0, 0) == 0, "beyond the video memory there is nothing");
    b[ABI_VBE_ENABLE] = 0;
}

/* Every register at random: no row may leave its buffer or the mapping (the sanitizers and the guard pages
 * around the mapping tell). */
static void anything(void)
{
    uint8_t *regs = (uint8_t *)&d->vga;
    unsigned widest = 0;

    srandom(1);
    for (unsigned n = 0; n < 20000; n++) {
        for (unsigned i = 0; i < sizeof(d->vga); i++) {
            regs[i] = (uint8_t)random();
        }
        if (n & 1) {
            d->vga.vbe[ABI_VBE_ENABLE] = 0;
        }
        d->vga.seq[0] = 3;
        if (!render_begin(&r, &view, n & 2)) {
            continue;
        }
        widest = r.width > widest ? r.width : widest;
        if (r.width > RENDER_WIDTH_MAX || r.height > RENDER_HEIGHT_MAX) {
            ok(false, "%ux%u", r.width, r.height);
            return;
        }
        r.row(&r, 0, row);
        r.row(&r, r.height - 1, row);
        r.row(&r, r.height / 2, row);
    }
    ok(widest > 1000, "20000 sets of random registers are drawn without harm (up to %u wide)", widest);
}

int main(void)
{
    setup();
    modes();
    linear();
    anything();
    d->seq = 1;
    ok(!render_begin(&r, &view, true), "registers that are being changed are not used");
    return ctest_done();
}
