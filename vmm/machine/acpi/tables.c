/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The fixed-format ACPI tables (ACPI 6.4 section 5.2): layout, checksums, pointers between them.
 * Must never contain an address that the chipset or the PCI bus does not decode.
 */
#include "vmm/machine/acpi/acpi.h"
#include "vmm/machine/machine.h"

#include <string.h>

#define RSDP_ROOM  64u
#define GAS_IO     1
#define HPET_BLOCK 0x8086a201u /* as the chipset's HPET capability register reads, low half */
#define MADT_PCAT  1u          /* the PICs exist too */
#define LEVEL_HIGH 0x000du     /* MPS INTI flags: level, active high */

/* FADT flags */
#define FADT_WBINVD  (1u << 0)
#define FADT_PROC_C1 (1u << 2)
#define FADT_SLEEP_BUTTON                                                                          \
    (1u << 5) /* no fixed sleep button; the power button is fixed: bit 4 clear */
#define FADT_RESET_REG_SUP (1u << 10)
/* IA-PC boot architecture flags */
#define BOOT_LEGACY_DEVICES (1u << 0)
#define BOOT_8042           (1u << 1)
#define BOOT_NO_VGA         (1u << 2)

static uint8_t checksum(const uint8_t *p, size_t n)
{
    uint8_t sum = 0;

    while (n--)
        sum = (uint8_t)(sum + *p++);
    return (uint8_t)-sum;
}

static void qword(struct aml *a, uint64_t v)
{
    aml_bytes(a, &v, sizeof(v));
}

static void align(struct aml *a, size_t to)
{
    while (a->len % to && !a->overflow)
        aml_byte(a, 0);
}

struct build { /* tables under construction, and what moves when they do */
    struct aml a;
    struct acpi_layout *l;
};

/* A pointer of len bytes to offset `to` of the tables. */
static void pointer(struct build *b, uint64_t gpa, size_t to, unsigned len)
{
    uint64_t p = gpa + to;

    if (b->l->n_pointer < ACPI_POINTERS_MAX)
        b->l->pointer[b->l->n_pointer++] = (struct acpi_pointer){(uint32_t)b->a.len, (uint8_t)len};
    else
        b->a.overflow = true;
    aml_bytes(&b->a, &p, len);
}

static size_t table_begin(struct aml *a, const char *sig, uint8_t revision)
{
    size_t at;

    align(a, 16);
    at = a->len;
    aml_bytes(a, sig, 4);
    aml_dword(a, 0);
    aml_byte(a, revision);
    aml_byte(a, 0);
    aml_bytes(a, "BLKHD ", 6);
    aml_bytes(a, "BULKHDPC", 8);
    aml_dword(a, 1);
    aml_bytes(a, "BLKH", 4);
    aml_dword(a, 1);
    return at;
}

static void table_end(struct build *b, size_t at)
{
    struct aml *a = &b->a;
    uint32_t len = (uint32_t)(a->len - at);

    if (b->l->n_table == ACPI_TABLES_MAX)
        a->overflow = true;
    if (a->overflow)
        return;
    b->l->table[b->l->n_table++] = (uint32_t)at;
    memcpy(a->buf + at + 4, &len, 4);
    a->buf[at + 9] = checksum(a->buf + at, len);
}

static void gas(struct aml *a, uint8_t bits, uint8_t access, uint64_t port)
{
    aml_byte(a, port ? GAS_IO : 0);
    aml_byte(a, bits);
    aml_byte(a, 0);
    aml_byte(a, access);
    qword(a, port);
}

static void zeroes(struct aml *a, size_t n)
{
    while (n--)
        aml_byte(a, 0);
}

static void fadt_legacy_part(struct aml *a, const struct acpi_config *cfg)
{
    aml_byte(a, 0); /* was: interrupt model */
    aml_byte(a, 1); /* preferred profile: desktop */
    aml_word(a, PC_SCI);
    aml_dword(a, PC_SMI_CMD);
    aml_byte(a, PC_ACPI_ON);
    aml_byte(a, PC_ACPI_OFF);
    aml_byte(a, 0);           /* S4BIOS */
    aml_byte(a, 0);           /* P-state control */
    aml_dword(a, cfg->pm_base); /* PM1a event */
    aml_dword(a, 0);
    aml_dword(a, cfg->pm_base + 4); /* PM1a control */
    aml_dword(a, 0);
    aml_dword(a, 0);                /* PM2 */
    aml_dword(a, cfg->pm_base + 8); /* PM timer */
    aml_dword(a, cfg->gpe_base);
    aml_dword(a, 0);
    aml_byte(a, 4); /* lengths: PM1 event, control, PM2, timer, GPE0, GPE1 */
    aml_byte(a, 2);
    aml_byte(a, 0);
    aml_byte(a, 4);
    aml_byte(a, (uint8_t)cfg->gpe_len);
    zeroes(a, 3);
    aml_word(a, 0xfff); /* no C2 */
    aml_word(a, 0xfff); /* no C3 */
    zeroes(a, 8);       /* cache flush size and stride, duty cycle, day and month alarm */
    aml_byte(a, 0x32);  /* century byte in CMOS */
}

