/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The high precision event timer block at FED00000h: a 64-bit 100 MHz counter and three
 * comparators, all able to be periodic. Owns counter and comparators; when legacy replacement is
 * on, timers 0 and 1 take over IRQ 0 and IRQ 8. Must never tick: matches are computed. Reference:
 * IA-PC HPET specification 1.0a, by section.
 */
#include "cpu-worker/chipset/chipset-internal.h"

#define TICK_NS    10ull
#define TIMERS     3
#define CAPABILITY ((TICK_NS * 1000000ull) << 32 | 0x8086a001ull | (TIMERS - 1) << 8)

#define CFG_ENABLE 1ull
#define CFG_LEGACY 2ull

#define TN_LEVEL    (1ull << 1)
#define TN_INT      (1ull << 2)
#define TN_PERIODIC (1ull << 3)
#define TN_SETVAL   (1ull << 6)
#define TN_32       (1ull << 8)
#define TN_ROUTE(c) (((c) >> 9) & 31)
#define TN_WRITABLE (TN_LEVEL | TN_INT | TN_PERIODIC | TN_SETVAL | TN_32 | 31ull << 9)
/* Read-only bits: periodic and 64-bit capable, no message interrupts; routes to IOAPIC pins 20-23.
 * Read-only bits: periodic and 64-bit capable, no message interrupts; routes to IOAPIC pins
 * 20-23. */
#define TN_CAPS     (1ull << 4 | 1ull << 5 | 0x00f00000ull << 32)
#define ROUTES      0x00f00000u

static bool hpet_running(const struct abi_hpet *h)
{
    return h->config & CFG_ENABLE;
}

bool hpet_legacy(const struct chipset *cs)
{
    return (cs->st->hpet.config & (CFG_ENABLE | CFG_LEGACY)) == (CFG_ENABLE | CFG_LEGACY);
}

static uint64_t hpet_counter(struct chipset *cs)
{
    const struct abi_hpet *h = &cs->st->hpet;
    return hpet_running(h) ? h->counter + cs_now(cs) / TICK_NS : h->counter;
}

static uint64_t tn_mask(const struct abi_hpet_timer *t)
{
    return t->config & TN_32 ? 0xffffffffull : ~0ull;
}

/* Ticks from `from` to the next match, 1 to 2^width (0 stands for 2^64). */
static uint64_t tn_distance(const struct abi_hpet_timer *t, uint64_t from)
{
    uint64_t d = (t->comparator - from) & tn_mask(t);
    return d || tn_mask(t) == ~0ull ? d : 1ull << 32;
}

static int tn_line(struct chipset *cs, unsigned n)
{
    if (hpet_legacy(cs) && n < 2)
        return n == 0 ? 0 : 8;
    unsigned route = TN_ROUTE(cs->st->hpet.timer[n].config);
    return route < 32 && (ROUTES >> route & 1) ? (int)route : -1;
}

static void tn_fire(struct chipset *cs, unsigned n)
{
    struct abi_hpet *h = &cs->st->hpet;
    const struct abi_hpet_timer *t = &h->timer[n];
    int line = tn_line(cs, n);
    if (t->config & TN_LEVEL)
        h->status |= 1u << n; /* 2.3.5: set whether or not the interrupt is enabled */
    if (!(t->config & TN_INT))
        return;
    if (line >= 0 && (t->config & TN_LEVEL))
        cs_line_set(cs, (unsigned)line, SRC_HPET0 + n, true);
    else if (line >= 0)
        cs_line_pulse(cs, (unsigned)line, SRC_HPET0 + n);
}

