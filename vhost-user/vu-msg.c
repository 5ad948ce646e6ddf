/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vhost-user codec: frames on a stream socket with descriptors, and the check of a message against
 * the table. Closes every descriptor it does not hand over. Must never block without a deadline.
 */
#include "vhost-user/vu-msg.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>
#include "ipc/loop.h"

#define VU_ROWS 64

static const struct vu_row rows[VU_ROWS] = {
#define M(id, NAME, min, max, fmin, fmax, rmin, rmax, rfds, states)                                \
    [id] = {#NAME, min, max, fmin, fmax, rmin, rmax, rfds, states},
    VU_REQUESTS(M)
#undef M
};

const struct vu_row *vu_row_get(uint32_t request)
{
    return &rows[request < VU_ROWS ? request : 0];
}

const char *vu_request_name(uint32_t request)
{
    const char *name = vu_row_get(request)->name;
    return name ? name : "unknown";
}

void vu_msg_init(struct vu_msg *m, uint32_t request, uint32_t size)
{
    memset(m, 0, sizeof(*m));
    m->h.request = request;
    m->h.flags = VU_FLAG_VERSION;
    m->h.size = size;
}

void vu_msg_close_fds(struct vu_msg *m)
{
    for (unsigned i = 0; i < m->nfds; i++)
        if (m->fds[i] >= 0)
            close(m->fds[i]);
    m->nfds = 0;
}

int vu_msg_take_fd(struct vu_msg *m, unsigned i)
{
    if (i >= m->nfds)
        return -1;
    int fd = m->fds[i];
    m->fds[i] = -1;
    return fd;
}

/* Waits until sock is ready for `events` or the deadline has passed.
 * #syscalls:block poll
 * #syscalls:net poll */
static int wait_ready(int sock, short events, uint64_t deadline_ns)
{
    for (;;) {
        uint64_t now = ipc_now_ns();
        if (now >= deadline_ns)
            return -ETIMEDOUT;
        struct pollfd pf = {.fd = sock, .events = events};
        int n = poll(&pf, 1, (int)((deadline_ns - now) / 1000000 + 1));
        if (n > 0)
            return 0;
        if (n < 0 && errno != EINTR)
            return -errno;
    }
}

static uint64_t deadline_after(int timeout_ms)
{
    return ipc_now_ns() + (uint64_t)(timeout_ms > 0 ? timeout_ms : 0) * 1000000 + 1;
}

static void put_fds(struct msghdr *mh, void *control, const int *fds, unsigned nfds)
{
    mh->msg_control = control;
    mh->msg_controllen = CMSG_SPACE(nfds * sizeof(int));
    struct cmsghdr *c = CMSG_FIRSTHDR(mh);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(nfds * sizeof(int));
    memcpy(CMSG_DATA(c), fds, nfds * sizeof(int));
}

/* #syscalls:block sendmsg
 * #syscalls:net sendmsg */
int vu_msg_send(int sock, const struct vu_msg *m, int timeout_ms)
{
    uint8_t buf[sizeof(m->h) + sizeof(m->p)];
    size_t len = sizeof(m->h) + m->h.size, done = 0;
    if (m->h.size > sizeof(m->p) || m->nfds > VU_MSG_FDS_MAX)
        return -EINVAL;
    memcpy(buf, &m->h, sizeof(m->h));
    memcpy(buf + sizeof(m->h), &m->p, m->h.size);
    uint64_t deadline = deadline_after(timeout_ms);
    while (done < len) {
        union {
            char b[CMSG_SPACE(VU_MSG_FDS_MAX * sizeof(int))];
            struct cmsghdr align;
        } control;
        memset(&control, 0, sizeof(control));
        struct iovec iov = {buf + done, len - done};
        struct msghdr mh = {.msg_iov = &iov, .msg_iovlen = 1};
        if (done == 0 && m->nfds)
            put_fds(&mh, &control, m->fds, m->nfds);
        ssize_t n = sendmsg(sock, &mh, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n > 0) {
            done += (size_t)n;
            continue;
        }
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno != EAGAIN)
            return errno == ECONNRESET ? -EPIPE : -errno;
        int r = wait_ready(sock, POLLOUT, deadline);
        if (r < 0)
            return r;
    }
    return 0;
}

