/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bulkhead-img rebase and amend: what a header says about an image is changed, its content is not. Must never name a new
 * backing file before everything it shows differently is in the image itself.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "block-proc/image/bytes.h"
#include "block-proc/img/img.h"

#define PIECE (1u << 20)

static struct tool_chain chain, below;

/* What a disk shows; zeros behind its end. */
static int read_padded(struct tool_chain *c, uint8_t *buf, uint64_t off, size_t len)
{
    size_t have = !c->n || off >= c->img[0].size ? 0 : c->img[0].size - off < len ? (size_t)(c->img[0].size - off) : len;
    memset(buf + have, 0, len - have);
    return have ? img_read(&c->img[0], buf, have, off, &c->io) : 0;
}

/* One piece that the image itself has not: clusters that would look different are copied into it. */
static int piece_keep(uint8_t *was, uint8_t *will, uint64_t off, size_t len)
{
    struct img *top = &chain.img[0];
    int r = img_read(top, was, len, off, &chain.io);
    if (r == 0)
        r = read_padded(&below, will, off, len);
    for (size_t at = 0, part; r == 0 && at < len; at += part) {
        part = top->cluster - (off + at) % top->cluster;
        part = part < len - at ? part : len - at;
        if (memcmp(was + at, will + at, part))
            r = img_write(top, was + at, part, off + at, &chain.io);
    }
    return r;
}

static int content_keep(bool progress)
{
    struct img *top = &chain.img[0];
    uint8_t *was = malloc(PIECE), *will = malloc(PIECE);
    int r = was && will ? 0 : -ENOMEM;
    for (uint64_t off = 0; r == 0 && off < top->size;) {
        struct img_extent e;
        r = img_status(top, off, top->size - off, &e, &chain.io);
        uint64_t len = e.kind == IMG_HOLE && e.len > PIECE ? PIECE : e.len;
        if (r == 0 && e.kind == IMG_HOLE)
            r = piece_keep(was, will, off, (size_t)len);
        off += len;
        tool_progress(progress && r == 0, off, top->size);
    }
    free(was);
    free(will);
    return r < 0 ? r : img_flush(top, &chain.io);
}

static int backing_write(const char *name, const char *fmt)
{
    struct img *top = &chain.img[0];
    if (top->drv == &img_qcow2)
        return qcow2_header_change(top, &(struct qcow2_change){.backing = name, .backing_fmt = fmt, .lazy = -1}, &chain.io);
    return top->drv->backing_write ? top->drv->backing_write(top, name, fmt, &chain.io) : -ENOTSUP;
}

struct rebase_args {
    const char *fmt, *base, *base_fmt;
    bool unsafe, progress;
    unsigned share;
};

static int rebase_args(int argc, char **argv, struct rebase_args *a)
{
    bool quiet = false;
    for (int o; (o = getopt(argc, argv, "f:F:b:upqUt:T:")) != -1;) {
        switch (o) {
        case 'f': a->fmt = optarg; break;
        case 'F': a->base_fmt = optarg; break;
        case 'b': a->base = optarg; break;
        case 'u': a->unsafe = true; break;
        case 'p': a->progress = true; break;
        case 'q': quiet = true; break;
        case 'U': a->share = TOOL_SHARE; break;
        case 't':
        case 'T':
            if (!tool_cache_known(optarg))
                return tool_fail("Invalid cache option: %s", optarg);
            if (strcmp(optarg, "writeback"))
                return tool_fail("Cache mode '%s' is not built for this command (built: writeback)", optarg);
            break;
        default: return 1;
        }
    }
    a->progress = a->progress && !quiet;
    if (optind != argc - 1)
        return tool_fail("Expecting one image file name");
    if (!a->unsafe && !a->base)
        return tool_fail("Must specify backing file (-b) or use unsafe mode (-u)\nTry 'bulkhead-img --help' for more information");
    return 0;
}

static int rebase_run(const struct rebase_args *a, const char *file)
{
    const char *base = a->base ? a->base : "";
    char path[TOOL_PATH_MAX];
    if (*base && !a->base_fmt)
        return tool_fail("Could not change the backing file to '%s': backing format must be specified", base);
    if (a->base_fmt && !img_driver_find(a->base_fmt))
        return tool_fail("Invalid backing format '%s' (built: %s)", a->base_fmt, img_driver_names());
    tool_beside(file, base, path);
    tool_grant(file, TOOL_WRITE);
    if (*base && !a->unsafe)
        tool_grant(path, 0);
    if (tool_open(&chain, file, a->fmt, TOOL_WRITE | a->share | (a->unsafe ? TOOL_NO_BACKING : 0)) < 0)
        return 1;
    if (chain.img[0].drv != &img_qcow2 && !chain.img[0].drv->backing_write)
        return tool_fail("Could not change the backing file to '%s': Operation not supported", base);
    if (*base && !a->unsafe && tool_open(&below, path, a->base_fmt, a->share) < 0)
        return 1;
    int r = a->unsafe ? 0 : content_keep(a->progress);
    if (r == 0)
        r = backing_write(base, a->base_fmt);
    tool_close(&chain);
    if (below.n)
        tool_close(&below);
    if (r == -ENOSPC)
        return tool_fail("Could not change the backing file to '%s': No space left in the file header", base);
    return r < 0 ? tool_fail("Could not change the backing file to '%s': %s", base, strerror(-r)) : 0;
}

