/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A SCSI disk (SBC-3, SPC-4). Addresses are checked here against the medium. Must never answer more than the host
 * has room for.
 */
#include <string.h>
#include "device-procs/storage/scsi.h"

static uint32_t be16(const uint8_t *p)
{
    return (uint32_t)p[0] << 8 | p[1];
}

static uint32_t be32(const uint8_t *p)
{
    return be16(p) << 16 | be16(p + 2);
}

static uint64_t be64(const uint8_t *p)
{
    return (uint64_t)be32(p) << 32 | be32(p + 4);
}

static void put16(uint8_t *p, uint32_t v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}

static void put32(uint8_t *p, uint32_t v)
{
    put16(p, v >> 16);
    put16(p + 2, v);
}

static void put64(uint8_t *p, uint64_t v)
{
    put32(p, (uint32_t)(v >> 32));
    put32(p + 4, (uint32_t)v);
}

static void data(struct scsi_op *op, uint32_t len, uint32_t room)
{
    op->kind = SCSI_DATA;
    op->len = len < room ? len : room;
}

static void illegal(struct scsi_lun *d, struct scsi_op *op, uint8_t asc)
{
    scsi_fail(d, op, SENSE_ILLEGAL_REQUEST, asc, 0);
}

static void text_put(uint8_t *p, size_t len, const char *s)
{
    size_t n = strnlen(s, len);

    memset(p, ' ', len);
    memcpy(p, s, n);
}

/* ---- what it is ---------------------------------------------------------------------------- */

static bool vital_put(const struct regdev_unit *u, uint8_t page, uint8_t *b)
{
    size_t n = strlen(u->serial);

    b[1] = page;
    switch (page) {
    case 0x00:
        b[3] = 6;
        memcpy(b + 4, "\x00\x80\x83\xb0\xb1\xb2", 6);
        return true;
    case 0x80:
        b[3] = (uint8_t)n;
        memcpy(b + 4, u->serial, n);
        return true;
    case 0x83: /* one ASCII designator: vendor and serial number */
        b[4] = 2;
        b[5] = 1;
        b[7] = (uint8_t)(8 + n);
        memcpy(b + 8, "BULKHEAD", 8);
        memcpy(b + 16, u->serial, n);
        b[3] = (uint8_t)(12 + n);
        return true;
    case 0xb0: /* block limits */
        b[3] = 0x3c;
        put32(b + 8, 2048);         /* longest transfer */
        put32(b + 20, 0x3fffff);    /* longest unmap */
        put32(b + 24, 64);          /* its ranges */
        return true;
    case 0xb1:
        b[3] = 0x3c;
        b[5] = 1; /* does not turn */
        return true;
    case 0xb2: /* provisioning: UNMAP */
        b[3] = 4;
        b[5] = u->flags & ABI_DEV_UNIT_READONLY ? 0 : 0x80;
        b[6] = 2;
        return true;
    }
    return false;
}

static void inquiry(const struct regdev_unit *u, struct scsi_lun *d, const uint8_t *cdb, struct scsi_op *op,
                    uint8_t *b)
{
    if (cdb[1] & 1) {
        if (vital_put(u, cdb[2], b))
            data(op, 4u + b[3], be16(cdb + 3));
        else
            illegal(d, op, 0x24);
        return;
    }
    if (cdb[2]) {
        illegal(d, op, 0x24);
        return;
    }
    b[2] = 5; /* SPC-3 */
    b[3] = 2;
    b[4] = 31;
    b[7] = 2; /* command queueing */
    text_put(b + 8, 8, "BULKHEAD");
    text_put(b + 16, 16, u->model[0] ? u->model : "HARDDISK");
    text_put(b + 32, 4, "1.0");
    data(op, 36, be16(cdb + 3));
}

static void capacity(const struct regdev_unit *u, struct scsi_op *op, uint8_t *b)
{
    uint64_t last = u->sectors - 1;

    put32(b, last > 0xffffffff ? 0xffffffff : (uint32_t)last);
    put32(b + 4, 512);
    data(op, 8, 8);
}

static void capacity16(const struct regdev_unit *u, struct scsi_lun *d, const uint8_t *cdb, struct scsi_op *op,
                       uint8_t *b)
{
    if ((cdb[1] & 31) != 0x10) {
        illegal(d, op, 0x24);
        return;
    }
    put64(b, u->sectors - 1);
    put32(b + 8, 512);
    b[14] = u->flags & ABI_DEV_UNIT_READONLY ? 0 : 0x80; /* unmaps */
    data(op, 32, be32(cdb + 10));
}

static void mode_sense(const struct regdev_unit *u, struct scsi_lun *d, const uint8_t *cdb,
                       struct scsi_op *op, uint8_t *b)
{
    bool ten = cdb[0] == 0x5a;
    unsigned at = ten ? 8 : 4, page = cdb[2] & 0x3f;
    uint8_t flags = u->flags & ABI_DEV_UNIT_READONLY ? 0x90 : 0x10;

