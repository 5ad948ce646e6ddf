/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Guest program: parallel writers on a raw disk with direct I/O, one request in flight each. Every
 * block carries writer, block number, sequence number and a pattern made of them, and is read back
 * and compared: at random moments during the run and completely at its end. A lost write shows as an
 * older sequence number, a stale or torn one as a wrong pattern.
 *
 *   blk-hammer DEVICE WRITERS SECONDS
 *
 * Prints  HAMMER start
 *         HAMMER gap US AT_MS           (as it happens: nothing completed for US microseconds)
 *         HAMMER done ops=N errors=N bad=N worst_us=N gaps_us=A,B,C,...   (64 longest, descending)
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define BLOCK    4096u
#define BLOCKS   64u /* of each writer */
#define WRITERS  64u
#define GAPS     64u
#define GAP_NOTE 15000u /* us: reported at once */

struct stamp {
    uint64_t magic, writer, block, seq;
};
struct writer {
    pthread_t thread;
    unsigned id;
    uint64_t seq[BLOCKS];
    uint64_t ops, errors, bad, worst_us;
};

static int disk;
static uint64_t start_ns, end_ns;
static uint64_t last_done_ns; /* atomic: when any request completed */
static uint64_t gap[GAPS];
static pthread_mutex_t gap_lock = PTHREAD_MUTEX_INITIALIZER;
static struct writer writers[WRITERS];

static uint64_t now_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static void gap_add(uint64_t us, uint64_t at_ns)
{
    pthread_mutex_lock(&gap_lock);
    unsigned i = GAPS;
    if (us > gap[GAPS - 1]) {
        for (i = GAPS - 1; i > 0 && gap[i - 1] < us; i--)
            gap[i] = gap[i - 1];
        gap[i] = us;
    }
    if (us >= GAP_NOTE) {
        printf("HAMMER gap %llu %llu\n", (unsigned long long)us,
               (unsigned long long)((at_ns - start_ns) / 1000000u));
        fflush(stdout);
    }
    pthread_mutex_unlock(&gap_lock);
}

static void completed(struct writer *w, uint64_t begun)
{
    uint64_t now = now_ns(), us = (now - begun) / 1000;
    if (us > w->worst_us)
        w->worst_us = us;
    uint64_t before = __atomic_exchange_n(&last_done_ns, now, __ATOMIC_ACQ_REL);
    if (now > before)
        gap_add((now - before) / 1000, now);
    w->ops++;
}

static void block_fill(uint64_t *b, unsigned id, unsigned block, uint64_t seq)
{
    struct stamp s = {0x42554c4b48454144u, id, block, seq};
    uint64_t x = (uint64_t)id << 40 ^ (uint64_t)block << 20 ^ seq;
    memcpy(b, &s, sizeof s);
    for (unsigned i = sizeof s / 8; i < BLOCK / 8; i++)
        b[i] = x += 0x9e3779b97f4a7c15u;
}

static off_t place(unsigned id, unsigned block)
{
    return ((off_t)id * BLOCKS + block) * BLOCK;
}

static void block_write(struct writer *w, unsigned block, uint64_t *buf)
{
    block_fill(buf, w->id, block, ++w->seq[block]);
    uint64_t begun = now_ns();
    if (pwrite(disk, buf, BLOCK, place(w->id, block)) != BLOCK) {
        printf("HAMMER error write writer=%u block=%u: %s\n", w->id, block, strerror(errno));
        w->errors++;
        w->seq[block]--;
    }
    completed(w, begun);
}

static void block_check(struct writer *w, unsigned block, uint64_t *buf, uint64_t *want)
{
    uint64_t begun = now_ns();
    if (pread(disk, buf, BLOCK, place(w->id, block)) != BLOCK) {
        printf("HAMMER error read writer=%u block=%u: %s\n", w->id, block, strerror(errno));
        w->errors++;
        return;
    }
    completed(w, begun);
    block_fill(want, w->id, block, w->seq[block]);
    if (memcmp(buf, want, BLOCK)) {
        struct stamp got;
        memcpy(&got, buf, sizeof got);
        printf("HAMMER bad writer=%u block=%u want seq=%llu got writer=%llu block=%llu seq=%llu\n",
               w->id, block, (unsigned long long)w->seq[block], (unsigned long long)got.writer,
               (unsigned long long)got.block, (unsigned long long)got.seq);
        w->bad++;
    }
}

static void *writer_run(void *opaque)
{
    struct writer *w = opaque;
    uint64_t *buf, *want;
    unsigned rnd = w->id * 7919 + 1;

    if (posix_memalign((void **)&buf, BLOCK, BLOCK) || posix_memalign((void **)&want, BLOCK, BLOCK))
        abort();
    for (unsigned b = 0; b < BLOCKS; b++)
        block_write(w, b, buf);
    while (now_ns() < end_ns) {
        unsigned b = (unsigned)rand_r(&rnd) % BLOCKS;
        if (rand_r(&rnd) % 4)
            block_write(w, b, buf);
        else
            block_check(w, b, buf, want);
    }
    for (unsigned b = 0; b < BLOCKS; b++)
        block_check(w, b, buf, want);
    free(buf);
    free(want);
    return NULL;
}

static int report(unsigned n)
{
    struct writer sum = {0};
    for (unsigned i = 0; i < n; i++) {
        sum.ops += writers[i].ops;
        sum.errors += writers[i].errors;
        sum.bad += writers[i].bad;
        if (writers[i].worst_us > sum.worst_us)
            sum.worst_us = writers[i].worst_us;
    }
    printf("HAMMER done ops=%llu errors=%llu bad=%llu worst_us=%llu gaps_us=",
           (unsigned long long)sum.ops, (unsigned long long)sum.errors, (unsigned long long)sum.bad,
           (unsigned long long)sum.worst_us);
    for (unsigned i = 0; i < GAPS; i++)
        printf("%s%llu", i ? "," : "", (unsigned long long)gap[i]);
    printf("\n");
    return sum.errors || sum.bad || !sum.ops;
}

int main(int argc, char **argv)
{
    unsigned n = argc == 4 ? (unsigned)atoi(argv[2]) : 0;

    if (!n || n > WRITERS) {
        fprintf(stderr, "usage: blk-hammer DEVICE WRITERS(1-64) SECONDS\n");
        return 2;
    }
    disk = open(argv[1], O_RDWR | O_DIRECT);
    if (disk < 0) {
        fprintf(stderr, "blk-hammer: %s: %s\n", argv[1], strerror(errno));
        return 2;
    }
    start_ns = last_done_ns = now_ns();
    end_ns = start_ns + (uint64_t)atoi(argv[3]) * 1000000000u;
    printf("HAMMER start\n");
    fflush(stdout);
    for (unsigned i = 0; i < n; i++) {
        writers[i].id = i;
        if (pthread_create(&writers[i].thread, NULL, writer_run, &writers[i]))
            abort();
    }
    for (unsigned i = 0; i < n; i++)
        pthread_join(writers[i].thread, NULL);
    return report(n);
}
