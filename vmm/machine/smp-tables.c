/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MultiProcessor Specification 1.4 tables, for kernels that do not read ACPI: floating pointer,
 * processors, buses, IOAPIC and interrupt assignments. Same wiring as the MADT and the DSDT.
 */
#include "vmm/machine/acpi/acpi.h"
#include "vmm/machine/machine.h"

#include <string.h>

#define MPF_LEN          16u
#define MPC_LEN          44u
#define BUS_PCI          0
#define BUS_ISA          1
#define IOAPIC_ID        0
#define FLAGS_DEFAULT    0
#define FLAGS_LEVEL_HIGH 0x000d

enum { MP_CPU, MP_BUS, MP_IOAPIC, MP_INTSRC, MP_LINTSRC };
enum { INT_VECTORED, INT_NMI, INT_SMI, INT_EXTINT };

struct writer {
    uint8_t *p;
    size_t len, cap;
    unsigned entries;
};

static void put(struct writer *w, const void *b, size_t n)
{
    if (n <= w->cap - w->len)
        memcpy(w->p + w->len, b, n);
    w->len += n <= w->cap - w->len ? n : 0;
    w->entries++;
}

static void cpu_put(struct writer *w, unsigned id)
{
    uint8_t e[20] = {MP_CPU, (uint8_t)id, 0x14,
                     (uint8_t)(id ? 1 : 3)}; /* enabled, boot processor */

    pci_put32(e + 4, 0x600);
    pci_put32(e + 8, 0x201); /* FPU, APIC */
    put(w, e, sizeof(e));
}

static void interrupt_put(struct writer *w, uint8_t kind, uint8_t type, uint16_t flags, uint8_t bus,
                          uint8_t irq, uint8_t dest, uint8_t pin)
{
    uint8_t e[8] = {kind, type, 0, 0, bus, irq, dest, pin};

    pci_put16(e + 2, flags);
    put(w, e, sizeof(e));
}

static void interrupts_put(struct writer *w)
{
    for (unsigned slot = 1; slot < 32; slot++)
        for (unsigned pin = 0; pin < 4; pin++)
            interrupt_put(w, MP_INTSRC, INT_VECTORED, FLAGS_LEVEL_HIGH, BUS_PCI,
                          (uint8_t)(slot << 2 | pin), IOAPIC_ID,
                          machine_pirq_gsi(machine_pirq(slot, pin)));
    for (uint8_t irq = 0; irq < 16; irq++)
        if (irq != 2 && irq != 10 && irq != 11)
            interrupt_put(w, MP_INTSRC, INT_VECTORED,
                          irq == PC_SCI ? FLAGS_LEVEL_HIGH : FLAGS_DEFAULT, BUS_ISA, irq, IOAPIC_ID,
                          irq ? irq : 2); /* the PIT is wired to pin 2 */
    interrupt_put(w, MP_LINTSRC, INT_EXTINT, FLAGS_DEFAULT, BUS_ISA, 0, 0, 0);
    interrupt_put(w, MP_LINTSRC, INT_NMI, FLAGS_DEFAULT, BUS_ISA, 0, 0xff, 1);
}

static uint8_t checksum(const uint8_t *p, size_t n)
{
    uint8_t sum = 0;

    while (n--)
        sum = (uint8_t)(sum + *p++);
    return (uint8_t)-sum;
}

size_t smp_tables_build(uint8_t *buf, uint32_t gpa, size_t room,
                        const struct acpi_config *cfg)
{
    static const uint8_t pci[8] = {MP_BUS, BUS_PCI, 'P', 'C', 'I', ' ', ' ', ' '};
    static const uint8_t isa[8] = {MP_BUS, BUS_ISA, 'I', 'S', 'A', ' ', ' ', ' '};
    uint8_t ioapic[8] = {MP_IOAPIC, IOAPIC_ID, 0x11, 1};
    uint8_t *mpc = buf + MPF_LEN;
    struct writer w = {mpc, MPC_LEN, room - MPF_LEN, 0};

    if (room < MPF_LEN + MPC_LEN)
        return 0;
    for (unsigned i = 0; i < cfg->cpus; i++)
        cpu_put(&w, topo_apic_id(&cfg->topology, i));
    put(&w, pci, sizeof(pci));
    put(&w, isa, sizeof(isa));
    pci_put32(ioapic + 4, PC_IOAPIC_BASE);
    put(&w, ioapic, sizeof(ioapic));
    interrupts_put(&w);
    if (w.len + 20 > w.cap)
        return 0;

    memset(mpc, 0, MPC_LEN);
    memcpy(mpc, "PCMP", 4);
    pci_put16(mpc + 4, (uint16_t)w.len);
    mpc[6] = 4; /* revision 1.4 */
    memcpy(mpc + 8, "BLKHD   BULKHEAD PC ", 20);
    pci_put16(mpc + 34, (uint16_t)w.entries);
    pci_put32(mpc + 36, PC_LAPIC_BASE);
    mpc[7] = checksum(mpc, w.len);

    memset(buf, 0, MPF_LEN);
    memcpy(buf, "_MP_", 4);
    pci_put32(buf + 4, gpa + MPF_LEN);
    buf[8] = 1; /* 16-byte units */
    buf[9] = 4;
    buf[10] = checksum(buf, MPF_LEN);
    return MPF_LEN + w.len;
}
