/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ACPI tables as files in the firmware configuration device, with the script (etc/table-loader, QEMU's
 * linker and loader interface) by which firmware allocates, relocates and checksums them. The tables are
 * acpi_tables_build's, the same as a kernel gets without firmware.
 */
#include "vmm/machine/machine.h"

#include <stdlib.h>
#include <string.h>

#define TABLES "etc/acpi/tables"
#define RSDP   "etc/acpi/rsdp"
#define LOADER "etc/table-loader"
#define COMMAND_LEN 128u
#define TABLES_ROOM 0x20000u
#define ZONE_HIGH 1
#define ZONE_FSEG 2

enum { CMD_ALLOCATE = 1, CMD_ADD_POINTER, CMD_ADD_CHECKSUM };

struct script {
    uint8_t *p;
    uint32_t room, len;
};

static uint8_t *command(struct script *s, uint32_t cmd)
{
    static uint8_t sink[COMMAND_LEN];
    uint8_t *p = s->room - s->len >= COMMAND_LEN ? s->p + s->len : sink;

    if (p != sink)
        s->len += COMMAND_LEN;
    memset(p, 0, COMMAND_LEN);
    pci_put32(p, cmd);
    return p + 4;
}

static void allocate(struct script *s, const char *file, uint32_t align, uint8_t zone)
{
    uint8_t *p = command(s, CMD_ALLOCATE);

    strcpy((char *)p, file);
    pci_put32(p + FWCFG_NAME_MAX, align);
    p[FWCFG_NAME_MAX + 4] = zone;
}

static void add_pointer(struct script *s, const char *dest, const char *src, uint32_t at, uint8_t len)
{
    uint8_t *p = command(s, CMD_ADD_POINTER);

    strcpy((char *)p, dest);
    strcpy((char *)p + FWCFG_NAME_MAX, src);
    pci_put32(p + 2 * FWCFG_NAME_MAX, at);
    p[2 * FWCFG_NAME_MAX + 4] = len;
}

static void add_checksum(struct script *s, const char *file, uint32_t at, uint32_t start, uint32_t len)
{
    uint8_t *p = command(s, CMD_ADD_CHECKSUM);

    strcpy((char *)p, file);
    pci_put32(p + FWCFG_NAME_MAX, at);
    pci_put32(p + FWCFG_NAME_MAX + 4, start);
    pci_put32(p + FWCFG_NAME_MAX + 8, len);
}

/* Checksum bytes are 0 in the files: one kind of firmware adds to them, another overwrites them. */
static void script_write(struct script *s, uint8_t *tables, uint8_t *rsdp, const struct acpi_layout *l)
{
    allocate(s, RSDP, 16, ZONE_FSEG);
    allocate(s, TABLES, 64, ZONE_HIGH);
    for (unsigned i = 0; i < l->n_pointer; i++)
        add_pointer(s, TABLES, TABLES, l->pointer[i].at, l->pointer[i].len);
    for (unsigned i = 0; i < l->n_table; i++) {
        uint32_t at = l->table[i];

        tables[at + 9] = 0;
        add_checksum(s, TABLES, at + 9, at, pci_get32(tables + at + 4));
    }
    acpi_rsdp_write(rsdp, l->rsdt, l->xsdt);
    rsdp[8] = rsdp[32] = 0;
    add_pointer(s, RSDP, TABLES, 16, 4);
    add_pointer(s, RSDP, TABLES, 24, 8);
    add_checksum(s, RSDP, 8, 0, 20);
    add_checksum(s, RSDP, 32, 0, ACPI_RSDP_LEN);
}

/* Into the three buffers. The size of the tables, 0 = they did not fit. */
static uint32_t files_write(struct machine *m, uint8_t *tables, uint32_t room, uint8_t *rsdp, struct script *s)
{
    struct acpi_config cfg;
    struct acpi_layout l;
    size_t n;

    machine_acpi_config(m, &cfg);
    n = acpi_tables_build(tables, 0, room, &cfg, &l);
    if (n)
        script_write(s, tables, rsdp, &l);
    return (uint32_t)n;
}

/* The sizes firmware reads in the directory are those of now, and do not change: the tables' numbers do. */
void firmware_acpi_build(struct machine *m)
{
    static uint8_t tables[TABLES_ROOM], loader[COMMAND_LEN * (ACPI_POINTERS_MAX + ACPI_TABLES_MAX + 8)];
    uint8_t rsdp[ACPI_RSDP_LEN];
    struct script s = {.p = loader, .room = sizeof(loader)};
    struct acpi_files *f = &m->acpi;

    f->tables_size = files_write(m, tables, sizeof(tables), rsdp, &s);
    f->loader_size = s.len;
    f->tables = fwcfg_file(&m->fwcfg, TABLES, (f->tables_size + 4095) & ~4095u, ABI_FWCFG_FRESH);
    f->rsdp = fwcfg_file(&m->fwcfg, RSDP, ACPI_RSDP_LEN, ABI_FWCFG_FRESH);
    f->loader = fwcfg_file(&m->fwcfg, LOADER, f->loader_size, ABI_FWCFG_FRESH);
    firmware_acpi_refresh(m);
}

void firmware_acpi_refresh(struct machine *m)
{
    struct acpi_files *f = &m->acpi;
    struct script s = {.p = f->loader, .room = f->loader_size};

    if (f->tables && f->rsdp && f->loader)
        files_write(m, f->tables, (f->tables_size + 4095) & ~4095u, f->rsdp, &s);
}
