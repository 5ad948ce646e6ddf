/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The address map the cpu-worker reads: collected in private memory, published in the machine page
 * under its seqlock. Owns sorting, overlap and room checks; must never decide what is mapped where.
 */
#ifndef BULKHEAD_VMM_MACHINE_ADDR_MAP_H
#define BULKHEAD_VMM_MACHINE_ADDR_MAP_H

#include <stdbool.h>
#include <stdint.h>
#include "ipc/abi/machine-page.h"

struct addr_map { /* private copy; entries sorted by address */
    unsigned count, io_count, smram_count;
    struct abi_map_entry mem[ABI_MAP_MAX];
    struct abi_map_entry io[ABI_IO_MAX];
    struct abi_map_entry smram[ABI_SMRAM_MAX];
};

void addr_map_clear(struct addr_map *m);
/* size in bytes (ports). 0; -EINVAL empty or wrapping range; -EEXIST overlap; -ENOSPC table full.
 * KICK entries: offset is the number of queues behind the entry, for the worker's bounds check. */
int addr_map_mem_add(struct addr_map *m, uint64_t gpa, uint64_t size, enum abi_map_kind kind,
                     uint32_t slot, uint64_t offset);
int addr_map_io_add(struct addr_map *m, uint64_t port, uint64_t size, enum abi_map_kind kind,
                    uint32_t slot, uint64_t offset);
/* RAM at offset in guest memory that lies over the rest for a vCPU in SMM. */
int addr_map_smram_add(struct addr_map *m, uint64_t gpa, uint64_t size, uint64_t offset);
/* Writes the map under the seqlock; nothing is written when it equals what is published. */
void addr_map_publish(const struct addr_map *m, struct abi_addr_map *shared);

#endif
