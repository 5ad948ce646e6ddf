/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One incarnation of a child from START to the moment it is condemned: channels, descriptors,
 * deadlines. Must never decide whether there will be a successor (burial.c does).
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "ipc/chan.h"
#include "vmm/supervise/report.h"

/* A dying process closes its sockets a moment before it is dead. So a hang-up is not taken for a
 * crime until this long after it. */
#define HANGUP_GRACE_NS 100000000ull

static void drop_fd(struct child *c, int *fd)
{
    if (*fd < 0)
        return;
    ipc_loop_del(&c->sup->vm->loop, *fd);
    close(*fd);
    *fd = -1;
}

static void drop_plain_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/* #syscalls:vmm close epoll_ctl */
void incarnation_close(struct child *c)
{
    drop_fd(c, &c->ctl_fd);
    drop_fd(c, &c->pidfd);
    drop_fd(c, &c->log_fd);
    drop_plain_fd(&c->status_fd);
    drop_plain_fd(&c->image_fd);
    drop_plain_fd(&c->vu_fd);
}

static void incarnation_reset(struct child *c)
{
    c->generation++;
    c->pid = 0;
    c->stages = 0;
    c->hello_seen = c->boot_sent = c->was_ready = c->backend_up = c->error_held = false;
    c->cause = c->suspect = CAUSE_NONE;
    c->ping_seq = c->pong_seq = 0;
    c->missed = 0;
    c->first_error[0] = c->last_line[0] = '\0';
    c->started_ns = ipc_now_ns();
    c->ready_ns = c->lost_ns = 0;
}

static void on_ctl(void *opaque, int fd, uint32_t events)
{
    (void)fd;
    (void)events;
    sup_child_receive(opaque);
}

static void on_log(void *opaque, int fd, uint32_t events)
{
    struct child *c = opaque;

    (void)fd;
    child_log_read(c);
    if ((events & (EPOLLHUP | EPOLLERR)) && !(events & EPOLLIN))
        drop_fd(c, &c->log_fd);
}

static void on_pidfd(void *opaque, int fd, uint32_t events)
{
    struct child *c = opaque;

    (void)fd;
    (void)events;
    drop_fd(c, &c->pidfd);
    sup_child_lose(c, CAUSE_NONE, NULL);
}

static int watch_channels(struct child *c, int ctl_fd, int log_fd)
{
    struct ipc_loop *l = &c->sup->vm->loop;
    int r;

    c->ctl_fd = ctl_fd;
    c->log_fd = log_fd;
    ctl_peer_init(c->ctl, ctl_fd, CTL_TO_VMM, c->generation);
    r = ipc_loop_add(l, ctl_fd, EPOLLIN, on_ctl, c);
    return r < 0 ? r : ipc_loop_add(l, log_fd, EPOLLIN, on_log, c);
}

/* #syscalls:vmm socketpair sendmsg close */
static int open_and_ask(struct child *c)
{
    int ctl[2], log[2], r = ipc_chan_pair(ctl);

    if (r < 0)
        return r;
    r = ipc_chan_pair(log);
    if (r < 0) {
        close(ctl[0]);
        close(ctl[1]);
        return r;
    }
    r = watch_channels(c, ctl[0], log[0]);
    if (r == 0)
        r = spawn_client_start_role(&c->sup->spawn, c->role, c->generation, ctl[1], log[1]);
    close(ctl[1]);
    close(log[1]);
    return r;
}

void sup_child_start(struct child *c)
{
    int r;

    if (!child_move(c, CEV_START))
        return;
    incarnation_reset(c);
    if (c->generation > 1)
        c->restarts++;
    ipc_timer_set(&c->timer, c->started_ns + SUP_SPAWN_DEADLINE_NS);
    r = open_and_ask(c);
    if (r < 0) {
        sup_child_lose(c, CAUSE_SPAWN, strerror(-r));
        sup_child_bury(c, 0, false);
    }
}

/* The spawner's answer: the process exists. fds: pidfd, then the role's file if it has one, then
 * (where the spawner offers it) /proc/PID/status, opened before anything was locked. */
static void take_started_fds(struct child *c, int *fds, unsigned nfds)
{
    unsigned i = 0;

    if (i < nfds)
        c->pidfd = fds[i++];
    if (i < nfds && c->sup->splan.role[c->role].file >= 0)
        c->image_fd = fds[i++];
    if (i < nfds)
        c->status_fd = fds[i++];
    while (i < nfds)
        close(fds[i++]);
}

/* The other end of a device's vhost-user socket exists only in BOOT's SCM_RIGHTS. */
static int boot_device(struct child *c)
{
    int sv[2], r;

    if (c->program != SPAWN_BLOCK && c->program != SPAWN_NET && c->program != SPAWN_SCSI)
        return boot_send(c, -1);
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, sv) < 0)
        return -errno;
    r = boot_send(c, sv[1]);
    close(sv[1]);
    c->vu_fd = sv[0];
    /* The image belongs to the child alone: the block fence is a lock on this open file
     * description, and it must fall when that process dies. */
    drop_plain_fd(&c->image_fd);
    return r;
}

