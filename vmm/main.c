/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bulkhead: from the command line to the exit status, in named stages. Owns the order of the
 * stages, which is the order in which rights are used and then given up; each stage's work is
 * elsewhere.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "ipc/imagelock.h"
#include "vmm/config/cpu-model.h"
#include "vmm/lifecycle.h"
#include "vmm/memory/guest-memory.h"
#include "vmm/process.h"
#include "vmm/supervise/report.h"

static struct vm vm;
static struct supervisor sup;

static int fail(const char *err)
{
    log_error("%s", err);
    return -1;
}

static int fail_errno(const char *what, int r)
{
    log_error("%s: %s", what, strerror(-r));
    return -1;
}

/* Stage 1: what is asked for. 0: go on, 1: a text was printed, -1: refused. */
static int stage_plan(int argc, char **argv)
{
    int r = plan_parse(&vm.plan, argc, argv);

    if (!vm.plan.sandbox_given && geteuid() != 0)
        vm.plan.sandbox = PLAN_SBX_REDUCED;
    if (r == 0 && vm.plan.daemonize) {
        r = daemonize_fork();
        if (r < 0)
            return fail_errno("-daemonize", r);
    }
    return r;
}

/* An image that another machine writes must not be opened by a second one; the lock is on the open
 * file description that the spawner will hold, so it lasts as long as the VM. */
static int lock_image(int fd, bool writable, const char *file)
{
    int r = ipc_image_lock(fd, writable);

    if (r == -EAGAIN) {
        log_error("%s is in use by another process", file);
        return -1;
    }
    if (r == -EINVAL || r == -ENOLCK || r == -EOPNOTSUPP)
        log_warn("%s cannot be locked against a second user: %s", file, strerror(-r));
    else if (r < 0)
        return fail_errno(file, r);
    return 0;
}

static int lock_images(void)
{
    for (unsigned i = 0; i < vm.plan.n_disk; i++) {
        const struct plan_disk *d = &vm.plan.disk[i];
        int fd = d->snapshot ? d->backing_fd[0] : d->fd;

        if (!d->share_rw && d->fd >= 0 && lock_image(fd, !d->snapshot && !d->readonly, d->file))
            return -1;
    }
    for (unsigned i = 0; i < 2; i++) {
        const struct plan_flash *f = &vm.plan.flash[i];

        if (f->used && lock_image(f->fd, !f->readonly, f->file))
            return -1;
    }
    return 0;
}

/* Stage 2: every host file, as the user who started us. */
static int stage_files(void)
{
    int r = picture_clerk_start(vm.plan.sandbox);

    if (r < 0)
        return fail_errno("cannot start the picture clerk", r);
    plan_host_dns(&vm.plan, "/etc/resolv.conf");
    return plan_open_files(&vm.plan) < 0 ? -1 : lock_images();
}

/* Stage 3: the spawner, with the frozen plan and the disks. From here on the vmm cannot choose what
 * is started, and it lets go of the disks itself. */
static int stage_spawner(void)
{
    int files[SPAWN_FILES_MAX];
    char err[256];
    int r;

    sup.vmm_started_ns = ipc_now_ns();
    sup_plan_roles(&sup, &vm, files);
    signals_shield(true);
    r = sup_start_spawner(&sup, files, err, sizeof(err));
    signals_shield(false);
    if (r < 0)
        return fail(err);
    if (sup.reply.text[0])
        log_warn("reduced sandbox (%s): %s", sup.spawn.how, sup.reply.text);
    report_open(&sup);
    for (unsigned i = 0; i < vm.plan.n_disk; i++) {
        if (vm.plan.disk[i].fd >= 0)
            close(vm.plan.disk[i].fd);
        vm.plan.disk[i].fd = -1;
    }
    return 0;
}

/* Stage 4: shared memory. */
static int stage_memory(void)
{
    char err[256];

    if (mem_create(&vm, err, sizeof(err)) < 0)
        return fail(err);
    vm.page->rtc_base_s = plan_rtc_base(&vm.plan);
    plan_cpu_model(&vm.plan, &vm.page->cpu);
    serial_rings_init(&vm);
    return 0;
}

/* Stage 5: the machine, in memory only. */
static int stage_machine(void)
{
    char err[256];

    return machine_build(&vm, err, sizeof(err)) < 0 ? fail(err) : 0;
}

/* Stage 6: the loop, the supervisor's memory, signals. */
static int stage_control(void)
{
    int r = lifecycle_init(&vm, &sup);

    if (r == 0)
        r = sup_init(&sup, &lifecycle_hooks);
    if (r == 0)
        r = signals_init(&vm);
    return r < 0 ? fail_errno("cannot set up the main loop", r) : 0;
}

/* Stage 7: terminals, sockets, monitors. The last thing that opens anything. */
static int stage_monitor(void)
{
    char err[256];

    if (vnc_sockets_open(&vm, err, sizeof(err)) < 0)
        return fail(err);
    return monitor_init(&vm, err, sizeof(err)) < 0 ? fail(err) : 0;
}

/* Stage 8: no rights beyond this guest. */
static int stage_lock(void)
{
    char err[256];

    return lockdown(&sup.reply, vm.plan.sandbox, err, sizeof(err)) < 0 ? fail(err) : 0;
}

/* The directory may belong to the user who started us and no longer to us: then the file stays,
 * empty. */
static void remove_pidfile(void)
{
    if (vm.plan.pidfile_fd < 0)
        return;
    if (unlink(vm.plan.pidfile) < 0 && ftruncate(vm.plan.pidfile_fd, 0) < 0)
        log_warn("-pidfile %s: %s", vm.plan.pidfile, strerror(errno));
}

/* Stage 9: children, handshake, RUN, and everything after it happens in the loop. */
static int stage_run(void)
{
    int r;

    sup_start_all(&sup);
    r = ipc_loop_run(&vm.loop);
    return r < 0 ? fail_errno("main loop", r) : 0;
}

static int run_stages(void)
{
    int (*const stage[])(void) = {stage_files,   stage_spawner, stage_memory, stage_machine,
                                  stage_control, stage_monitor, stage_lock,   stage_run};

    for (unsigned i = 0; i < sizeof(stage) / sizeof(stage[0]); i++)
        if (stage[i]() < 0)
            return 1;
    return vm.exit_status;
}

int main(int argc, char **argv)
{
    int r, status;

    ipc_log_init(-1, "bulkhead");
    mem_init_fds(&vm);
    r = stage_plan(argc, argv);
    if (r != 0)
        return r > 0 ? 0 : 1;
    r = ipc_loop_init(&vm.loop);
    if (r < 0) {
        fail_errno("cannot set up the main loop", r);
        return 1;
    }
    status = run_stages();
    monitor_fini(&vm);
    vnc_sockets_close(&vm);
    remove_pidfile();
    return status;
}
