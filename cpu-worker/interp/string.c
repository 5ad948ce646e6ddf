/* SPDX-License-Identifier: Apache-2.0 */
/*
 * String instructions. aux = element size in bytes, aux2 bit 0 = REP/REPE, bit 1 = REPNE, dst = address
 * size in bits, seg = source segment. Repeats work by page where both sides are plain memory; each
 * element's register update is committed before the next is begun, so a fault restarts exactly, and a
 * long repeat lets interrupts in between pages.
 */
#include "cpu-worker/interp/decode.h"
#include "cpu-worker/interp/handlers.h"
#include "cpu-worker/interp/io-perm.h"
#include "cpu-worker/interp/string-screen.h"
#include "cpu-worker/interp/stack.h"
#include "cpu-worker/mmio/mmio.h"
#include "cpu-worker/run/chain.h"

#define DF 0x400u
#define RF 0x10000u
#define REPE  1u
#define REPNE 2u

static inline uint64_t amask(const struct op *o)
{
    return o->dst == 64 ? ~0ull : o->dst == 32 ? 0xffffffffull : 0xffffull;
}
static inline void reg_set(struct cpu *c, const struct op *o, unsigned r, uint64_t v)
{
    if (o->dst == 64)
        c->gpr[r] = v;
    else if (o->dst == 32)
        c->gpr[r] = (uint32_t)v;
    else
        WR16(r, (uint16_t)v);
}
static inline int64_t step_of(const struct cpu *c, const struct op *o)
{
    return c->eflags & DF ? -(int64_t)o->aux : (int64_t)o->aux;
}
static inline uint64_t linear(struct cpu *c, const struct op *o, unsigned seg, uint64_t off, bool write)
{
    if (c->mode & MODE_64)
        return off + (seg == ABI_FS || seg == ABI_GS ? c->segbase[seg] : 0);
    seg_check(c, o, seg, off, o->aux, write);
    return (uint32_t)(off + c->segbase[seg]);
}
static inline uint64_t src_va(struct cpu *c, const struct op *o)
{
    return linear(c, o, o->seg == ABI_SEG_FLAT ? ABI_DS : o->seg, c->gpr[REG_RSI] & amask(o), false);
}
static inline uint64_t dst_va(struct cpu *c, const struct op *o, bool write)
{
    return linear(c, o, ABI_ES, c->gpr[REG_RDI] & amask(o), write);
}
static inline void advance(struct cpu *c, const struct op *o, unsigned reg, int64_t by)
{
    reg_set(c, o, reg, (c->gpr[reg] & amask(o)) + (uint64_t)by);
}
static inline uint64_t count(const struct cpu *c, const struct op *o)
{
    return c->gpr[REG_RCX] & amask(o);
}
static inline void count_sub(struct cpu *c, const struct op *o, uint64_t n)
{
    reg_set(c, o, REG_RCX, count(c, o) - n);
}

/* Elements from va upwards that lie in its page and may be handled at once; 0 if the first crosses. */
static uint64_t in_page(uint64_t va, unsigned size)
{
    return (0x1000 - (va & 0xfff)) / size;
}
/* Bulk work is for forward repeats in flat address arithmetic. */
static bool bulk_ok(const struct cpu *c, const struct op *o)
{
    return (c->mode & MODE_64) && o->dst == 64 && !(c->eflags & DF);
}

/* Leave a repeat that is not finished: the instruction is resumed after the event. */
static const struct op *repeat_again(struct cpu *c, const struct op *o)
{
    c->rip = c->gpr[REG_BLOCK] + o->off;
    c->eflags |= RF; /* in the image an event pushes here (SDM volume 3, 18.3.1.1) */
    return NULL;
}

