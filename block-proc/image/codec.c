/* SPDX-License-Identifier: Apache-2.0 */
/*
 * zlib and zstd behind one interface. Must never trust a length that came out of an image.
 */
#include "block-proc/image/codec.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

/* qcow2 specification, "Compressed Clusters": deflate with a window of 4 KiB when written. */
#define WRITE_WINDOW (-12)
#define READ_WINDOW  (-15)

struct img_codec {
    uint32_t cluster;
    uint8_t *in, *out;
    size_t in_size;
    z_stream inflate, deflate, zlib;
    ZSTD_DCtx *zd;
    ZSTD_CCtx *zc;
};

struct img_codec *img_codec_new(uint32_t cluster)
{
    struct img_codec *c = calloc(1, sizeof(*c));
    if (!c)
        return NULL;
    c->cluster = cluster;
    c->in_size = 2 * (size_t)cluster + 1024; /* a descriptor can name twice a cluster */
    c->in = malloc(c->in_size);
    c->out = malloc(cluster);
    c->zd = ZSTD_createDCtx();
    c->zc = ZSTD_createCCtx();
    if (!c->in || !c->out || !c->zd || !c->zc || inflateInit2(&c->inflate, READ_WINDOW) != Z_OK ||
        deflateInit2(&c->deflate, Z_DEFAULT_COMPRESSION, Z_DEFLATED, WRITE_WINDOW, 9,
                     Z_DEFAULT_STRATEGY) != Z_OK ||
        deflateInit(&c->zlib, Z_DEFAULT_COMPRESSION) != Z_OK) {
        img_codec_free(c);
        return NULL;
    }
    return c;
}

void img_codec_free(struct img_codec *c)
{
    if (!c)
        return;
    inflateEnd(&c->inflate);
    deflateEnd(&c->deflate);
    deflateEnd(&c->zlib);
    ZSTD_freeDCtx(c->zd);
    ZSTD_freeCCtx(c->zc);
    free(c->in);
    free(c->out);
    free(c);
}

uint8_t *img_codec_in(struct img_codec *c, size_t *size)
{
    *size = c->in_size;
    return c->in;
}

uint8_t *img_codec_out(struct img_codec *c)
{
    return c->out;
}

static int unpack_zstd(struct img_codec *c, size_t in, size_t out)
{
    ZSTD_inBuffer src = {c->in, in, 0};
    ZSTD_outBuffer dst = {c->out, out, 0};
    ZSTD_DCtx_reset(c->zd, ZSTD_reset_session_only);
    while (dst.pos < out) {
        size_t before = dst.pos + src.pos;
        size_t r = ZSTD_decompressStream(c->zd, &dst, &src);
        if (ZSTD_isError(r) || (dst.pos < out && dst.pos + src.pos == before))
            return -EIO;
    }
    return 0;
}

int img_codec_unpack(struct img_codec *c, int kind, size_t in, size_t out)
{
    if (in > c->in_size || out > c->cluster)
        return -EIO;
    if (kind == IMG_CODEC_ZSTD)
        return unpack_zstd(c, in, out);
    inflateReset2(&c->inflate, kind == IMG_CODEC_ZLIB ? -READ_WINDOW : READ_WINDOW);
    c->inflate.next_in = c->in;
    c->inflate.avail_in = (uInt)in;
    c->inflate.next_out = c->out;
    c->inflate.avail_out = (uInt)out;
    int r = inflate(&c->inflate, Z_FINISH);
    if (kind == IMG_CODEC_ZLIB && r == Z_STREAM_END && c->inflate.avail_out) { /* the last, shorter one of a disk */
        memset(c->inflate.next_out, 0, c->inflate.avail_out);
        return 0;
    }
    /* Z_BUF_ERROR: the sectors behind the stream are somebody else's, all output is there. */
    return (r == Z_STREAM_END || r == Z_BUF_ERROR) && c->inflate.avail_out == 0 ? 0 : -EIO;
}

long img_codec_pack(struct img_codec *c, int kind, const uint8_t *data, size_t len)
{
    if (kind == IMG_CODEC_ZSTD) {
        size_t r = ZSTD_compressCCtx(c->zc, c->in, len - 1, data, len, ZSTD_CLEVEL_DEFAULT);
        return ZSTD_isError(r) ? 0 : (long)r;
    }
    z_stream *z = kind == IMG_CODEC_ZLIB ? &c->zlib : &c->deflate;
    size_t room = kind == IMG_CODEC_ZLIB ? c->in_size : len - 1;
    deflateReset(z);
    z->next_in = (Bytef *)(uintptr_t)data;
    z->avail_in = (uInt)len;
    z->next_out = c->in;
    z->avail_out = (uInt)room;
    int r = deflate(z, Z_FINISH);
    if (r != Z_STREAM_END)
        return r == Z_OK ? 0 : -EIO;
    return (long)(room - z->avail_out);
}
