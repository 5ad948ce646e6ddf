/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The IDE controller's state and what its files share. References: 82371SB (PIIX3) section 2.6 for bus mastering,
 * ATA/ATAPI-7 for the channels' protocols.
 */
#ifndef BULKHEAD_DEVICE_PROCS_IDE_IDE_H
#define BULKHEAD_DEVICE_PROCS_IDE_IDE_H

#include "device-procs/runtime/regdev.h"
#include "device-procs/storage/ata.h"
#include "device-procs/storage/scsi.h"

#define IDE_CHANNELS   2u
#define IDE_REGION_BM  4u  /* BAR 4 */
#define IDE_REGION_CMD 8u  /* + 2 * channel; the control block is the next one */
#define IDE_PIO_CHUNK  (128u << 10)
#define IDE_DMA_CHUNK  (1u << 20)

#define IDE_CTL_NIEN 0x02u
#define IDE_CTL_SRST 0x04u
#define IDE_CTL_HOB  0x80u
#define BM_START     0x01u
#define BM_S_ACTIVE  0x01u
#define BM_S_ERROR   0x02u
#define BM_S_INTR    0x04u
#define BM_S_RW      0x60u

enum ide_phase {
    IDE_IDLE,
    IDE_DISK,     /* a request is with the block process: step says which */
    IDE_WINDOW,   /* the guest moves a block through the data port */
    IDE_DMA_WAIT, /* the command waits for the bus master to be started */
    IDE_PHASES
};
enum ide_step {
    IDE_STEP_NONE, IDE_STEP_PIO_READ, IDE_STEP_PIO_WRITE, IDE_STEP_DMA, IDE_STEP_FLUSH, IDE_STEP_VERIFY,
    IDE_STEP_TRIM, IDE_STEPS
};
enum ide_source { IDE_SMALL, IDE_MEDIUM }; /* of the data: `small`, or the drive's medium */

struct ide_drive {
    uint8_t feature[2], count[2], lbal[2], lbam[2], lbah[2]; /* [0] as last written, [1] before that */
    uint8_t status, error;
    struct ata_drive ata;
    struct scsi_lun lun;
};
struct ide_channel {
    struct ide_drive drive[2];
    uint8_t device, devctl, intrq;
    uint8_t bm_cmd, bm_status;
    uint8_t phase, step, resetting; /* resetting: a reset waits for the request that is out */
    uint32_t bm_prd;
    /* the command under way */
    uint8_t unit, packet, dma, out, source, cdb_wait, pad[2];
    uint64_t lba;                  /* of byte `done` */
    uint32_t total, done;          /* bytes; a request or a block covers [done, done + chunk) */
    uint32_t chunk, pos, block;    /* pos: of the chunk, moved; block: bytes in the window */
    uint32_t block_max;
    uint8_t small[SCSI_DATA_MAX];
};
struct ide_state {
    struct regdev_head head;
    struct ide_channel ch[IDE_CHANNELS];
};
extern struct ide_state ide;

static inline struct ide_drive *ide_selected(struct ide_channel *c)
{
    return &c->drive[c->device >> 4 & 1];
}
static inline struct ide_drive *ide_busy_drive(struct ide_channel *c)
{
    return &c->drive[c->unit & 1];
}
static inline unsigned ide_index(const struct ide_channel *c)
{
    return (unsigned)(c - ide.ch);
}
static inline unsigned ide_unit_index(const struct ide_channel *c)
{
    return ide_index(c) * 2 + (c->unit & 1);
}
static inline struct regdev_unit *ide_unit(struct regdev *d, struct ide_channel *c, unsigned drive)
{
    return &d->unit[ide_index(c) * 2 + drive];
}

/* registers.c */
uint64_t ide_read(struct regdev *d, unsigned region, uint32_t off, unsigned size);
void ide_write(struct regdev *d, unsigned region, uint32_t off, unsigned size, uint64_t value);
/* command.c */
void ide_command(struct regdev *d, struct ide_channel *c, uint8_t command);
void ide_signature(struct regdev *d, struct ide_channel *c, unsigned drive);
void ide_soft_reset(struct regdev *d, struct ide_channel *c);
void ide_finish(struct ide_channel *c, uint8_t status, uint8_t error); /* of the busy drive, INTRQ */
void ide_intrq(struct ide_channel *c);
/* data.c: moving the data of the command under way, from `done` on. */
void ide_data_start(struct regdev *d, struct ide_channel *c);
void ide_data_window(struct regdev *d, struct ide_channel *c); /* the guest has moved a block */
void ide_data_disk(struct regdev *d, struct ide_channel *c, bool ok);
void ide_data_again(struct regdev *d, struct ide_channel *c); /* ask for the request that is out */
void ide_disk_error(struct ide_channel *c);
bool ide_trim_next(struct regdev *d, struct ide_channel *c);
/* dma.c */
void ide_dma_go(struct regdev *d, struct ide_channel *c);
uint64_t ide_bm_read(struct ide_channel *c, unsigned off, unsigned size);
void ide_bm_write(struct regdev *d, struct ide_channel *c, unsigned off, unsigned size, uint64_t value);
/* packet.c */
void ide_packet_command(struct regdev *d, struct ide_channel *c);
void ide_packet_cdb(struct regdev *d, struct ide_channel *c, const uint8_t *cdb);
void ide_packet_end(struct ide_channel *c);
void ide_packet_error(struct ide_channel *c, uint8_t key, uint8_t asc);

#endif
