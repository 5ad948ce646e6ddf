/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bulkhead-img commit: an image's content goes into its backing file. Must never empty the image before
 * the backing file is on the disk.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "block-proc/img/img.h"

#define PIECE (1u << 20)

static struct tool_chain chain;

/* One extent of the image itself; what lies below it is where it belongs already. */
static int extent_commit(const struct img_extent *e, uint64_t off, uint64_t len, uint8_t *buf)
{
    struct img *top = &chain.img[0], *base = &chain.img[1];
    int r = 0;
    if (e->kind == IMG_HOLE)
        return 0;
    if (e->kind == IMG_ZERO)
        return img_zero(base, off, len, true, &chain.io);
    for (uint64_t at = 0; r == 0 && at < len; at += PIECE) {
        size_t part = len - at < PIECE ? (size_t)(len - at) : PIECE;
        r = img_read(top, buf, part, off + at, &chain.io);
        if (r == 0)
            r = img_write(base, buf, part, off + at, &chain.io);
    }
    return r;
}

static int commit_all(bool progress)
{
    struct img *top = &chain.img[0], *base = &chain.img[1];
    uint8_t *buf = malloc(PIECE);
    int r = buf ? 0 : -ENOMEM;
    if (r == 0 && base->size < top->size)
        r = img_resize(base, top->size, &chain.io);
    for (uint64_t off = 0; r == 0 && off < top->size;) {
        struct img_extent e;
        r = img_status(top, off, top->size - off, &e, &chain.io);
        if (r == 0)
            r = extent_commit(&e, off, e.len, buf);
        off += e.len;
        tool_progress(progress && r == 0, off, top->size);
    }
    free(buf);
    return r < 0 ? r : img_flush(base, &chain.io);
}

int cmd_commit(int argc, char **argv)
{
    const char *fmt = NULL;
    bool keep = false, quiet = false, progress = false;
    for (int o; (o = getopt(argc, argv, "f:dpq")) != -1;) {
        switch (o) {
        case 'f': fmt = optarg; break;
        case 'd': keep = true; break;
        case 'p': progress = true; break;
        case 'q': quiet = true; break;
        default: return 1;
        }
    }
    if (optind != argc - 1)
        return tool_fail("Expecting one image file name");
    tool_grant(argv[optind], TOOL_WRITE | TOOL_WRITE_BELOW);
    if (tool_open(&chain, argv[optind], fmt, TOOL_WRITE | TOOL_WRITE_BELOW) < 0)
        return 1;
    if (chain.n < 2) {
        tool_close(&chain);
        return tool_fail("Image has no backing file: %s", argv[optind]);
    }
    int r = commit_all(progress && !quiet);
    if (r == 0 && !keep)
        r = qcow2_empty(&chain.img[0], &chain.io);
    tool_close(&chain);
    if (r < 0)
        return tool_fail("Could not commit '%s': %s", argv[optind], strerror(-r));
    if (!quiet)
        printf("Image committed.\n");
    return 0;
}
