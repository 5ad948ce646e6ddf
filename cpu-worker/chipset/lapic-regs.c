/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The local APIC's registers as software sees them: the xAPIC page, the x2APIC MSRs and
 * IA32_APIC_BASE. Owns decoding and reserved-bit rules; must never deliver an interrupt itself
 * (lapic.c). Reference: Intel SDM volume 3, chapter 11; x2APIC in 11.12 (table 11-6).
 */
#include <string.h>
#include "cpu-worker/chipset/chipset-internal.h"

enum { /* offset >> 4 in the page, MSR number - 0x800 */
    REG_ID = 0x02, REG_VERSION = 0x03, REG_TPR = 0x08, REG_APR = 0x09, REG_PPR = 0x0a,
    REG_EOI = 0x0b, REG_RRD = 0x0c, REG_LDR = 0x0d, REG_DFR = 0x0e, REG_SVR = 0x0f, REG_ISR = 0x10,
    REG_TMR = 0x18, REG_IRR = 0x20, REG_ESR = 0x28, REG_ICR = 0x30, REG_ICR_HI = 0x31,
    REG_LVT = 0x32, REG_LVT_END = 0x37, REG_INIT = 0x38, REG_CURRENT = 0x39, REG_DIVIDE = 0x3e,
    REG_SELF = 0x3f
};
#define LAPIC_VERSION (0x14u | (LVT_COUNT - 1) << 16)
#define ESR_SEND_ILLEGAL (1u << 5)
#define ESR_REG_ILLEGAL  (1u << 7)
#define ICR_WRITABLE 0xccfffu /* not 12 (delivery status), 13, 16, 17 */

/* Writable bits of each local vector table entry (figure 11-8). */
static const uint32_t lvt_writable[LVT_COUNT] = {0x700ff, 0x107ff, 0x107ff,
                                                 0x1a7ff, 0x1a7ff, 0x100ff};

static uint32_t lapic_id_reg(const struct abi_lapic *l)
{
    return lapic_x2(l) ? l->id : l->id << 24;
}

/* Registers common to both interfaces. false: no such register, or write only. */
static bool reg_read(struct chipset *cs, unsigned vcpu, unsigned reg, uint32_t *v)
{
    const struct abi_lapic *l = &cs->st->lapic[vcpu];
    switch (reg) {
    case REG_ID:      *v = lapic_id_reg(l); return true;
    case REG_VERSION: *v = LAPIC_VERSION; return true;
    case REG_TPR:     *v = l->tpr; return true;
    case REG_PPR:     *v = lapic_ppr(l); return true;
    case REG_LDR:     *v = l->ldr; return true;
    case REG_SVR:     *v = l->svr; return true;
    case REG_ESR:     *v = l->esr; return true;
    case REG_ICR:     *v = l->icr_lo; return true;
    case REG_INIT:    *v = l->timer_init; return true;
    case REG_CURRENT: *v = lapic_timer_current(cs, vcpu); return true;
    case REG_DIVIDE:  *v = l->timer_divide; return true;
    }
    if (reg >= REG_ISR && reg < REG_ESR) {
        const uint32_t *w = reg < REG_TMR ? l->isr : reg < REG_IRR ? l->tmr : l->irr;
        *v = w[reg & 7];
        return true;
    }
    if (reg >= REG_LVT && reg <= REG_LVT_END) {
        *v = l->lvt[reg - REG_LVT];
        return true;
    }
    return false;
}

/* 11.6.1: interprocessor interrupt. */
static void icr_send(struct chipset *cs, unsigned vcpu, uint32_t dest)
{
    const struct abi_lapic *l = &cs->st->lapic[vcpu];
    uint32_t icr = l->icr_lo;
    struct apic_msg m = {.dest = dest, .wide = lapic_x2(l), .logical = icr & 0x800,
                         .mode = (icr >> 8) & 7, .vector = icr & 0xff};
    unsigned shorthand = (icr >> 18) & 3;
    if (m.mode == DM_INIT && !(icr & 0x4000))
        return; /* INIT level de-assert: not supported since Pentium 4 */
    if (m.mode <= DM_LOWEST && m.vector < 16) {
        lapic_error_set(cs, vcpu, ESR_SEND_ILLEGAL);
        return;
    }
    if (shorthand == 0) {
        lapic_deliver(cs, &m);
        return;
    }
    m.logical = false;
    m.mode = m.mode == DM_LOWEST ? DM_FIXED : m.mode;
    for (unsigned i = 0; i < cs->vcpus; i++)
        if (shorthand == 1 ? i == vcpu : shorthand == 2 || i != vcpu)
            lapic_accept_direct(cs, i, &m);
}

