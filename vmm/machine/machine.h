/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The machine `pc` as its own parts see each other: memory layout, fixed numbers of the board, the
 * functions on the bus. One machine per process. Must never be included outside vmm/machine and
 * vmm/frontend; everybody else uses vmm/vm.h.
 */
#ifndef BULKHEAD_VMM_MACHINE_MACHINE_H
#define BULKHEAD_VMM_MACHINE_MACHINE_H

#include "vmm/frontend/virtio-pci.h"
#include "vmm/machine/linux-boot.h"
#include "vmm/machine/pci.h"
#include "vmm/vm.h"

/* Memory layout. Offset in the RAM memfd = GPA below 4 GiB, low size + (GPA - 4 GiB) above. */
#define PC_LOW_MAX      0xC0000000ull /* RAM below 4 GiB ends here at the latest */
#define PC_HIGH_BASE    0x100000000ull
#define PC_VGA_HOLE     0xA0000u
#define PC_VGA_HOLE_END 0xC0000u
#define PC_EBDA         0x9FC00u /* end of conventional memory, 639 KiB */
#define PC_BIOS_AREA    0xF0000u /* reserved: ACPI and MP tables */
#define PC_BIOS_END     0x100000u
#define PC_RAM_MIN      (8ull << 20)
#define PC_RAM_MAX      (256ull << 30)

/* Fixed numbers shared with cpu-worker/chipset (its chipset.h lists the registers). */
#define PC_LAPIC_BASE  0xFEE00000u
#define PC_IOAPIC_BASE 0xFEC00000u
#define PC_HPET_BASE   0xFED00000u
#define PC_PM_BASE     0x600u
#define PC_GPE0_BASE   0xAFE0u
#define PC_SMI_CMD     0xB2u
#define PC_ACPI_ON     0xF1u
#define PC_ACPI_OFF    0xF0u
#define PC_RESET_PORT  0xCF9u
#define PC_RESET_VALUE 6u
#define PC_SCI         9u

#define PC_DEVICES_MAX (PLAN_DISKS_MAX + PLAN_NETS_MAX)

struct machine {
    struct vm *vm;
    uint64_t low, high; /* bytes of RAM below 4 GiB and from 4 GiB on */
    struct pci_bus pci;
    struct pci_dev host_bridge, isa_bridge, pm;
    struct linux_image image;
    unsigned n_virtio;
    struct virtio_dev virtio[PC_DEVICES_MAX];
};
struct machine *machine_get(void);

/* Host address of guest memory [gpa, gpa + len) inside one stretch of RAM, else NULL. */
void *machine_ram(struct machine *m, uint64_t gpa, uint64_t len);
/* PIRQA-D of a slot's pin (0 = INTA#), swizzled as on the PIIX3 boards, and the GSI it is wired to.
 * The wiring is fixed (10, 10, 11, 11): one number serves the PIC and the IOAPIC alike, and it is
 * the one in the interrupt line register, the ACPI _PRT, the MP table and struct abi_isr. */
unsigned machine_pirq(unsigned slot, unsigned pin);
uint8_t machine_pirq_gsi(unsigned pirq);

void piix_init(struct machine *m); /* 00:00.0, 00:01.0, 00:01.3 */
int machine_devices_build(struct machine *m, char *err, size_t errlen); /* disks and cards */
int debug_exit_build(struct machine *m, char *err, size_t errlen); /* its ports into the map */
bool debug_exit_claims(const struct machine *m, uint64_t port);
struct virtio_dev *machine_virtio_find(struct machine *m, const char *id);

/* MP tables: floating pointer at the start of buf, which the guest sees at gpa. Bytes used, 0 =
 * room. */
struct acpi_config;
size_t smp_tables_build(uint8_t *buf, uint32_t gpa, size_t room, const struct acpi_config *cfg);

#endif
