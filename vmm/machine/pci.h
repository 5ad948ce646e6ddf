/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PCI bus 0: configuration spaces with per-bit write masks, BARs, the MSI-X capability, and the
 * translation of decoded BARs into the address map. Type-0 functions only, no bridges behind it.
 * Owns every configuration register; must never know what kind of device a function is.
 */
#ifndef BULKHEAD_VMM_MACHINE_PCI_H
#define BULKHEAD_VMM_MACHINE_PCI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "vmm/machine/addr-map.h"

#define PCI_FUNCTIONS_MAX 32
#define PCI_MSIX_MAX      16
#define PCI_BARS          6

/* Windows the host bridge decodes towards the bus; a BAR outside of them is not mapped. The memory window
 * begins where the machine says (mem_base), the second one lies above all RAM. */
#define PCI_MMIO_ASSIGN 0xE0000000u /* where the machine starts to assign memory BARs */
#define PCI_MMIO_END    0xFEC00000u
#define PCI_IO_BASE   0x0D00u
#define PCI_IO_END    0x10000u
#define PCI_IO_ASSIGN 0xC000u /* where the machine starts to assign I/O BARs */

enum pci_bar_kind { PCI_BAR_NONE, PCI_BAR_IO, PCI_BAR_MEM32, PCI_BAR_MEM64 };
struct pci_bar {
    enum pci_bar_kind kind;
    bool prefetch;
    uint32_t size; /* power of two */
};

struct pci_dev;
struct pci_ops { /* every member may be NULL */
    uint64_t (*bar_read)(struct pci_dev *d, unsigned bar, uint64_t off, unsigned size);
    void (*bar_write)(struct pci_dev *d, unsigned bar, uint64_t off, unsigned size, uint64_t value);
    /* Adds the map entries of a decoded BAR; absent: the whole BAR goes through the mailbox. */
    int (*bar_map)(struct pci_dev *d, unsigned bar, uint64_t base, struct addr_map *m);
    /* Before a read: the function may refresh dev->cfg. After a write of [reg, reg+size). */
    void (*cfg_before_read)(struct pci_dev *d, unsigned reg, unsigned size);
    void (*cfg_after_write)(struct pci_dev *d, unsigned reg, unsigned size);
    /* Adds fixed ranges the function decodes besides its BARs, as its registers are now. */
    int (*map_extra)(struct pci_dev *d, struct addr_map *m);
    /* Command register, MSI-X control or MSI-X table changed. */
    void (*irq_changed)(struct pci_dev *d);
    bool (*vector_pending)(struct pci_dev *d, unsigned vector); /* one bit of the PBA */
    void (*reset)(struct pci_dev *d);
};

struct pci_msix {
    unsigned n; /* vectors; 0 = no capability */
    uint8_t cap, bar;
    uint32_t pba_off;
    uint32_t entry[PCI_MSIX_MAX][4]; /* address low, high, data, control (bit 0 = masked) */
};
struct pci_dev {
    const char *name; /* class in words, for `info pci` */
    const char *id;   /* the user's id, "" if none */
    const struct pci_ops *ops;
    void *opaque;
    uint8_t devfn;
    uint8_t cap_next; /* where the next capability goes */
    uint8_t cfg[256], wmask[256], w1c[256], power_on[256];
    struct pci_bar bar[PCI_BARS];
    uint32_t rom_size; /* expansion ROM: power of two, 0 = none; its contents in board memory at rom_off */
    uint64_t rom_off;
    struct pci_msix msix;
};
struct pci_bus {
    unsigned n;
    struct pci_dev *dev[PCI_FUNCTIONS_MAX]; /* sorted by devfn */
    struct addr_map fixed;                  /* entries that are always there: RAM */
    struct abi_addr_map *shared;
    uint64_t mem_base;            /* the 32-bit memory window begins here and ends at PCI_MMIO_END */
    uint64_t high_base, high_end; /* the 64-bit memory window; empty = none */
    bool assign;                  /* addresses are given out here, for want of firmware that does it */
    uint64_t next_mem, next_io;   /* assignment cursors */
};

