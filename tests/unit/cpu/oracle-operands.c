/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random operands: numbers at the edges of every operand size, flags, memory around a page
 * boundary, and registers solved so that addresses and branch targets stay where both sides can go.
 * Must always give the same sequence for a seed.
 */
#include "tests/unit/cpu/oracle.h"

#include <string.h>

static uint64_t seed_state = 88172645463325252ull;

void rnd_seed(uint64_t seed)
{
    seed_state = seed * 0x9e3779b97f4a7c15ull + 88172645463325252ull;
    seed_state = seed_state ? seed_state : 1;
}
uint64_t rnd(void)
{
    seed_state ^= seed_state << 13;
    seed_state ^= seed_state >> 7;
    seed_state ^= seed_state << 17;
    return seed_state * 0x2545f4914f6cdd1dull;
}
static uint64_t value(void)
{
    static const uint64_t special[] = {0,
                                       1,
                                       2,
                                       7,
                                       8,
                                       15,
                                       16,
                                       17,
                                       31,
                                       32,
                                       33,
                                       63,
                                       64,
                                       65,
                                       0x7f,
                                       0x80,
                                       0xff,
                                       0x100,
                                       0x7fff,
                                       0x8000,
                                       0xffff,
                                       0x10000,
                                       0x7fffffff,
                                       0x80000000,
                                       0xffffffff,
                                       0x100000000,
                                       0x7fffffffffffffff,
                                       0x8000000000000000,
                                       ~0ull,
                                       ~1ull,
                                       ~0x7full,
                                       ~0x7fffull,
                                       ~0x7fffffffull};
    uint64_t r = rnd();
    switch (r >> 60) {
    case 0:
    case 1:
    case 2:
    case 3:
        return special[(r & 0xffff) % (sizeof(special) / sizeof(special[0]))];
    case 4:
        return (uint64_t)(int64_t)(int8_t)r;
    case 5:
        return r & 0xffff;
    case 6:
        return (uint32_t)r;
    default:
        return rnd();
    }
}

static unsigned gpr_id(ZydisRegister r)
{
    return (unsigned)ZydisRegisterGetId(
               ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64, r)) &
           15;
}
static uint64_t cell_target(const struct insn *i)
{
    unsigned t = 1 + (unsigned)(rnd() >> 32) % (CELL - 2); /* read askew it is never canonical */
    return i->cell + (t >= CELL_ENTRY && t < CELL_ENTRY + i->len ? CELL_ENTRY + i->len : t);
}
static bool is_near_branch(const struct insn *i)
{
    return i->in.meta.category == ZYDIS_CATEGORY_CALL ||
           i->in.meta.category == ZYDIS_CATEGORY_RET ||
           i->in.meta.category == ZYDIS_CATEGORY_UNCOND_BR;
}

