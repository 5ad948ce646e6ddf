/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A port: its registers, its command list's engine, its link to the drive (AHCI 1.3.1 sections 3.3, 5). Must never
 * start a command while an error stands or requests of before are still out.
 */
#include <string.h>
#include "device-procs/ahci/ahci.h"

void ahci_interrupt(struct ahci_port *p, uint32_t bits)
{
    p->is |= bits;
}

static const struct regdev_unit *unit_of(struct regdev *d, const struct ahci_port *p)
{
    return &d->unit[ahci_index(p)];
}

/* The frame a drive sends after a reset, with its signature. */
void ahci_port_announce(struct regdev *d, struct ahci_port *p)
{
    bool cd = unit_of(d, p)->flags & ABI_DEV_UNIT_CD;
    struct ata_tf tf = {0};

    ata_drive_reset(&p->ata, false);
    ata_signature(&tf, cd);
    p->sig = cd ? 0xeb140101 : 0x00000101;
    ahci_fis_register(d, p, &tf);
    p->is &= ~IS_TFES;
}

static void link_up(struct regdev *d, struct ahci_port *p)
{
    if (!(unit_of(d, p)->flags & ABI_DEV_UNIT_PRESENT)) {
        p->ssts = 0;
        p->sig = 0xffffffff;
        p->tfd = 0x7f;
        return;
    }
    p->ssts = 0x123; /* present, 3 Gbit/s, active */
    p->serr |= 0x04000000; /* PhyRdy changed */
    ahci_interrupt(p, IS_PCS);
    ahci_port_announce(d, p);
}

void ahci_port_power_on(struct regdev *d, struct ahci_port *p)
{
    memset(p, 0, sizeof(*p));
    ata_drive_reset(&p->ata, true);
    scsi_lun_reset(&p->lun);
    scsi_media_look(unit_of(d, p), &p->lun);
    p->cmd = 0x06 | (unit_of(d, p)->flags & ABI_DEV_UNIT_CD ? CMD_ATAPI : 0);
    link_up(d, p);
    p->is = 0;
}

/* Requests that are out keep the engine "running" until they are over: their data must not land later. */
static void drain(struct regdev *d, struct ahci_port *p)
{
    p->draining = 1;
    if (!p->running)
        ahci_port_drained(d, p);
}

void ahci_port_drained(struct regdev *d, struct ahci_port *p)
{
    p->draining = 0;
    p->halted = 0;
    p->ci = p->sact = 0;
    for (unsigned i = 0; i < AHCI_SLOTS; i++)
        p->slot[i].stage = AHCI_NONE;
    if (!(p->cmd & CMD_ST))
        p->cmd &= ~CMD_CR;
    if (p->reset_after) {
        p->reset_after = 0;
        link_up(d, p);
    }
    ahci_port_run(d, p);
}

static void control_write(struct regdev *d, struct ahci_port *p, uint32_t v)
{
    uint32_t det = v & 0xf, old = p->sctl & 0xf;

    p->sctl = v & 0xfff;
    if (det == 1)
        p->ssts = 0;
    if (old == 1 && det == 0) { /* COMRESET is over */
        p->reset_after = 1;
        p->tfd = ATA_S_BSY;
        drain(d, p);
    }
}

static void command_write(struct regdev *d, struct ahci_port *p, uint32_t v)
{
    uint32_t old = p->cmd;

    p->cmd = (old & ~CMD_WRITABLE) | (v & CMD_WRITABLE & ~0xf0000000u);
    if (v & CMD_CLO)
        p->tfd &= ~(ATA_S_BSY | ATA_S_DRQ);
    p->cmd = p->cmd & CMD_FRE ? p->cmd | CMD_FR : p->cmd & ~CMD_FR;
    if (p->cmd & CMD_ST && !(old & CMD_ST))
        p->cmd |= CMD_CR;
    if (old & CMD_ST && !(p->cmd & CMD_ST))
        drain(d, p);
    ahci_port_run(d, p);
}

static void half(uint64_t *reg, unsigned shift, uint32_t v)
{
    *reg = (*reg & ~(0xffffffffull << shift)) | (uint64_t)v << shift;
}

void ahci_port_write(struct regdev *d, struct ahci_port *p, unsigned reg, uint32_t v)
{
    switch (reg) {
    case 0x00: half(&p->clb, 0, v & ~0x3ffu); break;
    case 0x04: half(&p->clb, 32, v); break;
    case 0x08: half(&p->fb, 0, v & ~0xffu); break;
    case 0x0c: half(&p->fb, 32, v); break;
    case 0x10: p->is &= ~v; break;
    case 0x14: p->ie = v & 0xfdc000ff; break;
    case 0x18: command_write(d, p, v); break;
    case 0x2c: control_write(d, p, v); break;
    case 0x30: p->serr &= ~v; break;
    case 0x34:
        if (p->cmd & CMD_ST)
            p->sact |= v;
        break;
    case 0x38:
        if (p->cmd & CMD_ST)
            p->ci |= v;
        ahci_port_run(d, p);
        break;
    }
}

/* One command that is not queued at a time; queued ones as many as there are. */
static bool may_start(const struct ahci_port *p)
{
    return p->cmd & CMD_ST && p->cmd & CMD_CR && !p->halted && !p->draining &&
           !(p->tfd & (ATA_S_BSY | ATA_S_DRQ));
}

void ahci_port_run(struct regdev *d, struct ahci_port *p)
{
    if (!(p->ssts & 0xf))
        return;
    for (unsigned i = 0; i < AHCI_SLOTS && may_start(p); i++)
        if (p->ci >> i & 1 && !(p->running >> i & 1))
            ahci_command(d, p, i);
}
