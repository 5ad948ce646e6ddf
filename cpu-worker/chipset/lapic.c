/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The local APIC's interrupt side: acceptance, priorities, acknowledge, EOI and message routing.
 * Owns IRR, ISR, TMR and the vCPU's interrupt word; must never decode register addresses (lapic-
 * regs.c). No lock: any thread sets IRR, TMR, nmi and pending with atomics and kicks; everything else is
 * written by the vCPU's own thread, which alone decides what is deliverable. Reference: Intel SDM volume 3, chapter 11 (APIC), by section number.
 */
#include <string.h>
#include "cpu-worker/chipset/chipset-internal.h"

static int bits_highest(const uint32_t *w)
{
    for (int i = 7; i >= 0; i--) {
        uint32_t v = __atomic_load_n(&w[i], __ATOMIC_RELAXED);
        if (v)
            return i * 32 + 31 - __builtin_clz(v);
    }
    return -1;
}

/* Returns whether the bit was set before. */
static bool bit_put(uint32_t *w, unsigned n, bool v)
{
    uint32_t bit = 1u << (n & 31);
    if (v)
        return __atomic_fetch_or(&w[n >> 5], bit, __ATOMIC_SEQ_CST) & bit;
    return __atomic_fetch_and(&w[n >> 5], ~bit, __ATOMIC_SEQ_CST) & bit;
}

uint8_t lapic_ppr(const struct abi_lapic *l)
{ /* 11.8.3.1 */
    int v = bits_highest(l->isr);
    uint8_t isrv = v < 0 ? 0 : (uint8_t)v;
    uint32_t tpr = __atomic_load_n(&l->tpr, __ATOMIC_RELAXED);
    return (tpr & 0xf0) >= (isrv & 0xf0) ? tpr & 0xff : isrv & 0xf0;
}

/* Does the PIC's INTR reach this CPU? 11.5.1 (ExtINT), MP specification 3.6.2 (PIC, virtual wire).
 * Does the PIC's INTR reach this CPU? 11.5.1 (ExtINT), MP specification 3.6.2 (PIC, virtual
 * wire). */
