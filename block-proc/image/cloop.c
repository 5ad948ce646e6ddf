/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Compressed loop images (cloop 2.0), read-only: a script, a table of offsets, deflated blocks of one size. Must never
 * take a difference of two offsets for a length before it is known to be one.
 */
#include <errno.h>
#include <stdlib.h>
#include "block-proc/image/bytes.h"
#include "block-proc/image/chunks.h"
#include "ipc/log.h"

#define SCRIPT    "#!/bin/sh\n#V2.0 Format\nmodprobe cloop"
#define AT_TABLE  136u /* behind block size and number of blocks */

static int refuse(struct img *img, const char *what)
{
    log_error("%s: cloop: %s", img->name, what);
    return -EINVAL;
}

static int table_read(struct img *img, struct chunks *c, uint32_t block, uint32_t n, struct img_io *io)
{
    uint64_t len = (n + 1ull) * 8;
    if (len > img->file->size - AT_TABLE)
        return refuse(img, "the table of offsets lies behind the end of the file");
    uint64_t *t = malloc(len);
    c->v = calloc(n ? n : 1, sizeof(c->v[0]));
    int r = t && c->v ? img_file_read(img->file, t, len, AT_TABLE, io) : -ENOMEM;
    for (uint32_t i = 0; r == 0 && i < n; i++) {
        uint64_t at = be64toh(t[i]), next = be64toh(t[i + 1]);
        if (next < at || next - at > 2ull * block + 1024)
            r = refuse(img, "the offsets do not rise, or a block is longer packed than unpacked");
        c->v[i] = (struct chunk){.start = (uint64_t)i * block, .len = block, .at = at, .packed = next - at};
    }
    c->n = n;
    free(t);
    return r < 0 ? r : chunks_ready(img, c);
}

static int cloop_open(struct img *img, struct img_io *io)
{
    uint8_t h[AT_TABLE];
    struct chunks *c = img->priv = calloc(1, sizeof(*c));
    int r = c ? img_file_read(img->file, h, sizeof(h), 0, io) : -ENOMEM;
    if (r < 0)
        return r;
    uint32_t block = be32_get(h + 128), n = be32_get(h + 132);
    if (memcmp(h, SCRIPT, sizeof(SCRIPT) - 1) || img->file->size < AT_TABLE)
        return refuse(img, "not an image of version 2.0");
    if (block < IMG_SECTOR || block % IMG_SECTOR || block > CHUNK_MAX)
        return refuse(img, "the block size is not a multiple of 512 up to 64 MiB");
    if (n > CHUNKS_MAX)
        return refuse(img, "too many blocks");
    img->size = (uint64_t)n * block;
    return table_read(img, c, block, n, io);
}

static bool cloop_probe(const uint8_t *head, size_t n)
{
    return n >= sizeof(SCRIPT) - 1 && !memcmp(head, SCRIPT, sizeof(SCRIPT) - 1);
}

const struct img_driver img_cloop = {
    .name = "cloop",
    .probe = cloop_probe,
    .open = cloop_open,
    .close = chunks_close,
    .map = chunks_map,
    .read_packed = chunks_read,
    .no_info = true,
};