void pci_bus_init(struct pci_bus *b, struct abi_addr_map *shared);
/* Prepares a function. cls = class << 8 | prog-if. */
void pci_dev_init(struct pci_dev *d, const struct pci_ops *ops, void *opaque, const char *name,
                  uint16_t vendor, uint16_t device, uint32_t cls, uint8_t revision);
void pci_dev_subsystem(struct pci_dev *d, uint16_t vendor, uint16_t device);
void pci_dev_bar(struct pci_dev *d, unsigned i, enum pci_bar_kind kind, bool prefetch,
                 uint32_t size);
/* The expansion ROM BAR over size bytes (a power of two from 2 KiB on) of board memory at offset off. */
void pci_dev_rom(struct pci_dev *d, uint64_t off, uint32_t size);
/* Appends a capability of len bytes (its two header bytes are filled in): offset in cfg. */
unsigned pci_dev_cap(struct pci_dev *d, uint8_t cap_id, unsigned len);
/* MSI-X with its table at offset 0 of the BAR and the PBA in the second half. */
void pci_dev_msix(struct pci_dev *d, unsigned bar, unsigned vectors);
/* INTA#, routed by the machine: line is what firmware leaves in the interrupt line register. */
void pci_dev_intx(struct pci_dev *d, uint8_t line);

/* Puts a finished function on the bus; with b->assign its BARs get addresses and are decoded, as by firmware.
 * 0; -EEXIST devfn taken; -ENOSPC no function or no window room left. */
int pci_bus_add(struct pci_bus *b, struct pci_dev *d, uint8_t devfn);
struct pci_dev *pci_bus_find(struct pci_bus *b, uint8_t devfn);
int pci_slot_free(struct pci_bus *b); /* first free slot from 3 on, or -1 */
/* Every register back to its power-on (plus firmware) value; functions reset; map published. */
void pci_bus_reset(struct pci_bus *b);

/* The address map from scratch. Returns the first error; what did not fit is left unmapped. */
int pci_bus_map(struct pci_bus *b, struct addr_map *m);
void pci_bus_remap(struct pci_bus *b); /* and publish */

/* Configuration access: addr = bus << 16 | devfn << 8 | register; size 1, 2 or 4. */
uint32_t pci_cfg_read(struct pci_bus *b, uint32_t addr, unsigned size);
void pci_cfg_write(struct pci_bus *b, uint32_t addr, unsigned size, uint32_t value);
/* Memory (io = false) or port access through decoded BARs; absent = all-ones, dropped. */
uint64_t pci_space_read(struct pci_bus *b, bool io, uint64_t addr, unsigned size);
void pci_space_write(struct pci_bus *b, bool io, uint64_t addr, unsigned size, uint64_t value);
/* The same below the decoding: an access to a BAR of one function (MSI-X is answered here). */
uint64_t pci_bar_read(struct pci_dev *d, unsigned bar, uint64_t off, unsigned size);
void pci_bar_write(struct pci_dev *d, unsigned bar, uint64_t off, unsigned size, uint64_t value);

uint64_t pci_bar_base(const struct pci_dev *d, unsigned i); /* as programmed */
bool pci_bar_decoded(const struct pci_bus *b, const struct pci_dev *d, unsigned i);  /* enabled and inside a window */
bool pci_intx_disabled(const struct pci_dev *d);
bool pci_bus_master(const struct pci_dev *d);
bool pci_msix_enabled(const struct pci_dev *d);
bool pci_msix_masked(const struct pci_dev *d, unsigned vector); /* function mask or vector mask */

/* Text for `info pci` in QEMU's shape; returns the length, truncated to len - 1. */
unsigned pci_bus_info(struct pci_bus *b, char *out, unsigned len);

uint16_t pci_get16(const uint8_t *p);
uint32_t pci_get32(const uint8_t *p);
void pci_put16(uint8_t *p, uint16_t v);
void pci_put32(uint8_t *p, uint32_t v);

#endif
