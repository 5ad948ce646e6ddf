/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The second level of the soft TLB: 4 KiB translations of several address spaces in one table, and pages
 * of 2 MiB, 4 MiB and 1 GiB as one entry each in another. A refill from here walks no tables. Entries
 * carry what the page tables say, so that a change of rights leaves them alone. Global pages have
 * generation 0 and outlive loads of CR3.
 */
#include "cpu-worker/mmu/tlb.h"

static unsigned small_index(uint64_t va, uint32_t gen)
{
    return (unsigned)((va >> 12) ^ (va >> 24) ^ gen * 0x9e5u) & (TLB2_SIZE - 1);
}
static unsigned large_index(uint64_t va, unsigned kind, uint32_t gen)
{
    return (unsigned)((va >> page_shift(kind)) ^ gen * 0x9eu ^ kind << 6) & (TLB2_LARGE - 1);
}
static uint64_t tag_of(uint64_t va, unsigned kind, uint32_t gen)
{
    unsigned s = page_shift(kind);
    return (va >> s << s) | kind << 10 | gen;
}
static struct tlb2_entry *slot(struct cpu *c, uint64_t va, unsigned kind, uint32_t gen)
{
    return kind == PAGE_4K ? &c->tlb2[small_index(va, gen)] : &c->tlb2_large[large_index(va, kind, gen)];
}

static bool probe(const struct cpu *c, uint64_t va, unsigned kind, uint32_t gen, uint64_t *page)
{
    const struct tlb2_entry *e = slot((struct cpu *)c, va, kind, gen);
    *page = e->page;
    return e->tag == tag_of(va, kind, gen);
}
bool tlb2_find(const struct cpu *c, uint64_t va, uint64_t *page)
{
    uint32_t gen = c->ctx >> 2;
    if (probe(c, va, PAGE_4K, gen, page))
        return true;
    for (uint32_t kinds = c->tlb2_kinds; kinds; kinds &= kinds - 1) {
        unsigned k = (unsigned)__builtin_ctz(kinds);
        if (probe(c, va, k & 3, k & 4 ? 0 : gen, page))
            return true;
    }
    return false;
}

/* A large entry that is pushed out may leave pieces behind in the first level: remember where. */
static uint64_t region_bit(uint64_t va)
{
    return 1ull << ((va >> 30) & 63);
}
void tlb2_insert(struct cpu *c, uint64_t va, uint64_t page)
{
    unsigned kind = PAGE_KIND(page);
    bool global = page & PAGE_G;
    uint32_t gen = global ? 0 : c->ctx >> 2;
    struct tlb2_entry *e = slot(c, va, kind, gen);
    uint64_t tag = tag_of(va, kind, gen);
    if (kind != PAGE_4K && e->tag != TLB_INVALID && e->tag != tag)
        c->lg_filter |= region_bit(e->tag);
    e->tag = tag;
    e->page = page;
    if (kind != PAGE_4K || global)
        c->tlb2_kinds |= 1u << (kind | (global ? 4 : 0));
}

static bool drop_one(struct cpu *c, uint64_t va, unsigned kind, uint32_t gen)
{
    struct tlb2_entry *e = slot(c, va, kind, gen);
    if (e->tag != tag_of(va, kind, gen))
        return false;
    e->tag = TLB_INVALID;
    return true;
}
bool tlb2_drop(struct cpu *c, uint64_t va, uint32_t gen, bool global, uint64_t *base, uint64_t *len)
{
    unsigned largest = PAGE_4K;
    drop_one(c, va, PAGE_4K, gen);
    for (uint32_t kinds = c->tlb2_kinds; kinds; kinds &= kinds - 1) {
        unsigned k = (unsigned)__builtin_ctz(kinds);
        if (k & 4 && !global)
            break;
        if (drop_one(c, va, k & 3, k & 4 ? 0 : gen) && (k & 3) > largest)
            largest = k & 3;
    }
    if (c->lg_filter & region_bit(va))
        largest = PAGE_1G;
    *len = 1ull << page_shift(largest);
    *base = va & ~(*len - 1);
    return largest != PAGE_4K;
}

static void table_clear(struct tlb2_entry *e, unsigned n, bool keep_global)
{
    for (unsigned i = 0; i < n; i++)
        if (!keep_global || (e[i].tag & 0x3ff))
            e[i].tag = TLB_INVALID;
}
void tlb2_clear(struct cpu *c, bool keep_global)
{
    table_clear(c->tlb2, TLB2_SIZE, keep_global);
    table_clear(c->tlb2_large, TLB2_LARGE, keep_global);
    c->tlb2_kinds &= keep_global ? 0xf0 : 0;
}
