/* SPDX-License-Identifier: Apache-2.0 */
/* See control.h. Rules: SDM volume 3, 2.5, 4.1.2, 4.4.1, 4.10.4.1 and 9.8.5. */
#include "cpu-worker/mmu/control.h"
#include "cpu-worker/interp/segment.h"
#include "cpu-worker/mmio/mmio.h"
#include "cpu-worker/run/debug.h"
#include "cpu-worker/run/run.h"

#define CR0_BITS 0xe005003full
#define CR3_NOFLUSH (1ull << 63)
#define EFER_BITS 0x4d01ull /* SCE LME LMA NXE FFXSR */
#define RF_VM 0x20000ull
#define PDPTE_RESERVED 0x1e6ull

static uint64_t phys_reserved(const struct cpu *c)
{
    return ~((1ull << c->model.phys_bits) - 1);
}
static uint64_t physical_read(struct cpu *c, uint64_t gpa)
{
    bool writable;
    const uint64_t *p = (const uint64_t *)mem_host(c->mem, gpa, &writable, NULL);
    return p ? __atomic_load_n(p, __ATOMIC_RELAXED) : mmio_read(c, gpa, 8);
}
/* PAE paging keeps the four top entries in registers; a reserved bit in a present one refuses the load. */
static bool pdptes_load(struct cpu *c, uint64_t cr3)
{
    uint64_t e[4];
    for (unsigned i = 0; i < 4; i++) {
        e[i] = physical_read(c, (cr3 & 0xffffffe0u) + 8 * i);
        if ((e[i] & 1) && (e[i] & (PDPTE_RESERVED | phys_reserved(c))))
            return false;
    }
    memcpy(c->s->pdpte, e, sizeof(e));
    return true;
}
static bool pae_paging(uint64_t cr0, uint64_t cr4, uint64_t efer)
{
    return (cr0 & CR0_PG) && (cr4 & CR4_PAE) && !(efer & EFER_LMA);
}

/* May paging be turned on with EFER.LME: PAE, no 64-bit code segment, no 16-bit TSS. */
static bool long_mode_ready(const struct cpu *c)
{
    unsigned tss = c->s->seg[ABI_TR].attr & 0xf;
    return (c->s->cr4 & CR4_PAE) && !(c->s->seg[ABI_CS].attr & ABI_SEG_L) && tss != 1 && tss != 3;
}
static bool cr0_valid(const struct cpu *c, uint64_t v)
{
    bool on = v & CR0_PG, was = c->s->cr0 & CR0_PG;
    if ((v >> 32) || (on && !(v & CR0_PE)) || ((v & CR0_NW) && !(v & CR0_CD)))
        return false;
    if (on && !was && (c->s->efer & EFER_LME))
        return long_mode_ready(c);
    return on || !was || !((c->mode & MODE_64) || (c->s->cr4 & CR4_PCIDE));
}
bool cr0_write(struct cpu *c, uint64_t v)
{
    uint64_t old = c->s->cr0, efer = c->s->efer & ~EFER_LMA;
    v |= CR0_ET;
    if (!cr0_valid(c, v))
        return false;
    if ((v & CR0_PG) && (efer & EFER_LME))
        efer |= EFER_LMA;
    if (pae_paging(v, c->s->cr4, efer) && ((old ^ v) & (CR0_CD | CR0_NW | CR0_PG)) &&
        !pdptes_load(c, c->s->cr3))
        return false;
    c->s->efer = efer;
    c->s->cr0 = v & CR0_BITS;
    if ((old ^ v) & (CR0_PG | CR0_PE | CR0_WP))
        tlb_flush_all(c);
    cs_changed(c);
    return true;
}

bool cr3_write(struct cpu *c, uint64_t v)
{
    bool pcid = c->s->cr4 & CR4_PCIDE, noflush = pcid && (v & CR3_NOFLUSH);
    if (pcid)
        v &= ~CR3_NOFLUSH;
    if (cpu_long(c) && (v & phys_reserved(c)))
        return false;
    if (pae_paging(c->s->cr0, c->s->cr4, c->s->efer) && !pdptes_load(c, v))
        return false;
    c->s->cr3 = v;
    tlb_cr3_loaded(c, noflush);
    return true;
}

