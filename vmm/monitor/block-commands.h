/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Commands about running drives, for the tables of both monitors. Must never touch a drive but through vmm/vm.h.
 */
#ifndef BULKHEAD_VMM_MONITOR_BLOCK_COMMANDS_H
#define BULKHEAD_VMM_MONITOR_BLOCK_COMMANDS_H

#include "vmm/monitor/monitor.h"

/* QMP: 0, or an error as vm_last_error has it. args were checked for their types. */
int block_qmp_resize(struct vm *vm, const struct json_doc *doc, const struct json_node *args);
int block_qmp_throttle(struct vm *vm, const struct json_doc *doc, const struct json_node *args);
/* HMP: "device size" and "device bps bps_rd bps_wr iops iops_rd iops_wr". */
int block_hmp_resize(struct vm *vm, const char *arg);
int block_hmp_throttle(struct vm *vm, const char *arg);

#endif
