/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a -cpu argument to the processor of the machine page. Must never promise what the worker does not
 * carry on this host.
 */
#ifndef BULKHEAD_VMM_CONFIG_CPU_MODEL_H
#define BULKHEAD_VMM_CONFIG_CPU_MODEL_H

#include "ipc/abi/cpu-model.h"
#include "vmm/config/plan.h"

/* The processor of a finished plan. */
void plan_cpu_model(const struct plan *p, struct abi_cpu_model *m);

#endif