static void fadt_write(struct build *b, uint32_t gpa, size_t facs, size_t dsdt, const struct acpi_config *cfg)
{
    struct aml *a = &b->a;
    size_t at = table_begin(a, "FACP", 5);

    pointer(b, gpa, facs, 4);
    pointer(b, gpa, dsdt, 4);
    fadt_legacy_part(a, cfg);
    aml_word(a, BOOT_LEGACY_DEVICES | BOOT_8042 | (cfg->vga ? 0 : BOOT_NO_VGA));
    aml_byte(a, 0);
    aml_dword(a, FADT_WBINVD | FADT_PROC_C1 | FADT_SLEEP_BUTTON | FADT_RESET_REG_SUP);
    gas(a, 8, 1, PC_RESET_PORT);
    aml_byte(a, PC_RESET_VALUE);
    zeroes(a, 2);   /* ARM boot flags */
    aml_byte(a, 1); /* minor version */
    qword(a, 0);    /* X_FIRMWARE_CTRL: the 32-bit field is used */
    pointer(b, gpa, dsdt, 8);
    gas(a, 32, 2, cfg->pm_base);
    gas(a, 0, 0, 0);
    gas(a, 16, 2, cfg->pm_base + 4);
    gas(a, 0, 0, 0);
    gas(a, 0, 0, 0);
    gas(a, 32, 3, cfg->pm_base + 8);
    gas(a, (uint8_t)(8 * cfg->gpe_len), 1, cfg->gpe_base);
    gas(a, 0, 0, 0);
    gas(a, 0, 0, 0); /* sleep control, sleep status: not a hardware-reduced machine */
    gas(a, 0, 0, 0);
    table_end(b, at);
}

static size_t facs_write(struct aml *a)
{
    size_t at;

    align(a, 64);
    at = a->len;
    aml_bytes(a, "FACS", 4);
    aml_dword(a, 64);
    zeroes(a, 24);  /* signature, waking vectors, global lock, flags */
    aml_byte(a, 1); /* version */
    zeroes(a, 31);
    return at;
}

static void source_override(struct aml *a, uint8_t irq, uint32_t gsi, uint16_t flags)
{
    aml_byte(a, 2);
    aml_byte(a, 10);
    aml_byte(a, 0); /* ISA */
    aml_byte(a, irq);
    aml_dword(a, gsi);
    aml_word(a, flags);
}

static size_t madt_write(struct build *b, const struct acpi_config *cfg)
{
    struct aml *a = &b->a;
    size_t at = table_begin(a, "APIC", 4);

    aml_dword(a, PC_LAPIC_BASE);
    aml_dword(a, MADT_PCAT);
    for (unsigned i = 0; i < cfg->cpus; i++) {
        aml_byte(a, 0);
        aml_byte(a, 8);
        aml_byte(a, (uint8_t)i); /* processor, APIC ID, enabled */
        aml_byte(a, (uint8_t)topo_apic_id(&cfg->topology, i));
        aml_dword(a, 1);
    }
    aml_byte(a, 1);
    aml_byte(a, 12);
    aml_byte(a, 0); /* IOAPIC ID */
    aml_byte(a, 0);
    aml_dword(a, PC_IOAPIC_BASE);
    aml_dword(a, 0);             /* first GSI */
    source_override(a, 0, 2, 0); /* the PIT is wired to pin 2 */
    source_override(a, PC_SCI, PC_SCI, LEVEL_HIGH);
    source_override(a, 10, 10, LEVEL_HIGH); /* PCI */
    source_override(a, 11, 11, LEVEL_HIGH);
    aml_byte(a, 4); /* NMI: every processor's LINT1 */
    aml_byte(a, 6);
    aml_byte(a, 0xff);
    aml_word(a, 0);
    aml_byte(a, 1);
    table_end(b, at);
    return at;
}

