/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The soft TLB's first level and the address-space generations. A generation names one life of one
 * PCID's translations; dropping them is taking a new number, and nothing is swept until the numbers run
 * out. The low bits of a tag are the rights (CTX_*), so that entries filled under one set of rights are
 * not found under another. Owns the first level's arrays, tlb_gpa[], tlb_host_x[] and the generations.
 */
#include "cpu-worker/mmu/tlb.h"
#include "cpu-worker/mmio/mmio.h"
#include "cpu-worker/vga/vga.h"
#include "cpu-worker/mmu/control.h"
#include "cpu-worker/run/chain.h"
#include "cpu-worker/run/debug.h"
#include "cpu-worker/run/run.h"
#include "cpu-worker/run/team.h"
#include "cpu-worker/run/xl.h"

#define GENERATIONS 1023u /* ten bits; 0 is for global pages */
#define RF_AC 0x40000u
#define ASIDS (sizeof(((struct cpu *)0)->asid) / sizeof(((struct cpu *)0)->asid[0]))

void jc_flush(struct cpu *c)
{
    c->jc_gen++;
    cpu_mode_update(c);
}

static void store_drop(struct cpu *c, unsigned i)
{
    c->wtag[i] = TLB_INVALID;
    c->xl_wtag[i] = ABI_XL_TLB_INVALID;
}
/* Global pages outlive loads of CR3, and so may what the jump caches say about them: the key of supervisor code then
 * names no address space. Kernels that do not mark theirs get it back. */
#define STRANGE_MAX 512u
bool tlb_code_jumps(struct cpu *c, uint64_t lip)
{
    if (!c->jc_global || c->cpl == 3)
        return true;
    unsigned i = (lip >> 12) & (TLB_SIZE - 1);
    if (c->xtag[i] != ((lip & ~0xfffull) | CTX_FETCH(c->ctx)))
        return false; /* nobody knows */
    if (c->tlb_gpa[i] & 2)
        return true;
    if (++c->jc_strange > STRANGE_MAX) {
        c->jc_global = false;
        jc_flush(c);
    }
    return false;
}
static void entry_drop(struct cpu *c, unsigned i)
{
    c->rtag[i] = c->xtag[i] = TLB_INVALID;
    c->xl_rtag[i] = ABI_XL_TLB_INVALID;
    store_drop(c, i);
}
void tlb_windows_close(struct cpu *c)
{
    abi_xl_windows_close((struct abi_xl_frame *)c);
}
void tlb1_clear(struct cpu *c)
{
    tlb_windows_close(c);
    for (unsigned i = 0; i < TLB_SIZE; i++)
        entry_drop(c, i);
    c->lg_filter = 0;
}

/* ---- generations ---- */

static void generations_restart(struct cpu *c, bool keep_global)
{
    tlb1_clear(c);
    tlb2_clear(c, keep_global);
    for (unsigned i = 0; i < ASIDS; i++)
        c->asid[i].gen = 0;
    c->asid_next = 1;
    c->jc_gen++;
}
static uint32_t gen_new(struct cpu *c)
{
    if (c->asid_next > GENERATIONS)
        generations_restart(c, true);
    return c->asid_next++;
}
static unsigned pcid_now(const struct cpu *c)
{
    return c->s->cr4 & CR4_PCIDE ? c->s->cr3 & 0xfff : 0;
}
static int asid_find(const struct cpu *c, unsigned pcid)
{
    for (unsigned i = 0; i < ASIDS; i++)
        if (c->asid[i].gen && c->asid[i].pcid == pcid)
            return (int)i;
    return -1;
}
static unsigned asid_victim(const struct cpu *c)
{
    unsigned v = 0;
    for (unsigned i = 0; i < ASIDS; i++) {
        if (!c->asid[i].gen)
            return i;
        if (c->asid[i].age < c->asid[v].age)
            v = i;
    }
    return v;
}
/* Makes the current PCID's slot the current one, with a new generation if it has none or must lose it. */
static void asid_select(struct cpu *c, bool fresh)
{
    unsigned pcid = pcid_now(c);
    int i = asid_find(c, pcid);
    if (i < 0 || fresh) {
        uint32_t gen = gen_new(c);
        if (i < 0)
            i = (int)asid_victim(c);
        c->asid[i].pcid = pcid;
        c->asid[i].gen = gen;
    }
    c->asid[i].age = ++c->asid_age;
    c->asid_cur = (uint32_t)i;
    tlb_context_update(c);
    cpu_mode_update(c);
}

