/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The local APIC timer: one-shot, periodic and TSC-deadline. Owns the count and its deadline, under
 * the LAPIC's timer_lock (its vCPU and the pump meet here); must never poll, every expiry is computed. The bus clock is 1 GHz, so one count at divisor 1 is one
 * virtual nanosecond. Reference: Intel SDM volume 3, 11.5.4.
 */
#include "cpu-worker/chipset/chipset-internal.h"

static void timer_lock(struct chipset *cs, unsigned vcpu)
{
    pthread_mutex_lock(&cs->timer_lock[vcpu].m);
}
static void timer_unlock(struct chipset *cs, unsigned vcpu)
{
    pthread_mutex_unlock(&cs->timer_lock[vcpu].m);
}

enum { TIMER_ONESHOT, TIMER_PERIODIC, TIMER_DEADLINE };

static unsigned timer_mode(const struct abi_lapic *l)
{
    return (l->lvt[LVT_TIMER] >> 17) & 3;
}

static uint32_t timer_divisor(uint32_t reg)
{
    unsigned v = (reg & 3) | (reg & 8) >> 1;
    return v == 7 ? 1 : 2u << v;
}

static uint64_t timer_span(const struct abi_lapic *l)
{
    return (uint64_t)l->timer_init * timer_divisor(l->timer_divide);
}

/* Tells the pump when to look again. A masked periodic timer needs no wake-up: it is recomputed. */
static void timer_arm(struct chipset *cs, unsigned vcpu)
{
    struct abi_lapic *l = &cs->st->lapic[vcpu];
    bool silent = timer_mode(l) == TIMER_PERIODIC && (l->lvt[LVT_TIMER] & LVT_MASKED);
    cs_deadline_set(cs, DL_LAPIC0 + vcpu, silent ? NEVER : l->timer_next_ns);
}

/* Expiry of the TSC deadline as virtual time; the conversion is inexact, so it is done again and
 * again until the TSC itself says that the deadline has passed. */
static void deadline_run(struct chipset *cs, unsigned vcpu)
{
    struct abi_lapic *l = &cs->st->lapic[vcpu];
    if (!l->tsc_deadline) {
        l->timer_next_ns = NEVER;
    } else if (cs->host.guest_tsc(cs->host.opaque, vcpu) >= l->tsc_deadline) {
        l->tsc_deadline = 0;
        l->timer_next_ns = NEVER;
        lapic_lvt_fire(cs, vcpu, LVT_TIMER);
    } else {
        l->timer_next_ns = cs->host.tsc_to_ns(cs->host.opaque, vcpu, l->tsc_deadline);
    }
    timer_arm(cs, vcpu);
}

static void count_run(struct chipset *cs, unsigned vcpu)
{
    struct abi_lapic *l = &cs->st->lapic[vcpu];
    uint64_t now = cs_now(cs), span = timer_span(l);
    if (l->timer_next_ns != NEVER && now >= l->timer_next_ns) {
        lapic_lvt_fire(cs, vcpu, LVT_TIMER);
        l->timer_next_ns = NEVER;
        if (timer_mode(l) == TIMER_PERIODIC && span) {
            uint64_t from = now - l->timer_start_ns;
            uint64_t step = span < PERIOD_FLOOR_NS ? PERIOD_FLOOR_NS : 0;
            l->timer_next_ns = l->timer_start_ns + ((from + step) / span + 1) * span;
        }
    }
    timer_arm(cs, vcpu);
}

void lapic_timer_run(struct chipset *cs, unsigned vcpu)
{
    timer_lock(cs, vcpu);
    if (timer_mode(&cs->st->lapic[vcpu]) == TIMER_DEADLINE)
        deadline_run(cs, vcpu);
    else
        count_run(cs, vcpu);
    timer_unlock(cs, vcpu);
}

static void init_set(struct chipset *cs, unsigned vcpu, uint32_t count)
{
    struct abi_lapic *l = &cs->st->lapic[vcpu];
    if (timer_mode(l) == TIMER_DEADLINE)
        return; /* 11.5.4.1: writes to the initial count are ignored */
    l->timer_init = count;
    l->timer_start_ns = cs_now(cs);
    l->timer_next_ns = count ? l->timer_start_ns + timer_span(l) : NEVER;
    timer_arm(cs, vcpu);
}
void lapic_timer_init_set(struct chipset *cs, unsigned vcpu, uint32_t count)
{
    timer_lock(cs, vcpu);
    init_set(cs, vcpu, count);
    timer_unlock(cs, vcpu);
}

