/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Far control transfer: JMP, CALL and RET to other code segments, call gates, IRET to every mode,
 * and the fast system calls. Owns changes of CPL that are no events.
 */
#include "cpu-worker/chipset/chipset.h"
#include "cpu-worker/interp/handlers.h"
#include "cpu-worker/interp/segment.h"
#include "cpu-worker/interp/stack.h"
#include "cpu-worker/run/run.h"

#define RF_TF 0x100ull
#define RF_IF 0x200ull
#define RF_IOPL 0x3000ull
#define RF_NT 0x4000ull
#define RF_RF 0x10000ull
#define RF_VM 0x20000ull
#define EFER_SCE 1u

static void far_done(struct cpu *c)
{
    cs_changed(c);
    if ((c->eflags & RF_IF) && chipset_intr_pending(c->chipset, c->index))
        c->exit_request = 1;
}
static void check_target(struct cpu *c, const struct op *o, const struct desc *d, uint64_t ip)
{
    if (cpu_long(c) && DESC_L(d)) {
        if (!cpu_canonical(ip))
            cpu_raise_err(c, o, VEC_GP, 0);
        return;
    }
    if ((uint32_t)ip > desc_limit(d))
        cpu_raise_err(c, o, VEC_GP, 0);
}
/* A code segment reached by JMP or CALL without a gate. */
static void direct_cs(struct cpu *c, const struct op *o, uint16_t sel, const struct desc *d)
{
    unsigned type = DESC_TYPE(d), dpl = DESC_DPL(d);
    bool ok = type & 4 ? dpl <= c->cpl : (sel & 3) <= c->cpl && dpl == c->cpl;
    if (!ok || (cpu_long(c) && DESC_L(d) && DESC_DB(d)))
        cpu_raise_err(c, o, VEC_GP, sel & ~3u);
    if (!DESC_P(d))
        cpu_raise_err(c, o, VEC_NP, sel & ~3u);
}

struct far_target {
    uint16_t sel;
    uint64_t ip;
};
static void push_far_return(struct cpu *c, const struct op *o, unsigned n)
{
    uint64_t sp = stk_push_at(c, o, c->gpr[REG_RSP], n, c->s->seg[ABI_CS].selector);
    sp = stk_push_at(c, o, sp, n, c->gpr[REG_BLOCK] + o->next_off);
    stk_set(c, sp);
}

/* Call gates: same privilege, or inner with a stack from the TSS (64-bit gates in IA-32e mode). */
static void call_gate(struct cpu *c, const struct op *o, uint16_t gsel, struct desc *g, bool call)
{
    unsigned type = DESC_TYPE(g), dpl = DESC_DPL(g);
    if (dpl < c->cpl || dpl < (gsel & 3u) || !(type == 12 || (type == 4 && !cpu_long(c))))
        cpu_raise_err(c, o, VEC_GP, gsel & ~3u);
    if (!DESC_P(g))
        cpu_raise_err(c, o, VEC_NP, gsel & ~3u);
    uint16_t sel = (uint16_t)(g->lo >> 16);
    uint64_t ip = (g->lo & 0xffff) | (type == 12 ? g->hi & 0xffff0000u : 0);
    struct desc d;
    if (cpu_long(c))
        ip |= sys_read(c, o, g->va + 8, 4) << 32;
    if (!(sel & ~3u) || !desc_read(c, o, sel, &d) || !DESC_S(&d) || !(DESC_TYPE(&d) & 8) ||
        DESC_DPL(&d) > c->cpl || (cpu_long(c) && (!DESC_L(&d) || DESC_DB(&d))))
        cpu_raise_err(c, o, VEC_GP, sel & ~3u);
    if (!DESC_P(&d))
        cpu_raise_err(c, o, VEC_NP, sel & ~3u);
    unsigned n = cpu_long(c) ? 8 : type == 12 ? 4 : 2;
    bool inner = call && !(DESC_TYPE(&d) & 4) && DESC_DPL(&d) < c->cpl;
    if (inner)
        cpu_unsupported(c, o, "call gate to an inner privilege level");
    if (!call && !(DESC_TYPE(&d) & 4) && DESC_DPL(&d) != c->cpl)
        cpu_raise_err(c, o, VEC_GP, sel & ~3u);
    check_target(c, o, &d, ip);
    if (call)
        push_far_return(c, o, n);
    desc_set_accessed(c, o, &d);
    seg_install(c, ABI_CS, (uint16_t)((sel & ~3u) | c->cpl), &d);
    c->rip = ip;
}

