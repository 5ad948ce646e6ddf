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

/* The display-memory offset behind a guest address in A0000h-BFFFFh, if plain memory is there now. */
bool vga_window_find(const struct vga *v, uint64_t gpa, uint64_t *off);
bool vga_io_claims(const struct vga *v, uint16_t port);

/* Accesses of a vCPU, own thread. A register that moves the window takes effect on every vCPU before the
 * next instruction. */
uint32_t vga_io_read(struct cpu *c, uint16_t port, unsigned size);
void vga_io_write(struct cpu *c, uint16_t port, unsigned size, uint32_t value);
uint64_t vga_bar_read(struct cpu *c, uint64_t off, unsigned size);
void vga_bar_write(struct cpu *c, uint64_t off, unsigned size, uint64_t value);
uint64_t vga_mem_read(struct cpu *c, uint64_t gpa, unsigned size);
void vga_mem_write(struct cpu *c, uint64_t gpa, unsigned size, uint64_t value);

#endif
