/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Draws encodings of a form and puts them into cells of the code pages, with displacements, immediates and
 * branch targets that stay in the window. Must never place what leaves this process.
 */
#include "tests/cpu/forms.h"

#include <string.h>

static uint8_t *cell_of(uint64_t at)
{
    return engine_ram() + at - CELL_ENTRY; /* the same pages, writable */
}
static void patch(struct insn *i, unsigned at, unsigned bits, int64_t v)
{
    memcpy(i->bytes + at, &v, bits / 8);
}
static void patch_branch(struct insn *i)
{
    unsigned t = (unsigned)(rnd() >> 32) % CELL;
    if (t >= CELL_ENTRY && t < CELL_ENTRY + i->len)
        t = CELL_ENTRY + i->len;
    if (i->in.raw.imm[0].is_relative)
        patch(i, i->in.raw.imm[0].offset, i->in.raw.imm[0].size, (int64_t)t - (int64_t)(CELL_ENTRY + i->len));
}
static void patch_memory(struct insn *i)
{
    unsigned at = i->in.raw.disp.offset, bits = i->in.raw.disp.size;
    for (unsigned k = 0; k < i->in.operand_count_visible; k++) {
        const ZydisDecodedOperand *o = &i->ops[k];
        uint64_t to = DATA_A + 0x200 + rnd() % 512;
        if (!(rnd() & 3))
            to &= ~63ull;
        if (o->type != ZYDIS_OPERAND_TYPE_MEMORY || bits < 32)
            continue;
        if (o->mem.segment == ZYDIS_REGISTER_GS)
            to -= GS_BASE;
        if (o->mem.base == ZYDIS_REGISTER_RIP || o->mem.base == ZYDIS_REGISTER_EIP)
            patch(i, at, 32, (int64_t)(to - (i->at + i->len)));
        else if (o->mem.base == ZYDIS_REGISTER_NONE)
            patch(i, at, bits, (int64_t)to);
        else
            patch(i, at, bits, (int64_t)(rnd() % 2001) - 1000);
    }
}
static void patch_immediates(struct insn *i)
{
    if (i->in.mnemonic == ZYDIS_MNEMONIC_ENTER) { /* small frames, at most three levels */
        i->bytes[i->in.raw.imm[0].offset + 1] &= 1;
        i->bytes[i->in.raw.imm[1].offset] &= 0xe3;
    }
    if (i->in.mnemonic == ZYDIS_MNEMONIC_INT) /* no gate that user mode may use */
        i->bytes[i->in.raw.imm[0].offset] = (uint8_t)(0x20 + rnd() % 0x60);
    if (i->in.mnemonic == ZYDIS_MNEMONIC_RET && i->in.raw.imm[0].size)
        i->bytes[i->in.raw.imm[0].offset + 1] &= 0x81;
}
/* FS is the host's thread pointer. */
static bool uses_fs(const struct insn *i)
{
    return i->in.attributes & ZYDIS_ATTRIB_HAS_SEGMENT_FS;
}
/* The way back, after the instruction: nothing but the stack pointer's value may depend on it. */
static void put_return(const struct insn *i, uint8_t *p)
{
    static const uint8_t back64[] = {0xff, 0x24, 0x25, 0xa0, 0x07, 0x04, 0x01}; /* jmp *[10407a0] */
    static const uint8_t back32[] = {0xea, 0xb8, 0x07, 0x04, 0x01, 0x33, 0x00}; /* ljmp 33:10407b8 */
    memcpy(p, i->m64 ? back64 : back32, 7);
}
static void put(const struct insn *i)
{
    uint8_t *c = cell_of(i->at);
    memset(c, 0xcc, CELL);
    memcpy(c + CELL_ENTRY, i->bytes, i->len);
    if (!i->branch)
        put_return(i, c + CELL_ENTRY + i->len);
}
bool encoding_random(const struct form *f, struct insn *i, uint64_t at)
{
    for (unsigned tries = 0; tries < 200; tries++) {
        const struct shape *s = &f->shape[rnd() % f->shapes];
        if (!shape_build(s, i, tries & 1) || form_key(i) != f->key || uses_fs(i))
            continue;
        i->at = at;
        patch_memory(i);
        patch_branch(i);
        patch_immediates(i);
        if (!shape_decode(i) || form_key(i) != f->key || engine_accepts(i) == !!i->refused)
            continue;
        put(i);
        return true;
    }
    return false;
}
