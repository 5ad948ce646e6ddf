/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Going from one block to the next: direct links inside a page, the jump cache elsewhere, and the poll
 * every transition makes. Owns the fast paths; the slow lookup is run/run.c's.
 */
#ifndef BULKHEAD_CPU_WORKER_RUN_CHAIN_H
#define BULKHEAD_CPU_WORKER_RUN_CHAIN_H

#include "cpu-worker/run/block.h"
#include "cpu-worker/run/op.h"

#if defined(__OPTIMIZE__) && !defined(__SANITIZE_ADDRESS__) && !defined(BH_NO_TAILCALLS)
#define DISPATCH(OPP) return (OPP)->fn(c, (OPP))
#else
#define DISPATCH(OPP) return (OPP)
#endif

/* Something wants the vCPU's attention: an interrupt, a pause, or DMA into a page with code. */
static inline bool chain_poll(const struct cpu *c)
{
    return unlikely(c->exit_request | (__atomic_load_n(&c->cp->seq, __ATOMIC_RELAXED) ^ c->cp_seq));
}
static inline unsigned jc_index(uint64_t lip)
{ /* the low half of the index comes from inside the page: one page's entries lie in one group of 64 */
    return (unsigned)((((lip >> 12) ^ (lip >> 18)) & 63) << 6 | ((lip ^ (lip >> 6)) & 63));
}
#define ENTER(B, RIP)                                                                              \
    do {                                                                                           \
        c->gpr[REG_BLOCK] = (RIP);                                                                 \
        c->insns += (B)->n;                                                                        \
        DISPATCH((B)->ops);                                                                        \
    } while (0)

/* To a computed target. MISS runs when the target's block is not at hand. */
#define GOTO_RIP_OR(RIP, MISS)                                                                     \
    do {                                                                                           \
        uint64_t rip_ = (RIP), lip_ = rip_ + c->segbase[ABI_CS];                                   \
        const struct jc_entry *e_ = &c->jc[jc_index(lip_)];                                        \
        if (likely(e_->lip == lip_ && e_->key == c->jc_key && !chain_poll(c)))                     \
            ENTER(e_->block, rip_);                                                                \
        MISS;                                                                                      \
        c->rip = rip_;                                                                             \
        return NULL;                                                                               \
    } while (0)
#define GOTO_RIP(RIP) GOTO_RIP_OR(RIP, )
/* 64-bit mode: a target that is not canonical is a fault of the branch, whose change of the stack pointer
 * is taken back. No jump cache entry has such an address, so only a miss has to look. */
#define GOTO_RIP64(RIP, RSP_CHANGE)                                                                \
    GOTO_RIP_OR(RIP, if (unlikely(!cpu_canonical(c, rip_))) {              \
        c->gpr[REG_RSP] -= (uint64_t)(RSP_CHANGE);                                                 \
        cpu_raise_err(c, o, VEC_GP, 0);                                                            \
    })

/* To a direct target through a terminator slot: slot->imm is the linked block or 0. */
#define GOTO_LINK(SLOT, RIP)                                                                       \
    do {                                                                                           \
        struct op *slot_ = (struct op *)(SLOT);                                                    \
        struct block *b_ = (struct block *)(uintptr_t)slot_->imm;                                  \
        uint64_t to_ = (RIP);                                                                      \
        if (likely(b_ && !chain_poll(c)))                                                          \
            ENTER(b_, to_);                                                                        \
        return chain_miss(c, slot_, to_);                                                          \
    } while (0)

static inline const struct op *chain_miss(struct cpu *c, struct op *slot, uint64_t rip)
{
    uint64_t lip = rip + c->segbase[ABI_CS];
    const struct jc_entry *e = &c->jc[jc_index(lip)];
    if (!slot->imm && ((lip ^ (c->gpr[REG_BLOCK] + c->segbase[ABI_CS])) >> 12) == 0) {
        c->link_slot = slot;
        c->link_lip = c->gpr[REG_BLOCK] + c->segbase[ABI_CS];
    } else if (likely(e->lip == lip && e->key == c->jc_key && !chain_poll(c))) {
        ENTER(e->block, rip);
    }
    c->rip = rip;
    return NULL;
}

#endif
