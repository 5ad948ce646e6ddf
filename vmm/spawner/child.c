/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One incarnation of a role: clone, stages 1-3, exec. Between clone and exec nothing is allocated and no
 * path is used.
 */
#include "vmm/spawner/spawner.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <linux/sched.h>

#include "ipc/chan.h"
#include "ipc/loop.h"
#include "seccomp/isolate.h"

#define LOADED_WAIT_NS 10000000000u

struct child_fds {
    int null, ctl, log, world, program;
};

static void __attribute__((noreturn)) child_fail(int world_fd, const char *step, int err)
{
    struct sp_failure f = {.error = -err};

    strncpy(f.step, step, sizeof(f.step) - 1);
    (void)ipc_chan_send(world_fd, &f, sizeof(f), NULL, 0, 0);
    _exit(127);
}

/* In the child: everything up to exec. */
static void __attribute__((noreturn)) child_run(const struct spawner *sp, const struct sp_child *c,
                                                struct child_fds fds)
{
    const struct spawn_role *r = &sp->plan.role[c->role];
    uid_t uid = sp->uid_base + 1 + c->role;
    char title[2 * SPAWN_NAME_MAX];
    char *argv[] = {title, NULL}, *envp[] = {NULL};
    const char *step = "";
    int world = fds.world;
    int err = sbx_stage1_start(fds.null, fds.ctl, fds.log, fds.world, &fds.program, &step);

    if (!err) {
        world = SBX_FD_WORLD;
    }
    if (!err && sp->plan.sandbox != SPAWN_SBX_OFF) {
        err = sbx_stage1_rlimits(&step);
        if (!err && (sp->layers & SPAWN_LAYER_UTS)) {
            err = sbx_stage3_hostname(&step);
        }
        if (!err) {
            err = sbx_stage2_ids(uid, uid, sp->layers & SPAWN_LAYER_UID, &step);
        }
    }
    if (err) {
        child_fail(world, step, err);
    }
    snprintf(title, sizeof(title), "%s/%s", sp->plan.vm_name, r->title);
    syscall(SYS_execveat, fds.program, "", argv, envp, AT_EMPTY_PATH);
    child_fail(world, "exec", -errno);
}

/* The role's file as a new open file description: one lock owner per incarnation, and no more access than
 * the held descriptor has. */
static int file_reopen(const struct spawner *sp, unsigned role)
{
    int32_t index = sp->plan.role[role].file;
    char name[16];
    int flags, fd;

    if (index < 0) {
        return -1;
    }
    flags = fcntl(sp->file[index], F_GETFL);
    if (flags < 0) {
        return -errno - 1;
    }
    snprintf(name, sizeof(name), "%d", sp->file[index]);
    flags &= O_ACCMODE | O_DIRECT | O_DSYNC | O_SYNC;
    fd = openat(sp->self_fd_dir, name, flags | O_CLOEXEC | O_NONBLOCK);
    return fd < 0 ? -errno - 1 : fd;
}

/* The mount namespace is made here and not by clone3, so that a descriptor of it can be had without the
 * right to ptrace the child. */
static int mounts_enter(const struct spawner *sp)
{
    int fd;

    if (!(sp->layers & SPAWN_LAYER_MOUNT)) {
        return -1;
    }
    if (unshare(CLONE_NEWNS) < 0) {
        return -errno - 1;
    }
    fd = openat(sp->self_ns_dir, "mnt", O_RDONLY | O_CLOEXEC);
    return fd < 0 ? -errno - 1 : fd;
}

static uint64_t clone_flags(const struct spawner *sp, unsigned role)
{
    uint64_t f = CLONE_PIDFD;

    f |= sp->layers & SPAWN_LAYER_PID ? CLONE_NEWPID : 0;
    f |= sp->layers & SPAWN_LAYER_IPC ? CLONE_NEWIPC : 0;
    f |= sp->layers & SPAWN_LAYER_UTS ? CLONE_NEWUTS : 0;
    if ((sp->layers & SPAWN_LAYER_NET) && !sp->plan.role[role].host_net) {
        f |= CLONE_NEWNET;
    }
    return f;
}

static int child_clone(struct spawner *sp, struct sp_child *c, struct child_fds fds)
{
    struct clone_args a = {.flags = clone_flags(sp, c->role), .exit_signal = SIGCHLD};
    int leaf = sp_cgroup_leaf(sp, c->role);
    long pid;

    a.pidfd = (uint64_t)(uintptr_t)&c->pidfd;
    if (leaf >= 0) {
        a.flags |= CLONE_INTO_CGROUP;
        a.cgroup = (uint64_t)leaf;
    }
    pid = syscall(SYS_clone3, &a, sizeof(a));
    if (pid == 0) {
        child_run(sp, c, fds);
    }
    pid = pid < 0 ? -errno : pid;
    if (leaf >= 0) {
        close(leaf);
    }
    c->pid = pid > 0 ? (pid_t)pid : 0;
    return pid < 0 ? (int)pid : 0;
}

static int child_clone_in_world(struct spawner *sp, struct sp_child *c, struct child_fds fds,
                                const char **step)
{
    int err = 0;

    *step = "mount namespace";
    c->mnt_fd = mounts_enter(sp);
    if (c->mnt_fd < -1) {
        err = c->mnt_fd + 1;
    } else {
        *step = "clone";
        err = child_clone(sp, c, fds);
    }
    if (sp->own_mnt_fd >= 0 && setns(sp->own_mnt_fd, CLONE_NEWNS) < 0) {
        _exit(70); /* our own world is lost: the virtual machine ends rather than go on in a child's */
    }
    return err;
}

int sp_child_start(struct spawner *sp, struct sp_child *c, int ctl_fd, int log_fd, const char **step)
{
    struct child_fds fds = {.null = sp->null_fd, .ctl = ctl_fd, .log = log_fd,
                            .program = sp->program[sp->plan.role[c->role].program]};
    int sv[2], err;

    c->mnt_fd = c->world_fd = c->pidfd = -1;
    *step = "open the file anew";
    c->file_fd = file_reopen(sp, c->role);
    if (c->file_fd < -1) {
        return c->file_fd + 1;
    }
    *step = "world socket";
    err = ipc_chan_pair(sv);
    if (err) {
        goto out_file;
    }
    fds.world = sv[1];
    err = child_clone_in_world(sp, c, fds, step);
    close(sv[1]);
    if (err) {
        close(sv[0]);
        goto out_mnt;
    }
    c->world_fd = sv[0];
    c->loaded_deadline_ns = ipc_now_ns() + LOADED_WAIT_NS;
    return 0;

out_mnt:
    if (c->mnt_fd >= 0) {
        close(c->mnt_fd);
    }
out_file:
    if (c->file_fd >= 0) {
        close(c->file_fd);
    }
    return err;
}
