/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The message codec against broken peers: sizes, versions, descriptors, slowness. Oracle: the right
 * error, within the deadline, and no descriptor left open.
 */
#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "ipc/loop.h"
#include "tests/unit/vhost-user/ring-rig.h"
#include "vhost-user/vu-msg.h"

static int sv[2];

static unsigned open_fds(void)
{
    unsigned n = 0;
    DIR *d = opendir("/proc/self/fd");
    CHECK(d);
    while (readdir(d))
        n++;
    closedir(d);
    return n;
}

static void raw_send(const void *buf, size_t len, unsigned nfds)
{
    union {
        char b[CMSG_SPACE(64 * sizeof(int))];
        struct cmsghdr align;
    } control = {0};
    struct iovec iov = {(void *)(uintptr_t)buf, len};
    struct msghdr mh = {.msg_iov = &iov, .msg_iovlen = 1};
    if (nfds) {
        mh.msg_control = &control;
        mh.msg_controllen = CMSG_SPACE(nfds * sizeof(int));
        struct cmsghdr *c = CMSG_FIRSTHDR(&mh);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(nfds * sizeof(int));
        for (unsigned i = 0; i < nfds; i++)
            ((int *)(void *)CMSG_DATA(c))[i] = 0;
    }
    CHECK(sendmsg(sv[0], &mh, 0) == (ssize_t)len);
}

static int recv_one(struct vu_msg *m)
{
    return vu_msg_recv(sv[1], m, 100);
}

static void pair(void)
{
    if (sv[0])
        close(sv[0]), close(sv[1]);
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, sv) == 0);
}

static void test_round_trip(void)
{
    struct vu_msg a, b;
    vu_msg_init(&a, VU_SET_MEM_TABLE, 8 + 2 * 32);
    a.p.mem.n = 2;
    a.p.mem.r[1].gpa = 77;
    a.fds[0] = a.fds[1] = 0;
    a.nfds = 2;
    CHECK(vu_msg_send(sv[0], &a, 100) == 0 && recv_one(&b) == 0);
    CHECK(b.h.request == VU_SET_MEM_TABLE && b.h.size == 72 && b.nfds == 2 && b.p.mem.r[1].gpa == 77);
    CHECK(vu_msg_check_request(&b, VU_ST_OWNED) == 0);
    CHECK(vu_msg_check_request(&b, VU_ST_NEW) == -EPROTO);
    CHECK(vu_msg_take_fd(&b, 2) == -1);
    vu_msg_close_fds(&b);
}

static void test_broken(void)
{
    struct vu_msg m;
    uint32_t version[3] = {VU_GET_FEATURES, 2, 0}, huge[3] = {VU_GET_FEATURES, 1, 0xffffffff};
    uint32_t good[3] = {VU_SET_FEATURES, 1, 8};
    uint8_t payload[8] = {0};
    unsigned before = open_fds();
    raw_send(version, 12, 3);
    CHECK(recv_one(&m) == -EPROTO);
    pair();
    raw_send(huge, 12, 0);
    CHECK(recv_one(&m) == -EPROTO);
    pair();
    raw_send(good, 12, 9); /* one descriptor more than any message has */
    CHECK(recv_one(&m) == -EPROTO);
    pair();
    raw_send(good, 12, 60);
    CHECK(recv_one(&m) == -EPROTO);
    pair();
    raw_send(good, 12, 1); /* descriptors in the middle of a message */
    raw_send(payload, 8, 2);
    CHECK(recv_one(&m) == -EPROTO);
    pair();
    raw_send(good, 7, 0); /* half a header, then hang-up */
    shutdown(sv[0], SHUT_WR);
    CHECK(recv_one(&m) == -EPIPE);
    pair();
    raw_send(good, 12, 2); /* header but no payload: the deadline */
    uint64_t t = ipc_now_ns();
    CHECK(recv_one(&m) == -ETIMEDOUT);
    t = ipc_now_ns() - t;
    CHECK(t > 50000000 && t < 2000000000);
    pair();
    CHECK(recv_one(&m) == -ETIMEDOUT);
    close(sv[0]);
    CHECK(recv_one(&m) == -EPIPE);
    sv[0] = dup(sv[1]);
    pair();
    CHECK(open_fds() == before);
}

/* A peer that does not read must not hold the sender. */
static void test_full(void)
{
    struct vu_msg m;
    int r = 0;
    vu_msg_init(&m, VU_SET_CONFIG, 268);
    for (unsigned i = 0; i < 100000 && r == 0; i++)
        r = vu_msg_send(sv[0], &m, 20);
    CHECK(r == -ETIMEDOUT);
    pair();
}

/* Each row: one byte too few or too many, a descriptor too many, an unknown id. */
static void test_rows(void)
{
    for (uint32_t id = 0; id < 70; id++) {
        const struct vu_row *row = vu_row_get(id);
        struct vu_msg m = {.h = {id, VU_FLAG_VERSION, row->max}, .nfds = row->fds_min};
        if (!row->name) {
            CHECK(vu_msg_check_request(&m, VU_ST_OWNED) == -EPROTO);
            CHECK(!strcmp(vu_request_name(id), "unknown"));
            continue;
        }
        enum vu_state st = row->states & VU_ST_OWNED ? VU_ST_OWNED : VU_ST_NEW;
        CHECK(vu_msg_check_request(&m, st) == 0);
        m.h.size = row->max + 1u;
        CHECK(vu_msg_check_request(&m, st) == -EPROTO);
        m.h.size = row->min - 1u;
        CHECK(vu_msg_check_request(&m, st) == -EPROTO);
        m.h.size = row->max;
        m.nfds = row->fds_max + 1u;
        CHECK(vu_msg_check_request(&m, st) == -EPROTO);
        m.nfds = row->fds_min;
        m.h.flags |= VU_FLAG_REPLY;
        CHECK(vu_msg_check_request(&m, st) == -EPROTO);
        /* As a reply. */
        m.h.size = row->reply_max;
        m.nfds = 0;
        CHECK(vu_msg_check_reply(&m, id, false) == 0);
        CHECK(vu_msg_check_reply(&m, id + 1, false) == -EPROTO);
        m.h.size = row->reply_max + 1u;
        CHECK(vu_msg_check_reply(&m, id, false) == -EPROTO);
        m.h.size = 8;
        CHECK(vu_msg_check_reply(&m, id, true) == 0);
        m.nfds = 1;
        CHECK(vu_msg_check_reply(&m, id, true) == -EPROTO);
        m.nfds = 0;
        m.h.flags &= ~VU_FLAG_REPLY;
        CHECK(vu_msg_check_reply(&m, id, true) == -EPROTO);
    }
}

int main(void)
{
    pair();
    test_round_trip();
    test_broken();
    test_full();
    test_rows();
    return 0;
}
