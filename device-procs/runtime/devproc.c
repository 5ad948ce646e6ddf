/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of a child process: bootstrap, device set-up, stages 4 and 5, READY, heartbeat, end. Knows no
 * device; serves nothing before the system-call filter is on.
 */
#include "device-procs/runtime/devproc.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "device-procs/runtime/bootstrap.h"
#include "ipc/chan.h"
#include "ipc/fds.h"
#include "seccomp/isolate.h"

#define MESSAGES_PER_EVENT 16
#define MESSAGE_FDS        4
#define SEND_WAIT_MS       1000

static struct devproc the_process; /* one per program, too large for a stack */
static int exit_status;

int devproc_fd(const Ctl__Boot *boot, const int *fds, unsigned nfds, Ctl__FdKind kind, unsigned index)
{
    for (unsigned i = 0; i < nfds && i < boot->n_fds; i++) {
        const Ctl__Fd *f = boot->fds[i];

        if (f->kind == kind && (f->has_index ? f->index : 0) == index) {
            return fds[i];
        }
    }
    return -1;
}

void devproc_event(struct devproc *p, const char *name, const char *fmt, ...)
{
    Ctl__DeviceEvent ev = CTL__DEVICE_EVENT__INIT;
    char detail[512];
    va_list ap;
    int err;

    va_start(ap, fmt);
    vsnprintf(detail, sizeof(detail), fmt, ap);
    va_end(ap);
    ev.name = (char *)name;
    ev.detail = detail;
    err = ctl_send(&p->ctl, CTL_DEVICE_EVENT, &ev, NULL, 0, 0);
    if (err < 0) {
        log_warn("event %s lost: %s", name, strerror(-err));
    }
}

static void devproc_end(struct devproc *p, int status)
{
    exit_status = status;
    p->loop.quit = true;
}

static int pong_send(struct devproc *p, const Ctl__Ping *ping)
{
    Ctl__Pong pong = CTL__PONG__INIT;

    pong.seq = ping->seq;
    return ctl_send(&p->ctl, CTL_PONG, &pong, NULL, 0, SEND_WAIT_MS);
}

static int message_pass(struct devproc *p, enum ctl_msg type, ProtobufCMessage *msg, int *fds, unsigned nfds)
{
    if (p->ops->message_fds) {
        return p->ops->message_fds(p, type, msg, fds, nfds);
    }
    ipc_fds_close(fds, nfds);
    return p->ops->message && !nfds ? p->ops->message(p, type, msg) : -EPROTO;
}

static void message_handle(struct devproc *p, enum ctl_msg type, ProtobufCMessage *msg, int *fds, unsigned nfds)
{
    int err;

    switch (type) {
    case CTL_PING:
        err = pong_send(p, (const Ctl__Ping *)msg);
        break;
    case CTL_SHUTDOWN:
        devproc_end(p, DEVPROC_EXIT_OK);
        return;
    default:
        err = message_pass(p, type, msg, fds, nfds);
        break;
    }
    if (err < 0) {
        log_error("control message %s: %s", ctl_msg_name(type), strerror(-err));
        devproc_end(p, DEVPROC_EXIT_PEER);
    }
}

static void ctl_readable(void *opaque, int fd, uint32_t events)
{
    struct devproc *p = opaque;

    (void)fd;
    (void)events;
    for (int i = 0; i < MESSAGES_PER_EVENT && !p->loop.quit; i++) {
        ProtobufCMessage *msg;
        enum ctl_msg type;
        int fds[MESSAGE_FDS];
        unsigned nfds = p->ops->message_fds ? MESSAGE_FDS : 0;
        int r = ctl_recv(&p->ctl, &type, &msg, fds, &nfds, 0);

        if (r == -EAGAIN) {
            return;
        }
        if (r == 1) {
            message_handle(p, type, msg, fds, nfds);
        } else {
            devproc_end(p, r == 0 ? DEVPROC_EXIT_OK : DEVPROC_EXIT_PEER);
        }
    }
}

/* #syscalls:child read */
static void signal_readable(void *opaque, int fd, uint32_t events)
{
    struct signalfd_siginfo si;

    (void)events;
    if (read(fd, &si, sizeof(si)) == sizeof(si)) {
        devproc_end(opaque, DEVPROC_EXIT_OK);
    }
}

