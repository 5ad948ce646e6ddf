/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PUSH, POP, LEAVE and the string instructions without repetition: several accesses or a register that changes
 * after one. Must never change a guest register before the last access was made.
 */
#include "vmm/translator/gen.h"

static const struct gea stack_top = {.base = G_RSP, .index = -1, .scale = 1, .seg = -1};
static const struct gea stack_next = {.base = G_RSP, .index = -1, .scale = 1, .seg = -1, .disp = -8};

static void rsp_add(struct gen *t, int32_t n)
{
    emit_lea(&t->e, H_R11, H_R11, -1, 1, n);
}
/* The value waits in the frame while the stack is looked at: the look needs every scratch register. */
static void push_memory(struct gen *t, const struct ginsn *g)
{
    struct emit *e = &t->e;
    struct rm rm = gen_access(t, &g->ea, 8, false);
    gen_fault_here(t);
    emit_load(e, H_RCX, rm);
    emit_store(e, GS(scratch), H_RCX);
    rm = gen_access(t, &stack_next, 8, true);
    emit_load(e, H_RCX, GS(scratch));
    gen_fault_here(t);
    emit_store(e, rm, H_RCX);
}
bool gen_push(struct gen *t, const struct ginsn *g)
{
    struct emit *e = &t->e;
    if (g->opsize != 64 || g->p66)
        return false;
    if (!g->mem && g->opreg.class != F_GPR && g->rm.class != F_GPR && !(g->op == 0x68 || g->op == 0x6a))
        return false;
    if (g->mem) {
        push_memory(t, g);
    } else {
        struct rm rm = gen_access(t, &stack_next, 8, true);
        if (g->op == 0x68 || g->op == 0x6a) {
            int32_t imm = (int32_t)g->imm;
            struct enc o = {.op = 0xc7, .w = 1, .imm = (const uint8_t *)&imm, .imm_len = 4};
            gen_fault_here(t);
            emit_op(e, &o, 0, rm);
        } else {
            unsigned s = gen_read(t, g->opreg.class == F_GPR ? g->opreg.num : g->rm.num, H_RCX);
            gen_fault_here(t);
            emit_store(e, rm, s);
        }
    }
    rsp_add(t, -8);
    return true;
}
bool gen_pop(struct gen *t, const struct ginsn *g)
{
    struct emit *e = &t->e;
    if (g->opsize != 64 || g->p66 || (g->opreg.class != F_GPR && g->rm.class != F_GPR))
        return false;
    unsigned d = g->opreg.class == F_GPR ? g->opreg.num : g->rm.num;
    struct rm rm = gen_access(t, &stack_top, 8, false);
    gen_fault_here(t);
    int h = gen_host(t, (int)d);
    if (h >= 0) {
        emit_load(e, (unsigned)h, rm);
        gen_written(t, d);
    } else {
        emit_load(e, H_RCX, rm);
        emit_store(e, GS_GPR(d), H_RCX);
    }
    if (d != G_RSP)
        rsp_add(t, 8);
    return true;
}
bool gen_leave(struct gen *t, const struct ginsn *g)
{
    static const struct gea frame = {.base = G_RBP, .index = -1, .scale = 1, .seg = -1};
    if (g->opsize != 64 || g->p66)
        return false;
    struct rm rm = gen_access(t, &frame, 8, false);
    gen_fault_here(t);
    emit_load(&t->e, H_RCX, rm);
    emit_lea(&t->e, H_R11, H_RBP, -1, 1, 8);
    emit_mov(&t->e, H_RBP, H_RCX);
    return true;
}

/* ---- string instructions, one element ---- */

static unsigned element(const struct ginsn *g)
{
    return g->opsize / 8;
}
static void move(struct gen *t, bool store, unsigned reg, struct rm rm, unsigned size)
{
    struct enc o = {.op = (uint8_t)(store ? (size == 1 ? 0x88 : 0x89) : (size == 1 ? 0x8a : 0x8b)),
                    .p66 = size == 2, .w = size == 8};
    gen_fault_here(t);
    emit_op(&t->e, &o, reg, rm);
}
bool gen_string_from(const struct ginsn *g)
{
    return g->mn != ZYDIS_MNEMONIC_STOSB && g->mn != ZYDIS_MNEMONIC_STOSW && g->mn != ZYDIS_MNEMONIC_STOSD &&
           g->mn != ZYDIS_MNEMONIC_STOSQ;
}
bool gen_string_to(const struct ginsn *g)
{
    return g->mn != ZYDIS_MNEMONIC_LODSB && g->mn != ZYDIS_MNEMONIC_LODSW && g->mn != ZYDIS_MNEMONIC_LODSD &&
           g->mn != ZYDIS_MNEMONIC_LODSQ;
}
bool gen_string(struct gen *t, const struct ginsn *g)
{
    struct emit *e = &t->e;
    unsigned size = element(g);
    bool from = gen_string_from(g), to = gen_string_to(g);
    struct gea src = {.base = G_RSI, .index = -1, .scale = 1, .seg = -1}, dst = src;
    dst.base = G_RDI;
    for (unsigned k = 0; k < g->len; k++)
        if (g->p67 || g->bytes[k] == 0x64 || g->bytes[k] == 0x65)
            return false;
    emit_load(e, H_RCX, GS(eflags));
    emit_pext(e, H_RCX, H_RCX, GS(df_mask));
    uint32_t up = emit_jrcxz(e);
    gen_cold(t, COLD_OUT, emit_jmp(e), ABI_XL_WHY_INSN);
    emit_here8(e, up);
    if (from && to) {
        move(t, false, H_RCX, gen_access(t, &src, size, false), size);
        emit_store(e, GS(scratch), H_RCX);
        struct rm rm = gen_access(t, &dst, size, true);
        emit_load(e, H_RCX, GS(scratch));
        move(t, true, H_RCX, rm, size);
    } else if (from) {
        move(t, false, H_RAX, gen_access(t, &src, size, false), size);
    } else {
        move(t, true, H_RAX, gen_access(t, &dst, size, true), size);
    }
    if (from)
        emit_lea(e, H_RSI, H_RSI, -1, 1, (int32_t)size);
    if (to)
        emit_lea(e, H_RDI, H_RDI, -1, 1, (int32_t)size);
    return true;
}
