/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bulkhead-img convert and compare. Several threads each take the next piece of the disk; what is known
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

static struct tool_chain source, target;

struct job {
    uint64_t size, next, done;
    uint32_t grain; /* zeros are left out in pieces of this size */
    uint32_t piece; /* of the disk, for one thread at a time */
    bool compress, progress, existing, everything;
    int err;
    pthread_mutex_t lock;
};

static bool known_zero(uint64_t off, uint64_t *len, struct img_io *io)
{
    struct img_extent e;
    return tool_zero(&source, off, len, NULL, &e, io);
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

static int piece_copy(const struct job *j, uint8_t *buf, uint64_t off, size_t len, struct img_io *in,
                      struct img_io *out)
{
    if (j->compress) { /* whole clusters, whatever is known of parts of them */
        uint64_t zero = len;
        if (known_zero(off, &zero, in) && zero >= len)
            return zeros_put(j, off, len, out);
        int r = img_read(&source.img[0], buf, len, off, in);
        return r < 0 ? r : packed_put(j, buf, off, len, out);
    }
    for (size_t at = 0; at < len;) {
        uint64_t part = len - at;
        bool zero = known_zero(off + at, &part, in) && !j->everything;
        int r = zero ? zeros_put(j, off + at, part, out) : img_read(&source.img[0], buf, part, off + at, in);
        if (r == 0 && !zero)
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
    struct img_io in = {0}, out = {0};
    uint8_t *buf = NULL;
    uint64_t off;
    size_t len, did = 0;
    int r = img_io_init(&in, &source.img[0]);
    if (r == 0)
        r = img_io_init(&out, &target.img[0]);
    if (r == 0)
        r = -posix_memalign((void **)&buf, IMG_ALIGN_MAX, 2 * (size_t)PIECE);
    while (r == 0 && piece_take(j, did, &off, &len)) {
        r = piece_copy(j, buf, off, len, &in, &out);
        did = len;
    }
    if (r < 0) {
        pthread_mutex_lock(&j->lock);
        j->err = r;
        pthread_mutex_unlock(&j->lock);
    }
    img_io_fini(&in);
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
    const char *fmt, *out_fmt, *list, *cache, *src_cache;
    bool compress, progress, quiet, existing, share;
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
    for (int o; (o = getopt(argc, argv, "f:O:o:cpqnS:m:WUB:F:t:T:")) != -1;) {
        switch (o) {
        case 'f': a->fmt = optarg; break;
        case 'O': a->out_fmt = optarg; break;
        case 'o': a->list = optarg; break;
        case 'c': a->compress = true; break;
        case 'p': a->progress = true; break;
        case 'q': a->quiet = true; break;
        case 'n': a->existing = true; break;
        case 'U': a->share = true; break;
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
    if (argc - optind > 2)
        return tool_fail("concatenating several sources is not built");
    if ((a->cache && strcmp(a->cache, "unsafe") && strcmp(a->cache, "writeback") && strcmp(a->cache, "none")) ||
        (a->src_cache && strcmp(a->src_cache, "writeback") && strcmp(a->src_cache, "none")))
        return tool_fail("cache mode '%s' is not built here (built: writeback, none; unsafe for the target)",
                         a->cache ? a->cache : a->src_cache);
    if (a->o.backing[0] || (a->list && strstr(a->list, "backing_file")))
        return tool_fail("convert with a backing file for the target is not built");
    return 0;
}

static int target_open(struct convert_args *a, const char *name)
{
    unsigned flags = TOOL_WRITE | (a->cache && !strcmp(a->cache, "none") ? TOOL_DIRECT : 0);
    a->o.size = source.img[0].size;
    if (a->list && tool_options_parse(&a->o, a->out_fmt, name, a->list))
        return 1;
    const struct img_driver *drv = img_driver_find(a->out_fmt);
    if (a->compress && (!drv || !drv->write_packed))
        return tool_fail("Compression not supported for file format '%s'", a->out_fmt);
    if (!a->existing && tool_create(name, a->out_fmt, &a->o, true))
        return 1;
    if (tool_open(&target, name, a->out_fmt, flags) < 0)
        return 1;
    target.file[0].unsafe = !a->cache || !strcmp(a->cache, "unsafe");
    for (unsigned i = 0; i < target.img[0].n_parts; i++)
        target.parts[0][i].unsafe = target.file[0].unsafe;
    if (target.img[0].size < source.img[0].size)
        return tool_fail("error while converting: the target is smaller than the source");
    return 0;
}

int cmd_convert(int argc, char **argv)
{
    struct convert_args a = {.o.state_zero = true};
    if (convert_args(argc, argv, &a))
        return 1;
    if (tool_options_help(a.out_fmt, a.list))
        return 0;
    const char *from = argv[optind], *to = argv[optind + 1];
    unsigned flags = (a.share ? TOOL_SHARE : 0) | (a.src_cache && !strcmp(a.src_cache, "none") ? TOOL_DIRECT : 0);
    tool_grant(from, 0);
    tool_grant(to, TOOL_WRITE);
    if (!a.existing)
        tool_create_grant(to);
    if (tool_open(&source, from, a.fmt, flags) < 0)
        return 1;
    if (target_open(&a, to)) {
        tool_close(&source);
        return 1;
    }
    struct job j = {.size = source.img[0].size, .compress = a.compress, .progress = a.progress && !a.quiet,
                    .existing = a.existing, .everything = a.sparse == 0};
    j.grain = (uint32_t)(a.sparse & ~(uint64_t)(IMG_SECTOR - 1));
    if (j.grain < target.img[0].cluster)
        j.grain = target.img[0].cluster;
    if (j.grain > PIECE)
        j.grain = PIECE;
    j.piece = j.grain > PIECE_COPY ? PIECE : PIECE_COPY;
    int r = run(&j, (unsigned)a.threads);
    if (r == 0 && a.existing && target.img[0].size > j.size)
        r = img_zero(&target.img[0], j.size, target.img[0].size - j.size, true, &target.io);
    if (r == 0 && a.cache && strcmp(a.cache, "unsafe"))
        r = img_flush(&target.img[0], &target.io);
    tool_close(&source);
    tool_close(&target);
    return r < 0 ? tool_fail("error while converting %s to %s: %s", from, to, strerror(-r)) : 0;
}

/* ---- compare */
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
