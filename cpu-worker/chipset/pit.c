/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The 8254 interval timer at 40h-43h. Owns three counters; channel 0 drives ISA IRQ 0, channel 2 is
 * gated and observed through port 61h (ports.c). Everything is computed from the tick number of the
 * 1.193182 MHz clock; must never count in a loop. Reference: Intel 8254 data sheet (231164).
 *
 * Simplification: OUT's low pulse of one tick (modes 2, 4, 5) and the falling half of mode 3 are
 * visible in the status byte and at port 61h, but only rising edges are sent to the interrupt
 * controllers.
 */
#include "cpu-worker/chipset/chipset-internal.h"

#define PIT_HZ 1193182ull

static uint64_t pit_tick(struct chipset *cs)
{
    return muldiv(cs_now(cs), PIT_HZ, NS_PER_S);
}

static bool mode_is_periodic(const struct abi_pit_channel *c)
{
    return c->mode == 2 || c->mode == 3;
}

/* A count written in modes 2 and 3 takes over at the end of the current period. */
static void ch_sync(struct abi_pit_channel *c, uint64_t t)
{
    if (c->switch_at && t >= c->switch_at) {
        c->start = c->switch_at;
        c->count = c->next_count;
        c->switch_at = 0;
        c->null_count = 0;
    }
}

/* Ticks since the count began. */
static uint64_t ch_elapsed(const struct abi_pit_channel *c, uint64_t t)
{
    if (!c->gate && c->mode != 1 && c->mode != 5)
        return c->held;
    return t > c->start ? t - c->start : 0;
}

static bool ch_out(const struct abi_pit_channel *c, uint64_t t)
{
    if (!c->running)
        return c->mode != 0;
    uint64_t d = ch_elapsed(c, t);
    switch (c->mode) {
    case 0:
    case 1:
        return d >= c->count;
    case 2:
        return !c->gate || d % c->count != c->count - 1;
    case 3:
        return !c->gate || d % c->count < (c->count + 1) / 2;
    default:
        return d != c->count; /* strobe of one tick */
    }
}

/* Mode 3 counts by two; for odd counts the high half is one tick longer ("Mode 3: square wave"). */
static uint32_t square_value(uint32_t n, uint32_t d)
{
    uint32_t high = (n + 1) / 2;
    if (d >= high)
        d -= high;
    return (n & ~1u) - 2 * d;
}

static uint16_t ch_value(const struct abi_pit_channel *c, uint64_t t)
{
    uint64_t d = ch_elapsed(c, t);
    uint32_t modulus = c->bcd ? 10000 : 65536, v;
    if (!c->running)
        v = c->count;
    else if (c->mode == 2)
        v = c->count - (uint32_t)(d % c->count);
    else if (c->mode == 3)
        v = square_value(c->count, (uint32_t)(d % c->count));
    else
        v = (uint32_t)((c->count + modulus - d % modulus) % modulus);
    v %= modulus;
    if (c->bcd)
        v = v % 10 | v / 10 % 10 << 4 | v / 100 % 10 << 8 | v / 1000 << 12;
    return (uint16_t)v;
}

/* Tick of the next rising edge of OUT after the one already reported, 0 = none. */
static uint64_t ch_next_edge(const struct abi_pit_channel *c, uint64_t t)
{
    if (!c->running || !c->gate)
        return 0;
    if (mode_is_periodic(c)) {
        if (c->switch_at)
            return c->switch_at;
        return t < c->start ? c->start + c->count
                            : c->start + ((t - c->start) / c->count + 1) * c->count;
    }
    if (!c->armed)
        return 0;
    return c->start + c->count + (c->mode >= 4); /* the strobe ends one tick later */
}

static void pit_arm(struct chipset *cs, uint64_t t)
{
    const struct abi_pit_channel *c = &cs->st->pit.ch[0];
    uint64_t edge = ch_next_edge(c, t);
    uint64_t ns = edge ? muldiv_up(edge, NS_PER_S, PIT_HZ) : NEVER;
    uint64_t owed = c->owed ? cs_now(cs) + CATCH_UP_NS : NEVER;
    cs_deadline_set(cs, DL_PIT, owed < ns ? owed : ns);
}

