/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kill -9 while an image of each format is written: every acknowledged block is there afterwards, one that was being
 * written is old or new. The child writes through the image layer and says in shared memory what it was told; the parent
 * kills it, opens the image and looks. Must never take the child's word for what is in the image.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "block-proc/image/image.h"
#include "block-proc/image/qcow2-tool.h"
#include "ipc/log.h"
#include "tests/lib/ctest.h"

#define BLOCK  512u /* what a disk writes whole */
#define BLOCKS 16384u /* 8 MiB */

struct model {
    uint8_t acked[BLOCKS], pending[BLOCKS];
    uint32_t writes;
};

static struct img_io io;
static uint64_t state = 7;

static void quiet(void *opaque, const char *text)
{
    (void)opaque;
    (void)text;
}

static uint32_t rnd(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)(state >> 20);
}

static void block_fill(uint8_t *p, unsigned block, uint8_t value)
{
    memset(p, value, BLOCK);
    if (value)
        memcpy(p, &block, sizeof(block));
}

static int image_open(struct img *img, struct img_file *f, const struct img_driver *drv, const char *path, bool write)
{
    struct img_options opt = {.readonly = !write, .recovered = true}; /* the host is alive: the kernel has all of it */
    int fd = open(path, (write ? O_RDWR : O_RDONLY) | O_CLOEXEC);
    int r = fd < 0 ? -1 : img_file_open(f, fd, !write);
    if (r == 0)
        r = img_open(img, drv, f, "image", &opt, &io);
    img_io_fini(&io);
    return r < 0 ? r : img_io_init(&io, img);
}

/* Until it is killed. */
static void child(const struct img_driver *drv, const char *path, struct model *m)
{
    static uint8_t buf[64 * BLOCK] __attribute__((aligned(4096)));
    struct img img;
    struct img_file f;
    if (image_open(&img, &f, drv, path, true) < 0)
        _exit(3);
    for (;;) {
        unsigned n = 1 + rnd() % 64, at = rnd() % (BLOCKS - n);
        uint8_t value = (uint8_t)(1 + rnd() % 254);
        for (unsigned i = 0; i < n; i++) {
            block_fill(buf + i * BLOCK, at + i, value);
            m->pending[at + i] = value;
        }
        if (img_write(&img, buf, (size_t)n * BLOCK, (uint64_t)at * BLOCK, &io) < 0)
            _exit(4);
        for (unsigned i = 0; i < n; i++)
            m->acked[at + i] = value;
        __atomic_add_fetch(&m->writes, 1, __ATOMIC_RELEASE);
    }
}

/* How many blocks are neither. What is found becomes what is known. */
static unsigned look(const struct img_driver *drv, const char *path, struct model *m)
{
    static uint8_t got[BLOCK] __attribute__((aligned(4096))), want[BLOCK];
    struct img img;
    struct img_file f;
    unsigned bad = 0;
    if (image_open(&img, &f, drv, path, true) < 0)
        return BLOCKS;
    for (unsigned b = 0; b < BLOCKS; b++) {
        bool good = img_read(&img, got, BLOCK, (uint64_t)b * BLOCK, &io) == 0;
        block_fill(want, b, m->acked[b]);
        if (good && memcmp(got, want, BLOCK)) {
            block_fill(want, b, m->pending[b]);
            good = !memcmp(got, want, BLOCK);
            m->acked[b] = m->pending[b];
        }
        m->pending[b] = m->acked[b];
        bad += !good;
    }
    img_close(&img, &io);
    close(f.fd);
    return bad;
}

static void round_run(const struct img_driver *drv, const char *path, struct model *m, unsigned *bad)
{
    struct timespec ms = {0, 1000000};
    int status;
    uint32_t goal = m->writes + 1 + rnd() % 200;
    pid_t pid = fork();
    if (pid == 0)
        child(drv, path, m);
    state += 77; /* the next child does something else */
    while (__atomic_load_n(&m->writes, __ATOMIC_ACQUIRE) < goal && waitpid(pid, &status, WNOHANG) == 0)
        nanosleep(&ms, NULL);
    kill(pid, SIGKILL);
    waitpid(pid, &status, 0);
    *bad += look(drv, path, m);
}

static int image_make(const struct img_driver *drv, const char *path)
{
    struct img_file f;
    struct img_create c = {.size = (uint64_t)BLOCKS * BLOCK};
    struct qcow2_create q = {.size = c.size, .cluster = 65536, .refcount_bits = 16};
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    int r = img_file_open(&f, fd, false);
    if (r == 0)
        r = drv == &img_raw ? img_file_resize(&f, c.size, &io)
            : drv == &img_qcow2 ? qcow2_create(&f, &q, &io) : drv->create(&f, &c, &io);
    close(fd);
    return r;
}

/* Leaves FORMAT.img and FORMAT.raw, what it must be, for other programs to compare. */
static void format_run(const struct img_driver *drv, unsigned rounds, struct model *m)
{
    char path[64], raw[64];
    static uint8_t buf[BLOCK];
    unsigned bad = 0;
    snprintf(path, sizeof(path), "%s.img", drv->name);
    snprintf(raw, sizeof(raw), "%s.raw", drv->name);
    memset(m, 0, sizeof(*m));
    if (image_make(drv, path) < 0)
        bad = BLOCKS;
    for (unsigned i = 0; i < rounds && !bad; i++)
        round_run(drv, path, m, &bad);
    ok(!bad, "%s: %u kills, %u writes, %u blocks lost or torn", drv->name, rounds, m->writes, bad);
    int fd = open(raw, O_RDWR | O_CREAT | O_TRUNC, 0600);
    for (unsigned b = 0; fd >= 0 && b < BLOCKS; b++) {
        block_fill(buf, b, m->acked[b]);
        bad += write(fd, buf, BLOCK) != BLOCK;
    }
    close(fd);
}

int main(int argc, char **argv)
{
    unsigned rounds = argc > 1 ? (unsigned)atoi(argv[1]) : 5;
    struct model *m = mmap(NULL, sizeof(*m), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (m == MAP_FAILED || img_io_init(&io, NULL) < 0)
        return 2;
    ipc_log_capture(quiet, NULL);
    for (unsigned i = 0; i < img_driver_count(); i++)
        if (img_driver_at(i)->write)
            format_run(img_driver_at(i), rounds, m);
    return ctest_done();
}
