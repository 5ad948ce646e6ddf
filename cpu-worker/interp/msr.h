/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Model-specific registers in pieces. Internal to interp/.
 */
#ifndef BULKHEAD_CPU_WORKER_INTERP_MSR_H
#define BULKHEAD_CPU_WORKER_INTERP_MSR_H

#include "cpu-worker/run/cpu.h"

/* RDMSR and WRMSR without the privilege check; false: #GP. */
bool msr_read(struct cpu *c, uint32_t msr, uint64_t *v);
bool msr_write(struct cpu *c, uint32_t msr, uint64_t v);

/* Does this model have the register, as far as a vendor or a feature decides that? */
bool msr_exists(const struct cpu *c, uint32_t msr);
/* Reserved bits and values of registers that another file keeps. */
bool msr_valid(const struct cpu *c, uint32_t msr, uint64_t v);
/* Registers that are a word of state or a constant. */
bool msr_table_read(const struct cpu *c, uint32_t msr, uint64_t *v);
enum msr_table_result { MSR_ELSEWHERE, MSR_DONE, MSR_FAULT };
enum msr_table_result msr_table_write(struct cpu *c, uint32_t msr, uint64_t v);
/* AMD's performance counters (interp/perf.c): four event selects, then four counters. */
#define PERF_CTL0 0xc0010000u
bool perf_msr_read(const struct cpu *c, uint32_t msr, uint64_t *v);
enum msr_table_result perf_msr_write(struct cpu *c, uint32_t msr, uint64_t v);

#endif
