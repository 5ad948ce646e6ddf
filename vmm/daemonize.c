/* SPDX-License-Identifier: Apache-2.0 */
/*
 * -daemonize: the command returns when the VM runs, and not before, so that its exit status means
 * something. Must never let go of stderr earlier: start-up errors belong to the caller.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>
#include "vmm/process.h"

static int done_fd = -1, null_fd = -1;

/* The child's end closes without a byte when it fails: then its error line is already out. */
static void wait_for_child(int fd)
{
    char ok;
    ssize_t n;

    do {
        n = read(fd, &ok, 1);
    } while (n < 0 && errno == EINTR);
    _exit(n == 1 ? 0 : 1);
}

int daemonize_fork(void)
{
    int p[2];
    pid_t pid;

    null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null_fd < 0 || pipe2(p, O_CLOEXEC) < 0)
        return -errno;
    pid = fork();
    if (pid < 0)
        return -errno;
    if (pid > 0) {
        close(p[1]);
        wait_for_child(p[0]);
    }
    close(p[0]);
    done_fd = p[1];
    return setsid() < 0 ? -errno : 0;
}

/* #syscalls:vmm write close fcntl */
void daemonize_done(void)
{
    if (done_fd < 0)
        return;
    for (int fd = 0; fd <= 2; fd++) {
        close(fd);
        fcntl(null_fd, F_DUPFD, fd);
    }
    (void)!write(done_fd, "1", 1);
    close(done_fd);
    close(null_fd);
    done_fd = null_fd = -1;
}
