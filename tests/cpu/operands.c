/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random operands: numbers at the edges of every operand size, flags, floating-point state, and registers
 * solved so that memory operands lie where the case wants them: aligned, askew, over a page boundary, in
 * the last bytes before a page that is not there or read-only, in such a page, at no canonical address.
 * Must always give the same sequence for a seed.
 */
#include "tests/cpu/forms.h"

#include <string.h>

static uint64_t value(void)
{
    static const uint64_t special[] = {
        0, 1, 2, 7, 8, 15, 16, 17, 31, 32, 33, 63, 64, 65, 0x7f, 0x80, 0xff, 0x100, 0x7fff, 0x8000, 0xffff,
        0x10000, 0x7fffffff, 0x80000000, 0xffffffff, 0x100000000, 0x7fffffffffffffff, 0x8000000000000000,
        ~0ull, ~1ull, ~0x7full, ~0x7fffull, ~0x7fffffffull};
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
    return (unsigned)ZydisRegisterGetId(ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64, r)) & 15;
}
static uint64_t cell_target(const struct insn *i)
{
    unsigned t = 1 + (unsigned)(rnd() >> 32) % (CELL - 2); /* read askew it is never canonical */
    return i->at - CELL_ENTRY + (t >= CELL_ENTRY && t < CELL_ENTRY + i->len ? CELL_ENTRY + i->len : t);
}
static bool is_near_branch(const struct insn *i)
{
    return i->in.meta.category == ZYDIS_CATEGORY_CALL || i->in.meta.category == ZYDIS_CATEGORY_RET ||
           i->in.meta.category == ZYDIS_CATEGORY_UNCOND_BR;
}

/* Where an operand of that many bytes goes. */
static uint64_t place(unsigned bytes, bool m64)
{
    uint64_t r = rnd(), over = (r >> 32) % (bytes + 1);
    switch (r & 31) {
    case 0:
    case 1:
        return CENTRE - over; /* over a boundary, both pages there */
    case 2:
    case 3:
        return DATA_HOLE - bytes; /* the last bytes before a page that is not there */
    case 4:
        return DATA_HOLE - over;
    case 5:
        return DATA_RO - over; /* into a read-only page */
    case 6:
        return DATA_RO + (r >> 40) % 2048;
    case 7:
        return DATA_HOLE + (r >> 40) % 4096;
    case 8:
        return DATA_B - (r >> 40) % 16; /* out of a page that is not there */
    case 9:
        return m64 ? 0x800000000000ull - (r >> 40 & 1 ? over : rnd() << 48) : 0 - over;
    default:
        return CENTRE - 64 + (r >> 40) % 128;
    }
}
static void place_index(const struct insn *i, const ZydisDecodedOperand *o, struct state *s)
{
    (void)i;
    unsigned n = (unsigned)ZydisRegisterGetId(o->mem.index) & 15;
    for (unsigned k = 0; k < 32; k += 8) { /* good as four- and as eight-byte indices */
        uint64_t v = rnd() & 0x3f;
        memcpy(k < 16 ? s->fpu.xmm[n] + k : s->fpu.ymmh[n] + k - 16, &v, 8);
    }
}
/* Solve the base so that the operand is at a chosen place; address bits that do not count are made odd. */
static void place_operand(const struct insn *i, const ZydisDecodedOperand *o, struct state *s)
{
    unsigned bytes = o->size >= 8 ? o->size / 8 : 1;
    uint64_t to = place(bytes, i->m64), target = cell_target(i);
    uint64_t disp = o->mem.disp.has_displacement ? (uint64_t)o->mem.disp.value : 0;
    if (rnd() & 1)
        to &= bytes > 16 ? ~31ull : ~15ull;
    if (bytes > 64 && (rnd() & 7))
        to &= ~63ull;
    image_random(i, to);
    if (is_near_branch(i) && (!i->m64 || (rnd() & 7))) /* unaligned: a target that is not canonical */
        to &= ~7ull;
    if (o->mem.type == ZYDIS_MEMOP_TYPE_VSIB) {
        place_index(i, o, s);
    } else if (o->mem.index != ZYDIS_REGISTER_NONE) {
        unsigned x = gpr_id(o->mem.index);
        if (o->mem.base == ZYDIS_REGISTER_NONE || gpr_id(o->mem.base) == 4)
            s->gpr[x] &= 0x3f;
        to -= s->gpr[x] * (o->mem.scale ? o->mem.scale : 1);
    }
    if (o->mem.base == ZYDIS_REGISTER_NONE || o->mem.base == ZYDIS_REGISTER_RIP ||
        o->mem.base == ZYDIS_REGISTER_EIP)
        return;
    to -= disp;
    if (o->mem.segment == ZYDIS_REGISTER_GS && i->m64)
        to -= GS_BASE;
    if (i->in.mnemonic == ZYDIS_MNEMONIC_XLAT)
        to -= s->gpr[0] & 0xff;
    if (i->in.address_width == 32 && i->m64 && gpr_id(o->mem.base) != 4)
        to = (uint32_t)to | rnd() << 32;
    s->gpr[gpr_id(o->mem.base)] = to;
    uint64_t at = (uint32_t)(to + disp);
    if (is_near_branch(i) && o->mem.index == ZYDIS_REGISTER_NONE && at >= DATA_A && at + 8 <= DATA_HOLE)
        memcpy(engine_ram() + at, &target, 8);
}
static void special_registers(const struct insn *i, struct state *s)
{
    const ZydisDecodedInstruction *in = &i->in;
    if (i->rep) {
        s->gpr[1] = rnd() % 40;
        /* With ECX = 0 a processor may or may not clear the upper halves of the other registers. */
        if (in->address_width == 32 && i->m64)
            s->gpr[1] = (s->gpr[1] + 1) | (rnd() & 1 ? rnd() << 32 : 0);
        if (in->address_width == 16)
            s->gpr[1] |= rnd() << 16;
    }
    if (in->meta.category == ZYDIS_CATEGORY_BITBYTE && i->ops[0].type == ZYDIS_OPERAND_TYPE_MEMORY &&
        i->ops[1].type == ZYDIS_OPERAND_TYPE_REGISTER)
        s->gpr[gpr_id(i->ops[1].reg.value)] = (uint64_t)(int64_t)(int16_t)rnd();
    if (in->mnemonic == ZYDIS_MNEMONIC_ENTER)
        s->gpr[5] = CENTRE + rnd() % 64;
    if ((in->mnemonic == ZYDIS_MNEMONIC_DIV || in->mnemonic == ZYDIS_MNEMONIC_IDIV) && (rnd() & 3))
        s->gpr[2] = rnd() & 1 ? 0 : rnd() & 0xff;
    if (in->mnemonic == ZYDIS_MNEMONIC_PCMPESTRI || in->mnemonic == ZYDIS_MNEMONIC_PCMPESTRM) {
        s->gpr[0] = rnd() % 20;
        s->gpr[2] = rnd() % 20;
    }
    if (is_near_branch(i) && i->ops[0].type == ZYDIS_OPERAND_TYPE_REGISTER && in->operand_count_visible &&
        (rnd() & 15))
        s->gpr[gpr_id(i->ops[0].reg.value)] = cell_target(i);
}

