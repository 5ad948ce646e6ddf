/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Repeated STOS and MOVS into planar video memory. What is inside one page and one segment limit is done at
 * once; everything unusual is left to the element-wise loop. Must never touch memory that does not trap.
 */
#include "cpu-worker/interp/string-screen.h"

#include "cpu-worker/interp/stack.h"
#include "cpu-worker/mmu/tlb.h"
#include "cpu-worker/run/chain.h"
#include "cpu-worker/vga/vga.h"

#define SEG_EXPAND_DOWN(attr) (((attr) & 0x1c) == 0x14) /* data, bit 2 of the type */

static uint64_t address_mask(const struct op *o)
{
    return o->dst == 64 ? ~0ull : o->dst == 32 ? 0xffffffffull : 0xffffull;
}

/* Elements from this offset on that share its page, do not wrap and stay inside the segment. */
static uint64_t elements(const struct cpu *c, const struct op *o, unsigned seg, uint64_t off, uint64_t va, uint64_t left)
{
    uint64_t n = (0x1000 - (va & 0xfff)) / o->aux, room;
    const struct abi_segment *s = &c->s->seg[seg];
    n = n < left ? n : left;
    if (o->dst != 64 && off + n * o->aux > address_mask(o) + 1)
        return 0;
    if (c->mode & MODE_64)
        return n;
    if (SEG_EXPAND_DOWN(s->attr) && (c->mode & MODE_PE))
        return 0;
    room = off <= s->limit ? (s->limit - off + 1) / o->aux : 0;
    return n < room ? n : room;
}

static uint64_t address(struct cpu *c, const struct op *o, unsigned seg, uint64_t off, bool write)
{
    if (c->mode & MODE_64)
        return off + (seg == ABI_FS || seg == ABI_GS ? c->segbase[seg] : 0);
    seg_check(c, o, seg, off, o->aux, write);
    return (uint32_t)(off + c->segbase[seg]);
}

static void step(struct cpu *c, const struct op *o, unsigned reg, uint64_t by)
{
    uint64_t m = address_mask(o), v = (c->gpr[reg] & m) + by;
    if (o->dst == 16)
        c->gpr[reg] = (c->gpr[reg] & ~m) | (v & m);
    else
        c->gpr[reg] = v & m;
}

/* The guest-physical address of a store to va if it traps, ~0 if memory answers. */
static uint64_t trapping(struct cpu *c, const struct op *o, uint64_t va, enum mmu_access acc)
{
    struct translation t;
    if (acc == MMU_WRITE ? mmu_ptr_w(c, va, 1) != NULL : mmu_ptr_r(c, va, 1) != NULL)
        return ~0ull; /* a TLB hit is memory */
    mmu_translate(c, o, va, acc, &t);
    return t.host ? ~0ull : t.gpa;
}

uint64_t string_screen_fill(struct cpu *c, const struct op *o, uint64_t left)
{
    uint64_t off = c->gpr[REG_RDI] & address_mask(o), va = address(c, o, ABI_ES, off, true);
    uint64_t n = elements(c, o, ABI_ES, off, va, left);
    uint64_t gpa = n > 1 ? trapping(c, o, va, MMU_WRITE) : ~0ull;
    if (gpa == ~0ull || !vga_range_fill(c, gpa, c->gpr[REG_RAX], o->aux, n * o->aux))
        return 0;
    step(c, o, REG_RDI, n * o->aux);
    return n;
}

/* From memory, or from the window itself. */
uint64_t string_screen_move(struct cpu *c, const struct op *o, uint64_t left)
{
    unsigned seg = o->seg == ABI_SEG_FLAT ? ABI_DS : o->seg;
    uint64_t from = c->gpr[REG_RSI] & address_mask(o), to = c->gpr[REG_RDI] & address_mask(o);
    uint64_t s = address(c, o, seg, from, false), d = address(c, o, ABI_ES, to, true);
    uint64_t n = elements(c, o, ABI_ES, to, d, left), m = elements(c, o, seg, from, s, left), done = 0;
    n = n < m ? n : m;
    uint64_t gpa = n > 1 ? trapping(c, o, d, MMU_WRITE) : ~0ull;
    if (gpa == ~0ull)
        return 0;
    uint64_t source = trapping(c, o, s, MMU_READ);
    const uint8_t *p = source == ~0ull ? mmu_ptr_r(c, s, 1) : NULL;
    if (p)
        done = vga_range_in(c, gpa, p, n * o->aux);
    else if (source != ~0ull && o->aux == 1)
        done = vga_range_move(c, gpa, source, n);
    if (!done)
        return 0;
    step(c, o, REG_RSI, n * o->aux);
    step(c, o, REG_RDI, n * o->aux);
    return n;
}
