/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A qcow2 image under random writes, zeros, discards and flushes from several threads in a process that is
 * killed at a random moment: every acknowledged write must be there afterwards, in our reading and in
 * qemu-img's, and qemu-img check must be clean. Each thread owns its own blocks, so what they must hold
 * is known exactly but for the one operation under way.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "block-proc/image/image.h"
#include "block-proc/image/qcow2-tool.h"
#include "tests/lib/ctest.h"

#define BLOCK   4096u
#define THREADS 4u
#define LONGEST 24u /* blocks of one operation */

static const char *base; /* raw backing file, or NULL */
static char path[256];
static uint64_t blocks;

/* In shared memory: what the child has acknowledged. version 0 = zeros, ANY = discarded. */
#define ANY  UINT32_MAX
#define BASE (UINT32_MAX - 1)
struct promise {
    uint32_t now, next; /* next != now: an operation is under way, either may be found */
};
static struct promise *promised;
static uint32_t *acknowledged;

static void stamp(uint8_t *b, uint64_t block, uint32_t version)
{
    uint64_t v = version == BASE ? block * 0x9e3779b97f4a7c15ull : block << 32 | version;
    for (unsigned i = 0; i < BLOCK; i += 8, v = v * 6364136223846793005ull + 1)
        memcpy(b + i, &v, 8);
    if (version == 0)
        memset(b, 0, BLOCK);
}

static bool holds(const uint8_t *b, uint64_t block, uint32_t version)
{
    static uint8_t want[BLOCK];
    if (version == ANY)
        return true;
    stamp(want, block, version);
    return !memcmp(b, want, BLOCK);
}

static int open_image(struct img *top, struct img *below, struct img_file f[2], struct img_io *io)
{
    struct img_options opt = {.unmap = true}, ro = {.readonly = true};
    int r = img_file_open(&f[0], open(path, O_RDWR | O_CLOEXEC), false);
    if (r == 0)
        r = img_io_init(io, NULL);
    if (r == 0)
        r = img_open(top, &img_qcow2, &f[0], path, &opt, io);
    if (r == 0 && base) {
        r = img_file_open(&f[1], open(base, O_RDONLY | O_CLOEXEC), true);
        if (r == 0)
            r = img_open(below, &img_raw, &f[1], base, &ro, io);
        top->backing = below;
    }
    return r;
}

static struct img image, backing;
static struct img_file file[2];
static struct img_io main_io;

static int operate(uint64_t first, unsigned n, unsigned kind, uint32_t version, uint8_t *buf,
                   struct img_io *io)
{
    for (unsigned i = 0; i < n; i++)
        stamp(buf + i * BLOCK, first + i, version);
    if (kind < 6)
        return img_write(&image, buf, n * BLOCK, first * BLOCK, io);
    if (kind < 8)
        return img_zero(&image, first * BLOCK, n * BLOCK, kind & 1, io);
    return img_discard(&image, first * BLOCK, n * BLOCK, io);
}

static void *writer(void *arg)
{
    unsigned me = (unsigned)(uintptr_t)arg, seed = (unsigned)time(NULL) * 7 + me;
    uint64_t share = blocks / THREADS, mine = me * share;
    uint8_t *buf = malloc(LONGEST * BLOCK);
    struct img_io io = {0};
    img_io_init(&io, &image);
    for (uint32_t version = 1;; version++) {
        unsigned n = 1 + (unsigned)rand_r(&seed) % LONGEST, kind = (unsigned)rand_r(&seed) % 9;
        uint64_t first = mine + (unsigned)rand_r(&seed) % (share - n);
        uint32_t want = kind < 6 ? version << 2 | me : kind < 8 ? 0 : ANY;
        for (unsigned i = 0; i < n; i++)
            __atomic_store_n(&promised[first + i].next, want, __ATOMIC_SEQ_CST);
        if (operate(first, n, kind, want, buf, &io) < 0)
            _exit(3);
        for (unsigned i = 0; i < n; i++)
            __atomic_store_n(&promised[first + i].now, want, __ATOMIC_SEQ_CST);
        __atomic_add_fetch(acknowledged, 1, __ATOMIC_SEQ_CST);
        if (rand_r(&seed) % 32 == 0 && img_flush(&image, &io) < 0)
            _exit(4);
    }
    return NULL;
}

static void child_run(void)
{
    pthread_t t;
    if (open_image(&image, &backing, file, &main_io) < 0)
        _exit(2);
    for (unsigned i = 0; i < THREADS; i++)
        pthread_create(&t, NULL, writer, (void *)(uintptr_t)i);
    for (;;)
        pause();
}

