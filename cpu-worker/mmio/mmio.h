/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Physical accesses of the vCPU that are not plain RAM: the address map published by the vmm, the
 * kick eventfds, the virtio ISR bytes, the PCI configuration ports and the register mailbox.
 * Everything here runs in the vCPU's thread, except mmio_map_changed and mmio_stop.
 */
#ifndef BULKHEAD_CPU_WORKER_MMIO_H
#define BULKHEAD_CPU_WORKER_MMIO_H

#include <stdbool.h>
#include <stdint.h>
#include "ipc/abi/machine-page.h"

struct cpu;
struct vga;

struct mmu_slot { /* one memory memfd */
    uint64_t base; /* offset of its first byte from mmu_host.ram */
    uint64_t size; /* 0 = not there */
};
struct mmu_host { /* guest memory as this process sees it; one per VM */
    uint8_t *ram;       /* every memory memfd, mapped whole, one after another */
    uint64_t ram_size;  /* of all of them: the code-page map has as many pages */
    struct mmu_slot slot[ABI_RAM_MAX];
    struct vga *vga;    /* NULL: no VGA card */
    struct abi_machine_page *page;
    /* Private copy of the address map: validated, sorted, every RAM range inside the memfd. */
    uint32_t seq;       /* of the copy */
    uint32_t n_mem, n_io, n_smram, hot;
    uint64_t layout; /* a digest of where memory is: another value = decoded code is somebody else's */
    struct abi_map_entry mem[ABI_MAP_MAX];
    struct abi_map_entry io[ABI_IO_MAX];
    struct abi_map_entry smram[ABI_SMRAM_MAX];
    bool smm;           /* this vCPU is in SMM: smram[] lies over mem[], and A20 is not masked */
    uint64_t a20_mask;  /* ~0, or without bit 20 while the gate is closed. Atomic */
    int kick[ABI_KICK_MAX]; /* eventfds, -1 = none */
    int doorbell_vmm;       /* eventfd, -1 = none */
    struct abi_devpage *dev[ABI_DEV_MAX]; /* devices in processes of their own, NULL = none */
    uint32_t stop;          /* atomic: the process ends, wait for nobody */
};

/* Fills in the structure (slot 0 = the whole of ram) and takes the first copy of the map. kick[] and doorbell_vmm are set to
 * -1: the caller stores the descriptors it was given. ram and page stay the caller's. */
void mmio_host_init(struct mmu_host *m, struct abi_machine_page *page, uint8_t *ram,
                    uint64_t ram_size);
/* The same without the map: mmio_slot_set says where memfd n lies in ram, then mmio_map_refresh. */
void mmio_host_prepare(struct mmu_host *m, struct abi_machine_page *page, uint8_t *ram,
                       uint64_t ram_size);
void mmio_slot_set(struct mmu_host *m, unsigned n, uint64_t base, uint64_t size);
/* The vmm has published another map than the copy here: the vCPU's TLB must be flushed
 * (cpu_request_flush). Any thread. */
bool mmio_map_changed(struct mmu_host *m);
/* Takes a new copy if there is one; true if the copy changed. vCPU thread. */
bool mmio_map_refresh(struct mmu_host *m);
void mmio_a20_set(struct mmu_host *m, bool enabled); /* then flush the TLB */
void mmio_smm_set(struct mmu_host *m, bool smm); /* vCPU thread; then flush the TLB */
void mmio_stop(struct mmu_host *m); /* any thread: an access that waits for the vmm ends */

/* Host address of the RAM or ROM byte at gpa, NULL = not memory. The rest of its 4 KiB page
 * follows. *writable: stores are allowed. *ram_off (may be NULL): offset of that byte
 * from m->ram. */
uint8_t *mem_host(struct mmu_host *m, uint64_t gpa, bool *writable, uint64_t *ram_off);

/* Does the map give this address to the VGA's window (which may be plain memory at the moment)? */
bool mmio_is_vga_window(struct mmu_host *m, uint64_t gpa);

/* One access of 1, 2, 4 or 8 bytes that stays in one page. Unmapped: all-ones, dropped. */
uint64_t mmio_read(struct cpu *c, uint64_t gpa, unsigned size);
void mmio_write(struct cpu *c, uint64_t gpa, unsigned size, uint64_t v);
/* One port access of 1, 2 or 4 bytes. */
uint32_t pio_read(struct cpu *c, uint16_t port, unsigned size);
void pio_write(struct cpu *c, uint16_t port, unsigned size, uint32_t v);

#endif
