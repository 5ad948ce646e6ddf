/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a drive's options do in the running program: werror, detect-zeroes, snapshot, copy-on-read, rate limits, and the
 * vmm's orders resize, retry and throttle. Times are lower bounds only.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "ipc/loop.h"
#include "tests/proto/block-load.h"

static int last = -1;

static void note_done(struct rig *r, unsigned slot, uint8_t status)
{
    (void)r;
    (void)slot;
    last = status;
}

static void order(struct rig *r, Ctl__BlockControl__Kind kind, uint64_t size, const uint64_t *throttle)
{
    Ctl__BlockControl m = CTL__BLOCK_CONTROL__INIT;
    m.kind = kind;
    m.has_size = size != 0;
    m.size = size;
    m.throttle = (uint64_t *)(uintptr_t)throttle;
    m.n_throttle = throttle ? 13 : 0;
    CHECK(ctl_send(&r->ctl, CTL_BLOCK_CONTROL, &m, NULL, 0, 5000) == 0);
}

/* Until the event is there, at most 5 s. */
static void event_wait(struct rig *r, const char *what)
{
    struct timespec ms = {0, 1000000};
    for (unsigned i = 0; i < 5000 && !strstr(r->events, what); i++) {
        nanosleep(&ms, NULL);
        rig_events_read(r);
    }
    CHECK(strstr(r->events, what));
}

static void limit_lift(struct rig *r)
{
    struct rlimit lim = {RLIM_INFINITY, RLIM_INFINITY};
    CHECK(prlimit(r->pid, RLIMIT_FSIZE, &lim, NULL) == 0);
}

/* A write that fails waits for the user; after `cont` it has happened. A kill meanwhile loses nothing. */
static void check_stop(struct rig *r, bool die)
{
    image_make(r->image);
    CHECK(truncate(r->image, BLOCKS * RIG_BLOCK) == 0);
    r->werror = "stop";
    r->fsize_limit = 8 * RIG_BLOCK;
    r->events[0] = '\0';
    CHECK(rig_spawn(r));
    rig_submit(r, VBLK_OUT, 100, 5);
    event_wait(r, "BLOCK_IO_ERROR operation=write sector=800 action=stop");
    CHECK(rig_harvest(r, note_done) == 0); /* the guest has not been told anything */
    r->fsize_limit = 0;
    if (die) {
        rig_kill(r);
        CHECK(rig_spawn(r)); /* takes it up from the journal */
    } else {
        limit_lift(r);
        order(r, CTL__BLOCK_CONTROL__KIND__RETRY, 0, NULL);
    }
    last = -1;
    for (unsigned i = 0; i < 50 && last < 0; i++)
        CHECK(rig_wait(r, 100, note_done) >= 0);
    CHECK(last == VBLK_S_OK);
    CHECK(rig_one(r, VBLK_IN, 100, 5) == VBLK_S_OK);
    bool found = false;
    for (unsigned s = 0; s < RIG_SLOTS; s++)
        found |= rig_stamp_ok(rig_data(r, s), 100, 5);
    CHECK(found);
    rig_shutdown(r);
    r->werror = NULL;
}

static void check_ignore(struct rig *r)
{
    image_make(r->image);
    r->werror = "ignore";
    r->fsize_limit = 8 * RIG_BLOCK;
    CHECK(rig_spawn(r));
    CHECK(rig_one(r, VBLK_OUT, 100, 1) == VBLK_S_OK);
    rig_shutdown(r);
    r->werror = NULL;
    r->fsize_limit = 0;
}

static uint64_t blocks_of(const char *path)
{
    struct stat st;
    CHECK(stat(path, &st) == 0);
    return (uint64_t)st.st_blocks;
}

/* Eight blocks of data, then zeros over them: with detect-zeroes=unmap the file gives them back. */
static void check_zeroes(struct rig *r)
{
    image_make(r->image);
    uint64_t used[2];
    for (unsigned pass = 0; pass < 2; pass++) {
        r->detect = pass ? "unmap" : "off";
        r->discard = true;
        CHECK(rig_spawn(r));
        for (uint64_t b = 0; b < 8; b++)
            CHECK(rig_one(r, VBLK_OUT, b, 9) == VBLK_S_OK);
        CHECK(rig_one(r, VBLK_FLUSH, 0, 0) == VBLK_S_OK);
        for (uint64_t b = 0; b < 8; b++)
            CHECK(rig_one(r, VBLK_OUT, b, 0) == VBLK_S_OK);
        rig_shutdown(r);
        used[pass] = blocks_of(r->image);
    }
    CHECK(used[1] + 8 * RIG_BLOCK / 512 <= used[0]);
    r->detect = NULL;
    r->discard = false;
}

