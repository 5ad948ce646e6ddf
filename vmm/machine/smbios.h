/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SMBIOS tables (DMTF DSP0134, version 2.8): what the machine says of itself, from the plan. Pure functions from
 * a description to bytes.
 */
#ifndef BULKHEAD_VMM_MACHINE_SMBIOS_H
#define BULKHEAD_VMM_MACHINE_SMBIOS_H

#include <stddef.h>
#include <stdint.h>
#include "vmm/config/plan.h"

#define SMBIOS_ANCHOR_LEN 31u
#define SMBIOS_ROOM       0x4000u

struct smbios_tables {
    uint8_t buf[SMBIOS_ROOM];
    size_t len; /* 0 after a failure: no room */
    unsigned count, largest;
};
void smbios_build(struct smbios_tables *t, const struct plan *p, uint64_t low, uint64_t high);
/* The entry point, for tables that lie at gpa. */
void smbios_anchor(const struct smbios_tables *t, uint32_t gpa, uint8_t out[SMBIOS_ANCHOR_LEN]);

#endif
