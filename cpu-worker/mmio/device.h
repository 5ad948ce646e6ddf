/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The worker's end of the device pages: register accesses that a device process answers, and data
 * ports served here. Used inside cpu-worker/mmio only.
 */
#ifndef BULKHEAD_CPU_WORKER_MMIO_DEVICE_H
#define BULKHEAD_CPU_WORKER_MMIO_DEVICE_H

#include <stdint.h>
#include "ipc/abi/machine-page.h"

struct cpu;

/* An access to a DEVICE entry of the map. No answer in time: all-ones, and the vmm is told. */
uint64_t device_read(struct cpu *c, const struct abi_map_entry *e, uint64_t addr, unsigned size);
void device_write(struct cpu *c, const struct abi_map_entry *e, uint64_t addr, unsigned size,
                  uint64_t value);

#endif
