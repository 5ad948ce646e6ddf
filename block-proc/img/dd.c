/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bulkhead-img dd: a part of a disk into a new image. Must never touch the output before the input is open.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "block-proc/img/img.h"

#define PIECE (1u << 20)

static struct tool_chain source, target;

struct dd_args {
    const char *fmt, *out_fmt, *in, *out;
    uint64_t bs, count, skip;
    bool has_count;
    unsigned share;
};

static int operand(struct dd_args *a, char *text)
{
    char *val = strchr(text, '=');
    uint64_t v;
    if (!val)
        return tool_fail("unrecognized operand %s", text);
    *val++ = '\0';
    if (!strcmp(text, "if"))
        return a->in = val, 0;
    if (!strcmp(text, "of"))
        return a->out = val, 0;
    bool number = tool_size(val, &v);
    if (!strcmp(text, "bs")) {
        if (!number || v < 1 || v > 0x7fffffff)
            return tool_fail("Invalid bs specified. Must be between 1 and %d.", 0x7fffffff);
        a->bs = v;
    } else if (!strcmp(text, "count") || !strcmp(text, "skip")) {
        if (!number)
            return tool_fail("Invalid size: '%s'", val);
        *(text[0] == 'c' ? &a->count : &a->skip) = v;
        a->has_count = a->has_count || text[0] == 'c';
    } else {
        return tool_fail("unrecognized operand %s", text);
    }
    return 0;
}

static int dd_args(int argc, char **argv, struct dd_args *a)
{
    a->out_fmt = "raw";
    a->bs = 512;
    for (int o; (o = getopt(argc, argv, "f:O:U")) != -1;) {
        switch (o) {
        case 'f': a->fmt = optarg; break;
        case 'O': a->out_fmt = optarg; break;
        case 'U': a->share = TOOL_SHARE; break;
        default: return 1;
        }
    }
    for (int i = optind; i < argc; i++)
        if (operand(a, argv[i]))
            return 1;
    return a->in && a->out ? 0 : tool_fail("Must specify both input and output files");
}

/* Any number of bytes; images are read and written in sectors. */
static int copy(uint64_t from, uint64_t len)
{
    uint8_t *buf = calloc(1, PIECE + 2 * IMG_SECTOR);
    uint64_t size = source.img[0].size;
    int r = buf ? 0 : -ENOMEM;
    for (uint64_t at = 0; r == 0 && at < len; at += PIECE) {
        uint64_t part = len - at < PIECE ? len - at : PIECE, off = from + at, start = off & ~(uint64_t)(IMG_SECTOR - 1);
        uint64_t end = (off + part + IMG_SECTOR - 1) & ~(uint64_t)(IMG_SECTOR - 1);
        end = end < size ? end : size;
        uint64_t whole = (part + IMG_SECTOR - 1) & ~(uint64_t)(IMG_SECTOR - 1);
        r = img_read(&source.img[0], buf, (size_t)(end - start), start, &source.io);
        memmove(buf, buf + (off - start), (size_t)part);
        memset(buf + part, 0, (size_t)(whole - part));
        if (r == 0 && !tool_is_zero(buf, (size_t)whole))
            r = img_write(&target.img[0], buf, (size_t)whole, at, &target.io);
    }
    free(buf);
    return r;
}

int cmd_dd(int argc, char **argv)
{
    struct dd_args a = {0};
    struct tool_options o = {.state_zero = true};
    if (dd_args(argc, argv, &a))
        return 1;
    const struct img_driver *drv = img_driver_find(a.out_fmt);
    if (!drv || !drv->write)
        return tool_fail("Unknown file format '%s'", a.out_fmt);
    tool_grant(a.in, 0);
    tool_grant(a.out, TOOL_WRITE);
    tool_create_grant(a.out);
    if (tool_open(&source, a.in, a.fmt, a.share) < 0)
        return 1;
    uint64_t size = source.img[0].size, from = a.skip > size / a.bs ? size : a.skip * a.bs, len = size - from;
    if (a.has_count && a.count < len / a.bs + 1 && a.count * a.bs < len)
        len = a.count * a.bs;
    o.size = len;
    if (tool_create(a.out, a.out_fmt, &o, true) || tool_open(&target, a.out, a.out_fmt, TOOL_WRITE) < 0)
        return 1;
    target.file[0].unsafe = true;
    int r = copy(from, len);
    tool_close(&source);
    tool_close(&target);
    return r < 0 ? tool_fail("error while copying: %s", strerror(-r)) : 0;
}
