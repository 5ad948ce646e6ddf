/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hostile driver in front of bulkhead-block: the queue breaks and says so, the process goes on serving,
 * and a reset makes the device whole again.
 */
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "ipc/fds.h"
#include "tests/proto/block-load.h"

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

void scenario_hostile(struct rig *r)
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
