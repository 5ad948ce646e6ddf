/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Run states of the VM and what the guest, the user and the supervisor may do to them. Must never
 * touch a process or a device directly: commands go to the worker, orders to supervise/, resets to
 * machine/.
 */
#include "vmm/lifecycle.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "vmm/process.h"

/* PM1 status register (ACPI 6.3, 4.8.3.1.1) */
#define ACPI_STS_POWER_BUTTON 0x0100u
#define ACPI_STS_RTC          0x0400u
#define ACPI_STS_WAKE         0x8000u

static struct {
    struct supervisor *sup;
    struct ipc_timer
        deferred;     /* guest power events, handled outside the worker's message handler */
    bool io_error;    /* a drive waits for the user */
    unsigned pending; /* bit n: Ctl__WorkerEvent__Kind n arrived */
    bool launched, ending, revive_run;
    bool exit_asked; /* isa-debug-exit was written */
    uint8_t exit_status;
    char error[160];
} lc;

struct supervisor *lifecycle_supervisor(void)
{
    return lc.sup;
}

const char *vm_run_state_name(enum vm_run_state s)
{
    static const char *const names[] = {"prelaunch", "running", "paused", "shutdown",
                                        "internal-error", "io-error", "suspended"};

    return (unsigned)s < sizeof(names) / sizeof(names[0]) ? names[s] : "?";
}

const char *vm_last_error(void)
{
    return lc.error;
}

int vm_fail(int e, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(lc.error, sizeof(lc.error), fmt, ap);
    va_end(ap);
    return e;
}

static int fail(int e, const char *text)
{
    snprintf(lc.error, sizeof(lc.error), "%s", text);
    return e;
}

/* ---- end ----------------------------------------------------------------------------------- */

static void shutdown_event(struct vm *vm, bool guest, const char *reason)
{
    char json[96];

    snprintf(json, sizeof(json), "{\"guest\": %s, \"reason\": \"%s\"}", guest ? "true" : "false",
             reason);
    qmp_event(vm, "SHUTDOWN", json);
}

void lifecycle_end(struct vm *vm, int status, bool guest, const char *reason)
{
    if (lc.ending) {
        if (status)
            vm->exit_status = status;
        return;
    }
    lc.ending = true;
    vm->exit_status = status;
    if (reason)
        shutdown_event(vm, guest, reason);
    if (vm->state == VM_RUNNING) {
        /* The guest must not write to disks that are being closed. */
        (void)worker_command(vm, lc.sup, CTL_WORKER_PAUSE);
        vm->state = VM_SHUTDOWN;
    }
    sup_stop_all(lc.sup);
}

void vm_quit(struct vm *vm)
{
    lifecycle_end(vm, 0, false, "host-qmp-quit");
}

/* ---- stop, cont, reset --------------------------------------------------------------------- */

static int pause_worker(struct vm *vm, enum vm_run_state to)
{
    int r = worker_command(vm, lc.sup, CTL_WORKER_PAUSE);

    if (r < 0)
        return fail(r, "the cpu-worker does not answer");
    vm->state = to;
    qmp_event(vm, "STOP", NULL);
    return 0;
}

int vm_stop(struct vm *vm)
{
    if (vm->state == VM_PRELAUNCH)
        return 0;
    if (vm->state != VM_RUNNING || lc.ending)
        return 0;
    return pause_worker(vm, VM_PAUSED);
}

static int run_worker(struct vm *vm)
{
    vm_block_retry(vm);
    int r = worker_command(vm, lc.sup, CTL_WORKER_RUN);

    if (r < 0)
        return fail(r, "the cpu-worker does not answer");
    vm->state = VM_RUNNING;
    qmp_event(vm, "RESUME", NULL);
    return 0;
}

int vm_cont(struct vm *vm)
{
    if (vm->state == VM_RUNNING || vm->state == VM_SUSPENDED)
        return 0;
    if (lc.ending)
        return fail(-EBUSY, "the virtual machine is ending");
    if (vm->state == VM_SHUTDOWN || vm->state == VM_INTERNAL_ERROR)
        return fail(-EPERM, "Resetting the Virtual Machine is required");
    if (!lc.launched) {
        vm->plan.start_paused = false;
        return 0;
    }
    return run_worker(vm);
}

/* vCPU parked, images and PCI as at power-on, chipset as at power-on. */
static int reset_parked(struct vm *vm)
{
    int r = machine_reset(vm);

    if (r < 0)
        return fail(r, "the machine cannot be reset");
    r = worker_command(vm, lc.sup, CTL_WORKER_RESET);
    return r < 0 ? fail(r, "the cpu-worker does not answer") : 0;
}

/* The worker is gone: a reset needs nothing of what it knew, so a new one can take its place. */
static int reset_with_new_worker(struct vm *vm)
{
    struct child *w = sup_worker(lc.sup);

    (void)vm;
    if (w->state != CHILD_FAILED)
        return child_alive(w) ? 0 : fail(-EAGAIN, "the cpu-worker has not ended yet");
    lc.revive_run = true;
    return sup_restart(lc.sup, w);
}

