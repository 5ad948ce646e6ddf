/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The shared memory of a VM: guest RAM, the machine page, the code-page map, the state memory of
 * device processes, and the eventfds of kicks, calls and doorbells. Creates and seals them; never
 * interprets their contents.
 */
#ifndef BULKHEAD_VMM_MEMORY_GUEST_MEMORY_H
#define BULKHEAD_VMM_MEMORY_GUEST_MEMORY_H

#include <stddef.h>
#include "vmm/vm.h"

#define MEM_BOARD_SIZE        (128ull << 20) /* board memory; pages nobody touches take no room */
#define MEM_DEVICE_STATE_SIZE 65536u /* bytes of each device process's state memfd */

/* Creates everything shared of a VM with vm->plan.mem bytes of RAM and fills in vm->ram, page,
 * *_fd. 0, or -errno with one line for the user in err. */
int mem_create(struct vm *vm, char *err, size_t errlen);
/* Unmaps and closes what mem_create made; safe after a failed or missing mem_create. */
void mem_destroy(struct vm *vm);
/* A zeroed memfd whose size can no longer change, for one device's state. Descriptor or -errno. */
int mem_device_state_create(const char *name);

/* Marks every descriptor of vm as not there; before anything else. */
void mem_init_fds(struct vm *vm);
int mem_doorbells_create(struct vm *vm); /* 0 or -errno */
void mem_eventfds_close(struct vm *vm);

#endif
