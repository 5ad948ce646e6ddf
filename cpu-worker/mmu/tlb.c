/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The soft TLB: filling, contexts and flushing. A context number names one generation of one address
 * space; dropping an address space is taking a new number, and nothing is swept until the numbers run
 * out. Bit 0 of the tag is the rights (1 = user), so user and supervisor entries never mix.
 * Owns tlb[], tlb_gpa[], tlb_host_x[] and the contexts.
 */
#include "cpu-worker/mmu/tlb.h"
#include "cpu-worker/interp/stack.h"
#include "cpu-worker/mmio/mmio.h"
#include "cpu-worker/run/chain.h"
#include "cpu-worker/run/run.h"
#include "cpu-worker/run/team.h"

#define CTX_GENS 2047u /* 11 bits above the user bit */
#define CR4_PCIDE 0x20000u
#define ASIDS (sizeof(((struct cpu *)0)->asid) / sizeof(((struct cpu *)0)->asid[0]))

void jc_flush(struct cpu *c)
{
    c->jc_gen++;
    cpu_mode_update(c);
}

/* Sweep everything and start numbering again. */
void tlb_flush_all(struct cpu *c)
{
    for (unsigned i = 0; i < TLB_SIZE; i++)
        c->tlb[i].rtag = c->tlb[i].wtag = c->tlb[i].xtag = TLB_INVALID;
    for (unsigned i = 0; i < ASIDS; i++)
        c->asid[i].gen = 0;
    c->asid_next = 1;
    c->lg_filter = 0;
    tlb_context_update(c);
    jc_flush(c);
}

static uint32_t gen_new(struct cpu *c)
{
    if (c->asid_next >= CTX_GENS) {
        for (unsigned i = 0; i < TLB_SIZE; i++)
            c->tlb[i].rtag = c->tlb[i].wtag = c->tlb[i].xtag = TLB_INVALID;
        for (unsigned i = 0; i < ASIDS; i++)
            c->asid[i].gen = 0;
        c->asid_next = 1;
        c->lg_filter = 0;
        c->jc_gen++;
    }
    return c->asid_next++;
}

/* The slot of the current PCID (0 where PCIDs are off); the oldest is taken over if there is none. */
static unsigned asid_slot(struct cpu *c)
{
    uint64_t pcid = c->s->cr4 & CR4_PCIDE ? c->s->cr3 & 0xfff : 0;
    unsigned victim = 0;
    for (unsigned i = 0; i < ASIDS; i++) {
        if (c->asid[i].gen && c->asid[i].pcid == pcid) {
            c->asid[i].age = ++c->asid_age;
            return i;
        }
        if (!c->asid[i].gen || (c->asid[victim].gen && c->asid[i].age < c->asid[victim].age))
            victim = i;
    }
    uint32_t gen = gen_new(c);
    c->asid[victim].pcid = pcid;
    c->asid[victim].gen = gen;
    c->asid[victim].age = ++c->asid_age;
    return victim;
}

void tlb_context_update(struct cpu *c)
{
    c->mem_user = c->cpl == 3;
    c->ctx = c->asid[asid_slot(c)].gen << 1 | c->mem_user;
}
void tlb_flush_context(struct cpu *c)
{
    c->asid[asid_slot(c)].gen = 0;
    tlb_context_update(c);
    cpu_mode_update(c);
}
void tlb_cr3_loaded(struct cpu *c, bool noflush)
{
    if (!noflush)
        tlb_flush_context(c);
    else
        tlb_context_update(c);
    cpu_mode_update(c);
}

static void entry_drop(struct cpu *c, unsigned i)
{
    c->tlb[i].rtag = c->tlb[i].wtag = c->tlb[i].xtag = TLB_INVALID;
}
static uint64_t large_bit(uint64_t va)
{
    return 1ull << ((va >> 30) & 63);
}
/* INVLPG. Pieces of a large page are dropped together: up to 1 GiB around va, all contexts. */
void tlb_flush_page(struct cpu *c, uint64_t va)
{
    entry_drop(c, (va >> 12) & (TLB_SIZE - 1));
    if (c->lg_filter & large_bit(va)) {
        for (unsigned i = 0; i < TLB_SIZE; i++) {
            uint64_t tag = c->tlb[i].rtag & c->tlb[i].xtag;
            if ((c->tlb_gpa[i] & 1) && ((tag ^ va) >> 30) == 0)
                entry_drop(c, i);
        }
    }
    unsigned group = jc_index(va & ~0xfffull) & ~63u, before = jc_index((va & ~0xfffull) - 4096) & ~63u;
    for (unsigned i = 0; i < 64; i++) /* blocks that start in this page, or run into it */
        c->jc[group + i].lip = c->jc[before + i].lip = ~0ull;
    c->link_slot = NULL;
}

