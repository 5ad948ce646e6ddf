/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Page walks for 32-bit, PAE and 4-level paging (SDM volume 3, chapter 4). Entries are read once; the
 * accessed and dirty bits are set with a compare-and-exchange on the entry that was read.
 */
#include "cpu-worker/mmu/walk.h"
#include "cpu-worker/mmio/mmio.h"

#define PTE_P   0x1ull
#define PTE_W   0x2ull
#define PTE_U   0x4ull
#define PTE_A   0x20ull
#define PTE_D   0x40ull
#define PTE_PS  0x80ull
#define PTE_G   0x100ull
#define PTE_NX  (1ull << 63)
#define CR0_PG  0x80000000u
#define CR0_WP  0x10000u
#define CR4_PSE 0x10u
#define CR4_PAE 0x20u
#define CR4_PGE 0x80u
#define CR4_SMEP 0x100000u
#define CR4_SMAP 0x200000u
#define EFER_LMA 0x400u
#define EFER_NXE 0x800u
#define ERR_P 1u
#define ERR_W 2u
#define ERR_U 4u
#define ERR_RSVD 8u
#define ERR_I 16u
#define PHYS_BITS 40
#define PHYS_MASK ((1ull << PHYS_BITS) - 1)

struct level {
    uint64_t pte;
    uint8_t *host; /* NULL: the table is not in memory */
};

/* Read an entry; size 4 or 8. Tables outside memory read as zero: not present. */
static struct level entry_read(struct cpu *c, uint64_t gpa, unsigned size)
{
    bool writable;
    uint64_t off;
    struct level l = {0, mem_host(c->mem, gpa, &writable, &off)};
    if (!l.host)
        return l;
    if (size == 8)
        l.pte = __atomic_load_n((uint64_t *)l.host, __ATOMIC_RELAXED);
    else
        l.pte = __atomic_load_n((uint32_t *)l.host, __ATOMIC_RELAXED);
    if (!writable)
        l.host = NULL; /* in ROM: A and D are lost, as on hardware */
    return l;
}
/* Set bits in the entry that was read; false: it changed meanwhile, walk again. */
static bool entry_set(struct level *l, unsigned size, uint64_t bits)
{
    if ((l->pte & bits) == bits || !l->host)
        return true;
    if (size == 8) {
        uint64_t old = l->pte;
        return __atomic_compare_exchange_n((uint64_t *)l->host, &old, old | bits, false,
                                           __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);
    }
    uint32_t old = (uint32_t)l->pte;
    return __atomic_compare_exchange_n((uint32_t *)l->host, &old, old | (uint32_t)bits, false,
                                       __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);
}

struct rights {
    bool w, u, nx;
};
static void rights_and(struct rights *r, uint64_t pte)
{
    r->w &= !!(pte & PTE_W);
    r->u &= !!(pte & PTE_U);
    r->nx |= !!(pte & PTE_NX);
}

static bool smap_blocks(const struct cpu *c)
{
    return (c->s->cr4 & CR4_SMAP) && !(c->eflags & 0x40000);
}
static bool write_allowed(const struct cpu *c, const struct rights *r, bool user)
{
    if (user)
        return r->u && r->w;
    if (r->u && smap_blocks(c))
        return false;
    return r->w || !(c->s->cr0 & CR0_WP);
}
static bool fetch_allowed(const struct cpu *c, const struct rights *r, bool user)
{
    if (r->nx && (c->s->efer & EFER_NXE))
        return false;
    return user ? r->u : !(r->u && (c->s->cr4 & CR4_SMEP));
}
static bool access_allowed(const struct cpu *c, const struct rights *r, enum mmu_access acc, bool user)
{
    if (acc == MMU_WRITE)
        return write_allowed(c, r, user);
    if (acc == MMU_FETCH)
        return fetch_allowed(c, r, user);
    return user ? r->u : !(r->u && smap_blocks(c));
}
static uint32_t error_code(const struct cpu *c, enum mmu_access acc, bool user, uint32_t why)
{
    bool nx = ((c->s->efer & EFER_NXE) && (c->s->cr4 & CR4_PAE)) || (c->s->cr4 & CR4_SMEP);
    return why | (acc == MMU_WRITE ? ERR_W : 0) | (user ? ERR_U : 0) |
           (acc == MMU_FETCH && nx ? ERR_I : 0);
}
static uint64_t reserved_bits(const struct cpu *c)
{
    return (~PHYS_MASK & 0x000fffffffffffffull) | (c->s->efer & EFER_NXE ? 0 : PTE_NX);
}

