/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tap of a netdev: an interface by name, one that was handed over, or one a bridge helper makes. Runs the
 * user's script and helper; must never configure an interface itself.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include "ipc/chan.h"
#include "vmm/config/net.h"

#define DEFAULT_SCRIPT "/etc/qemu-ifup"
#define DEFAULT_HELPER "/usr/lib/qemu/qemu-bridge-helper"
#define HELPER_WAIT_MS 10000

struct complaint {
    char *err;
    size_t len;
};

static int __attribute__((format(printf, 2, 3))) complain(const struct complaint *e, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(e->err, e->len, fmt, ap);
    va_end(ap);
    return -1;
}

static int complain_fd(int fd, const struct complaint *e, const char *what)
{
    complain(e, "%s: %s", what, strerror(errno));
    close(fd);
    return -1;
}

/* Flags of a tap that is already configured: frames, no packet information, virtio headers. */
static int tap_check(int fd, const struct complaint *e)
{
    struct ifreq ifr = {0};

    if (ioctl(fd, TUNGETIFF, &ifr) < 0)
        return complain(e, "descriptor %d is not a tap: %s", fd, strerror(errno));
    if ((ifr.ifr_flags & (IFF_TAP | IFF_NO_PI | IFF_VNET_HDR)) != (IFF_TAP | IFF_NO_PI | IFF_VNET_HDR))
        return complain(e, "descriptor %d must be a tap with IFF_NO_PI and IFF_VNET_HDR", fd);
    if (fcntl(fd, F_SETFD, FD_CLOEXEC) || fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK))
        return complain(e, "descriptor %d: %s", fd, strerror(errno));
    return fd;
}

static int tap_attach(struct plan_net *n, const struct complaint *e)
{
    struct ifreq ifr = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};
    int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);

    if (fd < 0)
        return complain(e, "cannot open /dev/net/tun: %s", strerror(errno));
    memcpy(ifr.ifr_name, n->ifname, sizeof(n->ifname));
    if (ioctl(fd, TUNSETIFF, &ifr) < 0) {
        if (errno == EPERM)
            complain(e, "may not use or make the interface '%s' (make it for this user first: ip tuntap add "
                        "mode tap user NAME, or give an open one with fd=)",
                     n->ifname[0] ? n->ifname : "tap%d");
        else
            complain(e, "cannot use the interface '%s': %s", n->ifname, strerror(errno));
        close(fd);
        return -1;
    }
    memcpy(n->ifname, ifr.ifr_name, sizeof(n->ifname));
    return fd;
}

/* Waits for a program of the user's. Its exit status, -1: it did not end by itself. */
static int program_wait(pid_t pid)
{
    int status = 0;

    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int script_run(const struct plan_net *n, const struct complaint *e)
{
    const char *script = n->script[0] ? n->script : DEFAULT_SCRIPT;
    pid_t pid;
    int status;

    if (!strcmp(script, "no"))
        return 0;
    if (access(script, X_OK))
        return complain(e, "cannot run the script '%s': %s (script=no: none is needed)", script, strerror(errno));
    fflush(NULL);
    pid = fork();
    if (pid < 0)
        return complain(e, "cannot run the script '%s': %s", script, strerror(errno));
    if (pid == 0) {
        execl(script, script, n->ifname, (char *)NULL);
        _exit(127);
    }
    status = program_wait(pid);
    return status ? complain(e, "the script '%s %s' failed with status %d", script, n->ifname, status) : 0;
}

/* The helper sends the tap over a unix socket it is given by number. */
static int helper_receive(int sv, const struct complaint *e, const char *helper)
{
    char byte;
    int fd = -1;
    unsigned nfds = 1;
    ssize_t r = ipc_chan_recv(sv, &byte, sizeof(byte), &fd, &nfds, HELPER_WAIT_MS);

    if (r <= 0 || nfds != 1)
        return complain(e, "the helper '%s' sent no tap", helper);
    return fd;
}

static int helper_run(struct plan_net *n, const struct complaint *e)
{
    const char *helper = n->helper[0] ? n->helper : DEFAULT_HELPER;
    char fd_arg[24], br_arg[32];
    int sv[2], fd, status;
    pid_t pid;

    if (access(helper, X_OK))
        return complain(e, "cannot run the bridge helper '%s': %s", helper, strerror(errno));
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, sv))
        return complain(e, "bridge helper: %s", strerror(errno));
    snprintf(fd_arg, sizeof(fd_arg), "--fd=%d", sv[1]);
    snprintf(br_arg, sizeof(br_arg), "--br=%s", n->br[0] ? n->br : "br0");
    fflush(NULL);
    pid = fork();
    if (pid == 0) {
        close(sv[0]);
        execl(helper, helper, "--use-vnet", fd_arg, br_arg, (char *)NULL);
        _exit(127);
    }
    close(sv[1]);
    fd = pid < 0 ? complain(e, "bridge helper: %s", strerror(errno)) : helper_receive(sv[0], e, helper);
    close(sv[0]);
    status = pid > 0 ? program_wait(pid) : 0;
    if (status) {
        if (fd >= 0)
            close(fd);
        return complain(e, "the helper '%s %s' failed with status %d", helper, br_arg, status);
    }
    return fd < 0 ? -1 : tap_check(fd, e);
}

int net_tap_open(struct plan_net *n, char *err, size_t errlen)
{
    const struct complaint e = {err, errlen};
    int fd, sndbuf = (int)(n->sndbuf > INT32_MAX ? INT32_MAX : n->sndbuf);

    if (n->given_fd)
        return tap_check(n->given_fd, &e);
    if (n->helper[0] || !strcmp(n->type, "bridge"))
        return helper_run(n, &e);
    fd = tap_attach(n, &e);
    if (fd >= 0 && sndbuf && ioctl(fd, TUNSETSNDBUF, &sndbuf) < 0)
        return complain_fd(fd, &e, "sndbuf=");
    if (fd >= 0 && script_run(n, &e)) {
        close(fd);
        return -1;
    }
    return fd;
}
