/* SPDX-License-Identifier: Apache-2.0 */
/* Commands about keys, pointer and VNC, for the tables of both monitors. They only use vmm/vm.h. */
#ifndef BULKHEAD_VMM_MONITOR_INPUT_COMMANDS_H
#define BULKHEAD_VMM_MONITOR_INPUT_COMMANDS_H

#include "vmm/monitor/monitor.h"

void hmp_sendkey(struct vm *vm, const char *arg, struct hmp_out *out);
void hmp_mouse_move(struct vm *vm, const char *arg, struct hmp_out *out);
void hmp_mouse_button(struct vm *vm, const char *arg, struct hmp_out *out);
void hmp_set_password(struct vm *vm, const char *arg, struct hmp_out *out);
void hmp_expire_password(struct vm *vm, const char *arg, struct hmp_out *out);
void hmp_change(struct vm *vm, const char *arg, struct hmp_out *out);
int qmp_send_key(struct qmp_call *c);
int qmp_input_send_event(struct qmp_call *c);
int qmp_set_password(struct qmp_call *c);
int qmp_expire_password(struct qmp_call *c);
int qmp_change_vnc_password(struct qmp_call *c);
int query_vnc(struct qmp_call *c);
/* "now", "never", "+seconds", "seconds". 0, or -1 with the message set. */
int vnc_expire_text(struct vm *vm, const char *text);

#endif
