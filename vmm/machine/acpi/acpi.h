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

#define ACPI_RSDP_LEN     36u
#define ACPI_TABLES_MAX   32u
#define ACPI_POINTERS_MAX 96u

struct acpi_user_table { /* -acpitable: header and body */
    const uint8_t *data;
    size_t len;
};
struct acpi_config {
    unsigned cpus;
    struct abi_topology topology;
    bool serial[4]; /* COM1-COM4 exist */
    uint16_t pm_base;  /* PM1a event block; control and timer behind it */
    uint16_t gpe_base;
    unsigned gpe_len;  /* bytes of GPE block 0 */
    bool q35;          /* ICH9 and memory-mapped configuration space */
    bool vga, s3;      /* there is a VGA card; suspend to RAM is offered */
    uint64_t ecam_base; /* memory-mapped configuration space of so many buses, 0 = none */
    unsigned ecam_buses;
    uint64_t pci64_base, pci64_end; /* the 64-bit memory window, empty = none */
    const struct acpi_user_table *user;
    unsigned n_user;
    uint32_t pci_base; /* the host bridge's 32-bit memory window begins here */
};

/* Where the tables have pointers into themselves, and where each begins: what a loader must know. */
struct acpi_pointer {
    uint32_t at;
    uint8_t len;
};
struct acpi_layout {
    unsigned n_pointer, n_table;
    struct acpi_pointer pointer[ACPI_POINTERS_MAX];
    uint32_t table[ACPI_TABLES_MAX];
    uint32_t rsdt, xsdt;
};

/* All tables but the RSDP, as the guest sees them at gpa. Bytes used, 0 = not enough room. */
size_t acpi_tables_build(uint8_t *buf, uint32_t gpa, size_t room, const struct acpi_config *cfg,
                         struct acpi_layout *l);
void acpi_rsdp_write(uint8_t *p, uint32_t rsdt, uint64_t xsdt); /* ACPI_RSDP_LEN bytes */
/* Builds everything into buf, which the guest sees at gpa (16-byte aligned, below 4 GiB); the RSDP
 * is at its start. Returns the bytes used, 0 when there is not enough room. */
size_t acpi_build(uint8_t *buf, uint32_t gpa, size_t room, const struct acpi_config *cfg);
void acpi_dsdt_body(struct aml *a, const struct acpi_config *cfg);

#endif
