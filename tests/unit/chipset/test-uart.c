/* SPDX-License-Identifier: Apache-2.0 */
/* 16550A: FIFO, interrupts and their priority, time-out, loop-back, break, back-pressure, absence.
 * 16550A: FIFO, interrupts and their priority, time-out, loop-back, break, back-pressure,
 * absence. */
#include "fixture.h"

static struct fixture f;
#define COM1 0x3f8

static struct abi_char_ring *rx(void)
{
    return &f.page->serial[0].rx;
}
static struct abi_char_ring *tx(void)
{
    return &f.page->serial[0].tx;
}
static void host_sends(const char *s)
{
    for (; *s; s++) {
        rx()->data[rx()->head % ABI_CHAR_RING] = (uint8_t)*s;
        rx()->head++;
    }
    chipset_serial_input(f.cs);
}
static void setup(uint8_t fcr)
{
    outb(&f, COM1 + 3, 0x80);
    outb(&f, COM1, 1); /* 115200 */
    outb(&f, COM1 + 1, 0);
    CHECK_EQ(inb(&f, COM1), 1);
    outb(&f, COM1 + 3, 3);
    outb(&f, COM1 + 4, 0x0b);
    outb(&f, COM1 + 1, 0);
    outb(&f, COM1 + 2, fcr);
    inb(&f, COM1 + 5);
    inb(&f, COM1 + 6);
}
static bool line(void) /* IRQ 4 as the IOAPIC sees it */
{
    return f.page->chipset.ioapic.pins >> 4 & 1;
}

static void test_probe(void)
{
    CHECK(chipset_io_claims(f.cs, COM1));
    CHECK(!chipset_io_claims(f.cs, 0x2f8)); /* absent: unclaimed, reads are all-ones */
    CHECK_EQ(inb(&f, 0x2f8), 0xff);
    setup(0);
    outb(&f, COM1 + 7, 0x5a);
    CHECK_EQ(inb(&f, COM1 + 7), 0x5a);
    CHECK_EQ(inb(&f, COM1 + 2), 0x01);
    outb(&f, COM1 + 2, 1);
    CHECK_EQ(inb(&f, COM1 + 2), 0xc1); /* a working FIFO: 16550A */
    CHECK_EQ(inb(&f, COM1 + 5), 0x60);
    CHECK_EQ(inb(&f, COM1 + 6), 0xb0);
    outb(&f, COM1 + 1, 0xff);
    CHECK_EQ(inb(&f, COM1 + 1), 0x0f);
    outb(&f, COM1 + 1, 0);
}

static void test_transmit(void)
{
    setup(7);
    unsigned bells = f.doorbells;
    outb(&f, COM1, 'h');
    CHECK_EQ(f.doorbells, bells + 1);
    outb(&f, COM1, 'i');
    CHECK_EQ(f.doorbells, bells + 1); /* not empty any more: no second bell */
    CHECK_EQ(tx()->head - tx()->tail, 2);
    CHECK_EQ(tx()->data[tx()->tail % ABI_CHAR_RING], 'h');
    CHECK_EQ(inb(&f, COM1 + 5), 0x60);
    tx()->tail = tx()->head;
    inb(&f, COM1 + 2);
    outb(&f, COM1 + 1, 2); /* enabling while empty interrupts at once */
    CHECK(line());
    CHECK_EQ(inb(&f, COM1 + 2), 0xc2);
    CHECK(!line()); /* reading IIR acknowledged it */
    CHECK_EQ(inb(&f, COM1 + 2), 0xc1);
    outb(&f, COM1, 'x');
    CHECK(line()); /* sent already: empty again */
    outb(&f, COM1 + 4, 0x03);
    CHECK(!line()); /* OUT2 gates the line */
    outb(&f, COM1 + 4, 0x0b);
    CHECK(line());
    outb(&f, COM1 + 1, 0);
    tx()->tail = tx()->head;
}

static void test_back_pressure(void)
{
    setup(7);
    outb(&f, COM1 + 1, 2);
    inb(&f, COM1 + 2);
    unsigned sent = 0;
    while (tx()->head - tx()->tail < ABI_CHAR_RING)
        outb(&f, COM1, (uint8_t)sent++);
    inb(&f, COM1 + 2);
    CHECK_EQ(inb(&f, COM1 + 5) & 0x60, 0x60);
    for (unsigned i = 0; i < 16; i++) /* one FIFO more than the ring takes */
        outb(&f, COM1, (uint8_t)sent++);
    CHECK_EQ(inb(&f, COM1 + 5) & 0x60, 0); /* honest: neither empty nor idle */
    CHECK(!line());
    CHECK_EQ(tx()->head - tx()->tail, ABI_CHAR_RING);
    for (unsigned i = 0; i < 100; i++) /* the reader takes 100 bytes and rings */
        CHECK_EQ(tx()->data[tx()->tail++ % ABI_CHAR_RING], i & 0xff);
    chipset_serial_input(f.cs);
    CHECK_EQ(inb(&f, COM1 + 5) & 0x60, 0x60);
    CHECK(line());
    for (unsigned i = 100; i < sent; i++) /* nothing was lost, nothing reordered */
        CHECK_EQ(tx()->data[tx()->tail++ % ABI_CHAR_RING], i & 0xff);
    CHECK_EQ(tx()->tail, tx()->head);
    /* The reader's bell may be lost in a race: the UART looks again by itself. */
    while (tx()->head - tx()->tail < ABI_CHAR_RING)
        outb(&f, COM1, 0);
    outb(&f, COM1, 'z');
    tx()->tail = tx()->head;
    advance(&f, 300 * MS);
    CHECK_EQ(inb(&f, COM1 + 5) & 0x60, 0x60);
    CHECK_EQ(tx()->head - tx()->tail, 1);
    tx()->tail = tx()->head;
    outb(&f, COM1 + 1, 0);
    /* An index that makes no sense is a full ring, not a wild store. */
    tx()->tail = tx()->head + 5;
    outb(&f, COM1, 'q');
    CHECK_EQ(inb(&f, COM1 + 5) & 0x60, 0);
    tx()->tail = tx()->head;
    chipset_serial_input(f.cs);
    tx()->tail = tx()->head;
    advance(&f, SECOND);
    CHECK_EQ(chipset_deadline(f.cs), UINT64_MAX);
}

