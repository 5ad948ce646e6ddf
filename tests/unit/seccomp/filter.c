/* SPDX-License-Identifier: Apache-2.0 */
/* Stage 5 in forked children: the filter of every role, the name of a forbidden call, status. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ipc/chan.h"
#include "ipc/log.h"
#include "seccomp/sandbox.h"
#include "tests/lib/ctest.h"

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

static int log_pair[2];

/* A call the compiler knows not to return makes the sanitizer ask for the signal stack first. */
static void leave(int status)
{
    syscall(SYS_exit_group, status);
}

static int wait_end(pid_t pid)
{
    int status = -1;

    waitpid(pid, &status, 0);
    return status;
}

/* Runs fn behind the role's filter; its return value is the exit status. */
static int locked(enum sbx_role role, int (*fn)(void))
{
    const char *step = "";
    pid_t pid;

    fflush(stdout);
    pid = fork();
    if (pid == 0) {
        ipc_log_init(log_pair[1], "child");
        sbx_stage4_setup();
        if (sbx_stage5_lock(role, SBX_REQUIRE, &step) < 0) {
            _exit(99);
        }
        leave(fn());
    }
    return wait_end(pid);
}

static int do_nothing(void)
{
    return 0;
}
static int do_malloc(void)
{
    void *p = malloc(8 << 20);

    memset(p, 1, 8 << 20);
    p = realloc(p, 16 << 20);
    free(p);
    return p ? 0 : 1;
}
static int do_open(void)
{
    return open("/etc/passwd", O_RDONLY) < 0 && errno == ENOENT ? 0 : 1;
}
static int do_fork(void)
{
    return fork() < 0;
}
static int do_socket(void)
{
    return (int)syscall(SYS_socket, 1, 1, 0) < 0;
}
static int do_exec_map(void)
{
    return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED;
}
static int do_int80(void)
{
    long r;

    __asm__ volatile("int $0x80" : "=a"(r) : "a"(20) : "memory", "r8", "r9", "r10", "r11");
    return r < 0;
}
static int do_abort(void)
{
    abort();
}

static bool died_of(int status, int sig)
{
    return WIFSIGNALED(status) && WTERMSIG(status) == sig;
}

static void log_flush(void)
{
    struct ipc_log_record r;

    while (ipc_log_record_recv(log_pair[0], &r) == 1) {
    }
}

static void test_role(enum sbx_role role)
{
    const char *name = sbx_role_name(role);
    struct ipc_log_record r = {.text = ""};
    int status;

    ok(locked(role, do_nothing) == 0, "%s: exits", name);
    ok(locked(role, do_malloc) == 0, "%s: allocates", name);
    ok(died_of(locked(role, do_exec_map), SIGSYS), "%s: executable memory kills", name);
    ok(died_of(locked(role, do_int80), SIGSYS), "%s: the 32-bit way in kills", name);
    if (!SANITIZED) {
        ok(died_of(locked(role, do_abort), SIGABRT), "%s: abort is an abort", name);
    }
    ok(died_of(locked(role, do_socket), SIGSYS), "%s: a unix socket kills", name);
    log_flush();
    status = locked(role, do_fork);
    ok(died_of(status, SIGSYS), "%s: fork kills", name);
    ok(ipc_log_record_recv(log_pair[0], &r) == 1 && strstr(r.text, "forbidden system call clone (nr 56)"),
       "%s: and is named: %s", name, r.text);
    if (role != SBX_VMM && role != SBX_CLERK) { /* those open files: it is their work */
        ok(locked(role, do_open) == 0, "%s: open finds nothing", name);
    }
}

static void *thread_socket(void *arg)
{
    pthread_barrier_wait(arg);
    syscall(SYS_socket, 1, 1, 0);
    return NULL;
}

static int threads_run(void)
{
    static pthread_barrier_t barrier;
    const char *step;
    pthread_t t;

    pthread_barrier_init(&barrier, NULL, 2);
    pthread_create(&t, NULL, thread_socket, &barrier);
    if (sbx_stage5_lock(SBX_BLOCK, SBX_REQUIRE, &step) < 0) {
        return 99;
    }
    pthread_barrier_wait(&barrier);
    for (;;) {
        pause(); /* forbidden as well; either thread may die first */
    }
}

static void test_threads(void)
{
    pid_t pid;

    fflush(stdout);
    pid = fork();
    if (pid == 0) {
        ipc_log_init(log_pair[1], "child");
        _exit(threads_run());
    }
    ok(died_of(wait_end(pid), SIGSYS), "threads started before the lock are behind it");
}

static void test_status(void)
{
    struct sbx_status st;
    const char *step = "";
    char c;
    int up[2], down[2];
    pid_t pid;

    ok(pipe(up) == 0 && pipe(down) == 0 && sbx_status_read(getpid(), &st) == 0 && st.seccomp == 0 &&
           st.uid == geteuid(), "status of ourselves");
    pid = fork();
    if (pid == 0) {
        close(down[1]);
        sbx_stage5_lock(SBX_UI, SBX_REQUIRE, &step);
        leave(write(up[1], "x", 1) == 1 && read(down[0], &c, 1) == 0 ? 0 : 1);
    }
    ok(read(up[0], &c, 1) == 1 && sbx_status_read(pid, &st) == 0 && st.seccomp == 2 && st.no_new_privs == 1,
       "status of a locked process");
    close(down[1]);
    ok(wait_end(pid) == 0, "which goes on");
    ok(sbx_status_read(0x7ffffff0, &st) < 0, "status of nobody");
}

int main(void)
{
    enum sbx_mode m;
    const char *step;

    if (ipc_chan_pair(log_pair) < 0) {
        return 1;
    }
    for (int role = 0; role < SBX_ROLES; role++) {
        if (role != SBX_SPAWNER) {
            test_role((enum sbx_role)role);
        }
    }
    test_threads();
    test_status();
    ok(sbx_mode_parse("reduced", &m) == 0 && m == SBX_REDUCED && sbx_mode_parse("on", &m) == -EINVAL, "modes");
    ok(sbx_stage5_lock(SBX_UI, SBX_OFF, &step) == 0 && prctl(PR_GET_SECCOMP) == 0, "off is off");
    ok(!strcmp(sbx_syscall_name(SYS_execve), "execve") && !strcmp(sbx_syscall_name(99999), "unknown") &&
       !strcmp(sbx_syscall_name(-1), "unknown"), "names of calls");
    return ctest_done();
}