static void store_pattern(uint8_t *p, uint64_t v, unsigned size, uint64_t n)
{
    if (size == 1 || (v == 0) || (v == ~0ull)) {
        memset(p, (int)(v & 0xff), n * size);
        return;
    }
    for (uint64_t i = 0; i < n; i++)
        memcpy(p + i * size, &v, size);
}
static uint64_t stos_bulk(struct cpu *c, const struct op *o, uint64_t left)
{
    uint64_t va = c->gpr[REG_RDI], n = in_page(va, o->aux), v = c->gpr[REG_RAX];
    if (o->aux < 8)
        v &= (1ull << (o->aux * 8)) - 1;
    if (o->aux == 4 && v == 0xffffffffu)
        v = ~0ull;
    if (n > left)
        n = left;
    uint8_t *p = n ? mmu_ptr_w(c, va, 1) : NULL;
    if (!p)
        return 0;
    store_pattern(p, v, o->aux, n);
    c->gpr[REG_RDI] += n * o->aux;
    return n;
}
OP(op_stos)
{
    bool rep = o->aux2, bulk = rep && bulk_ok(c, o), screen = rep && string_screen_possible(c);
    for (uint64_t left = rep ? count(c, o) : 1; left;) {
        uint64_t n = bulk ? stos_bulk(c, o, left) : 0;
        if (!n && screen)
            n = string_screen_fill(c, o, left);
        if (!n) {
            mem_store(c, o, dst_va(c, o, true), o->aux, c->gpr[REG_RAX]);
            advance(c, o, REG_RDI, step_of(c, o));
            n = 1;
        }
        left -= n;
        if (rep)
            count_sub(c, o, n);
        if (left && chain_poll(c))
            return repeat_again(c, o);
    }
    NEXT();
}

/* Forward copy by element order: an overlap where the destination follows the source by less than the
 * chunk repeats the source's bytes, which memmove would not; such chunks go element by element. */
static uint64_t movs_bulk(struct cpu *c, const struct op *o, uint64_t left)
{
    uint64_t s = c->gpr[REG_RSI] + (o->seg == ABI_SEG_FLAT ? 0 : c->segbase[o->seg]);
    uint64_t d = c->gpr[REG_RDI], n = in_page(s, o->aux), m = in_page(d, o->aux);
    if (m < n)
        n = m;
    if (n > left)
        n = left;
    uint8_t *ps = n ? mmu_ptr_r(c, s, 1) : NULL, *pd = n ? mmu_ptr_w(c, d, 1) : NULL;
    if (!ps || !pd || (pd > ps && pd < ps + n * o->aux))
        return 0;
    memmove(pd, ps, n * o->aux);
    c->gpr[REG_RSI] += n * o->aux;
    c->gpr[REG_RDI] += n * o->aux;
    return n;
}
OP(op_movs)
{
    bool rep = o->aux2, bulk = rep && bulk_ok(c, o), screen = rep && string_screen_possible(c);
    for (uint64_t left = rep ? count(c, o) : 1; left;) {
        uint64_t n = bulk ? movs_bulk(c, o, left) : 0;
        if (!n && screen)
            n = string_screen_move(c, o, left);
        if (!n) {
            uint64_t v = mem_load(c, o, src_va(c, o), o->aux);
            mem_store(c, o, dst_va(c, o, true), o->aux, v);
            advance(c, o, REG_RSI, step_of(c, o));
            advance(c, o, REG_RDI, step_of(c, o));
            n = 1;
        }
        left -= n;
        if (rep)
            count_sub(c, o, n);
        if (left && chain_poll(c))
            return repeat_again(c, o);
    }
    NEXT();
}
OP(op_lods)
{
    bool rep = o->aux2;
    for (uint64_t left = rep ? count(c, o) : 1; left; left--) {
        uint64_t v = mem_load(c, o, src_va(c, o), o->aux);
        if (o->aux == 1)
            WR8(0, (uint8_t)v);
        else if (o->aux == 2)
            WR16(REG_RAX, (uint16_t)v);
        else
            c->gpr[REG_RAX] = v;
        advance(c, o, REG_RSI, step_of(c, o));
        if (rep)
            count_sub(c, o, 1);
        if (left > 1 && chain_poll(c))
            return repeat_again(c, o);
    }
    NEXT();
}

