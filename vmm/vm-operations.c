/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The operations of vmm/vm.h that are about processes: thin, so that supervise/ needs to know
 * nothing of who asks.
 */
#include <errno.h>
#include <string.h>
#include "vmm/lifecycle.h"
#include "vmm/supervise/report.h"

unsigned vm_children(struct vm *vm, struct child_info *out, unsigned max)
{
    (void)vm;
    return report_children(lifecycle_supervisor(), out, max);
}

int vm_device_restart(struct vm *vm, const char *id)
{
    struct supervisor *s = lifecycle_supervisor();
    struct child *c = sup_find(s, id);

    (void)vm;
    if (!c)
        return -ENODEV;
    /* Its state is the guest's state: only a reset of the machine brings a worker back. */
    if (c->program == SPAWN_CPU_WORKER)
        return -EPERM;
    return sup_restart(s, c);
}

void vm_backend_broken(struct vm *vm, const char *id, const char *why)
{
    struct child *c = sup_find(lifecycle_supervisor(), id);

    (void)vm;
    if (c && child_is_device(c))
        sup_child_lose(c, CAUSE_BACKEND, why);
}

/* ---- drives */
static struct plan_disk *disk_of(struct vm *vm, const char *id)
{
    for (unsigned i = 0; i < vm->plan.n_disk; i++) {
        struct plan_disk *d = &vm->plan.disk[i];
        if (!strcmp(d->id, id) || (d->qdev_id[0] && !strcmp(d->qdev_id, id)))
            return d;
    }
    return NULL;
}

static int drive_send(struct plan_disk *d, const Ctl__BlockControl *m)
{
    struct child *c = sup_find(lifecycle_supervisor(), d->id);

    if (!c || c->program != SPAWN_BLOCK || c->state != CHILD_RUNNING)
        return vm_fail(-EAGAIN, "the process of drive '%s' is not running", d->id);
    return sup_child_send(c, CTL_BLOCK_CONTROL, m, NULL, 0);
}

void vm_block_retry(struct vm *vm)
{
    Ctl__BlockControl m = CTL__BLOCK_CONTROL__INIT;

    m.kind = CTL__BLOCK_CONTROL__KIND__RETRY;
    for (unsigned i = 0; vm->state == VM_IO_ERROR && i < vm->plan.n_disk; i++)
        (void)drive_send(&vm->plan.disk[i], &m);
}

int vm_block_resize(struct vm *vm, const char *id, uint64_t size)
{
    struct plan_disk *d = disk_of(vm, id);
    Ctl__BlockControl m = CTL__BLOCK_CONTROL__INIT;

    if (!d)
        return vm_fail(-ENODEV, "Cannot find device='%.60s' nor node-name='%.60s'", id, id);
    if (d->readonly)
        return vm_fail(-EROFS, "drive '%s' is read-only", d->id);
    if (!size || size % 512)
        return vm_fail(-EINVAL, "the size must be a multiple of 512");
    m.kind = CTL__BLOCK_CONTROL__KIND__RESIZE;
    m.has_size = 1;
    m.size = size;
    int r = drive_send(d, &m);
    if (r == 0)
        d->size = size;
    return r;
}

int vm_block_throttle(struct vm *vm, const char *id, const uint64_t v[PLAN_THROTTLE])
{
    struct plan_disk *d = disk_of(vm, id);
    Ctl__BlockControl m = CTL__BLOCK_CONTROL__INIT;

    if (!d)
        return vm_fail(-ENODEV, "Device '%.60s' not found", id);
    m.kind = CTL__BLOCK_CONTROL__KIND__THROTTLE;
    m.n_throttle = PLAN_THROTTLE;
    m.throttle = (uint64_t *)(uintptr_t)v;
    int r = drive_send(d, &m);
    if (r == 0)
        memcpy(d->throttle, v, sizeof(d->throttle)); /* a successor gets them at its start */
    return r;
}
