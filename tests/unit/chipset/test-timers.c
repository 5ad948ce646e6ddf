/* SPDX-License-Identifier: Apache-2.0 */
/* LAPIC timer, PIT, HPET and PM timer against the fake clock. */
#include "fixture.h"

static struct fixture f;

static void lapic_oneshot(void)
{
    lapic_on(&f);
    lapic_wr(&f, 0x3e0, 0xb); /* divide by 1 */
    lapic_wr(&f, 0x320, 0x40);
    lapic_wr(&f, 0x380, 1000000); /* 1 ms at 1 GHz */
    advance(&f, 400 * US);
    CHECK_EQ(lapic_rd(&f, 0x390), 600000);
    CHECK_EQ(ack(&f), -2);
    advance(&f, 600 * US);
    CHECK_EQ(ack(&f), 0x40);
    CHECK_EQ(lapic_rd(&f, 0x390), 0);
    lapic_wr(&f, 0xb0, 0);
    advance(&f, SECOND);
    CHECK_EQ(ack(&f), -2); /* once */
    lapic_wr(&f, 0x3e0, 0x3); /* divide by 16 */
    lapic_wr(&f, 0x380, 1000);
    advance(&f, 15999);
    CHECK_EQ(ack(&f), -2);
    CHECK_EQ(lapic_rd(&f, 0x390), 1);
    advance(&f, 1);
    CHECK_EQ(ack(&f), 0x40);
    lapic_wr(&f, 0xb0, 0);
    lapic_wr(&f, 0x380, 1000);
    lapic_wr(&f, 0x380, 0); /* stopped */
    advance(&f, SECOND);
    CHECK_EQ(ack(&f), -2);
}

static void lapic_periodic(void)
{
    lapic_wr(&f, 0x3e0, 0xb);
    lapic_wr(&f, 0x320, 0x20000 | 0x41);
    lapic_wr(&f, 0x380, 1000000);
    for (unsigned i = 0; i < 5; i++) {
        advance(&f, MS - 1);
        CHECK_EQ(ack(&f), -2);
        advance(&f, 1);
        CHECK_EQ(ack(&f), 0x41);
        lapic_wr(&f, 0xb0, 0);
    }
    unsigned runs = f.timer_runs;
    lapic_wr(&f, 0x320, 0x30041); /* masked: it counts on without waking anybody more than once */
    advance(&f, 100 * MS);
    CHECK(f.timer_runs <= runs + 1);
    CHECK_EQ(ack(&f), -2);
    advance(&f, 300 * US);
    CHECK_EQ(lapic_rd(&f, 0x390), 700000);
    lapic_wr(&f, 0x320, 0x20041);
    CHECK_EQ(ack(&f), -2);
    advance(&f, 700 * US);
    CHECK_EQ(ack(&f), 0x41); /* in step with the old phase */
    lapic_wr(&f, 0xb0, 0);
    lapic_wr(&f, 0x380, 1); /* an absurd period does not spin the pump */
    runs = f.timer_runs;
    advance(&f, 10 * MS);
    CHECK(f.timer_runs - runs <= 201);
    lapic_wr(&f, 0x380, 0);
    lapic_wr(&f, 0xb0, 0);
    while (ack(&f) >= 0)
        lapic_wr(&f, 0xb0, 0);
    lapic_wr(&f, 0xb0, 0);
}

