/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Segment registers and descriptors; see segment.h.
 */
#include "cpu-worker/interp/segment.h"
#include "cpu-worker/interp/handlers.h"
#include "cpu-worker/interp/stack.h"
#include "cpu-worker/run/run.h"

void seg_sync(struct cpu *c)
{
    bool m64 = cpu_long(c) && (c->s->seg[ABI_CS].attr & ABI_SEG_L);
    for (unsigned i = 0; i < 6; i++)
        c->segbase[i] = m64 && i != ABI_FS && i != ABI_GS ? 0 : c->s->seg[i].base;
    c->segbase[ABI_SEG_FLAT] = 0;
}
void cpl_set(struct cpu *c, unsigned cpl)
{
    c->cpl = cpl;
    tlb_context_update(c);
}
void cs_changed(struct cpu *c)
{
    seg_sync(c);
    tlb_context_update(c);
    cpu_mode_update(c);
}

bool desc_read(struct cpu *c, const struct op *o, uint16_t sel, struct desc *d)
{
    const struct abi_segment *ldt = &c->s->seg[ABI_LDTR];
    bool local = sel & 4;
    uint64_t base = local ? ldt->base : c->s->gdtr.base;
    uint32_t limit = local ? ldt->limit : c->s->gdtr.limit;
    if (local && (ldt->attr & ABI_SEG_UNUSABLE))
        return false;
    if ((sel | 7u) > limit)
        return false;
    d->va = base + (sel & ~7u);
    uint64_t v = sys_read(c, o, d->va, 8);
    d->lo = (uint32_t)v;
    d->hi = (uint32_t)(v >> 32);
    d->base_hi = 0;
    return true;
}
void desc_set_accessed(struct cpu *c, const struct op *o, struct desc *d)
{
    if (d->hi & 0x100)
        return;
    d->hi |= 0x100;
    sys_write(c, o, d->va + 5, 1, (d->hi >> 8) & 0xff);
}

uint32_t desc_limit(const struct desc *d)
{
    uint32_t l = (d->lo & 0xffff) | (d->hi & 0xf0000);
    return d->hi & 0x800000 ? l << 12 | 0xfff : l;
}
void seg_from_desc(struct abi_segment *s, uint16_t sel, const struct desc *d)
{
    s->selector = sel;
    s->attr = (d->hi >> 8) & 0xf0ff;
    s->limit = desc_limit(d);
    s->base = (d->lo >> 16) | (uint64_t)(d->hi & 0xff) << 16 | (d->hi & 0xff000000u) | d->base_hi << 32;
}
void seg_install(struct cpu *c, unsigned seg, uint16_t sel, const struct desc *d)
{
    seg_from_desc(&c->s->seg[seg], sel, d);
    seg_sync(c);
}
void seg_install_null(struct cpu *c, unsigned seg, uint16_t sel)
{
    struct abi_segment *s = &c->s->seg[seg];
    bool kept = c->vendor == ABI_CPU_AMD && !cpu_has(c, FEAT_NULL_SEL_CLR_BASE) && seg < ABI_LDTR;
    s->selector = sel;
    s->attr = ABI_SEG_UNUSABLE | (seg == ABI_SS ? (uint32_t)(sel & 3) << 5 : 0);
    if (!kept) { /* AMD keeps both unless CPUID 80000021H says otherwise (APM volume 3, appendix E.4.19) */
        s->limit = 0;
        s->base = 0;
    }
    seg_sync(c);
}
void seg_install_real(struct cpu *c, unsigned seg, uint16_t sel)
{
    struct abi_segment *s = &c->s->seg[seg];
    s->selector = sel;
    s->base = (uint32_t)sel << 4;
    if (c->eflags & 0x20000) { /* VM86: everything is reset; real mode keeps limits (unreal mode) */
        s->limit = 0xffff;
        s->attr = ABI_SEG_P | ABI_SEG_S | 3 | ABI_SEG_DPL;
    } else if (seg == ABI_CS) {
        s->attr = ABI_SEG_P | ABI_SEG_S | 3 | (s->attr & (ABI_SEG_DB | ABI_SEG_G));
    }
    seg_sync(c);
}
void seg_install_flat(struct cpu *c, unsigned seg, uint16_t sel, uint32_t attr)
{
    c->s->seg[seg] = (struct abi_segment){.selector = sel, .attr = attr, .limit = 0xffffffffu};
    seg_sync(c);
}

