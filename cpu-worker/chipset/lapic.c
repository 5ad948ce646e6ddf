/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The local APIC's interrupt side: acceptance, priorities, acknowledge, EOI and message routing.
 * Owns IRR, ISR, TMR and the vCPU's interrupt word; must never decode register addresses (lapic-
 * regs.c). Reference: Intel SDM volume 3, chapter 11 (APIC), by section number.
 */
#include <string.h>
#include "cpu-worker/chipset/chipset-internal.h"

static int bits_highest(const uint32_t *w)
{
    for (int i = 7; i >= 0; i--)
        if (w[i])
            return i * 32 + 31 - __builtin_clz(w[i]);
    return -1;
}

static void bit_put(uint32_t *w, unsigned n, bool v)
{
    if (v)
        w[n >> 5] |= 1u << (n & 31);
    else
        w[n >> 5] &= ~(1u << (n & 31));
}

uint8_t lapic_ppr(const struct abi_lapic *l)
{ /* 11.8.3.1 */
    int v = bits_highest(l->isr);
    uint8_t isrv = v < 0 ? 0 : (uint8_t)v;
    return (l->tpr & 0xf0) >= (isrv & 0xf0) ? l->tpr & 0xff : isrv & 0xf0;
}

/* Does the PIC's INTR reach this CPU? 11.5.1 (ExtINT), MP specification 3.6.2 (PIC, virtual wire).
 * Does the PIC's INTR reach this CPU? 11.5.1 (ExtINT), MP specification 3.6.2 (PIC, virtual
 * wire). */
static bool lapic_extint(struct chipset *cs, unsigned vcpu)
{
    const struct abi_lapic *l = &cs->st->lapic[vcpu];
    if (!cs->pic_out)
        return false;
    if (!lapic_enabled(l))
        return vcpu == 0;
    uint32_t lint0 = l->lvt[LVT_LINT0];
    if (vcpu == 0 && !(lint0 & LVT_MASKED) && ((lint0 >> 8) & 7) == DM_EXTINT)
        return true;
    return ioapic_extint_open(cs, vcpu);
}

/* The vector that would be taken from the IRR now, -1 none. */
static int lapic_deliverable(const struct abi_lapic *l)
{
    if (!lapic_enabled(l))
        return -1;
    int v = bits_highest(l->irr);
    return v >= 0 && (v & 0xf0) > (lapic_ppr(l) & 0xf0) ? v : -1;
}

void lapic_update(struct chipset *cs, unsigned vcpu)
{
    const struct abi_lapic *l = &cs->st->lapic[vcpu];
    bool want = lapic_deliverable(l) >= 0 || lapic_extint(cs, vcpu);
    bool had = __atomic_exchange_n(&cs->intr[vcpu], want, __ATOMIC_SEQ_CST);
    if (want && !had)
        cs->host.vcpu_kick(cs->host.opaque, vcpu);
}

int lapic_ack(struct chipset *cs, unsigned vcpu)
{
    struct abi_lapic *l = &cs->st->lapic[vcpu];
    int v;
    if (lapic_extint(cs, vcpu)) {
        v = pic_ack(cs);
    } else if ((v = lapic_deliverable(l)) >= 0) {
        bit_put(l->irr, (unsigned)v, false);
        bit_put(l->isr, (unsigned)v, true);
    }
    lapic_update(cs, vcpu);
    return v;
}

void lapic_irq_set(struct chipset *cs, unsigned vcpu, uint8_t vector, bool level)
{
    struct abi_lapic *l = &cs->st->lapic[vcpu];
    if (vector < 16) { /* 11.5.3: received illegal vector */
        lapic_error_set(cs, vcpu, 1u << 6);
        return;
    }
    bit_put(l->irr, vector, true);
    bit_put(l->tmr, vector, level);
    lapic_update(cs, vcpu);
}

void lapic_eoi(struct chipset *cs, unsigned vcpu)
{
    struct abi_lapic *l = &cs->st->lapic[vcpu];
    int v = bits_highest(l->isr);
    if (v < 0)
        return;
    bit_put(l->isr, (unsigned)v, false);
    if (l->tmr[v >> 5] & (1u << (v & 31)))
        ioapic_eoi(cs, (uint8_t)v); /* 11.8.5: broadcast for level-triggered interrupts */
    lapic_update(cs, vcpu);
}

static void lapic_nmi(struct chipset *cs, unsigned vcpu)
{
    if (!__atomic_exchange_n(&cs->st->lapic[vcpu].nmi, 1, __ATOMIC_SEQ_CST))
        cs->host.vcpu_kick(cs->host.opaque, vcpu);
}

/* A local source fired: 11.5.1. */
void lapic_lvt_fire(struct chipset *cs, unsigned vcpu, unsigned lvt)
{
    uint32_t e = cs->st->lapic[vcpu].lvt[lvt];
    if (!lapic_enabled(&cs->st->lapic[vcpu]) || (e & LVT_MASKED))
        return;
    bool pin = lvt == LVT_LINT0 || lvt == LVT_LINT1;
    unsigned mode = lvt == LVT_TIMER || lvt == LVT_ERROR ? DM_FIXED : (e >> 8) & 7;
    if (mode == DM_FIXED)
        lapic_irq_set(cs, vcpu, e & 0xff, pin && (e & 0x8000));
    else if (mode == DM_NMI)
        lapic_nmi(cs, vcpu);
    /* ExtINT is a level, looked at in lapic_extint; SMI does not exist on this board. */
}

