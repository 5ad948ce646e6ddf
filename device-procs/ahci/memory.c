/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Guest memory as AHCI lays it out: command headers, scatter lists, received frames (AHCI 1.3.1 section 4.2). Must
 * never keep what it has read beyond the step it was read for.
 */
#include <string.h>
#include "device-procs/ahci/ahci.h"

#define FIS_PIO  0x20u /* places in the received-frame area */
#define FIS_D2H  0x40u
#define FIS_BITS 0x58u
#define FIS_I    0x40u

bool ahci_header(struct regdev *d, const struct ahci_port *p, unsigned slot, struct ahci_header *h)
{
    return guestram_read(&d->ram, p->clb + 32u * slot, h, sizeof(*h)) && regdev_bus_master(d);
}

static bool part_add(struct regdev *d, struct ahci_sg *sg, uint64_t addr, uint32_t len)
{
    if (!guestram_has(&d->ram, addr, len))
        return false;
    sg->seg[sg->n++] = (struct dl_seg){addr, len};
    sg->bytes += len;
    return true;
}

bool ahci_sg(struct regdev *d, const struct ahci_header *h, uint32_t skip, uint32_t want, struct ahci_sg *sg)
{
    unsigned entries = h->flags >> 16;

    sg->n = 0;
    sg->bytes = 0;
    for (unsigned i = 0; i < entries && sg->bytes < want && sg->n < ABI_LINK_SEGS; i++) {
        struct {
            uint64_t addr;
            uint32_t reserved, len;
        } e;
        uint32_t left = want - sg->bytes, len;

        if (!guestram_read(&d->ram, (h->table & ~127ull) + 0x80 + 16ull * i, &e, sizeof(e)))
            return false;
        len = (e.len & 0x3fffff) + 1;
        if (skip >= len) {
            skip -= len;
            continue;
        }
        if (!part_add(d, sg, e.addr + skip, len - skip < left ? len - skip : left))
            return false;
        skip = 0;
    }
    return true;
}

bool ahci_data_put(struct regdev *d, const struct ahci_header *h, const void *data, uint32_t len)
{
    struct ahci_sg sg;
    uint32_t at = 0;

    if (!ahci_sg(d, h, 0, len, &sg))
        return false;
    for (unsigned i = 0; i < sg.n; at += sg.seg[i++].len)
        if (!guestram_write(&d->ram, sg.seg[i].gpa, (const uint8_t *)data + at, sg.seg[i].len))
            return false;
    return true;
}

void ahci_count_put(struct regdev *d, const struct ahci_port *p, unsigned slot, uint32_t bytes)
{
    guestram_write(&d->ram, p->clb + 32u * slot + 4, &bytes, sizeof(bytes));
}

static void fis_put(struct regdev *d, const struct ahci_port *p, unsigned at, const void *fis, size_t len)
{
    if (p->cmd & CMD_FRE && regdev_bus_master(d))
        guestram_write(&d->ram, p->fb + at, fis, len);
}

static void registers_put(const struct ata_tf *tf, uint8_t *f)
{
    f[2] = tf->status;
    f[3] = tf->error;
    for (unsigned i = 0; i < 3; i++) {
        f[4 + i] = (uint8_t)(tf->lba >> (8 * i));
        f[8 + i] = (uint8_t)(tf->lba >> (24 + 8 * i));
    }
    f[7] = tf->device;
    f[12] = (uint8_t)tf->count;
    f[13] = (uint8_t)(tf->count >> 8);
}

static void tfd_set(struct ahci_port *p, uint8_t status, uint8_t error)
{
    p->tfd = status | (uint32_t)error << 8;
}

void ahci_fis_register(struct regdev *d, struct ahci_port *p, const struct ata_tf *tf)
{
    uint8_t f[20] = {0x34, FIS_I};

    registers_put(tf, f);
    fis_put(d, p, FIS_D2H, f, sizeof(f));
    tfd_set(p, tf->status, tf->error);
    ahci_interrupt(p, IS_DHRS | (tf->status & ATA_S_ERR ? IS_TFES : 0));
}

void ahci_fis_pio(struct regdev *d, struct ahci_port *p, const struct ata_tf *tf, uint16_t len)
{
    uint8_t f[20] = {0x5f, FIS_I | 0x20};

    registers_put(tf, f);
    f[2] = tf->status | ATA_S_DRQ;
    f[15] = tf->status;
    memcpy(f + 16, &len, 2);
    fis_put(d, p, FIS_PIO, f, sizeof(f));
    tfd_set(p, tf->status, tf->error);
    ahci_interrupt(p, IS_PSS);
}

void ahci_fis_bits(struct regdev *d, struct ahci_port *p, uint8_t status, uint8_t error, uint32_t done)
{
    uint8_t f[8] = {0xa1, FIS_I, status & 0x77, error};

    memcpy(f + 4, &done, 4);
    fis_put(d, p, FIS_BITS, f, sizeof(f));
    p->sact &= ~done;
    tfd_set(p, (uint8_t)((p->tfd & 0x88) | (status & 0x77)), error);
    ahci_interrupt(p, IS_SDBS | (status & ATA_S_ERR ? IS_TFES : 0));
}
