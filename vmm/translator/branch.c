/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ways out of a translation: branches inside the page through slots, everything else through the jump cache, and
 * the poll that every cycle of code passes. Must never make a branch that faults: then nothing is committed.
 */
#include "vmm/translator/gen.h"

static const struct gea stack_top = {.base = G_RSP, .index = -1, .scale = 1, .seg = -1};
static const struct gea stack_next = {.base = G_RSP, .index = -1, .scale = 1, .seg = -1, .disp = -8};

void gen_leave_at(struct gen *t, int64_t off, enum abi_xl_why why)
{
    emit_imm32(&t->e, H_RCX, (uint32_t)off);
    emit_imm32(&t->e, H_R10, (uint32_t)why);
    emit_jmp_rm(&t->e, GS_STUB(ABI_XL_LEAVE));
}

/* Without flags the two words are added as unsigned 32-bit numbers in 64 bits: the sum is 0 only if both are. */
void gen_poll(struct gen *t)
{
    struct emit *e = &t->e;
    emit_load(e, H_RCX, GS(cp));
    emit_load32(e, H_RCX, rm_mem(H_RCX, -1, 1, offsetof(struct abi_codepage, seq)));
    if (gen_flags_free(t)) {
        emit_op(e, &(struct enc){.op = 0x2b}, H_RCX, GS(cp_seq)); /* sub */
        emit_op(e, &(struct enc){.op = 0x0b}, H_RCX, GS(exit_request)); /* or */
        gen_cold(t, COLD_POLL, emit_jcc(e, 5), 0);
        return;
    }
    emit_load32(e, H_R9, GS(cp_nseq));
    emit_lea32(e, H_RCX, H_RCX, H_R9, 1, 0);
    emit_load32(e, H_R9, GS(exit_request));
    emit_lea(e, H_RCX, H_RCX, H_R9, 1, 0);
    uint32_t quiet = emit_jrcxz(e);
    gen_cold(t, COLD_POLL, emit_jmp(e), 0);
    emit_here8(e, quiet);
    if (t->cached2 >= 0)
        emit_load(e, H_R9, GS_GPR(t->cached2));
}
bool gen_branch_polls(const struct ginsn *g)
{
    return !g->relative || g->imm + g->len <= 0;
}

static void address_of(struct gen *t, unsigned d, int64_t off)
{
    emit_load(&t->e, d, GS(pgbase));
    emit_lea(&t->e, d, (int)d, -1, 1, (int32_t)off);
}
static void push_return(struct gen *t, const struct ginsn *g)
{
    struct rm rm = gen_access(t, &stack_next, 8, true);
    address_of(t, H_RCX, g->off + g->len);
    gen_fault_here(t);
    emit_store(&t->e, rm, H_RCX);
    emit_lea(&t->e, H_R11, H_R11, -1, 1, -8);
}
/* Behind a look that found nothing, r9 = target: the branch is made all the same and the worker finds the
 * translation, unless the target is a fault of the branch. */
void gen_jump_emit(struct gen *t, const struct cold *c)
{
    struct emit *e = &t->e;
    bool call = c->kind == COLD_CALL || c->kind == COLD_CALL_KEY;
    emit_here(e, c->from);
    if (c->kind == COLD_JUMP_KEY || c->kind == COLD_CALL_KEY) { /* r9 was lost, but it is what the entry has */
        emit_load(e, H_R9, rm_gsx(AT(jc[0].nlip), H_R10));
        emit_op(e, &(struct enc){.op = 0xf7, .w = 1}, 2, rm_reg(H_R9)); /* not */
        emit_lea(e, H_R9, H_R9, -1, 1, 1);
    }
    emit_imm32(e, H_RCX, 16); /* canonical with 48 bits: SHLX, SARX and a comparison without flags */
    emit_op(e, &(struct enc){.vex = true, .map = 2, .op = 0xf7, .w = 1, .pp = 1, .vvvv = H_RCX}, H_R10, rm_reg(H_R9));
    emit_op(e, &(struct enc){.vex = true, .map = 2, .op = 0xf7, .w = 1, .pp = 2, .vvvv = H_RCX}, H_R10, rm_reg(H_R10));
    emit_op(e, &(struct enc){.op = 0xf7, .w = 1}, 2, rm_reg(H_R10)); /* not */
    emit_lea(e, H_RCX, H_R10, H_R9, 1, 1);
    uint32_t good = emit_jrcxz(e);
    gen_leave_at(t, c->off, ABI_XL_WHY_BRANCH);
    emit_here8(e, good);
    if (call) {
        t->sub = t->g[c->insn].mem; /* its second access, if it reads its target from memory */
        emit_store(e, GS(scratch), H_R9);
        push_return(t, &t->g[c->insn]);
        emit_load(e, H_R9, GS(scratch));
    } else if (c->word) {
        emit_lea(e, H_R11, H_R11, -1, 1, (int32_t)c->word);
    }
    emit_jmp_rm(e, GS_STUB(ABI_XL_JUMP));
}

