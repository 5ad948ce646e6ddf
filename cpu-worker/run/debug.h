/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Breakpoints of the debug registers (SDM volume 3, chapter 18). While one is armed the vCPU runs one
 * instruction at a time and pages with a watched address stay out of the TLB; with none armed this costs
 * nothing. Owns cpu->dbg_armed and cpu->dbg_hit.
 */
#ifndef BULKHEAD_CPU_WORKER_RUN_DEBUG_H
#define BULKHEAD_CPU_WORKER_RUN_DEBUG_H

#include "cpu-worker/run/cpu.h"

enum { DBG_CODE = 1, DBG_DATA = 2, DBG_IO = 4 };
#define DR6_BD 0x2000u
#define DR6_BS 0x4000u
#define DR6_BT 0x8000u
#define DR7_GD 0x2000u
#define DEBUGCTL_BTF 2u

void debug_update(struct cpu *c); /* after a change of DR0-3, DR7 or CR4.DE */
uint32_t debug_code_hits(const struct cpu *c, uint64_t lip); /* DR6 bits */
bool debug_page_watched(const struct cpu *c, uint64_t va);
void debug_access_note(struct cpu *c, uint64_t va, unsigned len, bool write);
void debug_io_note(struct cpu *c, uint16_t port, unsigned size);

static inline void debug_access(struct cpu *c, uint64_t va, unsigned len, bool write)
{
    if (__builtin_expect(c->dbg_armed & DBG_DATA, 0))
        debug_access_note(c, va, len, write);
}
static inline void debug_io(struct cpu *c, uint16_t port, unsigned size)
{
    if (__builtin_expect(c->dbg_armed & DBG_IO, 0))
        debug_io_note(c, port, size);
}

#endif
