/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ATA command set (ACS-3, and ATA/ATAPI-7 for what it left out) without a transport: a taskfile becomes
 * something to do. Owns no register and no data path.
 */
#ifndef BULKHEAD_DEVICE_PROCS_STORAGE_ATA_H
#define BULKHEAD_DEVICE_PROCS_STORAGE_ATA_H

#include "device-procs/runtime/regdev.h"

#define ATA_S_ERR  0x01u
#define ATA_S_DRQ  0x08u
#define ATA_S_DSC  0x10u
#define ATA_S_DF   0x20u
#define ATA_S_DRDY 0x40u
#define ATA_S_BSY  0x80u
#define ATA_E_ABRT 0x04u
#define ATA_E_IDNF 0x10u
#define ATA_E_UNC  0x40u

#define ATA_C_DEVICE_RESET    0x08u
#define ATA_C_DIAGNOSTIC      0x90u
#define ATA_C_PACKET          0xa0u
#define ATA_C_IDENTIFY_PACKET 0xa1u
#define ATA_C_IDENTIFY        0xecu

#define ATA_MULT_MAX   16u
#define ATA_QUEUE_MAX  32u

struct ata_drive { /* what a drive remembers; part of a controller's saved state */
    uint8_t mult;                     /* sectors per DRQ block of the MULTIPLE commands, 0 = off */
    uint8_t pio_mode, mwdma_mode, udma_mode; /* as SET FEATURES left them; 0xff = not chosen */
    uint8_t write_cache, smart, heads, spt;  /* heads, spt: the translation in use */
};
struct ata_tf { /* taskfile: what the host wrote, and what it will read */
    uint16_t feature, count;
    uint64_t lba; /* 48 bits as in the registers */
    uint8_t device, command;
    uint8_t status, error;
};
enum ata_kind {
    ATA_DONE,  /* nothing more to do: status and error are set */
    ATA_READ, ATA_WRITE, ATA_FLUSH,
    ATA_VERIFY, /* read, and give the data to nobody */
    ATA_DATA,   /* 512 bytes for the host, in buf */
    ATA_TRIM,   /* nsect blocks of range entries come from the host */
};
enum ata_proto { ATA_PIO, ATA_DMA, ATA_NCQ };
struct ata_op {
    enum ata_kind kind;
    enum ata_proto proto;
    bool multi, fua;
    uint8_t tag;
    uint64_t lba;
    uint32_t nsect;
};

void ata_drive_reset(struct ata_drive *d, bool power_on);
/* Signature after reset (ACS-3 table 206). */
void ata_signature(struct ata_tf *tf, bool packet);
/* A command for a disk (not a packet device). buf: 512 bytes. sata: NCQ and SATA words. */
void ata_decode(const struct regdev_unit *u, struct ata_drive *d, struct ata_tf *tf, bool sata,
                struct ata_op *op, uint8_t *buf);
void ata_identify_disk(const struct regdev_unit *u, const struct ata_drive *d, bool sata, uint8_t *buf);
/* IDENTIFY PACKET DEVICE of a CD-ROM drive. */
void ata_identify_packet(const struct regdev_unit *u, const struct ata_drive *d, bool sata, uint8_t *buf);
void ata_set_features(struct ata_drive *d, struct ata_tf *tf);
void ata_abort(struct ata_tf *tf);
void ata_ok(struct ata_tf *tf);

#endif
