/* SPDX-License-Identifier: Apache-2.0 */
/* ACPI fixed hardware, keyboard controller, system ports, and reset of everything. */
#include "fixture.h"

static struct fixture f;

static void test_power_button(void)
{
    lapic_on(&f);
    redir(&f, 9, 0x49 | 1 << 15);
    outw(&f, 0x602, 0x0100);
    f.page->power_button++;
    chipset_power_button(f.cs);
    CHECK_EQ(f.page->chipset.pm.power_button_seen, 1);
    CHECK_EQ(inl(&f, 0x600), 0x01000100);
    CHECK_EQ(ack(&f), -2); /* not in ACPI mode */
    outb(&f, 0xb2, 0xf1);
    CHECK_EQ(ack(&f), 0x49);
    outb(&f, 0x601, 0x01); /* byte access clears the bit */
    CHECK_EQ(inl(&f, 0x600) & 0xffff, 0);
    lapic_wr(&f, 0xb0, 0);
    CHECK_EQ(ack(&f), -2);
    outw(&f, 0x602, 0);
}

static void test_coprocessor_error(void)
{
    CHECK_EQ(chipset_ferr_raise(f.cs), false);
    CHECK_EQ(f.page->chipset.line[13] != 0, true);
    CHECK_EQ(chipset_ferr_raise(f.cs), false); /* still latched */
    outb(&f, 0xf0, 0);
    CHECK_EQ(f.page->chipset.line[13], 0);
    CHECK_EQ(chipset_ferr_raise(f.cs), true); /* IGNNE# */
    chipset_ferr_clear(f.cs);
    CHECK_EQ(chipset_ferr_raise(f.cs), false); /* a new error */
    outb(&f, 0xf0, 0);
    chipset_ferr_clear(f.cs);
    outb(&f, 0xf0, 0); /* nothing latched: no IGNNE# */
    CHECK_EQ(chipset_ferr_raise(f.cs), false);
    outb(&f, 0xf0, 0);
    chipset_ferr_clear(f.cs);
}

static void test_sleep(void)
{
    f.event = -1;
    outw(&f, 0x604, 5 << 10); /* type without enable */
    CHECK_EQ(f.event, -1);
    CHECK_EQ(inl(&f, 0x604) & 0xffff, 5 << 10 | 1); /* SCI_EN is not touched */
    outw(&f, 0x604, 5 << 10 | 1 << 13);
    CHECK_EQ(f.event, -1); /* no such state */
    outw(&f, 0x604, 1 << 10 | 1 << 13);
    CHECK_EQ(f.event, -1); /* without firmware nothing could wake the machine up */
    f.page->fwcfg_off = 0x1000;
    outw(&f, 0x604, 1 << 10 | 1 << 13);
    CHECK_EQ(f.event, CHIPSET_EV_SLEEP);
    f.page->power_button++;
    chipset_power_button(f.cs);
    CHECK_EQ(f.event, CHIPSET_EV_WAKE);
    f.event = -1;
    chipset_power_button(f.cs); /* awake: a button like any other */
    CHECK_EQ(f.event, -1);
    outw(&f, 0x600, 0x0100);
    f.page->fwcfg_off = 0;
    outw(&f, 0x604, 1 << 13);
    CHECK_EQ(f.event, CHIPSET_EV_POWEROFF);
}

static void test_gpe(void)
{
    outw(&f, 0xafe2, 0x00ff);
    CHECK_EQ(inl(&f, 0xafe0), 0x00ff0000);
    CHECK_EQ(inb(&f, 0xafe2), 0xff);
    outw(&f, 0xafe2, 0);
}

static void test_resets(void)
{
    f.event = -1;
    outb(&f, 0xcf9, 0x02);
    CHECK_EQ(f.event, -1);
    outb(&f, 0xcf9, 0x06);
    CHECK_EQ(f.event, CHIPSET_EV_RESET);
    CHECK_EQ(inb(&f, 0xcf9), 0x02);
    f.event = -1;
    outb(&f, 0x92, 0x03);
    CHECK_EQ(f.event, CHIPSET_EV_RESET);
    f.event = -1;
    outb(&f, 0x64, 0xfe);
    CHECK_EQ(f.event, CHIPSET_EV_RESET);
    f.event = -1;
    outb(&f, 0x64, 0xff); /* pulses nothing */
    CHECK_EQ(f.event, -1);
}

static void test_a20(void)
{
    CHECK(chipset_a20(f.cs) && f.a20);
    outb(&f, 0x92, 0x00);
    CHECK(!chipset_a20(f.cs) && !f.a20);
    outb(&f, 0x64, 0xd0);
    CHECK_EQ(inb(&f, 0x60) & 2, 0);
    outb(&f, 0x64, 0xd1);
    outb(&f, 0x60, 0xdf);
    CHECK(f.a20);
    CHECK_EQ(inb(&f, 0x92) & 2, 2);
}

