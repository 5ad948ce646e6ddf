/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The card's parts among themselves: registers, planes, window. Every function here is called with the
 * lock held, or by a test alone. Included by cpu-worker/vga and its tests only.
 */
#ifndef BULKHEAD_CPU_WORKER_VGA_INTERNAL_H
#define BULKHEAD_CPU_WORKER_VGA_INTERNAL_H

#include <pthread.h>
#include "cpu-worker/vga/vga.h"

struct vga {
    struct abi_display *d;
    struct abi_vga *r;
    uint32_t *planes; /* video memory: byte p of word n is plane p */
    uint8_t *text;    /* planes 0 and 1 while r->text_apart */
    uint32_t vram_size;
    uint64_t d_size;  /* of display memory */
    uint64_t window;  /* atomic: first page | pages << 12 | display page << 24; 0 = everything traps */
    pthread_mutex_t lock;
};

enum { SEQ_RESET, SEQ_CLOCK, SEQ_MAP_MASK, SEQ_FONT, SEQ_MODE };
#define SEQ_MODE_SEQUENTIAL 0x04 /* else odd and even addresses are odd and even planes */
#define SEQ_MODE_CHAIN4     0x08
enum { GC_SET_RESET, GC_ENABLE, GC_COMPARE, GC_ROTATE, GC_READ_MAP, GC_MODE, GC_MISC, GC_DONT_CARE, GC_BIT_MASK };
#define GC_MODE_READ1    0x08
#define GC_MODE_ODD_EVEN 0x10

/* regs.c */
uint8_t vga_port_read(struct vga *v, uint16_t port);
/* True: the window may have to move (vga_window_wanted). */
bool vga_port_write(struct vga *v, uint16_t port, uint8_t b);
/* dispi.c */
uint16_t vbe_read(struct vga *v, unsigned index);
bool vbe_write(struct vga *v, unsigned index, uint16_t value);
static inline bool vbe_linear(const struct abi_vga *r)
{
    return (r->vbe[ABI_VBE_ENABLE] & ABI_VBE_ENABLED) && r->vbe[ABI_VBE_BPP] >= 8;
}

/* memory.c: addr = offset from A0000h, below 128 KiB */
uint8_t vga_byte_read(struct vga *v, uint32_t addr);
void vga_byte_write(struct vga *v, uint32_t addr, uint8_t b);

/* What a CPU's byte becomes for all planes with these registers and latches, the planes an unchained address
 * reaches, and the words of one. */
uint32_t vga_write_value(const struct abi_vga *r, uint8_t b);
uint32_t vga_map_mask(const struct abi_vga *r);
uint32_t vga_word_get(const struct vga *v, uint32_t n);
#define PLANE_WORDS 0x10000u

/* sweep.c */
void vga_stamp_all(struct vga *v);

/* window.c */
struct vga_range { /* what GC_MISC decodes, as offsets from A0000h */
    uint32_t base, size;
};
struct vga_range vga_range_now(const struct abi_vga *r);
struct vga_window {
    uint64_t word;   /* as struct vga.window */
    bool text_apart;
};
struct vga_window vga_window_wanted(const struct vga *v);
/* Moves planes 0 and 1 and the window; no vCPU may be executing guest code. */
void vga_window_move(struct vga *v, const struct vga_window *w);

#endif
