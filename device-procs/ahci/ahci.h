/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The AHCI controller's state and what its files share. References: AHCI 1.3.1; Serial ATA 3 for the frames.
 */
#ifndef BULKHEAD_DEVICE_PROCS_AHCI_AHCI_H
#define BULKHEAD_DEVICE_PROCS_AHCI_AHCI_H

#include "device-procs/runtime/regdev.h"
#include "device-procs/storage/ata.h"
#include "device-procs/storage/scsi.h"

#define AHCI_PORTS  6u
#define AHCI_SLOTS  32u
#define AHCI_REGION 5u /* BAR */
#define AHCI_CHUNK  (1u << 20)

/* PxCMD, PxIS */
#define CMD_ST  0x00000001u
#define CMD_CLO 0x00000008u
#define CMD_FRE 0x00000010u
#define CMD_FR  0x00004000u
#define CMD_CR  0x00008000u
#define CMD_ATAPI 0x01000000u
#define CMD_WRITABLE 0xf3000017u
#define IS_DHRS 0x00000001u
#define IS_PSS  0x00000002u
#define IS_SDBS 0x00000008u
#define IS_PCS  0x00000040u
#define IS_TFES 0x40000000u

enum ahci_stage { AHCI_NONE, AHCI_MOVE, AHCI_FLUSH, AHCI_VERIFY, AHCI_TRIM, AHCI_STAGES };
struct ahci_slot { /* a command that is with the block process */
    uint64_t lba;          /* of byte `done` */
    uint32_t total, done, chunk;
    uint8_t stage, out, ncq, packet, fua, tag, pad[2];
};
struct ahci_port {
    uint64_t clb, fb;
    uint32_t is, ie, cmd, tfd, sig, ssts, sctl, serr, sact, ci;
    uint32_t running;     /* slots whose request is out */
    uint8_t halted;       /* an error: nothing more until ST is cleared */
    uint8_t draining;     /* ST was cleared, or a reset: requests that are out end unheard */
    uint8_t reset_after;  /* then the drive announces itself anew */
    uint8_t srst;         /* SRST was set in the last control frame */
    struct ata_drive ata;
    struct scsi_lun lun;
    struct ahci_slot slot[AHCI_SLOTS];
};
struct ahci_state {
    struct regdev_head head;
    uint32_t ghc, is;
    struct ahci_port port[AHCI_PORTS];
};
extern struct ahci_state ahci;

struct ahci_header { /* command list entry (4.2.2) */
    uint32_t flags, prdbc;
    uint64_t table;
};
struct ahci_sg {
    struct dl_seg seg[ABI_LINK_SEGS];
    unsigned n;
    uint32_t bytes;
};

static inline unsigned ahci_index(const struct ahci_port *p)
{
    return (unsigned)(p - ahci.port);
}

/* hba.c */
uint64_t ahci_read(struct regdev *d, unsigned region, uint32_t off, unsigned size);
void ahci_write(struct regdev *d, unsigned region, uint32_t off, unsigned size, uint64_t value);
/* port.c */
void ahci_port_power_on(struct regdev *d, struct ahci_port *p);
void ahci_port_write(struct regdev *d, struct ahci_port *p, unsigned reg, uint32_t v);
void ahci_port_run(struct regdev *d, struct ahci_port *p); /* starts what can be started */
void ahci_port_drained(struct regdev *d, struct ahci_port *p); /* the last request of a drain is over */
void ahci_port_announce(struct regdev *d, struct ahci_port *p);
void ahci_interrupt(struct ahci_port *p, uint32_t bits);
/* command.c */
void ahci_command(struct regdev *d, struct ahci_port *p, unsigned slot);
void ahci_again(struct regdev *d, struct ahci_port *p, unsigned slot); /* ask for its request */
void ahci_request_done(struct regdev *d, struct ahci_port *p, unsigned slot, bool ok);
/* memory.c */
bool ahci_header(struct regdev *d, const struct ahci_port *p, unsigned slot, struct ahci_header *h);
bool ahci_sg(struct regdev *d, const struct ahci_header *h, uint32_t skip, uint32_t want, struct ahci_sg *sg);
bool ahci_data_put(struct regdev *d, const struct ahci_header *h, const void *data, uint32_t len);
void ahci_count_put(struct regdev *d, const struct ahci_port *p, unsigned slot, uint32_t bytes);
void ahci_fis_register(struct regdev *d, struct ahci_port *p, const struct ata_tf *tf);
void ahci_fis_pio(struct regdev *d, struct ahci_port *p, const struct ata_tf *tf, uint16_t len);
void ahci_fis_bits(struct regdev *d, struct ahci_port *p, uint8_t status, uint8_t error, uint32_t done);

#endif
