/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The image formats' fuzz target without libFuzzer: images made by our own tools and the files of a corpus, damaged at
 * random for a fixed time. Must give the same inputs in the same order on every run. Arguments: seconds, corpus directory.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "block-proc/image/image.h"
#include "block-proc/image/qcow2-tool.h"
#include "ipc/memfd.h"

#define SEEDS_MAX 128
#define SEED_SIZE (512u << 10)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct {
    uint8_t *b;
    size_t n;
} seeds[SEEDS_MAX];
static unsigned n_seeds;
static uint8_t work[SEED_SIZE];

static uint64_t state = 0x9e3779b97f4a7c15ull;
static uint64_t rnd(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state * 0x2545f4914f6cdd1dull >> 16;
}

static void seed_add(const uint8_t *b, size_t n)
{
    if (n_seeds == SEEDS_MAX || !(seeds[n_seeds].b = malloc(n)))
        abort();
    memcpy(seeds[n_seeds].b, b, n);
    seeds[n_seeds++].n = n;
}

/* An image of 4 MiB with a little data in it, cut to SEED_SIZE. */
static void seed_make(unsigned kind, const struct img_create *c)
{
    static uint8_t text[4096];
    const struct img_driver *drv = img_driver_at(kind);
    struct img_options opt = {0};
    struct img_io io = {0};
    struct img_file f;
    struct img img;
    int fd = ipc_memfd_create("seed", 0, 0);
    if (img_file_open(&f, fd, false) < 0 || img_io_init(&io, NULL) < 0 || drv->create(&f, c, &io) < 0)
        abort();
    memset(text, 'x', sizeof(text));
    f.size = (uint64_t)img_file_length(&f);
    if (img_open(&img, drv, &f, "seed", &opt, &io) == 0 && drv->write)
        for (uint64_t off = 0; off < c->size; off += c->size / 2)
            (void)img_write(&img, text, sizeof(text), off, &io);
    img_close(&img, &io);
    img_io_fini(&io);
    work[0] = (uint8_t)kind;
    for (unsigned w = 0; w < 2; w++) {
        work[1] = (uint8_t)w;
        ssize_t n = pread(fd, work + 2, sizeof(work) - 2, 0);
        seed_add(work, (size_t)n + 2);
    }
    close(fd);
}

static void corpus_read(const char *dir)
{
    DIR *d = opendir(dir);
    for (struct dirent *e; d && (e = readdir(d));) {
        char path[4096];
        snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
        FILE *f = e->d_name[0] == '.' ? NULL : fopen(path, "rb");
        size_t n = f ? fread(work, 1, sizeof(work), f) : 0;
        if (n)
            seed_add(work, n);
        if (f)
            fclose(f);
    }
    if (d)
        closedir(d);
}

/* A few bytes changed, most of them in the first sectors; now and then cut short. */
static size_t damage(unsigned i)
{
    static const uint32_t odd[] = {0, 1, 2, 0x7fffffff, 0x80000000, 0xffffffff, 0xfffffffe, 0x1000, 0x10000, 512, 0xff};
    size_t n = seeds[i].n;
    memcpy(work, seeds[i].b, n);
    for (unsigned k = (unsigned)rnd() % 5; k; k--) {
        size_t span = rnd() % 4 ? 700 : rnd() % 2 ? 70000 : n, at = 2 + rnd() % (span < n - 8 ? span : n - 8);
        uint32_t v = rnd() % 2 ? odd[rnd() % 11] : (uint32_t)rnd();
        v = rnd() % 2 ? v : __builtin_bswap32(v);
        memcpy(work + at, &v, 1u << rnd() % 3);
    }
    return rnd() % 8 ? n : 2 + rnd() % (n - 2);
}

int main(int argc, char **argv)
{
    struct timespec a, b;
    double seconds = argc > 1 ? atof(argv[1]) : 3;
    unsigned long n = 0;
    alarm((unsigned)seconds + 60);
    for (unsigned i = 0; i < img_driver_count(); i++) {
        struct img_create c = {.size = 4 << 20};
        if (img_driver_at(i)->create)
            seed_make(i, &c);
    }
    if (argc > 2)
        corpus_read(argv[2]);
    clock_gettime(CLOCK_MONOTONIC, &a);
    do {
        for (unsigned i = 0; i < n_seeds; i++, n++)
            LLVMFuzzerTestOneInput(work, damage(i));
        clock_gettime(CLOCK_MONOTONIC, &b);
    } while ((double)(b.tv_sec - a.tv_sec) + 1e-9 * (double)(b.tv_nsec - a.tv_nsec) < seconds);
    printf("ok 1 - %lu damaged images of %u seeds\n1..1\n", n, n_seeds);
    return 0;
}
