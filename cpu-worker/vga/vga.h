/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The VGA card as the rest of the worker sees it. Registers and video memory are in struct abi_display;
 * what is here decides which accesses trap. Must never be asked by two machines.
 */
#ifndef BULKHEAD_CPU_WORKER_VGA_H
#define BULKHEAD_CPU_WORKER_VGA_H

#include <stdbool.h>
#include <stdint.h>
#include "ipc/abi/display.h"

struct cpu;
struct vga;

/* d is mapped whole, d->size bytes of it; NULL if it is not one of ours or memory is short. */
struct vga *vga_create(struct abi_display *d, uint64_t mapped);
void vga_destroy(struct vga *v);
/* The registers were written by the vmm (power-on, reset): derive the window. vCPUs parked. */
void vga_reset(struct vga *v);

/* Which pages were written (ipc/abi/display.h). off = in display memory. Any thread. */
void vga_page_stamp(struct vga *v, uint64_t off);
uint32_t vga_sweep_now(const struct vga *v);
void vga_sweep_next(struct vga *v);
void vga_swept_set(struct vga *v, uint32_t sweep); /* never backwards */

/* The display-memory offset behind a guest address in A0000h-BFFFFh, if plain memory is there now. */
bool vga_window_find(const struct vga *v, uint64_t gpa, uint64_t *off);
bool vga_io_claims(const struct vga *v, uint16_t port);

/* Accesses of a vCPU, own thread. A register that moves the window takes effect on every vCPU before the
 * next instruction. */
uint32_t vga_io_read(struct cpu *c, uint16_t port, unsigned size);
void vga_io_write(struct cpu *c, uint16_t port, unsigned size, uint32_t value);
uint64_t vga_bar_read(struct cpu *c, uint64_t off, unsigned size);
void vga_bar_write(struct cpu *c, uint64_t off, unsigned size, uint64_t value);
/* Whole ranges of the window where it traps, forward, inside one page: bytes done (0: plain memory there, or
 * not the window's business). As if each byte were accessed by itself. */
uint64_t vga_range_fill(struct cpu *c, uint64_t gpa, uint64_t pattern, unsigned size, uint64_t len);
uint64_t vga_range_in(struct cpu *c, uint64_t gpa, const uint8_t *from, uint64_t len);  /* memory to window */
uint64_t vga_range_move(struct cpu *c, uint64_t to, uint64_t from, uint64_t len);       /* window to window */
uint64_t vga_mem_read(struct cpu *c, uint64_t gpa, unsigned size);
void vga_mem_write(struct cpu *c, uint64_t gpa, unsigned size, uint64_t value);

#endif
