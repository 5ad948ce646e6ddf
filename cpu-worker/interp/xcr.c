/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Extended control registers: XGETBV, XSETBV, and CPUID leaf 0DH, which describes what XCR0 selects. Must
 * never let XCR0 hold a component that helpers/xsave.c does not save.
 */
#include "cpu-worker/helpers/xsave.h"
#include "cpu-worker/interp/handlers.h"
#include "cpu-worker/run/run.h"

#define CR4_OSXSAVE 0x40000u

static void need_osxsave(struct cpu *c, const struct op *o)
{
    if (!(c->s->cr4 & CR4_OSXSAVE))
        cpu_raise(c, o, VEC_UD);
}

OP(op_xgetbv)
{
    uint32_t n = (uint32_t)c->gpr[REG_RCX];
    need_osxsave(c, o);
    if (n > 1 || (n == 1 && !cpu_has(c, FEAT_XGETBV1)))
        cpu_raise_err(c, o, VEC_GP, 0);
    uint64_t v = n ? c->s->xcr0 & xsave_in_use(c) : c->s->xcr0;
    c->gpr[REG_RAX] = (uint32_t)v;
    c->gpr[REG_RDX] = v >> 32;
    NEXT();
}

OP(op_xsetbv)
{
    uint64_t v = (uint32_t)c->gpr[REG_RAX] | c->gpr[REG_RDX] << 32;
    need_osxsave(c, o);
    if (c->cpl || (uint32_t)c->gpr[REG_RCX] || !xsave_xcr0_valid(c, v))
        cpu_raise_err(c, o, VEC_GP, 0);
    c->s->xcr0 = v;
    cpu_mode_update(c);
    return cpu_leave(c, o);
}

/* SDM volume 1, 13.2. Registers in the order EAX EBX ECX EDX. */
void xcr_cpuid(struct cpu *c, uint32_t sub, uint32_t r[4])
{
    uint64_t all = xsave_components(c);
    memset(r, 0, 4 * sizeof(*r));
    if (!cpu_has(c, FEAT_XSAVE))
        return;
    if (sub == 0) {
        r[0] = (uint32_t)all;
        r[1] = xsave_image_size(c->s->xcr0, false);
        r[2] = xsave_image_size(all, false);
    } else if (sub == 1) {
        r[0] = c->feat[CPUW_D1_EAX];
        if (cpu_has(c, FEAT_XSAVEC) || cpu_has(c, FEAT_XSAVES))
            r[1] = xsave_image_size(c->s->xcr0, true);
    } else if (sub < 63 && (all >> sub & 1)) {
        r[0] = xsave_size(sub);
        r[1] = xsave_offset(sub);
    }
}
