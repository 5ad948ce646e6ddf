/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One socket, one fixed request, one fixed answer with perhaps a descriptor. The parent believes nothing the
 * child says after the lock: it compares with the grants.
 */
#include "block-proc/img/opener.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include "ipc/imagepath.h"
#include "seccomp/sandbox.h"

#define GRANTS_MAX 64
#define OPENED_MAX 256

enum op { OP_GRANT, OP_LOCK, OP_OPEN, OP_BELOW, OP_MEMBER, OP_PART };
struct request {
    uint32_t op, flags, kind, number;
    char path[OPENER_PATH_MAX], name[OPENER_PATH_MAX]; /* path: granted, or the image that holds name */
};
struct reply {
    int32_t r;
    char real[OPENER_PATH_MAX];
};

static int sock = -1;
static bool locked;
static enum sbx_role lock_role = SBX_IMG;
static pid_t other_half; /* in the parent: the child */

/* ---- the parent */
static struct {
    char *path;
    unsigned flags;
} grants[GRANTS_MAX];
static char *opened[OPENED_MAX]; /* images names were found in */
static unsigned n_grants, n_opened;

static bool granted(const char *path, unsigned flags)
{
    for (unsigned i = 0; i < n_grants; i++)
        if (!(flags & ~grants[i].flags) && (path ? grants[i].path && !strcmp(grants[i].path, path) : !grants[i].path))
            return true;
    return false;
}

static int how(unsigned flags)
{
    return (flags & OPENER_WRITE ? O_RDWR : O_RDONLY) | (flags & OPENER_CREATE ? O_CREAT | O_TRUNC : 0) |
           (flags & OPENER_DIRECT ? O_DIRECT : 0) | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
}

static int open_path(const char *path, unsigned flags)
{
    int fd = open(path, how(flags), 0644);
    return fd < 0 ? -errno : fd;
}

static int serve_open(const struct request *q, struct reply *a)
{
    if (!granted(q->path, q->flags & ~(unsigned)OPENER_DIRECT))
        return -EACCES;
    snprintf(a->real, sizeof(a->real), "%s", strncmp(q->path, "file:", 5) ? q->path : q->path + 5);
    return open_path(a->real, q->flags);
}

static int serve_below(const struct request *q, struct reply *a)
{
    bool known = false;
    for (unsigned i = 0; i < n_opened; i++)
        known = known || !strcmp(opened[i], q->path);
    bool may = granted(NULL, OPENER_BELOW) || (q->op == OP_MEMBER && granted(q->path, OPENER_WRITE));
    if (!known || (q->flags & OPENER_WRITE && !may) || q->flags & OPENER_CREATE)
        return -EACCES;
    int r = ipc_image_path(q->path, q->name, a->real, sizeof(a->real));
    return r < 0 ? r : ipc_image_open_path(q->path, a->real, how(q->flags));
}

static int serve_part(const struct request *q, struct reply *a)
{
    const char *slash = strrchr(q->path, '/'), *dot = strrchr(q->path, '.');
    char path[OPENER_PATH_MAX], tail[24];
    if (!granted(q->path, OPENER_WRITE | OPENER_CREATE | OPENER_PARTS) || q->number > 9999)
        return -EACCES;
    if (!dot || dot < slash)
        dot = q->path + strlen(q->path);
    if (q->kind == 'F')
        snprintf(tail, sizeof(tail), "-flat");
    else if (q->kind == 's' || q->kind == 'f')
        snprintf(tail, sizeof(tail), "-%c%03u", (char)q->kind, q->number);
    else
        return -EINVAL;
    int n = snprintf(path, sizeof(path), "%.*s%s%s", (int)(dot - q->path), q->path, tail, dot);
    if (n >= OPENER_PATH_MAX)
        return -ENAMETOOLONG;
    strcpy(a->real, path + (slash ? slash + 1 - q->path : 0));
    return open_path(path, OPENER_WRITE | OPENER_CREATE);
}

static int serve_one(const struct request *q, struct reply *a)
{
    switch (q->op) {
    case OP_GRANT:
        if (locked || n_grants == GRANTS_MAX)
            return -EACCES;
        grants[n_grants].path = q->path[0] ? strdup(q->path) : NULL;
        grants[n_grants++].flags = q->flags;
        return -EALREADY; /* no descriptor */
    case OP_LOCK:
        locked = true;
        return -EALREADY;
    case OP_OPEN:
        return serve_open(q, a);
    case OP_BELOW:
    case OP_MEMBER:
        return serve_below(q, a);
    case OP_PART:
        return serve_part(q, a);
    default:
        return -EINVAL;
    }
}

