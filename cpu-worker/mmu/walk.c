/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Page walks for 32-bit, PAE, 4-level and 5-level paging (SDM volume 3, chapter 4). Entries are read once;
 * the accessed and dirty bits are set with a compare-and-exchange on the entry that was read, so that a
 * table changed by another processor in between is walked again.
 */
#include "cpu-worker/mmu/walk.h"
#include "cpu-worker/mmio/mmio.h"
#include "cpu-worker/mmu/control.h"

#define PTE_P   0x1ull
#define PTE_W   0x2ull
#define PTE_U   0x4ull
#define PTE_A   0x20ull
#define PTE_D   0x40ull
#define PTE_PS  0x80ull
#define PTE_G   0x100ull
#define PTE_NX  (1ull << 63)
#define ERR_P 1u
#define ERR_W 2u
#define ERR_U 4u
#define ERR_RSVD 8u
#define ERR_I 16u
#define ERR_PK 32u
#define ADDRESS 0x000ffffffffff000ull

struct level {
    uint64_t pte, gpa;
    unsigned size;
    uint8_t *host; /* NULL: the table is not in memory */
    bool rom;
};

static struct level entry_read(struct cpu *c, uint64_t gpa, unsigned size)
{
    bool writable;
    struct level l = {.gpa = gpa, .size = size, .host = mem_host(c->mem, gpa, &writable, NULL)};
    if (!l.host)
        l.pte = mmio_read(c, gpa, size);
    else if (size == 8)
        l.pte = __atomic_load_n((uint64_t *)l.host, __ATOMIC_RELAXED);
    else
        l.pte = __atomic_load_n((uint32_t *)l.host, __ATOMIC_RELAXED);
    l.rom = l.host && !writable;
    return l;
}
/* Set bits in the entry that was read; false: it changed meanwhile, walk again. In ROM they are lost. */
static bool entry_set(struct cpu *c, struct level *l, uint64_t bits)
{
    if ((l->pte & bits) == bits || l->rom)
        return true;
    if (!l->host) {
        mmio_write(c, l->gpa, l->size, l->pte | bits);
        return true;
    }
    if (l->size == 8) {
        uint64_t old = l->pte;
        return __atomic_compare_exchange_n((uint64_t *)l->host, &old, old | bits, false,
                                           __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);
    }
    uint32_t old = (uint32_t)l->pte;
    return __atomic_compare_exchange_n((uint32_t *)l->host, &old, old | (uint32_t)bits, false,
                                       __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);
}

/* ---- rights ---- */

static unsigned allowed(const struct cpu *c, unsigned rights, unsigned f)
{
    uint64_t cr4 = c->s->cr4;
    bool w = f & PAGE_W, u = f & PAGE_U, nx = f & PAGE_NX;
    if (!(c->s->cr0 & CR0_PG))
        return ALLOW_R | ALLOW_W | ALLOW_X;
    if (rights == CTX_USER)
        return u ? ALLOW_R | (w ? ALLOW_W : 0) | (nx ? 0 : ALLOW_X) : 0;
    unsigned r = nx || (u && (cr4 & CR4_SMEP)) ? 0 : ALLOW_X;
    if (u && (cr4 & CR4_SMAP) && rights != CTX_AC)
        return r;
    return r | ALLOW_R | (w || !(c->s->cr0 & CR0_WP) ? ALLOW_W : 0);
}
void page_rights_update(struct cpu *c)
{
    for (unsigned r = 0; r < 3; r++)
        for (unsigned f = 0; f < 8; f++)
            c->allow[r][f] = (uint8_t)allowed(c, r, f);
    c->va_shift = (c->s->cr4 & CR4_LA57) && (c->s->efer & EFER_LMA) ? 7 : 16;
}
/* Protection keys: data accesses to user pages in IA-32e mode (SDM volume 3, 4.6.2). */
static unsigned key_allows(const struct cpu *c, uint64_t page, unsigned rights)
{
    unsigned all = ALLOW_R | ALLOW_W | ALLOW_X;
    if (!(c->s->cr4 & CR4_PKE) || !(c->s->efer & EFER_LMA) || !(page & PAGE_U))
        return all;
    unsigned key = c->s->pkru >> (2 * PAGE_KEY(page));
    if (key & 1)
        return ALLOW_X;
    return (key & 2) && (rights == CTX_USER || (c->s->cr0 & CR0_WP)) ? all & ~ALLOW_W : all;
}
unsigned page_allows(const struct cpu *c, uint64_t page, unsigned rights)
{
    unsigned a = c->allow[rights][page & 7];
    return __builtin_expect(!(c->s->cr4 & CR4_PKE), 1) ? a : a & key_allows(c, page, rights);
}

