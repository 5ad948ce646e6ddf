/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Guest memory: the linear address, the inline look into the soft TLB, and the code behind a miss. The look
 * changes no flags: index by PEXT, tag by RORX and a 16-bit load, comparison by LEA and JRCXZ.
 * Must never let an access happen that was not checked for its page, its size and its direction.
 */
#include "vmm/translator/gen.h"

#include "ipc/abi/vcpu-state.h"

const int8_t gen_host[16] = {H_RAX, H_R8, H_RDX, H_RBX, H_R11, H_RBP, H_RSI, H_RDI,
                             -1, -1, -1, -1, H_R12, H_R13, H_R14, H_R15};

static void constant_address(struct gen *t, const struct gea *ea, unsigned d)
{
    int64_t disp = ea->disp;
    if (!ea->rip) {
        emit_imm(&t->e, d, ea->a32 ? (uint32_t)disp : (uint64_t)disp);
        return;
    }
    emit_load(&t->e, d, GS(pgbase));
    for (; disp != (int32_t)disp; disp -= INT32_MAX)
        emit_lea(&t->e, d, (int)d, -1, 1, INT32_MAX);
    emit_lea(&t->e, d, (int)d, -1, 1, (int32_t)disp);
    if (ea->a32)
        emit_mov32(&t->e, d, d);
}
void gen_address(struct gen *t, const struct gea *ea, unsigned d, unsigned tmp)
{
    if (ea->base < 0 && ea->index < 0) {
        constant_address(t, ea, d);
    } else {
        int base = ea->base < 0 ? -1 : (int)gen_read(t, (unsigned)ea->base, d);
        int index = ea->index < 0 ? -1 : (int)gen_read(t, (unsigned)ea->index, tmp);
        if (ea->a32)
            emit_lea32(&t->e, d, base, index, ea->scale, (int32_t)ea->disp);
        else
            emit_lea(&t->e, d, base, index, ea->scale, (int32_t)ea->disp);
    }
    if (ea->seg >= 0) {
        emit_load(&t->e, tmp, rm_gs(AT(segbase) + (size_t)ea->seg * 8));
        emit_lea(&t->e, d, (int)d, (int)tmp, 1, 0);
    }
}

static bool pinned(int reg)
{
    return reg < 0 || gen_host[reg] >= 0;
}
/* Base and index are in host registers, and nothing else is added but a displacement. */
static bool direct(const struct gea *ea)
{
    return !ea->a32 && !ea->rip && ea->seg < 0 && ea->base >= 0 && pinned(ea->base) && pinned(ea->index);
}
static bool fits(int64_t v)
{
    return v == (int32_t)v;
}
static void add_here(struct gen *t, struct cold c)
{
    c.insn = (uint8_t)t->at;
    if (t->colds == COLD_MAX) {
        t->e.full = true;
        return;
    }
    t->cold[t->colds++] = c;
}
void gen_cold(struct gen *t, enum cold_kind kind, uint32_t from, uint32_t word)
{
    add_here(t, (struct cold){.kind = (uint8_t)kind, .from = from, .word = word});
}

/* r10 = index of the TLB entry, rcx = 0 if it matches; otherwise away. r9 is clobbered. */
static void look(struct gen *t, const struct gea *ea, unsigned size, bool write)
{
    struct emit *e = &t->e;
    uint32_t retry = e->n;
    bool plain = direct(ea) && ea->index < 0 && fits(ea->disp + size);
    unsigned va = H_R9, base = plain ? (unsigned)gen_host[ea->base] : H_R9;
    if (plain && !ea->disp)
        va = base;
    else
        gen_address(t, ea, H_R9, H_R10);
    emit_pext(e, H_R10, va, GS(tlb_mask));
    if (size > 1) {
        emit_lea(e, H_RCX, (int)base, -1, 1, (int32_t)(size - 1 + (plain ? (uint32_t)ea->disp : 0)));
        emit_rorx(e, H_RCX, H_RCX, 60);
    } else {
        emit_rorx(e, H_RCX, va, 60);
    }
    emit_op(e, &(struct enc){.op = 0x8b, .p66 = 1}, H_RCX, GS(ctx)); /* mov cx, ctx */
    emit_load(e, H_R9, rm_gsx(write ? AT(wtag) : AT(rtag), H_R10));
    emit_lea(e, H_RCX, H_RCX, H_R9, 1, 0);
    uint32_t hit = emit_jrcxz(e), miss = emit_jmp(e);
    emit_here8(e, hit);
    add_here(t, (struct cold){.kind = COLD_MISS, .from = miss, .retry = retry, .ea = *ea,
                              .word = size | (write ? ABI_XL_MISS_WRITE : 0)});
}
struct rm gen_access(struct gen *t, const struct gea *ea, unsigned size, bool write)
{
    struct emit *e = &t->e;
    look(t, ea, size, write);
    emit_load(e, H_R9, rm_gsx(AT(addend), H_R10));
    if (direct(ea) && ea->index < 0)
        return rm_mem(gen_host[ea->base], H_R9, 1, (int32_t)ea->disp);
    if (direct(ea)) {
        emit_lea(e, H_R9, H_R9, gen_host[ea->base], 1, 0);
        return rm_mem(H_R9, gen_host[ea->index], ea->scale, (int32_t)ea->disp);
    }
    gen_address(t, ea, H_RCX, H_R10);
    emit_lea(e, H_R9, H_R9, H_RCX, 1, 0);
    return rm_mem(H_R9, -1, 1, 0);
}

void gen_fault_here(struct gen *t)
{
    struct abi_xl_out *o = t->out;
    if (o->faults == ABI_XL_FAULT_MAX) {
        t->e.full = true;
        return;
    }
    t->fault_insn[o->faults] = (uint8_t)t->at;
    o->fault[o->faults++] = (struct abi_xl_fault){.host = t->e.n};
}

/* The way out before an instruction. */
static uint32_t pad_of(struct gen *t, unsigned insn, enum abi_xl_why why)
{
    if (!t->pad[insn]) {
        t->pad[insn] = t->e.n;
        gen_leave_at(t, t->g[insn].off, why);
    }
    return t->pad[insn];
}
static void cold_emit(struct gen *t, const struct cold *c)
{
    struct emit *e = &t->e;
    emit_here(e, c->from);
    if (c->kind == COLD_POLL) {
        emit_imm32(e, H_RCX, c->word);
        emit_jmp_rm(e, GS_STUB(ABI_XL_POLL));
        return;
    }
    if (c->kind == COLD_LEAVE) {
        gen_leave_at(t, t->g[c->insn].off, (enum abi_xl_why)c->word);
        return;
    }
    gen_address(t, &c->ea, H_R9, H_RCX);
    emit_imm32(e, H_RCX, c->word);
    emit_call_rm(e, GS_STUB(ABI_XL_MISS));
    uint32_t again = emit_jrcxz(e), out = emit_jmp(e);
    emit_here8(e, again);
    emit_to(e, emit_jmp(e), c->retry);
    if (t->pad[c->insn])
        emit_to(e, out, t->pad[c->insn]);
    else
        emit_here(e, out);
    pad_of(t, c->insn, ABI_XL_WHY_MEMORY);
}
void gen_colds_emit(struct gen *t)
{
    for (unsigned k = 0; k < t->colds; k++)
        cold_emit(t, &t->cold[k]);
    for (unsigned k = 0; k < t->out->faults; k++)
        t->out->fault[k].resume = pad_of(t, t->fault_insn[k], ABI_XL_WHY_FAULT);
}
