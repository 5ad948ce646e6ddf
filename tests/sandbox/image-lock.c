/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Are the programs that parse images locked down before they read the first byte of one? Runs each under
 * ptrace and stops it at its first read of the image: the filter must be on there, and a call put in the place of that
 * read (what a program taken over by the image would do) must end it. Must never trust what the program says.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>
#include "seccomp/sandbox.h"
#include "tests/lib/ctest.h"

#define OPTIONS (PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE | PTRACE_O_EXITKILL)

static char image[4096];

struct seen {
    bool read, filtered; /* an image byte was read; with the filter on */
    int died;            /* signal that ended the process the call was put into */
};

static bool is_image(pid_t pid, unsigned long long fd)
{
    char link[64], to[4096];
    snprintf(link, sizeof(link), "/proc/%d/fd/%llu", pid, fd);
    ssize_t n = readlink(link, to, sizeof(to) - 1);
    return n > 0 && (to[n] = '\0', !strcmp(to, image));
}

static bool reads(const struct user_regs_struct *r)
{
    return r->orig_rax == SYS_read || r->orig_rax == SYS_pread64 || r->orig_rax == SYS_preadv ||
           r->orig_rax == SYS_readv || r->orig_rax == SYS_mmap;
}

/* At the entry of a call. put: the number of a call that takes the read's place, -1 = none. */
static pid_t look(pid_t pid, long put, struct seen *s)
{
    struct user_regs_struct r;
    struct sbx_status st = {0};
    if (ptrace(PTRACE_GETREGS, pid, 0, &r) < 0 || (long)r.rax != -ENOSYS || !reads(&r) ||
        !is_image(pid, r.orig_rax == SYS_mmap ? r.r8 : r.rdi) || s->read)
        return 0;
    s->read = true;
    s->filtered = sbx_status_read(pid, &st) == 0 && st.seccomp == 2 && st.no_new_privs;
    if (put < 0)
        return 0;
    r.orig_rax = (unsigned long long)put;
    r.rdi = 1; /* AF_UNIX, or a path nobody needs */
    r.rsi = SOCK_STREAM;
    r.rdx = 0;
    ptrace(PTRACE_SETREGS, pid, 0, &r);
    return pid;
}

static struct seen trace(const char *const *argv, const char *input, long put)
{
    struct seen s = {0};
    int status;
    pid_t pid = fork(), changed = 0;
    if (pid == 0) {
        int in = open(input ? input : "/dev/null", O_RDONLY), out = open("/dev/null", O_WRONLY);
        dup2(in, 0);
        dup2(out, 1);
        dup2(out, 2);
        ptrace(PTRACE_TRACEME, 0, 0, 0);
        execv(argv[0], (char **)(uintptr_t)argv);
        _exit(127);
    }
    if (waitpid(pid, &status, 0) != pid || !WIFSTOPPED(status))
        return s;
    ptrace(PTRACE_SETOPTIONS, pid, 0, OPTIONS);
    ptrace(PTRACE_SYSCALL, pid, 0, 0);
    for (pid_t p; (p = waitpid(-1, &status, __WALL)) > 0;) {
        int sig = 0;
        if (WIFSIGNALED(status) && p == changed)
            s.died = WTERMSIG(status);
        if (!WIFSTOPPED(status))
            continue;
        if (WSTOPSIG(status) == (SIGTRAP | 0x80)) {
            pid_t c = look(p, put, &s);
            changed = c ? c : changed;
        } else if (WSTOPSIG(status) != SIGTRAP && WSTOPSIG(status) != SIGSTOP) {
            sig = WSTOPSIG(status);
        }
        ptrace(PTRACE_SYSCALL, p, 0, sig);
    }
    return s;
}

static void check(const char *what, const char *const *argv, const char *input)
{
    struct seen s = trace(argv, input, -1);
    ok(s.read && s.filtered, "%s: the filter is on at the first byte read of the image", what);
    s = trace(argv, input, SYS_socket);
    ok(s.died == SIGSYS, "%s: a socket made in place of that read ends it (signal %d)", what, s.died);
    s = trace(argv, input, SYS_execve);
    ok(s.died == SIGSYS, "%s: a program started in place of that read ends it (signal %d)", what, s.died);
}

/* A program that would serve for ever: only the runs in which it dies. */
static void check_server(const char *what, const char *const *argv, const char *socket_path)
{
    struct seen s = trace(argv, NULL, SYS_socket);
    ok(s.read && s.filtered, "%s: the filter is on at the first byte read of the image", what);
    ok(s.died == SIGSYS, "%s: a socket made in place of that read ends it (signal %d)", what, s.died);
    unlink(socket_path);
    s = trace(argv, NULL, SYS_execve);
    ok(s.died == SIGSYS, "%s: a program started in place of that read ends it (signal %d)", what, s.died);
    unlink(socket_path);
}

int main(int argc, char **argv)
{
    char tool[4096], block[4096], nbd[4096], at[4096], dir[] = "/tmp/image-lock-XXXXXX";
    if (argc != 2 || !mkdtemp(dir))
        return 2;
    alarm(60);
    snprintf(tool, sizeof(tool), "%s/bulkhead-img", argv[1]);
    snprintf(block, sizeof(block), "%s/bulkhead-block", argv[1]);
    snprintf(image, sizeof(image), "%s/x.qcow2", dir);
    const char *make[] = {tool, "create", "-q", "-f", "qcow2", image, "1M", NULL};
    trace(make, NULL, -1);
    const char *info[] = {tool, "info", image, NULL}, *copy[] = {tool, "convert", "-O", "raw", image, "/dev/null", NULL};
    const char *look_at[] = {block, "--inspect", "probe", NULL};
    check("bulkhead-img info", info, NULL);
    check("bulkhead-img convert", copy, NULL);
    check("bulkhead-block --inspect", look_at, image);
    snprintf(nbd, sizeof(nbd), "%s/bulkhead-nbd", argv[1]);
    snprintf(at, sizeof(at), "%s/s", dir);
    const char *export[] = {nbd, "-k", at, image, NULL};
    check_server("bulkhead-nbd", export, at);
    unlink(image);
    rmdir(dir);
    return ctest_done();
}
