/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The DSDT: PCI root with its windows and interrupt routing, ISA devices, reserved board resources,
 * processors, sleep state S5. The interrupt links are fixed: machine_pirq_gsi says where they go.
 */
#include "vmm/machine/acpi/acpi.h"
#include "vmm/machine/machine.h"

#include <stdio.h>

static const struct {
    uint16_t port;
    uint8_t irq;
} uart[4] = {{0x3f8, 4}, {0x2f8, 3}, {0x3e8, 4}, {0x2e8, 3}};

static void pci_windows(struct aml *a, const struct acpi_config *cfg)
{
    struct aml_res r;

    aml_resources(&r);
    aml_res_bus_range(&r, 0, 0); /* no bridges: bus 0 is all there is */
    aml_res_io(&r, 0xcf8, 1, 8);
    aml_res_io_range(&r, 0, 0xcf7);
    aml_res_io_range(&r, PCI_IO_BASE, PCI_IO_END - 1);
    if (cfg->ecam_buses) { /* configuration space lies in the middle */
        aml_res_memory_range(&r, cfg->pci_base, (uint32_t)cfg->ecam_base - 1);
        aml_res_memory_range(&r, (uint32_t)cfg->ecam_base + (cfg->ecam_buses << 20), PCI_MMIO_END - 1);
    } else {
        aml_res_memory_range(&r, cfg->pci_base, PCI_MMIO_END - 1);
    }
    if (cfg->pci64_end)
        aml_res_memory64_range(&r, cfg->pci64_base, cfg->pci64_end - 1);
    aml_name(a, "_CRS");
    aml_resources_end(a, &r);
}

static const char *link_name(unsigned pirq)
{
    static const char *const name[4] = {"LNKA", "LNKB", "LNKC", "LNKD"};

    return name[pirq & 3];
}

/* ACPI 6.4 section 6.2.13: { slot << 16 | 0xffff, pin, link, 0 } for every slot and pin. */
static void pci_routing(struct aml *a)
{
    size_t all;

    aml_name(a, "_PRT");
    all = aml_package(a, 31 * 4);
    for (unsigned slot = 1; slot < 32; slot++)
        for (unsigned pin = 0; pin < 4; pin++) {
            size_t one = aml_package(a, 4);

            aml_int(a, slot << 16 | 0xffff);
            aml_int(a, pin);
            aml_path(a, link_name(machine_pirq(slot, pin)));
            aml_int(a, 0);
            aml_end(a, one);
        }
    aml_end(a, all);
}

static void interrupt_link(struct aml *a, unsigned pirq)
{
    size_t dev = aml_device(a, link_name(pirq));
    static const char *const list[2] = {"_PRS", "_CRS"};

    aml_name_eisaid(a, "_HID", "PNP0C0F");
    aml_name_int(a, "_UID", pirq);
    aml_name_int(a, "_STA", 0x0b); /* present, enabled, not shown */
    for (unsigned i = 0; i < 2; i++) {
        struct aml_res r;

        aml_resources(&r);
        aml_res_interrupt(&r, machine_pirq_gsi(pirq));
        aml_name(a, list[i]);
        aml_resources_end(a, &r);
    }
    aml_end(a, aml_method(a, "_SRS", 1)); /* one possible setting: nothing to do */
    aml_end(a, aml_method(a, "_DIS", 0));
    aml_end(a, dev);
}

static void isa_device(struct aml *a, const char *name, const char *hid, unsigned uid,
                       struct aml_res *r)
{
    size_t dev = aml_device(a, name);

    aml_name_eisaid(a, "_HID", hid);
    if (uid)
        aml_name_int(a, "_UID", uid);
    aml_name_int(a, "_STA", 0x0f);
    aml_name(a, "_CRS");
    aml_resources_end(a, r);
    aml_end(a, dev);
}