static const struct op *far_transfer(struct cpu *c, const struct op *o, struct far_target t, bool call)
{
    struct desc d;
    if (!(c->mode & MODE_PE)) {
        if (t.ip > c->s->seg[ABI_CS].limit)
            cpu_raise_err(c, o, VEC_GP, 0);
        if (call)
            push_far_return(c, o, o->aux / 8);
        seg_install_real(c, ABI_CS, t.sel);
        c->rip = t.ip;
        far_done(c);
        return NULL;
    }
    if (!(t.sel & ~3u) || !desc_read(c, o, t.sel, &d))
        cpu_raise_err(c, o, VEC_GP, t.sel & ~3u);
    if (DESC_S(&d) && (DESC_TYPE(&d) & 8)) {
        direct_cs(c, o, t.sel, &d);
        check_target(c, o, &d, t.ip);
        if (call)
            push_far_return(c, o, o->aux / 8);
        desc_set_accessed(c, o, &d);
        seg_install(c, ABI_CS, (uint16_t)((t.sel & ~3u) | c->cpl), &d);
        c->rip = t.ip;
    } else if (!DESC_S(&d) && (DESC_TYPE(&d) == 12 || DESC_TYPE(&d) == 4)) {
        call_gate(c, o, t.sel, &d, call);
    } else if (!DESC_S(&d) && (DESC_TYPE(&d) == 5 || (DESC_TYPE(&d) & ~2u) == 9 ||
                               (DESC_TYPE(&d) & ~2u) == 1) && !cpu_long(c)) {
        cpu_unsupported(c, o, "hardware task switch");
    } else {
        cpu_raise_err(c, o, VEC_GP, t.sel & ~3u);
    }
    far_done(c);
    return NULL;
}
static struct far_target far_pointer(const struct op *o)
{ /* imm = selector << 48 is too narrow for 32-bit offsets in one word: selector in aux2 */
    return (struct far_target){(uint16_t)o->aux2, o->imm};
}
static struct far_target far_memory(struct cpu *c, const struct op *o)
{
    unsigned n = o->aux / 8;
    uint64_t ea = op_ea(c, o, n + 2, false), ip = mem_load(c, o, ea, n);
    return (struct far_target){mmu_ld16(c, o, ea + n), ip};
}
OP(op_jmp_far_p)
{
    return far_transfer(c, o, far_pointer(o), false);
}
OP(op_jmp_far_m)
{
    return far_transfer(c, o, far_memory(c, o), false);
}
OP(op_call_far_p)
{
    return far_transfer(c, o, far_pointer(o), true);
}
OP(op_call_far_m)
{
    return far_transfer(c, o, far_memory(c, o), true);
}

/* Data segments that the outer level may not keep are nulled (RET and IRET to an outer level). */
static void drop_inner_data(struct cpu *c)
{
    static const uint8_t segs[] = {ABI_ES, ABI_DS, ABI_FS, ABI_GS};
    for (unsigned i = 0; i < 4; i++) {
        struct abi_segment *s = &c->s->seg[segs[i]];
        bool conforming = (s->attr & 0x1c) == 0x1c;
        if (!(s->attr & ABI_SEG_UNUSABLE) && !conforming && ((s->attr >> 5) & 3) < c->cpl)
            seg_install_null(c, segs[i], 0);
    }
}
/* The code segment a return goes to: RPL is the new CPL. */
static void return_cs(struct cpu *c, const struct op *o, uint16_t sel, struct desc *d)
{
    unsigned rpl = sel & 3;
    if (!(sel & ~3u))
        cpu_raise_err(c, o, VEC_GP, 0);
    if (!desc_read(c, o, sel, d) || !DESC_S(d) || !(DESC_TYPE(d) & 8) || rpl < c->cpl ||
        (DESC_TYPE(d) & 4 ? DESC_DPL(d) > rpl : DESC_DPL(d) != rpl))
        cpu_raise_err(c, o, VEC_GP, sel & ~3u);
    if (!DESC_P(d))
        cpu_raise_err(c, o, VEC_NP, sel & ~3u);
}
static void return_ss(struct cpu *c, const struct op *o, uint16_t sel, unsigned rpl, bool to64,
                      struct desc *d, bool *null)
{
    *null = !(sel & ~3u);
    if (*null) {
        if (!to64 || rpl == 3 || (sel & 3) != rpl)
            cpu_raise_err(c, o, VEC_GP, 0);
        return;
    }
    if (!desc_read(c, o, sel, d) || (sel & 3u) != rpl || DESC_DPL(d) != rpl || !DESC_S(d) ||
        (DESC_TYPE(d) & 0xa) != 2)
        cpu_raise_err(c, o, VEC_GP, sel & ~3u);
    if (!DESC_P(d))
        cpu_raise_err(c, o, VEC_SS, sel & ~3u);
}

