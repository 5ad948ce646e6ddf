/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Front end and back end of this tree against each other over a socket pair, the back end in a thread
 * with a device that echoes; then the front end against back ends that lie, and the back end against a
 * front end that does.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>
#include "ipc/fds.h"
#include "ipc/memfd.h"
#include "tests/unit/vhost-user/ring-rig.h"
#include "vhost-user/vu-backend-internal.h"
#include "vhost-user/vu-frontend-internal.h"

#define RAM (4u << 20)
#define NUM 16u

static uint8_t *ram;
static int ram_fd;

/* ---- the device: completes each chain at once; counts what it was told ---- */
struct echo {
    struct ipc_loop loop;
    struct vu_backend be;
    struct vu_device_ops ops;
    int quit_fd;
    pthread_t thread;
    unsigned starts, stops, kicks, closed, resets, processed;
    bool hold; /* do not process: chains stay where they are */
    uint64_t features;
};

static void echo_process(struct echo *d, struct vq *vq)
{
    static struct vq_elem e;
    while (!d->hold && vq_pop(vq, &e) == 1) {
        vq_push(vq, &e, 4);
        d->processed++;
    }
    vq_notify(vq);
}
static void echo_start(void *o, struct vq *vq)
{
    ((struct echo *)o)->starts++;
    echo_process(o, vq);
}
static void echo_stop(void *o, struct vq *vq)
{
    (void)vq;
    ((struct echo *)o)->stops++;
}
static void echo_kick(void *o, struct vq *vq)
{
    ((struct echo *)o)->kicks++;
    echo_process(o, vq);
}
static void echo_closed(void *o)
{
    ((struct echo *)o)->closed++;
}
static void echo_reset(void *o)
{
    ((struct echo *)o)->resets++;
}
static void echo_features(void *o, uint64_t f)
{
    ((struct echo *)o)->features = f;
}
static int echo_config(void *o, uint32_t off, uint32_t size, uint8_t *out)
{
    (void)o;
    if (off + size > 64)
        return -EINVAL;
    for (uint32_t i = 0; i < size; i++)
        out[i] = (uint8_t)(off + i);
    return 0;
}
static void on_quit(void *o, int fd, uint32_t ev)
{
    (void)fd, (void)ev;
    ((struct echo *)o)->loop.quit = true;
}
static void *echo_main(void *o)
{
    ipc_loop_run(&((struct echo *)o)->loop);
    return NULL;
}

static void echo_begin(struct echo *d, int sock, bool inflight)
{
    memset(d, 0, sizeof(*d));
    d->ops = (struct vu_device_ops){.queues = 2, .inflight = inflight, .config_get = echo_config,
                                    .features_set = echo_features, .queue_start = echo_start,
                                    .queue_stop = echo_stop, .kick = echo_kick,
                                    .closed = echo_closed, .reset = echo_reset};
    CHECK(ipc_loop_init(&d->loop) == 0);
    d->quit_fd = ipc_eventfd_create();
    CHECK(ipc_loop_add(&d->loop, d->quit_fd, EPOLLIN, on_quit, d) == 0);
    CHECK(vu_backend_init(&d->be, &d->loop, sock, &d->ops, d) == 0);
    CHECK(pthread_create(&d->thread, NULL, echo_main, d) == 0);
}

static void echo_end(struct echo *d)
{
    ipc_eventfd_signal(d->quit_fd);
    pthread_join(d->thread, NULL);
    vu_backend_fini(&d->be);
    ipc_loop_fini(&d->loop);
    close(d->quit_fd);
}

/* ---- the front end's side ---- */
static struct vu_frontend fe;
static struct vring_avail_s *avail;
static struct vring_used_s *used;

static void *to_hva(void *o, uint64_t gpa, uint64_t len)
{
    (void)o;
    return gpa + len <= RAM ? ram + gpa : NULL;
}

static void fe_make(void)
{
    struct vu_fe_region reg = {0, RAM, 0, ram_fd};
    vu_frontend_init(&fe, "echo", 2);
    vu_frontend_set_memory(&fe, &reg, 1, to_hva, NULL);
    fe.timeout_ms = 1000;
    memset(ram, 0, 0x10000);
    for (unsigned i = 0; i < 2; i++) {
        uint64_t base = 0x1000 + i * 0x4000;
        fe.q[i] = (struct vu_fe_queue){.enabled = i == 0, .size = NUM, .desc_gpa = base,
                                       .avail_gpa = base + 0x1000, .used_gpa = base + 0x2000,
                                       .kick_fd = ipc_eventfd_create(),
                                       .call_fd = ipc_eventfd_create(), .err_fd = -1};
    }
    avail = (void *)(ram + fe.q[0].avail_gpa);
    used = (void *)(ram + fe.q[0].used_gpa);
    struct vring_desc_s *d = (void *)(ram + fe.q[0].desc_gpa);
    for (unsigned i = 0; i < NUM; i++)
        d[i] = (struct vring_desc_s){0x20000 + i * 64, 8, VRING_DESC_WRITE, 0};
}

