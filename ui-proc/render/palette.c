/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Colours: DAC entries, and the attribute controller's way to them. Never touches video memory.
 */
#include "ui-proc/render/render.h"

/* Six bits are widened so that 63 is 255. */
static uint32_t dac_colour(const struct abi_vga *v, unsigned n)
{
    const uint8_t *c = v->dac + (size_t)3 * (n & v->dac_mask);
    uint32_t rgb = 0;

    for (unsigned i = 0; i < 3; i++) {
        uint8_t b = c[i];

        if (!(v->vbe[ABI_VBE_ENABLE] & ABI_VBE_8BIT_DAC)) {
            b = (uint8_t)((b & 0x3f) << 2 | (b & 0x3f) >> 4);
        }
        rgb = rgb << 8 | b;
    }
    return rgb;
}

void render_palette_dac(struct render *r)
{
    for (unsigned n = 0; n < 256; n++) {
        r->palette[n] = dac_colour(&r->vga, n);
    }
}

/* Attribute mode bit 7: two of the DAC address bits come from the colour select register. */
void render_palette_attr(struct render *r)
{
    const struct abi_vga *v = &r->vga;
    unsigned select = v->attr[0x14];

    for (unsigned n = 0; n < 16; n++) {
        unsigned a = v->attr[n] & 0x3f;

        if (v->attr[0x10] & 0x80) {
            a = (a & 0x0f) | (select & 3) << 4;
        }
        r->palette[n] = dac_colour(v, a | (select & 0x0c) << 4);
    }
}
