/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hardware task switches (SDM volume 3, chapter 7). Owns the saving and loading of task state segments.
 */
#ifndef BULKHEAD_CPU_WORKER_INTERP_TASK_H
#define BULKHEAD_CPU_WORKER_INTERP_TASK_H

#include "cpu-worker/interp/segment.h"

enum task_by { TASK_JMP, TASK_CALL, TASK_EVENT, TASK_IRET };
struct task_from {
    enum task_by by;
    unsigned ext;    /* EXT bit of the error codes */
    uint64_t rip;    /* where the old task goes on */
    uint64_t rflags; /* as the old task's image gets them */
};
static inline bool task_is_tss(const struct desc *d)
{
    return !DESC_S(d) && (DESC_TYPE(d) & 5) == 1; /* 1 3 9 11 */
}
/* Switch to the task of TSS selector sel; privilege has been checked. Before the commit point faults are
 * the old task's, after it the new one's. Ends with the new task's CS:EIP in place. */
void task_switch(struct cpu *c, const struct op *o, uint16_t sel, const struct task_from *f);
/* The error code of an exception that came through a task gate, on the new task's stack. */
void task_push_error(struct cpu *c, uint32_t error, unsigned ext);
/* Back to the previous task by the back link: IRET with NT set. */
void task_return(struct cpu *c, const struct op *o);

#endif
