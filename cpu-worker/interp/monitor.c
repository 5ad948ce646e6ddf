/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MONITOR, MWAIT and AMD's MONITORX, MWAITX; CLZERO and MOVDIR64B, which move whole lines. Owns these handlers;
 * the waiting itself is the run loop's, the monitor run/watch.c's.
 */
#include <sched.h>
#include "cpu-worker/interp/handlers.h"
#include "cpu-worker/mmu/tlb.h"
#include "cpu-worker/run/run.h"
#include "cpu-worker/run/watch.h"

#define LINE 64u
#define MISC_MONITOR (1ull << 18)
#define HWCR_MON_USER (1u << 10) /* AMD: MONITOR and MWAIT at every privilege level */

bool monitor_enabled(const struct cpu *c)
{
    return cpu_has(c, FEAT_MONITOR) && (c->vendor == ABI_CPU_AMD || (c->s->misc_enable & MISC_MONITOR));
}
/* aux2: the X forms, which any program may use. */
static void allowed(struct cpu *c, const struct op *o)
{
    bool user = o->aux2 || (c->vendor == ABI_CPU_AMD && (c->s->hwcr & HWCR_MON_USER));
    if ((!o->aux2 && !monitor_enabled(c)) || (c->cpl && !user))
        cpu_raise(c, o, VEC_UD);
}
/* Extensions in ECX that are not known are refused (SDM volume 2, MONITOR, MWAIT; APM volume 3, MWAITX). */
static void extensions(struct cpu *c, const struct op *o, uint64_t known)
{
    uint64_t ecx = c->mode & MODE_64 ? c->gpr[REG_RCX] : (uint32_t)c->gpr[REG_RCX];
    if (ecx & ~known)
        cpu_raise_err(c, o, VEC_GP, 0);
}
OP(op_monitor)
{
    struct translation t;
    allowed(c, o);
    extensions(c, o, 0);
    uint64_t va = op_ea(c, o, 1, false);
    mmu_ld8(c, o, va);
    mmu_translate(c, o, va, MMU_READ, &t);
    if (t.host && t.writable_host) /* what is not memory cannot be monitored */
        watch_arm(c, t.ram_off);
    else
        watch_disarm(c);
    return cpu_leave(c, o);
}
/* #syscalls:cpu-worker sched_yield */
OP(op_mwait)
{
    uint32_t ecx = (uint32_t)c->gpr[REG_RCX];
    allowed(c, o);
    extensions(c, o, o->aux2 ? 3 : 1);
    c->exit_request = 1;
    if (!watch_ready(c)) {
        if (c->team->n > 1)
            sched_yield();
        return cpu_leave(c, o);
    }
    c->mwait = MWAIT_ON | (ecx & 1 ? MWAIT_MASKED : 0);
    if (ecx & 2) { /* EBX: at most so many ticks */
        c->mwait |= MWAIT_TIMER;
        c->mwait_until = cpu_guest_tsc(c) + (uint32_t)c->gpr[REG_RBX];
    }
    return cpu_leave(c, o);
}

OP(op_clzero)
{
    static const uint8_t zero[LINE];
    uint64_t va = op_ea(c, o, 1, true) & ~(uint64_t)(LINE - 1);
    mmu_write_bytes(c, o, va, zero, LINE);
    NEXT();
}
/* dst = register with the destination in ES; its line is written in one piece (SDM volume 2, MOVDIR64B). */
OP(op_movdir64b)
{
    uint8_t line[LINE];
    struct op to = *o;
    to.base = o->dst;
    to.index = REG_ZERO;
    to.disp = 0;
    to.seg = c->mode & MODE_64 ? ABI_SEG_FLAT : ABI_ES;
    to.ea = (uint8_t)(o->ea & ~EA_STACK);
    mmu_read_bytes(c, o, op_ea(c, o, LINE, false), line, LINE);
    uint64_t va = op_ea(c, &to, LINE, true);
    if (va & (LINE - 1))
        cpu_raise_err(c, o, VEC_GP, 0);
    mmu_write_bytes(c, o, va, line, LINE);
    NEXT();
}