static void test_receive(void)
{
    setup(0x87); /* trigger level 8 */
    outb(&f, COM1 + 1, 5);
    host_sends("abc");
    CHECK(!line()); /* below the trigger */
    CHECK_EQ(inb(&f, COM1 + 5) & 1, 1);
    advance(&f, 340 * US); /* four characters of ten bits at 115200: 347 us */
    CHECK(!line());
    advance(&f, 10 * US);
    CHECK(line());
    CHECK_EQ(inb(&f, COM1 + 2), 0xcc); /* time-out */
    CHECK_EQ(inb(&f, COM1), 'a');
    CHECK(!line());
    host_sends("defghi");
    CHECK(line());
    CHECK_EQ(inb(&f, COM1 + 2), 0xc4);
    for (const char *s = "bcdefghi"; *s; s++)
        CHECK_EQ(inb(&f, COM1), *s);
    CHECK(!line());
    CHECK_EQ(inb(&f, COM1 + 5) & 1, 0);
    advance(&f, SECOND);
    CHECK_EQ(chipset_deadline(f.cs), UINT64_MAX);
    /* More than the FIFO: the rest waits in the ring, without overrun. */
    for (unsigned i = 0; i < ABI_CHAR_RING; i++)
        rx()->data[(rx()->head + i) % ABI_CHAR_RING] = (uint8_t)i;
    rx()->head += ABI_CHAR_RING;
    unsigned bells = f.doorbells;
    chipset_serial_input(f.cs);
    CHECK_EQ(f.doorbells, bells + 1); /* it was full and has room now */
    CHECK_EQ(rx()->head - rx()->tail, ABI_CHAR_RING - 16);
    for (unsigned i = 0; i < ABI_CHAR_RING; i++) {
        CHECK_EQ(inb(&f, COM1 + 5) & 3, 1);
        CHECK_EQ(inb(&f, COM1), i & 0xff);
    }
    CHECK_EQ(inb(&f, COM1 + 5) & 1, 0);
    setup(0); /* no FIFO: one byte at a time */
    outb(&f, COM1 + 1, 1);
    host_sends("xy");
    CHECK(line());
    CHECK_EQ(inb(&f, COM1 + 2), 0x04);
    CHECK_EQ(rx()->head - rx()->tail, 1);
    CHECK_EQ(inb(&f, COM1), 'x');
    CHECK_EQ(inb(&f, COM1), 'y');
    CHECK(!line());
}

static void test_break(void)
{
    setup(7);
    outb(&f, COM1 + 1, 5);
    f.page->serial[0].break_req++;
    chipset_serial_input(f.cs);
    CHECK(line());
    CHECK_EQ(inb(&f, COM1 + 2), 0xc6); /* line status comes first */
    CHECK_EQ(inb(&f, COM1 + 5) & 0x91, 0x91);
    CHECK_EQ(inb(&f, COM1 + 5) & 0x90, 0); /* reading cleared it */
    CHECK_EQ(inb(&f, COM1 + 2), 0xc4);
    CHECK_EQ(inb(&f, COM1), 0);
    CHECK(!line());
    outb(&f, COM1 + 1, 0);
}

static void test_loopback(void)
{
    setup(7);
    uint32_t head = tx()->head;
    outb(&f, COM1 + 4, 0x1f);
    CHECK_EQ(inb(&f, COM1 + 6) & 0xf0, 0xf0);
    outb(&f, COM1 + 4, 0x10);
    CHECK_EQ(inb(&f, COM1 + 6), 0x0f); /* all went away: all deltas */
    CHECK_EQ(inb(&f, COM1 + 6), 0x00);
    outb(&f, COM1 + 4, 0x1a);
    CHECK_EQ(inb(&f, COM1 + 6) & 0xf0, 0x90); /* RTS -> CTS, OUT2 -> DCD */
    host_sends("no");
    for (unsigned i = 0; i < 17; i++)
        outb(&f, COM1, (uint8_t)(0x40 + i));
    CHECK_EQ(tx()->head, head); /* nothing left the machine */
    CHECK_EQ(inb(&f, COM1 + 5) & 2, 2); /* the seventeenth overran */
    for (unsigned i = 0; i < 16; i++)
        CHECK_EQ(inb(&f, COM1), 0x40 + i);
    CHECK_EQ(inb(&f, COM1 + 5) & 1, 0);
    outb(&f, COM1 + 4, 0x0b); /* back: the line's bytes come in */
    CHECK_EQ(inb(&f, COM1), 'n');
    CHECK_EQ(inb(&f, COM1), 'o');
}

int main(void)
{
    fixture_init(&f, 1);
    test_probe();
    test_transmit();
    test_back_pressure();
    test_receive();
    test_break();
    test_loopback();
    fixture_fini(&f);
    return 0;
}
