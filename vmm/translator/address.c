/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Guest memory: the linear address, the inline look into the soft TLB, and the code behind a miss. The look
 * changes no flags: index by PEXT, tag by RORX and a 16-bit load, comparison by LEA and JRCXZ.
 * Must never let an access happen that was not checked for its page, its size and its direction.
 */
#include "vmm/translator/gen.h"

#include "ipc/abi/vcpu-state.h"

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

static bool pinned(const struct gen *t, int reg)
{
    return reg < 0 || gen_host(t, reg) >= 0;
}
static bool fits(int64_t v)
{
    return v == (int32_t)v;
}
/* Base and index are in host registers, and nothing else is added but a displacement. */
static bool direct(const struct gen *t, const struct gea *ea)
{
    return !ea->a32 && !ea->rip && ea->seg < 0 && pinned(t, ea->base) && pinned(t, ea->index) && fits(ea->disp);
}
/* A word of the frame and a displacement. */
static bool framed(const struct gea *ea)
{
    return !ea->a32 && ea->base < 0 && ea->index < 0 && ea->rip != (ea->seg >= 0) && fits(ea->disp);
}
static void cold_add(struct gen *t, struct cold c)
{
    c.insn = (uint8_t)t->at;
    c.twin = t->twin;
    c.off = t->here;
    if (t->colds == COLD_MAX) {
        t->e.full = true;
        return;
    }
    t->cold[t->colds++] = c;
}
void gen_cold(struct gen *t, enum cold_kind kind, uint32_t from, uint32_t word)
{
    cold_add(t, (struct cold){.kind = (uint8_t)kind, .from = from, .word = word});
}
bool gen_flags_free(const struct gen *t)
{
    return t->at < t->n && t->plan.recipe[t->at] != PLAN_EXACT;
}