/* An unacknowledged operation over several blocks may have stopped anywhere, in a block as well. */
static bool verify(const char *how)
{
    static uint8_t buf[BLOCK];
    bool good = true;
    for (uint64_t b = 0; good && b < blocks; b++) {
        struct promise *p = &promised[b];
        if (img_read(&image, buf, BLOCK, b * BLOCK, &main_io) < 0)
            good = false;
        else if (p->now == p->next && !holds(buf, b, p->now))
            good = false;
        if (!good)
            printf("# %s: block %llu lost version %u (found %02x%02x)\n", how, (unsigned long long)b,
                   p->now, buf[0], buf[1]);
        if (p->now != p->next || p->now == ANY)
            p->now = p->next = ANY; /* what it is from now on is not known until it is written */
    }
    return good;
}

static bool run(const char *fmt, const char *arg)
{
    char line[700];
    snprintf(line, sizeof(line), fmt, path, arg);
    return system(line) == 0;
}

/* Killed a while after its first acknowledged operations: on a busy machine a time alone may pass before there are any. */
static bool round_once(unsigned us)
{
    uint32_t before = __atomic_load_n(acknowledged, __ATOMIC_SEQ_CST);
    int status = 0;
    pid_t pid = fork(), ended = 0;
    if (pid == 0)
        child_run();
    for (unsigned i = 0; i < 60000 && !ended && __atomic_load_n(acknowledged, __ATOMIC_SEQ_CST) < before + 5; i++) {
        usleep(1000);
        ended = waitpid(pid, &status, WNOHANG);
    }
    if (!ended) {
        usleep(us);
        kill(pid, SIGKILL);
        waitpid(pid, &status, 0);
    }
    if (!WIFSIGNALED(status)) {
        printf("# the writer ended with status %d\n", WEXITSTATUS(status));
        return false;
    }
    if (open_image(&image, &backing, file, &main_io) < 0)
        return false;
    bool good = verify("after the kill");
    img_close(&image, &main_io);
    img_io_fini(&main_io);
    close(file[0].fd);
    if (base)
        close(file[1].fd);
    return good && run("qemu-img check -q '%s' >check.log 2>&1 || { sed 's/^/# /' check.log | head; false; }", NULL);
}

static void sequence(const char *options, const char *below, unsigned rounds)
{
    bool good = true;
    uint64_t size = 48ull << 20;
    unsigned seed = 5;
    base = below;
    blocks = size / BLOCK;
    for (uint64_t b = 0; b < blocks; b++)
        promised[b].now = promised[b].next = below ? BASE : 0;
    *acknowledged = 0;
    unlink(path);
    good = run("qemu-img create -q -f qcow2 %2$s '%1$s' 48M", options);
    for (unsigned i = 0; good && i < rounds; i++)
        good = round_once(2000 + (unsigned)rand_r(&seed) % 40000);
    ok(good && *acknowledged, "%s: %u kills, %u acknowledged operations", options, rounds, *acknowledged);
}

static void base_make(const char *name)
{
    uint8_t buf[BLOCK];
    int fd = open(name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    for (uint64_t b = 0; b < (48u << 20) / BLOCK; b++) {
        stamp(buf, b, BASE);
        if (pwrite(fd, buf, BLOCK, (off_t)(b * BLOCK)) != BLOCK)
            exit(1);
    }
    close(fd);
}

int main(int argc, char **argv)
{
    bool longer = getenv("BULKHEAD_TEST_LONG");
    unsigned rounds = longer ? 125 : 6;
    char dir[] = "/tmp/bulkhead-qcow2-XXXXXX", options[400];
    size_t room = ((48u << 20) / BLOCK) * sizeof(struct promise) + 64;
    uint8_t *shared = mmap(NULL, room, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    (void)argc;
    (void)argv;
    if (!mkdtemp(dir) || chdir(dir))
        return 1;
    acknowledged = (uint32_t *)(void *)shared;
    promised = (struct promise *)(void *)(shared + 64);
    snprintf(path, sizeof(path), "%s/image.qcow2", dir);
    base_make("base.raw");
    sequence("-o cluster_size=65536", NULL, rounds);
    sequence("-o cluster_size=512", NULL, rounds);
    sequence("-o cluster_size=2M", NULL, rounds);
    sequence("-o refcount_bits=1,cluster_size=4096", NULL, rounds);
    sequence("-o refcount_bits=64,cluster_size=8192", NULL, rounds);
    sequence("-o lazy_refcounts=on", NULL, rounds);
    sequence("-o preallocation=metadata", NULL, rounds);
    snprintf(options, sizeof(options), "-b %s/base.raw -F raw -o cluster_size=65536", dir);
    sequence(options, "base.raw", rounds);
    char clean[64];
    snprintf(clean, sizeof(clean), "rm -rf %s", dir);
    if (chdir("/") == 0 && system(clean) != 0)
        printf("# %s is left\n", dir);
    return ctest_done();
}
