/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every request type in every cache mode, configuration, code-page coherence, host errors, odd image
 * sizes, locks and the fence.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "ipc/abi/codepage.h"
#include "ipc/imagelock.h"
#include "ipc/loop.h"
#include "tests/proto/block-load.h"

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

void scenario_basic(struct rig *r)
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
    CHECK(strstr(r->events, "BLOCK_IO_ERROR operation=write sector=800 action=report reason=File too large"));
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

void scenario_errors(struct rig *r)
{
    check_wce(r);
    check_host_error(r);
    check_readonly(r);
    check_odd_size(r, false);
    check_odd_size(r, true);
    check_locks(r);
    printf("errors, odd sizes, locks ok\n");
}
