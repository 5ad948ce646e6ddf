/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The spawner's loop: requests of the vmm, ends of children, last part of stage 3. A request that breaks
 * the protocol ends the virtual machine; nothing outlives the channel.
 */
#include "vmm/spawner/spawner.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ipc/chan.h"
#include "ipc/fds.h"
#include "ipc/log.h"
#include "ipc/loop.h"
#include "seccomp/isolate.h"

#define EVENT_WAIT_MS   5000
#define END_WAIT_MS     5000
#define LIVE_PER_ROLE   2
#define POLL_MAX        (1 + 2 * SP_CHILDREN)

static uint32_t child_uid(const struct spawner *sp, unsigned role)
{
    return sp->layers & SPAWN_LAYER_UID ? sp->uid_base + 1 + role : (uint32_t)geteuid();
}

static struct spawn_event event_make(const struct spawner *sp, const struct sp_child *c, uint32_t kind)
{
    struct spawn_event ev = {.kind = kind, .role = c->role, .generation = c->generation,
                             .pid = c->pid, .uid = child_uid(sp, c->role), .layers = sp->layers};

    if (sp->plan.role[c->role].host_net) {
        ev.layers &= ~SPAWN_LAYER_NET;
    }
    return ev;
}

/* False: the vmm is gone or does not read. */
static bool event_send(struct spawner *sp, const struct spawn_event *ev, const int *fds, unsigned n)
{
    return ipc_chan_send(sp->fd, ev, sizeof(*ev), fds, n, EVENT_WAIT_MS) == 0;
}

static void child_close(struct sp_child *c)
{
    int fds[4] = {c->pidfd, c->mnt_fd, c->world_fd, c->file_fd};

    ipc_fds_close(fds, 4);
    c->used = false;
}

static void failure_set(struct sp_child *c, int error, const char *where)
{
    if (c->failure.status == 0) {
        c->failure.status = error ? error : EIO;
        snprintf(c->failure.text, sizeof(c->failure.text), "%s: %s", where, strerror(c->failure.status));
    }
}

/* The child is loaded: its root is emptied, the vmm told, the child let go on, in this order. */
static bool child_release(struct spawner *sp, struct sp_child *c)
{
    unsigned char stages = sp->plan.sandbox == SPAWN_SBX_OFF ? SBX_STAGE_1 : SBX_STAGE_1 | SBX_STAGE_2;
    struct spawn_event ev = event_make(sp, c, SPAWN_EV_STARTED);
    int fds[2] = {c->pidfd, c->file_fd};
    const char *step = "";
    int err = c->mnt_fd >= 0 ? sbx_stage3_world(c->mnt_fd, sp->own_mnt_fd, &step) : 0;

    if (err < 0) {
        failure_set(c, -err, step);
        (void)ipc_pidfd_kill(c->pidfd, SIGKILL);
        return true;
    }
    stages |= c->mnt_fd >= 0 ? SBX_STAGE_3 : 0;
    c->started = true;
    if (!event_send(sp, &ev, fds, c->file_fd >= 0 ? 2 : 1)) {
        return false;
    }
    (void)send(c->world_fd, &stages, 1, MSG_DONTWAIT | MSG_NOSIGNAL);
    ipc_fds_close(&c->mnt_fd, 1);
    ipc_fds_close(&c->file_fd, 1);
    ipc_fds_close(&c->world_fd, 1);
    return true;
}

/* 'L', or what went wrong before exec. Anything else is not our program: it ends. */
static bool world_readable(struct spawner *sp, struct sp_child *c)
{
    struct sp_failure f = {0};
    ssize_t n = ipc_chan_recv(c->world_fd, &f, sizeof(f), NULL, NULL, 0);

    if (n == 1 && *(const char *)&f == 'L') {
        return child_release(sp, c);
    }
    if (n == -EAGAIN) {
        return true;
    }
    if (n == sizeof(f)) {
        f.step[sizeof(f.step) - 1] = '\0';
        ipc_log_text_clean(f.step, strlen(f.step));
        failure_set(c, f.error, f.step);
    }
    ipc_fds_close(&c->world_fd, 1);
    (void)ipc_pidfd_kill(c->pidfd, SIGKILL);
    return true;
}

static int wait_status(const siginfo_t *si)
{
    switch (si->si_code) {
    case CLD_EXITED:
        return (si->si_status & 0xff) << 8;
    case CLD_DUMPED:
        return (si->si_status & 0x7f) | 0x80;
    default:
        return si->si_status & 0x7f;
    }
}

/* The process is dead: tell the vmm how. A child that never said it was loaded did not start. */
static bool child_ended(struct spawner *sp, struct sp_child *c)
{
    struct spawn_event ev = event_make(sp, c, c->started ? SPAWN_EV_EXITED : SPAWN_EV_FAILED);
    siginfo_t si = {0};

    if (waitid(P_PIDFD, (id_t)c->pidfd, &si, WEXITED | WNOHANG) < 0 || si.si_pid == 0) {
        return true;
    }
    ev.status = wait_status(&si);
    if (!c->started) {
        char how[64];

        if (WIFSIGNALED(ev.status)) {
            snprintf(how, sizeof(how), "killed by signal %d before it was loaded", WTERMSIG(ev.status));
        } else {
            snprintf(how, sizeof(how), "exit status %d before it was loaded", WEXITSTATUS(ev.status));
        }
        failure_set(c, EIO, how);
        ev.status = c->failure.status;
        memcpy(ev.text, c->failure.text, sizeof(ev.text));
    }
    child_close(c);
    return event_send(sp, &ev, NULL, 0);
}

static struct sp_child *child_slot(struct spawner *sp, unsigned role)
{
    struct sp_child *free_slot = NULL;
    unsigned live = 0;

