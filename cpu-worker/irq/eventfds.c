/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sorts the eventfds of BOOT into their tables. Owns the range checks; must never accept two for
 * one slot.
 */
#include "cpu-worker/irq/eventfds.h"

#include <errno.h>
#include "ipc/fds.h"
#include "ipc/log.h"

/* Eventfds must never block: a full counter already says everything. */
static int slot_take(int *slots, unsigned max, unsigned index, int fd, const char *what)
{
    if (index >= max || slots[index] >= 0) {
        log_error("%s %u: out of range, or given twice", what, index);
        return -EPROTO;
    }
    slots[index] = fd;
    return ipc_fd_nonblock(fd, true);
}

static int one_take(struct pump *p, struct mmu_host *m, const Ctl__Fd *f, int fd)
{
    unsigned index = f->has_index ? f->index : 0;
    switch (f->kind) {
    case CTL__FD_KIND__FD_KICK:
        return slot_take(m->kick, ABI_KICK_MAX, index, fd, "kick eventfd");
    case CTL__FD_KIND__FD_CALL:
        return slot_take(p->call, ABI_CALL_MAX, index, fd, "call eventfd");
    case CTL__FD_KIND__FD_DOORBELL_VMM:
        return slot_take(&m->doorbell_vmm, 1, index, fd, "vmm doorbell");
    case CTL__FD_KIND__FD_DOORBELL_WORKER:
        return slot_take(&p->doorbell, 1, index, fd, "worker doorbell");
    default:
        return 0; /* the memory files */
    }
}

int pump_eventfds_take(struct pump *p, struct mmu_host *m, const Ctl__Boot *boot, const int *fds,
                       unsigned nfds)
{
    int err = 0;
    p->doorbell = -1;
    for (unsigned i = 0; i < ABI_CALL_MAX; i++)
        p->call[i] = -1;
    for (unsigned i = 0; i < nfds && i < boot->n_fds && !err; i++)
        err = one_take(p, m, boot->fds[i], fds[i]);
    if (!err && (p->doorbell < 0 || m->doorbell_vmm < 0)) {
        log_error("a doorbell is missing in BOOT");
        err = -EPROTO;
    }
    return err;
}
