/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small AML emitter (ACPI 6.4 chapter 20): appends opcodes to a caller's buffer and fixes package
 * lengths when a block ends. Running out of room is remembered, never written past. Knows nothing
 * of the machine.
 */
#ifndef BULKHEAD_VMM_MACHINE_ACPI_AML_H
#define BULKHEAD_VMM_MACHINE_ACPI_AML_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct aml {
    uint8_t *buf;
    size_t cap, len;
    bool overflow;
};

void aml_init(struct aml *a, uint8_t *buf, size_t cap);
void aml_byte(struct aml *a, uint8_t v);
void aml_word(struct aml *a, uint16_t v);
void aml_dword(struct aml *a, uint32_t v);
void aml_bytes(struct aml *a, const void *p, size_t n);

void aml_int(struct aml *a, uint64_t v); /* shortest integer constant */
void aml_string(struct aml *a, const char *s);
void aml_eisaid(struct aml *a, const char *id); /* "PNP0A03" */
void aml_path(struct aml *a, const char *path); /* "\\_SB.PCI0", "LNKA" */
void aml_name(struct aml *a, const char *name); /* Name(name, ...): the value follows */
void aml_name_int(struct aml *a, const char *name, uint64_t v);
void aml_name_eisaid(struct aml *a, const char *name, const char *id);

/* Blocks: each returns a mark for aml_end; blocks nest. */
size_t aml_scope(struct aml *a, const char *path);
size_t aml_device(struct aml *a, const char *name);
size_t aml_method(struct aml *a, const char *name, unsigned args);
size_t aml_package(struct aml *a, unsigned elements);
void aml_end(struct aml *a, size_t mark);
void aml_store_arg0(struct aml *a, const char *target); /* Store(Arg0, target) */

/* Resource templates: aml_resources ... aml_res_* ... aml_resources_end (ACPI 6.4 section 6.4). */
struct aml_res {
    struct aml body;
    uint8_t mem[512];
};
void aml_resources(struct aml_res *r);
void aml_res_io(struct aml_res *r, uint16_t port, uint8_t align, uint8_t len);
void aml_res_irq(struct aml_res *r, unsigned irq);       /* edge, active high, exclusive */
void aml_res_interrupt(struct aml_res *r, uint32_t gsi); /* level, active high, shared */
void aml_res_memory32(struct aml_res *r, uint32_t base, uint32_t len);
void aml_res_bus_range(struct aml_res *r, uint16_t first, uint16_t last);
void aml_res_io_range(struct aml_res *r, uint16_t first, uint16_t last);
void aml_res_memory_range(struct aml_res *r, uint32_t first, uint32_t last);
void aml_res_memory64_range(struct aml_res *r, uint64_t first, uint64_t last);
void aml_resources_end(struct aml *a, struct aml_res *r); /* as a Buffer */

#endif
