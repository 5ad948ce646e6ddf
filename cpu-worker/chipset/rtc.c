/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The MC146818A real-time clock behind ports 70h/71h. Owns date and time, alarm, periodic and
 * update interrupts on ISA IRQ 8; the memory sizes in its battery-backed bytes are cmos.c's. Must
 * never wake the worker for a flag whose interrupt is disabled: flags are computed when they are
 * read. Reference: Motorola MC146818A data sheet.
 */
#include "cpu-worker/chipset/calendar.h"
#include "cpu-worker/chipset/chipset-internal.h"

enum { R_SEC, R_SEC_ALARM, R_MIN, R_MIN_ALARM, R_HOUR, R_HOUR_ALARM, R_WDAY, R_MDAY, R_MONTH,
       R_YEAR, R_A, R_B, R_C, R_D, R_CENTURY = 0x32 };
#define B_SET 0x80
#define B_PIE 0x40
#define B_AIE 0x20
#define B_UIE 0x10
#define B_BIN 0x04
#define B_24H 0x02
#define C_IRQF 0x80
/* UIP rises 244 us before an update that takes 1984 us ("Update cycle", table 6). */
#define UIP_NS 2228000ll

static bool rtc_held(const struct abi_rtc *r)
{
    return (r->cmos[R_B] & B_SET) || (r->cmos[R_A] & 0x70) >= 0x60; /* divider chain in reset */
}

/* Bounds that keep nanoseconds inside 64 bits: the clock can show 1970 to 2223. */
#define BASE_MAX_S  4000000000ll
#define CLOCK_MAX_S 8000000000ll

static int64_t clamp_s(int64_t s, int64_t max)
{
    return s < 0 ? 0 : s > max ? max : s;
}

static int64_t rtc_ns(struct chipset *cs, uint64_t virt)
{
    int64_t base = clamp_s(cs->page->rtc_base_s, BASE_MAX_S) * (int64_t)NS_PER_S;
    return base + (int64_t)virt + cs->st->rtc.offset_ns;
}

static int64_t floor_s(int64_t ns)
{
    return ns < 0 ? 0 : ns / (int64_t)NS_PER_S;
}

/* ---- encoding
 * ------------------------------------------------------------------------------------ */

static uint8_t enc(const struct abi_rtc *r, unsigned v)
{
    return r->cmos[R_B] & B_BIN ? v : (v / 10) << 4 | v % 10;
}

static unsigned dec(const struct abi_rtc *r, uint8_t v)
{
    return r->cmos[R_B] & B_BIN ? v : (v >> 4) * 10 + (v & 15);
}

static uint8_t enc_hour(const struct abi_rtc *r, unsigned h)
{
    if (r->cmos[R_B] & B_24H)
        return enc(r, h);
    return enc(r, h % 12 ? h % 12 : 12) | (h >= 12 ? 0x80 : 0);
}

static unsigned dec_hour(const struct abi_rtc *r, uint8_t v)
{
    if (r->cmos[R_B] & B_24H)
        return dec(r, v);
    return dec(r, v & 0x7f) % 12 + (v & 0x80 ? 12 : 0);
}

/* Clock -> registers. */
static void time_show(struct chipset *cs)
{
    struct abi_rtc *r = &cs->st->rtc;
    struct calendar t;
    calendar_from_seconds(&t, floor_s(rtc_ns(cs, cs_now(cs))));
    unsigned year = (unsigned)t.year;
    r->cmos[R_SEC] = enc(r, t.sec);
    r->cmos[R_MIN] = enc(r, t.min);
    r->cmos[R_HOUR] = enc_hour(r, t.hour);
    r->cmos[R_WDAY] = enc(r, t.wday + 1);
    r->cmos[R_MDAY] = enc(r, t.mday);
    r->cmos[R_MONTH] = enc(r, t.month);
    r->cmos[R_YEAR] = enc(r, year % 100);
    r->cmos[R_CENTURY] = (uint8_t)((year / 1000 % 10) << 4 | year / 100 % 10); /* always BCD */
}

/* Registers -> clock; sub_ns is the part of the second that has passed. */
static void time_take(struct chipset *cs, int64_t sub_ns)
{
    struct abi_rtc *r = &cs->st->rtc;
    uint8_t c = r->cmos[R_CENTURY];
    struct calendar t = {
        .sec = dec(r, r->cmos[R_SEC]),
        .min = dec(r, r->cmos[R_MIN]),
        .hour = dec_hour(r, r->cmos[R_HOUR]),
        .mday = dec(r, r->cmos[R_MDAY]),
        .month = dec(r, r->cmos[R_MONTH]),
        .year = ((c >> 4) * 10 + (c & 15)) * 100 + (int)dec(r, r->cmos[R_YEAR]),
    };
    int64_t want = clamp_s(calendar_to_seconds(&t), CLOCK_MAX_S) * (int64_t)NS_PER_S + sub_ns;
    r->offset_ns += want - rtc_ns(cs, cs_now(cs));
    r->checked_ns = cs_now(cs);
}

