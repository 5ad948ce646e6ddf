/* SPDX-License-Identifier: Apache-2.0 */
/* Local APIC and IOAPIC: priorities, EOI and its broadcast, MSI, IPIs, ExtINT, x2APIC rules. */
#include "fixture.h"

static struct fixture f;
#define MSI 0xfee00000ull

static void test_reset_values(void)
{
    uint64_t v;
    CHECK(chipset_msr_read(f.cs, 0, 0x1b, &v));
    CHECK_EQ(v, 0xfee00900);
    CHECK_EQ(lapic_rd(&f, 0x30), 0x50014);
    CHECK_EQ(lapic_rd(&f, 0xf0), 0xff);
    CHECK_EQ(lapic_rd(&f, 0xe0), 0xffffffff);
    CHECK_EQ(lapic_rd(&f, 0x320), 0x10000);
    CHECK_EQ(ioapic_rd(&f, 1), 0x170020);
    CHECK_EQ(ioapic_rd(&f, 0x10), 0x10000);
    chipset_msi(f.cs, MSI, 0x60); /* disabled by software: refused */
    CHECK_EQ(ack(&f), -2);
}

static void test_priority(void)
{
    lapic_on(&f);
    unsigned kicks = f.kicks;
    chipset_msi(f.cs, MSI, 0x45);
    CHECK_EQ(f.kicks, kicks + 1);
    chipset_msi(f.cs, MSI, 0x61);
    chipset_msi(f.cs, MSI, 0x48);
    CHECK_EQ(f.kicks, kicks + 1); /* the line was up already */
    CHECK_EQ(ack(&f), 0x61);
    CHECK_EQ(lapic_rd(&f, 0xa0), 0x60);
    CHECK_EQ(ack(&f), -2);
    chipset_msi(f.cs, MSI, 0x6f); /* same class: does not interrupt */
    CHECK_EQ(ack(&f), -2);
    chipset_msi(f.cs, MSI, 0x70);
    CHECK_EQ(ack(&f), 0x70);
    CHECK_EQ(lapic_rd(&f, 0x100 + 0x30), 1u << 1 | 1u << 16); /* ISR 61h and 70h */
    CHECK_EQ(lapic_rd(&f, 0x200 + 0x20), 1u << 5 | 1u << 8);  /* IRR 45h and 48h */
    lapic_wr(&f, 0xb0, 0);
    CHECK_EQ(ack(&f), -2);
    lapic_wr(&f, 0xb0, 0);
    CHECK_EQ(ack(&f), 0x6f);
    lapic_wr(&f, 0xb0, 0);
    chipset_cr8_write(f.cs, 0, 4); /* TPR 40h holds class 4 back */
    CHECK_EQ(chipset_cr8_read(f.cs, 0), 4);
    CHECK_EQ(ack(&f), -2);
    lapic_wr(&f, 0x80, 0x30);
    CHECK_EQ(ack(&f), 0x48);
    lapic_wr(&f, 0xb0, 0);
    CHECK_EQ(ack(&f), 0x45);
    lapic_wr(&f, 0xb0, 0);
    lapic_wr(&f, 0x80, 0);
    /* Pending, then held back before it is taken: it went away. */
    chipset_msi(f.cs, MSI, 0x51);
    CHECK(chipset_intr_pending(f.cs, 0));
    chipset_cr8_write(f.cs, 0, 15);
    CHECK_EQ(chipset_intr_ack(f.cs, 0), -1);
    chipset_cr8_write(f.cs, 0, 0);
    CHECK_EQ(ack(&f), 0x51);
    lapic_wr(&f, 0xb0, 0);
}

static void test_ioapic_level(void)
{
    redir(&f, 10, 0xa0 | 1 << 15 | 1 << 13); /* level, active low */
    chipset_gsi_set(f.cs, 10, true);
    CHECK_EQ(ioapic_rd(&f, 0x10 + 20) & 1 << 14, 1 << 14); /* remote IRR */
    CHECK_EQ(ack(&f), 0xa0);
    CHECK_EQ(lapic_rd(&f, 0x180 + 0x50), 1); /* TMR */
    CHECK_EQ(ack(&f), -2);
    lapic_wr(&f, 0xb0, 0); /* still asserted: comes again */
    CHECK_EQ(ack(&f), 0xa0);
    chipset_gsi_set(f.cs, 10, false);
    CHECK_EQ(ioapic_rd(&f, 0x10 + 20) & 1 << 14, 1 << 14);
    lapic_wr(&f, 0xb0, 0);
    CHECK_EQ(ioapic_rd(&f, 0x10 + 20) & 1 << 14, 0);
    CHECK_EQ(ack(&f), -2);
    /* Masked while asserted, delivered when unmasked. */
    redir(&f, 10, 0xa0 | 1 << 15 | 1 << 16);
    chipset_gsi_set(f.cs, 10, true);
    CHECK_EQ(ack(&f), -2);
    redir(&f, 10, 0xa0 | 1 << 15);
    CHECK_EQ(ack(&f), 0xa0);
    chipset_gsi_set(f.cs, 10, false);
    /* The EOI register of version 20h does what the broadcast does. */
    chipset_mmio_write(f.cs, 0, IOAPIC + 0x40, 4, 0xa0);
    CHECK_EQ(ioapic_rd(&f, 0x10 + 20) & 1 << 14, 0);
    lapic_wr(&f, 0xb0, 0);
    /* Remote IRR and delivery status cannot be written. */
    redir(&f, 10, 0xa0 | 1 << 15 | 1 << 14 | 1 << 12 | 1 << 16);
    CHECK_EQ(ioapic_rd(&f, 0x10 + 20), 0xa0 | 1 << 15 | 1 << 16);
}

