/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The machine page: the shared memory in which the vmm and the cpu-worker meet.
 *
 * One memfd per VM, created and sealed (SHRINK|GROW|SEAL) by the vmm, mapped read-write by both and by
 * nobody else. It holds tables the vmm writes and the worker reads (address map, IRQ routes), and
 * state the worker writes and the vmm reads (mailbox requests, serial output, chipset state).
 * This file owns layouts only; it must never hold code that takes a decision.
 *
 * All fields are native-endian and naturally aligned; sizes are asserted below. Either side treats
 * what the other writes as hostile: copy once, validate, use.
 */
#ifndef BULKHEAD_IPC_ABI_MACHINE_PAGE_H
#define BULKHEAD_IPC_ABI_MACHINE_PAGE_H

#include <stdint.h>
#include "ipc/abi/chipset-state.h"
#include "ipc/abi/cpu-model.h"
#include "ipc/abi/device-page.h"
#include "ipc/abi/input.h"
#include "ipc/abi/vcpu-state.h"

#define ABI_MACHINE_MAGIC   0x31504d42u /* "BMP1" */
#define ABI_MACHINE_VERSION 4u

#define ABI_MAP_MAX     128 /* memory-space entries */
#define ABI_IO_MAX      128 /* port-space entries the chipset does not claim itself */
#define ABI_SMRAM_MAX   4   /* ranges only system management mode sees */
#define ABI_RAM_MAX     4   /* memory memfds, the slots of the address map */
#define ABI_KICK_MAX    96  /* notify eventfds, worker -> device processes */
#define ABI_CALL_MAX    128 /* interrupt eventfds, device processes and vmm -> worker */
#define ABI_ISR_MAX     32  /* virtio ISR registers, one per PCI function with INTx */
#define ABI_VCPU_MAX    64
#define ABI_SERIAL_MAX  5   /* the UARTs and the debug port */
#define ABI_DEBUG_PORT  4   /* its index; only tx is used */
#define ABI_PCICFG_MAX  32  /* functions on bus 0 with a published configuration space */

enum abi_slot { /* the worker maps the slots one after another: that order is guest memory to its engine */
    ABI_SLOT_RAM = 0,
    ABI_SLOT_DISPLAY = 1, /* of the VGA card */
    ABI_SLOT_BOARD = 2,   /* ROMs and flash */
};

/* ---- address map: seqlock, writer = vmm ------------------------------------------------------- */
enum abi_map_kind {
    ABI_MAP_NONE = 0,
    ABI_MAP_RAM,     /* slot = enum abi_slot, offset = offset in it */
    ABI_MAP_ROM,     /* as RAM, stores are dropped */
    ABI_MAP_KICK,    /* store at gpa + 4*q rings eventfd slot + q; loads read 0 */
    ABI_MAP_ISR,     /* virtio ISR byte: load returns and clears isr[slot], lowers its line */
    ABI_MAP_MAILBOX, /* forwarded to the vmm through the vCPU's mailbox */
    ABI_MAP_FLASH,   /* as ROM, and stores are commands: see struct abi_flash. slot = ABI_SLOT_BOARD */
    ABI_MAP_VGA,     /* served by the worker's VGA: slot 0 = the window at A0000h, 1 = its register BAR */
    ABI_MAP_DEVICE,  /* to a device process: ipc/abi/device-page.h */
};
struct abi_map_entry {
    uint64_t gpa;  /* memory space: guest physical address; port space: first port */
    uint64_t size; /* bytes or ports */
    uint32_t kind; /* enum abi_map_kind */
    uint32_t slot;
    uint64_t offset;
};
struct abi_addr_map {
    uint32_t seq;   /* odd while the vmm writes; the worker re-reads until even and unchanged */
    uint32_t count; /* <= ABI_MAP_MAX, entries sorted by gpa, never overlapping */
    uint32_t io_count; /* <= ABI_IO_MAX. Port-space KICK: a 16-bit store of value q rings slot + q */
    uint32_t smram_count; /* <= ABI_SMRAM_MAX, sorted and not overlapping each other */
    struct abi_map_entry mem[ABI_MAP_MAX];
    struct abi_map_entry io[ABI_IO_MAX];
    struct abi_map_entry smram[ABI_SMRAM_MAX]; /* RAM or ROM that lies over mem[] for a vCPU in SMM */
};

