/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Commands, resets and the end of a command. Owns the busy drive's status; must never move data.
 */
#include <string.h>
#include "device-procs/ide/ide.h"

void ide_intrq(struct ide_channel *c)
{
    c->intrq = 1;
    c->bm_status |= BM_S_INTR;
}

void ide_finish(struct ide_channel *c, uint8_t status, uint8_t error)
{
    struct ide_drive *v = ide_busy_drive(c);

    v->status = status;
    v->error = error;
    c->phase = IDE_IDLE;
    c->step = IDE_STEP_NONE;
    c->cdb_wait = 0;
    ide_intrq(c);
}

static void tf_load(const struct ide_channel *c, const struct ide_drive *v, uint8_t command,
                    struct ata_tf *tf)
{
    *tf = (struct ata_tf){
        .feature = (uint16_t)(v->feature[0] | v->feature[1] << 8),
        .count = (uint16_t)(v->count[0] | v->count[1] << 8),
        .lba = v->lbal[0] | (uint32_t)v->lbam[0] << 8 | (uint32_t)v->lbah[0] << 16 |
               (uint64_t)v->lbal[1] << 24 | (uint64_t)v->lbam[1] << 32 | (uint64_t)v->lbah[1] << 40,
        .device = c->device,
        .command = command,
    };
}

static void tf_store(struct ide_channel *c, struct ide_drive *v, const struct ata_tf *tf)
{
    v->count[0] = (uint8_t)tf->count;
    v->count[1] = (uint8_t)(tf->count >> 8);
    v->lbal[0] = (uint8_t)tf->lba;
    v->lbam[0] = (uint8_t)(tf->lba >> 8);
    v->lbah[0] = (uint8_t)(tf->lba >> 16);
    v->lbal[1] = (uint8_t)(tf->lba >> 24);
    v->lbam[1] = (uint8_t)(tf->lba >> 32);
    v->lbah[1] = (uint8_t)(tf->lba >> 40);
    c->device = tf->device;
}

void ide_signature(struct regdev *d, struct ide_channel *c, unsigned drive)
{
    const struct regdev_unit *u = ide_unit(d, c, drive);
    struct ata_tf tf = {.device = c->device};

    ata_signature(&tf, u->flags & ABI_DEV_UNIT_CD);
    tf_store(c, &c->drive[drive], &tf);
    c->drive[drive].status = u->flags & ABI_DEV_UNIT_PRESENT ? tf.status : 0;
    c->drive[drive].error = tf.error;
}

static void channel_stop(struct regdev *d, struct ide_channel *c)
{
    regdev_window_close(d, ide_index(c));
    c->resetting = 0;
    c->phase = IDE_IDLE;
    c->step = IDE_STEP_NONE;
    c->cdb_wait = 0;
}

/* A request that is out is waited for: its data must not land after the driver has begun anew. */
void ide_soft_reset(struct regdev *d, struct ide_channel *c)
{
    if (c->phase == IDE_DISK) {
        c->resetting = 1;
        return;
    }
    channel_stop(d, c);
    c->intrq = 0;
    c->device &= 0xef;
    for (unsigned i = 0; i < 2; i++) {
        ata_drive_reset(&c->drive[i].ata, false);
        ide_signature(d, c, i);
    }
}

static void diagnostic(struct regdev *d, struct ide_channel *c)
{
    c->device &= 0xef;
    for (unsigned i = 0; i < 2; i++)
        ide_signature(d, c, i);
    ide_intrq(c);
}

static void begin(struct ide_channel *c)
{
    c->packet = c->dma = c->out = c->cdb_wait = 0;
    c->source = IDE_SMALL;
    c->total = c->done = c->chunk = c->pos = c->block = 0;
    c->lba = 0;
    c->block_max = 512;
}

