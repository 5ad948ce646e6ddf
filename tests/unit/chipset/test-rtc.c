/* SPDX-License-Identifier: Apache-2.0 */
/* RTC and CMOS: formats, setting, alarm, periodic and update interrupts, memory sizes. */
#include "fixture.h"
#include "cpu-worker/chipset/calendar.h"

static struct fixture f;

static uint8_t rd(uint8_t reg)
{
    outb(&f, 0x70, reg);
    return inb(&f, 0x71);
}
static void wr(uint8_t reg, uint8_t v)
{
    outb(&f, 0x70, reg);
    outb(&f, 0x71, v);
}

static void test_calendar(void)
{
    struct calendar c;
    calendar_from_seconds(&c, 951782399); /* 2000-02-28 23:59:59 */
    CHECK(c.year == 2000 && c.month == 2 && c.mday == 28 && c.hour == 23 && c.sec == 59);
    calendar_from_seconds(&c, 951782400);
    CHECK(c.month == 2 && c.mday == 29 && c.wday == 2);
    calendar_from_seconds(&c, 4107542400); /* 2100-03-01: no leap day that year */
    CHECK(c.year == 2100 && c.month == 3 && c.mday == 1);
    for (int64_t s = 0; s < 8000000000; s += 86400 * 13 + 12345) {
        calendar_from_seconds(&c, s);
        CHECK_EQ(calendar_to_seconds(&c), s);
    }
}

static void test_formats(void)
{ /* the fixture's clock began 5 s after 2023-11-14 22:13:20 */
    CHECK_EQ(rd(0x0d), 0x80);
    CHECK_EQ(rd(0x00), 0x25);
    CHECK_EQ(rd(0x02), 0x13);
    CHECK_EQ(rd(0x04), 0x22);
    CHECK_EQ(rd(0x06), 3); /* Tuesday */
    CHECK_EQ(rd(0x07), 0x14);
    CHECK_EQ(rd(0x08), 0x11);
    CHECK_EQ(rd(0x09), 0x23);
    CHECK_EQ(rd(0x32), 0x20);
    wr(0x0b, 0x00); /* BCD, 12 hours */
    CHECK_EQ(rd(0x04), 0x90);
    wr(0x0b, 0x04); /* binary, 12 hours */
    CHECK_EQ(rd(0x04), 0x8a);
    wr(0x0b, 0x06);
    CHECK_EQ(rd(0x04), 22);
    CHECK_EQ(rd(0x00), 25);
    advance(&f, SECOND);
    CHECK_EQ(rd(0x00), 26);
    wr(0x0b, 0x02);
}

static void test_uip(void)
{
    CHECK_EQ(rd(0x0a), 0x26);
    advance(&f, SECOND - 1 * MS); /* the clock stands at a full second here */
    CHECK_EQ(rd(0x0a), 0xa6);
    advance(&f, MS);
    CHECK_EQ(rd(0x0a), 0x26);
}

static void test_set(void)
{
    wr(0x0b, 0x82);
    wr(0x00, 0x58);
    wr(0x02, 0x59);
    wr(0x04, 0x23);
    wr(0x07, 0x28);
    wr(0x08, 0x02);
    wr(0x09, 0x24);
    advance(&f, 10 * SECOND); /* held */
    CHECK_EQ(rd(0x00), 0x58);
    wr(0x0b, 0x02);
    CHECK_EQ(rd(0x00), 0x58);
    advance(&f, 2 * SECOND);
    CHECK_EQ(rd(0x00), 0x00);
    CHECK_EQ(rd(0x02), 0x00);
    CHECK_EQ(rd(0x04), 0x00);
    CHECK_EQ(rd(0x07), 0x29); /* a leap year */
    CHECK_EQ(rd(0x06), 5);    /* Thursday */
    advance(&f, 86400 * SECOND);
    CHECK_EQ(rd(0x07), 0x01);
    CHECK_EQ(rd(0x08), 0x03);
    /* Divider reset: the first second ends half a second after its release. */
    wr(0x0a, 0x70);
    wr(0x00, 0x10);
    wr(0x0a, 0x26);
    advance(&f, 499 * MS);
    CHECK_EQ(rd(0x00), 0x10);
    advance(&f, 2 * MS);
    CHECK_EQ(rd(0x00), 0x11);
    /* Nonsense in the registers must not break anything. */
    wr(0x0b, 0x82);
    for (uint8_t r = 0; r < 10; r++)
        wr(r, 0xff);
    wr(0x32, 0xff);
    wr(0x0b, 0x02);
    advance(&f, SECOND);
    rd(0x00);
    wr(0x09, 0x24);
    wr(0x32, 0x20);
}