/* ---- interrupt routes: index = call eventfd; writer = vmm, pending is set by the worker --------- */
#define ABI_ROUTE_VALID  0x1u
#define ABI_ROUTE_MSI    0x2u /* else INTx through isr/gsi */
#define ABI_ROUTE_MASKED 0x4u /* MSI-X mask: the worker sets pending instead of delivering */
struct abi_irq_route {
    uint32_t seq; /* seqlock, odd while written */
    uint32_t flags;
    uint32_t pending; /* atomic: worker sets 1 when masked; vmm reads it for the PBA */
    uint32_t msi_data;
    uint64_t msi_addr;
    uint32_t isr_slot; /* INTx: index into isr[], bits to set there */
    uint32_t isr_bits;
};
struct abi_isr {
    uint32_t bits; /* atomic; virtio ISR status: 1 = queue, 2 = configuration change */
    uint32_t gsi;  /* line that is raised while bits != 0 (and not disabled by the command register) */
    uint32_t disabled; /* PCI command register bit 10 */
    uint32_t source; /* 0 = bits; else 1 + device * ABI_DEV_LINES + line: that line of its device page */
};
struct abi_dev_entry { /* a device with a page; writer = vmm */
    uint32_t kick;               /* its doorbell: index into the kick eventfds */
    uint32_t isr[ABI_DEV_LINES]; /* ISR slot + 1 of each line, 0 = none */
    uint32_t pad;
};

/* ---- register mailbox: one per vCPU, filled by the worker, answered by the vmm ------------------ */
enum abi_mbox_op {
    ABI_MBOX_MEM_READ = 1,
    ABI_MBOX_MEM_WRITE,
    ABI_MBOX_IO_READ,
    ABI_MBOX_IO_WRITE,
    ABI_MBOX_PCI_READ,  /* addr = bus<<16 | dev<<11 | fn<<8 | reg (byte register, no enable bit) */
    ABI_MBOX_PCI_WRITE,
    ABI_MBOX_FWCFG, /* addr = key of a firmware configuration item: make its contents anew */
    ABI_MBOX_FWCFG_WRITTEN, /* addr = key: the guest wrote to it */
};
struct abi_mailbox {
    uint32_t req;  /* the worker increments it after filling the fields (store-release), */
    uint32_t done; /* the vmm stores req here with the reply in value, then futex-wakes it */
    uint32_t op;
    uint32_t size; /* 1, 2, 4, 8 */
    uint64_t addr;
    uint64_t value;
    uint8_t pad[32];
};

/* ---- serial: two byte rings per UART -------------------------------------------------------------
 * Single producer, single consumer, free-running indexes. tx: worker produces, vmm consumes.
 * rx: vmm produces, worker consumes. After producing into an empty ring, or consuming from a full
 * one, the side that did so rings the other's doorbell eventfd. */
#define ABI_CHAR_RING 8192u
struct abi_char_ring {
    uint32_t head; /* producer */
    uint8_t pad0[60];
    uint32_t tail; /* consumer */
    uint8_t pad1[60];
    uint8_t data[ABI_CHAR_RING];
};
struct abi_serial {
    uint32_t present;    /* vmm: this UART exists */
    uint32_t break_req;  /* vmm increments: receive a break condition */
    uint32_t port;       /* vmm: the debug port's address; UARTs have theirs by index */
    uint8_t pad[52];
    struct abi_char_ring tx, rx;
};

/* ---- one vCPU as the outside sees it: a cache line each, so that no vCPU slows another down ------ */
struct abi_vcpu_run {
    uint32_t apic_id; /* vmm, before the worker starts: initial APIC ID, from the topology */
    uint32_t halted;  /* worker: 1 while it sleeps (HLT, or waiting for a start-up IPI) */
    uint64_t insns;   /* worker publishes now and then: retired guest instructions */
    uint32_t mce_seen; /* worker: the last seq of mce[] it has taken */
    uint8_t pad[44];
};

/* A machine-check error for one vCPU: the vmm writes it, then increments seq and rings the doorbell. */
struct abi_mce {
    uint32_t seq, bank;
    uint64_t status, mcg_status, addr, misc;
    uint8_t pad[24];
};

/* ---- flash: a writable CFI chip in board memory ---------------------------------------------------
 * The worker changes the contents there, sets the sectors' bits in dirty and rings; the vmm takes the bits and
 * writes the sectors to the file. */
