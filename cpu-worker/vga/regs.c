/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The VGA's registers at 3B0h to 3DFh: sequencer, graphics, CRT and attribute controllers, DAC, status.
 * Owns their read and write rules; must never touch video memory. References: IBM PS/2 hardware interface
 * technical reference (video subsystem).
 */
#include "cpu-worker/vga/vga-internal.h"

#include <time.h>

#define FRAME_NS 14268000ull /* 70 Hz, 449 lines of 31.78 us */
#define LINE_NS  31778ull
#define RETRACE_LINES 2u

static const uint8_t seq_mask[8] = {0x03, 0x3d, 0x0f, 0x3f, 0x0e, 0, 0, 0xff};
static const uint8_t gc_mask[16] = {0x0f, 0x0f, 0x0f, 0x1f, 0x03, 0x7b, 0x0f, 0x0f, 0xff};

/* Input status 1: bit 0 = not displaying, bit 3 = vertical retrace. */
static uint8_t status_now(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    uint64_t at = ((uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec) % FRAME_NS;
    uint64_t line = at / LINE_NS;
    bool blank = line >= 400 || at % LINE_NS > LINE_NS * 4 / 5;
    bool retrace = line >= 412 && line < 412 + RETRACE_LINES;
    return (blank ? 1 : 0) | (retrace ? 8 : 0);
}

/* 3Bxh for a monochrome adapter, 3Dxh for colour: the other half does not answer. */
static bool port_decoded(const struct abi_vga *r, uint16_t port)
{
    if ((port & 0xfff0) == 0x3b0)
        return !(r->misc & 1);
    return (port & 0xfff0) != 0x3d0 || (r->misc & 1);
}

static uint8_t dac_data_read(struct abi_vga *r)
{
    uint8_t b = r->dac[r->dac_read * 3 + r->dac_part];
    if (++r->dac_part == 3) {
        r->dac_part = 0;
        r->dac_read++;
    }
    return b;
}

uint8_t vga_port_read(struct vga *v, uint16_t port)
{
    struct abi_vga *r = v->r;
    if (!port_decoded(r, port))
        return 0xff;
    switch (port) {
    case 0x3c0: return r->attr_index;
    case 0x3c1: return r->attr[r->attr_index & 0x1f];
    case 0x3c2: return 0x10; /* input status 0: a colour monitor senses */
    case 0x3c4: return r->seq_index;
    case 0x3c5: return r->seq[r->seq_index & 7];
    case 0x3c6: return r->dac_mask;
    case 0x3c7: return r->dac_state;
    case 0x3c8: return r->dac_write;
    case 0x3c9: return dac_data_read(r);
    case 0x3ca: return r->feature;
    case 0x3cc: return r->misc;
    case 0x3ce: return r->gc_index;
    case 0x3cf: return r->gc[r->gc_index & 15];
    case 0x3b4: case 0x3d4: return r->crtc_index;
    case 0x3b5: case 0x3d5: return r->crtc[r->crtc_index & 0x1f];
    case 0x3ba: case 0x3da:
        r->attr_data_next = 0;
        return status_now();
    }
    return 0xff;
}

static void attr_write(struct abi_vga *r, uint8_t b)
{
    unsigned i = r->attr_index & 0x1f;
    if (!r->attr_data_next)
        r->attr_index = b & 0x3f;
    else if (i < 16)
        r->attr[i] = b & 0x3f;
    else if (i <= 0x14)
        r->attr[i] = i == 0x12 ? b & 0x3f : i == 0x13 || i == 0x14 ? b & 0x0f : b;
    r->attr_data_next ^= 1;
}

static void dac_data_write(struct abi_vga *r, uint8_t b)
{
    if (!(r->vbe[ABI_VBE_ENABLE] & ABI_VBE_8BIT_DAC))
        b &= 0x3f;
    r->dac_temp[r->dac_part] = b;
    if (++r->dac_part < 3)
        return;
    for (unsigned i = 0; i < 3; i++)
        r->dac[r->dac_write * 3 + i] = r->dac_temp[i];
    r->dac_part = 0;
    r->dac_write++;
}

/* Index 11h bit 7 protects 0 to 7, but for the line-compare bit of 7. */
static void crtc_write(struct abi_vga *r, uint8_t b)
{
    unsigned i = r->crtc_index & 0x1f;
    if (i < 8 && (r->crtc[0x11] & 0x80)) {
        if (i == 7)
            r->crtc[7] = (r->crtc[7] & ~0x10) | (b & 0x10);
        return;
    }
    r->crtc[i] = b;
}

static void dac_index_write(struct abi_vga *r, uint8_t b, bool write)
{
    if (write)
        r->dac_write = b;
    else
        r->dac_read = b;
    r->dac_part = 0;
    r->dac_state = write ? 0 : 3;
}

bool vga_port_write(struct vga *v, uint16_t port, uint8_t b)
{
    struct abi_vga *r = v->r;
    if (!port_decoded(r, port))
        return false;
    switch (port) {
    case 0x3c0: attr_write(r, b); break;
    case 0x3c2: r->misc = b; break;
    case 0x3c4: r->seq_index = b & 7; break;
    case 0x3c5:
        r->seq[r->seq_index & 7] = b & seq_mask[r->seq_index & 7];
        return true;
    case 0x3c6: r->dac_mask = b; break;
    case 0x3c7: dac_index_write(r, b, false); break;
    case 0x3c8: dac_index_write(r, b, true); break;
    case 0x3c9: dac_data_write(r, b); break;
    case 0x3ce: r->gc_index = b & 15; break;
    case 0x3cf:
        r->gc[r->gc_index & 15] = b & gc_mask[r->gc_index & 15];
        return true;
    case 0x3b4: case 0x3d4: r->crtc_index = b & 0x1f; break;
    case 0x3b5: case 0x3d5: crtc_write(r, b); break;
    case 0x3ba: case 0x3da: r->feature = b; break;
    }
    return false;
}
