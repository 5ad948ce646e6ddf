/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bulkhead-img convert. Several threads each take the next piece of the disk; what is known
 * to be zeros is neither read nor written. Must never leave a part uncopied without an error.
 */
#include <errno.h>
#include <getopt.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "block-proc/img/img.h"

#define PIECE       (2u << 20)   /* at most: a whole cluster of any size */
#define PIECE_COPY  (512u << 10) /* stays in a processor's own cache between reading and writing */
#define THREADS_MAX 16

#define SOURCES_MAX 16

static struct tool_chain *source[SOURCES_MAX], target;
static uint64_t source_end[SOURCES_MAX]; /* where the next one begins on the new disk */
static unsigned n_sources;

struct job {
    uint64_t size, next, done;
    uint32_t grain; /* zeros are left out in pieces of this size */
    uint32_t piece; /* of the disk, for one thread at a time */
    bool compress, progress, existing, everything, salvage;
    bool on_base; /* the new disk has a backing file with the old one's base: what the image has not, that has */
    int err;
    pthread_mutex_t lock;
};

/* The source that has this byte of the new disk; *in: where in it. */
static unsigned source_at(uint64_t off, uint64_t *in)
{
    unsigned i = 0;
    while (i + 1 < n_sources && off >= source_end[i])
        i++;
    *in = off - (i ? source_end[i - 1] : 0);
    return i;
}

enum content { C_DATA, C_ZERO, C_BELOW };

/* What lies at off, as far as it is known without reading it. *len is cut to where that changes. */
static enum content content_at(const struct job *j, uint64_t off, uint64_t *len, struct img_io *io)
{
    struct img_extent e;
    uint64_t in;
    unsigned i = source_at(off, &in);
    if (*len > source_end[i] - off)
        *len = source_end[i] - off;
    bool zero = tool_zero(source[i], in, len, NULL, &e, &io[i]);
    if (j->on_base && img_status(&source[i]->img[0], in, *len, &e, &io[i]) == 0) {
        *len = e.len < *len ? e.len : *len;
        if (e.kind == IMG_HOLE)
            return C_BELOW;
    }
    return zero ? C_ZERO : C_DATA;
}

/* --salvage: what cannot be read is zeros, and is said. */
static int read_salvaged(unsigned i, uint8_t *buf, size_t len, uint64_t in, struct img_io *io)
{
    for (size_t at = 0; at < len; at += IMG_SECTOR) {
        size_t part = len - at < IMG_SECTOR ? len - at : IMG_SECTOR;
        int r = img_read(&source[i]->img[0], buf + at, part, in + at, &io[i]);
        if (r < 0) {
            fprintf(stderr, "bulkhead-img: warning: error while reading offset %llu: %s\n", (unsigned long long)(in + at),
                    strerror(-r));
            memset(buf + at, 0, part);
        }
    }
    return 0;
}

/* Bytes of the new disk, perhaps of several sources. */
static int disk_read(const struct job *j, uint8_t *buf, size_t len, uint64_t off, struct img_io *io)
{
    int r = 0;
    for (size_t at = 0; r == 0 && at < len;) {
        uint64_t in;
        unsigned i = source_at(off + at, &in);
        size_t part = source_end[i] - off - at < len - at ? (size_t)(source_end[i] - off - at) : len - at;
        r = img_read(&source[i]->img[0], buf + at, part, in, &io[i]);
        if (r < 0 && j->salvage)
            r = read_salvaged(i, buf + at, part, in, io);
        at += part;
    }
    return r;
}

static int zeros_put(const struct job *j, uint64_t off, uint64_t len, struct img_io *io)
{
    return j->existing ? img_zero(&target.img[0], off, len, true, io) : 0;
}

/* Bytes in memory: runs of zeros are left out, the rest written in as few calls as that allows. */
static int bytes_put(const struct job *j, const uint8_t *buf, uint64_t off, size_t len, struct img_io *io)
{
    for (size_t at = 0; at < len;) {
        size_t end = at, part;
        bool zero = !j->everything && tool_is_zero(buf + at, len - at < j->grain ? len - at : j->grain);
        for (; end < len; end += part) {
            part = len - end < j->grain ? len - end : j->grain;
            if (end > at && (!j->everything && tool_is_zero(buf + end, part)) != zero)
                break;
        }
        int r = zero ? zeros_put(j, off + at, end - at, io)
                     : img_write(&target.img[0], buf + at, end - at, off + at, io);
        if (r < 0)
            return r;
        at = end;
    }
    return 0;
}

