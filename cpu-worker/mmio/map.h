/* SPDX-License-Identifier: Apache-2.0 */
/* Lookup in the validated copy of the address map. Used inside cpu-worker/mmio only. */
#ifndef BULKHEAD_CPU_WORKER_MAP_H
#define BULKHEAD_CPU_WORKER_MAP_H

#include "ipc/abi/machine-page.h"

/* The entry of e[0..n) that holds addr, NULL = none. */
const struct abi_map_entry *map_find(const struct abi_map_entry *e, uint32_t n, uint64_t addr);

#endif
