/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The channels' command and control blocks (ATA/ATAPI-7 volume 2, section 7). Owns which byte is where; must
 * never start anything but through command.c.
 */
#include "device-procs/ide/ide.h"

/* An absent drive next to a present one answers zero; with neither, so does the board's pull-down. */
static bool nobody(struct regdev *d, struct ide_channel *c)
{
    return !(ide_unit(d, c, c->device >> 4 & 1)->flags & ABI_DEV_UNIT_PRESENT);
}

static uint8_t block_read(struct regdev *d, struct ide_channel *c, unsigned reg)
{
    const struct ide_drive *v = ide_selected(c);
    unsigned hob = c->devctl & IDE_CTL_HOB ? 1 : 0;

    if (nobody(d, c))
        return 0;
    switch (reg) {
    case 1: return hob ? v->feature[1] : v->error;
    case 2: return v->count[hob];
    case 3: return v->lbal[hob];
    case 4: return v->lbam[hob];
    case 5: return v->lbah[hob];
    case 6: return c->device | 0xa0;
    case 7:
        c->intrq = 0;
        return v->status;
    }
    return 0;
}

static void shift(uint8_t reg[2], uint8_t v)
{
    reg[1] = reg[0];
    reg[0] = v;
}

/* Both drives of a channel take what is written. */
static void both_write(struct ide_channel *c, unsigned reg, uint8_t v)
{
    for (unsigned i = 0; i < 2; i++) {
        struct ide_drive *r = &c->drive[i];

        switch (reg) {
        case 1: shift(r->feature, v); break;
        case 2: shift(r->count, v); break;
        case 3: shift(r->lbal, v); break;
        case 4: shift(r->lbam, v); break;
        case 5: shift(r->lbah, v); break;
        }
    }
}

static void block_write(struct regdev *d, struct ide_channel *c, unsigned reg, uint8_t v)
{
    bool busy = ide_selected(c)->status & (ATA_S_BSY | ATA_S_DRQ);

    c->devctl &= (uint8_t)~IDE_CTL_HOB;
    if (reg == 7) {
        ide_command(d, c, v);
        return;
    }
    if (busy && !nobody(d, c))
        return;
    if (reg == 6)
        c->device = v;
    else
        both_write(c, reg, v);
}

static void control_write(struct regdev *d, struct ide_channel *c, uint8_t v)
{
    uint8_t old = c->devctl;

    c->devctl = v;
    if (v & IDE_CTL_SRST && !(old & IDE_CTL_SRST)) {
        for (unsigned i = 0; i < 2; i++)
            c->drive[i].status = ATA_S_BSY;
        ide_soft_reset(d, c);
    }
}

static struct ide_channel *region_channel(unsigned region, bool *control)
{
    *control = region & 1;
    return region >= IDE_REGION_CMD && region < IDE_REGION_CMD + 2 * IDE_CHANNELS
               ? &ide.ch[(region - IDE_REGION_CMD) / 2]
               : NULL;
}

uint64_t ide_read(struct regdev *d, unsigned region, uint32_t off, unsigned size)
{
    bool control;
    struct ide_channel *c;

    if (region == IDE_REGION_BM)
        return off < 16 ? ide_bm_read(&ide.ch[off / 8], off % 8, size) : ~0ull;
    c = region_channel(region, &control);
    if (!c)
        return ~0ull;
    if (control) /* alternate status: acknowledges nothing */
        return nobody(d, c) ? 0 : ide_selected(c)->status;
    return block_read(d, c, off & 7);
}

void ide_write(struct regdev *d, unsigned region, uint32_t off, unsigned size, uint64_t value)
{
    bool control;
    struct ide_channel *c;

    if (region == IDE_REGION_BM) {
        if (off < 16)
            ide_bm_write(d, &ide.ch[off / 8], off % 8, size, value);
        return;
    }
    c = region_channel(region, &control);
    if (c && control)
        control_write(d, c, (uint8_t)value);
    else if (c && off & 7)
        block_write(d, c, off & 7, (uint8_t)value);
}