static void transfer(struct regdev *d, struct ide_channel *c, const struct ata_op *op)
{
    c->source = IDE_MEDIUM;
    c->out = op->kind == ATA_WRITE || op->kind == ATA_TRIM;
    c->dma = op->proto == ATA_DMA;
    c->lba = op->lba;
    c->total = op->nsect * 512u;
    c->block_max = op->multi ? ide_busy_drive(c)->ata.mult * 512u : 512u;
    if (op->kind == ATA_TRIM)
        c->step = IDE_STEP_TRIM;
    ide_data_start(d, c);
}

static void simple(struct regdev *d, struct ide_channel *c, enum ide_step step)
{
    c->step = (uint8_t)step;
    ide_data_again(d, c);
}

static void disk_command(struct regdev *d, struct ide_channel *c, uint8_t command)
{
    struct ide_drive *v = ide_busy_drive(c);
    struct ata_tf tf;
    struct ata_op op;

    tf_load(c, v, command, &tf);
    ata_decode(ide_unit(d, c, c->unit), &v->ata, &tf, false, &op, c->small);
    tf_store(c, v, &tf);
    switch (op.kind) {
    case ATA_DONE:
        ide_finish(c, tf.status, tf.error);
        break;
    case ATA_DATA:
        c->total = 512;
        ide_data_start(d, c);
        break;
    case ATA_FLUSH:
        simple(d, c, IDE_STEP_FLUSH);
        break;
    case ATA_VERIFY:
        c->lba = op.lba;
        c->total = op.nsect * 512u;
        simple(d, c, IDE_STEP_VERIFY);
        break;
    default:
        transfer(d, c, &op);
    }
}

/* A packet device knows few commands besides PACKET; the disks' ones end with its signature. */
static void cd_ata_command(struct regdev *d, struct ide_channel *c, uint8_t command)
{
    struct ide_drive *v = ide_busy_drive(c);
    struct ata_tf tf;

    tf_load(c, v, command, &tf);
    ata_ok(&tf);
    switch (command) {
    case ATA_C_PACKET:
        ide_packet_command(d, c);
        return;
    case ATA_C_IDENTIFY_PACKET:
        ata_identify_packet(ide_unit(d, c, c->unit), &v->ata, false, c->small);
        c->total = 512;
        ide_data_start(d, c);
        return;
    case 0xef:
        ata_set_features(&v->ata, &tf);
        break;
    case 0xe0: case 0xe1: case 0xe2: case 0xe3: case 0xe6:
        break;
    case 0xe5:
        v->count[0] = 0xff;
        break;
    case ATA_C_IDENTIFY: case 0x20: case 0x21:
        ide_signature(d, c, c->unit);
        /* fall through */
    default:
        ata_abort(&tf);
    }
    ide_finish(c, tf.status, tf.error);
}

static void device_reset(struct regdev *d, struct ide_channel *c)
{
    if (c->phase == IDE_DISK) {
        c->resetting = 1;
        return;
    }
    channel_stop(d, c);
    ide_signature(d, c, c->device >> 4 & 1);
}

void ide_command(struct regdev *d, struct ide_channel *c, uint8_t command)
{
    unsigned unit = c->device >> 4 & 1;
    const struct regdev_unit *u = ide_unit(d, c, unit);

    c->intrq = 0;
    if (command == ATA_C_DIAGNOSTIC && c->phase == IDE_IDLE) {
        diagnostic(d, c);
        return;
    }
    if (!(u->flags & ABI_DEV_UNIT_PRESENT))
        return;
    if (command == ATA_C_DEVICE_RESET && u->flags & ABI_DEV_UNIT_CD) {
        device_reset(d, c);
        return;
    }
    if (c->phase != IDE_IDLE || c->devctl & IDE_CTL_SRST)
        return; /* busy: the command is not seen */
    c->unit = (uint8_t)unit;
    begin(c);
    if (u->flags & ABI_DEV_UNIT_CD)
        cd_ata_command(d, c, command);
    else
        disk_command(d, c, command);
}
