/* SPDX-License-Identifier: Apache-2.0 */
/* Host faults in translated code; apart from run/xl.h because of the names ucontext.h takes. */
#ifndef BULKHEAD_CPU_WORKER_RUN_XL_TRAP_H
#define BULKHEAD_CPU_WORKER_RUN_XL_TRAP_H

#include <stdbool.h>
#include <stdint.h>

/* True: *pc is in translated code and now where that leaves. Runs in a signal handler of a vCPU's thread. */
bool xl_trap_resume(uintptr_t *pc);
/* The same with the handler's context. */
bool xl_trap_take(void *ucontext);
void xl_signals_init(void);

#endif
