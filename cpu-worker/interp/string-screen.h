/* SPDX-License-Identifier: Apache-2.0 */
/* Repeats whose destination traps in the VGA's window, done by the range. Used by string.c. */
#ifndef BULKHEAD_CPU_WORKER_STRING_SCREEN_H
#define BULKHEAD_CPU_WORKER_STRING_SCREEN_H

#include "cpu-worker/mmio/mmio.h"
#include "cpu-worker/run/op.h"

#define STRING_DF 0x400u

/* Forward repeats on a machine with a VGA, nothing watched: cheap to ask. */
static inline bool string_screen_possible(const struct cpu *c)
{
    return c->mem->vga && !(c->eflags & STRING_DF) && !c->dbg_armed;
}
/* Elements done, registers but the count advanced; 0: not this way. May raise the first element's fault. */
uint64_t string_screen_fill(struct cpu *c, const struct op *o, uint64_t left);
uint64_t string_screen_move(struct cpu *c, const struct op *o, uint64_t left);

#endif
