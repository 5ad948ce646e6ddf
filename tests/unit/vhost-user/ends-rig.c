/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See ends-rig.h.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>
#include "ipc/fds.h"
#include "ipc/memfd.h"
#include "tests/unit/vhost-user/ends-rig.h"

uint8_t *ram;
int ram_fd;

static void echo_process(struct echo *d, struct vq *vq)
{
    static struct vq_elem e;
    unsigned before = d->processed;
    while (vq_pop(vq, &e) == 1) {
        vq_push(vq, &e, 4);
        d->processed++;
    }
    if (d->processed != before)
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

void echo_begin(struct echo *d, int sock, bool inflight)
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

void echo_end(struct echo *d)
{
    ipc_eventfd_signal(d->quit_fd);
    pthread_join(d->thread, NULL);
    vu_backend_fini(&d->be);
    ipc_loop_fini(&d->loop);
    close(d->quit_fd);
}

/* ---- the front end's side ---- */
struct vu_frontend fe;
struct vring_avail_s *avail;
struct vring_used_s *used;

static void *to_hva(void *o, uint64_t gpa, uint64_t len)
{
    (void)o;
    return gpa + len <= RAM ? ram + gpa : NULL;
}

void fe_make(void)
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

void fe_drop(void)
{
    vu_frontend_stop(&fe, true);
    vu_frontend_disconnect(&fe);
    for (unsigned i = 0; i < 2; i++) {
        close(fe.q[i].kick_fd);
        close(fe.q[i].call_fd);
    }
}

void post(uint16_t n, bool kick)
{
    for (; n; n--) {
        avail->ring[avail->idx % NUM] = avail->idx % NUM;
        __atomic_store_n(&avail->idx, (uint16_t)(avail->idx + 1), __ATOMIC_SEQ_CST);
    }
    if (kick)
        ipc_eventfd_signal(fe.q[0].kick_fd);
}

bool wait_used(uint16_t want)
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

bool stays_at(uint16_t idx)
{
    uint64_t end = ipc_now_ns() + 100000000ull;
    while (ipc_now_ns() < end) {
        struct pollfd pf = {.fd = fe.q[0].call_fd, .events = POLLIN};
        poll(&pf, 1, 10);
        ipc_eventfd_drain(fe.q[0].call_fd);
    }
    return __atomic_load_n(&used->idx, __ATOMIC_ACQUIRE) == idx;
}

bool called(void)
{
    struct pollfd pf = {.fd = fe.q[0].call_fd, .events = POLLIN};
    return poll(&pf, 1, 2000) == 1 && ipc_eventfd_drain(fe.q[0].call_fd) > 0;
}

int connect_pair(struct echo *d, bool inflight)
{
    int sv[2];
    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) == 0);
    echo_begin(d, sv[1], inflight);
    return vu_frontend_connect(&fe, sv[0]);
}

void ends_init(void)
{
    signal(SIGPIPE, SIG_IGN);
    ipc_log_set_level(IPC_LOG_ERROR);
    ram_fd = ipc_memfd_create("ram", RAM, IPC_SEALS_SIZE);
    CHECK(ram_fd >= 0);
    ram = mmap(NULL, RAM, PROT_READ | PROT_WRITE, MAP_SHARED, ram_fd, 0);
    CHECK(ram != MAP_FAILED);
}