static void svr_write(struct chipset *cs, unsigned vcpu, uint32_t v)
{
    struct abi_lapic *l = &cs->st->lapic[vcpu];
    bool was = l->svr & 0x100;
    l->svr = v & 0x3ff;
    if (!(v & 0x100)) { /* 11.4.7.2: all mask bits are forced on while software disables it */
        for (unsigned i = 1; i < LVT_COUNT; i++)
            l->lvt[i] |= LVT_MASKED;
        lapic_timer_lvt_set(cs, vcpu, l->lvt[LVT_TIMER] | LVT_MASKED);
    } else if (!was) {
        cs_lock(cs);
        ioapic_retry(cs);
        cs_unlock(cs);
    }
    lapic_update(cs, vcpu);
}

static void lvt_write(struct chipset *cs, unsigned vcpu, unsigned n, uint32_t v)
{
    struct abi_lapic *l = &cs->st->lapic[vcpu];
    v &= lvt_writable[n];
    if (!(l->svr & 0x100))
        v |= LVT_MASKED;
    if (n == LVT_TIMER) {
        lapic_timer_lvt_set(cs, vcpu, v);
        return;
    }
    l->lvt[n] = v;
    if (n == LVT_LINT0 && __atomic_load_n(&cs->pic_out, __ATOMIC_SEQ_CST) && (v & 0x8000) && ((v >> 8) & 7) == DM_FIXED)
        lapic_lvt_fire(cs, vcpu, n); /* level triggered, and the PIC asserts it already */
    lapic_update(cs, vcpu);
}

static bool reg_write(struct chipset *cs, unsigned vcpu, unsigned reg, uint32_t v)
{
    struct abi_lapic *l = &cs->st->lapic[vcpu];
    switch (reg) {
    case REG_TPR:
        __atomic_store_n(&l->tpr, v & 0xff, __ATOMIC_RELAXED);
        lapic_update(cs, vcpu);
        return true;
    case REG_EOI:    lapic_eoi(cs, vcpu); return true;
    case REG_SVR:    svr_write(cs, vcpu, v); return true;
    case REG_INIT:   lapic_timer_init_set(cs, vcpu, v); return true;
    case REG_DIVIDE: lapic_timer_divide_set(cs, vcpu, v); return true;
    case REG_ESR:
        l->esr = __atomic_exchange_n(&l->esr_next, 0, __ATOMIC_SEQ_CST);
        return true;
    }
    if (reg >= REG_LVT && reg <= REG_LVT_END) {
        lvt_write(cs, vcpu, reg - REG_LVT, v);
        return true;
    }
    return false;
}

uint64_t lapic_mmio_read(struct chipset *cs, unsigned vcpu, uint32_t off, unsigned size)
{
    const struct abi_lapic *l = &cs->st->lapic[vcpu];
    unsigned reg = off >> 4;
    uint32_t v = 0;
    if (lapic_x2(l) || (off & 0xf) >= 4)
        return lapic_x2(l) ? ~0ull : 0; /* 11.12.2: the page is gone in x2APIC mode */
    if (reg == REG_DFR)
        v = l->dfr;
    else if (reg == REG_ICR_HI)
        v = l->icr_hi;
    else if (!reg_read(cs, vcpu, reg, &v) && reg != REG_APR && reg != REG_RRD && reg != REG_EOI)
        lapic_error_set(cs, vcpu, ESR_REG_ILLEGAL);
    v >>= 8 * (off & 3);
    return size >= 4 ? v : v & ((1u << (8 * size)) - 1);
}

void lapic_mmio_write(struct chipset *cs, unsigned vcpu, uint32_t off, unsigned size,
                      uint64_t value)
{
    struct abi_lapic *l = &cs->st->lapic[vcpu];
    uint32_t v = (uint32_t)value;
    if (lapic_x2(l) || (off & 0xf) || size < 4)
        return; /* 11.4.1: aligned doublewords only */
    switch (off >> 4) {
    case REG_ID:     l->id = v >> 24; break;
    case REG_LDR:    l->ldr = v & 0xff000000u; break;
    case REG_DFR:    l->dfr = v | 0x0fffffffu; break;
    case REG_ICR_HI: l->icr_hi = v & 0xff000000u; break;
    case REG_ICR:
        l->icr_lo = v & ICR_WRITABLE;
        icr_send(cs, vcpu, l->icr_hi >> 24);
        break;
    default:
        if (!reg_write(cs, vcpu, off >> 4, v) && off >> 4 != REG_VERSION && off >> 4 != REG_PPR)
            lapic_error_set(cs, vcpu, ESR_REG_ILLEGAL);
    }
}

