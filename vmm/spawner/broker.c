/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The system broker: the same spawner for emulators that a management daemon runs without privilege. Who
 * may connect is the socket's business (mode 0660, group bulkhead: see README); the broker records who
 * did, limits how many, and forks a session for each. It never touches a session's messages itself.
 */
#include "vmm/spawner/spawner.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ipc/fds.h"
#include "ipc/log.h"

#define SESSIONS_MAX     256
#define SESSIONS_PER_UID 64
#define ACTIVATION_FD    3

static struct {
    pid_t pid;
    uid_t uid;
} sessions[SESSIONS_MAX];

static void sessions_reap(void)
{
    pid_t pid;

    while ((pid = waitpid(-1, NULL, WNOHANG)) > 0) {
        for (unsigned i = 0; i < SESSIONS_MAX; i++) {
            if (sessions[i].pid == pid) {
                sessions[i].pid = 0;
            }
        }
    }
}

/* Index for one more session of this user, or -1. */
static int session_slot(uid_t uid)
{
    unsigned of_uid = 0;
    int slot = -1;

    for (int i = 0; i < SESSIONS_MAX; i++) {
        if (!sessions[i].pid) {
            slot = slot < 0 ? i : slot;
        } else if (sessions[i].uid == uid) {
            of_uid++;
        }
    }
    return of_uid < SESSIONS_PER_UID ? slot : -1;
}

/* The listening socket of systemd (LISTEN_FDS protocol). */
static int listen_inherited(void)
{
    const char *pid = getenv("LISTEN_PID"), *fds = getenv("LISTEN_FDS");

    if (!pid || !fds || strtol(pid, NULL, 10) != getpid() || strcmp(fds, "1") ||
        !ipc_fd_is_socket(ACTIVATION_FD, AF_UNIX, SOCK_SEQPACKET)) {
        return -EINVAL;
    }
    (void)ipc_fd_cloexec(ACTIVATION_FD, true);
    return ACTIVATION_FD;
}

static int listen_path(const char *path)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    mode_t old;
    int fd, err;

    if (strlen(path) >= sizeof(a.sun_path)) {
        return -ENAMETOOLONG;
    }
    memcpy(a.sun_path, path, strlen(path) + 1);
    fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return -errno;
    }
    old = umask(0117); /* 0660 from the first moment */
    err = bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(fd, 16) < 0 ? -errno : 0;
    umask(old);
    if (err) {
        close(fd);
        return err;
    }
    return fd;
}

static void connection_serve(int listen_fd, int fd)
{
    struct ucred who = {0};
    socklen_t len = sizeof(who);
    int slot;
    pid_t pid;

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) < 0) {
        log_warn("connection without credentials dropped: %s", strerror(errno));
        return;
    }
    slot = session_slot(who.uid);
    if (slot < 0) {
        log_warn("uid %u pid %d refused: too many sessions", who.uid, (int)who.pid);
        return;
    }
    pid = fork();
    if (pid == 0) {
        close(listen_fd);
        _exit(sp_session(fd, false, 0, who.uid != 0));
    }
    if (pid < 0) {
        log_error("fork: %s", strerror(errno));
        return;
    }
    sessions[slot].pid = pid;
    sessions[slot].uid = who.uid;
    log_info("session %d for uid %u gid %u pid %d", (int)pid, who.uid, who.gid, (int)who.pid);
}

static void child_signal(int sig)
{
    (void)sig; /* only there to interrupt accept() */
}

int sp_broker(const char *path)
{
    struct sigaction sa = {.sa_handler = child_signal};
    int fd = path ? listen_path(path) : listen_inherited();

    ipc_log_init(-1, "bulkhead-spawner");
    if (fd < 0) {
        log_error(path ? "%s: %s" : "--broker: no socket from the service manager%.0s (%s); see --help",
                  path ? path : "", strerror(-fd));
        return 1;
    }
    sigaction(SIGCHLD, &sa, NULL);
    for (;;) {
        int conn = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        int err = conn < 0 ? errno : 0;

        sessions_reap();
        if (conn >= 0) {
            connection_serve(fd, conn);
            close(conn);
        } else if (err != EINTR && err != ECONNABORTED) {
            log_error("accept: %s", strerror(err));
            return 1;
        }
    }
}