static bool lapic_extint(struct chipset *cs, unsigned vcpu)
{
    const struct abi_lapic *l = &cs->st->lapic[vcpu];
    if (!__atomic_load_n(&cs->pic_out, __ATOMIC_SEQ_CST))
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

/* Any thread: something about this vCPU's interrupts may have changed in its favour. */
void lapic_attention(struct chipset *cs, unsigned vcpu)
{
    if (!__atomic_exchange_n(&cs->intr[vcpu], 1, __ATOMIC_SEQ_CST))
        cs->host.vcpu_kick(cs->host.opaque, vcpu);
}

/* The hint goes down before the look: whoever sets a bit after the look raises it again. */
bool lapic_evaluate(struct chipset *cs, unsigned vcpu)
{
    __atomic_store_n(&cs->intr[vcpu], 0, __ATOMIC_SEQ_CST);
    bool want = lapic_deliverable(&cs->st->lapic[vcpu]) >= 0 || lapic_extint(cs, vcpu);
    if (want)
        __atomic_store_n(&cs->intr[vcpu], 1, __ATOMIC_SEQ_CST);
    return want;
}
void lapic_update(struct chipset *cs, unsigned vcpu)
{
    bool had = __atomic_load_n(&cs->intr[vcpu], __ATOMIC_RELAXED);
    if (lapic_evaluate(cs, vcpu) && !had)
        cs->host.vcpu_kick(cs->host.opaque, vcpu);
}

int lapic_ack(struct chipset *cs, unsigned vcpu)
{
    struct abi_lapic *l = &cs->st->lapic[vcpu];
    int v = -1;
    bool ext = lapic_extint(cs, vcpu);
    if (ext) {
        cs_lock(cs);
        ext = cs->pic_out; /* another vCPU may have been faster */
        v = ext ? pic_ack(cs) : -1;
        cs_unlock(cs);
    }
    if (!ext && (v = lapic_deliverable(l)) >= 0) {
        bit_put(l->isr, (unsigned)v, true);
        bit_put(l->irr, (unsigned)v, false);
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
    bit_put(l->tmr, vector, level);
    if (!bit_put(l->irr, vector, true))
        lapic_attention(cs, vcpu);
}

void lapic_eoi(struct chipset *cs, unsigned vcpu)
{
    struct abi_lapic *l = &cs->st->lapic[vcpu];
    int v = bits_highest(l->isr);
    if (v < 0)
        return;
    bit_put(l->isr, (unsigned)v, false);
    if (__atomic_load_n(&l->tmr[v >> 5], __ATOMIC_RELAXED) & (1u << (v & 31))) {
        cs_lock(cs);
        ioapic_eoi(cs, (uint8_t)v); /* 11.8.5: broadcast for level-triggered interrupts */
        cs_unlock(cs);
    }
    lapic_update(cs, vcpu);
}

static void lapic_nmi(struct chipset *cs, unsigned vcpu)
{
    if (!__atomic_exchange_n(&cs->st->lapic[vcpu].nmi, 1, __ATOMIC_SEQ_CST))
        cs->host.vcpu_kick(cs->host.opaque, vcpu);
}

void lapic_smi(struct chipset *cs, unsigned vcpu)
{
    __atomic_fetch_or(&cs->st->lapic[vcpu].pending, ABI_LAPIC_SMI, __ATOMIC_SEQ_CST);
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
    else if (mode == DM_SMI)
        lapic_smi(cs, vcpu);
    /* ExtINT is a level, looked at in lapic_extint. */
}

void lapic_pic_changed(struct chipset *cs, bool level)
{
    if (level && ((cs->st->lapic[0].lvt[LVT_LINT0] >> 8) & 7) != DM_EXTINT)
        lapic_lvt_fire(cs, 0, LVT_LINT0);
    for (unsigned i = 0; level && i < cs->vcpus; i++)
        if (lapic_extint(cs, i))
            lapic_attention(cs, i);
}

void lapic_error_set(struct chipset *cs, unsigned vcpu, uint32_t bit)
{
    struct abi_lapic *l = &cs->st->lapic[vcpu];
    bool news = !(__atomic_fetch_or(&l->esr_next, bit, __ATOMIC_SEQ_CST) & bit);
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

/* INIT and start-up wait for the vCPU's next look. INIT of the bootstrap processor starts the machine
 * over: it would go to the reset vector, and there is no firmware. 11.4.7.1 */
static void lapic_signal(struct chipset *cs, unsigned vcpu, const struct apic_msg *m)
{
    struct abi_lapic *l = &cs->st->lapic[vcpu];
    if (m->mode == DM_INIT && (l->apic_base & APIC_BASE_BSP)) {
        cs_event(cs, CHIPSET_EV_RESET);
        return;
    }
    if (m->mode == DM_INIT) {
        __atomic_fetch_and(&l->pending, ~ABI_LAPIC_SIPI, __ATOMIC_SEQ_CST); /* forgets an older one */
        __atomic_fetch_or(&l->pending, ABI_LAPIC_INIT, __ATOMIC_SEQ_CST);
    } else {
        __atomic_store_n(&l->sipi_vector, m->vector, __ATOMIC_SEQ_CST);
        __atomic_fetch_or(&l->pending, ABI_LAPIC_SIPI, __ATOMIC_SEQ_CST);
    }
    cs->host.vcpu_kick(cs->host.opaque, vcpu);
}
uint32_t lapic_signal_take(struct chipset *cs, unsigned vcpu, unsigned *sipi_vector)
{
    struct abi_lapic *l = &cs->st->lapic[vcpu];
    uint32_t what = __atomic_fetch_and(&l->pending, ABI_LAPIC_SMI, __ATOMIC_SEQ_CST) & ~ABI_LAPIC_SMI;
    *sipi_vector = __atomic_load_n(&l->sipi_vector, __ATOMIC_SEQ_CST) & 0xff;
    if (what & ABI_LAPIC_INIT)
        lapic_init(cs, vcpu);
    return what;
}

static bool lapic_accept(struct chipset *cs, unsigned vcpu, const struct apic_msg *m)
{
    switch (m->mode) {
    case DM_FIXED:
    case DM_LOWEST:
        if (!(__atomic_load_n(&cs->st->lapic[vcpu].svr, __ATOMIC_RELAXED) & 0x100))
            return false; /* 11.4.7.2: disabled by software */
        lapic_irq_set(cs, vcpu, m->vector, m->level);
        return true;
    case DM_NMI:
        lapic_nmi(cs, vcpu);
        return true;
    case DM_INIT:
    case DM_SIPI:
        lapic_signal(cs, vcpu, m);
        return true;
    case DM_SMI:
        lapic_smi(cs, vcpu);
        return true;
    default:
        return false;
    }
}
bool lapic_accept_direct(struct chipset *cs, unsigned vcpu, const struct apic_msg *m)
{
    return lapic_enabled(&cs->st->lapic[vcpu]) && lapic_accept(cs, vcpu, m);
}

/* Lowest priority: the matching APIC whose processor priority is least (11.6.2.4). */
static int lapic_arbitrate(struct chipset *cs, const struct apic_msg *m)
{
    int best = -1;
    unsigned from = __atomic_fetch_add(&cs->arb_next, 1, __ATOMIC_RELAXED); /* equals take turns */
    for (unsigned k = 0; k < cs->vcpus; k++) {
        unsigned i = (from + k) % cs->vcpus;
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
    for (unsigned i = 0; i < cs->vcpus; i++)
        if (lapic_matches(&cs->st->lapic[i], m))
            accepted |= lapic_accept(cs, i, m);
    return accepted;
}

static void lapic_clear(struct chipset *cs, unsigned vcpu, uint64_t base, uint32_t id, uint32_t keep)
{
    struct abi_lapic *l = &cs->st->lapic[vcpu];
    pthread_mutex_lock(&cs->timer_lock[vcpu].m);
    uint32_t nmi = l->nmi, pending = __atomic_load_n(&l->pending, __ATOMIC_SEQ_CST) & keep;
    uint32_t sipi = l->sipi_vector;
    memset(l, 0, sizeof(*l));
    l->nmi = keep ? nmi : 0;
    l->pending = pending;
    l->sipi_vector = sipi;
    l->apic_base = base;
    l->id = id;
    l->dfr = 0xffffffffu;
    if (lapic_x2(l))
        l->ldr = lapic_x2_ldr(id);
    l->svr = 0xff;
    for (unsigned i = 0; i < LVT_COUNT; i++)
        l->lvt[i] = LVT_MASKED;
    l->timer_next_ns = NEVER;
    cs_deadline_set(cs, DL_LAPIC0 + vcpu, NEVER);
    pthread_mutex_unlock(&cs->timer_lock[vcpu].m);
    __atomic_store_n(&cs->intr[vcpu], 0, __ATOMIC_SEQ_CST);
}
void lapic_reset(struct chipset *cs, unsigned vcpu)
{
    lapic_clear(cs, vcpu, 0xfee00000ull | APIC_BASE_EN | (vcpu == 0 ? APIC_BASE_BSP : 0),
                cs->apic_id[vcpu], 0);
    /* Power-on masks LINT0; every firmware then opens it for the PIC ("virtual wire"). A kernel
     * that is started without firmware expects to find it so. */
    if (vcpu == 0)
        cs->st->lapic[0].lvt[LVT_LINT0] = DM_EXTINT << 8;
}
/* 11.4.7.3: as power-on, but the ID and IA32_APIC_BASE stay. A start-up IPI may already be waiting. */
void lapic_init(struct chipset *cs, unsigned vcpu)
{
    const struct abi_lapic *l = &cs->st->lapic[vcpu];
    lapic_clear(cs, vcpu, l->apic_base, l->id, ~0u);
}