/* Linear address in r9 -> r10 = place of its entry. On a miss the branch is made there: as a call, or with rsp_add
 * committed. */
static void find(struct gen *t, bool call, unsigned rsp_add)
{
    struct emit *e = &t->e;
    emit_pext(e, H_R10, H_R9, GS(jc_mask));
    emit_rorx(e, H_R10, H_R10, 62);
    emit_load(e, H_RCX, rm_gsx(AT(jc[0].nlip), H_R10));
    emit_lea(e, H_RCX, H_RCX, H_R9, 1, 0);
    uint32_t hit = emit_jrcxz(e);
    gen_cold(t, call ? COLD_CALL : COLD_JUMP, emit_jmp(e), rsp_add);
    emit_here8(e, hit);
    emit_load(e, H_RCX, rm_gsx(AT(jc[0].nkey), H_R10));
    emit_load(e, H_R9, GS(jc_key));
    emit_lea(e, H_RCX, H_RCX, H_R9, 1, 0);
    hit = emit_jrcxz(e);
    gen_cold(t, call ? COLD_CALL_KEY : COLD_JUMP_KEY, emit_jmp(e), rsp_add);
    emit_here8(e, hit);
}
static void jump_found(struct gen *t)
{
    emit_load(&t->e, H_RCX, rm_gsx(AT(jc[0].page), H_R10));
    emit_store(&t->e, GS(pgbase), H_RCX);
    emit_jmp_rm(&t->e, rm_gsx(AT(jc[0].tb), H_R10));
}
static bool in_page(int64_t off)
{
    return off >= 0 && off < 4096;
}
/* Instruction of this translation that starts there and has been emitted, or -1. */
static int local(const struct gen *t, int64_t off)
{
    for (unsigned k = 0; k <= t->at && k < t->n; k++)
        if (t->g[k].off == off)
            return (int)k;
    return -1;
}
void gen_go(struct gen *t, int64_t target)
{
    struct emit *e = &t->e;
    int k = local(t, target);
    if (k >= 0) {
        emit_to(e, emit_jmp(e), t->start[k]);
        return;
    }
    if (!in_page(target)) {
        address_of(t, H_R9, target);
        find(t, false, 0);
        jump_found(t);
        return;
    }
    struct abi_xl_out *o = t->out;
    unsigned n = 0;
    while (n < o->slots && o->slot[n] != target)
        n++;
    if (n == ABI_XL_SLOT_MAX) {
        e->full = true;
        return;
    }
    if (n == o->slots)
        o->slot[o->slots++] = (int32_t)target;
    emit_imm32(e, H_RCX, t->in->slot_base + n);
    emit_jmp_rm(e, rm_gs(AT(slot) + (size_t)(t->in->slot_base + n) * 8));
}
/* ---- direct ---- */