/* Collects the descriptors of one recvmsg. They may only come with the first byte of a message: the
 * rest, and any surplus, are closed and make the message invalid. */
static int take_control(struct msghdr *mh, struct vu_msg *m, bool first)
{
    int bad = (mh->msg_flags & MSG_CTRUNC) ? -EPROTO : 0;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(mh); c; c = CMSG_NXTHDR(mh, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        unsigned n = (unsigned)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
        for (unsigned i = 0; i < n; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(fd));
            if (first && m->nfds < VU_MSG_FDS_MAX) {
                m->fds[m->nfds++] = fd;
            } else {
                close(fd);
                bad = -EPROTO;
            }
        }
    }
    return bad;
}

/* Reads exactly len bytes. first: these are the first bytes of a message.
 * #syscalls:block recvmsg close
 * #syscalls:net recvmsg close */
static int recv_exact(int sock, void *buf, size_t len, struct vu_msg *m, bool first,
                      uint64_t deadline)
{
    size_t done = 0;
    while (done < len) {
        union {
            char b[CMSG_SPACE((VU_MSG_FDS_MAX + 1) * sizeof(int))];
            struct cmsghdr align;
        } control;
        struct iovec iov = {(uint8_t *)buf + done, len - done};
        struct msghdr mh = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control,
                            .msg_controllen = sizeof(control)};
        ssize_t n = recvmsg(sock, &mh, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
        if (n > 0) {
            int r = take_control(&mh, m, first && done == 0);
            if (r < 0)
                return r;
            done += (size_t)n;
            continue;
        }
        if (n == 0)
            return -EPIPE;
        if (errno == EINTR)
            continue;
        if (errno != EAGAIN)
            return errno == ECONNRESET ? -EPIPE : -errno;
        int r = wait_ready(sock, POLLIN, deadline);
        if (r < 0)
            return r;
    }
    return 0;
}

int vu_msg_recv(int sock, struct vu_msg *m, int timeout_ms)
{
    uint64_t deadline = deadline_after(timeout_ms);
    memset(m, 0, sizeof(*m));
    int r = recv_exact(sock, &m->h, sizeof(m->h), m, true, deadline);
    if (r == 0 && ((m->h.flags & VU_FLAG_VERSION_MASK) != VU_FLAG_VERSION ||
                   m->h.size > sizeof(m->p)))
        r = -EPROTO;
    if (r == 0 && m->h.size)
        r = recv_exact(sock, &m->p, m->h.size, m, false, deadline);
    if (r < 0)
        vu_msg_close_fds(m);
    return r;
}

int vu_msg_check_request(const struct vu_msg *m, enum vu_state state)
{
    const struct vu_row *row = vu_row_get(m->h.request);
    if (!row->name || (m->h.flags & VU_FLAG_REPLY))
        return -EPROTO;
    if (m->h.size < row->min || m->h.size > row->max)
        return -EPROTO;
    if (m->nfds < row->fds_min || m->nfds > row->fds_max)
        return -EPROTO;
    return (row->states & state) ? 0 : -EPROTO;
}

int vu_msg_check_reply(const struct vu_msg *m, uint32_t request, bool ack)
{
    const struct vu_row *row = vu_row_get(request);
    unsigned min = ack ? 8 : row->reply_min, max = ack ? 8 : row->reply_max;
    if (m->h.request != request || !(m->h.flags & VU_FLAG_REPLY))
        return -EPROTO;
    /* A back end says "no such configuration bytes" with an empty payload. */
    bool refused = request == VU_GET_CONFIG && m->h.size == 0;
    if (!refused && (m->h.size < min || m->h.size > max))
        return -EPROTO;
    return m->nfds > (ack ? 0u : row->reply_fds) ? -EPROTO : 0;
}