/* Looks for matches in (checked, now]. */
static void tn_check(struct chipset *cs, unsigned n, uint64_t from, uint64_t now)
{
    struct abi_hpet_timer *t = &cs->st->hpet.timer[n];
    uint64_t d = tn_distance(t, from);
    if (!d || d > now - from)
        return;
    tn_fire(cs, n);
    if ((t->config & TN_PERIODIC) && t->period) {
        uint64_t past = now - from - d; /* ticks since the match: what was missed is owed (pit.c says why) */
        t->owed += past / t->period;
        t->owed = t->owed < CATCH_UP_MAX ? t->owed : CATCH_UP_MAX;
        t->comparator = (t->comparator + (past / t->period + 1) * t->period) & tn_mask(t);
    }
}

static void hpet_check(struct chipset *cs)
{
    struct abi_hpet *h = &cs->st->hpet;
    if (!hpet_running(h))
        return;
    uint64_t now = hpet_counter(cs), from = h->checked;
    h->checked = now;
    for (unsigned n = 0; n < TIMERS; n++)
        tn_check(cs, n, from, now);
}

static void hpet_arm(struct chipset *cs)
{
    struct abi_hpet *h = &cs->st->hpet;
    uint64_t best = NEVER;
    for (unsigned n = 0; hpet_running(h) && n < TIMERS; n++) {
        const struct abi_hpet_timer *t = &h->timer[n];
        uint64_t d = tn_distance(t, h->checked);
        if (!(t->config & TN_INT) || !d || d > NEVER / TICK_NS / 2)
            continue;
        if ((t->config & TN_PERIODIC) && t->period && d < PERIOD_FLOOR_NS / TICK_NS &&
            t->period < PERIOD_FLOOR_NS / TICK_NS)
            d = PERIOD_FLOOR_NS / TICK_NS;
        /* The counter is now/10 rounded down: the match is at the start of that tick. */
        uint64_t ns = (h->checked + d - h->counter) * TICK_NS;
        best = ns < best ? ns : best;
        uint64_t owed = t->owed && (t->config & TN_PERIODIC) ? cs_now(cs) + CATCH_UP_NS : NEVER;
        best = owed < best ? owed : best;
    }
    cs_deadline_set(cs, DL_HPET, best);
}

/* One match that is owed; not together with one that is due, or they would be one interrupt. */
static void tn_pay(struct chipset *cs, unsigned n, uint64_t comparator)
{
    struct abi_hpet_timer *t = &cs->st->hpet.timer[n];

    if (!t->owed || !(t->config & TN_PERIODIC) || t->comparator != comparator)
        return;
    t->owed--;
    tn_fire(cs, n);
}

void hpet_run(struct chipset *cs)
{
    uint64_t before[TIMERS];

    for (unsigned n = 0; n < TIMERS; n++)
        before[n] = cs->st->hpet.timer[n].comparator;
    hpet_check(cs);
    for (unsigned n = 0; n < TIMERS; n++)
        tn_pay(cs, n, before[n]);
    hpet_arm(cs);
}

static void lines_drop(struct chipset *cs, unsigned n)
{
    for (unsigned line = 0; line < ABI_GSI_MAX; line++)
        cs_line_set(cs, line, SRC_HPET0 + n, false);
}

/* A level timer's line follows its status bit and its current route. */
static void tn_relevel(struct chipset *cs, unsigned n)
{
    const struct abi_hpet *h = &cs->st->hpet;
    const struct abi_hpet_timer *t = &h->timer[n];
    int line = tn_line(cs, n);
    lines_drop(cs, n);
    if (line >= 0 && (h->status >> n & 1) && (t->config & TN_LEVEL) && (t->config & TN_INT))
        cs_line_set(cs, (unsigned)line, SRC_HPET0 + n, true);
}

static void config_write(struct chipset *cs, uint64_t v)
{
    struct abi_hpet *h = &cs->st->hpet;
    uint64_t ticks = cs_now(cs) / TICK_NS;
    bool was = hpet_running(h);
    h->config = v & (CFG_ENABLE | CFG_LEGACY);
    if (!was && hpet_running(h)) {
        h->checked = h->counter;
        h->counter -= ticks;
    } else if (was && !hpet_running(h)) {
        h->counter += ticks;
    }
    for (unsigned n = 0; n < TIMERS; n++)
        tn_relevel(cs, n);
    cs_line_refresh(cs, 0);
    cs_line_refresh(cs, 8);
}