struct ret_frame {
    uint64_t ip, sp;
    uint16_t cs, ss;
    bool outer;
};
/* Commit a checked return to CS:ip, and to SS:sp when the level or (IRETQ) the frame says so. */
static void return_commit(struct cpu *c, const struct op *o, const struct ret_frame *f, struct desc *cs,
                          uint64_t sp_inner)
{
    struct desc ss;
    bool null = false, to64 = cpu_long(c) && DESC_L(cs);
    unsigned rpl = f->cs & 3;
    if (f->outer)
        return_ss(c, o, f->ss, rpl, to64, &ss, &null);
    check_target(c, o, cs, f->ip);
    desc_set_accessed(c, o, cs);
    if (f->outer && !null)
        desc_set_accessed(c, o, &ss);
    bool lower = rpl > c->cpl;
    if (!f->outer)
        stk_set(c, sp_inner);
    cpl_set(c, rpl);
    seg_install(c, ABI_CS, f->cs, cs);
    c->rip = to64 ? f->ip : (uint32_t)f->ip;
    if (f->outer) {
        if (null)
            seg_install_null(c, ABI_SS, f->ss);
        else
            seg_install(c, ABI_SS, f->ss, &ss);
        cpu_mode_update(c);
        stk_set(c, f->sp);
    }
    if (lower)
        drop_inner_data(c);
}

static const struct op *ret_far(struct cpu *c, const struct op *o, unsigned extra)
{
    unsigned n = o->aux / 8;
    uint64_t sp = c->gpr[REG_RSP];
    struct ret_frame f = {.ip = stk_load_at(c, o, sp, n), .cs = (uint16_t)stk_load_at(c, o, sp + n, n)};
    struct desc d;
    if (!(c->mode & MODE_PE)) {
        if (f.ip > c->s->seg[ABI_CS].limit)
            cpu_raise_err(c, o, VEC_GP, 0);
        stk_set(c, sp + 2 * n + extra);
        seg_install_real(c, ABI_CS, f.cs);
        c->rip = f.ip;
        far_done(c);
        return NULL;
    }
    return_cs(c, o, f.cs, &d);
    f.outer = (f.cs & 3u) > c->cpl;
    if (f.outer) {
        f.sp = stk_load_at(c, o, sp + 2 * n + extra, n) + extra;
        f.ss = (uint16_t)stk_load_at(c, o, sp + 3 * n + extra, n);
    }
    return_commit(c, o, &f, &d, sp + 2 * n + extra);
    far_done(c);
    return NULL;
}
OP(op_ret_far)
{
    return ret_far(c, o, 0);
}
OP(op_ret_far_imm)
{
    return ret_far(c, o, (uint16_t)o->imm);
}

