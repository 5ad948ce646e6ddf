/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The PACKET protocol (ATA/ATAPI-7 9.8, 9.11): twelve bytes in, a SCSI command carried out, its data
 * or its error back. Must never interpret a command block.
 */
#include <string.h>
#include "device-procs/ide/ide.h"

#define REASON_COD 1u /* command or status */
#define REASON_IO  2u /* to the host */
#define BYTES_MAX  0xfffeu

void ide_packet_command(struct regdev *d, struct ide_channel *c)
{
    struct ide_drive *v = ide_busy_drive(c);
    unsigned w = ide_index(c);

    c->packet = 1;
    c->dma = v->feature[0] & 1;
    c->block_max = v->lbam[0] | (uint32_t)v->lbah[0] << 8;
    if (!c->block_max || c->block_max > BYTES_MAX)
        c->block_max = BYTES_MAX;
    c->cdb_wait = 1;
    c->phase = IDE_WINDOW;
    v->count[0] = REASON_COD;
    v->status = ATA_S_DRDY | ATA_S_DSC | ATA_S_DRQ;
    v->error = 0;
    regdev_window_open(d, w, ABI_DEV_WINDOW_OUT,
                       (uint64_t)(IDE_REGION_CMD + 2 * w) << ABI_DEV_REGION_SHIFT, 12);
}

void ide_packet_end(struct ide_channel *c)
{
    ide_busy_drive(c)->count[0] = REASON_IO | REASON_COD;
    c->bm_status &= (uint8_t)~BM_S_ACTIVE;
    ide_finish(c, ATA_S_DRDY | ATA_S_DSC, 0);
}

void ide_packet_error(struct ide_channel *c, uint8_t key, uint8_t asc)
{
    struct ide_drive *v = ide_busy_drive(c);

    if (v->lun.sense.key != key || v->lun.sense.asc != asc)
        v->lun.sense = (struct scsi_sense){key, asc, 0, 0};
    v->count[0] = REASON_IO | REASON_COD;
    c->bm_status &= (uint8_t)~BM_S_ACTIVE;
    ide_finish(c, ATA_S_DRDY | ATA_S_DSC | ATA_S_ERR, (uint8_t)(key << 4 | ATA_E_ABRT));
}

static void data_describe(struct ide_channel *c, const struct scsi_op *op)
{
    c->source = op->kind == SCSI_READ ? IDE_MEDIUM : IDE_SMALL;
    c->lba = op->lba;
    c->total = op->kind == SCSI_READ ? op->nsect * 512u : op->len;
    c->block_max = c->block_max & ~1u ? c->block_max & ~1u : 2;
}

void ide_packet_cdb(struct regdev *d, struct ide_channel *c, const uint8_t *cdb)
{
    struct ide_drive *v = ide_busy_drive(c);
    struct scsi_op op;

    cd_command(ide_unit(d, c, c->unit), &v->lun, cdb, &op, c->small);
    data_describe(c, &op);
    if (op.kind == SCSI_DONE && op.status != SCSI_GOOD)
        ide_packet_error(c, v->lun.sense.key, v->lun.sense.asc);
    else if (op.kind == SCSI_DONE || !c->total)
        ide_packet_end(c);
    else
        ide_data_start(d, c);
}