static void comparator_write(struct abi_hpet_timer *t, uint64_t v)
{
    /* 2.3.9.2.2: in periodic mode the first write after SETVAL sets the accumulator, and every
     * write sets the period. Without SETVAL the accumulator goes on. */
    if (!(t->config & TN_PERIODIC) || (t->config & TN_SETVAL))
        t->comparator = v & tn_mask(t);
    if (t->config & TN_PERIODIC)
        t->period = v & tn_mask(t);
    t->config &= ~TN_SETVAL;
}

static void tn_write(struct chipset *cs, unsigned n, unsigned reg, uint64_t v)
{
    struct abi_hpet_timer *t = &cs->st->hpet.timer[n];
    t->owed = 0;
    switch (reg) {
    case 0:
        t->config = v & TN_WRITABLE;
        if (t->config & TN_32) {
            t->comparator &= 0xffffffff;
            t->period &= 0xffffffff;
        }
        tn_relevel(cs, n);
        break;
    case 8:
        comparator_write(t, v);
        break;
    }
}

static uint64_t reg_read(struct chipset *cs, uint32_t off)
{
    const struct abi_hpet *h = &cs->st->hpet;
    unsigned n = (off - 0x100) / 0x20;
    switch (off) {
    case 0x00: return CAPABILITY;
    case 0x10: return h->config;
    case 0x20: return h->status;
    case 0xf0: return hpet_counter(cs);
    }
    if (off < 0x100 || n >= TIMERS)
        return 0;
    switch (off & 0x1f) {
    case 0x00: return (h->timer[n].config & ~TN_SETVAL) | TN_CAPS;
    case 0x08: return h->timer[n].comparator;
    }
    return 0;
}

/* Whole registers. Partial writes were merged with what the register holds. */
static void reg_write(struct chipset *cs, uint32_t off, uint64_t v)
{
    struct abi_hpet *h = &cs->st->hpet;
    unsigned n = (off - 0x100) / 0x20;
    if (off == 0x10) {
        config_write(cs, v);
    } else if (off == 0x20) {
        h->status &= ~(v & 7);
        for (unsigned i = 0; i < TIMERS; i++)
            if (v >> i & 1)
                tn_relevel(cs, i);
    } else if (off == 0xf0) {
        if (!hpet_running(h))
            h->counter = v;
    } else if (off >= 0x100 && n < TIMERS) {
        tn_write(cs, n, off & 0x1f, v);
    }
}

uint64_t hpet_read(struct chipset *cs, uint32_t off, unsigned size)
{
    if ((off & ~7u) != 0xf0) /* the counter is read often and needs no comparator to be examined */
        hpet_run(cs);
    uint64_t v = reg_read(cs, off & ~7u) >> (8 * (off & 7));
    return size >= 8 ? v : v & ((1ull << (8 * size)) - 1);
}

void hpet_write(struct chipset *cs, uint32_t off, unsigned size, uint64_t v)
{
    uint32_t reg = off & ~7u;
    if ((size != 4 && size != 8) || (off & (size - 1)))
        return; /* 2.3.1: 32-bit and 64-bit aligned accesses only */
    hpet_check(cs);
    if (size == 4) {
        unsigned shift = 8 * (off & 7);
        uint64_t keep = reg == 0x20 ? 0 : reg_read(cs, reg) & ~(0xffffffffull << shift);
        v = keep | (v & 0xffffffff) << shift;
    }
    reg_write(cs, reg, v);
    hpet_arm(cs);
}

void hpet_reset(struct chipset *cs)
{
    cs->st->hpet = (struct abi_hpet){0};
    for (unsigned n = 0; n < TIMERS; n++)
        cs->st->hpet.timer[n].comparator = ~0ull;
    cs_deadline_set(cs, DL_HPET, NEVER);
}
