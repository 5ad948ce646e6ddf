/* SPDX-License-Identifier: Apache-2.0 */
/*
 * System instructions: port I/O, HLT, interrupt flag, control and debug registers, TLB control,
 * time stamp, descriptor table registers, segment base access. MSRs and CPUID are in files of their own.
 */
#include <sched.h>
#include "cpu-worker/chipset/chipset.h"
#include "cpu-worker/interp/handlers.h"
#include "cpu-worker/interp/io-perm.h"
#include "cpu-worker/interp/segment.h"
#include "cpu-worker/interp/stack.h"
#include "cpu-worker/mmio/mmio.h"
#include "cpu-worker/mmu/control.h"
#include "cpu-worker/run/team.h"

#define PAUSES_PER_YIELD 128u
#define CR4_TSD 4u
#define CR4_UMIP 0x800u
#define CR4_FSGSBASE 0x10000u

/* aux = element size in bytes. I/O ends the block: a device may have raised an interrupt by it. */
static const struct op *port_in(struct cpu *c, const struct op *o, uint16_t port)
{
    io_check(c, o, port, o->aux);
    uint32_t v = pio_read(c, port, o->aux);
    if (o->aux == 1)
        WR8(0, (uint8_t)v);
    else if (o->aux == 2)
        WR16(REG_RAX, (uint16_t)v);
    else
        c->gpr[REG_RAX] = v;
    return cpu_leave(c, o);
}
static const struct op *port_out(struct cpu *c, const struct op *o, uint16_t port)
{
    io_check(c, o, port, o->aux);
    uint32_t v = (uint32_t)c->gpr[REG_RAX];
    pio_write(c, port, o->aux, o->aux == 1 ? (uint8_t)v : o->aux == 2 ? (uint16_t)v : v);
    return cpu_leave(c, o);
}
OP(op_in_i)
{
    return port_in(c, o, (uint8_t)o->imm);
}
OP(op_in_dx)
{
    return port_in(c, o, (uint16_t)c->gpr[REG_RDX]);
}
OP(op_out_i)
{
    return port_out(c, o, (uint8_t)o->imm);
}
OP(op_out_dx)
{
    return port_out(c, o, (uint16_t)c->gpr[REG_RDX]);
}

OP(op_hlt)
{
    cpl0_check(c, o);
    c->s->halted = 1;
    c->exit_request = 1;
    return cpu_leave(c, o);
}
static void tsc_allowed(struct cpu *c, const struct op *o)
{
    if ((c->s->cr4 & CR4_TSD) && c->cpl)
        cpu_raise_err(c, o, VEC_GP, 0);
}
OP(op_rdtsc)
{
    tsc_allowed(c, o);
    uint64_t t = cpu_guest_tsc(c);
    c->gpr[REG_RAX] = (uint32_t)t;
    c->gpr[REG_RDX] = t >> 32;
    NEXT();
}
OP(op_rdtscp)
{
    tsc_allowed(c, o);
    uint64_t t = cpu_guest_tsc(c);
    c->gpr[REG_RAX] = (uint32_t)t;
    c->gpr[REG_RDX] = t >> 32;
    c->gpr[REG_RCX] = (uint32_t)c->s->tsc_aux;
    NEXT();
}
/* What follows is fetched anew: the block ends, and the run loop looks at every event. */
OP(op_serialize)
{
    return cpu_leave(c, o);
}
OP(op_rdpid)
{
    c->gpr[o->dst] = (uint32_t)c->s->tsc_aux;
    NEXT();
}
/* A spinning vCPU may keep the one it waits for from running: offer the processor now and then.
 * #syscalls:cpu-worker sched_yield */
OP(op_pause)
{
    __builtin_ia32_pause();
    if (++c->pauses >= PAUSES_PER_YIELD && c->team->n > 1) {
        c->pauses = 0;
        sched_yield();
    }
    NEXT();
}