/* A host too busy to run this thread for several periods owes the guest their ticks: a kernel that counts them
 * against its loops (Linux at start-up) would find a timer that does not work. They follow one by one, with time in
 * between for a handler, as many as a guest that stood still for a moment can be glad of. */
static void edges_send(struct chipset *cs, struct abi_pit_channel *c, uint64_t t)
{
    uint64_t from = c->reported > c->start ? c->reported : c->start;
    uint64_t due = t > from ? (t - from) / c->count : 0;

    if (due > 1 && c->count >= PERIOD_FLOOR_NS * PIT_HZ / NS_PER_S)
        c->owed = (uint8_t)(c->owed + due - 1 < CATCH_UP_MAX ? c->owed + due - 1 : CATCH_UP_MAX);
    else if (!due && c->owed)
        c->owed--;
    else if (!due)
        return;
    c->reported = from + due * c->count;
    cs_line_pulse(cs, 0, SRC_PIT);
}

void pit_run(struct chipset *cs)
{
    struct abi_pit_channel *c = &cs->st->pit.ch[0];
    uint64_t t = pit_tick(cs);
    if (c->running && mode_is_periodic(c)) {
        edges_send(cs, c, t);
        ch_sync(c, t);
        if (c->count < PERIOD_FLOOR_NS * PIT_HZ / NS_PER_S)
            t += PERIOD_FLOOR_NS * PIT_HZ / NS_PER_S;
    } else if (c->running && c->armed && t >= ch_next_edge(c, t)) {
        c->armed = 0;
        if (c->mode == 0 || c->mode == 1)
            cs_line_set(cs, 0, SRC_PIT, true);
        else
            cs_line_pulse(cs, 0, SRC_PIT);
    }
    pit_arm(cs, t);
}

static void ch_trigger(struct abi_pit_channel *c, uint64_t t)
{
    c->start = t + 1; /* the count element is loaded by the next clock */
    c->held = 0;
    c->running = 1;
    c->armed = 1;
    c->reported = 0;
    c->owed = 0;
    c->switch_at = 0;
    c->null_count = 0;
}

static void count_load(struct chipset *cs, unsigned n, uint32_t raw)
{
    struct abi_pit_channel *c = &cs->st->pit.ch[n];
    uint64_t t = pit_tick(cs);
    if (c->bcd)
        raw = (raw & 15) + (raw >> 4 & 15) * 10 + (raw >> 8 & 15) * 100 + (raw >> 12 & 15) * 1000;
    uint32_t count = raw ? raw : c->bcd ? 10000 : 65536;
    if (count == 1 && mode_is_periodic(c))
        count = 2; /* "minimum initial count is 2" in modes 2 and 3 */
    ch_sync(c, t);
    c->null_count = 1;
    if (mode_is_periodic(c) && c->running && c->gate) {
        c->next_count = count;
        c->switch_at = ch_next_edge(c, t);
    } else {
        c->count = count;
        if (c->mode != 1 && c->mode != 5)
            ch_trigger(c, t);
    }
    if (n == 0) {
        if (c->mode == 0)
            cs_line_set(cs, 0, SRC_PIT, false);
        pit_arm(cs, t);
    }
}

static void data_write(struct chipset *cs, unsigned n, uint8_t v)
{
    struct abi_pit_channel *c = &cs->st->pit.ch[n];
    if (c->access == 1) {
        count_load(cs, n, v);
    } else if (c->access == 2) {
        count_load(cs, n, (uint32_t)v << 8);
    } else if (!c->write_high) {
        c->write_low_byte = v;
        c->write_high = 1;
        if (c->mode == 0)
            c->running = 0; /* writing the first byte stops the count */
    } else {
        c->write_high = 0;
        count_load(cs, n, (uint32_t)v << 8 | c->write_low_byte);
    }
}

