/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The chipset of the PC: interrupt controllers, timers, UARTs and the small registers, modelled in
 * the vCPU's own process because they are hot and hold no host resource. State lives in the
 * machine page (struct abi_chipset_state), never in private variables, so it can be inspected and
 * saved.
 *
 * Called from the vCPU threads (register accesses, interrupt acknowledge) and from the pump thread
 * (timers, MSIs, serial input). Functions with a vcpu argument belong to that vCPU's thread. The chips
 * of the board share one lock; a LAPIC needs it only where it meets the PIC or the IOAPIC.
 */
#ifndef BULKHEAD_CPU_WORKER_CHIPSET_H
#define BULKHEAD_CPU_WORKER_CHIPSET_H

#include <stdbool.h>
#include <stdint.h>
#include "ipc/abi/machine-page.h"

#define CHIPSET_PHYS_BITS 40 /* MAXPHYADDR, as CPUID 80000008h: reserved bits of APIC_BASE */

enum chipset_event { CHIPSET_EV_POWEROFF, CHIPSET_EV_RESET, CHIPSET_EV_SLEEP, CHIPSET_EV_WAKE };

struct chipset_host { /* what the chipset needs from the worker */
    void *opaque;
    /* The interrupt line of vCPU n rose: make it look (exit request, wake from HLT). Any thread. */
    void (*vcpu_kick)(void *opaque, unsigned vcpu);
    /* A timer's deadline moved earlier: the pump must call chipset_timers_run again. Any thread. */
    void (*timer_rearm)(void *opaque);
    void (*event)(void *opaque, enum chipset_event ev);       /* power-off, reset: tell the vmm */
    void (*serial_doorbell)(void *opaque);                    /* char ring changed: tell the vmm */
    uint64_t (*now_ns)(void *opaque);                         /* guest virtual time */
    uint64_t (*guest_tsc)(void *opaque, unsigned vcpu);       /* for TSC deadline */
    /* virtual time of that TSC value */
    uint64_t (*tsc_to_ns)(void *opaque, unsigned vcpu, uint64_t tsc);
    void (*a20)(void *opaque, bool enabled); /* the A20 gate moved; called from the vCPU thread */
};

/* Callbacks are made with the chipset's lock held: they must not call back into the chipset (but
 * chipset_deadline) nor block. */
struct chipset;
/* One per process. Does not reset: call chipset_reset for power-on. */
struct chipset *chipset_init(struct abi_machine_page *page, const struct chipset_host *host);
void chipset_fini(struct chipset *cs);
void chipset_reset(struct chipset *cs);

/* Port space. claims: the chipset answers this port itself (else the address map decides; unclaimed
 * ports read all-ones). PCI config ports 0xCF8/0xCFC are handled in mmio/, not here. */
bool chipset_io_claims(struct chipset *cs, uint16_t port);
uint32_t chipset_io_read(struct chipset *cs, uint16_t port, unsigned size);
void chipset_io_write(struct chipset *cs, uint16_t port, unsigned size, uint32_t value);

/* Memory space: IOAPIC (0xFEC00000), HPET (0xFED00000), and the LAPIC page at the APIC base. */
bool chipset_mmio_claims(struct chipset *cs, unsigned vcpu, uint64_t gpa);
uint64_t chipset_mmio_read(struct chipset *cs, unsigned vcpu, uint64_t gpa, unsigned size);
void chipset_mmio_write(struct chipset *cs, unsigned vcpu, uint64_t gpa, unsigned size,
                        uint64_t value);

/* MSRs: IA32_APIC_BASE (0x1B), IA32_TSC_DEADLINE (0x6E0), x2APIC 0x800-0x8FF. false: raise #GP. */
bool chipset_msr_read(struct chipset *cs, unsigned vcpu, uint32_t msr, uint64_t *value);
bool chipset_msr_write(struct chipset *cs, unsigned vcpu, uint32_t msr, uint64_t value);
uint64_t chipset_cr8_read(struct chipset *cs, unsigned vcpu);
void chipset_cr8_write(struct chipset *cs, unsigned vcpu, uint64_t value);

/* Is an interrupt deliverable to this vCPU (IRR above PPR, or an ExtINT from the PIC)? One load while
 * nothing has arrived. */
bool chipset_intr_pending(struct chipset *cs, unsigned vcpu);
/* Acknowledge it: vector 0-255, or -1 if it went away. */
int chipset_intr_ack(struct chipset *cs, unsigned vcpu);
/* NMI: pending is a relaxed load (HLT must look at it whatever IF says), take clears it. */
bool chipset_nmi_pending(struct chipset *cs, unsigned vcpu);
bool chipset_nmi_take(struct chipset *cs, unsigned vcpu);

/* INIT and start-up IPIs: bits ABI_LAPIC_INIT and ABI_LAPIC_SIPI; take clears them, resets the LAPIC for
 * INIT and tells the start-up vector. */
bool chipset_startup_pending(struct chipset *cs, unsigned vcpu);
uint32_t chipset_startup_take(struct chipset *cs, unsigned vcpu, unsigned *vector);

/* SMI: one waits for each vCPU until it is taken. Any thread may ask. */
void chipset_smi_request(struct chipset *cs, unsigned vcpu);
bool chipset_smi_pending(struct chipset *cs, unsigned vcpu);
void chipset_smi_take(struct chipset *cs, unsigned vcpu);

void chipset_gsi_set(struct chipset *cs, unsigned gsi, bool level);
void chipset_msi(struct chipset *cs, uint64_t addr, uint32_t data);

/* INTx of PCI functions: looks at isr[slot] of the machine page and drives its line. Call after
 * every change of that entry's bits, gsi or disabled field, from any thread. */
void chipset_isr_update(struct chipset *cs, unsigned slot);
/* A configuration register of the board was written: ports may have moved, lines may go elsewhere. */
void chipset_board_changed(struct chipset *cs);
/* Slot's level is also that of a device page's line word (bit 0). Before any vCPU runs. */
void chipset_line_source(struct chipset *cs, unsigned slot, const uint32_t *word);
bool chipset_a20(struct chipset *cs);
/* A pending x87 error with CR0.NE = 0 stops the processor: raises IRQ 13. True: it is to be ignored. */
bool chipset_ferr_raise(struct chipset *cs);
void chipset_ferr_clear(struct chipset *cs); /* the error was cleared by software */

/* Nanoseconds until this vCPU's TSC has reached that value; 0: it has. */
uint64_t chipset_tsc_wait_ns(struct chipset *cs, unsigned vcpu, uint64_t tsc);

/* Pump thread: run what is due; returns the next deadline in virtual ns, UINT64_MAX for none. */
uint64_t chipset_timers_run(struct chipset *cs);
/* The same deadline without running anything: one atomic load, never later than the truth. */
uint64_t chipset_deadline(struct chipset *cs);
void chipset_input(struct chipset *cs); /* input rings may have events */
void chipset_input_page(struct chipset *cs, struct abi_input_page *p); /* ui-proc's; before the first reset */
void chipset_serial_input(struct chipset *cs);  /* rx rings may have data, tx rings may have room */
void chipset_power_button(struct chipset *cs);
void chipset_mce_look(struct chipset *cs); /* wakes the vCPUs for which the vmm left a machine-check error */

#endif
