/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The worker's end of the register mailbox: one request at a time per vCPU, answered by the vmm.
 * Used inside cpu-worker/mmio only.
 */
#ifndef BULKHEAD_CPU_WORKER_MAILBOX_H
#define BULKHEAD_CPU_WORKER_MAILBOX_H

#include <stdint.h>
#include "ipc/abi/machine-page.h"

struct cpu;

/* Sends the request and waits for the answer. Returns the value of a read, all-ones if the vmm did
 * not answer before the worker had to pause or end. If the answer came with a new address map, the
 * TLB flush has been requested. */
uint64_t mailbox_call(struct cpu *c, enum abi_mbox_op op, uint64_t addr, unsigned size,
                      uint64_t value);

#endif
