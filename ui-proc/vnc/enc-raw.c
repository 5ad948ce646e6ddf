/* SPDX-License-Identifier: Apache-2.0 */
/* Raw encoding (RFC 6143, 7.7.1), and the scratch memory encoders share. */
#include "ui-proc/vnc/vnc-internal.h"

#include <stdlib.h>

uint8_t *work_area(struct vnc_client *c, size_t len)
{
    struct vnc *v = c->v;

    if (len > v->work_room) {
        uint8_t *p = realloc(v->work, len);

        if (!p) {
            c->out_failed = true;
            return NULL;
        }
        v->work = p;
        v->work_room = len;
    }
    return v->work;
}

void encode_raw(struct vnc_client *c, const struct rect *r)
{
    const struct screen *s = c->v->screen;
    size_t row = (size_t)r->w * c->pf.bpp / 8;
    uint8_t *to;

    rect_head(c, r, ENC_RAW);
    to = put_room(c, row * r->h);
    for (unsigned y = 0; to && y < r->h; y++) {
        pixels_convert(c, s->pixels + (size_t)(r->y + y) * s->width + r->x, r->w, to + y * row);
    }
}