static void fe_drop(void)
{
    vu_frontend_stop(&fe, true);
    vu_frontend_disconnect(&fe);
    for (unsigned i = 0; i < 2; i++) {
        close(fe.q[i].kick_fd);
        close(fe.q[i].call_fd);
    }
}

static void post(uint16_t n, bool kick)
{
    for (; n; n--) {
        avail->ring[avail->idx % NUM] = avail->idx % NUM;
        __atomic_store_n(&avail->idx, (uint16_t)(avail->idx + 1), __ATOMIC_SEQ_CST);
    }
    if (kick)
        ipc_eventfd_signal(fe.q[0].kick_fd);
}

static bool wait_used(uint16_t want)
{
    uint64_t end = ipc_now_ns() + 3000000000ull;
    while (ipc_now_ns() < end) {
        struct pollfd pf = {.fd = fe.q[0].call_fd, .events = POLLIN};
        if (__atomic_load_n(&used->idx, __ATOMIC_ACQUIRE) == want)
            return true;
        poll(&pf, 1, 5);
        ipc_eventfd_drain(fe.q[0].call_fd);
    }
    return false;
}

static bool called(void)
{
    struct pollfd pf = {.fd = fe.q[0].call_fd, .events = POLLIN};
    return poll(&pf, 1, 2000) == 1 && ipc_eventfd_drain(fe.q[0].call_fd) > 0;
}

static int connect_pair(struct echo *d, bool inflight)
{
    int sv[2];
    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) == 0);
    echo_begin(d, sv[1], inflight);
    return vu_frontend_connect(&fe, sv[0]);
}

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
    CHECK(!wait_used(7) && used->idx == 5);
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

/* ---- back ends that lie ---- */
enum lie { L_SILENT, L_HANGUP, L_WRONG_ID, L_NO_REPLY_BIT, L_HUGE, L_FDS, L_DRIP, L_STORM, LIES };

static void lie_reply(int sock, const struct vu_msg *req, enum lie how)
{
    struct vu_msg m = {.h = {req->h.request, VU_FLAG_VERSION | VU_FLAG_REPLY, 8}};
    if (how == L_WRONG_ID)
        m.h.request++;
    if (how == L_NO_REPLY_BIT)
        m.h.flags = VU_FLAG_VERSION;
    if (how == L_FDS) {
        m.nfds = 8;
        for (unsigned i = 0; i < 8; i++)
            m.fds[i] = 0;
    }
    if (how == L_HUGE) {
        m.h.size = 0xffffffff;
        CHECK(send(sock, &m.h, sizeof(m.h), MSG_NOSIGNAL) == sizeof(m.h));
    } else if (how == L_DRIP) {
        CHECK(send(sock, &m.h, 1, MSG_NOSIGNAL) == 1);
    } else if (how != L_SILENT) {
        vu_msg_send(sock, &m, 100);
    }
}

struct liar {
    int sock;
    enum lie how;
    pthread_t thread;
};

static void *liar_main(void *o)
{
    struct liar *l = o;
    struct vu_msg m;
    if (vu_msg_recv(l->sock, &m, 2000) == 0 && l->how != L_HANGUP)
        lie_reply(l->sock, &m, l->how);
    if (l->how != L_HANGUP) {
        struct pollfd pf = {.fd = l->sock, .events = POLLIN};
        poll(&pf, 1, 2000); /* until the front end gives up */
    }
    close(l->sock);
    return NULL;
}

static void test_liars(void)
{
    for (unsigned how = 0; how < L_STORM; how++) {
        int sv[2];
        fe_make();
        fe.timeout_ms = 100;
        CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) == 0);
        struct liar l = {.sock = sv[1], .how = (enum lie)how};
        CHECK(pthread_create(&l.thread, NULL, liar_main, &l) == 0);
        uint64_t t = ipc_now_ns();
        int r = vu_frontend_connect(&fe, sv[0]);
        CHECK(r < 0 && fe.fd == -1 && ipc_now_ns() - t < 1000000000ull);
        CHECK(how != L_SILENT || r == -ETIMEDOUT);
        pthread_join(l.thread, NULL);
        fe_drop();
    }
}

/* A storm of requests instead of a reply ends at a limit, not at the deadline. */
static void test_storm(void)
{
    static struct echo d;
    int sv[2];
    struct vu_msg m;
    uint8_t b;
    fe_make();
    CHECK(connect_pair(&d, false) == 0);
    close(fe.req_fd);
    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, sv) == 0);
    fe.req_fd = sv[0];
    vu_msg_init(&m, VU_BE_CONFIG_CHANGE, 0);
    for (unsigned i = 0; i < 100; i++)
        CHECK(vu_msg_send(sv[1], &m, 0) == 0);
    close(fe.fd); /* nobody will answer */
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, sv) == 0);
    fe.fd = sv[0];
    CHECK(vu_frontend_config_read(&fe, 0, &b, 1) == -EPROTO && fe.config_pending);
    fe_drop();
    echo_end(&d);
}

