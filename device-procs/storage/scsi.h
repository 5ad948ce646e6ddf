/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SCSI commands without a transport: disks (SBC-3) and CD-ROM drives (MMC-5), behind ATAPI or a SCSI bus. A command block
 * becomes something to do. Owns no register and no data path.
 */
#ifndef BULKHEAD_DEVICE_PROCS_STORAGE_SCSI_H
#define BULKHEAD_DEVICE_PROCS_STORAGE_SCSI_H

#include "device-procs/runtime/regdev.h"

#define SCSI_GOOD            0x00u
#define SCSI_CHECK_CONDITION 0x02u
#define SCSI_DATA_MAX        2048u /* bytes a command answers without the disk */

#define SENSE_NOT_READY       0x02u
#define SENSE_MEDIUM_ERROR    0x03u
#define SENSE_ILLEGAL_REQUEST 0x05u
#define SENSE_UNIT_ATTENTION  0x06u
#define SENSE_DATA_PROTECT    0x07u

struct scsi_sense {
    uint8_t key, asc, ascq, pad;
};
struct scsi_lun { /* what a logical unit remembers; part of a controller's saved state */
    struct scsi_sense sense; /* of the last command that failed */
    struct scsi_sense attention; /* key 0 = none */
    uint32_t media_seq;      /* of the medium it knows */
    uint8_t known, tray_open, locked, event;
};
enum scsi_kind {
    SCSI_DONE, /* status says how it ended */
    SCSI_DATA, /* len bytes for the host, in buf */
    SCSI_READ, SCSI_WRITE, SCSI_FLUSH, /* nsect sectors of 512 bytes from lba on */
    SCSI_UNMAP, /* a parameter list comes from the host */
};
struct scsi_op {
    enum scsi_kind kind;
    uint8_t status;
    uint32_t len;
    uint64_t lba;
    uint32_t nsect;
    bool fua;
};

void scsi_lun_reset(struct scsi_lun *d);
/* Looks whether the medium is another one than before. */
void scsi_media_look(const struct regdev_unit *u, struct scsi_lun *d);
void scsi_fail(struct scsi_lun *d, struct scsi_op *op, uint8_t key, uint8_t asc, uint8_t ascq);
/* Fixed-format sense data (SPC-4 section 4.5.3), 18 bytes. */
void scsi_sense_put(const struct scsi_sense *s, uint8_t *buf);
/* A command for a CD-ROM drive: 12 bytes of cdb (shorter ones padded), SCSI_DATA_MAX bytes of buf. */
void cd_command(const struct regdev_unit *u, struct scsi_lun *d, const uint8_t *cdb, struct scsi_op *op,
                uint8_t *buf);

/* The same for a disk. */
void scsi_disk_command(const struct regdev_unit *u, struct scsi_lun *d, const uint8_t *cdb, struct scsi_op *op,
                  uint8_t *buf);

#endif
