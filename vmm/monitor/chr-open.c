/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opening and closing host ends. Everything is opened here, before the vmm locks itself down; at
 * run time only accept is left. Must never remove a file that is not a socket.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>
#include "vmm/config/host-socket.h"
#include "vmm/monitor/chr.h"

#define FLUSH_MS    500
#define PTY_POLL_NS 200000000ull

struct fault { /* where an error line goes */
    const struct plan_chardev *cfg;
    char *err;
    size_t len;
};

static int fail(const struct fault *f, const char *where, const char *what, int err)
{
    snprintf(f->err, f->len, "chardev %s: %s%s%s%s%s", f->cfg->id, where, *where ? ": " : "", what,
             err ? ": " : "", err ? strerror(err) : "");
    return -1;
}

/* ---- standard input and output
 * ------------------------------------------------------------------- */
/* A non-blocking descriptor for fd that leaves the description shared with the shell alone where
 * the kernel lets us open it again; *shared tells that it had to be changed. */
static int private_stdio(int fd, int flags, bool *shared)
{
    char path[32];
    struct stat st;
    int own, fl;

    if (!fstat(fd, &st) && S_ISREG(st.st_mode))
        return dup(fd); /* never blocks, and its offset must stay shared */
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    own = open(path, flags | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
    if (own >= 0)
        return own;
    fl = fcntl(fd, F_GETFL);
    if (fl < 0)
        return -1;
    if (!(fl & O_NONBLOCK)) {
        fcntl(fd, F_SETFL, fl | O_NONBLOCK);
        *shared = true;
    }
    return dup(fd);
}

static int open_stdio(struct chr *c, const struct fault *f)
{
    c->in_fd = private_stdio(0, O_RDONLY, &c->keep_nonblock[0]);
    c->out_fd = private_stdio(1, O_WRONLY, &c->keep_nonblock[1]);
    if (c->out_fd < 0)
        return fail(f, "", "cannot use standard output", errno);
    c->in_eof = c->in_fd < 0;
    c->in_tty = c->in_fd >= 0 && isatty(c->in_fd);
    if (c->in_tty)
        tty_raw(c->in_fd, c->cfg->signal);
    c->connected = true;
    snprintf(c->peer, sizeof(c->peer), "stdio");
    return 0;
}

/* ---- file
 * ---------------------------------------------------------------------------------------- */
static int open_file(struct chr *c, const struct fault *f)
{
    int flags = O_WRONLY | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;

    c->out_fd = open(c->cfg->path, flags | (c->cfg->append ? O_APPEND : O_TRUNC), 0666);
    if (c->out_fd < 0)
        return fail(f, c->cfg->path, "cannot open", errno);
    c->in_eof = true;
    c->connected = true;
    snprintf(c->peer, sizeof(c->peer), "file");
    return 0;
}

/* ---- pty
 * ----------------------------------------------------------------------------------------- */
/* Nobody has the slave open: the master reports a hang-up, for ever. So it is looked at by the
 * clock. #syscalls:vmm poll */
static void pty_look(void *opaque)
{
    struct chr *c = opaque;
    struct pollfd p = {.fd = c->in_fd, .events = POLLIN};
    bool there = poll(&p, 1, 0) >= 0 && !(p.revents & POLLHUP);

    if (there && !c->connected) {
        c->connected = true;
        chr_opened(c);
    } else if (!there && c->connected) {
        chr_closed(c);
    }
    ipc_timer_set(&c->pty_timer, ipc_now_ns() + PTY_POLL_NS);
}

/* The slave is opened once, to make it raw, and closed: from then on the master tells whether
 * anybody has it open. */
static int open_pty(struct chr *c, const struct fault *f)
{
    char name[64];
    struct termios t;
    int slave;

    c->in_fd = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
    if (c->in_fd < 0 || grantpt(c->in_fd) || unlockpt(c->in_fd) ||
        ptsname_r(c->in_fd, name, sizeof(name)))
        return fail(f, "pty", "cannot open", errno);
    c->out_fd = c->in_fd;
    slave = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (slave < 0 || tcgetattr(slave, &t))
        return fail(f, name, "cannot open", errno);
    cfmakeraw(&t);
    tcsetattr(slave, TCSANOW, &t);
    close(slave);
    printf("char device redirected to %s (label %s)\n", name, c->cfg->id);
    fflush(stdout);
    snprintf(c->peer, sizeof(c->peer), "pty:%s", name);
    if (ipc_timer_init(&c->pty_timer, &c->vm->loop, pty_look, c))
        return fail(f, "pty", "too many timers", 0);
    ipc_timer_set(&c->pty_timer, ipc_now_ns());
    return 0;
}

/* ---- sockets
 * ------------------------------------------------------------------------------------- */
static int socket_use(struct chr *c, const struct fault *f, const char *where, int fd, const char *resolver)
{
    if (fd < 0)
        return resolver ? fail(f, where, resolver, 0)
                        : fail(f, where, c->cfg->server ? "cannot listen" : "cannot connect", -fd);
    if (c->cfg->server)
        c->listen_fd = fd; /* from here on a unix name is ours, and chr_close removes it */
    else
        chr_attach(c, fd);
    return 0;
}

static int open_unix(struct chr *c, const struct fault *f)
{
    const char *path = c->cfg->path;

    snprintf(c->peer, sizeof(c->peer), "unix:%s%s", path, c->cfg->server ? ",server=on" : "");
    return socket_use(c, f, path, host_unix(path, c->cfg->server), NULL);
}

static int open_tcp(struct chr *c, const struct fault *f)
{
    const struct host_inet at = {c->cfg->host, c->cfg->port, c->cfg->server, c->cfg->nodelay};
    const char *resolver = NULL;
    char where[160];

    snprintf(where, sizeof(where), "tcp:%s:%u", at.host, at.port);
    snprintf(c->peer, sizeof(c->peer), "%s%s", where, c->cfg->server ? ",server=on" : "");
    int fd = host_tcp(&at, &resolver);
    return socket_use(c, f, where, fd, resolver);
}

int chr_wait(struct chr *c, char *err, size_t errlen)
{
    struct pollfd p = {.fd = c->listen_fd, .events = POLLIN};
    struct fault f = {c->cfg, err, errlen};
    sigset_t none;
    int fd = -1;

    if (c->listen_fd < 0 || !c->cfg->wait || c->connected)
        return 0;
    fprintf(stderr, "bulkhead: waiting for connection on: %s\n", c->peer);
    sigemptyset(&none); /* the loop that takes signals does not run yet: Ctrl-c must work here */
    while (fd < 0) {
        if (ppoll(&p, 1, NULL, &none) < 0 && errno != EINTR)
            return fail(&f, c->peer, "cannot wait", errno);
        fd = accept4(c->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    }
    chr_attach(c, fd);
    return 0;
}

/* epoll refuses files and /dev/null; for reading them an eventfd that is always readable stands in.
 */
static int check_watchable(struct chr *c)
{
    int rc;

    if (c->in_fd < 0 || c->in_eof || c->cfg->kind != CHAR_STDIO)
        return 0;
    rc = ipc_loop_add(&c->vm->loop, c->in_fd, EPOLLIN, NULL, c);
    if (!rc)
        ipc_loop_del(&c->vm->loop, c->in_fd);
    else
        c->ready_fd = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
    return 0;
}

int chr_open(struct chr *c, struct vm *vm, const struct plan_chardev *cfg, char *err, size_t errlen)
{
    struct fault f = {cfg, err, errlen};
    int rc = 0;

    c->cfg = cfg;
    c->vm = vm;
    c->listen_fd = c->in_fd = c->out_fd = c->ready_fd = -1;
    switch (cfg->kind) {
    case CHAR_NONE:
    case CHAR_NULL:
        snprintf(c->peer, sizeof(c->peer), "null");
        break;
    case CHAR_STDIO:
        rc = open_stdio(c, &f);
        break;
    case CHAR_FILE:
        rc = open_file(c, &f);
        break;
    case CHAR_UNIX:
        rc = open_unix(c, &f);
        break;
    case CHAR_TCP:
        rc = open_tcp(c, &f);
        break;
    case CHAR_PTY:
        rc = open_pty(c, &f);
        break;
    }
    return rc ? rc : check_watchable(c);
}

/* What is still in the buffer, a last answer or a shutdown event, gets half a second to leave. */
static void last_flush(struct chr *c)
{
    uint64_t end = ipc_now_ns() + FLUSH_MS * 1000000ull;

    while (c->connected && c->out_len && ipc_now_ns() < end) {
        struct pollfd p = {.fd = c->out_fd, .events = POLLOUT};
        ssize_t n;

        if (poll(&p, 1, 50) <= 0)
            continue;
        n = write(c->out_fd, c->out + c->out_off, c->out_len);
        if (n < 0 && errno != EAGAIN && errno != EINTR)
            return;
        if (n > 0) {
            c->out_off += (size_t)n;
            c->out_len -= (size_t)n;
        }
    }
}

static void undo_nonblock(const struct chr *c)
{
    for (int fd = 0; fd < 2; fd++)
        if (c->keep_nonblock[fd])
            fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
}

/* #syscalls:vmm unlink fcntl poll */
void chr_close(struct chr *c)
{
    last_flush(c);
    if (c->cfg->kind == CHAR_STDIO) {
        tty_restore();
        undo_nonblock(c);
    }
    if (c->listen_fd >= 0 && c->cfg->kind == CHAR_UNIX)
        (void)unlink(
            c->cfg->path); /* may be forbidden to the vmm's own user: the next one takes it over */
    if (c->listen_fd >= 0)
        close(c->listen_fd);
    if (c->in_fd >= 0)
        close(c->in_fd);
    if (c->out_fd >= 0 && c->out_fd != c->in_fd)
        close(c->out_fd);
    c->listen_fd = c->in_fd = c->out_fd = -1;
    c->connected = false;
}