void tlb_protect_code(struct cpu *c, const uint8_t *host_page)
{
    for (unsigned i = 0; i < TLB_SIZE; i++)
        if (c->tlb[i].wtag != TLB_INVALID &&
            ((c->tlb[i].wtag & ~0xfffull) + c->tlb[i].addend) == (uintptr_t)host_page)
            c->tlb[i].wtag = TLB_INVALID;
}

void tlb_protect_all(struct cpu *c)
{
    for (unsigned i = 0; i < TLB_SIZE; i++)
        c->tlb[i].wtag = TLB_INVALID;
}

bool va_canonical(const struct cpu *c, uint64_t va)
{
    return !(c->mode & MODE_64) || cpu_canonical(va);
}

/* Put a successful walk into the TLB. */
static void tlb_fill(struct cpu *c, uint64_t va, const struct walk *w, struct translation *t)
{
    unsigned i = (va >> 12) & (TLB_SIZE - 1);
    struct tlb_entry *e = &c->tlb[i];
    uint64_t tag = (va & ~0xfffull) | c->ctx;
    bool host_writable;

    t->gpa = w->gpa;
    t->host = mem_host(c->mem, w->gpa, &host_writable, &t->ram_off);
    t->writable_host = host_writable;
    if (!t->host) {
        return;
    }
    e->addend = (uintptr_t)t->host - va;
    e->rtag = tag;
    e->wtag = w->writable && host_writable && !team_page_has_code(c->team, t->ram_off) ? tag : TLB_INVALID;
    e->xtag = w->fetchable ? tag : TLB_INVALID;
    c->tlb_gpa[i] = (w->gpa & ~0xfffull) | w->large;
    c->tlb_host_x[i] = t->host - (w->gpa & 0xfff);
    if (w->large)
        c->lg_filter |= large_bit(va);
}

void mmu_translate(struct cpu *c, const struct op *o, uint64_t va, enum mmu_access acc,
                   struct translation *t)
{
    struct walk w;
    if (!va_canonical(c, va))
        cpu_raise_err(c, o, o->seg == ABI_SS ? VEC_SS : VEC_GP, 0);
    if (!walk_page(c, va, acc, c->mem_user, &w))
        cpu_raise_pf(c, o, va, w.error);
    tlb_fill(c, va, &w, t);
}

bool mmu_fetch_probe(struct cpu *c, uint64_t lip, const uint8_t **host, uint64_t *gpa,
                     uint64_t *ram_off)
{
    unsigned i = (lip >> 12) & (TLB_SIZE - 1);
    if (c->tlb[i].xtag != ((lip & ~0xfffull) | c->ctx)) {
        struct walk w;
        struct translation t;
        if (!va_canonical(c, lip) || !walk_page(c, lip, MMU_FETCH, c->mem_user, &w))
            return false;
        tlb_fill(c, lip, &w, &t);
        *host = t.host;
        *gpa = t.gpa;
        *ram_off = t.ram_off;
        return true;
    }
    bool writable;
    *host = c->tlb_host_x[i] + (lip & 0xfff);
    *gpa = (c->tlb_gpa[i] & ~0xfffull) | (lip & 0xfff);
    mem_host(c->mem, *gpa, &writable, ram_off);
    return true;
}

const uint8_t *mmu_fetch(struct cpu *c, uint64_t lip, uint64_t *gpa, uint64_t *ram_off)
{
    unsigned i = (lip >> 12) & (TLB_SIZE - 1);
    if (likely(c->tlb[i].xtag == ((lip & ~0xfffull) | c->ctx))) {
        *gpa = (c->tlb_gpa[i] & ~0xfffull) | (lip & 0xfff);
        if (ram_off)
            *ram_off = ~0ull;
        return c->tlb_host_x[i] + (lip & 0xfff);
    }
    struct translation t;
    mmu_translate(c, &cpu_no_op, lip, MMU_FETCH, &t);
    *gpa = t.gpa;
    if (ram_off)
        *ram_off = t.ram_off;
    return t.host;
}