/* Bits that may be written in x2APIC mode; anything else raises #GP (11.12.1.3). */
static uint64_t x2_writable(unsigned reg)
{
    switch (reg) {
    case REG_TPR:    return 0xff;
    case REG_EOI:
    case REG_ESR:    return 0;
    case REG_SVR:    return 0x3ff;
    case REG_ICR:    return 0xffffffff000ccfffull;
    case REG_INIT:   return 0xffffffff;
    case REG_DIVIDE: return 0xb;
    case REG_SELF:   return 0xff;
    }
    return reg >= REG_LVT && reg <= REG_LVT_END ? lvt_writable[reg - REG_LVT] | 0x5000 : 0;
}

static bool x2_read(struct chipset *cs, unsigned vcpu, unsigned reg, uint64_t *v)
{
    const struct abi_lapic *l = &cs->st->lapic[vcpu];
    uint32_t low;
    if (!lapic_x2(l) || !reg_read(cs, vcpu, reg, &low))
        return false;
    *v = reg == REG_ICR ? (uint64_t)l->icr_hi << 32 | low : low;
    return true;
}

static bool x2_write(struct chipset *cs, unsigned vcpu, unsigned reg, uint64_t v)
{
    struct abi_lapic *l = &cs->st->lapic[vcpu];
    if (!lapic_x2(l) || (v & ~x2_writable(reg)))
        return false;
    if (reg == REG_ICR) {
        l->icr_lo = v & ICR_WRITABLE;
        l->icr_hi = (uint32_t)(v >> 32);
        icr_send(cs, vcpu, l->icr_hi);
        return true;
    }
    if (reg == REG_SELF) {
        if (v < 16)
            lapic_error_set(cs, vcpu, ESR_SEND_ILLEGAL);
        else
            lapic_irq_set(cs, vcpu, v & 0xff, false);
        return true;
    }
    return reg_write(cs, vcpu, reg, (uint32_t)v);
}

/* 11.12.5: the legal transitions between disabled, xAPIC and x2APIC. */
static bool base_write(struct chipset *cs, unsigned vcpu, uint64_t v)
{
    struct abi_lapic *l = &cs->st->lapic[vcpu];
    uint64_t old = l->apic_base;
    bool en = v & APIC_BASE_EN, x2 = v & APIC_BASE_EXTD;
    uint64_t reserved = ~((1ull << CHIPSET_PHYS_BITS) - 1) | 0x2ff;
    if ((v & reserved) || (x2 && !en))
        return false;
    if ((old & APIC_BASE_EXTD) && en && !x2)
        return false; /* x2APIC leads only to disabled */
    if (!(old & APIC_BASE_EN) && x2)
        return false; /* and is reached only from xAPIC */
    if ((old & APIC_BASE_EN) && !en) {
        lapic_reset(cs, vcpu);
        l->lvt[LVT_LINT0] = LVT_MASKED;
    }
    l->apic_base = (v & ~APIC_BASE_BSP) | (old & APIC_BASE_BSP);
    if (x2 && !(old & APIC_BASE_EXTD)) {
        l->id = cs->apic_id[vcpu]; /* the x2APIC ID is fixed; 11.12.5.1 */
        l->ldr = lapic_x2_ldr(l->id);
        l->icr_hi = 0;
    }
    lapic_update(cs, vcpu);
    return true;
}

bool lapic_msr_read(struct chipset *cs, unsigned vcpu, uint32_t msr, uint64_t *v)
{
    if (msr == 0x1b)
        *v = cs->st->lapic[vcpu].apic_base;
    else if (msr == 0x6e0)
        *v = lapic_tsc_deadline_get(cs, vcpu);
    else
        return msr >= 0x800 && msr <= 0x8ff && x2_read(cs, vcpu, msr - 0x800, v);
    return true;
}

bool lapic_msr_write(struct chipset *cs, unsigned vcpu, uint32_t msr, uint64_t v)
{
    if (msr == 0x1b)
        return base_write(cs, vcpu, v);
    if (msr == 0x6e0) {
        lapic_tsc_deadline_set(cs, vcpu, v);
        return true;
    }
    return msr >= 0x800 && msr <= 0x8ff && x2_write(cs, vcpu, msr - 0x800, v);
}