/* Control registers: dst = GPR, src = number of the control register (and the other way round). */
OP(op_mov_r_cr)
{
    cpl0_check(c, o);
    uint64_t v = o->src == 0 ? c->s->cr0 : o->src == 2 ? c->s->cr2 : o->src == 3 ? c->s->cr3
               : o->src == 4 ? c->s->cr4 : chipset_cr8_read(c->chipset, c->index);
    c->gpr[o->dst] = c->mode & MODE_64 ? v : (uint32_t)v;
    NEXT();
}
static void or_gp(struct cpu *c, const struct op *o, bool done)
{
    if (!done)
        cpu_raise_err(c, o, VEC_GP, 0);
}
OP(op_mov_cr_r)
{
    cpl0_check(c, o);
    uint64_t v = c->mode & MODE_64 ? c->gpr[o->src] : (uint32_t)c->gpr[o->src];
    switch (o->dst) {
    case 0:
        or_gp(c, o, cr0_write(c, v));
        break;
    case 2:
        c->s->cr2 = v;
        break;
    case 3:
        or_gp(c, o, cr3_write(c, v));
        break;
    case 4:
        or_gp(c, o, cr4_write(c, v));
        break;
    default:
        if (v > 15)
            cpu_raise_err(c, o, VEC_GP, 0);
        chipset_cr8_write(c->chipset, c->index, v);
        c->exit_request = 1;
        break;
    }
    return cpu_leave(c, o);
}
OP(op_clts)
{
    cpl0_check(c, o);
    c->s->cr0 &= ~8ull;
    cpu_mode_update(c);
    return cpu_leave(c, o);
}
static const struct op *lmsw(struct cpu *c, const struct op *o, uint16_t v)
{
    cpl0_check(c, o);
    or_gp(c, o, cr0_write(c, (c->s->cr0 & ~0xeull) | (v & 0xf))); /* PE can be set, not cleared */
    return cpu_leave(c, o);
}
OP(op_lmsw_r)
{
    return lmsw(c, o, (uint16_t)c->gpr[o->src]);
}
OP(op_lmsw_m)
{
    cpl0_check(c, o);
    return lmsw(c, o, mmu_ld16(c, o, op_ea(c, o, 2, false)));
}
static void umip_check(struct cpu *c, const struct op *o)
{
    if ((c->s->cr4 & CR4_UMIP) && c->cpl)
        cpu_raise_err(c, o, VEC_GP, 0);
}
static void store_reg(struct cpu *c, const struct op *o, uint64_t v)
{
    if (o->aux == 16)
        WR16(o->dst, (T16)v);
    else
        c->gpr[o->dst] = o->aux == 32 ? (T32)v : v;
}
OP(op_smsw_r)
{
    umip_check(c, o);
    store_reg(c, o, c->s->cr0);
    NEXT();
}
OP(op_smsw_m)
{
    umip_check(c, o);
    mmu_st16(c, o, op_ea(c, o, 2, true), (T16)c->s->cr0);
    NEXT();
}

OP(op_invd)
{
    cpl0_check(c, o);
    NEXT();
}

OP(op_swapgs)
{
    cpl0_check(c, o);
    uint64_t t = c->s->seg[ABI_GS].base;
    c->s->seg[ABI_GS].base = c->s->kernel_gs_base;
    c->segbase[ABI_GS] = c->s->kernel_gs_base;
    c->s->kernel_gs_base = t;
    NEXT();
}
/* src/dst = GPR, aux2 = segment, aux = operand size */
OP(op_rdfsbase)
{
    if (!(c->s->cr4 & CR4_FSGSBASE))
        cpu_raise(c, o, VEC_UD);
    uint64_t v = c->s->seg[o->aux2].base;
    c->gpr[o->dst] = o->aux == 64 ? v : (uint32_t)v;
    NEXT();
}
OP(op_wrfsbase)
{
    if (!(c->s->cr4 & CR4_FSGSBASE))
        cpu_raise(c, o, VEC_UD);
    uint64_t v = o->aux == 64 ? c->gpr[o->dst] : (uint32_t)c->gpr[o->dst];
    if (!cpu_canonical(c, v))
        cpu_raise_err(c, o, VEC_GP, 0);
    c->s->seg[o->aux2].base = v;
    c->segbase[o->aux2] = v;
    NEXT();
}

