/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A cpu-worker's engine without its process: RAM, machine page, chipset and one vCPU in the caller's own
 * address space. For instruction tests, benchmarks and debugging; must never be linked into a program
 * that is installed.
 */
#ifndef BULKHEAD_TESTS_LIB_BARE_H
#define BULKHEAD_TESTS_LIB_BARE_H

#include <stdint.h>
#include "cpu-worker/chipset/chipset.h"
#include "cpu-worker/mmio/mmio.h"
#include "cpu-worker/run/run.h"

struct bare {
    uint8_t *ram;
    uint64_t ram_size;
    struct abi_machine_page *page;
    struct abi_codepage *cp;
    struct mmu_host mem;
    struct chipset *cs;
    struct cpu *cpu;
    struct team *team;    /* of cpu; here because leak checkers do not look into its mapping */
    volatile int stop;    /* set by a power-off or reset event */
    int event;            /* enum chipset_event of the last one */
};

int bare_init(struct bare *b, uint64_t ram_size);
/* 64-bit flat mode at rip, identity page tables of 2 MiB pages at 0x1000, GDT at 0x500. */
void bare_long_mode(struct bare *b, uint64_t rip, uint64_t rsp);
/* A bzImage by the 64-bit boot protocol. 0 or -1 with a message on stderr. */
int bare_linux(struct bare *b, const char *kernel, const char *initrd, const char *cmdline);
int bare_run(struct bare *b); /* until a pause, power-off, reset or fault; result of cpu_run */
/* Serial output of port 0 since the last call. */
unsigned bare_serial(struct bare *b, char *buf, unsigned len);
void bare_dump(struct bare *b); /* registers on stderr */

#endif
