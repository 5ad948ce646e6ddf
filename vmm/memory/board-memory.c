/* SPDX-License-Identifier: Apache-2.0 */
/* Hands out board memory (ROMs, flash), page by page and for the VM's whole life; never takes any back. */
#include "vmm/vm.h"

int64_t vm_board_alloc(struct vm *vm, uint64_t size, uint64_t align)
{
    uint64_t at = vm->board_used;

    align = align < 4096 ? 4096 : align;
    at = (at + align - 1) & ~(align - 1);
    size = (size + 4095) & ~4095ull;
    if (at > vm->board_size || size > vm->board_size - at)
        return -1;
    vm->board_used = at + size;
    return (int64_t)at;
}