/* The leaf is found: permissions, A and D, result. 1 done, 0 fault, -1 walk again. */
static int leaf_finish(struct cpu *c, struct walk *w, struct level *l, unsigned size,
                       const struct rights *r, enum mmu_access acc, bool user)
{
    if (!access_allowed(c, r, acc, user)) {
        w->error = error_code(c, acc, user, ERR_P);
        return 0;
    }
    if (!entry_set(l, size, PTE_A | (acc == MMU_WRITE ? PTE_D : 0)))
        return -1;
    w->writable = (acc == MMU_WRITE || (l->pte & PTE_D)) && write_allowed(c, r, user);
    w->fetchable = fetch_allowed(c, r, user);
    w->global = (l->pte & PTE_G) && (c->s->cr4 & CR4_PGE);
    return 1;
}
static int not_present(struct cpu *c, struct walk *w, enum mmu_access acc, bool user, uint32_t why)
{
    w->error = error_code(c, acc, user, why);
    return 0;
}

/* PAE and 4-level: 8-byte entries. top = first level (4: PML4, 3: PDPT, 2: PD under PAE). */
static int walk_8byte(struct cpu *c, uint64_t va, enum mmu_access acc, bool user, struct walk *w,
                      unsigned top, uint64_t table, struct rights r)
{
    for (unsigned lvl = top; lvl >= 1; lvl--) {
        unsigned shift = 12 + 9 * (lvl - 1);
        struct level l = entry_read(c, table + ((va >> shift) & 511) * 8, 8);
        if (!(l.pte & PTE_P))
            return not_present(c, w, acc, user, 0);
        uint64_t rsvd = reserved_bits(c);
        bool leaf = lvl == 1 || (lvl <= 3 && (l.pte & PTE_PS));
        if (leaf && lvl > 1)
            rsvd |= ((1ull << shift) - 1) & ~0x1fffull;
        else if (!leaf && lvl >= 3)
            rsvd |= lvl == 4 ? PTE_PS : 0;
        if (l.pte & rsvd)
            return not_present(c, w, acc, user, ERR_P | ERR_RSVD);
        rights_and(&r, l.pte);
        if (leaf) {
            uint64_t mask = (1ull << shift) - 1;
            w->gpa = (l.pte & PHYS_MASK & ~mask & ~0xfffull) | (va & mask);
            w->large = lvl > 1;
            return leaf_finish(c, w, &l, 8, &r, acc, user);
        }
        if (!entry_set(&l, 8, PTE_A))
            return -1;
        table = l.pte & PHYS_MASK & ~0xfffull;
    }
    return 0;
}
static int walk_pae(struct cpu *c, uint64_t va, enum mmu_access acc, bool user, struct walk *w)
{
    struct level l = entry_read(c, (c->s->cr3 & 0xffffffe0u) + ((va >> 30) & 3) * 8, 8);
    if (!(l.pte & PTE_P))
        return not_present(c, w, acc, user, 0);
    return walk_8byte(c, va, acc, user, w, 2, l.pte & PHYS_MASK & ~0xfffull,
                      (struct rights){true, true, false});
}
static int walk_2level(struct cpu *c, uint64_t va, enum mmu_access acc, bool user, struct walk *w)
{
    struct rights r = {true, true, false};
    struct level l = entry_read(c, (c->s->cr3 & 0xfffff000u) + ((va >> 22) & 1023) * 4, 4);
    if (!(l.pte & PTE_P))
        return not_present(c, w, acc, user, 0);
    rights_and(&r, l.pte);
    if ((l.pte & PTE_PS) && (c->s->cr4 & CR4_PSE)) {
        if (l.pte & 0x200000) /* PSE-36: bits 13-20 are address bits 32-39, bit 21 is reserved */
            return not_present(c, w, acc, user, ERR_P | ERR_RSVD);
        w->gpa = ((l.pte >> 13 & 0xff) << 32) | (l.pte & 0xffc00000u) | (va & 0x3fffff);
        w->large = true;
        return leaf_finish(c, w, &l, 4, &r, acc, user);
    }
    if (!entry_set(&l, 4, PTE_A))
        return -1;
    struct level p = entry_read(c, (l.pte & 0xfffff000u) + ((va >> 12) & 1023) * 4, 4);
    if (!(p.pte & PTE_P))
        return not_present(c, w, acc, user, 0);
    rights_and(&r, p.pte);
    w->gpa = (p.pte & 0xfffff000u) | (va & 0xfff);
    return leaf_finish(c, w, &p, 4, &r, acc, user);
}

bool walk_page(struct cpu *c, uint64_t va, enum mmu_access acc, bool user, struct walk *w)
{
    *w = (struct walk){0};
    if (!(c->s->cr0 & CR0_PG)) {
        w->gpa = (uint32_t)va;
        w->writable = w->fetchable = true;
        return true;
    }
    int r;
    do {
        if (c->s->efer & EFER_LMA)
            r = walk_8byte(c, va, acc, user, w, 4, c->s->cr3 & PHYS_MASK & ~0xfffull,
                           (struct rights){true, true, false});
        else if (c->s->cr4 & CR4_PAE)
            r = walk_pae(c, (uint32_t)va, acc, user, w);
        else
            r = walk_2level(c, (uint32_t)va, acc, user, w);
    } while (r < 0);
    return r;
}