/* Solve the base so that the operand is at a chosen place; bits that do not count are made odd. */
static void place_operand(const struct insn *i, const ZydisDecodedOperand *o, struct state *s)
{
    uint64_t to = CENTRE + rnd() % 128 - 64, target = cell_target(i);
    if (!(rnd() & 3))
        to &= ~15ull;
    if (is_near_branch(i) &&
        (!i->m64 || (rnd() & 7))) /* unaligned: a target that is not canonical */
        to &= ~7ull;
    if (o->mem.index != ZYDIS_REGISTER_NONE) {
        unsigned x = gpr_id(o->mem.index);
        if (o->mem.base == ZYDIS_REGISTER_NONE || gpr_id(o->mem.base) == 4)
            s->gpr[x] &= 0x3f;
        to -= s->gpr[x] * (o->mem.scale ? o->mem.scale : 1);
    }
    if (o->mem.base == ZYDIS_REGISTER_NONE || o->mem.base == ZYDIS_REGISTER_RIP ||
        o->mem.base == ZYDIS_REGISTER_EIP)
        return;
    to -= (uint64_t)o->mem.disp.value * (o->mem.disp.has_displacement ? 1 : 0);
    if (o->mem.segment == ZYDIS_REGISTER_GS)
        to -= engine_gs_base();
    if (i->in.mnemonic == ZYDIS_MNEMONIC_XLAT)
        to -= s->gpr[0] & 0xff;
    if (i->in.address_width == 32 && i->m64 && gpr_id(o->mem.base) != 4)
        to = (uint32_t)to | rnd() << 32;
    s->gpr[gpr_id(o->mem.base)] = to;
    if (is_near_branch(i) && o->mem.index == ZYDIS_REGISTER_NONE &&
        o->mem.segment != ZYDIS_REGISTER_GS)
        memcpy((void *)(uintptr_t)(uint32_t)(to + (uint64_t)o->mem.disp.value *
                                                      (o->mem.disp.has_displacement ? 1 : 0)),
               &target, 8);
}
/* Branches through memory whose address is not solved above: fill all of it with one target. */
static void fill_targets(const struct insn *i)
{
    uint64_t t = cell_target(i);
    if (!i->m64)
        t |= t << 32;
    for (uint64_t a = DATA; a < DATA + DATA_SIZE; a += 8)
        memcpy((void *)a, &t, 8);
}
static void special_registers(const struct insn *i, struct state *s)
{
    const ZydisDecodedInstruction *in = &i->in;
    if (in->meta.category == ZYDIS_CATEGORY_STRINGOP &&
        (in->attributes &
         (ZYDIS_ATTRIB_HAS_REP | ZYDIS_ATTRIB_HAS_REPE | ZYDIS_ATTRIB_HAS_REPNE))) {
        s->gpr[1] = rnd() % 40;
        /* With ECX = 0 a processor may or may not clear the upper halves of the other registers. */
        if (in->address_width == 32 && i->m64)
            s->gpr[1] = (s->gpr[1] + 1) | (rnd() & 1 ? rnd() << 32 : 0);
    }
    if (in->meta.category == ZYDIS_CATEGORY_BITBYTE &&
        i->ops[0].type == ZYDIS_OPERAND_TYPE_MEMORY &&
        i->ops[1].type == ZYDIS_OPERAND_TYPE_REGISTER)
        s->gpr[gpr_id(i->ops[1].reg.value)] = (uint64_t)(int64_t)(int16_t)rnd();
    if (in->mnemonic == ZYDIS_MNEMONIC_ENTER)
        s->gpr[5] = CENTRE + rnd() % 64;
    if ((in->mnemonic == ZYDIS_MNEMONIC_DIV || in->mnemonic == ZYDIS_MNEMONIC_IDIV) && (rnd() & 3))
        s->gpr[2] = rnd() & 1 ? 0 : rnd() & 0xff;
    if (is_near_branch(i) && i->ops[0].type == ZYDIS_OPERAND_TYPE_REGISTER &&
        in->operand_count_visible)
        s->gpr[gpr_id(i->ops[0].reg.value)] = cell_target(i);
}
/* POPF takes what can be compared and does not trap this process; memory that agrees often enough
 * with the registers makes compare-and-exchange succeed and string comparisons go on. */
static void special_memory(const struct insn *i, const struct state *s)
{
    uint64_t *at = (uint64_t *)(uintptr_t)(uint32_t)s->gpr[4];
    if (i->in.mnemonic == ZYDIS_MNEMONIC_POPF || i->in.mnemonic == ZYDIS_MNEMONIC_POPFD ||
        i->in.mnemonic == ZYDIS_MNEMONIC_POPFQ) {
        uint64_t v = rnd() & (FL_COMPARED | 0x3200);
        memcpy(at, &v, 8);
    }
    if (is_near_branch(i))
        fill_targets(i);
}
static void random_data(const struct state *s)
{
    unsigned kind = (unsigned)(rnd() >> 61);
    uint64_t v = value();
    if (kind == 1)
        v = s->gpr[0];
    for (uint64_t a = CENTRE - 0x200; a < CENTRE + 0x200; a += 8) {
        if (kind > 1)
            v = value();
        memcpy((void *)a, &v, 8);
    }
    if (kind == 2) { /* CMPXCHG8B and 16B find what they look for */
        for (uint64_t a = CENTRE - 64; a < CENTRE + 80; a += 16) {
            memcpy((void *)a, &s->gpr[0], 8);
            memcpy((void *)(a + 8), &s->gpr[2], 8);
        }
    }
    if (kind == 3)
        for (uint64_t a = CENTRE - 64; a < CENTRE + 80; a += 8) {
            memcpy((void *)a, &s->gpr[0], 4);
            memcpy((void *)(a + 4), &s->gpr[2], 4);
        }
}

void operands_random(const struct insn *i, struct state *s)
{
    for (unsigned r = 0; r < 16; r++)
        s->gpr[r] = i->m64 ? value() : r < 8 ? (uint32_t)value() : 0;
    s->gpr[4] = (CENTRE + rnd() % 128 - 64) & (is_near_branch(i) && !i->m64 ? ~7ull : ~0ull);
    s->rip = i->cell + CELL_ENTRY;
    s->rflags = 2 | (rnd() & FL_COMPARED);
    s->vector = -1;
    if (i->known) {
        special_registers(i, s);
        for (unsigned k = 0; k < i->in.operand_count; k++)
            if (i->ops[k].type == ZYDIS_OPERAND_TYPE_MEMORY &&
                i->ops[k].mem.type == ZYDIS_MEMOP_TYPE_MEM)
                place_operand(i, &i->ops[k], s);
    }
    if (!i->m64)
        for (unsigned r = 0; r < 8; r++)
            s->gpr[r] = (uint32_t)s->gpr[r];
    random_data(s);
    if (i->known)
        special_memory(i, s);
}