static void reset_event(struct vm *vm, bool guest, const char *reason)
{
    char json[96];

    snprintf(json, sizeof(json), "{\"guest\": %s, \"reason\": \"%s\"}", guest ? "true" : "false",
             reason);
    qmp_event(vm, "RESET", json);
}

static int reset(struct vm *vm, bool guest, const char *reason)
{
    bool was_running = vm->state == VM_RUNNING || vm->state == VM_SUSPENDED;
    int r;

    if (lc.ending || !lc.launched)
        return fail(-EBUSY, "the virtual machine is starting or ending");
    if (sup_worker(lc.sup)->state != CHILD_RUNNING)
        return reset_with_new_worker(vm);
    if (was_running) {
        r = worker_command(vm, lc.sup, CTL_WORKER_PAUSE);
        if (r < 0)
            return fail(r, "the cpu-worker does not answer");
    }
    r = reset_parked(vm);
    if (r < 0)
        return r;
    reset_event(vm, guest, reason);
    if (was_running) {
        vm->state = VM_RUNNING;
        return worker_command(vm, lc.sup, CTL_WORKER_RUN);
    }
    if (vm->state != VM_PRELAUNCH)
        vm->state = VM_PAUSED;
    return 0;
}

int vm_reset(struct vm *vm)
{
    return reset(vm, false, "host-qmp-system-reset");
}

/* #syscalls:vmm write */
static void worker_ring(struct vm *vm, const char *what)
{
    uint64_t one = 1;
    if (write(vm->doorbell_worker, &one, sizeof(one)) < 0)
        log_warn("%s: %s", what, strerror(errno));
}
void vm_mce(struct vm *vm, unsigned vcpu, const struct abi_mce *e)
{
    struct abi_mce *to = &vm->page->mce[vcpu];
    uint32_t seq = to->seq;
    *to = *e;
    to->seq = seq;
    __atomic_store_n(&to->seq, seq + 1, __ATOMIC_RELEASE);
    worker_ring(vm, "machine check");
}
void vm_powerdown(struct vm *vm)
{
    __atomic_fetch_add(&vm->page->power_button, 1, __ATOMIC_RELEASE);
    worker_ring(vm, "power button");
    qmp_event(vm, "POWERDOWN", NULL);
}

/* ---- what the guest did -------------------------------------------------------------------- */

static void guest_poweroff(struct vm *vm)
{
    if (!vm->plan.no_shutdown) {
        lifecycle_end(vm, 0, true, "guest-shutdown");
        return;
    }
    shutdown_event(vm, true, "guest-shutdown");
    if (vm->state == VM_RUNNING)
        pause_worker(vm, VM_SHUTDOWN);
}

static void guest_reset(struct vm *vm)
{
    if (!vm->plan.no_reboot) {
        if (reset(vm, true, "guest-reset") < 0)
            log_error("guest reset: %s", lc.error);
        return;
    }
    if (!vm->plan.no_shutdown) {
        lifecycle_end(vm, 0, true, "guest-reset");
        return;
    }
    shutdown_event(vm, true, "guest-reset");
    if (vm->state == VM_RUNNING)
        pause_worker(vm, VM_SHUTDOWN);
}

/* The worker has parked the vCPUs; the guest's clock runs on, and its alarm may end this. */
static void guest_suspend(struct vm *vm)
{
    if (vm->state != VM_RUNNING)
        return;
    vm->state = VM_SUSPENDED;
    qmp_event(vm, "SUSPEND", NULL);
}

static int wake(struct vm *vm, uint32_t reason)
{
    /* A vCPU that is still on its way to the parking place would write its old state over the new one. */
    int r = worker_command(vm, lc.sup, CTL_WORKER_PAUSE);

    r = r < 0 ? r : machine_wake(vm);
    if (r < 0)
        return fail(r, "the machine cannot be woken");
    __atomic_store_n(&vm->page->waking, ACPI_STS_WAKE | reason, __ATOMIC_RELEASE);
    r = worker_command(vm, lc.sup, CTL_WORKER_RESET);
    __atomic_store_n(&vm->page->waking, 0, __ATOMIC_RELEASE);
    r = r < 0 ? r : worker_command(vm, lc.sup, CTL_WORKER_RUN);
    if (r < 0)
        return fail(r, "the cpu-worker does not answer");
    vm->state = VM_RUNNING;
    qmp_event(vm, "WAKEUP", NULL);
    return 0;
}

int vm_wakeup(struct vm *vm)
{
    if (lc.ending || vm->state != VM_SUSPENDED)
        return fail(-EPERM, "Unable to wake up: guest is not in suspended state");
    return wake(vm, 0);
}

static void internal_error(struct vm *vm, const char *why)
{
    log_error("the virtual machine stopped: %s", why);
    if (vm->state == VM_RUNNING && sup_worker(lc.sup)->state == CHILD_RUNNING)
        (void)worker_command(vm, lc.sup, CTL_WORKER_PAUSE);
    vm->state = VM_INTERNAL_ERROR;
    qmp_event(vm, "STOP", NULL);
}

