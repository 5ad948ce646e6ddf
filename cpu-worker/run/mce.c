/* SPDX-License-Identifier: Apache-2.0 */
/* See mce.h. */
#include "cpu-worker/run/mce.h"

#include "cpu-worker/run/run.h"

#define CR4_MCE   0x40u
#define MCG_MCIP  4u
#define STATUS_VAL   (1ull << 63)
#define STATUS_OVER  (1ull << 62)
#define STATUS_UC    (1ull << 61)
#define STATUS_MISCV (1ull << 59)
#define STATUS_ADDRV (1ull << 58)

static uint32_t *seen(const struct cpu *c)
{
    return &c->page->run[c->index].mce_seen;
}
bool mce_waits(const struct cpu *c)
{
    return __atomic_load_n(&c->page->mce[c->index].seq, __ATOMIC_ACQUIRE) != __atomic_load_n(seen(c), __ATOMIC_RELAXED);
}

/* An error that is there stays, unless the new one is uncorrected and it was not (15.3.2.2.1). */
static void bank_log(struct abi_mce_bank *b, const struct abi_mce *e)
{
    bool had = b->status & STATUS_VAL;
    if (had && ((b->status & STATUS_UC) || !(e->status & STATUS_UC))) {
        b->status |= STATUS_OVER;
        return;
    }
    b->status = e->status | STATUS_VAL | (had ? STATUS_OVER : 0);
    b->addr = e->status & STATUS_ADDRV ? e->addr : 0;
    b->misc = e->status & STATUS_MISCV ? e->misc : 0;
}
void mce_take(struct cpu *c)
{
    struct abi_vcpu_state *s = c->s;
    struct abi_mce e = c->page->mce[c->index]; /* the vmm writes it before seq */
    __atomic_store_n(seen(c), e.seq, __ATOMIC_RELAXED);
    if (!cpu_has(c, FEAT_MCA) || e.bank >= ABI_MCE_BANKS)
        return;
    bool uncorrected = e.status & STATUS_UC;
    if (uncorrected && (s->mcg_ctl != ~0ull || s->mci_ctl[e.bank] != ~0ull))
        return; /* reporting is switched off */
    if (uncorrected && ((s->mcg_status & MCG_MCIP) || !(s->cr4 & CR4_MCE))) {
        c->shutdown = true;
        return;
    }
    bank_log(&s->mce_bank[e.bank], &e);
    if (!uncorrected)
        return;
    s->mcg_status = (e.mcg_status & 3) | MCG_MCIP;
    s->halted = 0;
    cpu_deliver(c, VEC_MC, EVENT_EXTERNAL, false, 0);
}
