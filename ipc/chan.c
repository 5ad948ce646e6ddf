/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SOCK_SEQPACKET channels with descriptors. Owns framing and descriptor hygiene; never looks into a
 * message and never waits without a limit.
 */
#include "ipc/chan.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ipc/loop.h"

#define CHAN_SCM_MAX 253 /* the kernel's limit: with room for this many nothing is cut off */

union chan_cmsg {
    char buf[CMSG_SPACE(sizeof(int) * CHAN_SCM_MAX)];
    struct cmsghdr align;
};

int ipc_chan_pair(int sv[2])
{
    int err = socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, sv);

    return err < 0 ? -errno : 0;
}

/* #syscalls:all poll
 * Waits for `events` until deadline_ns (0 = do not wait). True: worth another try. */
static bool chan_wait(int fd, short events, uint64_t deadline_ns)
{
    struct pollfd p = {.fd = fd, .events = events};
    uint64_t now;

    if (!deadline_ns) {
        return false;
    }
    now = ipc_now_ns();
    if (now >= deadline_ns) {
        return false;
    }
    (void)poll(&p, 1, (int)((deadline_ns - now + 999999) / 1000000));
    return true;
}

static uint64_t chan_deadline(int timeout_ms)
{
    return timeout_ms > 0 ? ipc_now_ns() + (uint64_t)timeout_ms * 1000000u : 0;
}

static void chan_fds_attach(struct msghdr *msg, union chan_cmsg *c, const int *fds, unsigned nfds)
{
    struct cmsghdr *h;

    memset(c, 0, CMSG_SPACE(sizeof(int) * nfds));
    msg->msg_control = c->buf;
    msg->msg_controllen = CMSG_SPACE(sizeof(int) * nfds);
    h = CMSG_FIRSTHDR(msg);
    h->cmsg_level = SOL_SOCKET;
    h->cmsg_type = SCM_RIGHTS;
    h->cmsg_len = CMSG_LEN(sizeof(int) * nfds);
    memcpy(CMSG_DATA(h), fds, sizeof(int) * nfds);
}

/* #syscalls:all sendmsg */
int ipc_chan_send(int fd, const void *buf, size_t len, const int *fds, unsigned nfds, int timeout_ms)
{
    struct iovec iov = {.iov_base = (void *)buf, .iov_len = len};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
    uint64_t deadline = chan_deadline(timeout_ms);
    union chan_cmsg c;

    /* An empty packet would read as a hang-up on the other side. */
    if (len == 0 || len > IPC_CHAN_MSG_MAX || nfds > IPC_CHAN_FDS_MAX) {
        return -EINVAL;
    }
    if (nfds) {
        chan_fds_attach(&msg, &c, fds, nfds);
    }
    for (;;) {
        ssize_t n = sendmsg(fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);

        if (n == (ssize_t)len) {
            return 0;
        }
        if (n >= 0) {
            return -EPROTO; /* cannot happen on SEQPACKET */
        }
        if (errno == ECONNRESET) {
            return -EPIPE;
        }
        if (errno != EINTR && (errno != EAGAIN || !chan_wait(fd, POLLOUT, deadline))) {
            return -errno;
        }
    }
}

/* Moves received descriptors to fds[0..room); the ones beyond are closed. Returns how many came. */
static unsigned chan_fds_take(struct msghdr *msg, int *fds, unsigned room)
{
    unsigned total = 0;

    for (struct cmsghdr *h = CMSG_FIRSTHDR(msg); h; h = CMSG_NXTHDR(msg, h)) {
        unsigned n;

        if (h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS) {
            continue;
        }
        n = (unsigned)((h->cmsg_len - CMSG_LEN(0)) / sizeof(int));
        for (unsigned i = 0; i < n; i++, total++) {
            int fd;

            memcpy(&fd, CMSG_DATA(h) + i * sizeof(int), sizeof(int));
            if (total < room) {
                fds[total] = fd;
            } else {
                close(fd);
            }
        }
    }
    return total;
}

/* #syscalls:all recvmsg */
static ssize_t chan_recv_once(int fd, void *buf, size_t cap, int *fds, unsigned *nfds)
{
    struct iovec iov = {.iov_base = buf, .iov_len = cap};
    union chan_cmsg c;
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1,
                         .msg_control = c.buf, .msg_controllen = sizeof(c.buf)};
    unsigned room = nfds ? *nfds : 0, got;
    ssize_t n = recvmsg(fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

    if (n < 0) {
        return errno == ECONNRESET ? 0 : -errno;
    }
    got = chan_fds_take(&msg, fds, room);
    if (got > room || (msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) || (n == 0 && got)) {
        for (unsigned i = 0; i < got && i < room; i++) {
            close(fds[i]);
        }
        return -EPROTO;
    }
    if (nfds) {
        *nfds = got;
    }
    return n;
}

ssize_t ipc_chan_recv(int fd, void *buf, size_t cap, int *fds, unsigned *nfds, int timeout_ms)
{
    uint64_t deadline = chan_deadline(timeout_ms);
    unsigned room = nfds ? *nfds : 0;

    if (nfds) {
        *nfds = 0;
    }
    for (;;) {
        unsigned got = room;
        ssize_t n = chan_recv_once(fd, buf, cap, fds, &got);

        if (n >= 0) {
            if (nfds) {
                *nfds = n > 0 ? got : 0;
            }
            return n;
        }
        if (n != -EINTR && (n != -EAGAIN || !chan_wait(fd, POLLIN, deadline))) {
            return n;
        }
    }
}