static uint8_t data_read(struct chipset *cs, unsigned n)
{
    struct abi_pit_channel *c = &cs->st->pit.ch[n];
    uint64_t t = pit_tick(cs);
    ch_sync(c, t);
    if (c->status_latched) {
        c->status_latched = 0;
        return c->status;
    }
    uint16_t v = c->latch_bytes ? c->latched : ch_value(c, t);
    bool high = c->access == 2 || (c->access == 3 && c->read_high);
    if (c->access == 3)
        c->read_high ^= 1;
    if (c->latch_bytes)
        c->latch_bytes--;
    return high ? v >> 8 : v & 0xff;
}

static void count_latch(struct abi_pit_channel *c, uint64_t t)
{
    if (c->latch_bytes)
        return; /* a second latch before the first is read is ignored */
    c->latched = ch_value(c, t);
    c->latch_bytes = c->access == 3 ? 2 : 1;
    c->read_high = 0;
}

static void read_back(struct chipset *cs, uint8_t v)
{
    uint64_t t = pit_tick(cs);
    for (unsigned n = 0; n < 3; n++) {
        struct abi_pit_channel *c = &cs->st->pit.ch[n];
        if (!(v & (2u << n)))
            continue;
        ch_sync(c, t);
        if (!(v & 0x20))
            count_latch(c, t);
        if (!(v & 0x10) && !c->status_latched) {
            c->status = ch_out(c, t) << 7 | !!c->null_count << 6 | c->access << 4 | c->mode << 1 |
                        c->bcd;
            c->status_latched = 1;
        }
    }
}

static void control_write(struct chipset *cs, uint8_t v)
{
    unsigned n = v >> 6;
    if (n == 3) {
        read_back(cs, v);
        return;
    }
    struct abi_pit_channel *c = &cs->st->pit.ch[n];
    if (!(v & 0x30)) {
        ch_sync(c, pit_tick(cs));
        count_latch(c, pit_tick(cs));
        return;
    }
    c->mode = (v >> 1) & 7;
    if (c->mode > 5)
        c->mode -= 4; /* 110 and 111 select modes 2 and 3 */
    c->bcd = v & 1;
    c->access = (v >> 4) & 3;
    c->running = c->armed = c->write_high = c->read_high = 0;
    c->latch_bytes = c->status_latched = 0;
    c->switch_at = 0;
    c->null_count = 1;
    if (n == 0) {
        cs_line_set(cs, 0, SRC_PIT, c->mode == 1); /* later pulses start from low */
        pit_arm(cs, 0);
    }
}

uint8_t pit_port_read(struct chipset *cs, uint16_t port)
{
    return port == 0x43 ? 0xff : data_read(cs, port & 3);
}

void pit_port_write(struct chipset *cs, uint16_t port, uint8_t v)
{
    if (port == 0x43)
        control_write(cs, v);
    else
        data_write(cs, port & 3, v);
}

/* GATE of channel 2: a level for modes 0 and 4, level and restart for 2 and 3, trigger for 1 and
 * 5. */
void pit_gate2_set(struct chipset *cs, bool gate)
{
    struct abi_pit_channel *c = &cs->st->pit.ch[2];
    uint64_t t = pit_tick(cs);
    if (gate == !!c->gate)
        return;
    ch_sync(c, t);
    if (!gate) {
        c->held = mode_is_periodic(c) ? 0 : (uint32_t)ch_elapsed(c, t);
        c->gate = 0;
        return;
    }
    c->gate = 1;
    if (c->mode == 1 || c->mode == 5 || (mode_is_periodic(c) && c->running))
        ch_trigger(c, t);
    else
        c->start = t - c->held;
}

bool pit_out(struct chipset *cs, unsigned channel)
{
    uint64_t t = pit_tick(cs);
    ch_sync(&cs->st->pit.ch[channel], t);
    return ch_out(&cs->st->pit.ch[channel], t);
}

void pit_reset(struct chipset *cs)
{
    struct abi_pit *p = &cs->st->pit;
    *p = (struct abi_pit){0};
    for (unsigned n = 0; n < 3; n++)
        p->ch[n] = (struct abi_pit_channel){.mode = 3, .access = 3, .count = 65536, .gate = n != 2};
    cs_ports_claim(cs, 0x40, 4, PORT_PIT);
    pit_arm(cs, 0);
}
