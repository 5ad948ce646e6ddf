/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The items of the firmware configuration device (QEMU's docs/specs/fw_cfg): a directory at
 * machine page fwcfg_off in board memory, with the contents elsewhere in board memory. Writer: the vmm,
 * before the worker starts and while a vCPU waits for ABI_MBOX_FWCFG; the worker writes the contents of
 * writable items. Owns the layout; must never hold code.
 */
#ifndef BULKHEAD_IPC_ABI_FWCFG_H
#define BULKHEAD_IPC_ABI_FWCFG_H

#include <stdint.h>

#define ABI_FWCFG_MAX 96

#define ABI_FWCFG_WRITABLE 1u /* the guest may write it (by DMA) */
#define ABI_FWCFG_FRESH    2u /* selecting it asks the vmm to make the contents anew (ABI_MBOX_FWCFG) */
struct abi_fwcfg_item {
    uint16_t key;
    uint16_t flags;
    uint32_t size;
    uint64_t off; /* in ABI_SLOT_BOARD */
};
struct abi_fwcfg {
    uint32_t count, pad;
    struct abi_fwcfg_item item[ABI_FWCFG_MAX];
};
_Static_assert(sizeof(struct abi_fwcfg_item) == 16, "ABI");

#endif