static int64_t sub_second(int64_t ns)
{
    return ns - floor_s(ns) * (int64_t)NS_PER_S;
}

/* ---- flags
 * --------------------------------------------------------------------------------------- */

static bool alarm_field(const struct abi_rtc *r, unsigned reg, unsigned v)
{
    uint8_t a = r->cmos[reg];
    if (a >= 0xc0)
        return true; /* "don't care" codes C0-FF */
    return (reg == R_HOUR_ALARM ? dec_hour(r, a) : dec(r, a)) == v;
}

/* First second after s at which the alarm matches, INT64_MAX if it never can. */
static int64_t alarm_next(const struct abi_rtc *r, int64_t s)
{
    int64_t end = s + 2 * 86400;
    for (s++; s <= end;) {
        int64_t day = ((s % 86400) + 86400) % 86400;
        if (!alarm_field(r, R_HOUR_ALARM, (unsigned)(day / 3600)))
            s += 3600 - day % 3600;
        else if (!alarm_field(r, R_MIN_ALARM, (unsigned)(day / 60 % 60)))
            s += 60 - day % 60;
        else if (!alarm_field(r, R_SEC_ALARM, (unsigned)(day % 60)))
            s++;
        else
            return s;
    }
    return INT64_MAX;
}

/* Periodic rate of register A: ticks of the 32768 Hz oscillator, 0 = off. */
static uint64_t period_ticks(const struct abi_rtc *r)
{
    unsigned rs = r->cmos[R_A] & 15;
    if (!rs || (r->cmos[R_A] & 0x70) > 0x20)
        return 0;
    if (rs <= 2)
        rs += 7;
    return 1ull << (rs - 1);
}

static uint64_t osc_tick(uint64_t virt)
{
    return muldiv(virt, 32768, NS_PER_S);
}

/* Sets the flags for everything that happened in (checked, now]. */
static void flags_update(struct chipset *cs)
{
    struct abi_rtc *r = &cs->st->rtc;
    uint64_t now = cs_now(cs), period = period_ticks(r);
    uint8_t c = r->cmos[R_C], before = c;
    if (period && osc_tick(now) / period != osc_tick(r->checked_ns) / period)
        c |= B_PIE;
    if (!rtc_held(r)) {
        int64_t from = floor_s(rtc_ns(cs, r->checked_ns)), to = floor_s(rtc_ns(cs, now));
        if (to > from)
            c |= B_UIE;
        if (to > from && alarm_next(r, from) <= to)
            c |= B_AIE;
    }
    r->checked_ns = now;
    r->cmos[R_C] = c & ~C_IRQF;
    if (c & ~before & r->cmos[R_B] & B_AIE)
        acpi_rtc_alarm(cs); /* wired to the power management's RTC status as well */
}

static void rtc_line(struct chipset *cs)
{
    struct abi_rtc *r = &cs->st->rtc;
    bool irq = r->cmos[R_C] & r->cmos[R_B] & (B_PIE | B_AIE | B_UIE);
    r->cmos[R_C] = (r->cmos[R_C] & ~C_IRQF) | (irq ? C_IRQF : 0);
    cs_line_set(cs, 8, SRC_RTC, irq);
}

/* Virtual time of a second of the clock. */
static uint64_t second_at(struct chipset *cs, int64_t s)
{
    if (s > INT64_MAX / (int64_t)NS_PER_S - 1)
        return NEVER;
    int64_t ns = s * (int64_t)NS_PER_S - rtc_ns(cs, 0);
    return ns < 0 ? 0 : (uint64_t)ns;
}

/* The earliest enabled event whose flag is not set yet: a set flag keeps IRQ 8 until C is read. */
static void rtc_arm(struct chipset *cs)
{
    const struct abi_rtc *r = &cs->st->rtc;
    uint8_t want = r->cmos[R_B] & ~r->cmos[R_C];
    uint64_t best = NEVER, period = period_ticks(r), at;
    int64_t s = floor_s(rtc_ns(cs, r->checked_ns));
    if ((want & B_PIE) && period) {
        at = (osc_tick(r->checked_ns) / period + 1) * period;
        best = muldiv_up(at, NS_PER_S, 32768);
    }
    if ((want & B_UIE) && !rtc_held(r) && (at = second_at(cs, s + 1)) < best)
        best = at;
    if ((want & B_AIE) && !rtc_held(r) && (at = second_at(cs, alarm_next(r, s))) < best)
        best = at;
    cs_deadline_set(cs, DL_RTC, best);
}

