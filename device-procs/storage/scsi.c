/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sense data and unit attentions (SPC-4 sections 4.5 and 5.14). Decides no command.
 */
#include "device-procs/storage/scsi.h"

#include <string.h>

void scsi_lun_reset(struct scsi_lun *d)
{
    memset(d, 0, sizeof(*d));
    d->attention = (struct scsi_sense){SENSE_UNIT_ATTENTION, 0x29, 0, 0}; /* power on or reset */
}

void scsi_media_look(const struct regdev_unit *u, struct scsi_lun *d)
{
    if (d->known && d->media_seq == u->media_seq)
        return;
    if (d->known && u->flags & ABI_DEV_UNIT_CD) {
        d->attention = (struct scsi_sense){SENSE_UNIT_ATTENTION, 0x28, 0, 0}; /* may have changed */
        d->event = u->flags & ABI_DEV_UNIT_MEDIUM ? 2 : 3; /* new medium, removed */
    }
    d->known = 1;
    d->media_seq = u->media_seq;
}

void scsi_fail(struct scsi_lun *d, struct scsi_op *op, uint8_t key, uint8_t asc, uint8_t ascq)
{
    d->sense = (struct scsi_sense){key, asc, ascq, 0};
    op->kind = SCSI_DONE;
    op->status = SCSI_CHECK_CONDITION;
}

void scsi_sense_put(const struct scsi_sense *s, uint8_t *buf)
{
    memset(buf, 0, 18);
    buf[0] = 0x70;
    buf[2] = s->key;
    buf[7] = 10;
    buf[12] = s->asc;
    buf[13] = s->ascq;
}