static void isa_bus(struct aml *a, const struct acpi_config *cfg)
{
    size_t isa = aml_device(a, "ISA_");
    struct aml_res r;

    aml_name_int(a, "_ADR", cfg->q35 ? 0x001f0000 : 0x00010000);
    aml_resources(&r);
    aml_res_io(&r, 0x70, 1, 2);
    aml_res_irq(&r, 8);
    isa_device(a, "RTC_", "PNP0B00", 0, &r);

    aml_resources(&r);
    aml_res_io(&r, 0x60, 1, 1);
    aml_res_io(&r, 0x64, 1, 1);
    aml_res_irq(&r, 1);
    isa_device(a, "KBD_", "PNP0303", 0, &r);

    aml_resources(&r);
    aml_res_irq(&r, 12);
    isa_device(a, "MOU_", "PNP0F13", 0, &r);

    for (unsigned i = 0; i < 4; i++) {
        char name[5];

        if (!cfg->serial[i])
            continue;
        snprintf(name, sizeof(name), "COM%u", (i + 1) & 7);
        aml_resources(&r);
        aml_res_io(&r, uart[i].port, 8, 8);
        aml_res_irq(&r, uart[i].irq);
        isa_device(a, name, "PNP0501", i + 1, &r);
    }
    aml_end(a, isa);
}

/* Addresses of the board that no driver must take: PM block, GPE block, SMI command, fast A20. */
static void board_resources(struct aml *a, const struct acpi_config *cfg)
{
    struct aml_res r;

    aml_resources(&r);
    aml_res_io(&r, 0x92, 1, 1);
    aml_res_io(&r, PC_SMI_CMD, 1, 2);
    aml_res_io(&r, cfg->pm_base, 1, cfg->q35 ? 0x80 : 0x40);
    if (!cfg->q35)
        aml_res_io(&r, cfg->gpe_base, 1, (uint8_t)cfg->gpe_len);
    if (cfg->ecam_buses)
        aml_res_memory32(&r, (uint32_t)cfg->ecam_base, cfg->ecam_buses << 20);
    aml_res_memory32(&r, PC_IOAPIC_BASE, 0x1000);
    aml_res_memory32(&r, PC_LAPIC_BASE, 0x100000);
    isa_device(a, "BRD_", "PNP0C02", 1, &r);

    aml_resources(&r);
    aml_res_memory32(&r, PC_HPET_BASE, 0x400);
    isa_device(a, "HPET", "PNP0103", 0, &r);
}

static void processors(struct aml *a, unsigned cpus)
{
    for (unsigned i = 0; i < cpus; i++) {
        char name[5];
        size_t dev;

        snprintf(name, sizeof(name), "C%03X", i & 0xfff);
        dev = aml_device(a, name);
        aml_name(a, "_HID");
        aml_string(a, "ACPI0007");
        aml_name_int(a, "_UID", i);
        aml_end(a, dev);
    }
}

/* SLP_TYP for PM1a and PM1b. */
static void sleep_state(struct aml *a, const char *name, uint64_t typ)
{
    size_t block;

    aml_name(a, name);
    block = aml_package(a, 4);
    aml_int(a, typ);
    aml_int(a, typ);
    aml_int(a, 0);
    aml_int(a, 0);
    aml_end(a, block);
}

void acpi_dsdt_body(struct aml *a, const struct acpi_config *cfg)
{
    size_t sb, pci, block;

    aml_name_int(a, "\\PICF", 0);
    block =
        aml_method(a, "\\_PIC", 1); /* told the interrupt model; the wiring is the same in both */
    aml_store_arg0(a, "PICF");
    aml_end(a, block);

    sb = aml_scope(a, "\\_SB_");
    for (unsigned pirq = 0; pirq < 4; pirq++)
        interrupt_link(a, pirq);
    pci = aml_device(a, "PCI0");
    aml_name_eisaid(a, "_HID", cfg->q35 ? "PNP0A08" : "PNP0A03");
    if (cfg->q35)
        aml_name_eisaid(a, "_CID", "PNP0A03");
    aml_name_int(a, "_UID", 0);
    aml_name_int(a, "_BBN", 0);
    pci_windows(a, cfg);
    pci_routing(a);
    isa_bus(a, cfg);
    aml_end(a, pci);
    board_resources(a, cfg);
    processors(a, cfg->cpus);
    aml_end(a, sb);

    if (cfg->s3)
        sleep_state(a, "\\_S3_", 1);
    sleep_state(a, "\\_S5_", 0);
}