static unsigned rights_now(const struct cpu *c)
{
    bool ac = c->eflags & RF_AC;
    if (c->cpl == 3)
        return ac && (c->s->cr0 & CR0_AM) ? CTX_CHECK : CTX_USER;
    return ac && (c->s->cr4 & CR4_SMAP) ? CTX_AC : CTX_SYSTEM;
}
void tlb_context_update(struct cpu *c)
{
    uint32_t before = c->ctx;
    c->mem_user = c->cpl == 3;
    c->ctx = c->asid[c->asid_cur].gen << 2 | rights_now(c);
    if ((c->ctx ^ before) >> 2)
        tlb_windows_close(c);
}

/* ---- flushing ---- */

void tlb_flush_all(struct cpu *c)
{
    page_rights_update(c);
    generations_restart(c, false);
    c->jc_global = c->s->cr4 & CR4_PGE;
    c->jc_strange = 0;
    asid_select(c, false);
}
void tlb_flush_first(struct cpu *c)
{
    tlb1_clear(c);
}
void tlb_cr3_loaded(struct cpu *c, bool noflush)
{
    asid_select(c, !noflush);
}
void tlb_flush_pcid(struct cpu *c, unsigned pcid)
{
    int i = asid_find(c, pcid);
    if (i >= 0 && (unsigned)i == c->asid_cur)
        asid_select(c, true);
    else if (i >= 0)
        c->asid[i].gen = 0;
}
void tlb_flush_pcids(struct cpu *c)
{
    for (unsigned i = 0; i < ASIDS; i++)
        if (i != c->asid_cur)
            c->asid[i].gen = 0;
    asid_select(c, true);
}

/* Blocks that start in this page, or run into it. */
static void jc_drop_page(struct cpu *c, uint64_t va)
{
    unsigned group = jc_index(va & ~0xfffull) & ~63u, before = jc_index((va & ~0xfffull) - 4096) & ~63u;
    for (unsigned i = 0; i < 64; i++)
        c->jc[group + i].lip = c->jc[before + i].lip = ~0ull;
    xl_page_drop(c, va);
    c->link_slot = NULL;
}
/* Pieces of large pages in [base, base + len), in any context. */
static void pieces_drop(struct cpu *c, uint64_t base, uint64_t len)
{
    uint64_t n = len >> 12 < TLB_SIZE ? len >> 12 : TLB_SIZE;
    unsigned first = (base >> 12) & (TLB_SIZE - 1);
    for (unsigned k = 0; k < n; k++) {
        unsigned i = (first + k) & (TLB_SIZE - 1);
        uint64_t tag = c->rtag[i] & c->xtag[i];
        if ((c->tlb_gpa[i] & 1) && tag - base < len)
            entry_drop(c, i);
    }
    c->jc_gen++; /* code may have been reached by any of them */
    cpu_mode_update(c);
}
static void page_drop(struct cpu *c, uint64_t va, uint32_t gen, bool global)
{
    uint64_t base, len;
    tlb_windows_close(c);
    entry_drop(c, (va >> 12) & (TLB_SIZE - 1));
    if (tlb2_drop(c, va, gen, global, &base, &len))
        pieces_drop(c, base, len);
    jc_drop_page(c, va);
}
void tlb_flush_page(struct cpu *c, uint64_t va)
{
    page_drop(c, va, c->ctx >> 2, true);
}
void tlb_flush_pcid_page(struct cpu *c, unsigned pcid, uint64_t va)
{
    int i = asid_find(c, pcid);
    if (i >= 0)
        page_drop(c, va, c->asid[i].gen, false);
}

void tlb_protect_code(struct cpu *c, const uint8_t *host_page)
{
    tlb_windows_close(c);
    for (unsigned i = 0; i < TLB_SIZE; i++)
        if (c->wtag[i] != TLB_INVALID && (c->wtag[i] & ~0xfffull) + c->addend[i] == (uintptr_t)host_page)
            store_drop(c, i);
}

void tlb_protect_all(struct cpu *c)
{
    tlb_windows_close(c);
    for (unsigned i = 0; i < TLB_SIZE; i++)
        store_drop(c, i);
}

/* Stores to display memory go through tlb_fill again, which marks the page anew (decision 0008). */
void tlb_protect_display(struct cpu *c)
{
    const struct mmu_slot *s = &c->mem->slot[ABI_SLOT_DISPLAY];
    uintptr_t first = (uintptr_t)c->mem->ram + s->base;
    tlb_windows_close(c);
    for (unsigned i = 0; i < TLB_SIZE; i++)
        if (c->wtag[i] != TLB_INVALID && (c->wtag[i] & ~0xfffull) + c->addend[i] - first < s->size)
            store_drop(c, i);
}

/* ---- filling ---- */