#define ABI_FLASH_MAX     2
#define ABI_FLASH_SECTOR  4096u
#define ABI_FLASH_SECTORS 4096u /* 16 MiB */
struct abi_flash {
    uint64_t off;  /* vmm: in ABI_SLOT_BOARD */
    uint64_t size; /* vmm: 0 = there is none, or it is read-only and plain ROM */
    uint32_t dirty[ABI_FLASH_SECTORS / 32]; /* atomic */
};

/* ---- the page ------------------------------------------------------------------------------------ */
struct abi_machine_page {
    uint32_t magic, version, size, vcpus;
    uint64_t ram_below_4g; /* bytes of RAM at 0, top of low RAM */
    uint64_t ram_above_4g; /* bytes of RAM at 4 GiB */
    int64_t rtc_base_s;    /* guest RTC at power-on, seconds since 1970 (UTC or local per -rtc) */
    uint32_t acpi_sci_gsi; /* 9 */
    uint32_t power_button; /* vmm increments: ACPI power button pressed */
    uint32_t apm_smi;      /* vmm: stores to port B2h raise an SMI (PIIX4 DEVACTB.APMC_EN) */
    uint32_t pm_base;  /* vmm: first port of the ACPI registers, 0 = not decoded */
    uint32_t smb_base; /* vmm: of the SMBus host controller, 0 = not decoded */
    uint32_t pm_ich9;  /* vmm: the ACPI registers are laid out as in the ICH9, else as in the PIIX4 */
    uint32_t pm_smi_lock; /* vmm: the global SMI enable cannot be cleared (ICH9 GEN_PMCON_1.SMI_LOCK) */
    uint32_t waking;   /* vmm: PM1 status bits of a reset that ends a sleep, 0 = any other reset */
    uint64_t slot_size[ABI_RAM_MAX]; /* vmm: bytes of each slot's memfd, 0 = there is none */
    uint64_t fwcfg_off; /* vmm: struct abi_fwcfg in ABI_SLOT_BOARD; 0 = there is no such device */
    uint8_t cmos_board[128]; /* vmm: bytes other than 0 are put into the CMOS at each reset */
    /* Guest clock: worker's virtual time = CLOCK_MONOTONIC - clock_offset_ns; frozen while paused. */
    int64_t clock_offset_ns;

    struct abi_cpu_model cpu __attribute__((aligned(64))); /* every vCPU's; vmm, before the worker starts */
    struct abi_addr_map map __attribute__((aligned(64)));
    struct abi_irq_route route[ABI_CALL_MAX] __attribute__((aligned(64)));
    struct abi_isr isr[ABI_ISR_MAX] __attribute__((aligned(64)));
    struct abi_dev_entry dev[ABI_DEV_MAX] __attribute__((aligned(64)));
    struct abi_mailbox mbox[ABI_VCPU_MAX] __attribute__((aligned(64)));
    struct abi_vcpu_run run[ABI_VCPU_MAX] __attribute__((aligned(64)));
    struct abi_mce mce[ABI_VCPU_MAX] __attribute__((aligned(64)));
    struct abi_serial serial[ABI_SERIAL_MAX] __attribute__((aligned(64)));
    struct abi_flash flash[ABI_FLASH_MAX] __attribute__((aligned(64)));
    struct abi_input_ring input __attribute__((aligned(64))); /* keys from the monitors; producer = vmm */
    uint32_t input_release; /* vmm increments: ui-proc is gone, let go of what it held */
    struct abi_vcpu_state vcpu[ABI_VCPU_MAX] __attribute__((aligned(4096)));
    struct abi_chipset_state chipset __attribute__((aligned(4096)));
};

_Static_assert(sizeof(struct abi_map_entry) == 32, "ABI");
_Static_assert(sizeof(struct abi_irq_route) == 32, "ABI");
_Static_assert(sizeof(struct abi_mailbox) == 64, "ABI");
_Static_assert(ABI_DEV_VCPUS == ABI_VCPU_MAX, "ABI");
_Static_assert(sizeof(struct abi_vcpu_run) == 64, "ABI");
_Static_assert(sizeof(struct abi_mce) == 64, "ABI");
_Static_assert(sizeof(struct abi_vcpu_state) % 64 == 0, "ABI: vCPUs share no cache line");
_Static_assert(sizeof(struct abi_char_ring) == 128 + ABI_CHAR_RING, "ABI");

#endif
