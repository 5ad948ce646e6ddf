/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Decoding of ATA commands for disks. Every address and count is checked here, once, against the size of
 * the medium; what comes out can be handed to the disk as it is. A command that does not exist is
 * aborted, as real drives do.
 */
#include "device-procs/storage/ata.h"

#include <string.h>

void ata_abort(struct ata_tf *tf)
{
    tf->status = ATA_S_DRDY | ATA_S_DSC | ATA_S_ERR;
    tf->error = ATA_E_ABRT;
}

void ata_ok(struct ata_tf *tf)
{
    tf->status = ATA_S_DRDY | ATA_S_DSC;
    tf->error = 0;
}

void ata_drive_reset(struct ata_drive *d, bool power_on)
{
    d->mult = 0;
    if (!power_on)
        return;
    d->pio_mode = 0xff;
    d->mwdma_mode = 0xff;
    d->udma_mode = 5;
    d->write_cache = 1;
    d->smart = 1;
    d->heads = 16;
    d->spt = 63;
}

void ata_signature(struct ata_tf *tf, bool packet)
{
    tf->count = 1;
    tf->lba = packet ? 0xeb1401 : 0x000001;
    tf->device &= 0x10;
    tf->error = 1; /* diagnostics passed */
    tf->status = packet ? 0 : ATA_S_DRDY | ATA_S_DSC;
}

/* ---- addresses ----------------------------------------------------------------------------- */

static bool chs_lba(const struct ata_drive *d, const struct ata_tf *tf, uint64_t *lba)
{
    uint32_t sector = tf->lba & 0xff, cyl = tf->lba >> 8 & 0xffff, head = tf->device & 0xf;

    if (!sector || sector > d->spt || head >= d->heads)
        return false;
    *lba = ((uint64_t)cyl * d->heads + head) * d->spt + sector - 1;
    return true;
}

static bool address(const struct regdev_unit *u, const struct ata_drive *d, const struct ata_tf *tf,
                    bool ext, struct ata_op *op)
{
    uint32_t count = ext ? tf->count : tf->count & 0xff;

    op->nsect = count ? count : ext ? 65536 : 256;
    if (ext)
        op->lba = tf->lba & 0xffffffffffffull;
    else if (tf->device & 0x40)
        op->lba = (tf->lba & 0xffffff) | (uint64_t)(tf->device & 0xf) << 24;
    else if (!chs_lba(d, tf, &op->lba))
        return false;
    return op->lba < u->sectors && op->nsect <= u->sectors - op->lba;
}

/* ---- one command each ---------------------------------------------------------------------- */

static void out_of_range(struct ata_tf *tf)
{
    tf->status = ATA_S_DRDY | ATA_S_DSC | ATA_S_ERR;
    tf->error = ATA_E_IDNF;
}

static void transfer(const struct regdev_unit *u, struct ata_drive *d, struct ata_tf *tf, bool ext,
                     enum ata_kind kind, enum ata_proto proto, struct ata_op *op)
{
    op->proto = proto;
    if (!address(u, d, tf, ext, op))
        out_of_range(tf);
    else if ((op->multi && !d->mult) || (kind == ATA_WRITE && u->flags & ABI_DEV_UNIT_READONLY))
        ata_abort(tf);
    else
        op->kind = kind;
}

/* ACS-3 section 7.16 and 7.53: the count is in the feature register, the tag in the count's. */
static void ncq(const struct regdev_unit *u, struct ata_drive *d, struct ata_tf *tf, enum ata_kind kind,
                struct ata_op *op)
{
    struct ata_tf t = *tf;

    op->tag = tf->count >> 3 & 31;
    op->fua = tf->device & 0x80;
    t.count = tf->feature;
    transfer(u, d, &t, true, kind, ATA_NCQ, op);
    tf->status = t.status;
    tf->error = t.error;
}

static void multiple_set(struct ata_drive *d, struct ata_tf *tf)
{
    unsigned n = tf->count & 0xff;

    if (n > ATA_MULT_MAX || n & (n - 1)) {
        ata_abort(tf);
        return;
    }
    d->mult = (uint8_t)n;
}

static void params_set(struct ata_drive *d, struct ata_tf *tf)
{
    if (!(tf->count & 0xff)) {
        ata_abort(tf);
        return;
    }
    d->heads = (uint8_t)((tf->device & 0xf) + 1);
    d->spt = (uint8_t)tf->count;
}

static void transfer_mode(struct ata_drive *d, struct ata_tf *tf)
{
    unsigned mode = tf->count & 7;

    switch (tf->count >> 3 & 0x1f) {
    case 0: case 1:
        d->pio_mode = (uint8_t)mode;
        break;
    case 4:
        d->mwdma_mode = (uint8_t)mode;
        d->udma_mode = 0xff;
        break;
    case 8:
        d->udma_mode = (uint8_t)mode;
        d->mwdma_mode = 0xff;
        break;
    default:
        ata_abort(tf);
    }
}

void ata_set_features(struct ata_drive *d, struct ata_tf *tf)
{
    switch (tf->feature & 0xff) {
    case 0x02: case 0x82:
        d->write_cache = (tf->feature & 0xff) == 0x02;
        break;
    case 0x03:
        transfer_mode(d, tf);
        break;
    case 0x05: case 0x85: /* power management levels, */
    case 0x42: case 0xc2: /* acoustics, */
    case 0x55: case 0xaa: /* look-ahead, */
    case 0x66: case 0xcc: /* defaults after a soft reset: nothing here depends on them */
        break;
    default:
        ata_abort(tf);
    }
}

