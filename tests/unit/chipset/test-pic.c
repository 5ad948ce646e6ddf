/* SPDX-License-Identifier: Apache-2.0 */
/* The 8259A pair: priorities, nesting, EOI kinds, rotation, special mask, poll, ELCR, spurious. */
#include "fixture.h"

static struct fixture f;

static void edge(unsigned irq)
{
    chipset_gsi_set(f.cs, irq, false);
    chipset_gsi_set(f.cs, irq, true);
    chipset_gsi_set(f.cs, irq, false);
}

static void test_priority_and_nesting(void)
{
    pic_setup(&f, 1);
    CHECK_EQ(ack(&f), -2);
    unsigned kicks = f.kicks;
    edge(5);
    edge(3);
    CHECK_EQ(f.kicks, kicks + 1); /* one rise of the CPU's line */
    CHECK_EQ(ack(&f), 0x23);
    CHECK_EQ(ack(&f), -2); /* 5 waits for 3 */
    edge(1);
    CHECK_EQ(ack(&f), 0x21); /* higher priority interrupts the service of 3 */
    outb(&f, 0x20, 0x0b);
    CHECK_EQ(inb(&f, 0x20), 0x0a); /* ISR: 1 and 3 */
    outb(&f, 0x20, 0x20);          /* non-specific EOI: ends 1 */
    CHECK_EQ(inb(&f, 0x20), 0x08);
    outb(&f, 0x20, 0x63);          /* specific EOI of 3 */
    CHECK_EQ(ack(&f), 0x25);
    outb(&f, 0x20, 0x20);
    CHECK_EQ(inb(&f, 0x20), 0);
}

static void test_slave(void)
{
    pic_setup(&f, 1);
    edge(12);
    edge(8);
    CHECK_EQ(ack(&f), 0x28);
    CHECK_EQ(ack(&f), -2);
    outb(&f, 0xa0, 0x20);
    CHECK_EQ(ack(&f), -2); /* the master still serves the cascade */
    outb(&f, 0x20, 0x20);
    CHECK_EQ(ack(&f), 0x2c);
    outb(&f, 0xa0, 0x20);
    outb(&f, 0x20, 0x20);
    CHECK_EQ(ack(&f), -2);
    edge(3);
    edge(15); /* the slave is above IR3 of the master */
    CHECK_EQ(ack(&f), 0x2f);
    outb(&f, 0xa0, 0x20);
    outb(&f, 0x20, 0x20);
    CHECK_EQ(ack(&f), 0x23);
    outb(&f, 0x20, 0x20);
}

static void test_mask_and_spurious(void)
{
    pic_setup(&f, 1);
    outb(&f, 0x21, 0x20);
    edge(5);
    CHECK_EQ(ack(&f), -2);
    CHECK_EQ(inb(&f, 0x20), 0x20); /* but it is latched */
    outb(&f, 0x21, 0);
    CHECK(chipset_intr_pending(f.cs, 0));
    outb(&f, 0x21, 0x20);
    CHECK(!chipset_intr_pending(f.cs, 0));
    outb(&f, 0x21, 0);
    CHECK_EQ(ack(&f), 0x25);
    outb(&f, 0x20, 0x20);
}

static void test_level(void)
{
    pic_setup(&f, 1);
    outb(&f, 0x4d1, 0xff);
    CHECK_EQ(inb(&f, 0x4d1), 0xde); /* 8 and 13 stay edge */
    outb(&f, 0x4d0, 0xff);
    CHECK_EQ(inb(&f, 0x4d0), 0xf8);
    chipset_gsi_set(f.cs, 11, true);
    CHECK_EQ(ack(&f), 0x2b);
    outb(&f, 0xa0, 0x20);
    outb(&f, 0x20, 0x20);
    CHECK_EQ(ack(&f), 0x2b); /* still asserted: again */
    chipset_gsi_set(f.cs, 11, false);
    outb(&f, 0xa0, 0x20);
    outb(&f, 0x20, 0x20);
    CHECK_EQ(ack(&f), -2);
    outb(&f, 0x4d0, 0);
    outb(&f, 0x4d1, 0);
}

