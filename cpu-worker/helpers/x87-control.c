/* SPDX-License-Identifier: Apache-2.0 */
/*
 * x87 control instructions: control and status word, environment, whole state, exceptions, waiting.
 * They leave the instruction and data pointers alone. Must never write the host's control word.
 */
#include "cpu-worker/helpers/x87-op.h"

#define FCW_WRITABLE 0x1f3fu
#define FCW_ONE      0x0040u /* reads as one */
#define CR0_MP       0x2u
#define CR0_TS       0x8u

static void set_fcw(struct abi_vcpu_state *s, uint16_t v)
{
    s->fcw = (v & FCW_WRITABLE) | FCW_ONE;
    x87_update_es(s);
}

static void initialise(struct abi_vcpu_state *s)
{
    s->fcw = 0x037f;
    s->fsw = 0;
    s->ftw = 0xffff;
    s->fop = s->fcs = s->fds = 0;
    s->fip = s->fdp = 0;
    x87_host_clear();
}

static OP(fldcw)
{
    x87_wait(c, o);
    set_fcw(c->s, mmu_ld16(c, o, op_ea(c, o, 2, false)));
    NEXT();
}

static OP(fnstcw)
{
    mmu_st16(c, o, op_ea(c, o, 2, true), c->s->fcw);
    NEXT();
}

static OP(fnstsw)
{
    mmu_st16(c, o, op_ea(c, o, 2, true), c->s->fsw);
    NEXT();
}

static OP(fnstsw_ax)
{
    c->gpr[REG_RAX] = (c->gpr[REG_RAX] & ~0xffffull) | c->s->fsw;
    NEXT();
}

static OP(fnclex)
{
    c->s->fsw &= 0x7f00;
    x87_host_clear();
    cpu_fp_cleared(c);
    NEXT();
}

static OP(fninit)
{
    initialise(c->s);
    cpu_fp_cleared(c);
    NEXT();
}

/* Retired 8087 and 287 instructions: nothing happens, nothing is waited for. */
static OP(retired)
{
    (void)c;
    NEXT();
}

static OP(fwait)
{
    if ((c->s->cr0 & (CR0_MP | CR0_TS)) == (CR0_MP | CR0_TS))
        cpu_raise(c, o, VEC_NM);
    x87_wait(c, o);
    NEXT();
}

op_fn x87_fwait(void)
{
    return fwait;
}

/* ---- environment: four layouts (SDM 1, figures 8-9 to 8-12) ----
 * aux2 bit 16: 14 bytes; bit 17: real-mode layout. */

static bool env_short(const struct op *o)
{
    return o->aux2 & 1u << 16;
}

static bool env_real(const struct op *o)
{
    return o->aux2 & 1u << 17;
}

static unsigned env_size(const struct op *o)
{
    return env_short(o) ? 14 : 28;
}

/* The first word or doubleword and the last byte are checked before anything is read or written. */
static uint64_t env_ea(struct cpu *c, const struct op *o, unsigned size, bool write)
{
    uint64_t va = simd_part_probe(c, o, 0, env_short(o) ? 2 : 4, write);
    simd_part_probe(c, o, size - 1, 1, write);
    return va;
}

static void env_words(const struct abi_vcpu_state *s, bool real, uint32_t w[7])
{
    uint32_t ip = (uint32_t)s->fip, dp = (uint32_t)s->fdp;

    w[0] = 0xffff0000u | s->fcw;
    w[1] = 0xffff0000u | s->fsw;
    w[2] = 0xffff0000u | x87_full_tags(s);
    if (real) {
        ip += (uint32_t)s->fcs << 4;
        dp += (uint32_t)s->fds << 4;
        w[3] = 0xffff0000u | (ip & 0xffff);
        w[4] = (ip >> 16) << 12 | (s->fop & 0x7ff);
        w[5] = 0xffff0000u | (dp & 0xffff);
        w[6] = (dp >> 16) << 12;
    } else {
        w[3] = ip;
        w[4] = s->fcs | (uint32_t)(s->fop & 0x7ff) << 16;
        w[5] = dp;
        w[6] = 0xffff0000u | s->fds;
    }
}

