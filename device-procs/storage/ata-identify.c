/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What drives say about themselves (ACS-3 section 7.12; ATA/ATAPI-7 6.17 for the old words). Must never
 * promise a command that ata.c does not carry out.
 */
#include <string.h>
#include "device-procs/storage/ata.h"

#define CYLINDERS_MAX 16383u
#define LBA28_MAX     0x0fffffffu

static void put16(uint8_t *buf, unsigned word, unsigned v)
{
    buf[2 * word] = (uint8_t)v;
    buf[2 * word + 1] = (uint8_t)(v >> 8);
}

static void put32(uint8_t *buf, unsigned word, uint32_t v)
{
    put16(buf, word, v);
    put16(buf, word + 1, v >> 16);
}

/* Strings are padded with blanks, and the bytes of each word are swapped. */
static void put_text(uint8_t *buf, unsigned word, unsigned words, const char *s)
{
    size_t len = strlen(s);

    for (unsigned i = 0; i < 2 * words; i++)
        buf[2 * word + (i ^ 1)] = i < len ? (uint8_t)s[i] : ' ';
}

static void names(const struct regdev_unit *u, const char *model, uint8_t *buf)
{
    put_text(buf, 10, 10, u->serial[0] ? u->serial : "BH00001");
    put_text(buf, 23, 4, "1.0");
    put_text(buf, 27, 20, u->model[0] ? u->model : model);
}

static unsigned mode_bits(uint8_t supported, uint8_t chosen)
{
    return supported | (chosen < 8 ? 0x100u << chosen : 0);
}

static void geometry(const struct regdev_unit *u, const struct ata_drive *d, uint8_t *buf)
{
    uint64_t cyl = u->sectors / (16 * 63), now = u->sectors / ((uint64_t)d->heads * d->spt);
    uint32_t lba28 = u->sectors < LBA28_MAX ? (uint32_t)u->sectors : LBA28_MAX;

    cyl = cyl < CYLINDERS_MAX ? cyl : CYLINDERS_MAX;
    now = now < 65535 ? now : 65535;
    put16(buf, 1, (unsigned)cyl);
    put16(buf, 3, 16);
    put16(buf, 6, 63);
    put16(buf, 54, (unsigned)now);
    put16(buf, 55, d->heads);
    put16(buf, 56, d->spt);
    put32(buf, 57, (uint32_t)now * d->heads * d->spt);
    put32(buf, 60, lba28);
    put32(buf, 100, (uint32_t)u->sectors);
    put32(buf, 102, (uint32_t)(u->sectors >> 32));
}

static void features(const struct ata_drive *d, uint8_t *buf)
{
    put16(buf, 80, 0x00f0); /* ATA/ATAPI-4 to 7 */
    put16(buf, 82, 1 << 14 | 1 << 5 | 1);                        /* NOP, write cache, SMART */
    put16(buf, 83, 1 << 14 | 1 << 13 | 1 << 12 | 1 << 10);       /* FLUSH (EXT), LBA48 */
    put16(buf, 84, 1 << 14);
    put16(buf, 85, 1 << 14 | (d->write_cache ? 1 << 5 : 0) | (d->smart ? 1 : 0));
    put16(buf, 86, 1 << 13 | 1 << 12 | 1 << 10);
    put16(buf, 87, 1 << 14);
}

static void modes(const struct ata_drive *d, bool sata, uint8_t *buf)
{
    put16(buf, 53, 7);
    put16(buf, 63, mode_bits(7, d->mwdma_mode));
    put16(buf, 64, 3);
    for (unsigned w = 65; w <= 68; w++)
        put16(buf, w, 120); /* nanoseconds per cycle */
    put16(buf, 88, mode_bits(0x3f, d->udma_mode));
    if (!sata)
        put16(buf, 93, 0x6001 | 0x4000); /* 80-wire cable seen */
}

void ata_identify_disk(const struct regdev_unit *u, const struct ata_drive *d, bool sata, uint8_t *buf)
{
    memset(buf, 0, 512);
    put16(buf, 0, 0x0040);
    names(u, "BULKHEAD HARDDISK", buf);
    put16(buf, 47, 0x8000 | ATA_MULT_MAX);
    put16(buf, 48, 1);
    put16(buf, 49, 1 << 11 | 1 << 9 | 1 << 8); /* IORDY, LBA, DMA */
    put16(buf, 50, 1 << 14);
    put16(buf, 59, d->mult ? 0x100u | d->mult : 0);
    geometry(u, d, buf);
    features(d, buf);
    modes(d, sata, buf);
    if (!(u->flags & ABI_DEV_UNIT_READONLY)) {
        put16(buf, 105, 64); /* blocks of range entries in one DSM */
        put16(buf, 169, 1);
    }
    if (!sata)
        return;
    put16(buf, 75, ATA_QUEUE_MAX - 1);
    put16(buf, 76, 1 << 8 | 1 << 2 | 1 << 1); /* NCQ; 1.5 and 3 Gbit/s */
    put16(buf, 222, 0x1000 | 1 << 6);
}

void ata_identify_packet(const struct regdev_unit *u, const struct ata_drive *d, bool sata, uint8_t *buf)
{
    memset(buf, 0, 512);
    put16(buf, 0, 0x85c0); /* packet device, CD-ROM, removable, DRQ within 50 us, 12-byte packets */
    names(u, "BULKHEAD DVD-ROM", buf);
    put16(buf, 48, 1);
    put16(buf, 49, 1 << 11 | 1 << 9 | 1 << 8);
    modes(d, sata, buf);
    put16(buf, 73, 1);
    put16(buf, 80, 0x00f0);
    put16(buf, 82, 1 << 14 | 1 << 9 | 1 << 4); /* NOP, DEVICE RESET, PACKET */
    put16(buf, 83, 1 << 14);
    put16(buf, 84, 1 << 14);
    put16(buf, 85, 1 << 14 | 1 << 9 | 1 << 4);
    put16(buf, 87, 1 << 14);
    if (sata)
        put16(buf, 76, 1 << 2 | 1 << 1);
}
