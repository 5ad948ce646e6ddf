/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Flags made again: on the way out before an instruction where the check has clobbered them, the instruction that
 * set them last is repeated on what is left of its operands. Owns for which instructions that is possible; must
 * never change a guest register.
 */
#include "vmm/translator/gen.h"

enum recipe { R_NONE, R_RESULT, R_AGAIN, R_ADD, R_SUB, R_NEG };

static enum recipe kind(const struct ginsn *g)
{
    switch (g->mn) {
    case ZYDIS_MNEMONIC_AND: case ZYDIS_MNEMONIC_OR: case ZYDIS_MNEMONIC_XOR:
        return R_RESULT;
    case ZYDIS_MNEMONIC_TEST: case ZYDIS_MNEMONIC_CMP:
        return R_AGAIN;
    case ZYDIS_MNEMONIC_ADD:
        return R_ADD;
    case ZYDIS_MNEMONIC_SUB:
        return R_SUB;
    case ZYDIS_MNEMONIC_NEG:
        return R_NEG;
    default:
        return R_NONE;
    }
}
struct operands {
    int d, s; /* guest registers; s -1: the immediate */
};
/* Destination and source of a two-operand instruction as registers; false where memory or AH is involved. */
static bool operands_of(const struct ginsn *g, struct operands *o)
{
    bool acc = !g->modrm, to_reg = g->op & 2 && !g->imm_len;
    const struct field *d = to_reg ? &g->reg : &g->rm, *s = to_reg ? &g->rm : &g->reg;
    if (g->vex || g->map || g->lock)
        return false;
    if (g->mn == ZYDIS_MNEMONIC_TEST || g->mn == ZYDIS_MNEMONIC_NEG)
        d = &g->rm, s = &g->reg;
    o->d = acc ? G_RAX : d->num;
    o->s = g->imm_len ? -1 : s->num;
    if (!acc && d->class != F_GPR)
        return false;
    return g->imm_len || g->mn == ZYDIS_MNEMONIC_NEG || kind(g) == R_RESULT || s->class == F_GPR;
}
bool gen_recipe_ok(const struct ginsn *g, uint16_t written)
{
    struct operands o;
    enum recipe k = kind(g);
    if (k == R_NONE || !operands_of(g, &o) || (written >> o.d & 1))
        return false;
    if (k == R_RESULT || k == R_NEG)
        return true;
    if (o.s >= 0 && (written >> o.s & 1))
        return false;
    return k == R_AGAIN || o.s != o.d;
}

/* op: the opcode with a ModRM byte, register to r/m, full size. n: the number of the immediate form. */
static void operate(struct gen *t, const struct ginsn *g, unsigned op, unsigned n, unsigned d, int s)
{
    bool byte = g->opsize == 8, test = op == 0x85;
    int32_t imm = (int32_t)g->imm;
    struct enc o = {.op = (uint8_t)(op - byte), .p66 = g->opsize == 16, .w = g->opsize == 64, .rex = byte};
    if (s < 0) {
        o.op = (uint8_t)((test ? 0xf7 : 0x81) - byte);
        o.imm = (const uint8_t *)&imm;
        o.imm_len = byte ? 1 : g->opsize == 16 ? 2 : 4;
        emit_op(&t->e, &o, test ? 0 : n, rm_reg(d));
    } else {
        emit_op(&t->e, &o, (unsigned)s, rm_reg(d));
    }
}
static void gen_recipe(struct gen *t, const struct ginsn *g)
{
    struct operands o = {0};
    enum recipe k = kind(g);
    if (!operands_of(g, &o))
        return;
    unsigned d = gen_read(t, (unsigned)o.d, H_RCX);
    int s = o.s < 0 || k == R_RESULT || k == R_NEG ? -1 : (int)gen_read(t, (unsigned)o.s, H_R9);
    struct enc neg = {.op = g->opsize == 8 ? 0xf6 : 0xf7, .p66 = g->opsize == 16, .w = g->opsize == 64};
    switch (k) {
    case R_RESULT:
        operate(t, g, 0x85, 0, d, (int)d);
        break;
    case R_AGAIN:
        operate(t, g, g->mn == ZYDIS_MNEMONIC_CMP ? 0x39 : 0x85, 7, d, s);
        break;
    case R_ADD: case R_SUB:
        if (d != H_RCX)
            emit_mov(&t->e, H_RCX, d);
        operate(t, g, k == R_ADD ? 0x29 : 0x01, k == R_ADD ? 5 : 0, H_RCX, s);
        operate(t, g, k == R_ADD ? 0x01 : 0x29, k == R_ADD ? 0 : 5, H_RCX, s);
        break;
    default:
        if (d != H_RCX)
            emit_mov(&t->e, H_RCX, d);
        emit_op(&t->e, &neg, 3, rm_reg(H_RCX));
        emit_op(&t->e, &neg, 3, rm_reg(H_RCX));
        break;
    }
}

/* ---- flags in the frame ---- */

void gen_flags_save(struct gen *t)
{
    static const uint8_t lahf_seto[] = {0x9f, 0x0f, 0x90, 0xc0};
    emit_mov(&t->e, H_RCX, H_RAX);
    emit_bytes(&t->e, lahf_seto, sizeof(lahf_seto));
    emit_op(&t->e, &(struct enc){.op = 0x89}, H_RAX, GS(scratch[4]));
    emit_mov(&t->e, H_RAX, H_RCX);
}
void gen_flags_make(struct gen *t, unsigned insn)
{
    static const uint8_t add_sahf[] = {0x04, 0x7f, 0x9e}; /* ADD sets OF where SETO said so */
    int recipe = insn < t->n ? t->plan.recipe[insn] : PLAN_EXACT;
    if (recipe >= 0)
        gen_recipe(t, &t->g[recipe]);
    if (recipe != PLAN_SAVED)
        return;
    emit_mov(&t->e, H_RCX, H_RAX);
    emit_load32(&t->e, H_RAX, GS(scratch[4]));
    emit_bytes(&t->e, add_sahf, sizeof(add_sahf));
    emit_mov(&t->e, H_RAX, H_RCX);
}
