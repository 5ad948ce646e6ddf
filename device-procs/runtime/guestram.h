/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Guest memory as a controller's DMA engine sees it: the RAM memfd at its physical addresses. Never
 * hands out an address outside of it, and tells the engine about written code.
 */
#ifndef BULKHEAD_DEVICE_PROCS_RUNTIME_GUESTRAM_H
#define BULKHEAD_DEVICE_PROCS_RUNTIME_GUESTRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "ipc/abi/codepage.h"

#define GUESTRAM_HIGH (1ull << 32) /* physical address of what lies above the PCI hole */

struct guestram {
    uint8_t *base;
    uint64_t low, high; /* bytes from 0 and from 4 GiB on, one after the other in the memfd */
    struct abi_codepage *cp;
    uint64_t cp_pages;
};

/* Maps the memfds, which stay the caller's. 0 or -errno. */
int guestram_init(struct guestram *g, int ram_fd, uint64_t low, uint64_t high, int codepage_fd);
/* All of [gpa, gpa + len) is RAM, and in one piece? */
bool guestram_has(const struct guestram *g, uint64_t gpa, uint64_t len);
/* false: not RAM; buf is zeroed, nothing is written. */
bool guestram_read(const struct guestram *g, uint64_t gpa, void *buf, size_t len);
bool guestram_write(const struct guestram *g, uint64_t gpa, const void *buf, size_t len);

#endif