static void test_i8042(void)
{
    redir(&f, 1, 0x31);
    redir(&f, 12, 0x3c);
    CHECK_EQ(inb(&f, 0x64) & 1, 0);
    outb(&f, 0x64, 0xaa);
    CHECK_EQ(inb(&f, 0x64) & 0x21, 0x01);
    CHECK_EQ(inb(&f, 0x60), 0x55);
    outb(&f, 0x64, 0xab);
    CHECK_EQ(inb(&f, 0x60), 0x00);
    outb(&f, 0x64, 0x60);
    outb(&f, 0x60, 0x47);
    outb(&f, 0x64, 0x20);
    CHECK_EQ(inb(&f, 0x60), 0x47);
    while (ack(&f) >= 0)
        lapic_wr(&f, 0xb0, 0);
    outb(&f, 0x60, 0xff); /* keyboard reset: two bytes, two interrupts */
    CHECK_EQ(ack(&f), 0x31);
    CHECK_EQ(inb(&f, 0x60), 0xfa);
    lapic_wr(&f, 0xb0, 0);
    CHECK_EQ(ack(&f), 0x31);
    CHECK_EQ(inb(&f, 0x60), 0xaa);
    lapic_wr(&f, 0xb0, 0);
    CHECK_EQ(ack(&f), -2);
    outb(&f, 0x60, 0xf2);
    CHECK_EQ(inb(&f, 0x60), 0xfa);
    CHECK_EQ(inb(&f, 0x60), 0xab);
    CHECK_EQ(inb(&f, 0x60), 0x41); /* 83h, translated */
    while (ack(&f) >= 0)
        lapic_wr(&f, 0xb0, 0);
    outb(&f, 0x64, 0xd3); /* auxiliary loop */
    outb(&f, 0x60, 0x5a);
    CHECK_EQ(inb(&f, 0x64) & 0x61, 0x21);
    CHECK_EQ(ack(&f), 0x3c);
    lapic_wr(&f, 0xb0, 0);
    CHECK_EQ(inb(&f, 0x60), 0x5a);
    outb(&f, 0x64, 0xd4); /* a mouse answers its reset */
    outb(&f, 0x60, 0xff);
    CHECK_EQ(inb(&f, 0x64) & 0x61, 0x21);
    CHECK_EQ(inb(&f, 0x60), 0xfa);
    CHECK_EQ(inb(&f, 0x60), 0xaa);
    CHECK_EQ(inb(&f, 0x60), 0x00);
    CHECK_EQ(inb(&f, 0x64) & 0x61, 0);
}

static void test_unclaimed(void)
{
    CHECK(!chipset_io_claims(f.cs, 0x402));
    CHECK(!chipset_io_claims(f.cs, 0xe9));
    CHECK_EQ(inb(&f, 0x402), 0xff);
    outb(&f, 0x80, 0x55);
    CHECK_EQ(inb(&f, 0x80), 0x55);
    CHECK(!chipset_mmio_claims(f.cs, 0, 0xfed00400));
    CHECK(!chipset_mmio_claims(f.cs, 0, 0x1000));
}

/* Every port and register of the board, hit with noise: nothing may crash or leave its bounds. */
static void test_noise(void)
{
    uint32_t x = 12345;
    for (unsigned i = 0; i < 300000; i++) {
        x = x * 1664525 + 1013904223;
        uint16_t port = (uint16_t)(x >> 12);
        unsigned size = 1u << (x >> 30 & 1) << (x >> 29 & 1);
        uint64_t v;
        if (x & 0x800)
            port &= 0x7ff;
        chipset_io_write(f.cs, port, size, x * 2654435761u);
        chipset_io_read(f.cs, port, size);
        uint64_t gpa = (x & 0x100 ? LAPIC : x & 0x200 ? IOAPIC : HPET) + (x >> 16 & 0x3f8);
        chipset_mmio_write(f.cs, 0, gpa, x & 0x400 ? 4 : 8, (uint64_t)x << (x & 31));
        chipset_mmio_read(f.cs, 0, gpa, 4);
        if (i % 8 == 0) {
            chipset_msr_write(f.cs, 0, 0x800 + (x >> 20 & 0x3f), x);
            chipset_msr_read(f.cs, 0, 0x800 + (x >> 20 & 0x3f), &v);
            chipset_msi(f.cs, LAPIC | (x & 0xffffc), x >> 8);
            chipset_gsi_set(f.cs, x >> 8 & 31, x & 1);
        }
        if (chipset_intr_pending(f.cs, 0))
            CHECK(chipset_intr_ack(f.cs, 0) <= 255);
        if (i % 64 == 0)
            advance(&f, x >> 12);
    }
}

int main(void)
{
    fixture_init(&f, 0xf);
    test_power_button();
    test_coprocessor_error();
    test_sleep();
    test_gpe();
    test_resets();
    test_a20();
    test_i8042();
    test_unclaimed();
    test_noise();
    chipset_reset(f.cs);
    CHECK_EQ(ack(&f), -2);
    CHECK_EQ(chipset_timers_run(f.cs), UINT64_MAX); /* reset leaves nothing running */
    CHECK(chipset_a20(f.cs));
    fixture_fini(&f);
    return 0;
}