void rtc_run(struct chipset *cs)
{
    flags_update(cs);
    rtc_line(cs);
    rtc_arm(cs);
}

/* ---- registers
 * ----------------------------------------------------------------------------------- */

static bool is_time(unsigned reg)
{
    return (reg <= R_YEAR && reg != R_SEC_ALARM && reg != R_MIN_ALARM && reg != R_HOUR_ALARM) ||
           reg == R_CENTURY;
}

/* A or B change: entering the held state freezes the registers, leaving it starts from them. SET
 * leaves the divider chain running, so the phase of the second is kept. */
static void control_write(struct chipset *cs, unsigned reg, uint8_t v)
{
    struct abi_rtc *r = &cs->st->rtc;
    bool was = rtc_held(r), div_was = (r->cmos[R_A] & 0x70) >= 0x60;
    if (!was)
        time_show(cs);
    if (reg == R_A)
        r->cmos[R_A] = v & 0x7f;
    else
        r->cmos[R_B] = v & B_SET ? v & ~B_UIE : v; /* SET clears UIE */
    int64_t sub = sub_second(rtc_ns(cs, cs_now(cs)));
    if (div_was && (r->cmos[R_A] & 0x70) < 0x60) {
        /* "The first update cycle is 500 ms after the divider reset ends" */
        r->offset_ns += (int64_t)NS_PER_S / 2 - sub;
        sub = NS_PER_S / 2;
    }
    if (was && !rtc_held(r))
        time_take(cs, sub);
}

static uint8_t reg_read(struct chipset *cs, unsigned reg)
{
    struct abi_rtc *r = &cs->st->rtc;
    uint8_t v;
    switch (reg) {
    case R_A:
        v = r->cmos[R_A] & 0x7f;
        if (!rtc_held(r) &&
            sub_second(rtc_ns(cs, cs_now(cs))) >= (int64_t)NS_PER_S - UIP_NS)
            v |= 0x80;
        return v;
    case R_C:
        flags_update(cs);
        rtc_line(cs);
        v = r->cmos[R_C];
        r->cmos[R_C] = 0;
        rtc_line(cs);
        rtc_arm(cs);
        return v;
    case R_D:
        return 0x80; /* battery good */
    }
    if (is_time(reg) && !rtc_held(r))
        time_show(cs);
    return r->cmos[reg];
}

static void reg_write(struct chipset *cs, unsigned reg, uint8_t v)
{
    struct abi_rtc *r = &cs->st->rtc;
    if (reg == R_C || reg == R_D)
        return;
    flags_update(cs);
    if (reg == R_A || reg == R_B) {
        control_write(cs, reg, v);
    } else if (is_time(reg) && !rtc_held(r)) {
        int64_t sub = sub_second(rtc_ns(cs, cs_now(cs)));
        time_show(cs);
        r->cmos[reg] = v;
        time_take(cs, sub);
    } else {
        r->cmos[reg] = v;
    }
    rtc_line(cs);
    rtc_arm(cs);
}

uint8_t rtc_port_read(struct chipset *cs, uint16_t port)
{
    struct abi_rtc *r = &cs->st->rtc;
    return port == 0x70 ? 0xff : reg_read(cs, r->index & 0x7f); /* the index is write only */
}

void rtc_port_write(struct chipset *cs, uint16_t port, uint8_t v)
{
    if (port == 0x70)
        cs->st->rtc.index = v;
    else
        reg_write(cs, cs->st->rtc.index & 0x7f, v);
}

void rtc_init(struct chipset *cs)
{
    struct abi_rtc *r = &cs->st->rtc;
    r->cmos[R_A] = 0x26;
    r->cmos[R_B] = B_24H;
    cmos_init(cs);
}

/* The RESET pin clears the interrupt enables and flags; the battery keeps the rest. */
void rtc_reset(struct chipset *cs)
{
    struct abi_rtc *r = &cs->st->rtc;
    r->cmos[R_B] &= ~(B_PIE | B_AIE | B_UIE | 0x08);
    r->cmos[R_C] = 0;
    r->index = 0;
    r->checked_ns = cs_now(cs);
    cs_ports_claim(cs, 0x70, 2, PORT_RTC);
    rtc_line(cs);
    rtc_arm(cs);
}