static void load_ss(struct cpu *c, const struct op *o, uint16_t sel)
{
    struct desc d;
    if (!(sel & ~3u)) {
        if (!(c->mode & MODE_64) || c->cpl == 3 || (sel & 3) != c->cpl)
            cpu_raise_err(c, o, VEC_GP, 0);
        seg_install_null(c, ABI_SS, sel);
        return;
    }
    if (!desc_read(c, o, sel, &d) || (sel & 3) != c->cpl || DESC_DPL(&d) != c->cpl || !DESC_S(&d) ||
        (DESC_TYPE(&d) & 0xa) != 2)
        cpu_raise_err(c, o, VEC_GP, sel & ~3u);
    if (!DESC_P(&d))
        cpu_raise_err(c, o, VEC_SS, sel & ~3u);
    desc_set_accessed(c, o, &d);
    seg_install(c, ABI_SS, sel, &d);
}
void seg_load(struct cpu *c, const struct op *o, unsigned seg, uint16_t sel)
{
    struct desc d;
    if (!(c->mode & MODE_PE)) {
        seg_install_real(c, seg, sel);
    } else if (seg == ABI_SS) {
        load_ss(c, o, sel);
    } else if (!(sel & ~3u)) {
        seg_install_null(c, seg, sel);
    } else {
        if (!desc_read(c, o, sel, &d))
            cpu_raise_err(c, o, VEC_GP, sel & ~3u);
        unsigned type = DESC_TYPE(&d), rpl = sel & 3;
        bool conforming = (type & 0xc) == 0xc;
        if (!DESC_S(&d) || (type & 0xa) == 8 ||
            (!conforming && (rpl > DESC_DPL(&d) || c->cpl > DESC_DPL(&d))))
            cpu_raise_err(c, o, VEC_GP, sel & ~3u);
        if (!DESC_P(&d))
            cpu_raise_err(c, o, VEC_NP, sel & ~3u);
        desc_set_accessed(c, o, &d);
        seg_install(c, seg, sel, &d);
    }
    if (seg == ABI_SS)
        cpu_mode_update(c);
}

bool seg_holds(const struct abi_segment *s, uint64_t off, unsigned size)
{
    uint64_t last = off + size - 1;
    if ((s->attr & 0xc) == 4) /* expand-down data: valid above the limit */
        return off > s->limit && last <= (s->attr & ABI_SEG_DB ? 0xffffffffu : 0xffffu);
    return last <= s->limit;
}
void seg_check(struct cpu *c, const struct op *o, unsigned seg, uint64_t off, unsigned size, bool write)
{
    const struct abi_segment *s = &c->s->seg[seg];
    int vector = seg == ABI_SS ? VEC_SS : VEC_GP;
    if (c->mode & MODE_PE) {
        bool code = s->attr & 8;
        if (s->attr & ABI_SEG_UNUSABLE)
            cpu_raise_err(c, o, vector, 0);
        if (write ? (code || !(s->attr & 2)) : (code && !(s->attr & 2)))
            cpu_raise_err(c, o, vector, 0);
    }
    if (!seg_holds(s, off, size))
        cpu_raise_err(c, o, vector, 0);
}

/* Address of a memory operand that is not plain 64-bit arithmetic: sizes, limits, wrapping. */
uint64_t cpu_ea_slow(struct cpu *c, const struct op *o, unsigned size, bool write)
{
    uint64_t off = c->gpr[o->base] + (c->gpr[o->index] << o->scale) + (int64_t)o->disp;
    if (o->ea & EA_16)
        off = (uint16_t)off;
    else if (o->ea & EA_32)
        off = (uint32_t)off;
    if (!(o->ea & EA_LEGACY))
        return off + c->segbase[o->seg];
    seg_check(c, o, o->seg, off, size, write);
    return (uint32_t)(off + c->segbase[o->seg]);
}