static void lapic_deadline(void)
{
    uint64_t v;
    CHECK(chipset_msr_write(f.cs, 0, 0x6e0, 1)); /* other mode: ignored */
    CHECK(chipset_msr_read(f.cs, 0, 0x6e0, &v));
    CHECK_EQ(v, 0);
    lapic_wr(&f, 0x320, 0x40042);
    uint64_t at = (f.now + MS) * 2; /* the fake TSC runs at 2 GHz */
    chipset_timers_run(f.cs); /* forget deadlines that were given up */
    unsigned rearms = f.rearms;
    CHECK(chipset_msr_write(f.cs, 0, 0x6e0, at));
    CHECK_EQ(f.rearms, rearms + 1);
    CHECK(chipset_msr_read(f.cs, 0, 0x6e0, &v));
    CHECK_EQ(v, at);
    advance(&f, MS - 1);
    CHECK_EQ(ack(&f), -2);
    advance(&f, 1);
    CHECK_EQ(ack(&f), 0x42);
    lapic_wr(&f, 0xb0, 0);
    CHECK(chipset_msr_read(f.cs, 0, 0x6e0, &v));
    CHECK_EQ(v, 0);
    CHECK(chipset_msr_write(f.cs, 0, 0x6e0, 1)); /* in the past: at once */
    CHECK_EQ(ack(&f), 0x42);
    lapic_wr(&f, 0xb0, 0);
    CHECK(chipset_msr_write(f.cs, 0, 0x6e0, at + 2 * SECOND));
    lapic_wr(&f, 0x320, 0x42); /* leaving the mode disarms */
    advance(&f, 3 * SECOND);
    CHECK_EQ(ack(&f), -2);
    CHECK_EQ(chipset_deadline(f.cs), UINT64_MAX); /* an idle machine costs nothing */
}

/* What a kernel does to learn the TSC's speed: channel 2, mode 0, gate and OUT through port 61h. */
static void pit_calibration(void)
{
    outb(&f, 0x61, (inb(&f, 0x61) & ~2) | 1);
    outb(&f, 0x43, 0xb0);
    outb(&f, 0x42, 59659 & 0xff); /* 50 ms */
    outb(&f, 0x42, 59659 >> 8);
    uint64_t t0 = f.now;
    unsigned loops = 0;
    while (!(inb(&f, 0x61) & 0x20)) {
        advance(&f, 2 * US);
        CHECK(++loops < 100000);
    }
    uint64_t span = f.now - t0;
    CHECK(span >= 50 * MS - 3 * US && span <= 50 * MS + 5 * US);
    CHECK(loops > 20000);
}

static void pit_quick_calibration(void)
{
    outb(&f, 0x43, 0xb0);
    outb(&f, 0x42, 0xff);
    outb(&f, 0x42, 0xff);
    uint64_t t0 = f.now;
    for (unsigned msb = 0xff; msb > 0xf0; msb--) {
        unsigned loops = 0;
        for (;;) {
            inb(&f, 0x42);
            if (inb(&f, 0x42) != msb)
                break;
            advance(&f, 1 * US);
            CHECK(++loops < 1000);
        }
    }
    uint64_t expect = 15 * 256 * SECOND / 1193182;
    CHECK(f.now - t0 > expect - 5 * US && f.now - t0 < expect + 5 * US);
}

static void pit_modes(void)
{
    outb(&f, 0x61, 0); /* gate low */
    outb(&f, 0x43, 0xb0);
    outb(&f, 0x42, 0x00);
    outb(&f, 0x42, 0x10);
    advance(&f, SECOND);
    CHECK(!(inb(&f, 0x61) & 0x20)); /* not counting */
    outb(&f, 0x61, 1);
    advance(&f, 1 * MS); /* 1193 ticks */
    outb(&f, 0x43, 0x80); /* latch */
    advance(&f, 1 * MS);
    unsigned v = inb(&f, 0x42);
    v |= (unsigned)inb(&f, 0x42) << 8;
    CHECK(v >= 0x1000 - 1194 && v <= 0x1000 - 1191);
    outb(&f, 0x43, 0xc8 | 0x20); /* read back: status of channel 2 only */
    CHECK_EQ(inb(&f, 0x42), 0x30);
    advance(&f, 10 * MS);
    outb(&f, 0x43, 0xe8);
    CHECK_EQ(inb(&f, 0x42), 0xb0); /* OUT high */
    outb(&f, 0x43, 0xb6); /* square wave of 1000 ticks */
    outb(&f, 0x42, 1000 & 0xff);
    outb(&f, 0x42, 1000 >> 8);
    unsigned high = 0;
    for (unsigned i = 0; i < 1000; i++) {
        high += !!(inb(&f, 0x61) & 0x20);
        advance(&f, SECOND / 1193182 + 1);
    }
    CHECK(high >= 495 && high <= 505);
    outb(&f, 0x43, 0xb1); /* BCD, mode 0 */
    outb(&f, 0x42, 0x00);
    outb(&f, 0x42, 0x50);
    advance(&f, 1 * MS);
    v = inb(&f, 0x42);
    v |= (unsigned)inb(&f, 0x42) << 8;
    CHECK(v == 0x3808 || v == 0x3807 || v == 0x3809); /* 5000 - 1192 */
    outb(&f, 0x61, 0);
}

