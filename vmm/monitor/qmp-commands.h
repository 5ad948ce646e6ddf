/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The query commands, for the table in qmp-commands.c. Each writes its answer under "return" and
 * returns 0, or -1 with call->error set. They must never change anything.
 */
#ifndef BULKHEAD_VMM_MONITOR_QMP_COMMANDS_H
#define BULKHEAD_VMM_MONITOR_QMP_COMMANDS_H

#include "vmm/monitor/monitor.h"

int query_block(struct qmp_call *c);
int query_chardev(struct qmp_call *c);
/* qmp-cpu.c */
int query_cpu_definitions(struct qmp_call *c);
int query_cpu_model_expansion(struct qmp_call *c);
int query_cpu_model_comparison(struct qmp_call *c);
int query_cpu_model_baseline(struct qmp_call *c);
/* qmp-query.c */
int query_cpus_fast(struct qmp_call *c);
int query_kvm(struct qmp_call *c);
int query_name(struct qmp_call *c);
int query_processes(struct qmp_call *c);
int query_sandbox(struct qmp_call *c);
int query_status(struct qmp_call *c);
int query_target(struct qmp_call *c);
int query_uuid(struct qmp_call *c);
int query_version(struct qmp_call *c);

#endif