uint64_t cr4_carried(const struct cpu *c)
{
    static const struct {
        uint16_t bit, feat;
    } by[] = {{0, FEAT_VME}, {1, FEAT_VME}, {2, FEAT_TSC}, {3, FEAT_DE}, {4, FEAT_PSE}, {5, FEAT_PAE},
              {6, FEAT_MCE}, {7, FEAT_PGE}, {9, FEAT_FXSR}, {10, FEAT_SSE}, {11, FEAT_UMIP},
              {12, FEAT_LA57}, {16, FEAT_FSGSBASE}, {17, FEAT_PCID}, {18, FEAT_XSAVE},
              {20, FEAT_SMEP}, {21, FEAT_SMAP}, {22, FEAT_PKU}};
    uint64_t mask = 0x100; /* PCE: RDPMC exists on every model */
    for (unsigned i = 0; i < sizeof(by) / sizeof(by[0]); i++)
        if (cpu_has(c, by[i].feat))
            mask |= 1ull << by[i].bit;
    return mask;
}
static bool cr4_valid(const struct cpu *c, uint64_t v)
{
    uint64_t old = c->s->cr4;
    if (v & ~c->cr4_mask)
        return false;
    if (cpu_long(c) && (!(v & CR4_PAE) || ((v ^ old) & CR4_LA57)))
        return false;
    return !(v & CR4_PCIDE) || (old & CR4_PCIDE) || (cpu_long(c) && !(c->s->cr3 & 0xfff));
}
bool cr4_write(struct cpu *c, uint64_t v)
{
    uint64_t old = c->s->cr4, pdpte = CR4_PAE | CR4_PGE | CR4_PSE | CR4_SMEP;
    if (!cr4_valid(c, v))
        return false;
    if (pae_paging(c->s->cr0, v, c->s->efer) && ((old ^ v) & pdpte) && !pdptes_load(c, c->s->cr3))
        return false;
    c->s->cr4 = v;
    debug_update(c); /* DE */
    if ((old ^ v) & (CR4_PSE | CR4_PAE | CR4_PGE | CR4_LA57 | CR4_PCIDE | CR4_SMEP | CR4_SMAP | CR4_PKE))
        tlb_flush_all(c);
    cs_changed(c);
    return true;
}

static bool set_valid(const struct cpu *c, const struct control_set *n)
{
    bool pg = n->cr0 & CR0_PG, lma = n->efer & EFER_LMA;
    if ((n->cr0 >> 32) || (pg && !(n->cr0 & CR0_PE)) || ((n->cr0 & CR0_NW) && !(n->cr0 & CR0_CD)))
        return false;
    if ((n->cr4 & ~c->cr4_mask) || (n->efer & ~EFER_BITS) || lma != (pg && (n->efer & EFER_LME)))
        return false;
    if (!lma)
        return !(n->cr4 & CR4_PCIDE);
    return (n->cr4 & CR4_PAE) && !(n->cr3 & phys_reserved(c)) && !(n->rflags & RF_VM) &&
           (n->cs_attr & (ABI_SEG_L | ABI_SEG_DB)) != (ABI_SEG_L | ABI_SEG_DB);
}
bool control_load(struct cpu *c, const struct control_set *n)
{
    if (!set_valid(c, n))
        return false;
    if (pae_paging(n->cr0, n->cr4, n->efer) && !pdptes_load(c, n->cr3))
        return false;
    c->s->cr0 = (n->cr0 & CR0_BITS) | CR0_ET;
    c->s->cr3 = n->cr3;
    c->s->cr4 = n->cr4;
    c->s->efer = n->efer;
    return true;
}

void pkru_write(struct cpu *c, uint32_t v)
{
    bool changed = c->s->pkru != v;
    c->s->pkru = v;
    if (changed && (c->s->cr4 & CR4_PKE))
        tlb_flush_first(c);
}
