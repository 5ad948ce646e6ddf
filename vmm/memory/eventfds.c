/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Owns the eventfds of a VM: one per virtqueue notification (kick), one per interrupt source
 * (call), and the two doorbells of the machine page. They outlive every incarnation of a device
 * process, so a kick written while nobody listens is not lost. Never reads or writes one.
 */
#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include "vmm/memory/guest-memory.h"

void mem_init_fds(struct vm *vm)
{
    vm->ram_fd = vm->board_fd = vm->page_fd = vm->codepage_fd = -1;
    vm->input_fd = vm->display_fd = vm->display_ro_fd = -1;
    vm->doorbell_vmm = vm->doorbell_worker = -1;
    vm->xl_cache_fd = vm->xl_cache_ro_fd = vm->xl_rings_fd = vm->xl_rings_ro_fd = vm->xl_bell_fd = -1;
    vm->n_kick = vm->n_call = 0;
}

int mem_doorbells_create(struct vm *vm)
{
    vm->doorbell_vmm = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (vm->doorbell_vmm < 0)
        return -errno;
    vm->doorbell_worker = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    return vm->doorbell_worker < 0 ? -errno : 0;
}

/* All or nothing: a half-made block of slots would shift the ones after it. */
static int alloc_slots(int *fds, unsigned *used, unsigned max, unsigned n)
{
    unsigned first = *used;

    if (n > max - first)
        return -1;
    for (unsigned i = 0; i < n; i++) {
        fds[first + i] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
        if (fds[first + i] < 0) {
            while (i-- > 0)
                close(fds[first + i]);
            return -1;
        }
    }
    *used = first + n;
    return (int)first;
}

int vm_alloc_kicks(struct vm *vm, unsigned n)
{
    return alloc_slots(vm->kick_fd, &vm->n_kick, ABI_KICK_MAX, n);
}

int vm_alloc_calls(struct vm *vm, unsigned n)
{
    return alloc_slots(vm->call_fd, &vm->n_call, ABI_CALL_MAX, n);
}

void mem_eventfds_close(struct vm *vm)
{
    while (vm->n_kick > 0)
        close(vm->kick_fd[--vm->n_kick]);
    while (vm->n_call > 0)
        close(vm->call_fd[--vm->n_call]);
    if (vm->doorbell_vmm >= 0)
        close(vm->doorbell_vmm);
    if (vm->doorbell_worker >= 0)
        close(vm->doorbell_worker);
    vm->doorbell_vmm = vm->doorbell_worker = -1;
}
