/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The VM's life from the first RUN to the exit status: run states, worker commands, guest power
 * events. Owns struct vm's state field; decides nothing about processes (supervise/ does).
 */
#ifndef BULKHEAD_VMM_LIFECYCLE_H
#define BULKHEAD_VMM_LIFECYCLE_H

#include "vmm/supervise/supervisor.h"

#define LIFECYCLE_ACK_DEADLINE_NS                                                                  \
    5000000000ull /* a worker that does not acknowledge in time is hung */

extern const struct sup_hooks lifecycle_hooks;

/* Timers, the doorbell. Before the children are started. 0 or -errno. */
int lifecycle_init(struct vm *vm, struct supervisor *sup);
/* Ends the VM in an orderly way with this exit status; reason is one of QMP's ShutdownCause names.
 */
void lifecycle_end(struct vm *vm, int status, bool guest, const char *reason);
struct supervisor *lifecycle_supervisor(void);

/* worker-command.c: one command to the cpu-worker at a time. The wait serves the mailbox, because
 * the vCPU may be in the middle of a register access; it ends after LIFECYCLE_ACK_DEADLINE_NS with
 * the worker condemned. 0 or -errno. */
int worker_command(struct vm *vm, struct supervisor *sup, enum ctl_msg type);
void worker_acknowledged(uint32_t seq);

/* vm-operations.c: drives that hold requests back after an error try them again. */
void vm_block_retry(struct vm *vm);

/* screendump.c: ui-proc has drawn the picture with this number. */
void screendump_answered(uint32_t seq, uint32_t error);

/* serial-rings.c */
void serial_rings_init(struct vm *vm);

#endif
