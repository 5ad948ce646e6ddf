/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the cpu-worker carries on this host, and whether a processor model keeps to it. Used by the vmm,
 * which makes models, and by the worker, which trusts none. Must never know a model by name.
 */
#ifndef BULKHEAD_IPC_CPU_MODEL_H
#define BULKHEAD_IPC_CPU_MODEL_H

#include <stddef.h>
#include "ipc/abi/cpu-model.h"

struct cpu_feature_info {
    const char *name, *alias; /* alias may be NULL */
    uint16_t feature;         /* enum cpu_feature */
    uint8_t kind;             /* enum abi_feature_kind */
};
extern const struct cpu_feature_info cpu_feature_table[];
extern const unsigned cpu_feature_count;
/* The row of a feature, or NULL for a bit that has no name. */
const struct cpu_feature_info *cpu_feature_row(unsigned feature);

/* Every feature the worker carries here: OWN, and HOST where the host has the bit. */
void cpu_features_carried(uint32_t words[ABI_CPU_WORDS]);
/* The host's own bits, carried or not. */
void cpu_features_host(uint32_t words[ABI_CPU_WORDS]);
/* vendor, vendor_id, family, model, stepping and brand of the host. */
void cpu_identity_host(struct abi_cpu_model *m);
/* Width of the host's physical addresses. */
uint32_t cpu_phys_bits_host(void);
/* Everything carried, with the host's identity: what tests and -cpu host start from. */
void cpu_model_host(struct abi_cpu_model *m);
/* The enum for a vendor string. */
enum abi_cpu_vendor cpu_vendor_of(const char id[12]);
/* 0, or -1 with one line in err that says which field is wrong. */
int cpu_model_check(const struct abi_cpu_model *m, char *err, size_t errlen);

#endif