static void compare(struct cpu *c, unsigned size, uint64_t a, uint64_t b)
{
    uint32_t f;
    switch (size) {
    case 1:
        __asm__("cmpb %2,%1" FL_SAVE : "=&a"(f) : "q"((T8)a), "q"((T8)b) : "cc");
        break;
    case 2:
        __asm__("cmpw %2,%1" FL_SAVE : "=&a"(f) : "r"((T16)a), "r"((T16)b) : "cc");
        break;
    case 4:
        __asm__("cmpl %2,%1" FL_SAVE : "=&a"(f) : "r"((T32)a), "r"((T32)b) : "cc");
        break;
    default:
        __asm__("cmpq %2,%1" FL_SAVE : "=&a"(f) : "r"(a), "r"(b) : "cc");
        break;
    }
    c->fl = (uint16_t)f;
}
/* After an element of CMPS or SCAS: does the repeat go on? */
static bool repeat_condition(const struct cpu *c, const struct op *o)
{
    return o->aux2 & REPE ? c->fl & FL_ZF : !(c->fl & FL_ZF);
}
OP(op_scas)
{
    bool rep = o->aux2;
    for (uint64_t left = rep ? count(c, o) : 1; left; left--) {
        uint64_t v = mem_load(c, o, dst_va(c, o, false), o->aux);
        compare(c, o->aux, c->gpr[REG_RAX], v);
        advance(c, o, REG_RDI, step_of(c, o));
        if (!rep)
            break;
        count_sub(c, o, 1);
        if (!repeat_condition(c, o))
            break;
        if (left > 1 && chain_poll(c))
            return repeat_again(c, o);
    }
    NEXT();
}
OP(op_cmps)
{
    bool rep = o->aux2;
    for (uint64_t left = rep ? count(c, o) : 1; left; left--) {
        uint64_t a, b;
        if (host_is_amd && !(o->aux2 == 1 && o->aux == 1)) { /* which of two faults comes first */
            b = mem_load(c, o, dst_va(c, o, false), o->aux);
            a = mem_load(c, o, src_va(c, o), o->aux);
        } else {
            a = mem_load(c, o, src_va(c, o), o->aux);
            b = mem_load(c, o, dst_va(c, o, false), o->aux);
        }
        compare(c, o->aux, a, b);
        advance(c, o, REG_RSI, step_of(c, o));
        advance(c, o, REG_RDI, step_of(c, o));
        if (!rep)
            break;
        count_sub(c, o, 1);
        if (!repeat_condition(c, o))
            break;
        if (left > 1 && chain_poll(c))
            return repeat_again(c, o);
    }
    NEXT();
}
OP(op_ins)
{
    bool rep = o->aux2;
    uint16_t port = (uint16_t)c->gpr[REG_RDX];
    io_check(c, o, port, o->aux);
    for (uint64_t left = rep ? count(c, o) : 1; left; left--) {
        uint64_t va = dst_va(c, o, true);
        mmu_probe_write(c, o, va, o->aux);
        mem_store(c, o, va, o->aux, pio_read(c, port, o->aux));
        advance(c, o, REG_RDI, step_of(c, o));
        if (rep)
            count_sub(c, o, 1);
        if (left > 1 && chain_poll(c))
            return repeat_again(c, o);
    }
    return cpu_leave(c, o);
}
OP(op_outs)
{
    bool rep = o->aux2;
    uint16_t port = (uint16_t)c->gpr[REG_RDX];
    io_check(c, o, port, o->aux);
    for (uint64_t left = rep ? count(c, o) : 1; left; left--) {
        pio_write(c, port, o->aux, (uint32_t)mem_load(c, o, src_va(c, o), o->aux));
        advance(c, o, REG_RSI, step_of(c, o));
        if (rep)
            count_sub(c, o, 1);
        if (left > 1 && chain_poll(c))
            return repeat_again(c, o);
    }
    return cpu_leave(c, o);
}
