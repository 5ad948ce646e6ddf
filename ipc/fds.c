/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Small file descriptor work: eventfds, pidfds, closing ranges. Never blocks without a time limit.
 */
#include "ipc/fds.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

int ipc_eventfd_create(void)
{
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

    return fd < 0 ? -errno : fd;
}

/* #syscalls:all write */
void ipc_eventfd_signal(int fd)
{
    uint64_t one = 1;
    ssize_t n;

    do {
        n = write(fd, &one, sizeof(one));
    } while (n < 0 && errno == EINTR);
}

/* #syscalls:all read */
uint64_t ipc_eventfd_drain(int fd)
{
    uint64_t value = 0;
    ssize_t n;

    do {
        n = read(fd, &value, sizeof(value));
    } while (n < 0 && errno == EINTR);
    return n == sizeof(value) ? value : 0;
}

int ipc_pidfd_open(pid_t pid)
{
    long fd = syscall(SYS_pidfd_open, pid, 0);

    return fd < 0 ? -errno : (int)fd;
}

int ipc_pidfd_kill(int pidfd, int sig)
{
    return syscall(SYS_pidfd_send_signal, pidfd, sig, NULL, 0) < 0 ? -errno : 0;
}

/* #syscalls:vmm poll */
bool ipc_pidfd_wait(int pidfd, int timeout_ms)
{
    struct pollfd p = {.fd = pidfd, .events = POLLIN};

    return poll(&p, 1, timeout_ms < 0 ? 0 : timeout_ms) > 0;
}

/* #syscalls:net-link fcntl */
int ipc_fd_nonblock(int fd, bool on)
{
    int flags = fcntl(fd, F_GETFL);

    if (flags < 0) {
        return -errno;
    }
    flags = on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK;
    return fcntl(fd, F_SETFL, flags) < 0 ? -errno : 0;
}

int ipc_fd_cloexec(int fd, bool on)
{
    return fcntl(fd, F_SETFD, on ? FD_CLOEXEC : 0) < 0 ? -errno : 0;
}

bool ipc_fd_is_socket(int fd, int family, int type)
{
    int dom = 0, typ = 0;
    socklen_t len = sizeof(int);

    if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &dom, &len) < 0) {
        return false;
    }
    len = sizeof(int);
    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &typ, &len) < 0) {
        return false;
    }
    return dom == family && typ == type;
}

/* #syscalls:all close */
void ipc_fds_close(int *fds, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        if (fds[i] >= 0) {
            close(fds[i]);
            fds[i] = -1;
        }
    }
}

int ipc_close_range(unsigned first, unsigned last)
{
    return syscall(SYS_close_range, first, last, 0) < 0 ? -errno : 0;
}