    for (unsigned i = 0; i < SP_CHILDREN; i++) {
        struct sp_child *c = &sp->child[i];

        live += c->used && c->role == role;
        free_slot = c->used || free_slot ? free_slot : c;
    }
    return live < LIVE_PER_ROLE ? free_slot : NULL;
}

static bool request_start(struct spawner *sp, const struct spawn_request *rq, const int *fds)
{
    struct sp_child *c = child_slot(sp, rq->role), none = {.role = rq->role, .generation = rq->generation};
    const char *step = "too many incarnations";
    struct spawn_event ev;
    int err = -EBUSY;

    sp->last_generation[rq->role] = rq->generation;
    if (c) {
        memset(c, 0, sizeof(*c));
        c->role = rq->role;
        c->generation = rq->generation;
        err = sp_child_start(sp, c, fds[0], fds[1], &step);
        c->used = err == 0;
    }
    if (!err) {
        return true;
    }
    ev = event_make(sp, &none, SPAWN_EV_FAILED);
    ev.status = -err;
    snprintf(ev.text, sizeof(ev.text), "%s: %s", step, strerror(-err));
    return event_send(sp, &ev, NULL, 0);
}

static void request_kill(struct spawner *sp, const struct spawn_request *rq)
{
    for (unsigned i = 0; i < SP_CHILDREN; i++) {
        struct sp_child *c = &sp->child[i];

        if (c->used && c->role == rq->role && c->generation == rq->generation) {
            (void)ipc_pidfd_kill(c->pidfd, (int)rq->arg);
        }
    }
}

static bool request_ok(const struct spawner *sp, const struct spawn_request *rq, unsigned nfds)
{
    if (rq->role >= sp->plan.roles) {
        return false;
    }
    switch (rq->op) {
    case SPAWN_OP_START:
        return nfds == 2 && rq->generation > sp->last_generation[rq->role] && rq->arg == 0;
    case SPAWN_OP_KILL:
        return nfds == 0 && (rq->arg == SIGKILL || rq->arg == SIGTERM || rq->arg == SIGABRT);
    default:
        return false;
    }
}

/* False: the channel is closed or the vmm broke the protocol; both end the virtual machine. */
static bool vmm_readable(struct spawner *sp)
{
    struct spawn_request rq;
    int fds[2];
    unsigned nfds = 2;
    ssize_t n = ipc_chan_recv(sp->fd, &rq, sizeof(rq), fds, &nfds, 0);
    bool ok;

    if (n == -EAGAIN) {
        return true;
    }
    if (n <= 0) {
        return false;
    }
    ok = n == sizeof(rq) && request_ok(sp, &rq, nfds);
    if (ok && rq.op == SPAWN_OP_START) {
        ok = request_start(sp, &rq, fds);
    } else if (ok) {
        request_kill(sp, &rq);
    }
    ipc_fds_close(fds, nfds);
    return ok;
}

static unsigned poll_fill(const struct spawner *sp, struct pollfd *p, int *wait_ms)
{
    uint64_t now = ipc_now_ns();
    unsigned n = 1;

    *wait_ms = -1;
    p[0] = (struct pollfd){.fd = sp->fd, .events = POLLIN};
    for (unsigned i = 0; i < SP_CHILDREN; i++) {
        const struct sp_child *c = &sp->child[i];

        p[n++] = (struct pollfd){.fd = c->used ? c->world_fd : -1, .events = POLLIN};
        p[n++] = (struct pollfd){.fd = c->used ? c->pidfd : -1, .events = POLLIN};
        if (c->used && c->world_fd >= 0) {
            *wait_ms = c->loaded_deadline_ns > now ? 1000 : 0;
        }
    }
    return n;
}

static bool children_serve(struct spawner *sp, const struct pollfd *p)
{
    bool ok = true;

    for (unsigned i = 0; i < SP_CHILDREN && ok; i++) {
        struct sp_child *c = &sp->child[i];

        if (!c->used) {
            continue;
        }
        if (c->world_fd >= 0 && p[1 + 2 * i].fd == c->world_fd && p[1 + 2 * i].revents) {
            ok = world_readable(sp, c);
        } else if (c->world_fd >= 0 && ipc_now_ns() > c->loaded_deadline_ns) {
            failure_set(c, ETIMEDOUT, "loading");
            (void)ipc_pidfd_kill(c->pidfd, SIGKILL);
            ipc_fds_close(&c->world_fd, 1);
        }
        if (ok && p[2 + 2 * i].fd == c->pidfd && p[2 + 2 * i].revents) {
            ok = child_ended(sp, c);
        }
    }
    return ok;
}

static void children_end(struct spawner *sp)
{
    for (unsigned i = 0; i < SP_CHILDREN; i++) {
        if (sp->child[i].used) {
            (void)ipc_pidfd_kill(sp->child[i].pidfd, SIGKILL);
        }
    }
    for (unsigned i = 0; i < SP_CHILDREN; i++) {
        struct sp_child *c = &sp->child[i];
        siginfo_t si;

        if (c->used && ipc_pidfd_wait(c->pidfd, END_WAIT_MS)) {
            (void)waitid(P_PIDFD, (id_t)c->pidfd, &si, WEXITED | WNOHANG);
        }
    }
}

int sp_serve(struct spawner *sp)
{
    static struct pollfd p[POLL_MAX];
    bool ok = true;

    while (ok) {
        int wait_ms;
        unsigned n = poll_fill(sp, p, &wait_ms);

        if (poll(p, n, wait_ms) < 0) {
            if (errno == EINTR) {
                continue;
            }
            break;
        }
        ok = children_serve(sp, p);
        if (ok && p[0].revents) {
            ok = vmm_readable(sp);
        }
    }
    children_end(sp);
    sp_cgroup_remove(sp);
    return 0;
}