/* SIGTERM becomes an event of the loop. Blocked in every thread started later: only the loop sees it.
 * The first process of a pid namespace would otherwise ignore it. */
static int signals_init(struct devproc *p)
{
    sigset_t set;
    int fd;

    signal(SIGPIPE, SIG_IGN);
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    if (sigprocmask(SIG_BLOCK, &set, NULL) < 0) {
        return -errno;
    }
    fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (fd < 0) {
        return -errno;
    }
    return ipc_loop_add(&p->loop, fd, EPOLLIN, signal_readable, p);
}

static int loop_init(struct devproc *p)
{
    int err = ipc_loop_init(&p->loop);

    if (!err) {
        err = signals_init(p);
    }
    if (!err) {
        err = ipc_loop_add(&p->loop, CTL_FD, EPOLLIN, ctl_readable, p);
    }
    if (err) {
        log_error("event loop: %s", strerror(-err));
    }
    return err;
}

static int ready_send(struct devproc *p, uint32_t stages)
{
    Ctl__Ready ready = CTL__READY__INIT;
    int err;

    ready.stages = stages;
    ready.detail = p->sandbox == SBX_OFF ? (char *)"system-call filter off" : (char *)"";
    err = ctl_send(&p->ctl, CTL_READY, &ready, NULL, 0, SEND_WAIT_MS);
    p->ctl.state = CTL_ST_RUNNING;
    return err;
}

/* Stages 4 and 5, then READY. 0 or the exit status. */
static int devproc_lock(struct devproc *p, uint32_t stages)
{
    const char *step = "";
    int err;

    sbx_stage4_setup();
    err = sbx_stage5_lock(p->sbx, p->sandbox, &step);
    if (err < 0) {
        log_error("sandbox stage 5, %s: %s", step, strerror(-err));
        return DEVPROC_EXIT_SANDBOX;
    }
    stages |= SBX_STAGE_4 | (p->sandbox == SBX_OFF ? 0 : SBX_STAGE_5);
    if (p->ops->started && p->ops->started(p) < 0) {
        return DEVPROC_EXIT_BOOT;
    }
    err = ready_send(p, stages);
    if (err < 0) {
        log_error("READY: %s", strerror(-err));
        return DEVPROC_EXIT_PEER;
    }
    return 0;
}

static int devproc_boot(struct devproc *p, uint32_t stages)
{
    int fds[IPC_CHAN_FDS_MAX];
    unsigned nfds = IPC_CHAN_FDS_MAX;
    const Ctl__Boot *boot = NULL;
    int status = bootstrap_receive(p, &boot, fds, &nfds);

    if (status) {
        return status;
    }
    if (loop_init(p) < 0 || p->ops->setup(p, boot, fds, nfds) < 0) {
        return DEVPROC_EXIT_BOOT;
    }
    return devproc_lock(p, stages);
}

int devproc_main(int argc, char **argv, const struct devproc_ops *ops, void *opaque)
{
    struct devproc *p = &the_process;
    uint32_t stages = 0;
    int status = bootstrap_args(argc, argv, ops);

    if (status >= 0) {
        return status;
    }
    (void)prctl(PR_SET_NAME, ops->program, 0, 0, 0); /* exec by descriptor left a number there */
    p->ops = ops;
    p->sbx = ops->sbx;
    p->opaque = opaque;
    ipc_log_init(ipc_fd_is_socket(CTL_LOG_FD, AF_UNIX, SOCK_SEQPACKET) ? CTL_LOG_FD : -1, ops->program);
    status = sbx_stage3_finish(&stages);
    if (status < 0) {
        log_error("sandbox stage 3: the spawner did not finish it: %s", strerror(-status));
        return DEVPROC_EXIT_SANDBOX;
    }
    ctl_peer_init(&p->ctl, CTL_FD, CTL_TO_CHILD, 0);
    status = devproc_boot(p, stages);
    if (status) {
        return status;
    }
    status = ipc_loop_run(&p->loop);
    if (status < 0) {
        log_error("event loop: %s", strerror(-status));
        return DEVPROC_EXIT_BOOT;
    }
    if (ops->shutdown) {
        ops->shutdown(p);
    }
    return exit_status;
}
