/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a model's name to the processor of the machine page. A model as defined may have features that the
 * worker does not carry on this host: they are told apart here, and never reach the machine page.
 */
#ifndef BULKHEAD_VMM_CONFIG_CPU_MODEL_H
#define BULKHEAD_VMM_CONFIG_CPU_MODEL_H

#include <stdbool.h>
#include "ipc/abi/cpu-model.h"
#include "vmm/config/cpu-table.h"
#include "vmm/config/plan.h"

/* By name, by name without version, or by alias; NULL: unknown. */
const struct cpu_def *cpu_def_find(const char *name);
/* The model as it is defined, features not carried included. */
void cpu_def_model(const struct cpu_def *def, struct abi_cpu_model *m);
/* One line that describes it. */
const char *cpu_def_describe(const struct cpu_def *def);
/* The feature with this name or alias ('_' as '-'), or -1. */
int cpu_feature_named(const char *name);
/* Is it a feature of QEMU's that has no CPUID bit in our table (vmx-*, kvm-*, ...)? Never carried. */
bool cpu_feature_elsewhere(const char *name);
/* What m asks for and the worker does not carry here. True if there is anything. */
bool cpu_model_missing(const struct abi_cpu_model *m, uint32_t missing[ABI_CPU_WORDS]);
/* Takes out what is missing; levels and address sizes follow from the features that are left. */
void cpu_model_settle(struct abi_cpu_model *m);
/* The names in words, separated by spaces, cut at size. */
void cpu_feature_names(const uint32_t words[ABI_CPU_WORDS], char *buf, size_t size);

/* A -cpu argument to the model it defines, features not carried included. 0, or -1 with one line in err. */
int cpu_model_read(const char *arg, struct abi_cpu_model *m, char *err, size_t errlen);

/* The processor of a finished plan. */
void plan_cpu_model(const struct plan *p, struct abi_cpu_model *m);

#endif