static void test_rotation(void)
{
    pic_setup(&f, 1);
    edge(3);
    CHECK_EQ(ack(&f), 0x23);
    outb(&f, 0x20, 0xa0); /* rotate on non-specific EOI: 3 becomes lowest, 4 highest */
    edge(1);
    edge(5);
    CHECK_EQ(ack(&f), 0x25);
    outb(&f, 0x20, 0x20);
    CHECK_EQ(ack(&f), 0x21);
    outb(&f, 0x20, 0x20);
    outb(&f, 0x20, 0xc7); /* set priority: 7 lowest, the usual order */
    edge(1);
    edge(5);
    CHECK_EQ(ack(&f), 0x21);
    outb(&f, 0x20, 0xe1); /* rotate on specific EOI */
    CHECK_EQ(ack(&f), 0x25);
    outb(&f, 0x20, 0x20);
}

static void test_auto_eoi(void)
{
    pic_setup(&f, 3);
    outb(&f, 0x20, 0x0b);
    edge(4);
    CHECK_EQ(ack(&f), 0x24);
    CHECK_EQ(inb(&f, 0x20), 0); /* nothing in service */
    edge(6);
    CHECK_EQ(ack(&f), 0x26);
}

static void test_special_mask(void)
{
    pic_setup(&f, 1);
    edge(2 + 1);
    CHECK_EQ(ack(&f), 0x23);
    edge(5);
    CHECK_EQ(ack(&f), -2);
    outb(&f, 0x20, 0x68); /* special mask mode */
    outb(&f, 0x21, 0x08); /* mask the level in service: lower ones come through */
    CHECK_EQ(ack(&f), 0x25);
    outb(&f, 0x20, 0x65);
    outb(&f, 0x21, 0);
    outb(&f, 0x20, 0x48);
    outb(&f, 0x20, 0x63);
}

static void test_poll(void)
{
    pic_setup(&f, 1);
    outb(&f, 0x20, 0x0c);
    CHECK_EQ(inb(&f, 0x20), 0);
    edge(6);
    outb(&f, 0x20, 0x0c);
    CHECK_EQ(inb(&f, 0x20), 0x86); /* and it is acknowledged */
    CHECK_EQ(ack(&f), -2);
    outb(&f, 0x20, 0x0b);
    CHECK_EQ(inb(&f, 0x20), 0x40);
    outb(&f, 0x20, 0x20);
}

static void test_sources_are_ored(void)
{
    pic_setup(&f, 1);
    outb(&f, 0x4d1, 0x08);
    f.page->isr[0].gsi = f.page->isr[1].gsi = 11;
    f.page->isr[0].bits = f.page->isr[1].bits = 1;
    chipset_isr_update(f.cs, 0);
    chipset_isr_update(f.cs, 1);
    CHECK_EQ(ack(&f), 0x2b);
    f.page->isr[0].bits = 0;
    chipset_isr_update(f.cs, 0);
    outb(&f, 0xa0, 0x20);
    outb(&f, 0x20, 0x20);
    CHECK_EQ(ack(&f), 0x2b); /* the other function still asserts it */
    f.page->isr[1].disabled = 1;
    chipset_isr_update(f.cs, 1);
    outb(&f, 0xa0, 0x20);
    outb(&f, 0x20, 0x20);
    CHECK_EQ(ack(&f), -2);
    f.page->isr[1].disabled = 0;
    f.page->isr[1].gsi = 10; /* moved to another line while asserted */
    chipset_isr_update(f.cs, 1);
    CHECK_EQ(ack(&f), 0x2a);
    f.page->isr[1].gsi = 99; /* nonsense is no line */
    chipset_isr_update(f.cs, 1);
    outb(&f, 0x4d1, 0);
}

int main(void)
{
    fixture_init(&f, 0);
    test_priority_and_nesting();
    test_slave();
    test_mask_and_spurious();
    test_level();
    test_rotation();
    test_auto_eoi();
    test_special_mask();
    test_poll();
    test_sources_are_ored();
    fixture_fini(&f);
    return 0;
}
