/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keys and pointer events of the monitors: the producing end of the machine page's ring. Never waits: a
 * guest that reads nothing loses events.
 */
#include <errno.h>
#include <unistd.h>
#include "vmm/lifecycle.h"

static uint32_t head;

/* #syscalls:vmm write */
static void ring_worker(struct vm *vm)
{
    uint64_t one = 1;

    (void)!write(vm->doorbell_worker, &one, sizeof(one));
}

int vm_input(struct vm *vm, const struct abi_input_event *e, unsigned n)
{
    struct abi_input_ring *r = &vm->page->input;

    if (head - __atomic_load_n(&r->tail, __ATOMIC_ACQUIRE) > ABI_INPUT_RING - n)
        return vm_fail(-EAGAIN, "the guest does not take input");
    for (unsigned i = 0; i < n; i++)
        abi_input_put(r, &head, &e[i]);
    ring_worker(vm);
    return 0;
}