static void env_put(const struct abi_vcpu_state *s, const struct op *o, uint8_t *p)
{
    uint32_t w[7];
    env_words(s, env_real(o), w);
    for (unsigned i = 0; i < 7; i++) {
        if (env_short(o))
            memcpy(p + 2 * i, &w[i], 2);
        else
            memcpy(p + 4 * i, &w[i], 4);
    }
}

static void env_get(struct abi_vcpu_state *s, const struct op *o, const uint8_t *p)
{
    uint32_t w[7] = {0};
    for (unsigned i = 0; i < 7; i++)
        memcpy(&w[i], p + (env_short(o) ? 2 : 4) * i, env_short(o) ? 2 : 4);
    s->fsw = (uint16_t)w[1];
    s->ftw = (uint16_t)w[2];
    if (env_real(o)) {
        s->fip = (w[3] & 0xffff) | (w[4] & 0x0ffff000) << 4;
        s->fdp = (w[5] & 0xffff) | (w[6] & 0x0ffff000) << 4;
        s->fcs = s->fds = 0;
        s->fop = w[4] & 0x7ff;
    } else {
        s->fip = w[3];
        s->fcs = (uint16_t)w[4];
        s->fdp = w[5];
        s->fds = (uint16_t)w[6];
        s->fop = env_short(o) ? s->fop : w[4] >> 16 & 0x7ff;
    }
    set_fcw(s, (uint16_t)w[0]);
    x87_host_clear();
}

WORKER_OP(fnstenv)
{
    uint8_t b[28];
    uint64_t va = env_ea(c, o, env_size(o), true);
    env_put(c->s, o, b);
    mmu_write_bytes(c, o, va, b, env_size(o));
    set_fcw(c->s, c->s->fcw | X87_FLAGS);
}

WORKER_OP(fldenv)
{
    uint8_t b[28];
    x87_wait(c, o);
    mmu_read_bytes(c, o, env_ea(c, o, env_size(o), false), b, env_size(o));
    env_get(c->s, o, b);
}

WORKER_OP(fnsave)
{
    uint8_t b[28 + 80];
    unsigned env = env_size(o);
    uint64_t va = env_ea(c, o, env + 80, true);
    env_put(c->s, o, b);
    for (unsigned i = 0; i < 8; i++)
        memcpy(b + env + 10 * i, x87_reg(c->s, x87_phys(c->s, i)), 10);
    mmu_write_bytes(c, o, va, b, env + 80);
    initialise(c->s);
}

WORKER_OP(frstor)
{
    uint8_t b[28 + 80];
    unsigned env = env_size(o);
    x87_wait(c, o);
    mmu_read_bytes(c, o, env_ea(c, o, env + 80, false), b, env + 80);
    env_get(c->s, o, b);
    for (unsigned i = 0; i < 8; i++)
        memcpy(x87_reg(c->s, x87_phys(c->s, i)), b + env + 10 * i, 10);
}

/* ---- decoding ---- */

bool x87_control_mem(struct op *o, const struct x87_in *d)
{
    o->aux2 |= (d->short_env ? 1u << 16 : 0) | (d->real_env ? 1u << 17 : 0);
    switch (d->op << 4 | d->reg) {
    case 0x14:
        o->fn = fldenv;
        return true;
    case 0x15:
        o->fn = fldcw;
        return true;
    case 0x16:
        o->fn = fnstenv;
        return true;
    case 0x17:
        o->fn = fnstcw;
        return true;
    case 0x54:
        o->fn = frstor;
        return true;
    case 0x56:
        o->fn = fnsave;
        return true;
    case 0x57:
        o->fn = fnstsw;
        return true;
    default:
        return false;
    }
}

bool x87_control_reg(struct op *o, const struct x87_in *d)
{
    switch (d->op << 8 | d->reg << 4 | d->rm) {
    case 0x340: /* FENI, FDISI, FSETPM */
    case 0x341:
    case 0x344:
        o->fn = retired;
        return true;
    case 0x342:
        o->fn = fnclex;
        return true;
    case 0x343:
        o->fn = fninit;
        return true;
    case 0x740:
        o->fn = fnstsw_ax;
        return true;
    default:
        return false;
    }
}
