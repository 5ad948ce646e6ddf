/* SPDX-License-Identifier: Apache-2.0 */
/* The text of the monitor's `info pci`, in the shape QEMU's users know. Reads registers only. */
#include "vmm/machine/pci.h"

#include <linux/pci_regs.h>
#include <stdarg.h>
#include <stdio.h>

struct text {
    char *out;
    unsigned len, used;
};

static void say(struct text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void say(struct text *t, const char *fmt, ...)
{
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vsnprintf(t->out + t->used, t->len - t->used, fmt, ap);
    va_end(ap);
    if (n > 0)
        t->used += (unsigned)n < t->len - t->used ? (unsigned)n : t->len - t->used - 1;
}

static void bar_text(struct text *t, const struct pci_bus *b, const struct pci_dev *d, unsigned i)
{
    uint64_t base = pci_bar_base(d, i), last = base + d->bar[i].size - 1;

    if (d->bar[i].kind == PCI_BAR_NONE)
        return;
    if (!pci_bar_decoded(b, d, i)) /* as QEMU: an unmapped BAR is shown at all-ones */
        base = d->bar[i].kind == PCI_BAR_MEM64 ? ~(uint64_t)0 : 0xffffffff, last = base;
    if (d->bar[i].kind == PCI_BAR_IO)
        say(t, "      BAR%u: I/O at 0x%04llx [0x%04llx].\n", i, (unsigned long long)base,
            (unsigned long long)last);
    else
        say(t, "      BAR%u: %d bit%s memory at 0x%08llx [0x%08llx].\n", i,
            d->bar[i].kind == PCI_BAR_MEM64 ? 64 : 32, d->bar[i].prefetch ? " prefetchable" : "",
            (unsigned long long)base, (unsigned long long)last);
}

static void rom_text(struct text *t, const struct pci_dev *d)
{
    uint32_t reg = pci_get32(d->cfg + PCI_ROM_ADDRESS), base = reg & ~(d->rom_size - 1);

    if (!d->rom_size)
        return;
    if (!(reg & PCI_ROM_ADDRESS_ENABLE))
        say(t, "      BAR6: 32 bit memory at 0xffffffffffffffff [0x%08x].\n", d->rom_size - 2);
    else
        say(t, "      BAR6: 32 bit memory at 0x%08x [0x%08x].\n", base, base + d->rom_size - 1);
}

unsigned pci_bus_info(struct pci_bus *b, char *out, unsigned len)
{
    struct text t = {out, len, 0};

    if (!len)
        return 0;
    out[0] = 0;
    for (unsigned i = 0; i < b->n; i++) {
        const struct pci_dev *d = b->dev[i];

        say(&t, "  Bus  0, device %3u, function %u:\n", d->devfn >> 3, d->devfn & 7);
        say(&t, "    %s: PCI device %04x:%04x\n", d->name, pci_get16(d->cfg),
            pci_get16(d->cfg + PCI_DEVICE_ID));
        say(&t, "      PCI subsystem %04x:%04x\n", pci_get16(d->cfg + PCI_SUBSYSTEM_VENDOR_ID),
            pci_get16(d->cfg + PCI_SUBSYSTEM_ID));
        if (d->cfg[PCI_INTERRUPT_PIN])
            say(&t, "      IRQ %u, pin %c\n", d->cfg[PCI_INTERRUPT_LINE],
                'A' + d->cfg[PCI_INTERRUPT_PIN] - 1);
        for (unsigned k = 0; k < PCI_BARS; k++)
            bar_text(&t, b, d, k);
        rom_text(&t, d);
        say(&t, "      id \"%s\"\n", d->id);
    }
    return t.used;
}
