/* SPDX-License-Identifier: Apache-2.0 */
/* Resource templates in AML (ACPI 6.4 section 6.4). Knows nothing of the machine. */
#include "vmm/machine/acpi/aml.h"

enum { OP_BUFFER = 0x11 };
enum { RANGE_MEMORY, RANGE_IO, RANGE_BUS };
#define RANGE_FIXED 0x0c /* both ends fixed, the bridge passes it on (producer), positive decode   \
                          */

void aml_resources(struct aml_res *r)
{
    aml_init(&r->body, r->mem, sizeof(r->mem));
}

void aml_res_io(struct aml_res *r, uint16_t port, uint8_t align, uint8_t len)
{
    aml_byte(&r->body, 0x47);
    aml_byte(&r->body, 1); /* 16-bit decode */
    aml_word(&r->body, port);
    aml_word(&r->body, port);
    aml_byte(&r->body, align);
    aml_byte(&r->body, len);
}

void aml_res_irq(struct aml_res *r, unsigned irq)
{
    aml_byte(&r->body, 0x22);
    aml_word(&r->body, (uint16_t)(1u << irq));
}

void aml_res_interrupt(struct aml_res *r, uint32_t gsi)
{
    aml_byte(&r->body, 0x89);
    aml_word(&r->body, 6);
    aml_byte(&r->body, 0x09); /* consumer, level, active high, shared */
    aml_byte(&r->body, 1);
    aml_dword(&r->body, gsi);
}

void aml_res_memory32(struct aml_res *r, uint32_t base, uint32_t len)
{
    aml_byte(&r->body, 0x86);
    aml_word(&r->body, 9);
    aml_byte(&r->body, 1); /* writable */
    aml_dword(&r->body, base);
    aml_dword(&r->body, len);
}

static void word_range(struct aml_res *r, uint8_t type, uint8_t flags, uint16_t first,
                       uint16_t last)
{
    aml_byte(&r->body, 0x88);
    aml_word(&r->body, 13);
    aml_byte(&r->body, type);
    aml_byte(&r->body, RANGE_FIXED);
    aml_byte(&r->body, flags);
    aml_word(&r->body, 0); /* granularity */
    aml_word(&r->body, first);
    aml_word(&r->body, last);
    aml_word(&r->body, 0); /* translation */
    aml_word(&r->body, (uint16_t)(last - first + 1));
}

void aml_res_bus_range(struct aml_res *r, uint16_t first, uint16_t last)
{
    word_range(r, RANGE_BUS, 0, first, last);
}

void aml_res_io_range(struct aml_res *r, uint16_t first, uint16_t last)
{
    word_range(r, RANGE_IO, 3, first, last); /* ISA and non-ISA addresses */
}

void aml_res_memory_range(struct aml_res *r, uint32_t first, uint32_t last)
{
    aml_byte(&r->body, 0x87);
    aml_word(&r->body, 23);
    aml_byte(&r->body, RANGE_MEMORY);
    aml_byte(&r->body, RANGE_FIXED);
    aml_byte(&r->body, 1); /* non-cacheable, writable */
    aml_dword(&r->body, 0);
    aml_dword(&r->body, first);
    aml_dword(&r->body, last);
    aml_dword(&r->body, 0);
    aml_dword(&r->body, last - first + 1);
}

void aml_res_memory64_range(struct aml_res *r, uint64_t first, uint64_t last)
{
    const uint64_t field[5] = {0, first, last, 0, last - first + 1};

    aml_byte(&r->body, 0x8a);
    aml_word(&r->body, 43);
    aml_byte(&r->body, RANGE_MEMORY);
    aml_byte(&r->body, RANGE_FIXED);
    aml_byte(&r->body, 3); /* cacheable (prefetchable), writable */
    aml_bytes(&r->body, field, sizeof(field));
}

void aml_resources_end(struct aml *a, struct aml_res *r)
{
    size_t mark;

    aml_byte(&r->body, 0x79); /* end tag; checksum 0 = not used */
    aml_byte(&r->body, 0);
    a->overflow |= r->body.overflow;
    aml_byte(a, OP_BUFFER);
    mark = a->len;
    aml_int(a, r->body.len);
    aml_bytes(a, r->mem, r->body.len);
    aml_end(a, mark);
}