/* Descriptor table registers: 10 bytes in 64-bit mode, else 6; a 16-bit load takes 24 bits of base. */
static void table_load(struct cpu *c, const struct op *o, struct abi_dtable *t)
{
    unsigned n = c->mode & MODE_64 ? 8 : 4;
    cpl0_check(c, o);
    uint64_t ea = op_ea(c, o, n + 2, false);
    uint16_t limit = mmu_ld16(c, o, ea);
    uint64_t base = mem_load(c, o, ea + 2, n);
    if (n == 8 && !cpu_canonical(c, base))
        cpu_raise_err(c, o, VEC_GP, 0);
    t->limit = limit;
    t->base = n == 4 && o->aux == 16 ? base & 0xffffff : base;
}
static void table_store(struct cpu *c, const struct op *o, const struct abi_dtable *t)
{
    unsigned n = c->mode & MODE_64 ? 8 : 4;
    umip_check(c, o);
    uint64_t ea = op_ea(c, o, n + 2, true);
    mmu_st16(c, o, ea, (T16)t->limit);
    mem_store(c, o, ea + 2, n, t->base);
}
OP(op_lgdt)
{
    table_load(c, o, &c->s->gdtr);
    NEXT();
}
OP(op_lidt)
{
    table_load(c, o, &c->s->idtr);
    NEXT();
}
OP(op_sgdt)
{
    table_store(c, o, &c->s->gdtr);
    NEXT();
}
OP(op_sidt)
{
    table_store(c, o, &c->s->idtr);
    NEXT();
}
static void need_protected(struct cpu *c, const struct op *o)
{
    if (!(c->mode & MODE_PE))
        cpu_raise(c, o, VEC_UD);
}
#define STORE_SEL(NAME, SEG)                                                                       \
    OP(NAME##_r)                                                                                   \
    {                                                                                              \
        need_protected(c, o);                                                                      \
        umip_check(c, o);                                                                          \
        store_reg(c, o, c->s->seg[SEG].selector);                                                  \
        NEXT();                                                                                    \
    }                                                                                              \
    OP(NAME##_m)                                                                                   \
    {                                                                                              \
        need_protected(c, o);                                                                      \
        umip_check(c, o);                                                                          \
        mmu_st16(c, o, op_ea(c, o, 2, true), c->s->seg[SEG].selector);                             \
        NEXT();                                                                                    \
    }
STORE_SEL(op_sldt, ABI_LDTR)
STORE_SEL(op_str, ABI_TR)

/* LAR LSL VERR VERW: src = 0xff for a memory operand. ZF tells whether the selector is usable. */
static bool probe(struct cpu *c, const struct op *o, struct desc *d, uint16_t *sel)
{
    need_protected(c, o);
    *sel = o->src == 0xff ? mmu_ld16(c, o, op_ea(c, o, 2, false)) : (uint16_t)c->gpr[o->src];
    if (!(*sel & ~3u) || !desc_read(c, o, *sel, d))
        return false;
    bool conforming = DESC_S(d) && (DESC_TYPE(d) & 0xc) == 0xc;
    return conforming || (DESC_DPL(d) >= c->cpl && DESC_DPL(d) >= (*sel & 3u));
}
static void zf_set(struct cpu *c, bool z)
{
    c->fl = (c->fl & ~FL_ZF) | (z ? FL_ZF : 0);
}
OP(op_lar)
{
    struct desc d;
    uint16_t sel;
    bool ok = probe(c, o, &d, &sel);
    if (ok && !DESC_S(&d)) {
        uint32_t legal = cpu_long(c) ? 0x1a04u | 1u << 9 | 1u << 11 | 1u << 12 | 4u : 0x1a3eu;
        ok = legal >> DESC_TYPE(&d) & 1;
    }
    zf_set(c, ok);
    if (ok)
        store_reg(c, o, d.hi & 0x00ffff00);
    NEXT();
}
OP(op_lsl)
{
    struct desc d;
    uint16_t sel;
    bool ok = probe(c, o, &d, &sel);
    if (ok && !DESC_S(&d)) {
        uint32_t legal = cpu_long(c) ? 0x0a04u : 0x0a0eu;
        ok = legal >> DESC_TYPE(&d) & 1;
    }
    zf_set(c, ok);
    if (ok)
        store_reg(c, o, desc_limit(&d));
    NEXT();
}
OP(op_verr)
{
    struct desc d;
    uint16_t sel;
    bool ok = probe(c, o, &d, &sel);
    zf_set(c, ok && DESC_S(&d) && (!(DESC_TYPE(&d) & 8) || (DESC_TYPE(&d) & 2)));
    NEXT();
}
OP(op_verw)
{
    struct desc d;
    uint16_t sel;
    bool ok = probe(c, o, &d, &sel);
    zf_set(c, ok && DESC_S(&d) && !(DESC_TYPE(&d) & 8) && (DESC_TYPE(&d) & 2));
    NEXT();
}
OP(op_arpl)
{
    need_protected(c, o);
    bool mem = o->dst == 0xff;
    uint64_t ea = mem ? op_ea(c, o, 2, false) : 0;
    uint16_t d = mem ? mmu_ld16(c, o, ea) : (uint16_t)c->gpr[o->dst], s = (uint16_t)c->gpr[o->src];
    bool adjust = (d & 3) < (s & 3);
    if (adjust) {
        d = (uint16_t)((d & ~3u) | (s & 3u));
        if (mem)
            mmu_st16(c, o, op_ea(c, o, 2, true), d); /* only now has it to be writable */
        else
            WR16(o->dst, d);
    }
    zf_set(c, adjust);
    NEXT();
}