static int packed_put(const struct job *j, uint8_t *buf, uint64_t off, size_t len, struct img_io *io)
{
    uint32_t cluster = target.img[0].cluster;
    for (size_t at = 0; at < len; at += cluster) {
        if (len - at < cluster) /* the disk's end inside a cluster */
            memset(buf + len, 0, cluster - (len - at));
        int r = tool_is_zero(buf + at, cluster) ? zeros_put(j, off + at, len - at < cluster ? len - at : cluster, io)
                                                : target.img[0].drv->write_packed(&target.img[0], buf + at, off + at, io);
        if (r < 0)
            return r;
    }
    return 0;
}

/* Whole clusters, whatever is known of parts of them. */
static int piece_pack(const struct job *j, uint8_t *buf, uint64_t off, size_t len, struct img_io *in, struct img_io *out)
{
    size_t step = j->on_base ? target.img[0].cluster : len;
    int r = 0;
    for (size_t at = 0, part; r == 0 && at < len; at += part) {
        part = len - at < step ? len - at : step;
        uint64_t known = part;
        enum content c = content_at(j, off + at, &known, in);
        if (known < part || c == C_DATA) {
            r = disk_read(j, buf, part, off + at, in);
            if (r == 0)
                r = packed_put(j, buf, off + at, part, out);
        } else if (c == C_ZERO) {
            r = zeros_put(j, off + at, part, out);
        }
    }
    return r;
}

static int piece_copy(const struct job *j, uint8_t *buf, uint64_t off, size_t len, struct img_io *in,
                      struct img_io *out)
{
    if (j->compress)
        return piece_pack(j, buf, off, len, in, out);
    for (size_t at = 0; at < len;) {
        uint64_t part = len - at;
        enum content c = content_at(j, off + at, &part, in);
        int r = 0;
        if (c == C_ZERO && !j->everything)
            r = zeros_put(j, off + at, part, out);
        else if (c != C_BELOW)
            r = disk_read(j, buf, part, off + at, in);
        if (r == 0 && c != C_BELOW && (c == C_DATA || j->everything))
            r = bytes_put(j, buf, off + at, part, out);
        if (r < 0)
            return r;
        at += part;
    }
    return 0;
}

/* False: nothing is left, or somebody failed. */
static bool piece_take(struct job *j, size_t did, uint64_t *off, size_t *len)
{
    pthread_mutex_lock(&j->lock);
    j->done += did;
    if (did)
        tool_progress(j->progress, j->done, j->size);
    *off = j->next;
    *len = j->size - *off < j->piece ? (size_t)(j->size - *off) : j->piece;
    bool more = *len && !j->err;
    j->next += *len;
    pthread_mutex_unlock(&j->lock);
    return more;
}

static void *copier(void *arg)
{
    struct job *j = arg;
    struct img_io in[SOURCES_MAX] = {0}, out = {0};
    uint8_t *buf = NULL;
    uint64_t off;
    size_t len, did = 0;
    int r = 0;
    for (unsigned i = 0; r == 0 && i < n_sources; i++)
        r = img_io_init(&in[i], &source[i]->img[0]);
    if (r == 0)
        r = img_io_init(&out, &target.img[0]);
    if (r == 0)
        r = -posix_memalign((void **)&buf, IMG_ALIGN_MAX, 2 * (size_t)PIECE);
    while (r == 0 && piece_take(j, did, &off, &len)) {
        r = piece_copy(j, buf, off, len, in, &out);
        did = len;
    }
    if (r < 0) {
        pthread_mutex_lock(&j->lock);
        j->err = r;
        pthread_mutex_unlock(&j->lock);
    }
    for (unsigned i = 0; i < n_sources; i++)
        img_io_fini(&in[i]);
    img_io_fini(&out);
    free(buf);
    return NULL;
}