static size_t hpet_write(struct build *b)
{
    struct aml *a = &b->a;
    size_t at = table_begin(a, "HPET", 1);

    aml_dword(a, HPET_BLOCK);
    aml_byte(a, 0); /* memory space */
    zeroes(a, 3);
    qword(a, PC_HPET_BASE);
    aml_byte(a, 0);
    aml_word(a, 100); /* minimum tick without losing interrupts in periodic mode */
    aml_byte(a, 0);
    table_end(b, at);
    return at;
}

/* PCI Firmware Specification 3.3, 4.1.2: memory-mapped configuration space of segment 0. */
static size_t mcfg_write(struct build *b, const struct acpi_config *cfg)
{
    struct aml *a = &b->a;
    size_t at = table_begin(a, "MCFG", 1);

    zeroes(a, 8);
    qword(a, cfg->ecam_base);
    aml_word(a, 0);
    aml_byte(a, 0);
    aml_byte(a, (uint8_t)(cfg->ecam_buses - 1));
    zeroes(a, 4);
    table_end(b, at);
    return at;
}

/* A table of the user's, header and all; its checksum is made right. */
static size_t user_write(struct build *b, const struct acpi_user_table *t)
{
    size_t at;

    align(&b->a, 16);
    at = b->a.len;
    aml_bytes(&b->a, t->data, t->len);
    if (!b->a.overflow)
        b->a.buf[at + 9] = 0;
    table_end(b, at);
    return at;
}

static size_t root_write(struct build *b, const char *sig, uint32_t gpa, const size_t *table,
                         unsigned n)
{
    size_t at = table_begin(&b->a, sig, 1);

    for (unsigned i = 0; i < n; i++)
        pointer(b, gpa, table[i], sig[0] == 'X' ? 8 : 4);
    table_end(b, at);
    return at;
}

void acpi_rsdp_write(uint8_t *p, uint32_t rsdt, uint64_t xsdt)
{
    uint32_t len = ACPI_RSDP_LEN;

    memset(p, 0, len);
    memcpy(p, "RSD PTR ", 8);
    memcpy(p + 9, "BLKHD ", 6);
    p[15] = 2;
    memcpy(p + 16, &rsdt, 4);
    memcpy(p + 20, &len, 4);
    memcpy(p + 24, &xsdt, 8);
    p[8] = checksum(p, 20);
    p[32] = checksum(p, 36);
}

size_t acpi_tables_build(uint8_t *buf, uint32_t gpa, size_t room, const struct acpi_config *cfg,
                         struct acpi_layout *l)
{
    struct build b = {.l = l};
    size_t facs, dsdt, table[ACPI_TABLES_MAX];
    unsigned n = 0;

    memset(l, 0, sizeof(*l));
    aml_init(&b.a, buf, room);
    facs = facs_write(&b.a);
    dsdt = table_begin(&b.a, "DSDT", 2);
    acpi_dsdt_body(&b.a, cfg);
    table_end(&b, dsdt);
    align(&b.a, 16);
    table[n++] = b.a.len;
    fadt_write(&b, gpa, facs, dsdt, cfg);
    table[n++] = madt_write(&b, cfg);
    table[n++] = hpet_write(&b);
    if (cfg->ecam_buses)
        table[n++] = mcfg_write(&b, cfg);
    for (unsigned i = 0; i < cfg->n_user && n < ACPI_TABLES_MAX - 3; i++)
        table[n++] = user_write(&b, &cfg->user[i]);
    l->rsdt = (uint32_t)root_write(&b, "RSDT", gpa, table, n);
    l->xsdt = (uint32_t)root_write(&b, "XSDT", gpa, table, n);
    return b.a.overflow ? 0 : b.a.len;
}

size_t acpi_build(uint8_t *buf, uint32_t gpa, size_t room, const struct acpi_config *cfg)
{
    struct acpi_layout l;
    size_t n = room < RSDP_ROOM ? 0
                                : acpi_tables_build(buf + RSDP_ROOM, gpa + RSDP_ROOM, room - RSDP_ROOM, cfg, &l);

    if (!n)
        return 0;
    acpi_rsdp_write(buf, gpa + RSDP_ROOM + l.rsdt, gpa + RSDP_ROOM + l.xsdt);
    return RSDP_ROOM + n;
}
