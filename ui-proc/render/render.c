/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which of the renderers a set of registers asks for. Decides nothing about pixels.
 */
#include "ui-proc/render/render.h"

#include <string.h>

#define BLANK_WIDTH  720
#define BLANK_HEIGHT 400

static void blank_row(const struct render *r, unsigned y, uint32_t *out)
{
    (void)y;
    memset(out, 0, r->width * sizeof(*out));
}

static void blank_begin(struct render *r)
{
    r->width = r->width ? r->width : BLANK_WIDTH;
    r->height = r->height ? r->height : BLANK_HEIGHT;
    r->row = blank_row;
}

/* Screen off in the sequencer, in reset, or the palette in the CPU's hands. */
static bool is_blank(const struct abi_vga *v)
{
    return (v->seq[1] & 0x20) || (v->seq[0] & 3) != 3 || !(v->attr_index & 0x20);
}

bool render_begin(struct render *r, const struct display *d, bool blink_on)
{
    memset(r, 0, sizeof(*r));
    r->display = d;
    r->blink_on = blink_on;
    if (!d->shared) {
        blank_begin(r);
        return true;
    }
    if (!display_registers(d, &r->vga)) {
        return false;
    }
    if ((r->vga.vbe[ABI_VBE_ENABLE] & ABI_VBE_ENABLED) && r->vga.vbe[ABI_VBE_BPP] != 4) {
        render_linear_begin(r);
    } else if (r->vga.vbe[ABI_VBE_ENABLE] & ABI_VBE_ENABLED) {
        render_planar_begin(r);
    } else if (r->vga.gc[6] & 1) {
        render_planar_begin(r);
    } else {
        render_text_begin(r);
    }
    if (!r->width || !r->height || r->width > RENDER_WIDTH_MAX || r->height > RENDER_HEIGHT_MAX) {
        r->width = r->height = 0;
        blank_begin(r);
    } else if (!(r->vga.vbe[ABI_VBE_ENABLE] & ABI_VBE_ENABLED) && is_blank(&r->vga)) {
        blank_begin(r);
    }
    return true;
}
