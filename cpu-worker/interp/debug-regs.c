/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MOV to and from the debug registers: aliases, general detect, reserved bits (SDM volume 3, 18.2). What the
 * registers do is run/debug.c's.
 */
#include "cpu-worker/run/debug.h"
#include "cpu-worker/interp/handlers.h"
#include "cpu-worker/interp/segment.h"
#include "cpu-worker/run/run.h"

#define CR4_DE 8u
#define RF_RF 0x10000ull

/* The register meant by number n; #UD, #GP(0) or the general-detect fault. */
static unsigned access(struct cpu *c, const struct op *o, unsigned n)
{
    bool alias = n == 4 || n == 5;
    if (alias && (c->s->cr4 & CR4_DE))
        cpu_raise(c, o, VEC_UD);
    cpl0_check(c, o);
    if (c->s->dr[7] & DR7_GD) {
        c->s->dr[6] |= DR6_BD;
        c->eflags |= RF_RF; /* a fault of another kind than an instruction breakpoint: RF in the image */
        cpu_raise(c, o, VEC_DB);
    }
    return alias ? n + 2 : n;
}
OP(op_mov_r_dr)
{
    unsigned n = access(c, o, o->src);
    c->gpr[o->dst] = c->mode & MODE_64 ? c->s->dr[n] : (uint32_t)c->s->dr[n];
    NEXT();
}
OP(op_mov_dr_r)
{
    unsigned n = access(c, o, o->dst);
    uint64_t v = c->mode & MODE_64 ? c->gpr[o->src] : (uint32_t)c->gpr[o->src];
    if (n >= 6 && v >> 32)
        cpu_raise_err(c, o, VEC_GP, 0);
    if (n == 6)
        v = (v & 0xe00f) | 0xffff0ff0;
    if (n == 7)
        v = (v & 0xffff2fff) | 0x400;
    c->s->dr[n] = v;
    debug_update(c);
    return cpu_leave(c, o);
}
