/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The EDID of an emulated monitor: one base block with a preferred mode. Owns the bytes; must never know
 * which card shows it. Reference: VESA E-EDID 1.4.
 */
#include <string.h>
#include "vmm/machine/machine.h"

#define DPI 96u

static void put16(uint8_t *p, unsigned v)
{
    p[0] = (uint8_t)v;
    p[1] = (uint8_t)(v >> 8);
}

/* A detailed timing with simple blanking: 3.12, at 60 Hz. */
static void timing_put(uint8_t *p, unsigned x, unsigned y)
{
    unsigned xblank = x * 35 / 100 & ~7u, yblank = y * 35 / 1000 + 4, xfront = x * 25 / 1000 & ~7u;
    unsigned xsync = x * 3 / 100 & ~7u, yfront = y * 5 / 1000 + 1, ysync = 3;
    unsigned clock = (unsigned)((uint64_t)(x + xblank) * (y + yblank) * 60 / 10000);
    unsigned xmm = x * 254 / (DPI * 10), ymm = y * 254 / (DPI * 10);

    if (clock > 0xffff)
        clock = 0xffff;
    put16(p, clock);
    p[2] = (uint8_t)x;
    p[3] = (uint8_t)xblank;
    p[4] = (uint8_t)((x >> 8) << 4 | xblank >> 8);
    p[5] = (uint8_t)y;
    p[6] = (uint8_t)yblank;
    p[7] = (uint8_t)((y >> 8) << 4 | yblank >> 8);
    p[8] = (uint8_t)xfront;
    p[9] = (uint8_t)xsync;
    p[10] = (uint8_t)((yfront & 15) << 4 | ysync);
    p[11] = (uint8_t)((xfront >> 8 & 3) << 6 | (xsync >> 8 & 3) << 4 | (yfront >> 4 & 3) << 2);
    p[12] = (uint8_t)xmm;
    p[13] = (uint8_t)ymm;
    p[14] = (uint8_t)((xmm >> 8) << 4 | ymm >> 8);
    p[17] = 0x18; /* digital, separate sync */
}

static void text_put(uint8_t *p, uint8_t tag, const char *text)
{
    size_t n = strlen(text);

    memset(p, 0, 5);
    p[3] = tag;
    memset(p + 5, ' ', 13);
    memcpy(p + 5, text, n);
    p[5 + n] = '\n';
}

static void limits_put(uint8_t *p)
{
    static const uint8_t range[18] = {0, 0, 0, 0xfd, 0, 50, 125, 30, 160, 0xff, 0, '\n', ' ', ' ', ' ', ' ', ' ', ' '};

    memcpy(p, range, sizeof(range));
}

/* Standard timings: width / 8 - 31, aspect ratio and 60 Hz. */
static void standard_put(uint8_t *p)
{
    static const uint8_t modes[16] = {0xd1, 0xc0, 0xb3, 0x00, 0xa9, 0x40, 0x95, 0x00, 0x90, 0x40, 0x81, 0x00, 0x81, 0x80, 0x61, 0x40};

    memcpy(p, modes, sizeof(modes));
}

void edid_build(uint8_t edid[256], unsigned xres, unsigned yres)
{
    static const uint8_t head[8] = {0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0};
    static const uint8_t chroma[10] = {0xee, 0x91, 0xa3, 0x54, 0x4c, 0x99, 0x26, 0x0f, 0x50, 0x54}; /* sRGB */
    unsigned sum = 0;

    memset(edid, 0, 256);
    memcpy(edid, head, sizeof(head));
    edid[8] = (uint8_t)(('B' - 64) << 2 | ('L' - 64) >> 3);
    edid[9] = (uint8_t)((('L' - 64) & 7) << 5 | ('K' - 64));
    put16(edid + 10, 0x0001);
    edid[16] = 1;    /* week */
    edid[17] = 33;   /* 2023 */
    edid[18] = 1;
    edid[19] = 4;
    edid[20] = 0xa5; /* digital, 8 bits per colour, DisplayPort */
    edid[21] = (uint8_t)(xres * 254 / (DPI * 100));
    edid[22] = (uint8_t)(yres * 254 / (DPI * 100));
    edid[23] = 120;  /* gamma 2.2 */
    edid[24] = 0x06; /* sRGB, the first timing is the preferred one */
    memcpy(edid + 25, chroma, sizeof(chroma));
    edid[35] = 0x21; /* 640x480 and 800x600, 60 Hz */
    edid[36] = 0x08; /* 1024x768, 60 Hz */
    standard_put(edid + 38);
    timing_put(edid + 54, xres, yres);
    limits_put(edid + 72);
    text_put(edid + 90, 0xfc, "Bulkhead");
    text_put(edid + 108, 0xff, "1");
    for (unsigned i = 0; i < 127; i++)
        sum += edid[i];
    edid[127] = (uint8_t)-sum;
}