static unsigned rights_of(const struct cpu *c)
{
    return (c->ctx & 3) == CTX_CHECK ? CTX_USER : c->ctx & 3;
}
static uint32_t error_code(const struct cpu *c, enum mmu_access acc, uint32_t why)
{
    bool nx = ((c->s->efer & EFER_NXE) && (c->s->cr4 & CR4_PAE)) || (c->s->cr4 & CR4_SMEP);
    return why | (acc == MMU_WRITE ? ERR_W : 0) | (c->ctx & 1 ? ERR_U : 0) |
           (acc == MMU_FETCH && nx ? ERR_I : 0);
}
static int fault(const struct cpu *c, struct walk *w, enum mmu_access acc, uint32_t why)
{
    w->error = error_code(c, acc, why);
    return 0;
}

/* ---- walks: 1 done, 0 fault, -1 walk again ---- */

/* The leaf is found, rights collected in page: permissions, A and D, result. */
static int leaf_finish(struct cpu *c, struct walk *w, struct level *l, uint64_t page, enum mmu_access acc)
{
    static const uint8_t need[] = {[MMU_READ] = ALLOW_R, [MMU_WRITE] = ALLOW_W, [MMU_FETCH] = ALLOW_X};
    unsigned rights = rights_of(c);
    if (!(page_allows(c, page, rights) & need[acc])) {
        bool key = acc != MMU_FETCH && !(key_allows(c, page, rights) & need[acc]);
        return fault(c, w, acc, ERR_P | (key ? ERR_PK : 0));
    }
    if (!entry_set(c, l, PTE_A | (acc == MMU_WRITE ? PTE_D : 0)))
        return -1;
    if (acc == MMU_WRITE || (l->pte & PTE_D))
        page |= PAGE_D;
    if ((l->pte & PTE_G) && (c->s->cr4 & CR4_PGE))
        page |= PAGE_G;
    w->page = page;
    return 1;
}
static uint64_t rights_and(const struct cpu *c, uint64_t page, uint64_t pte)
{
    if (!(pte & PTE_W))
        page &= ~PAGE_W;
    if (!(pte & PTE_U))
        page &= ~PAGE_U;
    return (pte & PTE_NX) && (c->s->efer & EFER_NXE) ? page | PAGE_NX : page;
}
/* Bits that must be zero: above MAXPHYADDR (under PAE up to bit 62), NX when it is off, the low address
 * bits of large pages, PS where there is no large page. */