/* LLDT and LTR: 16-byte descriptors in IA-32e mode. */
static void system_desc(struct cpu *c, const struct op *o, uint16_t sel, struct desc *d)
{
    if ((sel & 4) || !desc_read(c, o, sel, d) || ((sel | (cpu_long(c) ? 15u : 7u)) > c->s->gdtr.limit))
        cpu_raise_err(c, o, VEC_GP, sel & ~3u);
    if (cpu_long(c))
        d->base_hi = sys_read(c, o, d->va + 8, 4);
}
static void require_cpl0(struct cpu *c, const struct op *o)
{
    if (!(c->mode & MODE_PE))
        cpu_raise(c, o, VEC_UD);
    cpl0_check(c, o);
}
static uint16_t selector_operand(struct cpu *c, const struct op *o)
{
    return o->src == 0xff ? mmu_ld16(c, o, op_ea(c, o, 2, false)) : (uint16_t)c->gpr[o->src];
}
OP(op_lldt)
{
    struct desc d;
    require_cpl0(c, o);
    uint16_t sel = selector_operand(c, o);
    if (!(sel & ~3u)) {
        seg_install_null(c, ABI_LDTR, sel);
        NEXT();
    }
    system_desc(c, o, sel, &d);
    if (DESC_S(&d) || DESC_TYPE(&d) != 2)
        cpu_raise_err(c, o, VEC_GP, sel & ~3u);
    if (!DESC_P(&d))
        cpu_raise_err(c, o, VEC_NP, sel & ~3u);
    seg_install(c, ABI_LDTR, sel, &d);
    NEXT();
}
OP(op_ltr)
{
    struct desc d;
    require_cpl0(c, o);
    uint16_t sel = selector_operand(c, o);
    if (!(sel & ~3u))
        cpu_raise_err(c, o, VEC_GP, 0);
    system_desc(c, o, sel, &d);
    if (DESC_S(&d) || (DESC_TYPE(&d) != 9 && (DESC_TYPE(&d) != 1 || cpu_long(c))))
        cpu_raise_err(c, o, VEC_GP, sel & ~3u);
    if (!DESC_P(&d))
        cpu_raise_err(c, o, VEC_NP, sel & ~3u);
    d.hi |= 0x200; /* busy */
    sys_write(c, o, d.va + 4, 4, d.hi);
    seg_install(c, ABI_TR, sel, &d);
    NEXT();
}

OP(op_mov_seg_r)
{
    seg_load(c, o, o->dst, (uint16_t)c->gpr[o->src]);
    if (o->dst == ABI_SS)
        c->s->intr_shadow = SHADOW_SS;
    return cpu_leave(c, o);
}
OP(op_mov_seg_m)
{
    seg_load(c, o, o->dst, mmu_ld16(c, o, op_ea(c, o, 2, false)));
    if (o->dst == ABI_SS)
        c->s->intr_shadow = SHADOW_SS;
    return cpu_leave(c, o);
}
OP(op_mov_r_seg)
{
    uint64_t v = c->s->seg[o->src].selector;
    if (o->aux == 16)
        WR16(o->dst, (T16)v);
    else
        c->gpr[o->dst] = v;
    NEXT();
}
OP(op_mov_m_seg)
{
    mmu_st16(c, o, op_ea(c, o, 2, true), c->s->seg[o->src].selector);
    NEXT();
}
/* LDS LES LFS LGS LSS: dst = register, src = segment */
OP(op_lxs)
{
    unsigned n = o->aux / 8;
    uint64_t ea = op_ea(c, o, n + 2, false), v = mem_load(c, o, ea, n);
    uint16_t sel = mmu_ld16(c, o, ea + n);
    seg_load(c, o, o->src, sel);
    if (n == 2)
        WR16(o->dst, (T16)v);
    else
        c->gpr[o->dst] = n == 4 ? (T32)v : v;
    return cpu_leave(c, o);
}
