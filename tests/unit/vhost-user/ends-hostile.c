/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The front end against back ends that lie, stay silent or flood it; the back end against front ends that
 * break the protocol. Oracle: an error within the deadline, or the connection dropped, and nothing else.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "tests/unit/vhost-user/ends-rig.h"

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

int main(void)
{
    ends_init();
    test_liars();
    test_storm();
    test_bad_front_ends();
    return 0;
}