/* What is written over the image is there until the end, a death in between included; the image keeps what it had. */
static void check_snapshot(struct rig *r)
{
    char temp[512];
    const char *image = r->image;
    image_make(image);
    CHECK(rig_spawn(r));
    CHECK(rig_one(r, VBLK_OUT, 7, 1) == VBLK_S_OK);
    rig_shutdown(r);
    snprintf(temp, sizeof(temp), "%s.tmp", image);
    int fd = open(temp, O_RDWR | O_CREAT | O_TRUNC, 0600);
    CHECK(fd >= 0);
    close(fd);
    r->base = image;
    r->image = temp;
    r->format = "qcow2";
    r->snapshot = true;
    CHECK(rig_spawn(r));
    CHECK(rig_one(r, VBLK_OUT, 7, 2) == VBLK_S_OK && rig_one(r, VBLK_OUT, 9, 3) == VBLK_S_OK);
    rig_kill(r);
    CHECK(rig_spawn(r));
    CHECK(rig_one(r, VBLK_IN, 7, 2) == VBLK_S_OK);
    bool found = false;
    for (unsigned s = 0; s < RIG_SLOTS; s++)
        found |= rig_stamp_ok(rig_data(r, s), 7, 2);
    CHECK(found);
    rig_shutdown(r);
    r->base = r->format = NULL;
    r->snapshot = false;
    r->image = image;
    unlink(temp);
    CHECK(rig_spawn(r));
    CHECK(rig_one(r, VBLK_IN, 7, 1) == VBLK_S_OK);
    found = false;
    for (unsigned s = 0; s < RIG_SLOTS; s++)
        found |= rig_stamp_ok(rig_data(r, s), 7, 1);
    CHECK(found);
    rig_shutdown(r);
}

/* After a read the cluster is in the overlay: the base can lose it. */
static void check_copy_on_read(struct rig *r)
{
    char top[512], command[1200];
    const char *image = r->image;
    image_make(image);
    CHECK(rig_spawn(r));
    CHECK(rig_one(r, VBLK_OUT, 7, 1) == VBLK_S_OK);
    rig_shutdown(r);
    snprintf(top, sizeof(top), "%s.top", image);
    snprintf(command, sizeof(command), "%.*s/bulkhead-img create -q -f qcow2 -b %s -F raw %s",
             (int)(strrchr(r->program, '/') - r->program), r->program, image, top);
    CHECK(system(command) == 0);
    r->base = image;
    r->image = top;
    r->format = "qcow2";
    for (unsigned pass = 0; pass < 2; pass++) {
        r->copy_on_read = pass == 0;
        CHECK(rig_spawn(r));
        CHECK(rig_one(r, VBLK_IN, 7, 1) == VBLK_S_OK);
        bool found = false;
        for (unsigned s = 0; s < RIG_SLOTS; s++)
            found |= rig_stamp_ok(rig_data(r, s), 7, 1);
        CHECK(found);
        rig_shutdown(r);
        CHECK(truncate(image, 0) == 0 && truncate(image, BLOCKS * RIG_BLOCK) == 0);
    }
    r->base = r->format = NULL;
    r->image = image;
    unlink(top);
}

static void check_throttle(struct rig *r)
{
    static const uint64_t iops[13] = {[6] = 50}, none[13];
    image_make(r->image);
    r->throttle = iops;
    CHECK(rig_spawn(r));
    uint64_t t0 = ipc_now_ns();
    for (unsigned i = 0; i < 16; i++) /* five fit into the bucket, the others wait 20 ms each */
        CHECK(rig_one(r, VBLK_IN, i, 0) == VBLK_S_OK);
    CHECK(ipc_now_ns() - t0 >= 150000000ull);
    for (unsigned i = 0; i < 12; i++)
        rig_submit(r, VBLK_IN, i, 0);
    order(r, CTL__BLOCK_CONTROL__KIND__THROTTLE, 0, none);
    for (unsigned i = 0; i < 100 && r->inflight; i++)
        CHECK(rig_wait(r, 100, note_done) >= 0);
    CHECK(r->inflight == 0);
    rig_shutdown(r);
    r->throttle = NULL;
}

static void check_resize(struct rig *r)
{
    struct vblk_config c = {0};
    struct timespec ms = {0, 1000000};
    uint64_t bytes = (BLOCKS + 256) * (uint64_t)RIG_BLOCK;
    image_make(r->image);
    CHECK(rig_spawn(r));
    CHECK(rig_one(r, VBLK_OUT, BLOCKS + 3, 1) == VBLK_S_IOERR);
    order(r, CTL__BLOCK_CONTROL__KIND__RESIZE, bytes, NULL);
    for (unsigned i = 0; i < 5000 && c.capacity != bytes / 512; i++) {
        nanosleep(&ms, NULL);
        CHECK(vu_frontend_config_read(&r->fe, 0, &c, sizeof(c)) == 0);
    }
    CHECK(c.capacity == bytes / 512);
    CHECK(rig_one(r, VBLK_OUT, BLOCKS + 3, 1) == VBLK_S_OK);
    rig_shutdown(r);
}

void scenario_options(struct rig *r)
{
    check_stop(r, false);
    check_stop(r, true);
    printf("werror=stop ok\n");
    check_ignore(r);
    check_zeroes(r);
    check_snapshot(r);
    check_copy_on_read(r);
    printf("ignore, detect-zeroes, snapshot, copy-on-read ok\n");
    check_throttle(r);
    check_resize(r);
    printf("throttle, resize ok\n");
}
