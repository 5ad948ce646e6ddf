/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Between the signal handler, which knows the host's signal frame, and the vCPU that it interrupted.
 * Included by helpers/ and by test programs with a SIGFPE handler of their own; must never need run/cpu.h,
 * whose register names clash with the C library's.
 */
#ifndef BULKHEAD_CPU_WORKER_HELPERS_SIMD_TRAP_H
#define BULKHEAD_CPU_WORKER_HELPERS_SIMD_TRAP_H

#include <stdbool.h>
#include <stdint.h>

/* Once per process, before any vCPU runs: SIGFPE becomes the guest's #XM. */
void simd_traps_init(void);
/* From a handler of SIGFPE with the interrupted MXCSR: does not return if the exception was the guest's. */
bool simd_trap_take(uint32_t mxcsr);

#endif