static void test_interrupts(void)
{
    redir(&f, 8, 0x38);
    lapic_on(&f);
    rd(0x0c);
    wr(0x0b, 0x12); /* update-ended */
    unsigned n = 0;
    for (unsigned i = 0; i < 100; i++) {
        advance(&f, 100 * MS);
        if (ack(&f) == 0x38) {
            CHECK_EQ(rd(0x0c) & 0x90, 0x90);
            CHECK_EQ(rd(0x0c), 0);
            lapic_wr(&f, 0xb0, 0);
            n++;
        }
    }
    CHECK_EQ(n, 10);
    wr(0x0a, 0x26); /* 1024 Hz */
    wr(0x0b, 0x42);
    n = 0;
    for (unsigned i = 0; i < 5000; i++) {
        advance(&f, 200 * US);
        if (ack(&f) == 0x38) {
            CHECK_EQ(rd(0x0c) & 0xc0, 0xc0);
            lapic_wr(&f, 0xb0, 0);
            n++;
        }
    }
    CHECK(n >= 1023 && n <= 1025);
    wr(0x0b, 0x42);
    unsigned runs = f.timer_runs;
    advance(&f, SECOND); /* C is not read: one interrupt, then silence */
    CHECK(f.timer_runs - runs <= 2);
    rd(0x0c);
    wr(0x0b, 0x02);
    if (ack(&f) >= 0)
        lapic_wr(&f, 0xb0, 0);
}

static void test_alarm(void)
{
    wr(0x0b, 0x82);
    wr(0x0a, 0x70);
    wr(0x00, 0x00);
    wr(0x02, 0x30);
    wr(0x04, 0x06);
    wr(0x01, 0x05); /* 06:31:05 */
    wr(0x03, 0x31);
    wr(0x05, 0x06);
    wr(0x0a, 0x26); /* half a second to go */
    wr(0x0b, 0x22);
    rd(0x0c);
    unsigned runs = f.timer_runs;
    advance(&f, 64 * SECOND + 499 * MS);
    CHECK_EQ(ack(&f), -2);
    CHECK(f.timer_runs - runs <= 2); /* nobody was woken on the way */
    advance(&f, 2 * MS);
    CHECK_EQ(ack(&f), 0x38);
    CHECK_EQ(rd(0x0c) & 0xa0, 0xa0);
    lapic_wr(&f, 0xb0, 0);
    wr(0x01, 0xc0); /* any second, any minute, any hour: every second */
    wr(0x03, 0xff);
    wr(0x05, 0xff);
    advance(&f, SECOND);
    CHECK_EQ(ack(&f), 0x38);
    CHECK_EQ(rd(0x0c) & 0xa0, 0xa0);
    lapic_wr(&f, 0xb0, 0);
    wr(0x05, 0x27); /* an hour that never comes */
    advance(&f, SECOND);
    rd(0x0c);
    advance(&f, 2 * 86400 * SECOND);
    CHECK_EQ(ack(&f), -2);
    wr(0x0b, 0x02);
    advance(&f, SECOND);
    CHECK_EQ(chipset_deadline(f.cs), UINT64_MAX);
    /* Flags are kept even while nothing is enabled. */
    rd(0x0c);
    advance(&f, SECOND);
    CHECK_EQ(rd(0x0c), 0x50);
}

static void test_cmos(void)
{
    CHECK_EQ(rd(0x15) | rd(0x16) << 8, 640);
    CHECK_EQ(rd(0x17) | rd(0x18) << 8, 0xffff);
    CHECK_EQ(rd(0x30) | rd(0x31) << 8, 0xffff);
    CHECK_EQ(rd(0x34) | rd(0x35) << 8, (3072 - 16) * 16);
    CHECK_EQ(rd(0x5b) | rd(0x5c) << 8 | rd(0x5d) << 16, 5 * 1024 * 16);
    unsigned sum = 0;
    for (uint8_t r = 0x10; r <= 0x2d; r++)
        sum += rd(r);
    CHECK_EQ(rd(0x2e) << 8 | rd(0x2f), sum);
    wr(0x40, 0x5a);
    chipset_reset(f.cs); /* the battery keeps it, and the time */
    CHECK_EQ(rd(0x40), 0x5a);
    CHECK_EQ(rd(0x04), 0x06);
    CHECK_EQ(rd(0xff) & 0, 0);
}

int main(void)
{
    fixture_init(&f, 0);
    test_calendar();
    test_formats();
    test_uip();
    test_set();
    test_interrupts();
    test_alarm();
    test_cmos();
    fixture_fini(&f);
    return 0;
}
