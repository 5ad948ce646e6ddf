/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A writable flash chip with the Intel command set (CFI primary command set 1), one byte wide. Called from
 * vCPU threads; contents are board memory.
 */
#ifndef BULKHEAD_CPU_WORKER_FLASH_H
#define BULKHEAD_CPU_WORKER_FLASH_H

#include "cpu-worker/chipset/chipset.h"

/* Which chip has this offset of board memory, -1 = none. */
int flash_unit(const struct abi_machine_page *page, uint64_t off);
/* Loads show the contents: it may be mapped as ROM. */
static inline bool flash_shows_array(const struct abi_machine_page *page, int unit)
{
    return __atomic_load_n(&page->chipset.flash[unit].cmd, __ATOMIC_ACQUIRE) == ABI_FLASH_ARRAY;
}
struct flash_access {
    int unit;
    uint8_t *mem; /* the chip's contents */
    uint64_t off; /* from its start */
    unsigned size;
};
uint64_t flash_read(struct chipset *cs, const struct flash_access *a);
/* True: contents changed in [a->off, a->off + len) of the chip, *off and *len say where. */
bool flash_write(struct chipset *cs, const struct flash_access *a, uint64_t v, uint64_t *off, uint64_t *len);

#endif
