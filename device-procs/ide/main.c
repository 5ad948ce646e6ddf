/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bulkhead-ide: ties the IDE controller to its skeleton. Owns power-on, the check of a predecessor's state, and
 * what is done again after a death. Must never open anything.
 */
#include "device-procs/ide/ide.h"

struct ide_state ide;

static void power_on(struct regdev *d)
{
    for (unsigned i = 0; i < 2 * IDE_CHANNELS; i++) {
        struct ide_channel *c = &ide.ch[i / 2];
        struct ide_drive *v = &c->drive[i % 2];

        ata_drive_reset(&v->ata, true);
        scsi_lun_reset(&v->lun);
        ide_signature(d, c, i % 2);
        scsi_media_look(&d->unit[i], &v->lun);
        c->device = 0;
    }
}

static bool drive_ok(const struct ide_drive *v)
{
    return v->ata.heads && v->ata.spt && v->ata.mult <= ATA_MULT_MAX;
}

static bool command_ok(const struct ide_channel *c)
{
    uint32_t room = c->dma ? IDE_DMA_CHUNK : IDE_PIO_CHUNK;
    bool trim = c->step == IDE_STEP_TRIM;

    if (c->phase >= IDE_PHASES || c->step >= IDE_STEPS || c->unit > 1 || c->source > IDE_MEDIUM)
        return false;
    if (c->done > c->total || c->chunk > c->total - c->done || c->chunk > room)
        return false;
    if (trim ? c->total > 64 * 512 || c->pos > c->total : c->pos > c->chunk)
        return false;
    if (!c->block_max || c->block_max > ABI_DEV_WINDOW || c->block > ABI_DEV_WINDOW)
        return false;
    if (c->phase == IDE_WINDOW && !c->cdb_wait && c->block > c->chunk - c->pos)
        return false;
    return c->source == IDE_MEDIUM || c->total <= sizeof(c->small);
}

static bool state_ok(struct regdev *d)
{
    (void)d;
    for (unsigned i = 0; i < IDE_CHANNELS; i++) {
        const struct ide_channel *c = &ide.ch[i];

        if (!drive_ok(&c->drive[0]) || !drive_ok(&c->drive[1]) ||
            (c->phase != IDE_IDLE && !command_ok(c)))
            return false;
    }
    return true;
}

/* What was with a block process is asked for once more; the requests of before are over. */
static void resume(struct regdev *d)
{
    for (unsigned i = 0; i < IDE_CHANNELS; i++) {
        struct ide_channel *c = &ide.ch[i];

        if (c->phase != IDE_DISK)
            continue;
        if (c->resetting) {
            c->phase = IDE_IDLE;
            ide_soft_reset(d, c);
        } else {
            ide_data_again(d, c);
        }
    }
}

static void window_done(struct regdev *d, unsigned window)
{
    ide_data_window(d, &ide.ch[window]);
}

static void disk_done(struct regdev *d, unsigned unit, uint32_t cookie, bool ok)
{
    (void)unit;
    if (cookie < IDE_CHANNELS)
        ide_data_disk(d, &ide.ch[cookie], ok);
}

static void units_changed(struct regdev *d)
{
    for (unsigned i = 0; i < 2 * IDE_CHANNELS; i++)
        scsi_media_look(&d->unit[i], &ide.ch[i / 2].drive[i % 2].lun);
}

static unsigned lines(struct regdev *d)
{
    unsigned v = 0;

    (void)d;
    for (unsigned i = 0; i < IDE_CHANNELS; i++)
        if (ide.ch[i].intrq && !(ide.ch[i].devctl & IDE_CTL_NIEN))
            v |= 1u << i;
    return v;
}

int main(int argc, char **argv)
{
    static struct regdev_ops ops = {
        .proc = {.program = "bulkhead-ide", .role = "ide", .sbx = SBX_IDE},
        .kind = 0x20454449, .version = 1,
        .state = &ide, .state_size = sizeof(ide),
        .power_on = power_on, .state_ok = state_ok, .resume = resume,
        .read = ide_read, .write = ide_write, .window_done = window_done, .disk_done = disk_done,
        .units_changed = units_changed, .lines = lines, .n_lines = 2,
    };

    return regdev_main(argc, argv, &ops);
}