int cmd_rebase(int argc, char **argv)
{
    struct rebase_args a = {0};
    return rebase_args(argc, argv, &a) ? 1 : rebase_run(&a, argv[optind]);
}

/* ---- amend */
static bool given(const char *list, const char *key)
{
    size_t n = strlen(key);
    for (const char *p = list; (p = strstr(p, key)); p++)
        if ((p == list || p[-1] == ',') && (!p[n] || p[n] == '=' || p[n] == ','))
            return true;
    return false;
}

static int amend_refuse(const struct tool_options *o, const char *list)
{
    static const char *const fixed[] = {"cluster_size", "compression_type", "preallocation", "nocow"};
    const struct img *img = &chain.img[0];
    struct qcow2_about q;
    if (img->drv != &img_qcow2)
        return tool_fail("Format driver '%s' does not support option amendment", img->drv->name);
    for (unsigned i = 0; i < 4; i++)
        if (given(list, fixed[i]))
            return tool_fail("Invalid parameter '%s'\nThis option is only supported for image creation", fixed[i]);
    qcow2_about(img, &q);
    bool v2 = o->compat[0] ? !strcmp(o->compat, "0.10") || !strcmp(o->compat, "v2") : !q.v3;
    if (given(list, "refcount_bits") && o->refcount_bits != q.refcount_bits)
        return tool_fail("changing refcount_bits of an existing image is not built");
    if (v2 && o->lazy)
        return tool_fail("Lazy refcounts only supported with compatibility level 1.1 and above (use compat=1.1 or greater)");
    const char *why = v2 && q.v3 ? qcow2_downgrade_refuse(img) : NULL;
    return why ? tool_fail("%s: %s", img->name, why) : 0;
}

/* Version 2 has neither zero clusters nor a dirty bit: both go in a session of their own. */
static int downgrade_prepare(const char *file, const char *fmt)
{
    int r = qcow2_zeros_expand(&chain.img[0], &chain.io);
    if (r == 0)
        r = img_flush(&chain.img[0], &chain.io);
    tool_close(&chain);
    if (r < 0)
        return tool_fail("Could not expand zero clusters: %s", strerror(-r));
    return tool_open(&chain, file, fmt, TOOL_WRITE) < 0;
}

static int amend_run(const struct tool_options *o, const char *list, const char *file, const char *fmt, bool progress)
{
    struct qcow2_change ch = {.lazy = given(list, "lazy_refcounts") ? o->lazy : -1};
    struct qcow2_about q;
    qcow2_about(&chain.img[0], &q);
    if (o->compat[0])
        ch.version = !strcmp(o->compat, "0.10") || !strcmp(o->compat, "v2") ? 2 : 3;
    if (given(list, "backing_file") || given(list, "backing_fmt")) {
        ch.backing = given(list, "backing_file") ? o->backing : chain.img[0].backing_name;
        ch.backing_fmt = given(list, "backing_fmt") ? o->backing_fmt : chain.img[0].backing_fmt;
    }
    if (ch.version == 2 && q.v3 && downgrade_prepare(file, fmt))
        return 1;
    tool_progress(progress, 0, 1);
    int r = qcow2_header_change(&chain.img[0], &ch, &chain.io);
    if (r == 0 && given(list, "size") && o->size != chain.img[0].size)
        r = img_resize(&chain.img[0], o->size, &chain.io);
    tool_progress(progress && r == 0, 1, 1);
    return r < 0 ? tool_fail("Error while amending options: %s", strerror(-r)) : 0;
}

int cmd_amend(int argc, char **argv)
{
    struct tool_options o = {0};
    const char *fmt = NULL, *list = NULL;
    bool progress = false, quiet = false;
    static const struct option longs[] = {{"force", no_argument, NULL, 1}, {0}};
    for (int c; (c = getopt_long(argc, argv, "f:o:pqt:", longs, NULL)) != -1;) {
        switch (c) {
        case 'f': fmt = optarg; break;
        case 'o': list = optarg; break;
        case 'p': progress = true; break;
        case 'q': quiet = true; break;
        case 1: break; /* for encryption keys only, which are not built */
        case 't':
            if (!tool_cache_known(optarg))
                return tool_fail("Invalid cache option: %s", optarg);
            if (strcmp(optarg, "writeback"))
                return tool_fail("Cache mode '%s' is not built for this command (built: writeback)", optarg);
            break;
        default: return 1;
        }
    }
    if (!list)
        return tool_fail("Must specify options (-o)\nTry 'bulkhead-img --help' for more information");
    if (tool_options_help(fmt ? fmt : "qcow2", list))
        return 0;
    if (optind != argc - 1)
        return tool_fail("Expecting one image file name");
    const char *file = argv[optind];
    tool_grant(file, TOOL_WRITE);
    if (tool_open(&chain, file, fmt, TOOL_WRITE) < 0)
        return 1;
    if (chain.img[0].drv == &img_qcow2 && tool_options_parse(&o, "qcow2", file, list))
        return 1;
    int r = amend_refuse(&o, list);
    if (r == 0)
        r = amend_run(&o, list, file, fmt, progress && !quiet);
    tool_close(&chain);
    return r;
}