/* Branches through memory whose address is not solved: most of it holds one target. */
static void fill_targets(const struct insn *i)
{
    uint64_t t = cell_target(i);
    if (!i->m64)
        t |= t << 32;
    for (uint64_t a = DATA; a < DATA + DATA_SIZE; a += 8)
        memcpy(engine_ram() + a, &t, 8);
}
/* POPF takes what can be compared and does not trap this process. */
static void special_memory(const struct insn *i, const struct state *s)
{
    uint64_t sp = (uint32_t)s->gpr[4];
    if (i->in.mnemonic == ZYDIS_MNEMONIC_POPF || i->in.mnemonic == ZYDIS_MNEMONIC_POPFD ||
        i->in.mnemonic == ZYDIS_MNEMONIC_POPFQ) {
        uint64_t v = rnd() & (FL_COMPARED | 0x3200);
        for (uint64_t a = sp & ~7ull; a < sp + 16; a += 8)
            if (a >= DATA && a + 8 <= DATA + DATA_SIZE)
                memcpy(engine_ram() + a, &v, 8);
        if (sp >= DATA && sp + 8 <= DATA + DATA_SIZE)
            memcpy(engine_ram() + sp, &v, 8);
    }
}
static void fill_window(const struct form *f, const struct state *s, uint64_t from, unsigned len)
{
    uint8_t *p = engine_ram() + from;
    unsigned kind = (unsigned)(rnd() >> 61);
    uint64_t v = kind == 1 ? s->gpr[0] : value();
    if (f->fp) {
        rnd_fill(p, len);
        return;
    }
    for (unsigned k = 0; k < len; k += 8) {
        if (kind > 3)
            v = value();
        if (kind == 2) /* CMPXCHG8B and 16B find what they look for */
            v = s->gpr[k & 8 ? 2 : 0];
        if (kind == 3)
            v = (uint32_t)s->gpr[0] | s->gpr[2] << 32;
        memcpy(p + k, &v, 8);
    }
}
static void random_data(const struct form *f, const struct state *s)
{
    fill_window(f, s, CENTRE - 256, 512);
    if (rnd() & 1)
        return;
    fill_window(f, s, DATA_HOLE - 128, 128);
    fill_window(f, s, DATA_B, 64);
    fill_window(f, s, DATA_RO - 128, 256);
}

void operands_random(const struct form *f, const struct insn *i, struct state *s)
{
    for (unsigned r = 0; r < 16; r++)
        s->gpr[r] = i->m64 ? value() : r < 8 ? (uint32_t)value() : 0;
    s->gpr[4] = rnd() & 15 ? (CENTRE + rnd() % 128 - 64) : place(8, i->m64);
    if (rnd() & 7)
        s->gpr[4] &= ~7ull;
    s->rip = i->at;
    s->rflags = 2 | (rnd() & FL_COMPARED);
    s->vector = -1;
    s->error = 0;
    s->cr2 = 0;
    s->fpu = (struct fpu){.fcw = 0x37f, .mxcsr = 0x1f80};
    if (f->fp)
        rnd_fpu(&s->fpu);
    random_data(f, s);
    if (is_near_branch(i))
        fill_targets(i);
    special_registers(i, s);
    for (unsigned k = 0; k < i->in.operand_count; k++)
        if (i->ops[k].type == ZYDIS_OPERAND_TYPE_MEMORY && i->ops[k].mem.type != ZYDIS_MEMOP_TYPE_AGEN)
            place_operand(i, &i->ops[k], s);
    image_components(i, s);
    if (!i->m64)
        for (unsigned r = 0; r < 8; r++)
            s->gpr[r] = (uint32_t)s->gpr[r];
    special_memory(i, s);
}