/* Which flags IRET may change at this CPL. */
static void iret_flags(struct cpu *c, uint64_t v, unsigned bits, unsigned cpl)
{
    uint64_t mask = 0x254dd5, now = cpu_rflags(c); /* arithmetic, TF DF NT RF AC ID */
    if (cpl == 0)
        mask |= RF_IOPL | RF_IF | 0x180000;
    else if (cpl <= ((now >> 12) & 3))
        mask |= RF_IF;
    if (bits == 16)
        mask &= 0xffff;
    cpu_set_rflags(c, (now & ~mask) | (v & mask));
}
static const struct op *iret_real(struct cpu *c, const struct op *o)
{
    unsigned n = o->aux / 8;
    uint64_t sp = c->gpr[REG_RSP], ip = stk_load_at(c, o, sp, n), cs = stk_load_at(c, o, sp + n, n);
    uint64_t fl = stk_load_at(c, o, sp + 2 * n, n);
    if ((c->mode & MODE_VM86) && (c->eflags & RF_IOPL) != RF_IOPL)
        cpu_raise_err(c, o, VEC_GP, 0);
    if (ip > c->s->seg[ABI_CS].limit)
        cpu_raise_err(c, o, VEC_GP, 0);
    stk_set(c, sp + 3 * n);
    seg_install_real(c, ABI_CS, (uint16_t)cs);
    uint64_t keep = c->mode & MODE_VM86 ? RF_IOPL | RF_VM | 0x180000 : RF_VM | 0x180000, now = cpu_rflags(c);
    if (n == 2)
        keep |= ~0xffffull;
    cpu_set_rflags(c, (now & keep) | (fl & ~keep));
    c->rip = ip;
    return NULL;
}
/* From protected mode at CPL 0 into VM86. */
static void iret_vm86(struct cpu *c, const struct op *o, uint64_t sp, uint64_t ip, uint16_t cs, uint64_t fl)
{
    uint16_t sel[6];
    uint32_t esp = (uint32_t)stk_load_at(c, o, sp + 12, 4);
    static const uint8_t order[] = {ABI_SS, ABI_ES, ABI_DS, ABI_FS, ABI_GS};
    for (unsigned i = 0; i < 5; i++)
        sel[i] = (uint16_t)stk_load_at(c, o, sp + 16 + 4 * i, 4);
    cpu_set_rflags(c, fl);
    c->eflags |= RF_VM;
    cpl_set(c, 3);
    for (unsigned i = 0; i < 5; i++)
        seg_install_real(c, order[i], sel[i]);
    seg_install_real(c, ABI_CS, cs);
    c->gpr[REG_RSP] = esp;
    c->rip = (uint16_t)ip;
}
OP(op_iret)
{
    unsigned n = o->aux / 8, was = c->cpl;
    uint64_t sp = c->gpr[REG_RSP];
    struct desc d;
    c->s->nmi_blocked = 0;
    if (!(c->mode & MODE_PE)) {
        iret_real(c, o);
        far_done(c);
        return NULL;
    }
    if (c->eflags & RF_NT) {
        if (cpu_long(c))
            cpu_raise_err(c, o, VEC_GP, 0);
        cpu_unsupported(c, o, "IRET with NT set (hardware task switch)");
    }
    struct ret_frame f = {.ip = stk_load_at(c, o, sp, n), .cs = (uint16_t)stk_load_at(c, o, sp + n, n)};
    uint64_t fl = stk_load_at(c, o, sp + 2 * n, n);
    if ((fl & RF_VM) && c->cpl == 0 && n == 4 && !cpu_long(c)) {
        iret_vm86(c, o, sp, f.ip, f.cs, fl);
        far_done(c);
        return NULL;
    }
    return_cs(c, o, f.cs, &d);
    f.outer = (f.cs & 3u) > c->cpl || (c->mode & MODE_64);
    if (f.outer) {
        f.sp = stk_load_at(c, o, sp + 3 * n, n);
        f.ss = (uint16_t)stk_load_at(c, o, sp + 4 * n, n);
    }
    return_commit(c, o, &f, &d, sp + 3 * n);
    iret_flags(c, fl, o->aux, was);
    far_done(c);
    return NULL;
}

#define CS64_ATTR (ABI_SEG_G | ABI_SEG_L | ABI_SEG_P | ABI_SEG_S | 11)
#define CS32_ATTR (ABI_SEG_G | ABI_SEG_DB | ABI_SEG_P | ABI_SEG_S | 11)
#define SS_ATTR   (ABI_SEG_G | ABI_SEG_DB | ABI_SEG_P | ABI_SEG_S | 3)

