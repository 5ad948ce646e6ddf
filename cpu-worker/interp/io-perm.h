/* SPDX-License-Identifier: Apache-2.0 */
/*
 * I/O privilege: IOPL and the permission bitmap of the TSS (SDM volume 1, 19.5.2).
 */
#ifndef BULKHEAD_CPU_WORKER_INTERP_IO_PERM_H
#define BULKHEAD_CPU_WORKER_INTERP_IO_PERM_H

#include "cpu-worker/run/debug.h"
#include "cpu-worker/run/run.h"

/* #GP(0) unless the current task may touch ports [port, port+size). Two bytes of the bitmap are always
 * read, so the byte after the last port's must lie inside the limit. */
static inline void io_check(struct cpu *c, const struct op *o, uint16_t port, unsigned size)
{
    debug_io(c, port, size); /* a fault below takes the note back */
    if (!(c->s->cr0 & 1) || (c->cpl <= ((c->eflags >> 12) & 3) && !(c->eflags & 0x20000)))
        return;
    const struct abi_segment *tr = &c->s->seg[ABI_TR];
    if (!(tr->attr & 8) || tr->limit < 103)
        cpu_raise_err(c, o, VEC_GP, 0);
    uint32_t at = (uint32_t)sys_read(c, o, tr->base + 102, 2) + port / 8;
    if (at + 1 > tr->limit)
        cpu_raise_err(c, o, VEC_GP, 0);
    uint32_t bits = (uint32_t)sys_read(c, o, tr->base + at, 2) >> (port & 7);
    if (bits & ((1u << size) - 1))
        cpu_raise_err(c, o, VEC_GP, 0);
}

#endif