static uint64_t reserved_8byte(const struct cpu *c, unsigned lvl, unsigned top, bool leaf)
{
    uint64_t r = ~((1ull << c->model.phys_bits) - 1) & (top == 2 ? ~PTE_NX : 0x000fffffffffffffull);
    if (!(c->s->efer & EFER_NXE))
        r |= PTE_NX;
    if (leaf && lvl > 1)
        r |= ((1ull << (12 + 9 * (lvl - 1))) - 1) & ~0x1fffull;
    return lvl >= (cpu_has(c, FEAT_PDPE1GB) ? 4u : 3u) ? r | PTE_PS : r;
}
/* PAE, 4 and 5 levels: 8-byte entries. top = the first level (5: PML5, 4: PML4, 2: PD under PAE). */
static int walk_8byte(struct cpu *c, uint64_t va, enum mmu_access acc, struct walk *w, unsigned top,
                      uint64_t table)
{
    static const uint8_t kind[] = {0, PAGE_4K, PAGE_2M, PAGE_1G};
    uint64_t page = PAGE_W | PAGE_U;
    for (unsigned lvl = top;; lvl--) {
        unsigned shift = 12 + 9 * (lvl - 1);
        struct level l = entry_read(c, table + ((va >> shift) & 511) * 8, 8);
        bool leaf = lvl == 1 || (lvl <= 3 && (l.pte & PTE_PS));
        if (!(l.pte & PTE_P))
            return fault(c, w, acc, 0);
        if (l.pte & reserved_8byte(c, lvl, top, leaf))
            return fault(c, w, acc, ERR_P | ERR_RSVD);
        page = rights_and(c, page, l.pte);
        if (leaf) {
            uint64_t base = l.pte & ADDRESS & ~((1ull << shift) - 1);
            uint64_t key = top == 2 ? 0 : (l.pte >> 59 & 15) << 8;
            return leaf_finish(c, w, &l, page | base | (uint64_t)kind[lvl] << 5 | key, acc);
        }
        if (!entry_set(c, &l, PTE_A))
            return -1;
        table = l.pte & ADDRESS;
    }
}
static int walk_pae(struct cpu *c, uint64_t va, enum mmu_access acc, struct walk *w)
{
    uint64_t e = c->s->pdpte[(va >> 30) & 3];
    if (!(e & PTE_P))
        return fault(c, w, acc, 0);
    return walk_8byte(c, va, acc, w, 2, e & ADDRESS);
}
/* A 4 MiB page. PSE-36: bits 13-20 are address bits 32-39; what is above MAXPHYADDR is reserved, and so is
 * bit 21 always. */
static int leaf_4m(struct cpu *c, struct level *l, uint64_t page, enum mmu_access acc, struct walk *w)
{
    unsigned high = !cpu_has(c, FEAT_PSE36) ? 0 : c->model.phys_bits >= 40 ? 8 : c->model.phys_bits > 32 ? c->model.phys_bits - 32u : 0;
    if (l->pte & 0x3fe000 & ~(((1ull << high) - 1) << 13))
        return fault(c, w, acc, ERR_P | ERR_RSVD);
    uint64_t base = (l->pte >> 13 & 0xff) << 32 | (l->pte & 0xffc00000u);
    return leaf_finish(c, w, l, page | base | (uint64_t)PAGE_4M << 5, acc);
}
static int walk_2level(struct cpu *c, uint64_t va, enum mmu_access acc, struct walk *w)
{
    uint64_t page = PAGE_W | PAGE_U;
    struct level l = entry_read(c, (c->s->cr3 & 0xfffff000u) + ((va >> 22) & 1023) * 4, 4);
    if (!(l.pte & PTE_P))
        return fault(c, w, acc, 0);
    page = rights_and(c, page, l.pte);
    if ((l.pte & PTE_PS) && (c->s->cr4 & CR4_PSE))
        return leaf_4m(c, &l, page, acc, w);
    if (!entry_set(c, &l, PTE_A))
        return -1;
    l = entry_read(c, (l.pte & 0xfffff000u) + ((va >> 12) & 1023) * 4, 4);
    if (!(l.pte & PTE_P))
        return fault(c, w, acc, 0);
    page = rights_and(c, page, l.pte);
    return leaf_finish(c, w, &l, page | (l.pte & 0xfffff000u), acc);
}

bool walk_page(struct cpu *c, uint64_t va, enum mmu_access acc, struct walk *w)
{
    int r;
    if (!(c->s->cr0 & CR0_PG)) {
        w->page = ((uint32_t)va & ~0xfffull) | PAGE_W | PAGE_U | PAGE_D;
        return true;
    }
    do {
        if (c->s->efer & EFER_LMA)
            r = walk_8byte(c, va, acc, w, c->s->cr4 & CR4_LA57 ? 5 : 4, c->s->cr3 & ADDRESS);
        else if (c->s->cr4 & CR4_PAE)
            r = walk_pae(c, (uint32_t)va, acc, w);
        else
            r = walk_2level(c, (uint32_t)va, acc, w);
    } while (r < 0);
    return r;
}
