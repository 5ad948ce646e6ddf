/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bulkhead-block under test: every request type, errors, cache modes, and death: kill -9 at random moments
 * and at each crash point with eight requests in flight. Nothing may be lost, stale or failed.
 * usage: block-driver PROGRAM IMAGE basic|errors|hostile|kill|points [count]
 *        block-driver SOCKET IMAGE foreign      (our front end with another program's back end)
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "ipc/loop.h"
#include "tests/proto/block-load.h"
#include "vhost-user/vq.h"

static struct rig rig;

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
    else if (!strcmp(s, "options"))
        scenario_options(&rig);
    else if (!strcmp(s, "foreign"))
        scenario_foreign(&rig, argv[1]);
    else if (!strcmp(s, "kill"))
        scenario_kill(&rig, argc > 4 ? (unsigned)atoi(argv[4]) : 50);
    else if (!strcmp(s, "points"))
        scenario_points(&rig);
    else
        return 2;
    if (strcmp(s, "errors") && strcmp(s, "hostile") && strcmp(s, "options"))
        image_verify(argv[2]);
    if (strcmp(s, "foreign"))
        unlink(argv[2]);
    return 0;
}
