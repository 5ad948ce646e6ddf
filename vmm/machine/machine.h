/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The machine `pc` as its own parts see each other: memory layout, fixed numbers of the board, the
 * functions on the bus. One machine per process. Must never be included outside vmm/machine and
 * vmm/frontend; everybody else uses vmm/vm.h.
 */
#ifndef BULKHEAD_VMM_MACHINE_MACHINE_H
#define BULKHEAD_VMM_MACHINE_MACHINE_H

#include "vmm/frontend/controller.h"
#include "vmm/frontend/virtio-pci.h"
#include "vmm/machine/acpi/acpi.h"
#include "vmm/machine/fwcfg.h"
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
#define PC_PCI_MIN      0x80000000u /* a 32-bit BAR is never below this */
#define PC_PHYS_BITS    40u
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

/* Registers of the 82441FX (its data sheet, section 3.2). */
#define I440FX_PAM0  0x59u /* to 5Fh */
#define I440FX_SMRAM 0x72u
#define PAM_READ     1u /* the DRAM answers loads */
#define PAM_WRITE    2u /* it takes stores */
#define SMRAM_OPEN   0x40u
#define SMRAM_CLOSE  0x20u
#define SMRAM_LOCK   0x10u
#define SMRAM_ENABLE 0x08u

#define PC_ECAM_BASE 0xB0000000u
#define Q35_LOW_MAX  0x80000000ull
/* Registers of the Q35 memory controller hub. */
#define MCH_PAM0    0x90u /* to 96h */
#define MCH_SMRAM   0x9du
#define MCH_ESMRAMC 0x9eu

#define PC_BOOT_MAX    48
#define PC_DEVICES_MAX (PLAN_DISKS_MAX + PLAN_NETS_MAX + PLAN_CTLS_MAX)

struct machine_rom { /* a file in board memory */
    int64_t off;   /* in ABI_SLOT_BOARD */
    uint32_t size; /* multiple of 4 KiB, 0 = none */
};
struct machine_boot_entry { /* a device with a bootindex */
    int index;
    char path[96];
};
struct acpi_files { /* the tables as firmware fetches them, made anew when it selects one */
    uint8_t *tables, *rsdp, *loader;
    uint32_t tables_size, loader_size;
    unsigned n_user;
    struct acpi_user_table user[16];
};
struct machine {
    struct vm *vm;
    uint64_t low, high; /* bytes of RAM below 4 GiB and from 4 GiB on */
    bool q35;
    uint8_t pirq_reg;        /* the ISA bridge's first interrupt route register */
    uint8_t pam0, smram;     /* where the host bridge has these registers */
    struct machine_rom flash[ABI_FLASH_MAX]; /* unit 0 ends at 4 GiB, unit 1 below it */
    bool flash_failed;       /* said once that a file takes no writes */
    struct machine_rom bios; /* ends at 4 GiB; its last 128 KiB also at E0000h */
    struct pci_bus pci;
    struct pci_dev host_bridge, isa_bridge, pm, vga;
    struct linux_image image;
    struct fwcfg fwcfg;
    struct acpi_files acpi;
    struct pci_dev *intx[ABI_ISR_MAX]; /* who drives isr[] */
    unsigned starts;         /* resets so far: -boot once= is for the first */
    unsigned n_boot;
    struct machine_boot_entry boot[PC_BOOT_MAX];
    unsigned n_virtio, n_isr; /* n_isr: ISR slots given out */
    struct virtio_dev virtio[PC_DEVICES_MAX];
    unsigned n_ctl;
    struct controller ctl[PLAN_CTLS_MAX];
};
struct machine *machine_get(void);

/* Host address of guest memory [gpa, gpa + len) inside one stretch of RAM, else NULL. */
void *machine_ram(struct machine *m, uint64_t gpa, uint64_t len);
/* PIRQA-D of a slot's pin (0 = INTA#), swizzled as on the PIIX3 boards, and the GSI it is wired to.
 * The PIRQ route control registers say which (at start 10, 10, 11, 11): one number serves the PIC and the
 * IOAPIC alike, and it is the one in the ACPI _PRT, the MP table and struct abi_isr. */