static int run(struct job *j, unsigned threads)
{
    pthread_t t[THREADS_MAX];
    unsigned n = 0;
    pthread_mutex_init(&j->lock, NULL);
    tool_progress(j->progress && j->size, 0, j->size ? j->size : 1);
    while (n < threads && pthread_create(&t[n], NULL, copier, j) == 0)
        n++;
    if (n == 0)
        copier(j);
    while (n)
        pthread_join(t[--n], NULL);
    return j->err;
}

struct convert_args {
    const char *fmt, *out_fmt, *list, *cache, *src_cache, *snapshot;
    bool salvage, is_zero, compress, progress, quiet, existing, share;
    uint64_t sparse;
    uint64_t threads;
    struct tool_options o;
};

/* Writers of one file wait for each other in the kernel: more threads than processors only sleep. Threads
 * that compress have work while others write. */
static unsigned threads_default(bool compress)
{
    long n = sysconf(_SC_NPROCESSORS_ONLN) * (compress ? 2 : 1);
    return n < 1 ? 1 : n > 8 ? 8 : (unsigned)n;
}

static int convert_args(int argc, char **argv, struct convert_args *a)
{
    a->out_fmt = "raw";
    a->sparse = 4096;
    static const struct option longs[] = {{"salvage", no_argument, NULL, 1}, {"target-is-zero", no_argument, NULL, 2}, {0}};
    for (int o; (o = getopt_long(argc, argv, "f:O:o:cpqnS:m:WUB:F:t:T:l:", longs, NULL)) != -1;) {
        switch (o) {
        case 'f': a->fmt = optarg; break;
        case 'O': a->out_fmt = optarg; break;
        case 'o': a->list = optarg; break;
        case 'c': a->compress = true; break;
        case 'p': a->progress = true; break;
        case 'q': a->quiet = true; break;
        case 'n': a->existing = true; break;
        case 'U': a->share = true; break;
        case 'l': a->snapshot = optarg; break;
        case 1: a->salvage = true; break;
        case 2: a->is_zero = true; break;
        case 'W': break; /* pieces are written as they come in any case */
        case 'B': snprintf(a->o.backing, sizeof(a->o.backing), "%s", optarg); break;
        case 'F': snprintf(a->o.backing_fmt, sizeof(a->o.backing_fmt), "%s", optarg); break;
        case 't': a->cache = optarg; break;
        case 'T': a->src_cache = optarg; break;
        case 'S':
            if (!tool_size(optarg, &a->sparse))
                return tool_fail("Invalid buffer size for sparse output specified.");
            break;
        case 'm':
            if (!tool_size(optarg, &a->threads) || a->threads < 1 || a->threads > THREADS_MAX)
                return tool_fail("Invalid number of coroutines. Allowed number of coroutines is between 1 and %d",
                                 THREADS_MAX);
            break;
        default: return 1;
        }
    }
    if (!a->threads)
        a->threads = threads_default(a->compress);
    if (argc - optind < 2)
        return tool_fail("Must specify image file name");
    if (argc - optind > 1 + SOURCES_MAX)
        return tool_fail("at most %d images can be put together", SOURCES_MAX);
    if (a->is_zero && !a->existing)
        return tool_fail("--target-is-zero requires use of -n flag");
    if (a->snapshot && argc - optind > 2)
        return tool_fail("-l is for a single image");
    if ((a->cache && strcmp(a->cache, "unsafe") && strcmp(a->cache, "writeback") && strcmp(a->cache, "none")) ||
        (a->src_cache && strcmp(a->src_cache, "writeback") && strcmp(a->src_cache, "none")))
        return tool_fail("cache mode '%s' is not built here (built: writeback, none; unsafe for the target)",
                         a->cache ? a->cache : a->src_cache);
    return 0;
}

