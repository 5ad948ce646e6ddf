/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Entering translated code and what follows when it comes back: the next translation, one instruction by the
 * interpreter, or the run loop. Must never let an instruction that a translation refused meet a translation.
 */
#include "cpu-worker/run/chain.h"
#include "cpu-worker/run/run.h"
#include "cpu-worker/run/xl-run.h"
#include "cpu-worker/run/xl.h"

enum { HOW_LEAVE, HOW_POLL, HOW_LINK, HOW_JUMP };
enum { COLD = 1, COLD_SPLIT }; /* c->xl_cold */

/* link_slot of the interpreter and of translations are told apart by the low bit. */
static struct op *slot_word(uint32_t n)
{
    return (struct op *)((uintptr_t)n << 1 | 1);
}
bool xl_is_slot(const struct op *link_slot)
{
    return (uintptr_t)link_slot & 1;
}
void xl_linked(struct cpu *c, struct block *to)
{
    if (to->xl_state != XL_BOUND)
        return;
    c->xl_slot[(uintptr_t)c->link_slot >> 1] = (uintptr_t)to->xl_code;
    c->xl->ring->n[XL_N_LINKED]++;
}

/* Indirect jumps of translated code find the block at this address from now on. */
static void jc_put(struct cpu *c, uint64_t lip, const struct block *b)
{
    struct abi_xl_jc *e = &c->xl_jc[abi_xl_jc_index(lip)];
    unsigned page = (lip >> 12) & 4095;
    if (e->nlip == -lip && e->nkey == -c->jc_key)
        return;
    const struct jc_entry *same = &c->jc[jc_index(lip)]; /* came here by it, or by a link in the page */
    if ((same->lip != lip || same->key != c->jc_key) && !tlb_code_jumps(c, lip))
        return;
    e->nlip = -lip;
    e->nkey = -c->jc_key;
    e->tb = (uintptr_t)b->xl_code;
    e->page = lip & ~0xfffull;
    c->xl->page_seen[page / 64] |= 1ull << (page % 64);
}
static struct block *jc_find(struct cpu *c, uint64_t lip)
{
    const struct jc_entry *e = &c->jc[jc_index(lip)];
    return e->lip == lip && e->key == c->jc_key && !e->block->dead ? e->block : NULL;
}

/* The block at c->rip, if something leads there already and nothing wants the vCPU's attention. */
static struct block *at_hand(struct cpu *c)
{
    return chain_poll(c) ? NULL : jc_find(c, c->rip);
}
/* A link that led nowhere. */
static struct block *follow(struct cpu *c, uint32_t n)
{
    struct xl *x = c->xl;
    const struct block *from = x->owner[n & (ABI_XL_SLOTS - 1)];
    c->rip = c->pgbase + ((uint32_t)from->xl_exits[n - from->xl_slot] & 0xfff);
    c->link_slot = slot_word(n);
    c->link_lip = c->rip;
    x->ring->n[XL_N_LINK]++;
    struct block *to = at_hand(c);
    if (to) {
        xl_linked(c, to);
        c->link_slot = NULL;
    }
    return to;
}

const struct op *xl_cold_start(struct cpu *c, struct block *b)
{
    if (c->xl_cold == COLD_SPLIT && b->xl_state != XL_BOUND)
        block_split(c, b);
    c->xl_cold = 0;
    c->gpr[REG_BLOCK] = c->rip;
    c->insns += b->n;
    return b->first(c, b->ops);
}
/* The instruction at c->rip is the interpreter's. An instruction that cannot be translated gets a block of its
 * own, so that what follows it can be. */
static const struct op *interpret_one(struct cpu *c, unsigned why)
{
    struct block *b = jc_find(c, c->rip);
    c->xl_cold = why == ABI_XL_WHY_INSN ? COLD_SPLIT : COLD;
    return b ? xl_cold_start(c, b) : NULL;
}

OP(op_xl_enter)
{
    const struct block *b = (const struct block *)((uintptr_t)o - offsetof(struct block, ops));
    uint64_t *n = c->xl->ring->n;
    if (unlikely(c->ctx & 2)) /* special rights, CTX_AC and CTX_CHECK: windows say nothing about them */
        return b->first(c, o);
    c->rip = c->gpr[REG_BLOCK];
    do {
        c->pgbase = c->rip & ~0xfffull;
        jc_put(c, c->rip, b);
        n[XL_N_ENTER]++;
        uint64_t how = xl_stub_enter(c, b->xl_code);
        unsigned why = how >> 8 & 0xff;
        switch (how & 0xff) {
        case HOW_LEAVE:
            n[XL_N_LEAVE + (why < ABI_XL_WHYS ? why : 0)]++;
            return interpret_one(c, why);
        case HOW_LINK:
            b = follow(c, (uint32_t)(how >> 32));
            break;
        case HOW_JUMP:
            n[XL_N_JUMP]++;
            b = at_hand(c);
            break;
        default:
            n[XL_N_POLL]++;
            return NULL;
        }
    } while (b && b->xl_state == XL_BOUND);
    if (!b)
        return NULL;
    ENTER(b, c->rip);
}

uint64_t xl_miss(struct cpu *c, uint64_t va, uint32_t what)
{
    bool ok = tlb_fill_plain(c, va, ABI_XL_MISS_SIZE(what), what & ABI_XL_MISS_WRITE, what & ABI_XL_MISS_AHEAD);
    c->xl->ring->n[ok ? XL_N_FILL : XL_N_FILL_NO]++;
    return !ok;
}