    if (cdb[2] >> 6 == 3 || (page != 0x3f && page != 0x08)) {
        illegal(d, op, cdb[2] >> 6 == 3 ? 0x39 : 0x24);
        return;
    }
    b[ten ? 3 : 2] = flags;
    b[at] = 0x08; /* caching: a write cache */
    b[at + 1] = 18;
    b[at + 2] = cdb[2] >> 6 == 1 ? 0 : 4;
    at += 20;
    if (ten)
        put16(b, at - 2);
    else
        b[0] = (uint8_t)(at - 1);
    data(op, at, ten ? be16(cdb + 7) : cdb[4]);
}

static void request_sense(struct scsi_lun *d, const uint8_t *cdb, struct scsi_op *op, uint8_t *b)
{
    struct scsi_sense s = d->sense.key ? d->sense : d->attention;

    d->attention.key = 0;
    memset(&d->sense, 0, sizeof(d->sense));
    scsi_sense_put(&s, b);
    data(op, 18, cdb[4]);
}

/* ---- data ---------------------------------------------------------------------------------- */

static void move(const struct regdev_unit *u, struct scsi_lun *d, enum scsi_kind kind, uint64_t lba,
                 uint32_t n, bool fua, struct scsi_op *op)
{
    if (lba > u->sectors || n > u->sectors - lba) {
        illegal(d, op, 0x21);
        return;
    }
    if (kind == SCSI_WRITE && u->flags & ABI_DEV_UNIT_READONLY) {
        scsi_fail(d, op, SENSE_DATA_PROTECT, 0x27, 0);
        return;
    }
    if (!n)
        return;
    op->kind = kind;
    op->lba = lba;
    op->nsect = n;
    op->fua = fua;
}

static bool data_command(const struct regdev_unit *u, struct scsi_lun *d, const uint8_t *cdb,
                         struct scsi_op *op)
{
    enum scsi_kind kind = cdb[0] & 2 ? SCSI_WRITE : SCSI_READ;
    bool fua = cdb[1] & 8;

    switch (cdb[0]) {
    case 0x08: case 0x0a:
        move(u, d, kind, be32(cdb) & 0x1fffff, cdb[4] ? cdb[4] : 256, false, op);
        return true;
    case 0x28: case 0x2a:
        move(u, d, kind, be32(cdb + 2), be16(cdb + 7), fua, op);
        return true;
    case 0xa8: case 0xaa:
        move(u, d, kind, be32(cdb + 2), be32(cdb + 6), fua, op);
        return true;
    case 0x88: case 0x8a:
        move(u, d, kind, be64(cdb + 2), be32(cdb + 10), fua, op);
        return true;
    case 0x2f: /* VERIFY without data: only the addresses */
        move(u, d, SCSI_DONE, be32(cdb + 2), be16(cdb + 7), false, op);
        return true;
    }
    return false;
}

static void other_command(const struct regdev_unit *u, struct scsi_lun *d, const uint8_t *cdb,
                          struct scsi_op *op, uint8_t *b)
{
    switch (cdb[0]) {
    case 0x00: case 0x1b: case 0x1e: break;
    case 0x03: request_sense(d, cdb, op, b); break;
    case 0x12: inquiry(u, d, cdb, op, b); break;
    case 0x1a: case 0x5a: mode_sense(u, d, cdb, op, b); break;
    case 0x25: capacity(u, op, b); break;
    case 0x9e: capacity16(u, d, cdb, op, b); break;
    case 0x35: case 0x91: op->kind = SCSI_FLUSH; break;
    case 0x42:
        if (u->flags & ABI_DEV_UNIT_READONLY)
            scsi_fail(d, op, SENSE_DATA_PROTECT, 0x27, 0);
        else if (be16(cdb + 7) >= 24)
            op->kind = SCSI_UNMAP;
        break;
    default: illegal(d, op, 0x20);
    }
}

void scsi_disk_command(const struct regdev_unit *u, struct scsi_lun *d, const uint8_t *cdb, struct scsi_op *op,
                  uint8_t *buf)
{
    memset(op, 0, sizeof(*op));
    memset(buf, 0, SCSI_DATA_MAX);
    if (cdb[0] != 0x03)
        memset(&d->sense, 0, sizeof(d->sense));
    if (d->attention.key && cdb[0] != 0x03 && cdb[0] != 0x12) { /* told once */
        scsi_fail(d, op, d->attention.key, d->attention.asc, d->attention.ascq);
        d->attention.key = 0;
        return;
    }
    if (!data_command(u, d, cdb, op))
        other_command(u, d, cdb, op, buf);
}