void vm_guest_exit(struct vm *vm, uint32_t value)
{
    (void)vm;
    if (lc.exit_asked)
        return; /* the first one counts; the vCPU runs on until it is paused */
    lc.exit_asked = true;
    lc.exit_status = (uint8_t)(value << 1 | 1);
    ipc_timer_set(&lc.deferred, ipc_now_ns());
}

static void run_deferred(void *opaque)
{
    struct vm *vm = opaque;
    unsigned p = lc.pending;

    lc.pending = 0;
    if (lc.ending || !lc.launched)
        return;
    if (lc.io_error && vm->state == VM_RUNNING)
        (void)pause_worker(vm, VM_IO_ERROR);
    lc.io_error = false;
    if (lc.exit_asked)
        lifecycle_end(vm, lc.exit_status, true, "guest-shutdown");
    else if (p & (1u << CTL__WORKER_EVENT__KIND__INTERNAL_ERROR))
        internal_error(vm, "internal error of the cpu-worker");
    else if (p & (1u << CTL__WORKER_EVENT__KIND__POWEROFF))
        guest_poweroff(vm);
    else if (p &
             (1u << CTL__WORKER_EVENT__KIND__RESET | 1u << CTL__WORKER_EVENT__KIND__TRIPLE_FAULT))
        guest_reset(vm);
    else if (p & (1u << CTL__WORKER_EVENT__KIND__SLEEP))
        guest_suspend(vm);
    else if (p & (1u << CTL__WORKER_EVENT__KIND__WAKE) && vm->state == VM_SUSPENDED)
        (void)wake(vm, vm->page->chipset.pm.pm1_sts & (ACPI_STS_POWER_BUTTON | ACPI_STS_RTC));
}

static void on_io_error(struct vm *vm)
{
    (void)vm;
    lc.io_error = true;
    ipc_timer_set(&lc.deferred, ipc_now_ns());
}

static void on_worker_event(struct vm *vm, int kind)
{
    (void)vm;
    if (kind < 0 || kind > 31)
        return;
    lc.pending |= 1u << kind;
    ipc_timer_set(&lc.deferred, ipc_now_ns());
}

/* ---- what the supervisor says -------------------------------------------------------------- */

static void launch(struct vm *vm)
{
    if (reset_parked(vm) < 0) {
        log_error("cannot start the machine: %s", lc.error);
        lifecycle_end(vm, 1, false, NULL);
        return;
    }
    lc.launched = true;
    daemonize_done();
    if (!vm->plan.start_paused && vm_cont(vm) < 0)
        lifecycle_end(vm, 1, false, "host-error");
}

static void on_start_failed(struct vm *vm, const char *line)
{
    log_error("%s", line);
    lifecycle_end(vm, 1, false, NULL);
}

static void on_worker_lost(struct vm *vm, const char *reason)
{
    char why[96];

    if (lc.ending)
        return;
    snprintf(why, sizeof(why), "cpu-worker: %s", reason);
    internal_error(vm, why);
}

static void on_worker_ready(struct vm *vm)
{
    if (lc.ending || reset_parked(vm) < 0)
        return;
    vm->state = VM_PAUSED;
    reset_event(vm, false, "host-qmp-system-reset");
    if (lc.revive_run)
        (void)run_worker(vm);
    lc.revive_run = false;
}

static void on_all_stopped(struct vm *vm)
{
    vm->loop.quit = true;
}

static void on_spawner_gone(struct vm *vm)
{
    if (!lc.ending)
        log_error("the spawner died: the virtual machine ends");
    vm->exit_status = 1;
    vm->loop.quit = true;
}

static void on_worker_ack(struct vm *vm, uint32_t seq)
{
    (void)vm;
    worker_acknowledged(seq);
}

const struct sup_hooks lifecycle_hooks = {
    .all_running = launch,
    .start_failed = on_start_failed,
    .worker_lost = on_worker_lost,
    .worker_ready = on_worker_ready,
    .worker_ack = on_worker_ack,
    .worker_event = on_worker_event,
    .io_error = on_io_error,
    .screendump_done = screendump_answered,
    .all_stopped = on_all_stopped,
    .spawner_gone = on_spawner_gone,
};

/* The vCPU waits for the mailbox; the terminal can wait. #syscalls:vmm read */
static void on_doorbell(void *opaque, int fd, uint32_t events)
{
    struct vm *vm = opaque;
    uint64_t n;

    (void)events;
    if (read(fd, &n, sizeof(n)) < 0)
        return;
    machine_mailbox(vm);
    monitor_serial_poll(vm);
}

int lifecycle_init(struct vm *vm, struct supervisor *sup)
{
    int r;

    memset(&lc, 0, sizeof(lc));
    lc.sup = sup;
    vm->state = VM_PRELAUNCH;
    r = ipc_timer_init(&lc.deferred, &vm->loop, run_deferred, vm);
    return r < 0 ? r : ipc_loop_add(&vm->loop, vm->doorbell_vmm, EPOLLIN, on_doorbell, vm);
}
