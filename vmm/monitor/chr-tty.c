/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The user's terminal: raw while the guest uses it, as it was when the emulator ends, crashes
 * included. Must never leave a shell without echo.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>
#include "vmm/monitor/chr.h"

static struct termios saved;
static int tty_fd = -1;

/* Also called from a signal handler: only tcsetattr, which is async-signal-safe.
 * #syscalls:vmm ioctl */
void tty_restore(void)
{
    int fd = tty_fd;

    if (fd < 0)
        return;
    tty_fd = -1;
    tcsetattr(fd, TCSANOW, &saved);
}

/* SA_RESETHAND: the signal, raised again, has its ordinary effect.
 * #syscalls:vmm rt_sigreturn rt_sigprocmask gettid getpid tgkill */
static void on_crash(int sig)
{
    tty_restore();
    raise(sig);
}

static void catch_crashes(void)
{
    static const int fatal[] = {SIGABRT, SIGSEGV, SIGBUS, SIGILL, SIGFPE};
    struct sigaction sa = {.sa_handler = on_crash, .sa_flags = (int)SA_RESETHAND};

    sigemptyset(&sa.sa_mask);
    for (unsigned i = 0; i < sizeof(fatal) / sizeof(fatal[0]); i++)
        sigaction(fatal[i], &sa, NULL);
}

void tty_raw(int fd, bool signals)
{
    struct termios raw;

    if (tcgetattr(fd, &saved))
        return;
    raw = saved;
    raw.c_iflag &= ~(tcflag_t)(IGNBRK | BRKINT | PARMRK | ISTRIP | INLCR | IGNCR | ICRNL | IXON);
    raw.c_lflag &= ~(tcflag_t)(ECHO | ECHONL | ICANON | IEXTEN);
    if (!signals)
        raw.c_lflag &= ~(tcflag_t)ISIG;
    raw.c_oflag |= OPOST; /* log lines go to the same screen */
    raw.c_cflag = (raw.c_cflag & ~(tcflag_t)(CSIZE | PARENB)) | CS8;
    raw.c_cc[VMIN] = 1;
    raw.c_cc[VTIME] = 0;
    if (tcsetattr(fd, TCSANOW, &raw))
        return;
    tty_fd = fd;
    atexit(tty_restore);
    catch_crashes();
}
