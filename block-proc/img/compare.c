/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bulkhead-img compare: do two disks show the same bytes? Must never read what both know to be zeros.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "block-proc/img/img.h"

#define PIECE (2u << 20)

static struct tool_chain source, target;

static int say_mismatch(const uint8_t *x, const uint8_t *y, size_t len, uint64_t off, bool quiet)
{
    size_t at = 0;
    while (at < len && !memcmp(x + at, y ? y + at : x + at, len - at < IMG_SECTOR ? len - at : IMG_SECTOR) &&
           (y || tool_is_zero(x + at, len - at < IMG_SECTOR ? len - at : IMG_SECTOR)))
        at += IMG_SECTOR;
    if (!quiet)
        printf("Content mismatch at offset %llu!\n", (unsigned long long)(off + at));
    return 1;
}

/* One piece both have. 0 same, 1 differs, 4 cannot be read. */
static int compare_piece(uint8_t *x, uint8_t *y, uint64_t off, uint64_t len, bool quiet)
{
    struct img_extent e;
    uint64_t a = len, b = len;
    if (tool_zero(&source, off, &a, NULL, &e, &source.io) &&
        tool_zero(&target, off, &b, NULL, &e, &target.io) && a >= len && b >= len)
        return 0;
    int r = img_read(&source.img[0], x, len, off, &source.io);
    if (r == 0)
        r = img_read(&target.img[0], y, len, off, &target.io);
    if (r < 0) {
        tool_fail("Error while reading offset %llu: %s", (unsigned long long)off, strerror(-r));
        return 4;
    }
    return memcmp(x, y, len) ? say_mismatch(x, y, len, off, quiet) : 0;
}

/* The longer one's end: zeros, or a difference. */
static int compare_rest(struct tool_chain *c, uint8_t *x, uint64_t off, bool quiet)
{
    for (; off < c->img[0].size; off += PIECE) {
        uint64_t len = c->img[0].size - off < PIECE ? c->img[0].size - off : PIECE;
        if (img_read(&c->img[0], x, len, off, &c->io) < 0)
            return tool_fail("Error while reading offset %llu", (unsigned long long)off), 4;
        if (!tool_is_zero(x, len))
            return say_mismatch(x, NULL, len, off, quiet);
    }
    return 0;
}

static int compare_all(bool strict, bool quiet, bool progress)
{
    uint8_t *x = malloc(PIECE), *y = malloc(PIECE);
    uint64_t a = source.img[0].size, b = target.img[0].size, both = a < b ? a : b;
    int r = x && y ? 0 : 3;
    if (r == 0 && a != b && strict) {
        if (!quiet)
            printf("Strict mode: Image size mismatch!\n");
        r = 1;
    }
    for (uint64_t off = 0; r == 0 && off < both; off += PIECE) {
        r = compare_piece(x, y, off, both - off < PIECE ? both - off : PIECE, quiet);
        tool_progress(progress && r == 0, off + PIECE < both ? off + PIECE : both, both);
    }
    if (r == 0 && a != b) {
        if (!quiet)
            printf("Warning: Image size mismatch!\n");
        r = compare_rest(a > b ? &source : &target, x, both, quiet);
    }
    if (r == 0 && !quiet)
        printf("Images are identical.\n");
    free(x);
    free(y);
    return r;
}

int cmd_compare(int argc, char **argv)
{
    const char *f1 = NULL, *f2 = NULL;
    bool quiet = false, progress = false, strict = false;
    unsigned flags = 0;
    for (int o; (o = getopt(argc, argv, "f:F:pqsU")) != -1;) {
        switch (o) {
        case 'f': f1 = optarg; break;
        case 'F': f2 = optarg; break;
        case 'p': progress = true; break;
        case 'q': quiet = true; break;
        case 's': strict = true; break;
        case 'U': flags = TOOL_SHARE; break;
        default: return 2;
        }
    }
    if (argc - optind != 2)
        return tool_fail("Expecting two image file names"), 2;
    tool_grant(argv[optind], 0);
    tool_grant(argv[optind + 1], 0);
    if (tool_open(&source, argv[optind], f1, flags) < 0)
        return 2;
    if (tool_open(&target, argv[optind + 1], f2, flags) < 0) {
        tool_close(&source);
        return 2;
    }
    int r = compare_all(strict, quiet, progress && !quiet);
    tool_close(&source);
    tool_close(&target);
    return r;
}
