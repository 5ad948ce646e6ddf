/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The firmware configuration device: ports 510h (selector), 511h (data) and 514h-51Bh (DMA address).
 * Called from vCPU threads with the accesses the device itself makes passed in, because they are made by
 * the vCPU that asked for them.
 */
#ifndef BULKHEAD_CPU_WORKER_FWCFG_H
#define BULKHEAD_CPU_WORKER_FWCFG_H

#include "cpu-worker/chipset/chipset.h"

struct fwcfg_host {
    void *opaque;
    const uint8_t *board; /* ABI_SLOT_BOARD and its size */
    uint64_t board_size;
    /* Copies between buf and guest memory as a device on the bus sees it; false: not memory. */
    bool (*copy)(void *opaque, uint64_t gpa, void *buf, uint64_t len, bool to_guest);
    void (*ask)(void *opaque, enum abi_mbox_op op, uint16_t key); /* waits for the vmm */
};

static inline bool fwcfg_claims(const struct abi_machine_page *page, uint16_t port)
{
    return page->fwcfg_off && (port == 0x510 || port == 0x511 || (port >= 0x514 && port <= 0x51b));
}
uint32_t fwcfg_read(struct chipset *cs, const struct fwcfg_host *h, uint16_t port, unsigned size);
void fwcfg_write(struct chipset *cs, const struct fwcfg_host *h, uint16_t port, unsigned size, uint32_t v);

#endif