/* ACS-3 section 7.48: an answer that says "healthy" and has no logs. */
static void smart(struct ata_drive *d, struct ata_tf *tf, struct ata_op *op, uint8_t *buf)
{
    unsigned sub = tf->feature & 0xff;

    if ((tf->lba >> 8 & 0xffff) != 0xc24f || (!d->smart && sub != 0xd8)) {
        ata_abort(tf);
        return;
    }
    switch (sub) {
    case 0xd0: case 0xd1: /* READ DATA, READ THRESHOLDS: no attributes; the checksum is right */
        memset(buf, 0, 512);
        buf[0] = 1;
        buf[511] = 0xff;
        op->kind = ATA_DATA;
        break;
    case 0xd8: case 0xd9:
        d->smart = sub == 0xd8;
        break;
    case 0xda: /* RETURN STATUS: the signature stays when nothing is wrong */
        break;
    case 0xd2: case 0xd4:
        break;
    default:
        ata_abort(tf);
    }
}

static void native_max(const struct regdev_unit *u, struct ata_tf *tf, bool ext)
{
    uint64_t last = u->sectors ? u->sectors - 1 : 0;

    if (ext) {
        tf->lba = last;
        return;
    }
    last = last < 0x0fffffff ? last : 0x0ffffffe;
    tf->lba = last & 0xffffff;
    tf->device = (uint8_t)((tf->device & 0xf0) | (last >> 24));
}

static bool data_command(const struct regdev_unit *u, struct ata_drive *d, struct ata_tf *tf, bool sata,
                         struct ata_op *op)
{
    switch (tf->command) {
    case 0x20: case 0x21: transfer(u, d, tf, false, ATA_READ, ATA_PIO, op); return true;
    case 0x24:            transfer(u, d, tf, true, ATA_READ, ATA_PIO, op); return true;
    case 0x25:            transfer(u, d, tf, true, ATA_READ, ATA_DMA, op); return true;
    case 0xc8: case 0xc9: transfer(u, d, tf, false, ATA_READ, ATA_DMA, op); return true;
    case 0x30: case 0x31: transfer(u, d, tf, false, ATA_WRITE, ATA_PIO, op); return true;
    case 0x34:            transfer(u, d, tf, true, ATA_WRITE, ATA_PIO, op); return true;
    case 0x3d:            op->fua = true; /* fall through */
    case 0x35:            transfer(u, d, tf, true, ATA_WRITE, ATA_DMA, op); return true;
    case 0xca: case 0xcb: transfer(u, d, tf, false, ATA_WRITE, ATA_DMA, op); return true;
    case 0x40: case 0x41: transfer(u, d, tf, false, ATA_VERIFY, ATA_PIO, op); return true;
    case 0x42:            transfer(u, d, tf, true, ATA_VERIFY, ATA_PIO, op); return true;
    case 0xc4: case 0xc5: case 0x29: case 0x39:
        op->multi = true;
        transfer(u, d, tf, tf->command == 0x29 || tf->command == 0x39,
                 tf->command == 0xc4 || tf->command == 0x29 ? ATA_READ : ATA_WRITE, ATA_PIO, op);
        return true;
    case 0x60: case 0x61:
        if (!sata)
            return false;
        ncq(u, d, tf, tf->command == 0x60 ? ATA_READ : ATA_WRITE, op);
        return true;
    }
    return false;
}

static void trim(const struct regdev_unit *u, struct ata_tf *tf, struct ata_op *op)
{
    if ((tf->feature & 0xff) != 1 || !tf->count || tf->count > 64 || u->flags & ABI_DEV_UNIT_READONLY) {
        ata_abort(tf);
        return;
    }
    op->kind = ATA_TRIM;
    op->proto = ATA_DMA;
    op->nsect = tf->count;
}

static void other_command(const struct regdev_unit *u, struct ata_drive *d, struct ata_tf *tf, bool sata,
                          struct ata_op *op, uint8_t *buf)
{
    switch (tf->command) {
    case 0x06: trim(u, tf, op); break;
    case 0x10 ... 0x1f: break; /* RECALIBRATE */
    case 0x27: native_max(u, tf, true); break;
    case 0x70: break; /* SEEK */
    case 0x91: params_set(d, tf); break;
    case 0xb0: smart(d, tf, op, buf); break;
    case 0xc6: multiple_set(d, tf); break;
    case 0xe0: case 0x94: case 0xe1: case 0x95: case 0xe2: case 0x96: case 0xe3: case 0x97:
    case 0xe6: case 0x99:
        break; /* STANDBY, IDLE, SLEEP: nothing turns here */
    case 0xe5: case 0x98:
        tf->count = (uint16_t)((tf->count & 0xff00) | 0xff); /* active or idle */
        break;
    case 0xe7: case 0xea: op->kind = ATA_FLUSH; break;
    case ATA_C_IDENTIFY:
        ata_identify_disk(u, d, sata, buf);
        op->kind = ATA_DATA;
        break;
    case 0xef: ata_set_features(d, tf); break;
    case 0xf8: native_max(u, tf, false); break;
    default: ata_abort(tf);
    }
}

void ata_decode(const struct regdev_unit *u, struct ata_drive *d, struct ata_tf *tf, bool sata,
                struct ata_op *op, uint8_t *buf)
{
    memset(op, 0, sizeof(*op));
    ata_ok(tf);
    if (!data_command(u, d, tf, sata, op))
        other_command(u, d, tf, sata, op, buf);
}
