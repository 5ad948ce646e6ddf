/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A vCPU's accesses to the card: ports, register BAR, window bytes; and what a moved window means for the
 * vCPUs. Owns the lock; must never hold it while waiting for another vCPU.
 */
#include "cpu-worker/vga/vga-internal.h"

#include <stdlib.h>
#include "cpu-worker/mmio/mmio.h"
#include "cpu-worker/run/run.h"
#include "cpu-worker/run/team.h"

#define BAR_EDID     0x000u /* 0 to 3FFh */
#define BAR_PORTS    0x400u /* 3C0h to 3DFh */
#define BAR_DISPI    0x500u /* 16-bit registers by index */
#define BAR_EXTENDED 0x600u /* size, byte order */
#define ENDIAN_LITTLE 0x1e1e1e1eu
#define ALL_ONES(size) ((size) >= 8 ? ~0ull : (1ull << 8 * (size)) - 1)

/* #syscalls:cpu-worker futex */
static void lock(struct vga *v)
{
    pthread_mutex_lock(&v->lock);
}
static void unlock(struct vga *v)
{
    pthread_mutex_unlock(&v->lock);
}

/* A register has changed that the window depends on. */
static void window_attend(struct cpu *c, struct vga *v)
{
    lock(v);
    struct vga_window w = vga_window_wanted(v);
    bool move = w.word != v->window || w.text_apart != (bool)v->r->text_apart;
    unlock(v);
    if (!move)
        return;
    cpu_exclusive_begin(c);
    lock(v);
    w = vga_window_wanted(v);
    vga_window_move(v, &w);
    unlock(v);
    cpu_exclusive_end(c);
    team_flush(c->team);
    team_flush_wait(c);
}

/* ---- ports ---- */

bool vga_io_claims(const struct vga *v, uint16_t port)
{
    if (!v)
        return false;
    return (port >= 0x3b4 && port <= 0x3b5) || port == 0x3ba || (port >= 0x3c0 && port <= 0x3cf) ||
           (port >= 0x3d4 && port <= 0x3d5) || port == 0x3da || (port >= 0x1ce && port <= 0x1d0);
}

static bool dispi_port(uint16_t port)
{
    return port >= 0x1ce && port <= 0x1d0;
}
/* The index is at 1CEh, the data at 1CFh, and again at 1D0h for machines without unaligned ports. */
static uint32_t dispi_read(struct vga *v, uint16_t port)
{
    return port == 0x1ce ? v->r->vbe_index : vbe_read(v, v->r->vbe_index);
}
static bool dispi_write(struct vga *v, uint16_t port, uint32_t value)
{
    if (port != 0x1ce)
        return vbe_write(v, v->r->vbe_index, (uint16_t)value);
    v->r->vbe_index = (uint16_t)value;
    return false;
}

uint32_t vga_io_read(struct cpu *c, uint16_t port, unsigned size)
{
    struct vga *v = c->mem->vga;
    uint32_t value = 0;
    lock(v);
    if (dispi_port(port))
        value = dispi_read(v, port);
    else
        for (unsigned i = 0; i < size; i++)
            value |= (uint32_t)vga_port_read(v, (uint16_t)(port + i)) << 8 * i;
    unlock(v);
    return value;
}

void vga_io_write(struct cpu *c, uint16_t port, unsigned size, uint32_t value)
{
    struct vga *v = c->mem->vga;
    bool attend = false;
    lock(v);
    if (dispi_port(port))
        attend = dispi_write(v, port, value);
    else
        for (unsigned i = 0; i < size; i++)
            attend |= vga_port_write(v, (uint16_t)(port + i), (uint8_t)(value >> 8 * i));
    unlock(v);
    if (attend)
        window_attend(c, v);
}

/* ---- the register BAR ---- */

static uint64_t extended_read(uint64_t off)
{
    return off == BAR_EXTENDED ? 8 : off == BAR_EXTENDED + 4 ? ENDIAN_LITTLE : 0;
}

uint64_t vga_bar_read(struct cpu *c, uint64_t off, unsigned size)
{
    struct vga *v = c->mem->vga;
    uint64_t value = 0;
    lock(v);
    if (off >= BAR_EXTENDED) {
        value = extended_read(off);
    } else if (off >= BAR_DISPI) {
        value = vbe_read(v, (unsigned)(off - BAR_DISPI) / 2);
    } else {
        for (unsigned i = 0; i < size; i++) {
            uint64_t at = off + i;
            uint8_t b = at < sizeof(v->d->edid) ? v->d->edid[at] : 0xff;
            if (at >= BAR_PORTS && at < BAR_PORTS + 0x20)
                b = vga_port_read(v, (uint16_t)(0x3c0 + at - BAR_PORTS));
            value |= (uint64_t)b << 8 * i;
        }
    }
    unlock(v);
    return value;
}

void vga_bar_write(struct cpu *c, uint64_t off, unsigned size, uint64_t value)
{
    struct vga *v = c->mem->vga;
    bool attend = false;
    lock(v);
    if (off >= BAR_DISPI && off < BAR_EXTENDED)
        attend = vbe_write(v, (unsigned)(off - BAR_DISPI) / 2, (uint16_t)value);
    else if (off >= BAR_PORTS && off + size <= BAR_PORTS + 0x20)
        for (unsigned i = 0; i < size; i++)
            attend |= vga_port_write(v, (uint16_t)(0x3c0 + off - BAR_PORTS + i), (uint8_t)(value >> 8 * i));
    unlock(v);
    if (attend)
        window_attend(c, v);
}

/* ---- the window ---- */

uint64_t vga_mem_read(struct cpu *c, uint64_t gpa, unsigned size)
{
    struct vga *v = c->mem->vga;
    uint64_t value = 0;
    lock(v);
    for (unsigned i = 0; i < size; i++)
        value |= (uint64_t)vga_byte_read(v, (uint32_t)(gpa - 0xa0000 + i)) << 8 * i;
    unlock(v);
    return value & ALL_ONES(size);
}

void vga_mem_write(struct cpu *c, uint64_t gpa, unsigned size, uint64_t value)
{
    struct vga *v = c->mem->vga;
    lock(v);
    for (unsigned i = 0; i < size; i++)
        vga_byte_write(v, (uint32_t)(gpa - 0xa0000 + i), (uint8_t)(value >> 8 * i));
    unlock(v);
}

/* ---- life ---- */

struct vga *vga_create(struct abi_display *d, uint64_t mapped)
{
    if (d->magic != ABI_DISPLAY_MAGIC || d->version != ABI_DISPLAY_VERSION || d->size != mapped ||
        mapped < ABI_DISPLAY_VRAM + (256u << 10) || mapped > ABI_DISPLAY_VRAM + ABI_DISPLAY_VRAM_MAX)
        return NULL;
    struct vga *v = calloc(1, sizeof(*v));
    if (!v)
        return NULL;
    v->d = d;
    v->r = &d->vga;
    v->planes = (uint32_t *)((uint8_t *)d + ABI_DISPLAY_VRAM);
    v->text = (uint8_t *)d + ABI_DISPLAY_TEXT;
    v->d_size = mapped;
    v->vram_size = (uint32_t)(mapped - ABI_DISPLAY_VRAM);
    pthread_mutex_init(&v->lock, NULL);
    return v;
}

void vga_destroy(struct vga *v)
{
    pthread_mutex_destroy(&v->lock);
    free(v);
}

void vga_reset(struct vga *v)
{
    struct vga_window w = vga_window_wanted(v);
    vga_window_move(v, &w);
}
