/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signals of the vmm: the polite ones end the VM in an orderly way, the fatal ones at least leave
 * the terminal usable. Must never do anything in a signal handler that is not async-signal-safe.
 */
#include <errno.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>
#include "vmm/lifecycle.h"
#include "vmm/process.h"

static struct termios tty;
static bool have_tty;
static unsigned polite_signals;

/* #syscalls:vmm read */
static void on_signal(void *opaque, int fd, uint32_t events)
{
    struct vm *vm = opaque;
    struct signalfd_siginfo si;

    (void)events;
    if (read(fd, &si, sizeof(si)) != (ssize_t)sizeof(si))
        return;
    if (polite_signals++ > 0) { /* asked twice: do not wait for anybody */
        vm->exit_status = 1;
        vm->loop.quit = true;
        return;
    }
    log_info("terminating on signal %u", si.ssi_signo);
    lifecycle_end(vm, 0, false, "host-signal");
}

/* SA_RESETHAND put the default action back, so returning repeats the fault and ends the process.
 * #syscalls:vmm ioctl rt_sigreturn tgkill gettid getpid */
static void on_fatal(int sig)
{
    if (have_tty)
        tcsetattr(STDIN_FILENO, TCSANOW, &tty);
    if (sig == SIGABRT)
        return; /* abort() raises it again itself */
}

static int install_fatal(void)
{
#if !defined(__SANITIZE_ADDRESS__)
    static const int fatal[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT};
    struct sigaction sa = {.sa_handler = on_fatal};

    sa.sa_flags = (int)SA_RESETHAND;
    for (unsigned i = 0; i < sizeof(fatal) / sizeof(fatal[0]); i++)
        if (sigaction(fatal[i], &sa, NULL) < 0)
            return -errno;
#endif
    return 0;
}

/* A key on the terminal reaches every process of the foreground group. Only the vmm may react to
 * it: a spawner that dies of Ctrl-C takes the VM along before anything was flushed. Ignored stays
 * ignored across exec. */
void signals_shield(bool on)
{
    static const int keys[] = {SIGINT, SIGQUIT, SIGHUP};

    for (unsigned i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
        signal(keys[i], on ? SIG_IGN : SIG_DFL);
}

int signals_init(struct vm *vm)
{
    sigset_t set;
    int fd;

    have_tty = tcgetattr(STDIN_FILENO, &tty) == 0;
    if (signal(SIGPIPE, SIG_IGN) == SIG_ERR || install_fatal() < 0)
        return -errno;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGQUIT);
    if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
        return -errno;
    fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return fd < 0 ? -errno : ipc_loop_add(&vm->loop, fd, EPOLLIN, on_signal, vm);
}
