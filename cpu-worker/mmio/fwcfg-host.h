/* SPDX-License-Identifier: Apache-2.0 */
/* What the firmware configuration device needs of the vCPU that touches it. */
#ifndef BULKHEAD_CPU_WORKER_FWCFG_HOST_H
#define BULKHEAD_CPU_WORKER_FWCFG_HOST_H

#include "cpu-worker/chipset/fwcfg.h"

struct cpu;
struct fwcfg_host fwcfg_host_of(struct cpu *c);

#endif
