/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The I/O APIC at FEC00000h: 24 redirection entries, version 20h (with the EOI register). Owns pin
 * levels and redirection; must never look inside a local APIC. References: 82093AA data sheet; ICH9
 * data sheet 13.5 for version 20h. Lines are logical here: "asserted" is what the board's wiring
 * makes of the polarity that the firmware tables declare, so the polarity bit is kept but changes
 * nothing.
 */
#include "cpu-worker/chipset/chipset-internal.h"

#define REDIR_VECTOR     0xffull
#define REDIR_MODE(e)    (((e) >> 8) & 7)
#define REDIR_LOGICAL    (1ull << 11)
#define REDIR_REMOTE_IRR (1ull << 14)
#define REDIR_LEVEL      (1ull << 15)
#define REDIR_MASKED     (1ull << 16)
#define REDIR_READ_ONLY  (1ull << 12 | REDIR_REMOTE_IRR)
#define REDIR_WRITABLE   0xff0000000001afffull /* and never the delivery status, remote IRR */

static bool redir_level(uint64_t e)
{
    /* Level makes sense for fixed and lowest priority only (82093AA 3.2.4, delivery mode table). */
    return (e & REDIR_LEVEL) && REDIR_MODE(e) <= DM_LOWEST;
}

static void ioapic_send(struct chipset *cs, unsigned pin)
{
    uint64_t *e = &cs->st->ioapic.redir[pin];
    if (REDIR_MODE(*e) == DM_EXTINT)
        return; /* the PIC's INTR passes through: see ioapic_extint_open */
    struct apic_msg m = {.dest = *e >> 56, .logical = *e & REDIR_LOGICAL, .level = redir_level(*e),
                         .mode = REDIR_MODE(*e), .vector = *e & REDIR_VECTOR};
    if (lapic_deliver(cs, &m) && m.level)
        *e |= REDIR_REMOTE_IRR;
}

/* A level pin that is asserted, open and not yet in service anywhere. */
static void ioapic_level_service(struct chipset *cs, unsigned pin)
{
    uint64_t e = cs->st->ioapic.redir[pin];
    if (redir_level(e) && !(e & (REDIR_MASKED | REDIR_REMOTE_IRR)) &&
        (cs->st->ioapic.pins & (1u << pin)))
        ioapic_send(cs, pin);
}

void ioapic_pin_set(struct chipset *cs, unsigned pin, bool level)
{
    struct abi_ioapic *io = &cs->st->ioapic;
    uint32_t bit = 1u << pin;
    bool rose = level && !(io->pins & bit);
    io->pins = level ? io->pins | bit : io->pins & ~bit;
    uint64_t e = io->redir[pin];
    if (redir_level(e))
        ioapic_level_service(cs, pin);
    else if (rose && !(e & REDIR_MASKED)) /* an edge on a masked pin is lost (82093AA 3.2.4) */
        ioapic_send(cs, pin);
}

void ioapic_eoi(struct chipset *cs, uint8_t vector)
{
    for (unsigned pin = 0; pin < ABI_GSI_MAX; pin++) {
        uint64_t *e = &cs->st->ioapic.redir[pin];
        if (!(*e & REDIR_REMOTE_IRR) || (*e & REDIR_VECTOR) != vector)
            continue;
        *e &= ~REDIR_REMOTE_IRR;
        ioapic_level_service(cs, pin);
    }
}

void ioapic_retry(struct chipset *cs)
{
    for (unsigned pin = 0; pin < ABI_GSI_MAX; pin++)
        ioapic_level_service(cs, pin);
}

bool ioapic_extint_open(struct chipset *cs, unsigned vcpu)
{
    uint64_t e = __atomic_load_n(&cs->st->ioapic.redir[0], __ATOMIC_RELAXED); /* with or without lock */
    if (REDIR_MODE(e) != DM_EXTINT || (e & REDIR_MASKED))
        return false;
    struct apic_msg m = {.dest = e >> 56, .logical = e & REDIR_LOGICAL};
    return lapic_matches(&cs->st->lapic[vcpu], &m);
}

static void redir_write(struct chipset *cs, unsigned pin, unsigned half, uint32_t v)
{
    uint64_t *e = &cs->st->ioapic.redir[pin];
    uint64_t mask = half ? 0xffffffff00000000ull : 0xffffffffull;
    uint64_t neu = (*e & ~mask) | ((uint64_t)v << (half ? 32 : 0));
    *e = (neu & REDIR_WRITABLE & ~REDIR_READ_ONLY) | (*e & REDIR_READ_ONLY);
    if (!redir_level(*e))
        *e &= ~REDIR_REMOTE_IRR; /* defined for level mode only; drivers clear it this way */
    ioapic_level_service(cs, pin);
    if (pin == 0)
        for (unsigned i = 0; i < cs->vcpus; i++)
            lapic_attention(cs, i); /* the ExtINT path may have opened or closed */
}

static uint32_t ioapic_reg_read(struct chipset *cs)
{
    const struct abi_ioapic *io = &cs->st->ioapic;
    switch (io->index) {
    case 0: /* ID */
    case 2: /* arbitration ID: a copy of the ID */
        return io->id;
    case 1:
        return (ABI_GSI_MAX - 1) << 16 | 0x20;
    }
    unsigned r = io->index - 0x10;
    if (io->index < 0x10 || r >= 2 * ABI_GSI_MAX)
        return 0;
    return (uint32_t)(io->redir[r / 2] >> (r & 1 ? 32 : 0));
}

static void ioapic_reg_write(struct chipset *cs, uint32_t v)
{
    struct abi_ioapic *io = &cs->st->ioapic;
    unsigned r = io->index - 0x10;
    if (io->index == 0)
        io->id = v & 0x0f000000;
    else if (io->index >= 0x10 && r < 2 * ABI_GSI_MAX)
        redir_write(cs, r / 2, r & 1, v);
}

uint64_t ioapic_read(struct chipset *cs, uint32_t off, unsigned size)
{
    uint32_t v = 0;
    if ((off & ~3u) == 0)
        v = cs->st->ioapic.index;
    else if ((off & ~3u) == 0x10)
        v = ioapic_reg_read(cs);
    v >>= 8 * (off & 3);
    return size >= 4 ? v : v & ((1u << (8 * size)) - 1);
}

void ioapic_write(struct chipset *cs, uint32_t off, unsigned size, uint64_t v)
{
    (void)size; /* IOREGSEL is eight bits wide; the others are written as doublewords */
    if (off == 0)
        cs->st->ioapic.index = v & 0xff;
    else if (off == 0x10)
        ioapic_reg_write(cs, (uint32_t)v);
    else if (off == 0x40)
        ioapic_eoi(cs, v & 0xff);
}

void ioapic_reset(struct chipset *cs)
{
    struct abi_ioapic *io = &cs->st->ioapic;
    io->id = 0;
    io->index = 0;
    for (unsigned i = 0; i < ABI_GSI_MAX; i++)
        io->redir[i] = REDIR_MASKED;
}