static uint32_t current(struct chipset *cs, unsigned vcpu)
{
    const struct abi_lapic *l = &cs->st->lapic[vcpu];
    if (timer_mode(l) == TIMER_DEADLINE || !l->timer_init)
        return 0;
    uint64_t done = (cs_now(cs) - l->timer_start_ns) / timer_divisor(l->timer_divide);
    if (timer_mode(l) == TIMER_PERIODIC)
        return l->timer_init - (uint32_t)(done % l->timer_init);
    return done >= l->timer_init ? 0 : l->timer_init - (uint32_t)done;
}
uint32_t lapic_timer_current(struct chipset *cs, unsigned vcpu)
{
    timer_lock(cs, vcpu);
    uint32_t v = current(cs, vcpu);
    timer_unlock(cs, vcpu);
    return v;
}

/* The rest of the count goes on at the new speed. */
static void divide_set(struct chipset *cs, unsigned vcpu, uint32_t v)
{
    struct abi_lapic *l = &cs->st->lapic[vcpu];
    uint32_t left = current(cs, vcpu);
    l->timer_divide = v & 0xb;
    if (!left || timer_mode(l) == TIMER_DEADLINE)
        return;
    uint64_t div = timer_divisor(l->timer_divide), now = cs_now(cs);
    uint64_t used = (uint64_t)(l->timer_init - left) * div;
    l->timer_start_ns = now - used; /* may wrap below zero: only differences are used */
    l->timer_next_ns = now + left * div;
    timer_arm(cs, vcpu);
}
void lapic_timer_divide_set(struct chipset *cs, unsigned vcpu, uint32_t v)
{
    timer_lock(cs, vcpu);
    divide_set(cs, vcpu, v);
    timer_unlock(cs, vcpu);
}

static void lvt_set(struct chipset *cs, unsigned vcpu, uint32_t v)
{
    struct abi_lapic *l = &cs->st->lapic[vcpu];
    unsigned old = timer_mode(l);
    bool was_masked = l->lvt[LVT_TIMER] & LVT_MASKED;
    l->lvt[LVT_TIMER] = v;
    unsigned neu = timer_mode(l);
    if (old != neu && (old == TIMER_DEADLINE || neu == TIMER_DEADLINE)) {
        l->tsc_deadline = 0; /* 11.5.4.1: changing to or from TSC-deadline mode disarms */
        l->timer_init = 0;
        l->timer_next_ns = NEVER;
    } else if (was_masked && !(v & LVT_MASKED) && l->timer_next_ns <= cs_now(cs)) {
        /* Expired while masked: that interrupt never existed. */
        uint64_t span = timer_span(l), now = cs_now(cs);
        bool again = neu == TIMER_PERIODIC && span;
        l->timer_next_ns = again ? now + span - (now - l->timer_start_ns) % span : NEVER;
    }
    timer_arm(cs, vcpu);
}
void lapic_timer_lvt_set(struct chipset *cs, unsigned vcpu, uint32_t v)
{
    timer_lock(cs, vcpu);
    lvt_set(cs, vcpu, v);
    timer_unlock(cs, vcpu);
}

uint64_t lapic_tsc_deadline_get(struct chipset *cs, unsigned vcpu)
{
    const struct abi_lapic *l = &cs->st->lapic[vcpu];
    if (timer_mode(l) != TIMER_DEADLINE)
        return 0;
    /* Reads zero once the deadline has passed, even if the pump has not run yet. */
    bool passed = cs->host.guest_tsc(cs->host.opaque, vcpu) >= l->tsc_deadline;
    return passed ? 0 : l->tsc_deadline;
}

static void tsc_deadline_set(struct chipset *cs, unsigned vcpu, uint64_t tsc)
{
    struct abi_lapic *l = &cs->st->lapic[vcpu];
    if (timer_mode(l) != TIMER_DEADLINE)
        return; /* 11.5.4.1: ignored in the other modes */
    l->tsc_deadline = tsc;
    deadline_run(cs, vcpu);
}
void lapic_tsc_deadline_set(struct chipset *cs, unsigned vcpu, uint64_t tsc)
{
    timer_lock(cs, vcpu);
    tsc_deadline_set(cs, vcpu, tsc);
    timer_unlock(cs, vcpu);
}

uint64_t chipset_tsc_wait_ns(struct chipset *cs, unsigned vcpu, uint64_t tsc)
{
    uint64_t now, then;
    if ((int64_t)(cs->host.guest_tsc(cs->host.opaque, vcpu) - tsc) >= 0)
        return 0;
    now = cs->host.now_ns(cs->host.opaque);
    then = cs->host.tsc_to_ns(cs->host.opaque, vcpu, tsc);
    return then > now ? then - now : 0;
}
