/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Commands to the cpu-worker and the wait for their acknowledgement. The only place where the vmm
 * waits for a child inside a handler: it is what makes `stop` mean stopped. Bounded, and the vCPU's
 * register accesses are answered meanwhile, or a vCPU in the middle of one could never be parked.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>
#include "vmm/lifecycle.h"

static uint32_t last_seq, acked_seq;
static bool doorbell_taken;

void worker_acknowledged(uint32_t seq)
{
    /* A number that was never sent is a lie without consequence; an old one is late. */
    if (seq == last_seq)
        acked_seq = seq;
}

static int send_command(struct child *w, enum ctl_msg type)
{
    Ctl__WorkerRun run = CTL__WORKER_RUN__INIT;
    Ctl__WorkerPause pause = CTL__WORKER_PAUSE__INIT;
    Ctl__WorkerReset reset = CTL__WORKER_RESET__INIT;

    run.seq = pause.seq = reset.seq = ++last_seq;
    if (type == CTL_WORKER_RUN)
        return sup_child_send(w, type, &run, NULL, 0);
    if (type == CTL_WORKER_PAUSE)
        return sup_child_send(w, type, &pause, NULL, 0);
    return sup_child_send(w, type, &reset, NULL, 0);
}

/* #syscalls:vmm poll read */
static void wait_once(struct vm *vm, struct child *w, int timeout_ms)
{
    struct pollfd p[2] = {{.fd = w->ctl_fd, .events = POLLIN},
                          {.fd = vm->doorbell_vmm, .events = POLLIN}};
    uint64_t n;

    if (poll(p, 2, timeout_ms) <= 0)
        return;
    if (p[1].revents & POLLIN) {
        if (read(vm->doorbell_vmm, &n, sizeof(n)) < 0)
            return;
        machine_mailbox(vm);
        doorbell_taken = true;
    }
    if (p[0].revents)
        sup_child_receive(w);
}

/* The doorbell also says "serial output": let the loop's handler find it rung again. */
static void give_doorbell_back(struct vm *vm)
{
    uint64_t one = 1;

    if (doorbell_taken && write(vm->doorbell_vmm, &one, sizeof(one)) < 0)
        log_warn("doorbell: %s", strerror(errno));
    doorbell_taken = false;
}

int worker_command(struct vm *vm, struct supervisor *sup, enum ctl_msg type)
{
    struct child *w = sup_worker(sup);
    uint64_t deadline = ipc_now_ns() + LIFECYCLE_ACK_DEADLINE_NS;
    int r;

    if (w->state != CHILD_RUNNING)
        return -ENOTCONN;
    r = send_command(w, type);
    while (r == 0 && acked_seq != last_seq && w->state == CHILD_RUNNING) {
        uint64_t now = ipc_now_ns();
        if (now >= deadline)
            sup_child_lose(w, CAUSE_HANG, "did not acknowledge a command");
        else
            wait_once(vm, w, (int)((deadline - now) / 1000000) + 1);
    }
    give_doorbell_back(vm);
    return r < 0 ? r : w->state == CHILD_RUNNING ? 0 : -EIO;
}
