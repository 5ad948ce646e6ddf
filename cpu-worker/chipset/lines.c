/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The interrupt lines of the board: which sources assert each line (they are wired-OR) and which
 * inputs of the PIC and the IOAPIC a line ends at. Must never know why a source asserts its line.
 */
#include "cpu-worker/chipset/chipset-internal.h"

/* With HPET legacy replacement on, timers 0 and 1 own IRQ 0 and 8 and the old ones are cut off. */
static uint64_t sources_connected(const struct chipset *cs, unsigned line)
{
    uint64_t hpet = 1ull << SRC_HPET0 | 1ull << (SRC_HPET0 + 1);
    if (line != 0 && line != 8)
        return ~0ull;
    return hpet_legacy(cs) ? ~(1ull << SRC_PIT | 1ull << SRC_RTC) : ~hpet;
}

static bool line_level(const struct chipset *cs, unsigned line)
{
    return cs->st->line[line] & sources_connected(cs, line);
}

/* Line numbers are GSIs as ACPI sees them, but line 0 is ISA IRQ 0: PIC input 0 and IOAPIC pin 2
 * (MADT interrupt source override). PIC input 2 is the cascade, IOAPIC pin 0 is the PIC. */
void cs_line_refresh(struct chipset *cs, unsigned line)
{
    bool level = line_level(cs, line);
    if (line < 16 && line != 2)
        pic_line_set(cs, line, level);
    if (line == 0 || line == 2)
        ioapic_pin_set(cs, 2, line_level(cs, 0) || line_level(cs, 2));
    else
        ioapic_pin_set(cs, line, level);
}

void cs_line_set(struct chipset *cs, unsigned line, unsigned source, bool level)
{
    uint64_t bit = 1ull << source, old = cs->st->line[line];
    uint64_t neu = level ? old | bit : old & ~bit;
    if (neu == old)
        return;
    cs->st->line[line] = neu;
    cs_line_refresh(cs, line);
}

void cs_line_pulse(struct chipset *cs, unsigned line, unsigned source)
{
    cs_line_set(cs, line, source, false);
    cs_line_set(cs, line, source, true);
    cs_line_set(cs, line, source, false);
}

static void intx_line_set(struct chipset *cs, unsigned slot, unsigned gsi, bool level)
{
    uint8_t *at = &cs->st->intx_line[slot];
    if (*at && (!level || *at != gsi + 1)) {
        unsigned old = (*at - 1) % ABI_GSI_MAX;
        *at = 0;
        cs_line_set(cs, old, SRC_INTX0 + slot, false);
    }
    if (level && gsi < ABI_GSI_MAX) {
        *at = (uint8_t)(gsi + 1);
        cs_line_set(cs, gsi, SRC_INTX0 + slot, true);
    }
}

/* The level of a slot's own bits, or of the line of a device page. A line that was low for a moment
 * since the last look is taken low here too: an edge-triggered input must see it. */
static bool isr_level(struct chipset *cs, unsigned slot)
{
    const uint32_t *word = cs->line_word[slot];
    uint32_t now = word ? __atomic_load_n(word, __ATOMIC_SEQ_CST) : 0;

    if (word && now - cs->line_seen[slot] >= 2)
        intx_line_set(cs, slot, ABI_GSI_MAX, false);
    cs->line_seen[slot] = now;
    return now & 1 || __atomic_load_n(&cs->page->isr[slot].bits, __ATOMIC_SEQ_CST);
}

void cs_intx_refresh(struct chipset *cs, unsigned slot)
{
    const struct abi_isr *isr = &cs->page->isr[slot];
    uint32_t gsi = __atomic_load_n(&isr->gsi, __ATOMIC_ACQUIRE);
    bool level = isr_level(cs, slot) && !__atomic_load_n(&isr->disabled, __ATOMIC_SEQ_CST);
    intx_line_set(cs, slot, gsi < ABI_GSI_MAX ? gsi : ABI_GSI_MAX, level);
}
