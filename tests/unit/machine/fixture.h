/* SPDX-License-Identifier: Apache-2.0 */
/* A VM of memory only: RAM, machine page, eventfds, a synthetic kernel. Stands in for vmm/main. */
#ifndef BULKHEAD_TESTS_MACHINE_FIXTURE_H
#define BULKHEAD_TESTS_MACHINE_FIXTURE_H

#include "vmm/machine/machine.h"

#define FIX_KERNEL_LEN (64u << 10) /* protected-mode part */
#define FIX_INIT_SIZE  (4u << 20)

struct vm *fix_vm(uint64_t ram); /* with a 64-bit bzImage and a 5000-byte initrd */
int fix_memfd(const void *data, size_t len);
size_t fix_bzimage(uint8_t *out, uint16_t version, bool kernel64); /* returns the file's length */
/* One mailbox request, as the cpu-worker makes it. */
uint64_t fix_mbox(struct vm *vm, enum abi_mbox_op op, uint64_t addr, unsigned size, uint64_t value);
uint32_t fix_pci_read(struct vm *vm, unsigned slot, unsigned fn, unsigned reg, unsigned size);
void fix_pci_write(struct vm *vm, unsigned slot, unsigned fn, unsigned reg, unsigned size,
                   uint32_t v);
const struct abi_map_entry *fix_map_find(struct vm *vm, bool io, uint64_t addr);
uint64_t fix_eventfd_take(int fd); /* count, 0 = not signalled */
extern uint32_t fix_exit;          /* last vm_guest_exit, UINT32_MAX = none */
extern unsigned fix_broken;        /* calls of vm_backend_broken */

#endif