static unsigned irq0_count(uint64_t ns)
{
    unsigned n = 0;
    for (uint64_t done = 0; done < ns; done += 100 * US) {
        advance(&f, 100 * US);
        if (ack(&f) == 0x30) {
            n++;
            lapic_wr(&f, 0xb0, 0);
        }
    }
    return n;
}

/* The host did not run the timers for a while. */
static void oversleep(uint64_t ns)
{
    f.now += ns;
    advance(&f, 0);
}

static void pit_interrupts(void)
{
    redir(&f, 2, 0x30);
    outb(&f, 0x43, 0x34); /* channel 0, rate generator, 1 kHz */
    outb(&f, 0x40, 1193 & 0xff);
    outb(&f, 0x40, 1193 >> 8);
    unsigned n = irq0_count(100 * MS);
    CHECK(n >= 99 && n <= 101);
    oversleep(10 * MS); /* what was missed is caught up, one by one */
    n = irq0_count(10 * MS);
    CHECK(n >= 19 && n <= 21);
    oversleep(SECOND); /* but not without end */
    n = irq0_count(100 * MS);
    CHECK(n >= 150 && n <= 166);
    outb(&f, 0x40, 2386 & 0xff); /* a new count takes over after the running period */
    outb(&f, 0x40, 2386 >> 8);
    n = irq0_count(100 * MS);
    CHECK(n >= 49 && n <= 52);
    outb(&f, 0x43, 0x30); /* mode 0: one interrupt */
    while (ack(&f) >= 0)
        lapic_wr(&f, 0xb0, 0);
    outb(&f, 0x40, 0x00);
    outb(&f, 0x40, 0x20);
    CHECK_EQ(irq0_count(100 * MS), 1);
    CHECK_EQ(chipset_deadline(f.cs), UINT64_MAX);
}

#define HPET_RD(r) chipset_mmio_read(f.cs, 0, HPET + (r), 8)
#define HPET_WR(r, v) chipset_mmio_write(f.cs, 0, HPET + (r), 8, (v))

static void hpet_counter(void)
{
    CHECK_EQ(HPET_RD(0), 0x009896808086a201ull);
    CHECK_EQ(chipset_mmio_read(f.cs, 0, HPET + 4, 4), 10000000); /* femtoseconds */
    CHECK_EQ(HPET_RD(0xf0), 0);
    HPET_WR(0xf0, 0x1234500000000ull);
    HPET_WR(0x10, 1);
    advance(&f, MS);
    CHECK_EQ(HPET_RD(0xf0), 0x1234500000000ull + 100000);
    HPET_WR(0xf0, 0); /* not writable while running */
    CHECK_EQ(HPET_RD(0xf0), 0x1234500000000ull + 100000);
    HPET_WR(0x10, 0);
    advance(&f, MS);
    CHECK_EQ(HPET_RD(0xf0), 0x1234500000000ull + 100000);
    HPET_WR(0xf0, 0);
}

static void hpet_oneshot_level(void)
{
    redir(&f, 20, 0x50 | 1 << 15);
    HPET_WR(0x140, 20ull << 9 | 1 << 2 | 1 << 1); /* timer 2: route 20, level */
    HPET_WR(0x148, 100000);
    HPET_WR(0x10, 1);
    advance(&f, MS - 10);
    CHECK_EQ(ack(&f), -2);
    advance(&f, 10);
    CHECK_EQ(ack(&f), 0x50);
    CHECK_EQ(HPET_RD(0x20), 4);
    lapic_wr(&f, 0xb0, 0);
    CHECK_EQ(ack(&f), 0x50); /* the status bit holds the line */
    HPET_WR(0x20, 4);
    lapic_wr(&f, 0xb0, 0);
    CHECK_EQ(ack(&f), -2);
    advance(&f, SECOND);
    CHECK_EQ(ack(&f), -2);
    HPET_WR(0x140, 0);
}

