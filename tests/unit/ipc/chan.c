/* SPDX-License-Identifier: Apache-2.0 */
/* Channels: framing, descriptors, surplus descriptors closed, time limits, hang-up. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ipc/chan.h"
#include "ipc/fds.h"
#include "ipc/loop.h"
#include "tests/lib/ctest.h"

static unsigned open_fds(void)
{
    DIR *d = opendir("/proc/self/fd");
    unsigned n = 0;

    while (readdir(d)) {
        n++;
    }
    closedir(d);
    return n;
}

static void test_messages(int sv[2])
{
    char buf[16];

    ok(ipc_chan_send(sv[0], "abc", 3, NULL, 0, 0) == 0 && ipc_chan_send(sv[0], "de", 2, NULL, 0, 0) == 0,
       "two messages are sent");
    ok(ipc_chan_recv(sv[1], buf, sizeof(buf), NULL, NULL, 0) == 3 && !memcmp(buf, "abc", 3),
       "the first arrives alone");
    ok(ipc_chan_recv(sv[1], buf, sizeof(buf), NULL, NULL, 0) == 2, "then the second");
    ok(ipc_chan_recv(sv[1], buf, sizeof(buf), NULL, NULL, 0) == -EAGAIN, "then none");
    ok(ipc_chan_send(sv[0], "", 0, NULL, 0, 0) == -EINVAL, "an empty message cannot be sent");
    ipc_chan_send(sv[0], "0123456789abcdef0", 17, NULL, 0, 0);
    ok(ipc_chan_recv(sv[1], buf, sizeof(buf), NULL, NULL, 0) == -EPROTO, "a message that is too long is refused");
}

static void test_time_limit(int sv[2])
{
    uint64_t t0 = ipc_now_ns(), took;
    char buf[4];

    ok(ipc_chan_recv(sv[1], buf, sizeof(buf), NULL, NULL, 30) == -EAGAIN, "nothing within 30 ms");
    took = (ipc_now_ns() - t0) / 1000000;
    ok(took >= 29 && took < 2000, "which took about that long (%llu ms)", (unsigned long long)took);
}

static void test_full(int sv[2])
{
    static char big[60000];
    int r = 0, sent = 0;

    while (sent < 1000 && (r = ipc_chan_send(sv[0], big, sizeof(big), NULL, 0, 0)) == 0) {
        sent++;
    }
    ok(r == -EAGAIN && sent > 0, "a full channel says so at once (after %d)", sent);
    while (sent-- > 0) {
        ipc_chan_recv(sv[1], big, sizeof(big), NULL, NULL, 0);
    }
}

static void test_descriptors(int sv[2])
{
    int fds[IPC_CHAN_FDS_MAX], got[IPC_CHAN_FDS_MAX];
    unsigned n = IPC_CHAN_FDS_MAX, before;
    char buf[4];

    for (unsigned i = 0; i < IPC_CHAN_FDS_MAX; i++) {
        fds[i] = sv[i % 2];
    }
    before = open_fds();
    ok(ipc_chan_send(sv[0], "x", 1, fds, IPC_CHAN_FDS_MAX, 0) == 0, "as many descriptors as allowed");
    ok(ipc_chan_recv(sv[1], buf, 4, got, &n, 0) == 1 && n == IPC_CHAN_FDS_MAX, "arrive");
    ok(fcntl(got[0], F_GETFD) & FD_CLOEXEC, "close-on-exec");
    ipc_fds_close(got, n);
    ok(open_fds() == before, "and are the caller's to close");

    ipc_chan_send(sv[0], "x", 1, fds, 3, 0);
    n = 2;
    ok(ipc_chan_recv(sv[1], buf, 4, got, &n, 0) == -EPROTO && n == 0, "one more than there is room for: refused");
    ok(open_fds() == before, "and every one of them closed");
    ipc_chan_send(sv[0], "x", 1, fds, 1, 0);
    ok(ipc_chan_recv(sv[1], buf, 4, NULL, NULL, 0) == -EPROTO && open_fds() == before,
       "one where none was asked for: likewise");
    n = 2;
    ipc_chan_send(sv[0], "12345", 5, fds, 1, 0);
    ok(ipc_chan_recv(sv[1], buf, 4, got, &n, 0) == -EPROTO && open_fds() == before,
       "one with a message that is too long: likewise");
    ok(ipc_chan_send(sv[0], "x", 1, fds, IPC_CHAN_FDS_MAX + 1, 0) == -EINVAL, "more than allowed are not sent");
}

int main(void)
{
    int sv[2];
    char buf[4];

    ok(ipc_chan_pair(sv) == 0, "a pair");
    test_messages(sv);
    test_time_limit(sv);
    test_full(sv);
    test_descriptors(sv);
    ipc_chan_send(sv[0], "end", 3, NULL, 0, 0);
    close(sv[0]);
    ok(ipc_chan_recv(sv[1], buf, sizeof(buf), NULL, NULL, 0) == 3, "what was sent before the end arrives");
    ok(ipc_chan_recv(sv[1], buf, sizeof(buf), NULL, NULL, 0) == 0, "then the hang-up");
    ok(ipc_chan_send(sv[1], "x", 1, NULL, 0, 0) == -EPIPE, "sending to nobody fails without a signal");
    return ctest_done();
}