void lapic_pic_changed(struct chipset *cs, bool level)
{
    if (level && ((cs->st->lapic[0].lvt[LVT_LINT0] >> 8) & 7) != DM_EXTINT)
        lapic_lvt_fire(cs, 0, LVT_LINT0);
    for (unsigned i = 0; i < ABI_VCPU_MAX; i++)
        lapic_update(cs, i);
}

void lapic_error_set(struct chipset *cs, unsigned vcpu, uint32_t bit)
{
    struct abi_lapic *l = &cs->st->lapic[vcpu];
    bool news = !(l->esr_next & bit);
    l->esr_next |= bit;
    /* An illegal vector in the error entry itself must not recurse. */
    if (news && (l->lvt[LVT_ERROR] & 0xff) >= 16)
        lapic_lvt_fire(cs, vcpu, LVT_ERROR);
}

static bool lapic_matches_logical(const struct abi_lapic *l, const struct apic_msg *m)
{
    if (lapic_x2(l)) /* 11.12.10.2: cluster in the upper half, one bit per CPU below */
        return l->ldr >> 16 == m->dest >> 16 && (l->ldr & m->dest & 0xffff);
    uint8_t ldr = l->ldr >> 24, dest = (uint8_t)m->dest;
    if (l->dfr >> 28 == 0xf) /* flat model, 11.6.2.2 */
        return ldr & dest;
    return ((ldr ^ dest) & 0xf0) == 0 && (ldr & dest & 0x0f);
}

bool lapic_matches(const struct abi_lapic *l, const struct apic_msg *m)
{
    if (!lapic_enabled(l))
        return false;
    if (m->dest == (m->wide ? 0xffffffffu : 0xffu))
        return true;
    return m->logical ? lapic_matches_logical(l, m) : l->id == m->dest;
}

/* INIT of the only processor that is running: the machine starts over. 11.4.7.1 */
static bool lapic_accept(struct chipset *cs, unsigned vcpu, const struct apic_msg *m)
{
    switch (m->mode) {
    case DM_FIXED:
    case DM_LOWEST:
        if (!(cs->st->lapic[vcpu].svr & 0x100))
            return false; /* 11.4.7.2: disabled by software */
        lapic_irq_set(cs, vcpu, m->vector, m->level);
        return true;
    case DM_NMI:
        lapic_nmi(cs, vcpu);
        return true;
    case DM_INIT:
        cs_event(cs, CHIPSET_EV_RESET);
        return true;
    default: /* SMI: no SMM on this board. SIPI: no processor waits for one. */
        return false;
    }
}

/* Lowest priority: the matching APIC whose processor priority is least (11.6.2.4). */
static int lapic_arbitrate(struct chipset *cs, const struct apic_msg *m)
{
    int best = -1;
    for (unsigned i = 0; i < ABI_VCPU_MAX; i++) {
        const struct abi_lapic *l = &cs->st->lapic[i];
        if (!lapic_matches(l, m) || !(l->svr & 0x100))
            continue;
        if (best < 0 || lapic_ppr(l) < lapic_ppr(&cs->st->lapic[best]))
            best = (int)i;
    }
    return best;
}

bool lapic_deliver(struct chipset *cs, const struct apic_msg *m)
{
    if (m->mode == DM_LOWEST) {
        int i = lapic_arbitrate(cs, m);
        return i >= 0 && lapic_accept(cs, (unsigned)i, m);
    }
    bool accepted = false;
    for (unsigned i = 0; i < ABI_VCPU_MAX; i++)
        if (lapic_matches(&cs->st->lapic[i], m))
            accepted |= lapic_accept(cs, i, m);
    return accepted;
}

void lapic_reset(struct chipset *cs, unsigned vcpu)
{
    struct abi_lapic *l = &cs->st->lapic[vcpu];
    memset(l, 0, sizeof(*l));
    l->apic_base = 0xfee00000ull | APIC_BASE_EN | (vcpu == 0 ? APIC_BASE_BSP : 0);
    l->id = vcpu;
    l->dfr = 0xffffffffu;
    l->svr = 0xff;
    for (unsigned i = 0; i < LVT_COUNT; i++)
        l->lvt[i] = LVT_MASKED;
    /* Power-on masks LINT0; every firmware then opens it for the PIC ("virtual wire"). A kernel
     * that is started without firmware expects to find it so. */
    if (vcpu == 0)
        l->lvt[LVT_LINT0] = DM_EXTINT << 8;
    l->timer_next_ns = NEVER;
    cs_deadline_set(cs, DL_LAPIC0 + vcpu, NEVER);
    __atomic_store_n(&cs->intr[vcpu], 0, __ATOMIC_SEQ_CST);
}
