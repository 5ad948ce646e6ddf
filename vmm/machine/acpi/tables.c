/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The fixed-format ACPI tables (ACPI 6.4 section 5.2): layout, checksums, pointers between them.
 * Must never contain an address that the chipset or the PCI bus does not decode.
 */
#include "vmm/machine/acpi/acpi.h"
#include "vmm/machine/machine.h"

#include <string.h>

#define HEADER     36u
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

static void table_end(struct aml *a, size_t at)
{
    uint32_t len = (uint32_t)(a->len - at);

    if (a->overflow)
        return;
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

static void fadt_legacy_part(struct aml *a)
{
    aml_byte(a, 0); /* was: interrupt model */
    aml_byte(a, 1); /* preferred profile: desktop */
    aml_word(a, PC_SCI);
    aml_dword(a, PC_SMI_CMD);
    aml_byte(a, PC_ACPI_ON);
    aml_byte(a, PC_ACPI_OFF);
    aml_byte(a, 0);           /* S4BIOS */
    aml_byte(a, 0);           /* P-state control */
    aml_dword(a, PC_PM_BASE); /* PM1a event */
    aml_dword(a, 0);
    aml_dword(a, PC_PM_BASE + 4); /* PM1a control */
    aml_dword(a, 0);
    aml_dword(a, 0);              /* PM2 */
    aml_dword(a, PC_PM_BASE + 8); /* PM timer */
    aml_dword(a, PC_GPE0_BASE);
    aml_dword(a, 0);
    aml_byte(a, 4); /* lengths: PM1 event, control, PM2, timer, GPE0, GPE1 */
    aml_byte(a, 2);
    aml_byte(a, 0);
    aml_byte(a, 4);
    aml_byte(a, 4);
    zeroes(a, 3);
    aml_word(a, 0xfff); /* no C2 */
    aml_word(a, 0xfff); /* no C3 */
    zeroes(a, 8);       /* cache flush size and stride, duty cycle, day and month alarm */
    aml_byte(a, 0x32);  /* century byte in CMOS */
}

static void fadt_write(struct aml *a, uint32_t gpa, size_t facs, size_t dsdt)
{
    size_t at = table_begin(a, "FACP", 5);

    aml_dword(a, gpa + (uint32_t)facs);
    aml_dword(a, gpa + (uint32_t)dsdt);
    fadt_legacy_part(a);
    aml_word(a, BOOT_LEGACY_DEVICES | BOOT_8042 | BOOT_NO_VGA);
    aml_byte(a, 0);
    aml_dword(a, FADT_WBINVD | FADT_PROC_C1 | FADT_SLEEP_BUTTON | FADT_RESET_REG_SUP);
    gas(a, 8, 1, PC_RESET_PORT);
    aml_byte(a, PC_RESET_VALUE);
    zeroes(a, 2);   /* ARM boot flags */
    aml_byte(a, 1); /* minor version */
    qword(a, 0);    /* X_FIRMWARE_CTRL: the 32-bit field is used */
    qword(a, gpa + dsdt);
    gas(a, 32, 2, PC_PM_BASE);
    gas(a, 0, 0, 0);
    gas(a, 16, 2, PC_PM_BASE + 4);
    gas(a, 0, 0, 0);
    gas(a, 0, 0, 0);
    gas(a, 32, 3, PC_PM_BASE + 8);
    gas(a, 32, 1, PC_GPE0_BASE);
    gas(a, 0, 0, 0);
    gas(a, 0, 0, 0); /* sleep control, sleep status: not a hardware-reduced machine */
    gas(a, 0, 0, 0);
    table_end(a, at);
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

static size_t madt_write(struct aml *a, const struct acpi_config *cfg)
{
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
    table_end(a, at);
    return at;
}

static size_t hpet_write(struct aml *a)
{
    size_t at = table_begin(a, "HPET", 1);

    aml_dword(a, HPET_BLOCK);
    aml_byte(a, 0); /* memory space */
    zeroes(a, 3);
    qword(a, PC_HPET_BASE);
    aml_byte(a, 0);
    aml_word(a, 100); /* minimum tick without losing interrupts in periodic mode */
    aml_byte(a, 0);
    table_end(a, at);
    return at;
}

static size_t root_write(struct aml *a, const char *sig, uint32_t gpa, const size_t *table,
                         unsigned n)
{
    bool wide = sig[0] == 'X';
    size_t at = table_begin(a, sig, 1);

    for (unsigned i = 0; i < n; i++) {
        uint64_t p = gpa + table[i];

        aml_bytes(a, &p, wide ? 8 : 4);
    }
    table_end(a, at);
    return at;
}

static void rsdp_write(uint8_t *p, uint32_t rsdt, uint64_t xsdt)
{
    uint32_t len = 36;

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

size_t acpi_build(uint8_t *buf, uint32_t gpa, size_t room, const struct acpi_config *cfg)
{
    struct aml a;
    size_t facs, dsdt, table[3], rsdt, xsdt;

    aml_init(&a, buf, room);
    zeroes(&a, 64); /* RSDP, written last */
    facs = facs_write(&a);
    dsdt = table_begin(&a, "DSDT", 2);
    acpi_dsdt_body(&a, cfg);
    table_end(&a, dsdt);
    align(&a, 16);
    table[0] = a.len;
    fadt_write(&a, gpa, facs, dsdt);
    table[1] = madt_write(&a, cfg);
    table[2] = hpet_write(&a);
    rsdt = root_write(&a, "RSDT", gpa, table, 3);
    xsdt = root_write(&a, "XSDT", gpa, table, 3);
    if (a.overflow)
        return 0;
    rsdp_write(buf, gpa + (uint32_t)rsdt, gpa + xsdt);
    return a.len;
}
