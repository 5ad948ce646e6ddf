/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bulkhead-img bench: requests of one size, one behind the other, several at a time. Must never write without -w.
 */
#include <errno.h>
#include <getopt.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "block-proc/img/img.h"

#define DEPTH_MAX 64

static struct tool_chain chain;

static struct bench {
    uint64_t count, offset, size, step, flush_every, sent, done;
    uint64_t depth;
    int pattern, err;
    bool write, no_drain;
    pthread_mutex_t lock;
    pthread_cond_t cond;
    unsigned busy;   /* requests at work */
    bool flushing;
} b = {.count = 75000, .depth = 64, .size = 4096, .lock = PTHREAD_MUTEX_INITIALIZER, .cond = PTHREAD_COND_INITIALIZER};

/* The next request's place. False: none is left. */
static bool take(uint64_t *off)
{
    bool more;
    pthread_mutex_lock(&b.lock);
    while (b.flushing)
        pthread_cond_wait(&b.cond, &b.lock);
    more = b.sent < b.count && !b.err;
    if (more) {
        *off = b.offset;
        b.sent++;
        b.busy++;
        b.offset += b.step;
        uint64_t size = chain.img[0].size;
        if (b.offset + b.size > size)
            b.offset = b.step ? (b.offset % (size - b.size + 1)) & ~(uint64_t)(IMG_SECTOR - 1) : 0;
    }
    pthread_mutex_unlock(&b.lock);
    return more;
}

/* With a flush due, the queue is drained first (--no-drain: it is not). */
static void finish(int r, struct img_io *io)
{
    pthread_mutex_lock(&b.lock);
    b.busy--;
    b.done++;
    b.err = r < 0 ? r : b.err;
    if (b.flush_every && b.done % b.flush_every == 0 && !b.err) {
        b.flushing = !b.no_drain;
        while (b.busy && !b.no_drain)
            pthread_cond_wait(&b.cond, &b.lock);
        pthread_mutex_unlock(&b.lock);
        r = img_flush(&chain.img[0], io);
        pthread_mutex_lock(&b.lock);
        b.err = r < 0 ? r : b.err;
        b.flushing = false;
    }
    pthread_cond_broadcast(&b.cond);
    pthread_mutex_unlock(&b.lock);
}

static void *sender(void *arg)
{
    struct img_io io = {0};
    uint8_t *buf = NULL;
    uint64_t off;
    (void)arg;
    int r = img_io_init(&io, &chain.img[0]);
    if (r == 0)
        r = -posix_memalign((void **)&buf, IMG_ALIGN_MAX, b.size);
    if (r == 0)
        memset(buf, b.pattern, b.size);
    while (r == 0 && take(&off)) {
        r = b.write ? img_write(&chain.img[0], buf, b.size, off, &io) : img_read(&chain.img[0], buf, b.size, off, &io);
        finish(r, &io);
    }
    if (r < 0)
        b.err = r;
    img_io_fini(&io);
    free(buf);
    return NULL;
}

static int number(const char *what, const char *text, uint64_t min, uint64_t max, uint64_t *out)
{
    if (tool_size(text, out) && *out >= min && *out <= max)
        return 0;
    return tool_fail("Invalid %s specified", what);
}

struct bench_args {
    const char *fmt, *cache;
    bool quiet, share;
    uint64_t pattern;
};