/* ---- front ends that lie: the back end drops them and says so ---- */
static bool dropped(uint32_t request, uint32_t size, const void *payload, unsigned nfds)
{
    static struct echo d;
    int sv[2];
    struct vu_msg m;
    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) == 0);
    echo_begin(&d, sv[1], true);
    vu_msg_init(&m, VU_SET_OWNER, 0);
    CHECK(vu_msg_send(sv[0], &m, 100) == 0);
    vu_msg_init(&m, request, size);
    memcpy(&m.p, payload, size);
    for (m.nfds = 0; m.nfds < nfds; m.nfds++)
        m.fds[m.nfds] = ram_fd;
    CHECK(vu_msg_send(sv[0], &m, 100) == 0);
    vu_msg_init(&m, VU_GET_FEATURES, 0);
    vu_msg_send(sv[0], &m, 100);
    int r = vu_msg_recv(sv[0], &m, 2000);
    if (r == 0)
        vu_msg_close_fds(&m);
    close(sv[0]);
    echo_end(&d);
    CHECK(r == 0 || r == -EPIPE);
    return r == -EPIPE;
}

static void test_bad_front_ends(void)
{
    struct vu_payload_state idx = {2, 1}, en = {0, 2};
    uint64_t features = ~0ull, kick = 0, kick9 = 9 | VU_VRING_NOFD;
    struct vu_payload_mem overlap = {2, 0, {{0, 8192, 0, 0}, {4096, 8192, 0x10000, 0}}};
    struct vu_payload_mem beyond = {1, 0, {{0, RAM + 4096, 0, 0}}};
    struct vu_payload_mem wrap = {1, 0, {{~0ull - 100, 8192, 0, 0}}};
    struct vu_payload_mem count = {9, 0, {{0, 4096, 0, 0}}};
    struct vu_payload_mem good = {1, 0, {{0, RAM, 0, 0}}};
    struct vu_payload_inflight many = {1u << 20, 0, 9, 16, 0}, small = {64, 0, 1, 16, 0};
    struct vu_payload_inflight off = {4096, ~0ull - 4095, 1, 16, 0}, fine = {4096, 0, 1, 16, 0};
    CHECK(dropped(VU_SET_VRING_NUM, 8, &idx, 0));
    CHECK(dropped(VU_GET_VRING_BASE, 8, &idx, 0));
    CHECK(dropped(VU_SET_VRING_ENABLE, 8, &en, 0));
    CHECK(dropped(VU_SET_FEATURES, 8, &features, 0));
    CHECK(dropped(VU_SET_VRING_KICK, 8, &kick, 0));
    CHECK(dropped(VU_SET_VRING_CALL, 8, &kick9, 0));
    CHECK(dropped(VU_SET_MEM_TABLE, 8 + 64, &overlap, 2));
    CHECK(dropped(VU_SET_MEM_TABLE, 8 + 32, &beyond, 1));
    CHECK(dropped(VU_SET_MEM_TABLE, 8 + 32, &wrap, 1));
    CHECK(dropped(VU_SET_MEM_TABLE, 8 + 32, &count, 1));
    CHECK(dropped(VU_SET_MEM_TABLE, 8 + 32, &good, 2));
    CHECK(!dropped(VU_SET_MEM_TABLE, 8 + 32, &good, 1));
    CHECK(dropped(VU_SET_INFLIGHT_FD, 24, &many, 1));
    CHECK(dropped(VU_SET_INFLIGHT_FD, 24, &small, 1));
    CHECK(dropped(VU_SET_INFLIGHT_FD, 24, &off, 1));
    CHECK(dropped(VU_SET_INFLIGHT_FD, 24, &fine, 0));
    CHECK(!dropped(VU_SET_INFLIGHT_FD, 24, &fine, 1));
    CHECK(!dropped(VU_SET_INFLIGHT_FD, 20, &fine, 1));
    CHECK(dropped(63, 0, &kick, 0));
    CHECK(dropped(5000, 0, &kick, 0));
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
    CHECK(!wait_used(3) && ipc_eventfd_drain(err) > 0);
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
    signal(SIGPIPE, SIG_IGN);
    ipc_log_set_level(IPC_LOG_ERROR);
    ram_fd = ipc_memfd_create("ram", RAM, IPC_SEALS_SIZE);
    CHECK(ram_fd >= 0);
    ram = mmap(NULL, RAM, PROT_READ | PROT_WRITE, MAP_SHARED, ram_fd, 0);
    CHECK(ram != MAP_FAILED);
    test_life(false);
    test_life(true);
    test_restart(false);
    test_restart(true);
    test_config_change();
    test_liars();
    test_storm();
    test_bad_front_ends();
    test_memory_change();
    test_no_bit30();
    return 0;
}