/* rcx = address; then it has to be inside the window. Flags may be clobbered. */
static void compare(struct gen *t, unsigned window, unsigned size, struct cold c)
{
    struct emit *e = &t->e;
    int32_t last = (int32_t)(4096 - size);
    emit_op(e, &(struct enc){.op = 0x03, .w = 1}, H_RCX, rm_gs(AT(wnpage) + window * 8)); /* add */
    emit_op(e, &(struct enc){.op = 0x81, .w = 1, .imm = (const uint8_t *)&last, .imm_len = 4}, 7, rm_reg(H_RCX));
    c.from = emit_jcc(e, 7); /* above */
    cold_add(t, c);
}
/* rcx = distance from the window's page: first and last byte have to be inside it. No flags. */
static void compare_quietly(struct gen *t, unsigned size, struct cold c)
{
    struct emit *e = &t->e;
    if (size > 1)
        emit_lea(e, H_R9, H_RCX, -1, 1, (int32_t)size - 1);
    emit_pext(e, H_RCX, H_RCX, GS(page_mask));
    if (size > 1) {
        emit_pext(e, H_R9, H_R9, GS(page_mask));
        emit_lea(e, H_RCX, H_RCX, H_R9, 1, 0);
    }
    uint32_t hit = emit_jrcxz(e);
    c.from = emit_jmp(e);
    emit_here8(e, hit);
    cold_add(t, c);
}
/* Of an address that is neither, its value is in r10 after the check, if r10 is free. */
static bool in_r10(const struct gen *t, const struct gea *ea)
{
    return !direct(t, ea) && !framed(ea) && t->cached < 0;
}
static void check(struct gen *t, const struct gea *ea, unsigned size, unsigned window, uint32_t word, bool to_twin)
{
    struct emit *e = &t->e;
    struct cold c = {.kind = COLD_MISS, .retry = e->n, .ea = *ea, .word = word | size | window << 24, .to_twin = to_twin};
    bool quiet = !gen_flags_free(t);
    if (in_r10(t, ea)) {
        gen_address(t, ea, H_R10, H_R9);
        emit_mov(e, H_RCX, H_R10);
    } else if (!quiet || !direct(t, ea) || ea->base < 0 || ea->index >= 0) {
        gen_address(t, ea, H_RCX, H_R9);
    } else {
        emit_load(e, H_R9, rm_gs(AT(wnpage) + window * 8));
        emit_lea(e, H_RCX, gen_host(t, ea->base), H_R9, 1, (int32_t)ea->disp);
        compare_quietly(t, size, c);
        return;
    }
    if (quiet) {
        emit_load(e, H_R9, rm_gs(AT(wnpage) + window * 8));
        emit_lea(e, H_RCX, H_RCX, H_R9, 1, 0);
        compare_quietly(t, size, c);
    } else {
        compare(t, window, size, c);
    }
}
/* The look into the TLB itself: r9 = addend. Of addresses that are base and displacement. */
static void look(struct gen *t, const struct gea *ea, unsigned size, bool write)
{
    struct emit *e = &t->e;
    struct cold c = {.kind = COLD_MISS, .retry = e->n, .ea = *ea, .word = size | (write ? ABI_XL_MISS_WRITE : 0), .looked = true};
    unsigned base = (unsigned)gen_host(t, ea->base), va = ea->disp ? H_R9 : base;
    bool quiet = !gen_flags_free(t);
    size_t tags = write ? AT(wtag) : AT(rtag);
    if (size > 1)
        emit_lea(e, H_RCX, (int)base, -1, 1, (int32_t)(ea->disp + (int64_t)size - 1));
    if (ea->disp)
        emit_lea(e, H_R9, (int)base, -1, 1, (int32_t)ea->disp);
    emit_rorx(e, H_RCX, size > 1 ? H_RCX : va, 60);
    emit_pext(e, H_R9, va, GS(tlb_mask));
    emit_op(e, &(struct enc){.op = 0x8b, .p66 = 1}, H_RCX, GS(ctx)); /* mov cx, ctx */
    if (quiet) {
        emit_load(e, H_R10, rm_gsx(tags, H_R9));
        emit_lea(e, H_RCX, H_RCX, H_R10, 1, 0);
        uint32_t hit = emit_jrcxz(e);
        c.from = emit_jmp(e);
        emit_here8(e, hit);
    } else {
        emit_op(e, &(struct enc){.op = 0x03, .w = 1}, H_RCX, rm_gsx(tags, H_R9)); /* add */
        c.from = emit_jcc(e, 5);
    }
    cold_add(t, c);
    emit_load(e, H_R9, rm_gsx(AT(addend), H_R9));
}
static bool looks(const struct gen *t, const struct access *a)
{
    return a->chased && !a->shared && direct(t, &a->ea) && fits(a->ea.disp + a->size) &&
           (gen_flags_free(t) || t->cached < 0);
}
static void check_group(struct gen *t, const struct access *a)
{
    struct gea ea = a->ea;
    ea.disp += a->lo - a->off;
    check(t, &ea, (unsigned)(a->hi - a->lo), a->window,
          a->group_write ? ABI_XL_MISS_WRITE | (a->shared ? ABI_XL_MISS_AHEAD : 0) : 0, a->shared);
    t->twin_wanted |= a->shared;
}
/* The operand, when the check is over. */
static struct rm operand(struct gen *t, const struct gea *ea, unsigned window, bool in_r10_already)
{
    struct emit *e = &t->e;
    struct rm addend = rm_gs(AT(waddend) + window * 8);
    if (direct(t, ea)) {
        emit_load(e, H_R9, addend);
        if (ea->base < 0)
            return rm_mem(H_R9, gen_host(t, ea->index), ea->scale, (int32_t)ea->disp);
        if (ea->index < 0)
            return rm_mem(gen_host(t, ea->base), H_R9, 1, (int32_t)ea->disp);
        emit_lea(e, H_R9, H_R9, gen_host(t, ea->base), 1, 0);
        return rm_mem(H_R9, gen_host(t, ea->index), ea->scale, (int32_t)ea->disp);
    }
    if (framed(ea)) {
        emit_load(e, H_RCX, ea->rip ? GS(pgbase) : rm_gs(AT(segbase) + (size_t)ea->seg * 8));
        emit_load(e, H_R9, addend);
        emit_lea(e, H_R9, H_R9, H_RCX, 1, 0);
        return rm_mem(H_R9, -1, 1, (int32_t)ea->disp);
    }
    unsigned va = t->cached >= 0 ? H_RCX : H_R10;
    if (!in_r10_already)
        gen_address(t, ea, va, H_R9);
    emit_load(e, H_R9, addend);
    emit_lea(e, H_R9, H_R9, (int)va, 1, 0);
    return rm_mem(H_R9, -1, 1, 0);
}
struct rm gen_access(struct gen *t, const struct gea *ea, unsigned size, bool write)
{
    const struct access *a = plan_find(&t->plan, t->at, t->sub++), *first = a ? &t->plan.a[a->group] : NULL;
    unsigned window = first ? first->window : t->in->mode & ABI_XL_MODE_USER ? 2u : ABI_XL_WINDOWS / 2 + 2u;
    if (!first || t->twin) {
        window = (window & ~1u) | write;
        check(t, ea, size, window, write ? ABI_XL_MISS_WRITE : 0, false);
        return operand(t, ea, window, in_r10(t, ea));
    }
    if (a == first && looks(t, a)) {
        look(t, ea, size, write);
        return rm_mem(gen_host(t, ea->base), H_R9, 1, (int32_t)ea->disp);
    }
    if (a == first)
        check_group(t, first);
    return operand(t, ea, window, a == first && first->lo == first->off && in_r10(t, ea));
}