static void hpet_legacy_periodic(void)
{
    HPET_WR(0x10, 0);
    HPET_WR(0xf0, 0);
    HPET_WR(0x10, 3); /* enable, legacy replacement */
    HPET_WR(0x100, 1 << 2 | 1 << 3 | 1 << 6);
    HPET_WR(0x108, 100000); /* accumulator */
    HPET_WR(0x108, 200000); /* period 2 ms */
    outb(&f, 0x43, 0x34);   /* the PIT is cut off meanwhile */
    outb(&f, 0x40, 0x00);
    outb(&f, 0x40, 0x10);
    advance(&f, MS - 10);
    CHECK_EQ(ack(&f), -2);
    advance(&f, 10);
    CHECK_EQ(ack(&f), 0x30);
    lapic_wr(&f, 0xb0, 0);
    CHECK_EQ(HPET_RD(0x108), 300000);
    unsigned n = irq0_count(100 * MS);
    CHECK(n >= 49 && n <= 51);
    oversleep(20 * MS);
    n = irq0_count(20 * MS);
    CHECK(n >= 18 && n <= 21);
    HPET_WR(0x100, 0);
    HPET_WR(0x10, 1); /* the PIT has IRQ 0 again */
    CHECK(irq0_count(100 * MS) > 20);
    outb(&f, 0x43, 0x30);
    HPET_WR(0x10, 0);
}

static void hpet_32bit(void)
{
    HPET_WR(0xf0, 0xfffffff0ull);
    HPET_WR(0x120, 21ull << 9 | 1 << 2 | 1 << 8); /* timer 1: 32 bits, edge */
    redir(&f, 21, 0x51);
    HPET_WR(0x128, 0x10);
    HPET_WR(0x10, 1);
    advance(&f, 0x1f * 10);
    CHECK_EQ(ack(&f), -2);
    advance(&f, 10); /* across the wrap */
    CHECK_EQ(ack(&f), 0x51);
    lapic_wr(&f, 0xb0, 0);
    HPET_WR(0x120, 0);
    HPET_WR(0x10, 0);
}

static void pm_timer(void)
{
    uint32_t a = inl(&f, 0x608);
    advance(&f, SECOND);
    uint32_t b = inl(&f, 0x608);
    CHECK(a <= 0xffffff && b <= 0xffffff);
    uint32_t d = (b - a) & 0xffffff;
    CHECK(d >= 3579544 && d <= 3579546);
    CHECK_EQ(inb(&f, 0x609), b >> 8 & 0xff); /* any size */
    outw(&f, 0x600, 0x0001);
    redir(&f, 9, 0x49 | 1 << 15);
    outb(&f, 0xb2, 0xf1); /* ACPI mode */
    CHECK_EQ(inl(&f, 0x604) & 1, 1);
    outw(&f, 0x602, 0x0001); /* timer overflow enabled */
    unsigned n = 0;
    for (unsigned i = 0; i < 100; i++) {
        advance(&f, 100 * MS);
        if (ack(&f) == 0x49) {
            CHECK_EQ(inl(&f, 0x600) & 1, 1);
            outw(&f, 0x600, 0x0001);
            lapic_wr(&f, 0xb0, 0);
            n++;
        }
    }
    CHECK(n >= 4 && n <= 5); /* 10 s / 2.343 s */
    outw(&f, 0x602, 0);
    outb(&f, 0xb2, 0xf0);
    advance(&f, 3 * SECOND); /* the deadline that was given up passes once */
    CHECK_EQ(chipset_deadline(f.cs), UINT64_MAX);
}

int main(void)
{
    fixture_init(&f, 0);
    lapic_oneshot();
    lapic_periodic();
    lapic_deadline();
    pit_calibration();
    pit_quick_calibration();
    pit_modes();
    pit_interrupts();
    hpet_counter();
    hpet_oneshot_level();
    hpet_legacy_periodic();
    hpet_32bit();
    pm_timer();
    fixture_fini(&f);
    return 0;
}
