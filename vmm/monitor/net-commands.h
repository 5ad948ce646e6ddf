/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The monitors' commands about networks, for the tables in hmp-commands.c and qmp-commands.c. Must never touch the
 * machine but through vmm/vm.h.
 */
#ifndef BULKHEAD_VMM_MONITOR_NET_COMMANDS_H
#define BULKHEAD_VMM_MONITOR_NET_COMMANDS_H

#include "vmm/monitor/monitor.h"

void hmp_netdev_add(struct vm *vm, const char *arg, struct hmp_out *out);
void hmp_netdev_del(struct vm *vm, const char *arg, struct hmp_out *out);
void hmp_netdev_replace(struct vm *vm, const char *arg, struct hmp_out *out);
void hmp_set_link(struct vm *vm, const char *arg, struct hmp_out *out);
void hmp_hostfwd_add(struct vm *vm, const char *arg, struct hmp_out *out);
void hmp_hostfwd_remove(struct vm *vm, const char *arg, struct hmp_out *out);
void hmp_getfd(struct vm *vm, const char *arg, struct hmp_out *out);
void hmp_closefd(struct vm *vm, const char *arg, struct hmp_out *out);
void hmp_info_network(struct vm *vm, struct hmp_out *out);
void hmp_info_usernet(struct vm *vm, struct hmp_out *out);

/* 0, or -1: vm_last_error() says why. */
int qmp_netdev_add(struct qmp_call *c);

#endif