static void test_ioapic_edge(void)
{
    redir(&f, 4, 0x34);
    chipset_gsi_set(f.cs, 4, true);
    CHECK_EQ(ack(&f), 0x34);
    chipset_gsi_set(f.cs, 4, true); /* no new edge */
    lapic_wr(&f, 0xb0, 0);
    CHECK_EQ(ack(&f), -2);
    chipset_gsi_set(f.cs, 4, false);
    redir(&f, 4, 0x34 | 1 << 16);
    chipset_gsi_set(f.cs, 4, true); /* an edge on a masked pin is lost */
    redir(&f, 4, 0x34);
    CHECK_EQ(ack(&f), -2);
    chipset_gsi_set(f.cs, 4, false);
    redir(&f, 2, 0x30); /* ISA IRQ 0 arrives at pin 2 */
    chipset_gsi_set(f.cs, 0, true);
    CHECK_EQ(ack(&f), 0x30);
    chipset_gsi_set(f.cs, 0, false);
    lapic_wr(&f, 0xb0, 0);
    redir(&f, 4, 1 << 16);
    redir(&f, 2, 1 << 16);
}

static void test_extint(void)
{
    pic_setup(&f, 1);
    chipset_gsi_set(f.cs, 5, true);
    CHECK_EQ(ack(&f), -2); /* LINT0 is masked */
    lapic_wr(&f, 0x350, 0x700);
    CHECK_EQ(ack(&f), 0x25);
    CHECK_EQ(lapic_rd(&f, 0x110), 0); /* ExtINT leaves no trace in the ISR */
    outb(&f, 0x20, 0x20);
    chipset_gsi_set(f.cs, 5, false);
    lapic_wr(&f, 0x350, 0x10000);
    redir(&f, 0, 0x700); /* the other virtual wire: through IOAPIC pin 0 */
    chipset_gsi_set(f.cs, 6, true);
    CHECK_EQ(ack(&f), 0x26);
    outb(&f, 0x20, 0x20);
    chipset_gsi_set(f.cs, 6, false);
    redir(&f, 0, 1 << 16);
    lapic_wr(&f, 0x350, 0x31); /* LINT0 as an ordinary edge input */
    chipset_gsi_set(f.cs, 7, true);
    CHECK_EQ(ack(&f), 0x31);
    lapic_wr(&f, 0xb0, 0);
    lapic_wr(&f, 0x350, 0x10000);
    chipset_gsi_set(f.cs, 7, false);
    outb(&f, 0x20, 0x0c);
    CHECK_EQ(inb(&f, 0x20), 0x87);
    outb(&f, 0x20, 0x20);
    CHECK_EQ(ack(&f), -2);
}

static void test_ipi(void)
{
    lapic_wr(&f, 0x310, 0);
    lapic_wr(&f, 0x300, 0x40 << 0 | 1 << 18); /* self */
    CHECK_EQ(ack(&f), 0x40);
    lapic_wr(&f, 0xb0, 0);
    lapic_wr(&f, 0x300, 0x41 | 3 << 18); /* all but self: nobody */
    CHECK_EQ(ack(&f), -2);
    lapic_wr(&f, 0xd0, 1u << 24); /* logical destination, flat */
    lapic_wr(&f, 0x310, 1u << 24);
    lapic_wr(&f, 0x300, 0x42 | 0x800);
    CHECK_EQ(ack(&f), 0x42);
    lapic_wr(&f, 0xb0, 0);
    lapic_wr(&f, 0x310, 2u << 24);
    lapic_wr(&f, 0x300, 0x42 | 0x800);
    CHECK_EQ(ack(&f), -2);
    lapic_wr(&f, 0x300, 5 | 1 << 18); /* vectors below 16 are illegal */
    lapic_wr(&f, 0x280, 0);
    CHECK_EQ(lapic_rd(&f, 0x280), 1 << 5);
    lapic_wr(&f, 0x280, 0);
    CHECK_EQ(lapic_rd(&f, 0x280), 0);
    chipset_msi(f.cs, MSI, 0x400); /* NMI */
    CHECK(chipset_nmi_pending(f.cs, 0));
    CHECK(chipset_nmi_take(f.cs, 0));
    CHECK(!chipset_nmi_take(f.cs, 0));
    chipset_msi(f.cs, MSI | 7 << 12, 0x55); /* nobody has ID 7 */
    CHECK_EQ(ack(&f), -2);
    chipset_msi(f.cs, MSI | 0xff << 12, 0x55); /* broadcast */
    CHECK_EQ(ack(&f), 0x55);
    lapic_wr(&f, 0xb0, 0);
}