static int target_open(struct convert_args *a, const char *name)
{
    unsigned flags = TOOL_WRITE | (a->cache && !strcmp(a->cache, "none") ? TOOL_DIRECT : 0);
    uint64_t size = source_end[n_sources - 1];
    a->o.size = size;
    if (a->list && tool_options_parse(&a->o, a->out_fmt, name, a->list))
        return 1;
    const struct img_driver *drv = img_driver_find(a->out_fmt);
    if (a->compress && (!drv || !drv->write_packed))
        return tool_fail("Compression not supported for file format '%s'", a->out_fmt);
    if (a->o.backing[0] && n_sources > 1)
        return tool_fail("Having a backing file for the target makes no sense when concatenating multiple input images");
    a->o.has_size = true;
    if (!a->existing && a->o.backing[0] && tool_backing_look(name, &a->o, false))
        return 1;
    if (!a->existing && tool_create(name, a->out_fmt, &a->o, true))
        return 1;
    if (tool_open(&target, name, a->out_fmt, flags) < 0)
        return 1;
    target.file[0].unsafe = !a->cache || !strcmp(a->cache, "unsafe");
    for (unsigned i = 0; i < target.img[0].n_parts; i++)
        target.parts[0][i].unsafe = target.file[0].unsafe;
    if (target.img[0].size < size)
        return tool_fail("error while converting: the target is smaller than the source");
    return 0;
}

/* All sources, in their order. */
static int sources_open(const struct convert_args *a, char **names, unsigned n)
{
    unsigned flags = (a->share ? TOOL_SHARE : 0) | (a->src_cache && !strcmp(a->src_cache, "none") ? TOOL_DIRECT : 0);
    for (unsigned i = 0; i < n; i++) {
        source[i] = calloc(1, sizeof(*source[i]));
        if (!source[i] || tool_open(source[i], names[i], a->fmt, flags) < 0)
            return 1;
        if (i == 0 && tool_snapshot_load(source[0], a->snapshot))
            return 1;
        source_end[i] = (i ? source_end[i - 1] : 0) + source[i]->img[0].size;
        n_sources++;
    }
    return 0;
}

static void names_grant(const struct convert_args *a, char **names, unsigned n, const char *to)
{
    char path[TOOL_PATH_MAX];
    for (unsigned i = 0; i < n; i++)
        tool_grant(names[i], 0);
    tool_grant(to, TOOL_WRITE);
    if (a->existing)
        return;
    tool_create_grant(to);
    if (a->o.backing[0]) {
        tool_beside(to, a->o.backing, path);
        tool_grant(path, 0);
    }
}

static int copy_run(const struct convert_args *a)
{
    struct job j = {.size = source_end[n_sources - 1], .compress = a->compress, .progress = a->progress && !a->quiet,
                    .salvage = a->salvage, .everything = a->sparse == 0, .on_base = target.img[0].backing_name[0]};
    j.existing = (a->existing && !a->is_zero) || j.on_base;
    j.grain = (uint32_t)(a->sparse & ~(uint64_t)(IMG_SECTOR - 1));
    if (j.grain < target.img[0].cluster)
        j.grain = target.img[0].cluster;
    if (j.grain > PIECE)
        j.grain = PIECE;
    j.piece = j.grain > PIECE_COPY ? PIECE : PIECE_COPY;
    int r = run(&j, (unsigned)a->threads);
    if (r == 0 && j.existing && target.img[0].size > j.size)
        r = img_zero(&target.img[0], j.size, target.img[0].size - j.size, true, &target.io);
    if (r == 0 && a->cache && strcmp(a->cache, "unsafe"))
        r = img_flush(&target.img[0], &target.io);
    return r;
}

int cmd_convert(int argc, char **argv)
{
    struct convert_args a = {.o.state_zero = true};
    if (convert_args(argc, argv, &a))
        return 1;
    if (tool_options_help(a.out_fmt, a.list))
        return 0;
    char **names = argv + optind;
    unsigned n = (unsigned)(argc - optind - 1);
    const char *to = argv[argc - 1];
    a.o.size = 0;
    if (a.list && tool_options_parse(&a.o, a.out_fmt, to, a.list))
        return 1;
    names_grant(&a, names, n, to);
    int r = sources_open(&a, names, n) || target_open(&a, to);
    if (r == 0)
        r = copy_run(&a);
    for (unsigned i = 0; i < n_sources; i++)
        tool_close(source[i]);
    if (target.n)
        tool_close(&target);
    return r < 0 ? tool_fail("error while converting %s to %s: %s", names[0], to, strerror(-r)) : r;
}
