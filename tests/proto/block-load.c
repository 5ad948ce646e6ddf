/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random verified requests and the model they are compared with: see block-load.h.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "ipc/loop.h"
#include "tests/proto/block-load.h"

uint64_t version[BLOCKS];
static bool busy[BLOCKS];
static uint64_t next_version = 1;
uint64_t completions, verified, last_done_ns;

void image_make(const char *path)
{
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    CHECK(fd >= 0 && ftruncate(fd, (off_t)BLOCKS * RIG_BLOCK) == 0);
    close(fd);
    memset(version, 0, sizeof(version));
    memset(busy, 0, sizeof(busy));
}

void image_verify(const char *path)
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

void submit_random(struct rig *r)
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

void check_progress(struct rig *r)
{
    if (ipc_now_ns() < last_done_ns + 15000000000ull || !r->inflight)
        return;
    fprintf(stderr, "FAILED: %u requests in flight, none completed for 15 s\n", r->inflight);
    exit(1);
}

bool load(struct rig *r, uint64_t deadline)
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

void drain(struct rig *r)
{
    while (r->inflight) {
        CHECK(rig_wait(r, 1000, on_done) >= 0);
        check_progress(r);
    }
}

void run_some(struct rig *r, unsigned ms)
{
    last_done_ns = ipc_now_ns();
    CHECK(load(r, ipc_now_ns() + ms * 1000000ull));
    drain(r);
}
