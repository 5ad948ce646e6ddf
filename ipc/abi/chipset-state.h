/* SPDX-License-Identifier: Apache-2.0 */
/* Placeholder layout until the chipset models fill it in: see cpu-worker/chipset. */
#ifndef BULKHEAD_IPC_ABI_CHIPSET_STATE_H
#define BULKHEAD_IPC_ABI_CHIPSET_STATE_H
#include <stdint.h>
struct abi_chipset_state {
    uint32_t version;
    uint8_t reserved[32764];
};
#endif
