/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Front end and back end of this tree against each other: life of a ring, restart with a lost kick and a
 * lost call, configuration changes, memory taken away, front ends without protocol features.
 */
#include <errno.h>
#include <poll.h>
#include <unistd.h>
#include "ipc/fds.h"
#include "tests/unit/vhost-user/ends-rig.h"

static void test_life(bool inflight)
{
    static struct echo d;
    uint8_t config[16];
    fe_make();
    CHECK(connect_pair(&d, inflight) == 0);
    CHECK((fe.be_features & VIRTIO_F_VERSION_1) && !(fe.be_features & VHOST_USER_F_PROTOCOL));
    CHECK(fe.max_queues == 2);
    CHECK(vu_frontend_config_read(&fe, 8, config, 16) == 0 && config[0] == 8);
    CHECK(vu_frontend_config_read(&fe, 60, config, 16) == -ENXIO);
    CHECK(vu_frontend_config_write(&fe, 0, config, 4) == 0);
    fe.acked = VIRTIO_F_VERSION_1;
    /* Chains posted before the start and never kicked are processed all the same. */
    post(3, false);
    fe.q[0].kick_fd = -1; /* and without any kick descriptor the ring is polled */
    int kick = ipc_eventfd_create();
    CHECK(vu_frontend_start(&fe) == 0 && wait_used(3));
    CHECK((fe.inflight_fd >= 0) == inflight);
    post(2, false);
    CHECK(wait_used(5));
    CHECK(vu_frontend_stop(&fe, false) == 0 && fe.q[0].base == 5);
    post(2, false); /* stopped: nothing moves */
    CHECK(stays_at(5));
    fe.q[0].kick_fd = kick;
    CHECK(vu_frontend_start(&fe) == 0 && wait_used(7));
    CHECK(d.features == VIRTIO_F_VERSION_1 && d.starts == 2 && d.stops == 1);
    /* Regression: a late notify after GET_VRING_BASE must find no descriptors. */
    CHECK(vu_frontend_stop(&fe, true) == 0 && fe.inflight_fd < 0 && fe.q[0].base == 0);
    CHECK(d.be.vq[0].kick_fd == -1 && d.be.vq[0].call_fd == -1 && !d.be.vq[0].avail);
    CHECK(vu_frontend_config_read(&fe, 8, config, 16) == 0); /* everything before it is done */
    CHECK(d.resets == 1);
    fe_drop();
    echo_end(&d);
}

/* The back end dies between used index and call, and between kick and processing. */
static void test_restart(bool inflight)
{
    static struct echo d;
    fe_make();
    CHECK(connect_pair(&d, inflight) == 0);
    fe.acked = VIRTIO_F_VERSION_1 | VIRTIO_F_EVENT_IDX;
    CHECK(vu_frontend_start(&fe) == 0);
    post(4, true);
    CHECK(wait_used(4));
    /* Death. */
    vu_frontend_disconnect(&fe);
    echo_end(&d);
    post(1, true);
    ipc_eventfd_drain(fe.q[0].kick_fd); /* the dead one took the kick along */
    ipc_eventfd_drain(fe.q[0].call_fd);
    CHECK(connect_pair(&d, inflight) == 0 && vu_frontend_start(&fe) == 0);
    CHECK(called() && wait_used(5));
    CHECK(d.processed == 1); /* nothing was done twice */
    fe_drop();
    echo_end(&d);
    /* A successor that offers less than the driver uses is refused. */
    fe_make();
    fe.acked = VIRTIO_F_VERSION_1 | 1ull << 50;
    CHECK(connect_pair(&d, inflight) == -ENOTSUP && fe.fd == -1);
    fe_drop();
    echo_end(&d);
}

/* The front end serves the back end's requests while it waits for a reply. */
static void test_config_change(void)
{
    static struct echo d;
    bool changed;
    fe_make();
    CHECK(connect_pair(&d, false) == 0);
    CHECK(vu_frontend_request_fd(&fe) >= 0);
    uint8_t b;
    CHECK(vu_frontend_config_read(&fe, 0, &b, 1) == 0);
    vu_backend_config_changed(&d.be);
    struct pollfd pf = {.fd = vu_frontend_request_fd(&fe), .events = POLLIN};
    CHECK(poll(&pf, 1, 2000) == 1);
    CHECK(vu_frontend_request_serve(&fe, &changed) == 0 && changed);
    CHECK(vu_frontend_request_serve(&fe, &changed) == 0 && !changed);
    fe_drop();
    echo_end(&d);
}

/* Memory taken away under a running ring: the device is paused, and the ring breaks cleanly. */
static void test_memory_change(void)
{
    static struct echo d;
    struct vu_msg m;
    fe_make();
    CHECK(connect_pair(&d, false) == 0);
    int err = ipc_eventfd_create();
    fe.q[0].err_fd = err;
    fe.acked = VIRTIO_F_VERSION_1;
    CHECK(vu_frontend_start(&fe) == 0);
    CHECK(called()); /* at each ring start, whoever asked for it: a predecessor's may be lost */
    post(1, true);
    CHECK(wait_used(1));
    /* The same table again: work goes on. */
    struct vu_payload_region r = {0, RAM, VU_FE_UVA_BASE, 0};
    vu_msg_init(&m, VU_SET_MEM_TABLE, 8 + 32);
    m.p.mem.n = 1;
    m.p.mem.r[0] = r;
    m.fds[0] = ram_fd;
    m.nfds = 1;
    CHECK(vu_fe_send_acked(&fe, &m) == 0 && d.stops == 1 && d.starts == 2);
    post(1, true);
    CHECK(wait_used(2));
    vu_msg_init(&m, VU_REM_MEM_REG, sizeof(m.p.slot));
    m.p.slot.r = r;
    m.p.slot.r.mmap_off = 4096; /* ignored by the specification */
    CHECK(vu_fe_send_acked(&fe, &m) == 0);
    post(1, true);
    CHECK(stays_at(2) && ipc_eventfd_drain(err) > 0);
    vu_msg_init(&m, VU_ADD_MEM_REG, sizeof(m.p.slot));
    m.p.slot.r = r;
    m.fds[0] = ram_fd;
    m.nfds = 1;
    CHECK(vu_fe_send_acked(&fe, &m) == 0);
    fe.q[0].err_fd = -1;
    close(err);
    fe_drop();
    echo_end(&d);
}

/* A front end that does not acknowledge bit 30 never enables rings: they run once kicked off. */
static void test_no_bit30(void)
{
    static struct echo d;
    struct vu_msg m;
    fe_make();
    CHECK(connect_pair(&d, false) == 0);
    fe.acked = 0;
    fe.be_proto = 0;
    post(2, false);
    CHECK(vu_frontend_start(&fe) == 0 && wait_used(2) && called());
    /* SET_VRING_KICK on a live ring exchanges the descriptor and does not stop it. */
    vu_msg_init(&m, VU_SET_VRING_KICK, 8);
    m.fds[0] = fe.q[0].kick_fd;
    m.nfds = 1;
    post(1, false);
    CHECK(vu_fe_send(&fe, &m) == 0 && wait_used(3));
    post(1, true);
    CHECK(wait_used(4));
    fe_drop();
    echo_end(&d);
}

int main(void)
{
    ends_init();
    test_life(false);
    test_life(true);
    test_restart(false);
    test_restart(true);
    test_config_change();
    test_memory_change();
    test_no_bit30();
    return 0;
}
