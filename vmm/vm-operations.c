/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The operations of vmm/vm.h that are about processes: thin, so that supervise/ needs to know
 * nothing of who asks.
 */
#include <errno.h>
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
