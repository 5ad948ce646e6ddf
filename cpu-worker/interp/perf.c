/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AMD's four performance counters (APM volume 2, 13.2.1), which every AMD processor has: cycles and retired
 * instructions are counted, other events never happen. Intel's are told by CPUID leaf 0AH, and it says there are
 * none. Must never raise an interrupt: an overflow only wraps.
 */
#include "cpu-worker/interp/handlers.h"
#include "cpu-worker/interp/msr.h"
#include "cpu-worker/run/run.h"

#define CTL_ENABLE (1ull << 22)
#define CTL_MODES  (3ull << 16) /* user, system: neither counts nothing */
#define CTL_BITS   0x00000f00ffffffffull
#define CTR_BITS   ((1ull << 48) - 1)
#define EVENT_CYCLES 0x76u
#define EVENT_INSNS  0xc0u
#define CR4_PCE 0x100u

/* What the event has come to so far; a counter is its distance from that. */
static uint64_t source(const struct cpu *c, uint64_t ctl)
{
    unsigned event = (unsigned)(ctl & 0xff) | (unsigned)(ctl >> 24 & 0xf00);
    if (!(ctl & CTL_ENABLE) || !(ctl & CTL_MODES))
        return 0;
    return event == EVENT_CYCLES ? cpu_guest_tsc(c) : event == EVENT_INSNS ? c->insns : 0;
}
static uint64_t counter(const struct cpu *c, unsigned n)
{
    return (c->s->perf_ctr[n] + source(c, c->s->perf_ctl[n])) & CTR_BITS;
}
static void counter_put(struct cpu *c, unsigned n, uint64_t v)
{
    c->s->perf_ctr[n] = v - source(c, c->s->perf_ctl[n]);
}

static bool owns(const struct cpu *c, uint32_t msr)
{
    return c->vendor == ABI_CPU_AMD && msr - PERF_CTL0 < 2 * ABI_PERF_COUNTERS;
}
bool perf_msr_read(const struct cpu *c, uint32_t msr, uint64_t *v)
{
    unsigned n = msr - PERF_CTL0;
    if (!owns(c, msr))
        return false;
    *v = n < ABI_PERF_COUNTERS ? c->s->perf_ctl[n] : counter(c, n - ABI_PERF_COUNTERS);
    return true;
}
enum msr_table_result perf_msr_write(struct cpu *c, uint32_t msr, uint64_t v)
{
    unsigned n = msr - PERF_CTL0;
    if (!owns(c, msr))
        return MSR_ELSEWHERE;
    if (n < ABI_PERF_COUNTERS) {
        uint64_t now = counter(c, n);
        c->s->perf_ctl[n] = v & CTL_BITS;
        counter_put(c, n, now);
    } else {
        counter_put(c, n - ABI_PERF_COUNTERS, v);
    }
    return MSR_DONE;
}
/* Ends its block: only then is what was retired known. */
OP(op_rdpmc)
{
    uint32_t n = (uint32_t)c->gpr[REG_RCX];
    bool user = c->cpl && !(c->s->cr4 & CR4_PCE) && (c->mode & (MODE_PE | MODE_VM86));
    if (user || !owns(c, PERF_CTL0) || n >= ABI_PERF_COUNTERS)
        cpu_raise_err(c, o, VEC_GP, 0);
    uint64_t v = counter(c, n);
    c->gpr[REG_RAX] = (uint32_t)v;
    c->gpr[REG_RDX] = v >> 32;
    return cpu_leave(c, o);
}