static bool conditional(struct gen *t, const struct ginsn *g, int64_t next, int64_t target)
{
    uint32_t taken = emit_jcc(&t->e, g->op & 15);
    int k = local(t, target);
    gen_go(t, next);
    if (k >= 0) {
        emit_to(&t->e, taken, t->start[k]);
        return true;
    }
    emit_here(&t->e, taken);
    gen_go(t, target);
    return true;
}
static bool count_branch(struct gen *t, const struct ginsn *g, int64_t next, int64_t target)
{
    struct emit *e = &t->e;
    if (!in_page(target) || !in_page(next)) /* rcx would have changed before the target is known */
        return false;
    if (g->mn != ZYDIS_MNEMONIC_JRCXZ && g->mn != ZYDIS_MNEMONIC_JECXZ)
        g->p67 ? emit_lea32(e, H_R8, H_R8, -1, 1, -1) : emit_lea(e, H_R8, H_R8, -1, 1, -1);
    g->p67 ? emit_mov32(e, H_RCX, H_R8) : emit_mov(e, H_RCX, H_R8);
    uint32_t zero = emit_jrcxz(e), away = 0, flag = 0;
    if (g->mn == ZYDIS_MNEMONIC_JRCXZ || g->mn == ZYDIS_MNEMONIC_JECXZ) {
        away = emit_jmp(e);
        emit_here8(e, zero);
        gen_go(t, target);
        emit_here(e, away);
        gen_go(t, next);
        return true;
    }
    uint32_t over = emit_jmp(e);
    emit_here8(e, zero);
    away = emit_jmp(e);
    emit_here(e, over);
    if (g->mn != ZYDIS_MNEMONIC_LOOP)
        flag = emit_jcc(e, g->mn == ZYDIS_MNEMONIC_LOOPE ? 5 : 4);
    gen_go(t, target);
    emit_here(e, away);
    if (flag)
        emit_here(e, flag);
    gen_go(t, next);
    return true;
}
static bool call_direct(struct gen *t, const struct ginsn *g, int64_t target)
{
    bool far = !in_page(target);
    if (far) {
        address_of(t, H_R9, target);
        find(t, true, 0);
    }
    push_return(t, g); /* r10 stays: the stack is always at hand */
    if (far)
        jump_found(t);
    else
        gen_go(t, target);
    return true;
}

/* ---- indirect ---- */

static void target_read(struct gen *t, const struct ginsn *g)
{
    if (g->mem) {
        struct rm rm = gen_access(t, &g->ea, 8, false);
        gen_fault_here(t);
        emit_load(&t->e, H_R9, rm);
    } else {
        unsigned r = gen_read(t, g->rm.num, H_R9);
        if (r != H_R9)
            emit_mov(&t->e, H_R9, r);
    }
}
static bool jump_indirect(struct gen *t, const struct ginsn *g)
{
    target_read(t, g);
    find(t, false, 0);
    jump_found(t);
    return true;
}
static bool call_indirect(struct gen *t, const struct ginsn *g)
{
    target_read(t, g);
    find(t, true, 0);
    push_return(t, g);
    jump_found(t);
    return true;
}
static bool ret(struct gen *t, const struct ginsn *g)
{
    struct emit *e = &t->e;
    struct rm rm = gen_access(t, &stack_top, 8, false);
    gen_fault_here(t);
    emit_load(e, H_R9, rm);
    int n = 8 + (g->op == 0xc2 ? (uint16_t)g->imm : 0);
    find(t, false, (unsigned)n);
    emit_lea(e, H_R11, H_R11, -1, 1, n);
    jump_found(t);
    return true;
}

bool gen_branch(struct gen *t, const struct ginsn *g)
{
    int64_t next = g->off + g->len, target = next + g->imm;
    if (g->p66) /* Intel ignores it, AMD does not */
        return false;
    if (t->poll_at < 0 && gen_branch_polls(g))
        gen_poll(t);
    if (g->relative) {
        if (g->mn == ZYDIS_MNEMONIC_CALL)
            return call_direct(t, g, target);
        if (g->mn == ZYDIS_MNEMONIC_JMP) {
            gen_go(t, target);
            return true;
        }
        if (!g->map && g->op >= 0xe0 && g->op <= 0xe3)
            return count_branch(t, g, next, target);
        return conditional(t, g, next, target);
    }
    if (g->mn == ZYDIS_MNEMONIC_RET)
        return !g->map && (g->op == 0xc3 || g->op == 0xc2) && ret(t, g);
    if (g->op != 0xff || (g->mem && g->mem_size != 8) || (g->reg_num != 2 && g->reg_num != 4) ||
        (!g->mem && g->rm.class != F_GPR))
        return false;
    return g->reg_num == 4 ? jump_indirect(t, g) : call_indirect(t, g);
}
