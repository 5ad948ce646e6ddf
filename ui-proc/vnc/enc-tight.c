/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tight encoding: one colour, two, a palette, JPEG where the client asked for a quality, or pixels; basic
 * compression has a stream of its own for each. Rectangles are at most 2048 columns and 65536 pixels.
 */
#include "ui-proc/vnc/vnc-internal.h"

#include <stdio.h>
#include <jpeglib.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#define TIGHT_FILL     0x80
#define TIGHT_JPEG     0x90
#define TIGHT_FILTER   0x40
#define FILTER_PALETTE 1
#define TO_COMPRESS    12u /* shorter data goes as it is */
#define COLOURS        256u
#define JPEG_PIXELS    256u /* smaller rectangles are not worth it */
enum { STREAM_FULL, STREAM_MONO, STREAM_INDEX };

struct palette {
    unsigned n; /* COLOURS + 1 = more */
    uint32_t colour[COLOURS];
    uint16_t slot[1024]; /* open hash: index + 1 */
};

/* A TPIXEL is red, green, blue where pixels are 32 bits with eight for each colour. */
static bool tpixel_three(const struct vnc_client *c)
{
    const struct pixel_format *f = &c->pf;

    return f->bpp == 32 && f->depth == 24 && f->max[0] == 255 && f->max[1] == 255 && f->max[2] == 255;
}
static unsigned tpixel_size(const struct vnc_client *c)
{
    return tpixel_three(c) ? 3 : c->pf.bpp / 8;
}
static void tpixel(const struct vnc_client *c, uint8_t *to, uint32_t rgb)
{
    if (tpixel_three(c)) {
        to[0] = (uint8_t)(rgb >> 16);
        to[1] = (uint8_t)(rgb >> 8);
        to[2] = (uint8_t)rgb;
    } else {
        uint32_t v = pixel_value(c, rgb);

        memcpy(to, &v, c->pf.bpp / 8);
    }
}

static unsigned palette_index(struct palette *p, uint32_t v)
{
    unsigned h = (v * 2654435761u) >> 22;

    while (p->slot[h] && p->colour[p->slot[h] - 1] != v) {
        h = (h + 1) & 1023;
    }
    if (!p->slot[h]) {
        if (p->n >= COLOURS) {
            p->n = COLOURS + 1;
            return 0;
        }
        p->colour[p->n++] = v;
        p->slot[h] = (uint16_t)p->n;
    }
    return p->slot[h] - 1u;
}

static void palette_make(struct palette *p, const uint32_t *px, size_t n)
{
    p->n = 0;
    memset(p->slot, 0, sizeof(p->slot));
    for (size_t i = 0; i < n && p->n <= COLOURS; i++) {
        if (!i || px[i] != px[i - 1]) {
            palette_index(p, px[i]);
        }
    }
}

/* Length in one to three groups of seven bits. */
static void length_put(uint8_t *at, size_t n)
{
    at[0] = (uint8_t)(n & 0x7f) | 0x80;
    at[1] = (uint8_t)(n >> 7 & 0x7f) | 0x80;
    at[2] = (uint8_t)(n >> 14);
}

static void basic_put(struct vnc_client *c, unsigned stream, const uint8_t *data, size_t len)
{
    size_t at, n;

    if (len < TO_COMPRESS) {
        put(c, data, len);
        return;
    }
    at = c->out_len;
    if (!put_room(c, 3)) {
        return;
    }
    n = deflate_put(c, &c->tight[stream], &c->tight_on[stream], c->level < 0 ? 1 : c->level, data, len);
    if (!c->out_failed) {
        length_put(c->out + at, n);
    }
}

static void palette_head(struct vnc_client *c, const struct palette *p, unsigned stream)
{
    put8(c, stream << 4 | TIGHT_FILTER);
    put8(c, FILTER_PALETTE);
    put8(c, p->n - 1);
    for (unsigned i = 0; i < p->n; i++) {
        uint8_t b[4];

        tpixel(c, b, p->colour[i]);
        put(c, b, tpixel_size(c));
    }
}

static void mono_put(struct vnc_client *c, struct palette *p, const uint32_t *px, const struct rect *r, uint8_t *work)
{
    size_t row = (r->w + 7) / 8;

    memset(work, 0, row * r->h);
    for (unsigned y = 0; y < r->h; y++) {
        for (unsigned x = 0; x < r->w; x++) {
            if (px[(size_t)y * r->w + x] == p->colour[1]) {
                work[y * row + x / 8] |= (uint8_t)(0x80 >> x % 8);
            }
        }
    }
    palette_head(c, p, STREAM_MONO);
    basic_put(c, STREAM_MONO, work, row * r->h);
}

