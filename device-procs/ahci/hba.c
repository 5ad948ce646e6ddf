/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The controller's own registers and the dispatch to the ports (AHCI 1.3.1 section 3). Doublewords only, as the
 * specification says; other sizes read parts of them and write nothing.
 */
#include <string.h>
#include "device-procs/ahci/ahci.h"

/* Six ports, 32 slots, AHCI only, 3 Gbit/s, queueing, 64-bit addresses. */
#define CAP ((AHCI_PORTS - 1) | (AHCI_SLOTS - 1) << 8 | 1u << 18 | 2u << 20 | 1u << 30 | 1u << 31)
#define GHC_HR 1u
#define GHC_IE 2u
#define GHC_AE 0x80000000u

static uint32_t port_read(const struct ahci_port *p, unsigned reg)
{
    switch (reg) {
    case 0x00: return (uint32_t)p->clb;
    case 0x04: return (uint32_t)(p->clb >> 32);
    case 0x08: return (uint32_t)p->fb;
    case 0x0c: return (uint32_t)(p->fb >> 32);
    case 0x10: return p->is;
    case 0x14: return p->ie;
    case 0x18: return p->cmd;
    case 0x20: return p->tfd;
    case 0x24: return p->sig;
    case 0x28: return p->ssts;
    case 0x2c: return p->sctl;
    case 0x30: return p->serr;
    case 0x34: return p->sact;
    case 0x38: return p->ci;
    }
    return 0;
}

static uint32_t dword_read(uint32_t off)
{
    switch (off) {
    case 0x00: return CAP;
    case 0x04: return ahci.ghc | GHC_AE;
    case 0x08: return ahci.is;
    case 0x0c: return (1u << AHCI_PORTS) - 1;
    case 0x10: return 0x00010300;
    }
    if (off >= 0x100 && off < 0x100 + 0x80 * AHCI_PORTS)
        return port_read(&ahci.port[(off - 0x100) / 0x80], off & 0x7c);
    return 0;
}

/* PxIS bits that are enabled set their port's bit; a bit cleared too early comes back (3.1.3). */
static void pending_look(void)
{
    for (unsigned i = 0; i < AHCI_PORTS; i++)
        if (ahci.port[i].is & ahci.port[i].ie)
            ahci.is |= 1u << i;
}

uint64_t ahci_read(struct regdev *d, unsigned region, uint32_t off, unsigned size)
{
    uint64_t v;

    (void)d;
    if (region != AHCI_REGION)
        return ~0ull;
    pending_look();
    v = (uint64_t)dword_read(off & ~3u) >> (8 * (off & 3));
    if (size == 8)
        v |= (uint64_t)dword_read((off & ~3u) + 4) << 32;
    return v;
}

static void reset_all(struct regdev *d)
{
    ahci.ghc = 0;
    ahci.is = 0;
    for (unsigned i = 0; i < AHCI_PORTS; i++) {
        struct ahci_port *p = &ahci.port[i];

        p->ie = p->sctl = p->serr = 0;
        p->cmd = (p->cmd & CMD_ATAPI) | 0x06 | (p->running ? CMD_CR : 0);
        p->is = 0;
        p->reset_after = 1;
        p->draining = 1;
        if (!p->running)
            ahci_port_drained(d, p);
    }
}

static void dword_write(struct regdev *d, uint32_t off, uint32_t v)
{
    if (off == 0x04 && v & GHC_HR)
        reset_all(d);
    else if (off == 0x04)
        ahci.ghc = v & GHC_IE;
    else if (off == 0x08)
        ahci.is &= ~v;
    else if (off >= 0x100 && off < 0x100 + 0x80 * AHCI_PORTS)
        ahci_port_write(d, &ahci.port[(off - 0x100) / 0x80], off & 0x7c, v);
}

void ahci_write(struct regdev *d, unsigned region, uint32_t off, unsigned size, uint64_t value)
{
    if (region != AHCI_REGION || size < 4 || off & 3) {
        regdev_guest_error(d, "a store of %u bytes to register %#x", size, off);
        return;
    }
    pending_look();
    dword_write(d, off, (uint32_t)value);
    if (size == 8)
        dword_write(d, off + 4, (uint32_t)(value >> 32));
}