unsigned machine_pirq(unsigned slot, unsigned pin);
/* Wires a function's INTx (its interrupt pin register) to a slot of isr[], also when PIRQ routing changes. */
void machine_intx_attach(struct machine *m, struct pci_dev *d, unsigned isr_slot);
uint8_t machine_pirq_gsi(unsigned pirq);

/* memory-map.c: RAM sizes from the plan; the map of memory as the host bridge's registers have it now. */
int machine_memory_build(struct machine *m, char *err, size_t errlen);
void machine_map_update(struct machine *m);
bool machine_direct(const struct machine *m); /* a kernel is loaded without firmware */

/* firmware.c: the BIOS file into board memory; the first processor's state at the reset vector. */
int firmware_build(struct machine *m, char *err, size_t errlen);
void firmware_vcpu_reset(struct vm *vm, struct abi_vcpu_state *v);
/* Reads plan->rom[index] into board memory. 0 or -errno with err. */
int machine_rom_load(struct machine *m, unsigned index, struct machine_rom *rom, char *err, size_t errlen);
/* The same with room for a BAR (a power of two). */
int machine_rom_fit(struct machine *m, int index, uint64_t *at, uint32_t *size, char *err, size_t errlen);
/* The same as the function's expansion ROM; before pci_bus_add. */
int machine_rom_bar(struct machine *m, struct pci_dev *d, unsigned index, char *err, size_t errlen);

/* firmware-config.c: what firmware is told, from the plan and the machine as built. */
int firmware_config_build(struct machine *m, char *err, size_t errlen);
void firmware_cmos_set(struct machine *m); /* at each reset */
/* firmware-acpi.c: ACPI tables for firmware to place: files and the script that joins them. */
void firmware_acpi_build(struct machine *m);
void firmware_acpi_refresh(struct machine *m);
/* bootorder: a device and its OpenFirmware path ("/pci@i0cf8/scsi@4/disk@0,0"); index -1 = none. */
void machine_boot_add(struct machine *m, int index, const char *path);
void machine_acpi_config(struct machine *m, struct acpi_config *cfg);

/* flash.c */
int flash_build(struct machine *m, char *err, size_t errlen);
void flash_sync(struct machine *m); /* changed sectors into the files */

/* q35.c: 00:00.0, 00:1f.0; where configuration space is in memory; bytes at the top of low RAM that are SMM's. */
void q35_init(struct machine *m);
uint16_t q35_pm_base(const struct machine *m);
bool machine_ecam(const struct machine *m, uint64_t *base, uint64_t *size);
uint32_t machine_tseg(const struct machine *m);
uint8_t machine_pirq_default(unsigned pirq);
void machine_intx_rewire(struct machine *m);
void piix_init(struct machine *m);
uint16_t machine_pm_base(const struct machine *m); /* of the ACPI registers, as programmed; 0 = not decoded */
 /* 00:00.0, 00:01.0, 00:01.3 */
int machine_devices_build(struct machine *m, char *err, size_t errlen); /* disks and cards */
int debug_exit_build(struct machine *m, char *err, size_t errlen); /* its ports into the map */
bool debug_exit_claims(const struct machine *m, uint64_t port);
int vga_build(struct machine *m, char *err, size_t errlen); /* if the plan has the card */
void vga_power_on(struct machine *m);
void vga_firmware_state(struct machine *m); /* mode 3, as a video BIOS hands over */
void edid_build(uint8_t edid[256], unsigned xres, unsigned yres);
struct virtio_dev *machine_virtio_find(struct machine *m, const char *id);
struct controller *machine_controller_find(struct machine *m, const char *id);
struct disk_link *machine_link_find(struct machine *m, const char *id);
int machine_scsi_add(struct machine *m, const struct plan_ctl *p, int slot, char *err, size_t errlen);
int machine_controllers_build(struct machine *m, bool placed, char *err, size_t errlen);

/* MP tables: floating pointer at the start of buf, which the guest sees at gpa. Bytes used, 0 =
 * room. */
struct acpi_config;
size_t smp_tables_build(uint8_t *buf, uint32_t gpa, size_t room, const struct acpi_config *cfg);

#endif
