/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bulkhead-block under test: every request type, errors, cache modes, and death: kill -9 at random moments
 * and at each crash point with eight requests in flight. Nothing may be lost, stale or failed.
 * usage: block-driver PROGRAM IMAGE basic|errors|hostile|kill|points [count]
 *        block-driver SOCKET IMAGE foreign      (our front end with another program's back end)
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>
#include "ipc/abi/codepage.h"
#include "ipc/fds.h"
#include "ipc/imagelock.h"
#include "ipc/loop.h"
#include "tests/proto/vblk-rig.h"
#include "vhost-user/vq.h"

#define BLOCKS 1024u
#define DEPTH  8u

static struct rig rig;
static uint64_t version[BLOCKS]; /* what a read must return */
static bool busy[BLOCKS];
static uint64_t next_version = 1;
static uint64_t completions, verified;
static uint64_t last_done_ns;

static void image_make(const char *path)
{
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    CHECK(fd >= 0 && ftruncate(fd, (off_t)BLOCKS * RIG_BLOCK) == 0);
    close(fd);
    memset(version, 0, sizeof(version));
    memset(busy, 0, sizeof(busy));
}

/* The image itself, past the program. */
static void image_verify(const char *path)
{
    uint8_t buf[RIG_BLOCK];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    CHECK(fd >= 0);
    for (uint64_t b = 0; b < BLOCKS; b++) {
        CHECK(pread(fd, buf, sizeof(buf), (off_t)(b * RIG_BLOCK)) == (ssize_t)sizeof(buf));
        CHECK(rig_stamp_ok(buf, b, version[b]));
    }
    close(fd);
}

static void on_done(struct rig *r, unsigned slot, uint8_t status)
{
    struct rig_request *q = &r->req[slot];
    CHECK(status == VBLK_S_OK);
    if (q->type == VBLK_IN) {
        CHECK(rig_stamp_ok(rig_data(r, slot), q->block, version[q->block]));
        verified++;
    } else if (q->type == VBLK_OUT || q->type == VBLK_WRITE_ZEROES) {
        version[q->block] = q->version;
    }
    if (q->type != VBLK_FLUSH)
        busy[q->block] = false;
    completions++;
    last_done_ns = ipc_now_ns();
}

static void submit_random(struct rig *r)
{
    unsigned dice = (unsigned)rand() % 100;
    uint64_t block = (unsigned)rand() % BLOCKS;
    while (busy[block])
        block = (block + 1) % BLOCKS;
    if (dice < 4) {
        rig_submit(r, VBLK_FLUSH, 0, 0);
        return;
    }
    busy[block] = true;
    if (dice < 60)
        rig_submit(r, VBLK_OUT, block, next_version++);
    else if (dice < 65)
        rig_submit(r, VBLK_WRITE_ZEROES, block, 0);
    else
        rig_submit(r, VBLK_IN, block, 0);
}

static void check_progress(struct rig *r)
{
    if (ipc_now_ns() < last_done_ns + 15000000000ull || !r->inflight)
        return;
    fprintf(stderr, "FAILED: %u requests in flight, none completed for 15 s\n", r->inflight);
    exit(1);
}

/* Load until the deadline or the child's death (false). */
static bool load(struct rig *r, uint64_t deadline)
{
    while (ipc_now_ns() < deadline) {
        while (r->inflight < DEPTH)
            submit_random(r);
        if (rig_wait(r, 5, on_done) < 0)
            return false;
        check_progress(r);
    }
    return true;
}

static void drain(struct rig *r)
{
    while (r->inflight) {
        CHECK(rig_wait(r, 1000, on_done) >= 0);
        check_progress(r);
    }
}

static int cmp_u64(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static void restart(struct rig *r)
{
    for (unsigned tries = 0; !rig_spawn(r); tries++) {
        CHECK(tries < 3);
        rig_reap(r);
        r->crash_at = 0;
    }
}

static void scenario_kill(struct rig *r, unsigned kills)
{
    uint64_t stall[4096];
    CHECK(kills <= 4096);
    CHECK(rig_spawn(r));
    last_done_ns = ipc_now_ns();
    for (unsigned k = 0; k < kills; k++) {
        CHECK(load(r, ipc_now_ns() + 1000000ull * (1 + (unsigned)rand() % 30)));
        uint64_t t0 = ipc_now_ns(), before = completions;
        rig_kill(r);
        restart(r);
        while (completions == before) {
            CHECK(load(r, ipc_now_ns() + 100000));
            check_progress(r);
        }
        stall[k] = last_done_ns - t0;
    }
    drain(r);
    rig_shutdown(r);
    qsort(stall, kills, sizeof(stall[0]), cmp_u64);
    printf("%u kills, %llu requests, %llu reads verified, stall p50 %.2f ms p99 %.2f ms max %.2f ms\n",
           kills, (unsigned long long)completions, (unsigned long long)verified,
           (double)stall[kills / 2] / 1e6, (double)stall[kills * 99 / 100] / 1e6,
           (double)stall[kills - 1] / 1e6);
}

/* One death at a given point after `skip` passes of it, with full load before and after. */
static bool die_at(struct rig *r, unsigned point, unsigned skip)
{
    r->crash_at = point | skip << 8;
    bool up = rig_spawn(r);
    r->crash_at = 0;
    bool alive = up && load(r, ipc_now_ns() + 3000000000ull);
    if (!alive)
        rig_reap(r);
    return !alive;
}

static void scenario_points(struct rig *r)
{
    last_done_ns = ipc_now_ns();
    for (unsigned round = 0; round < 3; round++)
        for (unsigned point = 1; point < VQ_CRASH_MID_RECOVERY; point++) {
            CHECK(die_at(r, point, (unsigned)rand() % 50));
            restart(r);
            CHECK(load(r, ipc_now_ns() + 20000000));
            rig_kill(r);
        }
    for (unsigned point = VQ_CRASH_MID_RECOVERY; point < VQ_CRASH_POINTS; point++) {
        CHECK(die_at(r, VQ_CRASH_AFTER_USED_IDX, 5)); /* leaves a batch to clear */
        CHECK(die_at(r, point, 0));
        restart(r);
        CHECK(load(r, ipc_now_ns() + 20000000));
        rig_kill(r);
    }
    restart(r);
    drain(r);
    rig_shutdown(r);
    printf("all crash points, %llu requests, %llu reads verified\n",
           (unsigned long long)completions, (unsigned long long)verified);
}

static void check_config(struct rig *r)
{
    struct vblk_config c;
    CHECK(vu_frontend_config_read(&r->fe, 0, &c, sizeof(c)) == 0);
    CHECK(c.capacity == (uint64_t)BLOCKS * RIG_BLOCK / 512 && c.blk_size == 512 && c.seg_max > 0);
    CHECK(c.num_queues == 1 && c.max_discard_seg > 0 && c.max_write_zeroes_seg > 0);
    CHECK(vu_frontend_config_read(&r->fe, 300, &c, 8) == -EINVAL);
}

static void check_requests(struct rig *r)
{
    CHECK(rig_one(r, VBLK_GET_ID, 0, 0) == VBLK_S_OK);
    bool found = false;
    for (unsigned s = 0; s < RIG_SLOTS; s++)
        found |= !memcmp(rig_data(r, s), "serial-of-disk\0\0\0\0\0", VBLK_ID_BYTES);
    CHECK(found);
    CHECK(rig_one(r, VBLK_OUT, 5, 77) == VBLK_S_OK);
    version[5] = 77;
    CHECK(rig_one(r, VBLK_FLUSH, 0, 0) == VBLK_S_OK);
    CHECK(rig_one(r, VBLK_OUT, BLOCKS, 1) == VBLK_S_IOERR);
    CHECK(rig_one(r, VBLK_IN, ~0ull / 8 - 1, 1) == VBLK_S_IOERR);
    CHECK(rig_one(r, 99, 0, 0) == VBLK_S_UNSUPP);
    CHECK(rig_one(r, VBLK_DISCARD, 9, 0) == VBLK_S_OK);
    CHECK(rig_one(r, VBLK_DISCARD, BLOCKS, 0) == VBLK_S_IOERR);
}

/* A page with code under a buffer the device writes is reported before the completion is visible. */
static void check_codepage(struct rig *r)
{
    uint64_t off = (uint64_t)(rig_data(r, 0) - r->ram);
    for (uint64_t p = off / 4096; p <= off / 4096 + RIG_SLOTS; p++)
        r->codepage->map[p] = ABI_CODEPAGE_HAS_CODE;
    uint32_t seq = r->codepage->seq;
    CHECK(rig_one(r, VBLK_OUT, 6, 0) == VBLK_S_OK);
    CHECK(r->codepage->seq == seq);
    CHECK(rig_one(r, VBLK_IN, 6, 0) == VBLK_S_OK);
    CHECK(r->codepage->seq != seq);
    unsigned dirty = 0;
    for (uint64_t p = off / 4096; p <= off / 4096 + RIG_SLOTS; p++)
        dirty += r->codepage->map[p] == (ABI_CODEPAGE_HAS_CODE | ABI_CODEPAGE_DIRTY);
    CHECK(dirty >= 1 && dirty <= 2);
}

static void run_some(struct rig *r, unsigned ms)
{
    last_done_ns = ipc_now_ns();
    CHECK(load(r, ipc_now_ns() + ms * 1000000ull));
    drain(r);
}

/* Stopping drains, and the ring goes on where it was. */
static void check_stop_start(struct rig *r)
{
    for (unsigned i = 0; i < 5; i++) {
        while (r->inflight < DEPTH)
            submit_random(r);
        CHECK(vu_frontend_stop(&r->fe, false) == 0);
        CHECK(vu_frontend_start(&r->fe) == 0);
        run_some(r, 5);
    }
}

static void scenario_basic(struct rig *r)
{
    static const char *const modes[] = {"writeback", "writethrough", "none", "directsync", "unsafe"};
    for (unsigned i = 0; i < 5; i++) {
        r->cache = modes[i];
        r->direct = i == 2 || i == 3;
        r->discard = i & 1;
        /* Legacy driver, plain notification: the other half of the code. */
        r->features = i == 4 ? VIRTIO_BLK_F_FLUSH_BIT
                             : VIRTIO_F_VERSION_1 | VIRTIO_F_EVENT_IDX | VIRTIO_F_INDIRECT_DESC |
                                   VIRTIO_BLK_F_FLUSH_BIT;
        image_make(r->image);
        CHECK(rig_spawn(r));
        check_config(r);
        check_requests(r);
        check_codepage(r);
        run_some(r, 100);
        check_stop_start(r);
        rig_shutdown(r);
        image_verify(r->image);
        printf("cache=%s ok\n", modes[i]);
    }
}

/* The driver's choice of cache mode outlives the process. */
static void check_wce(struct rig *r)
{
    uint8_t wb;
    uint32_t off = offsetof(struct vblk_config, writeback);
    r->with_state = true;
    r->features |= VIRTIO_BLK_F_CONFIG_WCE_BIT;
    CHECK(rig_spawn(r));
    CHECK(r->fe.be_features & VIRTIO_BLK_F_CONFIG_WCE_BIT);
    CHECK(vu_frontend_config_read(&r->fe, off, &wb, 1) == 0 && wb == 1);
    wb = 0;
    CHECK(vu_frontend_config_write(&r->fe, off, &wb, 1) == 0);
    rig_kill(r);
    CHECK(rig_spawn(r));
    wb = 9;
    CHECK(vu_frontend_config_read(&r->fe, off, &wb, 1) == 0 && wb == 0);
    rig_shutdown(r);
    r->features &= ~VIRTIO_BLK_F_CONFIG_WCE_BIT;
    r->with_state = false;
}

/* A file system that refuses: an I/O error and an event, not a death. */
static void check_host_error(struct rig *r)
{
    image_make(r->image);
    r->fsize_limit = 8 * RIG_BLOCK;
    CHECK(rig_spawn(r));
    CHECK(rig_one(r, VBLK_OUT, 3, 1) == VBLK_S_OK);
    CHECK(rig_one(r, VBLK_OUT, 100, 1) == VBLK_S_IOERR);
    CHECK(rig_one(r, VBLK_OUT, 4, 1) == VBLK_S_OK);
    rig_events_read(r);
    CHECK(strstr(r->events, "BLOCK_IO_ERROR operation=write sector=800 reason=File too large"));
    rig_shutdown(r);
    r->fsize_limit = 0;
}

static void check_readonly(struct rig *r)
{
    image_make(r->image);
    r->readonly = true;
    CHECK(rig_spawn(r));
    CHECK(r->fe.be_features & VIRTIO_BLK_F_RO_BIT);
    CHECK(rig_one(r, VBLK_IN, 3, 1) == VBLK_S_OK);
    CHECK(rig_one(r, VBLK_OUT, 3, 1) == VBLK_S_IOERR);
    rig_shutdown(r);
    r->readonly = false;
}

/* An image that does not end at a sector's end: the rest reads as zeros. */
static void check_odd_size(struct rig *r, bool direct)
{
    image_make(r->image);
    CHECK(truncate(r->image, 7 * RIG_BLOCK + 4000) == 0);
    r->direct = direct;
    CHECK(rig_spawn(r));
    struct vblk_config c;
    CHECK(vu_frontend_config_read(&r->fe, 0, &c, sizeof(c)) == 0 && c.capacity == 64);
    CHECK(rig_one(r, VBLK_IN, 7, 0) == VBLK_S_OK);
    bool zero = false;
    for (unsigned s = 0; s < RIG_SLOTS; s++)
        zero |= rig_stamp_ok(rig_data(r, s), 0, 0);
    CHECK(zero);
    CHECK(rig_one(r, VBLK_IN, 8, 0) == VBLK_S_IOERR);
    rig_shutdown(r);
    r->direct = false;
}

/* A second user of the image is refused; a dying predecessor is waited for. */
static void check_locks(struct rig *r)
{
    int a = open(r->image, O_RDWR | O_CLOEXEC), b = open(r->image, O_RDWR | O_CLOEXEC);
    int ro = open(r->image, O_RDONLY | O_CLOEXEC), ro2 = open(r->image, O_RDONLY | O_CLOEXEC);
    CHECK(ipc_image_lock(a, true) == 0);
    CHECK(ipc_image_lock(b, true) == -EAGAIN && ipc_image_lock(ro, false) == -EAGAIN);
    CHECK(ipc_image_fence(b, 10) == 0); /* the user lock is not the fence */
    CHECK(ipc_image_fence(a, 10) == -EAGAIN);
    close(a);
    CHECK(ipc_image_lock(ro, false) == 0 && ipc_image_lock(ro2, false) == 0);
    CHECK(ipc_image_lock(b, true) == -EAGAIN);
    close(ro);
    close(ro2);
    pid_t holder = fork();
    if (holder == 0) { /* keeps the fence a while, like a process with I/O to finish */
        usleep(1500000);
        _exit(0);
    }
    close(b);
    uint64_t t0 = ipc_now_ns();
    r->events[0] = 0;
    CHECK(rig_spawn(r));
    CHECK(ipc_now_ns() - t0 > 1000000000ull && strstr(r->events, "FENCE_WAIT"));
    rig_shutdown(r);
    CHECK(waitpid(holder, NULL, 0) == holder);
}

static void scenario_errors(struct rig *r)
{
    check_wce(r);
    check_host_error(r);
    check_readonly(r);
    check_odd_size(r, false);
    check_odd_size(r, true);
    check_locks(r);
    printf("errors, odd sizes, locks ok\n");
}

/* ---- a hostile driver: the queue breaks, the process and its other work stay ---- */

static void post_raw(struct rig *r, const struct vring_desc_s *d, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        r->desc[i] = d[i];
    r->avail->ring[r->avail_idx % RIG_QSZ] = 0;
    __atomic_store_n(&r->avail->idx, ++r->avail_idx, __ATOMIC_SEQ_CST);
    ipc_eventfd_signal(r->kick);
}

/* The driver resets the device, as it is told to by NEEDS_RESET. */
static void driver_reset(struct rig *r)
{
    CHECK(vu_frontend_stop(&r->fe, true) == 0);
    rig_rings_clear(r);
    CHECK(vu_frontend_start(&r->fe) == 0);
}

static void scenario_hostile(struct rig *r)
{
    enum { W = VRING_DESC_WRITE, N = VRING_DESC_NEXT, BUF = 0x100000 };
    static const struct vring_desc_s bad[][3] = {
        {{BUF, 16, W, 0}},                                        /* no readable header */
        {{BUF, 16, 0, 0}},                                        /* no status byte */
        {{BUF, 15, N, 1}, {BUF, 1, W, 0}},                        /* header too short */
        {{BUF, 16, N, 1}, {RIG_RAM, 512, N | W, 2}, {BUF, 1, W, 0}}, /* outside memory */
        {{BUF, 16, N, 0}},                                        /* circular */
    };
    int err = ipc_eventfd_create();
    r->fe.q[0].err_fd = err;
    memset(r->ram + BUF, 0, 4096);
    CHECK(rig_spawn(r));
    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct pollfd pf = {.fd = err, .events = POLLIN};
        post_raw(r, bad[i], 3);
        CHECK(poll(&pf, 1, 5000) == 1 && ipc_eventfd_drain(err) > 0);
        struct vblk_config c; /* still serving */
        CHECK(vu_frontend_config_read(&r->fe, 0, &c, sizeof(c)) == 0);
        driver_reset(r);
        CHECK(rig_one(r, VBLK_OUT, 1, 5 + i) == VBLK_S_OK);
        version[1] = 5 + i;
    }
    /* A header that the driver keeps changing is read once: no read or write lands out of range. */
    for (unsigned i = 0; i < 200; i++) {
        unsigned slot = rig_submit(r, VBLK_OUT, i % BLOCKS, 0);
        volatile struct vblk_header *h = rig_header(r, slot);
        for (unsigned n = 0; r->inflight; n++) {
            h->sector = n & 1 ? ~0ull / 512 : (i % BLOCKS) * (RIG_BLOCK / 512);
            h->type = n & 2 ? VBLK_OUT : 77;
            CHECK(n < 100 || rig_wait(r, 1, NULL) >= 0);
            CHECK(n < 10000);
        }
        version[i % BLOCKS] = 0;
    }
    rig_shutdown(r);
    close(err);
    printf("hostile driver ok\n");
}

/* ---- another program's back end on an image of the same size, at SOCKET ---- */
static void scenario_foreign(struct rig *r, const char *path)
{
    CHECK(rig_attach(r, path));
    for (unsigned i = 0; i < 3; i++) {
        run_some(r, 200);
        CHECK(vu_frontend_stop(&r->fe, false) == 0);
        CHECK(vu_frontend_start(&r->fe) == 0);
    }
    CHECK(rig_one(r, VBLK_FLUSH, 0, 0) == VBLK_S_OK);
    CHECK(vu_frontend_stop(&r->fe, true) == 0);
    vu_frontend_disconnect(&r->fe);
    printf("foreign back end ok: %llu requests, %llu reads verified\n",
           (unsigned long long)completions, (unsigned long long)verified);
}

int main(int argc, char **argv)
{
    if (argc < 4) {
        fprintf(stderr, "usage: block-driver PROGRAM IMAGE basic|errors|hostile|kill|points [count]\n");
        return 2;
    }
    const char *s = argv[3], *seed = getenv("BLOCK_DRIVER_SEED");
    unsigned n = seed ? (unsigned)atoi(seed) : (unsigned)ipc_now_ns();
    printf("seed %u\n", n);
    fflush(stdout);
    srand(n);
    signal(SIGPIPE, SIG_IGN);
    rig_init(&rig, argv[1], argv[2]);
    if (getenv("BLOCK_DRIVER_SANDBOX"))
        rig.sandbox = (uint32_t)atoi(getenv("BLOCK_DRIVER_SANDBOX"));
    if (strcmp(s, "foreign"))
        image_make(argv[2]);
    if (!strcmp(s, "basic"))
        scenario_basic(&rig);
    else if (!strcmp(s, "errors"))
        scenario_errors(&rig);
    else if (!strcmp(s, "hostile"))
        scenario_hostile(&rig);
    else if (!strcmp(s, "foreign"))
        scenario_foreign(&rig, argv[1]);
    else if (!strcmp(s, "kill"))
        scenario_kill(&rig, argc > 4 ? (unsigned)atoi(argv[4]) : 50);
    else if (!strcmp(s, "points"))
        scenario_points(&rig);
    else
        return 2;
    if (strcmp(s, "errors") && strcmp(s, "hostile"))
        image_verify(argv[2]);
    if (strcmp(s, "foreign"))
        unlink(argv[2]);
    return 0;
}
