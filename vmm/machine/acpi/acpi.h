/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ACPI tables of the machine `pc`: RSDP, RSDT, XSDT, FADT, FACS, MADT, HPET, DSDT, with the
 * addresses and numbers of the board. Pure functions from a description to bytes.
 */
#ifndef BULKHEAD_VMM_MACHINE_ACPI_ACPI_H
#define BULKHEAD_VMM_MACHINE_ACPI_ACPI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "ipc/abi/topology.h"
#include "vmm/machine/acpi/aml.h"

struct acpi_config {
    unsigned cpus;
    struct abi_topology topology;
    bool serial[4]; /* COM1-COM4 exist */
    uint32_t pci_base; /* the host bridge's 32-bit memory window begins here */
};

/* Builds everything into buf, which the guest sees at gpa (16-byte aligned, below 4 GiB); the RSDP
 * is at its start. Returns the bytes used, 0 when there is not enough room. */
size_t acpi_build(uint8_t *buf, uint32_t gpa, size_t room, const struct acpi_config *cfg);
void acpi_dsdt_body(struct aml *a, const struct acpi_config *cfg);

#endif
