/* SPDX-License-Identifier: Apache-2.0 */
/* Zlib encoding: raw pixels through one stream (encoding number 6). */
#include "ui-proc/vnc/vnc-internal.h"

#include <string.h>

void encode_zlib(struct vnc_client *c, const struct rect *r)
{
    const struct screen *s = c->v->screen;
    size_t row = (size_t)r->w * c->pf.bpp / 8, at, n;
    uint8_t *work = work_area(c, row * r->h);

    for (unsigned y = 0; work && y < r->h; y++) {
        pixels_convert(c, s->pixels + (size_t)(r->y + y) * s->width + r->x, r->w, work + y * row);
    }
    rect_head(c, r, ENC_ZLIB);
    at = c->out_len;
    put32(c, 0);
    n = work ? deflate_put(c, &c->zlib, &c->zlib_on, c->level < 0 ? 1 : c->level, work, row * r->h) : 0;
    if (!c->out_failed) {
        uint32_t be = __builtin_bswap32((uint32_t)n);

        memcpy(c->out + at, &be, 4);
    }
}