void sup_child_started(struct child *c, const struct spawn_event *ev, int *fds, unsigned nfds)
{
    int r;

    take_started_fds(c, fds, nfds);
    c->pid = ev->pid;
    c->uid = ev->uid;
    c->layers = ev->layers;
    if (c->status_fd < 0)
        c->status_fd = report_open_child(ev->pid);
    if (!child_move(c, CEV_STARTED))
        return;
    ipc_timer_set(&c->timer, ipc_now_ns() + SUP_HANDSHAKE_DEADLINE_NS);
    r = c->pidfd < 0 ? -EBADF : ipc_loop_add(&c->sup->vm->loop, c->pidfd, EPOLLIN, on_pidfd, c);
    if (r == 0)
        r = boot_device(c);
    if (r < 0) {
        sup_child_lose(c, r == -EPIPE ? CAUSE_NONE : CAUSE_PROTOCOL, strerror(-r));
        return;
    }
    c->boot_sent = true;
    sup_child_boot_state(c);
}

static void kill_child(struct child *c, int sig)
{
    spawn_client_kill(&c->sup->spawn, c->role, c->generation, sig);
}

/* A child that only hung up, on the vmm or on its front end, is probably in the middle of dying:
 * let its own cause of death be seen. */
static void condemn(struct child *c, enum child_cause cause)
{
    uint64_t now = ipc_now_ns();

    c->cause = cause;
    if (cause == CAUSE_NONE || cause == CAUSE_BACKEND) {
        c->cause = CAUSE_NONE;
        c->suspect = cause == CAUSE_BACKEND ? cause : CAUSE_PROTOCOL;
        ipc_timer_set(&c->timer, now + HANGUP_GRACE_NS);
    } else if (c->cause == CAUSE_HANG) {
        kill_child(c, SIGABRT);
        ipc_timer_set(&c->timer, now + SUP_ABORT_GRACE_NS);
    } else if (c->cause != CAUSE_SPAWN) {
        kill_child(c, SIGKILL);
        ipc_timer_set(&c->timer, now + SUP_ABORT_GRACE_NS);
    } else {
        ipc_timer_set(&c->timer, 0);
    }
}

/* Whoever notices first, a front end whose request failed or the loop, a process that is dead
 * already died of its own cause. #syscalls:vmm poll */
static bool is_dead(const struct child *c)
{
    struct pollfd p = {.fd = c->pidfd, .events = POLLIN};

    return c->pidfd >= 0 && poll(&p, 1, 0) == 1;
}

/* Whoever typed through a ui-proc that is gone holds no key any more. #syscalls:vmm write */
static void release_keys(struct vm *vm)
{
    uint64_t one = 1;

    if (!vm->page)
        return;
    __atomic_fetch_add(&vm->page->input_release, 1, __ATOMIC_SEQ_CST);
    (void)!write(vm->doorbell_worker, &one, sizeof(one));
}


void sup_child_lose(struct child *c, enum child_cause cause, const char *why)
{
    if (c->state == CHILD_STOPPING) {
        drop_fd(c, &c->ctl_fd);
        return;
    }
    if (!child_alive(c))
        return;
    if (is_dead(c))
        cause = CAUSE_NONE;
    else if (why && cause != CAUSE_BACKEND)
        log_warn("%s#%u: %s", c->tag, c->generation, why);
    snprintf(c->why, sizeof(c->why), "%s", why ? why : "closed its control channel");
    child_move(c, CEV_LOST);
    c->lost_ns = ipc_now_ns();
    drop_fd(c, &c->ctl_fd);
    drop_fd(c, &c->pidfd);
    drop_plain_fd(&c->vu_fd);
    if (c->backend_up)
        machine_backend_down(c->sup->vm, c->id);
    c->backend_up = false;
    if (c->program == SPAWN_UI)
        release_keys(c->sup->vm);
    condemn(c, cause);
}

static void kill_again(struct child *c)
{
    if (c->cause == CAUSE_NONE) {
        c->cause = c->suspect;
        log_warn("%s#%u: %s", c->tag, c->generation, c->why);
    }
    kill_child(c, SIGKILL);
    ipc_timer_set(&c->timer, ipc_now_ns() + SUP_STOP_DEADLINE_NS);
}

void sup_child_deadline(void *opaque)
{
    struct child *c = opaque;

    switch (c->state) {
    case CHILD_SPAWNING:
        sup_child_lose(c, CAUSE_HANG, "was not started in time");
        break;
    case CHILD_HANDSHAKE:
        sup_child_lose(c, CAUSE_HANG, "was not ready in time");
        break;
    case CHILD_DEAD:
        kill_again(c);
        break;
    case CHILD_BACKOFF:
        sup_child_start(c);
        break;
    case CHILD_STOPPING:
        log_warn("%s#%u does not end: killed", c->tag, c->generation);
        kill_child(c, SIGKILL);
        ipc_timer_set(&c->timer, ipc_now_ns() + SUP_STOP_DEADLINE_NS);
        break;
    default:
        break;
    }
}