static int answer(const struct reply *a, int fd)
{
    union {
        char buf[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } ctl = {0};
    struct iovec v = {(void *)(uintptr_t)a, sizeof(*a)};
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1};
    if (fd >= 0) {
        m.msg_control = ctl.buf;
        m.msg_controllen = sizeof(ctl.buf);
        struct cmsghdr *c = CMSG_FIRSTHDR(&m);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(c), &fd, sizeof(int));
    }
    return sendmsg(sock, &m, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

static void serve(pid_t child)
{
    static struct request q;
    static struct reply a;
    int status = 0;
    for (;;) {
        ssize_t n = recv(sock, &q, sizeof(q), 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n != sizeof(q))
            break;
        q.path[OPENER_PATH_MAX - 1] = q.name[OPENER_PATH_MAX - 1] = '\0';
        memset(&a, 0, sizeof(a));
        a.r = serve_one(&q, &a);
        if (a.r >= 0 && q.op != OP_PART && n_opened < OPENED_MAX && (opened[n_opened] = strdup(a.real)))
            n_opened++;
        if (answer(&a, a.r) < 0)
            break;
        if (a.r >= 0)
            close(a.r);
    }
    close(sock);
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    if (WIFEXITED(status))
        exit(WEXITSTATUS(status));
    signal(WTERMSIG(status), SIG_DFL);
    if (WTERMSIG(status) == SIGINT || WTERMSIG(status) == SIGTERM || WTERMSIG(status) == SIGHUP)
        raise(WTERMSIG(status)); /* ended by the user: as a program of one piece would end */
    fprintf(stderr, "%s: the half that reads images died of signal %d (%s)\n", program_invocation_short_name, WTERMSIG(status),
            WTERMSIG(status) == SIGSYS ? "a forbidden system call" : strsignal(WTERMSIG(status)));
    exit(1);
}

/* The half that works ends first, in its own way. */
static void pass_on(int sig)
{
    kill(other_half, sig);
}

void opener_start(void)
{
    int pair[2];
    pid_t parent = getpid();
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) {
        perror("socketpair");
        exit(1);
    }
    pid_t child = fork();
    if (child < 0) {
        perror("fork");
        exit(1);
    }
    sock = pair[child == 0];
    close(pair[child != 0]);
    if (child) {
        other_half = child;
        signal(SIGTERM, pass_on);
        signal(SIGINT, pass_on);
        signal(SIGHUP, pass_on);
        serve(child);
    }
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent)
        exit(1);
}

/* ---- the child */
/* #syscalls:img sendmsg recvmsg */
static int ask(struct request *q, char *real)
{
    static struct reply a;
    union {
        char buf[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } ctl = {0};
    struct iovec out = {q, sizeof(*q)}, in = {&a, sizeof(a)};
    struct msghdr m = {.msg_iov = &out, .msg_iovlen = 1};
    struct msghdr back = {.msg_iov = &in, .msg_iovlen = 1, .msg_control = ctl.buf, .msg_controllen = sizeof(ctl.buf)};
    int fd = -EIO;
    if (sendmsg(sock, &m, MSG_NOSIGNAL) < 0 || recvmsg(sock, &back, MSG_CMSG_CLOEXEC) != sizeof(a))
        return -EIO;
    struct cmsghdr *c = CMSG_FIRSTHDR(&back);
    if (c && c->cmsg_type == SCM_RIGHTS)
        memcpy(&fd, CMSG_DATA(c), sizeof(int));
    if (real)
        memcpy(real, a.real, sizeof(a.real));
    return a.r < 0 ? a.r : fd;
}

static int ask_for(enum op op, const char *path, const char *name, unsigned flags, char *real)
{
    static struct request q;
    if (strlen(path) >= sizeof(q.path) || strlen(name) >= sizeof(q.name))
        return -ENAMETOOLONG;
    memset(&q, 0, sizeof(q));
    q.op = op;
    q.flags = flags;
    strcpy(q.path, path);
    strcpy(q.name, name);
    return ask(&q, real);
}

void opener_grant(const char *path, unsigned flags)
{
    (void)ask_for(OP_GRANT, path ? path : "", "", flags, NULL);
}

void opener_role(enum sbx_role role)
{
    lock_role = role;
}

void opener_lock(void)
{
    const char *step = "";
    if (locked)
        return;
    locked = true;
    (void)ask_for(OP_LOCK, "", "", 0, NULL);
    sbx_stage4_setup();
    fflush(NULL);
    int r = sbx_stage5_lock(lock_role, SBX_REQUIRE, &step);
    if (r == 0)
        return;
    fprintf(stderr, "%s: sandbox, %s: %s\n", program_invocation_short_name, step, strerror(-r));
    exit(1);
}

int opener_open(const char *path, unsigned flags)
{
    return ask_for(OP_OPEN, path, "", flags, NULL);
}

int opener_open_below(const char *image, const char *name, unsigned flags, char *real)
{
    return ask_for(OP_BELOW, image, name, flags, real);
}

int opener_open_member(const char *image, const char *name, unsigned flags, char *real)
{
    return ask_for(OP_MEMBER, image, name, flags, real);
}

int opener_part(const char *path, char kind, unsigned number, char *name)
{
    static struct request q;
    memset(&q, 0, sizeof(q));
    q.op = OP_PART;
    q.kind = (uint32_t)kind;
    q.number = number;
    if (snprintf(q.path, sizeof(q.path), "%s", path) >= (int)sizeof(q.path))
        return -ENAMETOOLONG;
    return ask(&q, name);
}