static void index_put(struct vnc_client *c, struct palette *p, const uint32_t *px, size_t n, uint8_t *work)
{
    for (size_t i = 0; i < n; i++) {
        work[i] = i && px[i] == px[i - 1] ? work[i - 1] : (uint8_t)palette_index(p, px[i]);
    }
    palette_head(c, p, STREAM_INDEX);
    basic_put(c, STREAM_INDEX, work, n);
}

static void full_put(struct vnc_client *c, const uint32_t *px, size_t n, uint8_t *work)
{
    unsigned size = tpixel_size(c);

    for (size_t i = 0; i < n; i++) {
        tpixel(c, work + i * size, px[i]);
    }
    put8(c, STREAM_FULL << 4);
    basic_put(c, STREAM_FULL, work, n * size);
}

/* ---- JPEG ---- */

struct jpeg_failure {
    struct jpeg_error_mgr mgr;
    jmp_buf out;
};
static void jpeg_failed(j_common_ptr j)
{
    longjmp(((struct jpeg_failure *)j->err)->out, 1);
}

static void rows_write(struct jpeg_compress_struct *j, const uint32_t *px, const struct rect *r, uint8_t *row)
{
    for (unsigned y = 0; y < r->h; y++) {
        JSAMPROW rows[1] = {row};

        for (unsigned x = 0; x < r->w; x++) {
            uint32_t v = px[(size_t)y * r->w + x];

            row[3 * x] = (uint8_t)(v >> 16);
            row[3 * x + 1] = (uint8_t)(v >> 8);
            row[3 * x + 2] = (uint8_t)v;
        }
        jpeg_write_scanlines(j, rows, 1);
    }
}

/* Quality level 0 to 9 as percent, and the chroma samples the levels below 6 do without. */
static int jpeg_make(int level, const uint32_t *px, const struct rect *r, uint8_t *row, unsigned char **data,
                     unsigned long *len)
{
    static const int percent[10] = {5, 10, 15, 25, 37, 50, 60, 70, 75, 80};
    struct jpeg_compress_struct j = {0};
    struct jpeg_failure f;

    j.err = jpeg_std_error(&f.mgr);
    f.mgr.error_exit = jpeg_failed;
    if (setjmp(f.out)) {
        jpeg_destroy_compress(&j);
        return -1;
    }
    jpeg_create_compress(&j);
    jpeg_mem_dest(&j, data, len);
    j.image_width = r->w;
    j.image_height = r->h;
    j.input_components = 3;
    j.in_color_space = JCS_RGB;
    jpeg_set_defaults(&j);
    jpeg_set_quality(&j, percent[level], TRUE);
    j.dct_method = JDCT_FASTEST;
    if (level >= 8) {
        j.comp_info[0].h_samp_factor = j.comp_info[0].v_samp_factor = 1;
    }
    jpeg_start_compress(&j, TRUE);
    rows_write(&j, px, r, row);
    jpeg_finish_compress(&j);
    jpeg_destroy_compress(&j);
    return 0;
}

static bool jpeg_put(struct vnc_client *c, const uint32_t *px, const struct rect *r, uint8_t *work)
{
    unsigned char *data = NULL;
    unsigned long len = 0;
    int err = jpeg_make(c->quality, px, r, work, &data, &len);

    if (!err && len < 1u << 22) {
        put8(c, TIGHT_JPEG);
        uint8_t *at = put_room(c, 3);
        if (at) {
            length_put(at, len);
            put(c, data, len);
        }
    }
    free(data);
    return !err;
}

void encode_tight(struct vnc_client *c, const struct rect *r)
{
    static struct palette p;
    const struct screen *s = c->v->screen;
    size_t n = (size_t)r->w * r->h;
    uint8_t *work = work_area(c, n * 8);
    uint32_t *px = (uint32_t *)work;

    rect_head(c, r, ENC_TIGHT);
    if (!work) {
        return;
    }
    for (unsigned y = 0; y < r->h; y++) {
        memcpy(px + (size_t)y * r->w, s->pixels + (size_t)(r->y + y) * s->width + r->x, (size_t)r->w * 4);
    }
    palette_make(&p, px, n);
    if (p.n == 1) {
        uint8_t b[4];

        tpixel(c, b, p.colour[0]);
        put8(c, TIGHT_FILL);
        put(c, b, tpixel_size(c));
    } else if (p.n == 2) {
        mono_put(c, &p, px, r, work + 4 * n);
    } else if (p.n <= COLOURS) {
        index_put(c, &p, px, n, work + 4 * n);
    } else if (!(c->v->cfg.lossy && c->quality >= 0 && c->pf.bpp > 8 && n >= JPEG_PIXELS &&
                 jpeg_put(c, px, r, work + 4 * n))) {
        full_put(c, px, n, work + 4 * n);
    }
}
