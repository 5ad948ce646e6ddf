/* SPDX-License-Identifier: Apache-2.0 */
/* The zlib streams of a client. Each lives as long as the client; a rectangle ends with a sync flush. */
#include "ui-proc/vnc/vnc-internal.h"

#define CHUNK 65536u

size_t deflate_put(struct vnc_client *c, z_stream *z, bool *on, int level, const uint8_t *data, size_t len)
{
    size_t begun = c->out_len;

    if (!*on && deflateInit(z, level) != Z_OK) {
        c->out_failed = true;
        return 0;
    }
    *on = true;
    z->next_in = (Bytef *)(uintptr_t)data;
    z->avail_in = (uInt)len;
    do {
        uint8_t *p = put_room(c, CHUNK);

        if (!p) {
            return 0;
        }
        z->next_out = p;
        z->avail_out = CHUNK;
        if (deflate(z, Z_SYNC_FLUSH) == Z_STREAM_ERROR) {
            c->out_failed = true;
            return 0;
        }
        c->out_len -= z->avail_out;
    } while (!z->avail_out);
    return c->out_len - begun;
}

static void stream_end(z_stream *z, bool *on)
{
    if (*on) {
        deflateEnd(z);
    }
    *on = false;
}

void encoders_free(struct vnc_client *c)
{
    stream_end(&c->zlib, &c->zlib_on);
    stream_end(&c->zrle, &c->zrle_on);
    for (unsigned i = 0; i < 4; i++) {
        stream_end(&c->tight[i], &c->tight_on[i]);
    }
}