static void tlb_fill(struct cpu *c, uint64_t va, uint64_t page, unsigned allow, struct translation *t)
{
    unsigned i = (va >> 12) & (TLB_SIZE - 1);
    uint64_t x = (va & ~0xfffull) | CTX_FETCH(c->ctx);
    uint32_t ctx = (c->ctx & 3) == CTX_CHECK ? CTX_FETCH(c->ctx) : c->ctx;
    uint64_t tag = (va & ~0xfffull) | ctx, xl_tag = -abi_xl_tag(va, ctx);
    bool host_writable;

    t->gpa = page_gpa(page, va);
    t->host = mem_host(c->mem, t->gpa, &host_writable, &t->ram_off);
    t->writable_host = host_writable;
    if (!t->host)
        return;
    bool store = (allow & ALLOW_W) && (page & PAGE_D) && host_writable &&
                 !team_page_has_code(c->team, t->ram_off) && !team_page_watched(c->team, t->ram_off);
    c->addend[i] = (uintptr_t)t->host - va;
    const struct mmu_slot *display = &c->mem->slot[ABI_SLOT_DISPLAY];
    if ((allow & ALLOW_W) && t->ram_off - display->base < display->size)
        vga_page_stamp(c->mem->vga, t->ram_off - display->base);
    bool watched = unlikely(c->dbg_armed & DBG_DATA) && debug_page_watched(c, va);
    bool read = (allow & ALLOW_R) && !watched, write = store && !watched;
    c->rtag[i] = read ? tag : TLB_INVALID;
    c->wtag[i] = write ? tag : TLB_INVALID;
    c->xl_rtag[i] = read ? xl_tag : ABI_XL_TLB_INVALID;
    c->xl_wtag[i] = write ? xl_tag : ABI_XL_TLB_INVALID;
    c->xtag[i] = allow & ALLOW_X ? x : TLB_INVALID;
    c->tlb_gpa[i] = (t->gpa & ~0xfffull) | (PAGE_KIND(page) != PAGE_4K) | (page & PAGE_G ? 2 : 0);
    c->tlb_host_x[i] = t->host - (t->gpa & 0xfff);
}

/* From the second level if it allows the access, else by a walk: what forbids may have been lifted. */
static bool page_find(struct cpu *c, uint64_t va, enum mmu_access acc, struct translation *t,
                      uint32_t *error)
{
    unsigned rights = (c->ctx & 3) == CTX_CHECK ? CTX_USER : c->ctx & 3;
    struct walk w;
    if (tlb2_find(c, va, &w.page)) {
        unsigned a = page_allows(c, w.page, rights);
        if (acc == MMU_READ ? a & ALLOW_R : acc == MMU_FETCH ? a & ALLOW_X : (a & ALLOW_W) && (w.page & PAGE_D)) {
            tlb_fill(c, va, w.page, a, t);
            return true;
        }
    }
    if (!walk_page(c, va, acc, &w)) {
        *error = w.error;
        return false;
    }
    if (c->s->cr0 & CR0_PG)
        tlb2_insert(c, va, w.page);
    tlb_fill(c, va, w.page, page_allows(c, w.page, rights), t);
    return true;
}

static bool va_canonical(const struct cpu *c, uint64_t va)
{
    return !(c->mode & MODE_64) || cpu_canonical(c, va);
}
void mmu_canonical(struct cpu *c, const struct op *o, uint64_t va)
{
    if (!va_canonical(c, va))
        cpu_raise_err(c, o, o->seg == ABI_SS ? VEC_SS : VEC_GP, 0);
}
void mmu_translate(struct cpu *c, const struct op *o, uint64_t va, enum mmu_access acc,
                   struct translation *t)
{
    uint32_t error;
    mmu_canonical(c, o, va);
    if (!page_find(c, va, acc, t, &error))
        cpu_raise_pf(c, o, va, error);
}

bool tlb_fill_plain(struct cpu *c, uint64_t va, unsigned size, bool write, bool ahead)
{
    struct translation t;
    uint32_t error;
    if ((va & 0xfff) + size > 0x1000 || (c->ctx & 3) == CTX_CHECK || !va_canonical(c, va) ||
        !page_find(c, va, write && !ahead ? MMU_WRITE : MMU_READ, &t, &error))
        return false;
    unsigned i = (va >> 12) & (TLB_SIZE - 1);
    return t.host && (write ? c->wtag : c->rtag)[i] == ((va & ~0xfffull) | c->ctx);
}

bool mmu_fetch_probe(struct cpu *c, uint64_t lip, const uint8_t **host, uint64_t *gpa,
                     uint64_t *ram_off)
{
    unsigned i = (lip >> 12) & (TLB_SIZE - 1);
    if (c->xtag[i] != ((lip & ~0xfffull) | CTX_FETCH(c->ctx))) {
        struct translation t;
        uint32_t error;
        if (!va_canonical(c, lip) || !page_find(c, lip, MMU_FETCH, &t, &error))
            return false;
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
    if (likely(c->xtag[i] == ((lip & ~0xfffull) | CTX_FETCH(c->ctx)))) {
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
