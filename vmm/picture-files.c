/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The picture clerk: a process of its own that opens files for `screendump` after the vmm has given up the
 * right to. It is the user who started the VM, knows one request, and either makes a new file or empties
 * one that is a picture already: a vmm in the wrong hands can overwrite nothing else
 * (docs/decisions/0009-picture-clerk.md). Must never read a file back or open a directory.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <signal.h>
#include <unistd.h>
#include "ipc/chan.h"
#include "ipc/fds.h"
#include "ipc/log.h"
#include "seccomp/isolate.h"
#include "seccomp/sandbox.h"
#include "vmm/process.h"

#define ANSWER_WAIT_MS 2000

struct picture_reply {
    int32_t error; /* 0: a descriptor comes along */
};

static int clerk_fd = -1;

/* ---- the clerk ---- */

/* #syscalls:clerk pread64 */
static bool is_picture(int fd)
{
    static const uint8_t png[8] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
    uint8_t head[8];
    ssize_t n = pread(fd, head, sizeof(head), 0);

    return (n >= 2 && head[0] == 'P' && head[1] == '6') || (n == sizeof(png) && !memcmp(head, png, sizeof(png)));
}

/* #syscalls:clerk openat ftruncate close */
static int picture_open(const char *path)
{
    struct stat st;
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK | O_NOFOLLOW, 0644);
    int err = 0;

    if (fd < 0)
        return -errno;
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
        err = -EINVAL;
    else if (st.st_size && !is_picture(fd))
        err = -EEXIST;
    else if (ftruncate(fd, 0) < 0)
        err = -errno;
    if (!err)
        return fd;
    close(fd);
    return err;
}

/* #syscalls:clerk recvmsg sendmsg exit_group */
static void clerk_serve(int sock)
{
    char path[PATH_MAX];
    struct iovec iov = {path, sizeof(path) - 1};
    struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};

    for (;;) {
        struct picture_reply reply;
        ssize_t n = recvmsg(sock, &m, 0);
        int fd;

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            _exit(0);
        path[n] = '\0';
        fd = picture_open(path);
        reply.error = fd < 0 ? -fd : 0;
        if (ipc_chan_send(sock, &reply, sizeof(reply), &fd, fd >= 0, ANSWER_WAIT_MS) < 0)
            _exit(1);
        if (fd >= 0)
            close(fd);
    }
}

static void clerk_run(int sock, enum plan_sandbox mode)
{
    const char *step;

    signal(SIGINT, SIG_IGN);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    (void)prctl(PR_SET_NAME, "bulkhead-clerk", 0, 0, 0);
    sbx_caps_keep(0);
    sbx_stage4_setup();
    if (sbx_stage5_lock(SBX_CLERK, (enum sbx_mode)mode, &step) < 0)
        _exit(1);
    clerk_serve(sock);
}

/* ---- the vmm's side ---- */

int picture_clerk_start(enum plan_sandbox mode)
{
    int pair[2];
    pid_t pid;

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return -errno;
    pid = fork();
    if (pid == 0) {
        close(pair[0]);
        clerk_run(pair[1], mode);
    }
    close(pair[1]);
    if (pid < 0) {
        close(pair[0]);
        return -errno;
    }
    clerk_fd = pair[0];
    return 0;
}

int picture_file_create(const char *path)
{
    struct picture_reply reply;
    unsigned nfds = 1;
    int fd = -1, r;

    if (clerk_fd < 0 || !path[0] || strlen(path) >= PATH_MAX)
        return -EINVAL;
    r = ipc_chan_send(clerk_fd, path, strlen(path), NULL, 0, ANSWER_WAIT_MS);
    if (r < 0)
        return r;
    r = ipc_chan_recv(clerk_fd, &reply, sizeof(reply), &fd, &nfds, ANSWER_WAIT_MS);
    if (r != sizeof(reply) || (reply.error == 0) != (nfds == 1)) {
        ipc_fds_close(&fd, r > 0 ? nfds : 0);
        return r < 0 ? r : -EPROTO;
    }
    return reply.error ? -reply.error : fd;
}