void gen_fault_here(struct gen *t)
{
    struct abi_xl_out *o = t->out;
    if (o->faults == ABI_XL_FAULT_MAX) {
        t->e.full = true;
        return;
    }
    t->fault_insn[o->faults] = (uint8_t)t->at;
    t->fault_twin[o->faults] = t->twin;
    o->fault[o->faults++] = (struct abi_xl_fault){.host = t->e.n};
}

/* ---- behind the block ---- */

/* The way out before an instruction, with the flags it has to have. */
static uint32_t pad_of(struct gen *t, unsigned insn, enum abi_xl_why why)
{
    uint32_t *pad = &t->pad[insn];
    if (!*pad) {
        *pad = t->e.n;
        gen_flags_make(t, insn);
        gen_leave_at(t, t->g[insn].off, why);
    }
    return *pad;
}
/* Routine of the block: r9 = address, ecx = word. Fills the window from the soft TLB and returns rcx = 0, or goes
 * on as the MISS stub, which returns to the same place. Keeps r10 and flags. */
static uint32_t refill_of(struct gen *t, bool write)
{
    struct emit *e = &t->e;
    if (t->refill[write])
        return t->refill[write];
    t->refill[write] = e->n;
    emit_store(e, GS(scratch[5]), H_R10);
    emit_store(e, GS(scratch[6]), H_RCX);
    emit_store(e, GS(scratch[7]), H_R9);
    emit_op(e, &(struct enc){.map = 1, .op = 0xb7}, H_R10, rm_reg(H_RCX)); /* movzx r10d, cx */
    emit_lea(e, H_R10, H_R10, H_R9, 1, -1);
    emit_rorx(e, H_RCX, H_R10, 60);
    emit_op(e, &(struct enc){.op = 0x8b, .p66 = 1}, H_RCX, GS(ctx)); /* mov cx, ctx */
    emit_pext(e, H_R10, H_R9, GS(tlb_mask));
    emit_load(e, H_R9, rm_gsx(write ? AT(wtag) : AT(rtag), H_R10));
    emit_lea(e, H_RCX, H_RCX, H_R9, 1, 0);
    uint32_t hit = emit_jrcxz(e);
    emit_load(e, H_R9, GS(scratch[7]));
    emit_load(e, H_RCX, GS(scratch[6]));
    emit_load(e, H_R10, GS(scratch[5]));
    emit_jmp_rm(e, GS_STUB(ABI_XL_MISS));
    emit_here8(e, hit);
    emit_load(e, H_R10, rm_gsx(AT(addend), H_R10));
    emit_op(e, &(struct enc){.map = 1, .op = 0xb6}, H_RCX, rm_gs(AT(scratch[6]) + 3)); /* movzx ecx, window */
    emit_store(e, rm_gsx(AT(waddend), H_RCX), H_R10);
    emit_load(e, H_R9, GS(scratch[7]));
    emit_pext(e, H_R9, H_R9, GS(page_mask));
    emit_op(e, &(struct enc){.vex = true, .map = 2, .op = 0xf5, .w = 1, .pp = 3, .vvvv = H_R9}, H_R9, GS(page_mask)); /* pdep */
    emit_op(e, &(struct enc){.op = 0xf7, .w = 1}, 2, rm_reg(H_R9)); /* not */
    emit_lea(e, H_R9, H_R9, -1, 1, 1);
    emit_store(e, rm_gsx(AT(wnpage), H_RCX), H_R9);
    emit_load(e, H_R10, GS(scratch[5]));
    emit_imm32(e, H_RCX, 0);
    emit_8(e, 0xc3);
    return t->refill[write];
}
static void miss_emit(struct gen *t, const struct cold *c)
{
    struct emit *e = &t->e;
    uint32_t routine = c->looked ? 0 : refill_of(t, c->word & ABI_XL_MISS_WRITE); /* nothing falls through to there */
    emit_here(e, c->from);
    gen_address(t, &c->ea, H_R9, H_RCX);
    emit_imm32(e, H_RCX, c->word);
    if (c->looked) {
        emit_call_rm(e, GS_STUB(ABI_XL_MISS));
    } else {
        emit_8(e, 0xe8); /* call */
        emit_32(e, routine - (e->n + 4));
    }
    uint32_t again = emit_jrcxz(e), out = emit_jmp(e);
    emit_here8(e, again);
    emit_to(e, emit_jmp(e), c->retry);
    if (c->to_twin) {
        emit_to(e, out, t->twin_entry[c->insn]);
        return;
    }
    uint32_t pad = t->pad[c->insn] ? t->pad[c->insn] : e->n;
    emit_to(e, out, pad);
    pad_of(t, c->insn, ABI_XL_WHY_MEMORY);
}
static void cold_emit(struct gen *t, const struct cold *c)
{
    struct emit *e = &t->e;
    t->at = c->insn;
    t->here = c->off;
    t->twin = c->twin;
    switch (c->kind) {
    case COLD_POLL:
        emit_here(e, c->from);
        gen_flags_make(t, c->insn);
        emit_imm32(e, H_RCX, c->off);
        emit_jmp_rm(e, GS_STUB(ABI_XL_POLL));
        break;
    case COLD_LEAVE:
        emit_here(e, c->from);
        gen_leave_at(t, c->off, (enum abi_xl_why)c->word);
        break;
    case COLD_JUMP: case COLD_JUMP_KEY: case COLD_CALL: case COLD_CALL_KEY:
        gen_jump_emit(t, c);
        break;
    case COLD_OUT:
        emit_here(e, c->from);
        if (t->pad[c->insn])
            emit_to(e, emit_jmp(e), t->pad[c->insn]);
        else
            pad_of(t, c->insn, (enum abi_xl_why)c->word);
        break;
    default:
        miss_emit(t, c);
        break;
    }
}
void gen_colds_emit(struct gen *t)
{
    for (unsigned k = 0; k < t->colds; k++) { /* some add others */
        struct cold c = t->cold[k];
        cold_emit(t, &c);
    }
    for (unsigned k = 0; k < t->out->faults; k++)
        t->out->fault[k].resume = pad_of(t, t->fault_insn[k], ABI_XL_WHY_FAULT);
}
