/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Processor models by name, each as the difference from an earlier one: what Debian's QEMU 7.2 reports for
 * these names over QMP (tests/compat/cpu-models.py compares), and for EPYC-Genoa and SapphireRapids what the
 * vendors publish. Owns the table; must never know what the worker carries.
 */
#ifndef BULKHEAD_VMM_CONFIG_CPU_TABLE_H
#define BULKHEAD_VMM_CONFIG_CPU_TABLE_H

#include <stddef.h>
#include <stdint.h>

struct cpu_def {
    const char *name;   /* "Haswell-v2"; the name without "-vN" means v1 */
    const char *alias;  /* "Haswell-noTSX", or NULL */
    const char *base;   /* row with whose features it starts, or NULL: none */
    const char *vendor; /* 12 characters; NULL for those made from the host: base, max, host */
    uint16_t family, model;
    uint8_t stepping;
    uint8_t level;
    uint32_t xlevel;
    const char *brand;
    const char *change; /* "+name" and "-name", separated by spaces */
};
extern const struct cpu_def cpu_defs[];
extern const unsigned cpu_def_count;

#endif