OP(op_syscall)
{
    if (!(c->s->efer & EFER_SCE) || !(c->mode & MODE_64))
        cpu_raise(c, o, VEC_UD);
    uint16_t sel = (uint16_t)(c->s->star >> 32) & 0xfffcu;
    c->gpr[REG_RCX] = c->gpr[REG_BLOCK] + o->next_off;
    c->gpr[11] = cpu_rflags(c) & ~RF_RF;
    c->rip = c->s->lstar;
    cpu_set_rflags(c, cpu_rflags(c) & ~c->s->sfmask & ~RF_RF);
    c->cpl = 0;
    c->s->seg[ABI_CS] = (struct abi_segment){.selector = sel, .attr = CS64_ATTR, .limit = ~0u};
    c->s->seg[ABI_SS] = (struct abi_segment){.selector = sel + 8, .attr = SS_ATTR, .limit = ~0u};
    cs_changed(c);
    return NULL;
}
OP(op_sysret)
{
    if (!(c->s->efer & EFER_SCE) || !(c->mode & MODE_64))
        cpu_raise(c, o, VEC_UD);
    if (c->cpl)
        cpu_raise_err(c, o, VEC_GP, 0);
    bool to64 = o->aux == 64;
    uint16_t base = (uint16_t)(c->s->star >> 48);
    if (to64 && !cpu_canonical(c->gpr[REG_RCX]))
        cpu_raise_err(c, o, VEC_GP, 0);
    c->rip = to64 ? c->gpr[REG_RCX] : (uint32_t)c->gpr[REG_RCX];
    cpu_set_rflags(c, (c->gpr[11] & 0x3c7fd7) | 2);
    c->cpl = 3;
    c->s->seg[ABI_CS] = (struct abi_segment){.selector = (uint16_t)((base + (to64 ? 16 : 0)) | 3),
                                             .attr = (to64 ? CS64_ATTR : CS32_ATTR) | ABI_SEG_DPL,
                                             .limit = ~0u};
    c->s->seg[ABI_SS] = (struct abi_segment){.selector = (uint16_t)((base + 8) | 3),
                                             .attr = SS_ATTR | ABI_SEG_DPL, .limit = ~0u};
    far_done(c);
    return NULL;
}
OP(op_sysenter)
{
    uint16_t sel = (uint16_t)c->s->sysenter_cs & 0xfffcu;
    if (!(c->mode & MODE_PE) || !sel)
        cpu_raise_err(c, o, VEC_GP, 0);
    c->eflags &= ~(RF_VM | RF_IF | RF_RF);
    c->rip = cpu_long(c) ? c->s->sysenter_eip : (uint32_t)c->s->sysenter_eip;
    c->gpr[REG_RSP] = cpu_long(c) ? c->s->sysenter_esp : (uint32_t)c->s->sysenter_esp;
    c->cpl = 0;
    c->s->seg[ABI_CS] = (struct abi_segment){.selector = sel,
                                             .attr = cpu_long(c) ? CS64_ATTR : CS32_ATTR, .limit = ~0u};
    c->s->seg[ABI_SS] = (struct abi_segment){.selector = sel + 8, .attr = SS_ATTR, .limit = ~0u};
    cs_changed(c);
    return NULL;
}
OP(op_sysexit)
{
    uint16_t sel = (uint16_t)c->s->sysenter_cs & 0xfffcu;
    bool to64 = o->aux == 64;
    if (!(c->mode & MODE_PE) || c->cpl || !sel)
        cpu_raise_err(c, o, VEC_GP, 0);
    if (to64 && (!cpu_canonical(c->gpr[REG_RDX]) || !cpu_canonical(c->gpr[REG_RCX])))
        cpu_raise_err(c, o, VEC_GP, 0);
    c->rip = to64 ? c->gpr[REG_RDX] : (uint32_t)c->gpr[REG_RDX];
    c->gpr[REG_RSP] = to64 ? c->gpr[REG_RCX] : (uint32_t)c->gpr[REG_RCX];
    c->cpl = 3;
    c->s->seg[ABI_CS] = (struct abi_segment){.selector = (uint16_t)((sel + (to64 ? 32 : 16)) | 3),
                                             .attr = (to64 ? CS64_ATTR : CS32_ATTR) | ABI_SEG_DPL,
                                             .limit = ~0u};
    c->s->seg[ABI_SS] = (struct abi_segment){.selector = (uint16_t)((sel + (to64 ? 40 : 24)) | 3),
                                             .attr = SS_ATTR | ABI_SEG_DPL, .limit = ~0u};
    far_done(c);
    return NULL;
}

/* INT n, INT3, INTO, INT1 */
static const struct op *software_interrupt(struct cpu *c, const struct op *o, int vector)
{
    if ((c->mode & MODE_VM86) && (c->eflags & RF_IOPL) != RF_IOPL && vector != VEC_BP)
        cpu_raise_err(c, o, VEC_GP, 0);
    c->rip = c->gpr[REG_BLOCK] + o->next_off;
    c->soft_len = o->len;
    cpu_deliver(c, vector, true, false, 0);
    return NULL;
}
OP(op_int)
{
    return software_interrupt(c, o, (uint8_t)o->imm);
}
OP(op_int3)
{
    return software_interrupt(c, o, VEC_BP);
}
OP(op_into)
{
    if (c->fl & FL_OF)
        return software_interrupt(c, o, VEC_OF);
    return cpu_leave(c, o);
}
OP(op_int1)
{
    c->rip = c->gpr[REG_BLOCK] + o->next_off;
    cpu_deliver(c, VEC_DB, false, false, 0);
    return NULL;
}