static int args_read(int argc, char **argv, struct bench_args *a)
{
    static const struct option longs[] = {{"flush-interval", required_argument, NULL, 1}, {"pattern", required_argument, NULL, 2},
                                          {"no-drain", no_argument, NULL, 3}, {0}};
    for (int o, r = 0; (o = getopt_long(argc, argv, "c:d:f:no:qs:S:t:wUi:", longs, NULL)) != -1;) {
        switch (o) {
        case 'c': r = number("request count", optarg, 0, INT32_MAX, &b.count); break;
        case 'd': r = number("queue depth", optarg, 1, INT32_MAX, &b.depth); break;
        case 'f': a->fmt = optarg; break;
        case 'n': a->cache = "none"; break;
        case 'o': r = number("offset", optarg, 0, INT64_MAX, &b.offset); break;
        case 'q': a->quiet = true; break;
        case 's': r = number("buffer size", optarg, IMG_SECTOR, 64 << 20, &b.size); break;
        case 'S': r = number("step size", optarg, 0, INT32_MAX, &b.step); break;
        case 't': a->cache = optarg; break;
        case 'w': b.write = true; break;
        case 'U': a->share = true; break;
        case 'i':
            if (strcmp(optarg, "threads"))
                return tool_fail("aio mode '%s' is not built (built: threads)", optarg);
            break;
        case 1: r = number("flush interval", optarg, 0, INT32_MAX, &b.flush_every); break;
        case 2: r = number("pattern byte", optarg, 0, 255, &a->pattern); break;
        case 3: b.no_drain = true; break;
        default: return 1;
        }
        if (r)
            return r;
    }
    b.pattern = (int)a->pattern;
    if (optind != argc - 1)
        return tool_fail("Expecting one image file name");
    if (!b.write && b.flush_every)
        return tool_fail("--flush-interval is only available in write tests");
    if (b.flush_every && b.flush_every < b.depth)
        return tool_fail("Flush interval can't be smaller than depth");
    if (a->cache && !tool_cache_known(a->cache))
        return tool_fail("Invalid cache mode");
    if (a->cache && !strcmp(a->cache, "writethrough"))
        return tool_fail("Cache mode 'writethrough' is not built for this command (built: writeback, none, directsync, unsafe)");
    b.step = b.step ? b.step : b.size;
    return 0;
}

static double run(void)
{
    pthread_t t[DEPTH_MAX];
    struct timespec from, to;
    unsigned n = 0;
    clock_gettime(CLOCK_MONOTONIC, &from);
    while (n < b.depth && n < DEPTH_MAX && pthread_create(&t[n], NULL, sender, NULL) == 0)
        n++;
    if (!n)
        sender(NULL);
    while (n)
        pthread_join(t[--n], NULL);
    clock_gettime(CLOCK_MONOTONIC, &to);
    return (double)(to.tv_sec - from.tv_sec) + 1e-9 * (double)(to.tv_nsec - from.tv_nsec);
}

int cmd_bench(int argc, char **argv)
{
    struct bench_args a = {0};
    if (args_read(argc, argv, &a))
        return 1;
    bool direct = a.cache && (!strcmp(a.cache, "none") || !strcmp(a.cache, "directsync"));
    tool_grant(argv[optind], b.write ? TOOL_WRITE : 0);
    if (tool_open(&chain, argv[optind], a.fmt, (b.write ? TOOL_WRITE : 0) | (a.share ? TOOL_SHARE : 0) | (direct ? TOOL_DIRECT : 0)) < 0)
        return 1;
    chain.file[0].unsafe = a.cache && !strcmp(a.cache, "unsafe");
    if (b.size > chain.img[0].size || b.offset > chain.img[0].size - b.size)
        return tool_fail("Invalid buffer size or offset: the image has %llu bytes", (unsigned long long)chain.img[0].size);
    if (!a.quiet)
        printf("Sending %llu %s requests, %llu bytes each, %llu in parallel (starting at offset %llu, step size %llu)\n",
               (unsigned long long)b.count, b.write ? "write" : "read", (unsigned long long)b.size, (unsigned long long)b.depth,
               (unsigned long long)b.offset, (unsigned long long)b.step);
    if (!a.quiet && b.flush_every)
        printf("Sending flush every %llu requests\n", (unsigned long long)b.flush_every);
    fflush(stdout);
    double s = run();
    tool_close(&chain);
    if (b.err)
        return tool_fail("Failed request: %s", strerror(-b.err));
    if (!a.quiet)
        printf("Run completed in %3.3f seconds.\n", s);
    return 0;
}