static void test_software_disable(void)
{
    lapic_wr(&f, 0x370, 0xfe);
    lapic_wr(&f, 0xf0, 0xff);
    CHECK_EQ(lapic_rd(&f, 0x370), 0x100fe); /* masks are forced */
    lapic_wr(&f, 0x370, 0xfe);
    CHECK_EQ(lapic_rd(&f, 0x370), 0x100fe);
    redir(&f, 11, 0xb0 | 1 << 15);
    chipset_gsi_set(f.cs, 11, true); /* refused, but it is a level */
    lapic_wr(&f, 0xf0, 0x1ff);
    CHECK_EQ(ack(&f), 0xb0);
    chipset_gsi_set(f.cs, 11, false);
    lapic_wr(&f, 0xb0, 0);
}

static void test_x2apic(void)
{
    uint64_t v;
    CHECK(!chipset_msr_read(f.cs, 0, 0x802, &v));           /* not in x2APIC mode */
    CHECK(!chipset_msr_write(f.cs, 0, 0x1b, 0xfee00500));   /* EXTD without EN */
    CHECK(!chipset_msr_write(f.cs, 0, 0x1b, 0xfee00901));   /* reserved bit */
    CHECK(!chipset_msr_write(f.cs, 0, 0x1b, 1ull << 45 | 0x900));
    CHECK(chipset_msr_write(f.cs, 0, 0x1b, 0xfee00d00));
    CHECK(!chipset_mmio_claims(f.cs, 0, LAPIC));            /* the page is gone */
    CHECK(!chipset_msr_write(f.cs, 0, 0x1b, 0xfee00900));   /* back to xAPIC directly */
    CHECK(chipset_msr_read(f.cs, 0, 0x802, &v));
    CHECK_EQ(v, 0);
    CHECK(chipset_msr_read(f.cs, 0, 0x80d, &v));
    CHECK_EQ(v, 1);
    CHECK(!chipset_msr_read(f.cs, 0, 0x80e, &v));           /* no DFR */
    CHECK(!chipset_msr_read(f.cs, 0, 0x80b, &v));           /* write only */
    CHECK(!chipset_msr_write(f.cs, 0, 0x802, 1));           /* read only */
    CHECK(!chipset_msr_write(f.cs, 0, 0x80b, 1));           /* EOI: zero only */
    CHECK(!chipset_msr_write(f.cs, 0, 0x808, 0x100));       /* TPR: reserved bits */
    CHECK(chipset_msr_write(f.cs, 0, 0x83f, 0x77));         /* self IPI */
    CHECK_EQ(ack(&f), 0x77);
    CHECK(chipset_msr_write(f.cs, 0, 0x80b, 0));
    CHECK(chipset_msr_write(f.cs, 0, 0x830, 0x78));         /* ICR: one 64-bit write, ID 0 */
    CHECK_EQ(ack(&f), 0x78);
    CHECK(chipset_msr_write(f.cs, 0, 0x80b, 0));
    CHECK(chipset_msr_write(f.cs, 0, 0x830, 0xffffffff00000079ull));
    CHECK_EQ(ack(&f), 0x79);
    CHECK(chipset_msr_write(f.cs, 0, 0x80b, 0));
    CHECK(chipset_msr_write(f.cs, 0, 0x1b, 0xfee00100));    /* off */
    CHECK(!chipset_msr_write(f.cs, 0, 0x1b, 0xfee00d00));   /* off to x2APIC directly */
    CHECK(chipset_msr_write(f.cs, 0, 0x1b, 0xfee00900));
    CHECK(chipset_mmio_claims(f.cs, 0, LAPIC));
    CHECK_EQ(lapic_rd(&f, 0xf0), 0xff); /* disabling reset it */
}

static void test_init_ipi(void)
{
    f.event = -1;
    chipset_msi(f.cs, MSI, 0x500);
    CHECK_EQ(f.event, CHIPSET_EV_RESET);
}

int main(void)
{
    fixture_init(&f, 0);
    test_reset_values();
    test_priority();
    test_ioapic_level();
    test_ioapic_edge();
    test_extint();
    test_ipi();
    test_software_disable();
    test_x2apic();
    test_init_ipi();
    fixture_fini(&f);
    return 0;
}
