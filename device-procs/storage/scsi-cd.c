/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A CD/DVD-ROM drive (MMC-5, SPC-4): one data track, read only. Addresses are checked here against the medium.
 * Must never answer more than the host has room for.
 */
#include <string.h>
#include "device-procs/storage/scsi.h"

#define BLOCK        2048u
#define PER_BLOCK    (BLOCK / 512u)
#define CD_BLOCKS    360000u /* 80 minutes; more is a DVD */
#define PROFILE_CD   0x0008u
#define PROFILE_DVD  0x0010u

static uint32_t be16(const uint8_t *p)
{
    return (uint32_t)p[0] << 8 | p[1];
}

static uint32_t be32(const uint8_t *p)
{
    return be16(p) << 16 | be16(p + 2);
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

static uint32_t blocks(const struct regdev_unit *u)
{
    uint64_t n = (u->sectors + PER_BLOCK - 1) / PER_BLOCK;

    return n < 0xffffffff ? (uint32_t)n : 0xfffffffe;
}

static bool has_medium(const struct regdev_unit *u, const struct scsi_lun *d)
{
    return u->flags & ABI_DEV_UNIT_MEDIUM && u->sectors && !d->tray_open;
}

static void data(struct scsi_op *op, uint32_t len, uint32_t room)
{
    op->kind = SCSI_DATA;
    op->len = len < room ? len : room;
}

static void illegal(struct scsi_lun *d, struct scsi_op *op)
{
    scsi_fail(d, op, SENSE_ILLEGAL_REQUEST, 0x24, 0); /* invalid field in CDB */
}

static void not_ready(const struct scsi_lun *d, struct scsi_lun *out, struct scsi_op *op)
{
    scsi_fail(out, op, SENSE_NOT_READY, 0x3a, d->tray_open ? 2 : 1); /* medium not present */
}

/* ---- commands that need no medium ---------------------------------------------------------- */

static void text_put(uint8_t *p, size_t len, const char *s)
{
    size_t n = strnlen(s, len);

    memset(p, ' ', len);
    memcpy(p, s, n);
}

static void vital(const struct regdev_unit *u, struct scsi_lun *d, const uint8_t *cdb, struct scsi_op *op,
                  uint8_t *buf)
{
    buf[0] = 5;
    buf[1] = cdb[2];
    if (cdb[2] == 0x00) {
        buf[3] = 2;
        buf[4] = 0x00;
        buf[5] = 0x80;
    } else if (cdb[2] == 0x80) {
        size_t n = strlen(u->serial);

        buf[3] = (uint8_t)n;
        memcpy(buf + 4, u->serial, n);
    } else {
        illegal(d, op);
        return;
    }
    data(op, 4u + buf[3], be16(cdb + 3));
}

static void inquiry(const struct regdev_unit *u, struct scsi_lun *d, const uint8_t *cdb, struct scsi_op *op,
                    uint8_t *buf)
{
    if (cdb[1] & 1) {
        vital(u, d, cdb, op, buf);
        return;
    }
    if (cdb[2]) {
        illegal(d, op);
        return;
    }
    buf[0] = 5;    /* CD/DVD */
    buf[1] = 0x80; /* removable */
    buf[2] = 5;
    buf[3] = 2;
    buf[4] = 31;
    text_put(buf + 8, 8, "BULKHEAD");
    text_put(buf + 16, 16, u->model[0] ? u->model : "DVD-ROM");
    text_put(buf + 32, 4, "1.0");
    data(op, 36, be16(cdb + 3));
}

static void request_sense(struct scsi_lun *d, const uint8_t *cdb, struct scsi_op *op, uint8_t *buf)
{
    struct scsi_sense s = d->sense;

    if (!s.key && d->attention.key) {
        s = d->attention;
        d->attention.key = 0;
    }
    scsi_sense_put(&s, buf);
    memset(&d->sense, 0, sizeof(d->sense));
    data(op, 18, cdb[4]);
}

static unsigned page_put(unsigned page, uint8_t *p)
{
    static const uint8_t recovery[8] = {0x01, 6, 0, 5};
    static const uint8_t capabilities[22] = {0x2a, 20, 0x3f, 0, 0x71, 0x60, 0x29, 0, 0x02, 0xc2,
                                             0, 2, 0x02, 0, 0x02, 0xc2};
    static const uint8_t audio[16] = {0x0e, 14, 4, 0, 0, 0, 0, 75};

    switch (page) {
    case 0x01: memcpy(p, recovery, sizeof(recovery)); return sizeof(recovery);
    case 0x0e: memcpy(p, audio, sizeof(audio)); return sizeof(audio);
    case 0x2a: memcpy(p, capabilities, sizeof(capabilities)); return sizeof(capabilities);
    }
    return 0;
}

static void mode_sense(const struct regdev_unit *u, struct scsi_lun *d, const uint8_t *cdb,
                       struct scsi_op *op, uint8_t *buf)
{
    static const uint8_t pages[] = {0x01, 0x0e, 0x2a};
    bool ten = cdb[0] == 0x5a;
    unsigned at = ten ? 8 : 4, want = cdb[2] & 0x3f;

    if (cdb[2] >> 6 == 3) { /* saved values: there are none */
        scsi_fail(d, op, SENSE_ILLEGAL_REQUEST, 0x39, 0);
        return;
    }
    buf[ten ? 2 : 1] = has_medium(u, d) ? 0x01 : 0x70;
    for (unsigned i = 0; i < sizeof(pages); i++)
        if (want == 0x3f || want == pages[i])
            at += page_put(pages[i], buf + at);
    if (at == (ten ? 8u : 4u)) {
        illegal(d, op);
        return;
    }
    if (ten)
        put16(buf, at - 2);
    else
        buf[0] = (uint8_t)(at - 1);
    data(op, at, ten ? be16(cdb + 7) : cdb[4]);
}

/* MMC-5 section 6.5: only media events are told, and only when asked (polled). */
static void event_status(const struct regdev_unit *u, struct scsi_lun *d, const uint8_t *cdb,
                         struct scsi_op *op, uint8_t *buf)
{
    bool media = cdb[4] & 0x10;

    if (!(cdb[1] & 1)) {
        illegal(d, op);
        return;
    }
    buf[3] = 0x10; /* supported: media */
    buf[2] = media ? 4 : 0x80;
    put16(buf, media ? 6 : 2);
    if (media) {
        buf[4] = d->event;
        buf[5] = (uint8_t)((d->tray_open ? 1 : 0) | (has_medium(u, d) ? 2 : 0));
        d->event = 0;
    }
    data(op, media ? 8 : 4, be16(cdb + 7));
}

static unsigned feature_put(uint8_t *p, unsigned code, uint8_t flags, unsigned len, const uint8_t *more)
{
    put16(p, code);
    p[2] = flags;
    p[3] = (uint8_t)len;
    memcpy(p + 4, more, len);
    return 4 + len;
}

static void configuration(const struct regdev_unit *u, struct scsi_lun *d, const uint8_t *cdb,
                          struct scsi_op *op, uint8_t *buf)
{
    bool dvd = blocks(u) > CD_BLOCKS, medium = has_medium(u, d);
    const uint8_t profiles[8] = {0, PROFILE_DVD, medium && dvd, 0, 0, PROFILE_CD, medium && !dvd, 0};
    static const uint8_t core[8] = {0, 0, 0, 2, 1}, removable[4] = {0x29};
    unsigned at = 8;

    put16(buf + 6, !medium ? 0 : dvd ? PROFILE_DVD : PROFILE_CD);
    at += feature_put(buf + at, 0, 0x03, sizeof(profiles), profiles);
    at += feature_put(buf + at, 1, 0x0b, sizeof(core), core);
    at += feature_put(buf + at, 3, 0x03, sizeof(removable), removable);
    put32(buf, at - 4);
    data(op, at, be16(cdb + 7));
}

static void start_stop(struct scsi_lun *d, const uint8_t *cdb, struct scsi_op *op)
{
    if (!(cdb[4] & 2))
        return;
    if (d->locked && !(cdb[4] & 1)) {
        scsi_fail(d, op, SENSE_ILLEGAL_REQUEST, 0x53, 2); /* removal prevented */
        return;
    }
    if (d->tray_open != !(cdb[4] & 1))
        d->event = cdb[4] & 1 ? 2 : 3;
    d->tray_open = !(cdb[4] & 1);
}

/* ---- commands on the medium ---------------------------------------------------------------- */

static void read_blocks(const struct regdev_unit *u, struct scsi_lun *d, uint32_t lba, uint32_t n,
                        struct scsi_op *op)
{
    uint32_t all = blocks(u);
    uint64_t left;

    if (lba > all || n > all - lba) {
        scsi_fail(d, op, SENSE_ILLEGAL_REQUEST, 0x21, 0); /* out of range */
        return;
    }
    if (!n)
        return;
    op->kind = SCSI_READ;
    op->lba = (uint64_t)lba * PER_BLOCK;
    left = u->sectors - op->lba;
    op->nsect = n * PER_BLOCK;
    if (op->nsect > left) /* an image that ends inside its last block */
        op->nsect = (uint32_t)left;
}

static void read_cd(const struct regdev_unit *u, struct scsi_lun *d, const uint8_t *cdb, struct scsi_op *op)
{
    uint32_t n = (uint32_t)cdb[6] << 16 | be16(cdb + 7);

    if (!n || !(cdb[9] & 0xf8))
        return;
    if ((cdb[9] & 0xf8) != 0x10) /* only user data is kept in an image */
        illegal(d, op);
    else
        read_blocks(u, d, be32(cdb + 2), n, op);
}

static void msf_put(uint8_t *p, uint32_t lba)
{
    lba += 150;
    p[0] = 0;
    p[1] = (uint8_t)(lba / 75 / 60);
    p[2] = (uint8_t)(lba / 75 % 60);
    p[3] = (uint8_t)(lba % 75);
}

static unsigned toc_track(uint8_t *p, uint8_t track, uint32_t lba, bool msf)
{
    p[1] = 0x14; /* data track */
    p[2] = track;
    if (msf)
        msf_put(p + 4, lba);
    else
        put32(p + 4, lba);
    return 8;
}

static void read_toc(const struct regdev_unit *u, struct scsi_lun *d, const uint8_t *cdb,
                     struct scsi_op *op, uint8_t *buf)
{
    bool msf = cdb[1] & 2;
    unsigned format = cdb[2] & 0xf ? cdb[2] & 0xf : cdb[9] >> 6, at = 4;

    buf[2] = buf[3] = 1; /* first and last track, or session */
    if (format == 0 && cdb[6] > 1 && cdb[6] != 0xaa) {
        illegal(d, op);
        return;
    }
    if (format == 0) {
        if (cdb[6] <= 1)
            at += toc_track(buf + at, 1, 0, msf);
        at += toc_track(buf + at, 0xaa, blocks(u), msf);
    } else if (format == 1) {
        at += toc_track(buf + at, 1, 0, msf);
    } else {
        illegal(d, op);
        return;
    }
    put16(buf, at - 2);
    data(op, at, be16(cdb + 7));
}

static void disc_information(const uint8_t *cdb, struct scsi_op *op, uint8_t *buf)
{
    put16(buf, 32);
    buf[2] = 0x0e; /* complete, last session complete */
    buf[3] = buf[4] = buf[5] = buf[6] = 1;
    buf[7] = 0x20;
    data(op, 34, be16(cdb + 7));
}

static void capacity(const struct regdev_unit *u, struct scsi_op *op, uint8_t *buf)
{
    put32(buf, blocks(u) - 1);
    put32(buf + 4, BLOCK);
    data(op, 8, 8);
}

static void medium_command(const struct regdev_unit *u, struct scsi_lun *d, const uint8_t *cdb,
                           struct scsi_op *op, uint8_t *buf)
{
    switch (cdb[0]) {
    case 0x25: capacity(u, op, buf); break;
    case 0x28: read_blocks(u, d, be32(cdb + 2), be16(cdb + 7), op); break;
    case 0xa8: read_blocks(u, d, be32(cdb + 2), be32(cdb + 6), op); break;
    case 0xbe: read_cd(u, d, cdb, op); break;
    case 0x2b: read_blocks(u, d, be32(cdb + 2), 0, op); break;
    case 0x43: read_toc(u, d, cdb, op, buf); break;
    case 0x51: disc_information(cdb, op, buf); break;
    case 0x00: break;
    }
}

static bool needs_medium(uint8_t c)
{
    return c == 0x00 || c == 0x25 || c == 0x28 || c == 0xa8 || c == 0xbe || c == 0x2b || c == 0x43 ||
           c == 0x51;
}

static void drive_command(const struct regdev_unit *u, struct scsi_lun *d, const uint8_t *cdb,
                          struct scsi_op *op, uint8_t *buf)
{
    switch (cdb[0]) {
    case 0x03: request_sense(d, cdb, op, buf); break;
    case 0x12: inquiry(u, d, cdb, op, buf); break;
    case 0x1a: case 0x5a: mode_sense(u, d, cdb, op, buf); break;
    case 0x1b: start_stop(d, cdb, op); break;
    case 0x1e: d->locked = cdb[4] & 1; break;
    case 0x46: configuration(u, d, cdb, op, buf); break;
    case 0x4a: event_status(u, d, cdb, op, buf); break;
    case 0xbb: break; /* SET CD SPEED */
    case 0xbd: /* MECHANISM STATUS */
        buf[1] = d->tray_open ? 0x10 : 0;
        put16(buf + 6, 0);
        data(op, 8, be16(cdb + 8));
        break;
    default:
        scsi_fail(d, op, SENSE_ILLEGAL_REQUEST, 0x20, 0); /* no such command */
    }
}

void cd_command(const struct regdev_unit *u, struct scsi_lun *d, const uint8_t *cdb, struct scsi_op *op,
                uint8_t *buf)
{
    bool exempt = cdb[0] == 0x03 || cdb[0] == 0x12 || cdb[0] == 0x46 || cdb[0] == 0x4a;

    memset(op, 0, sizeof(*op));
    memset(buf, 0, SCSI_DATA_MAX);
    if (cdb[0] != 0x03)
        memset(&d->sense, 0, sizeof(d->sense));
    if (d->attention.key && !exempt) { /* told once */
        scsi_fail(d, op, d->attention.key, d->attention.asc, d->attention.ascq);
        d->attention.key = 0;
        return;
    }
    if (!needs_medium(cdb[0]))
        drive_command(u, d, cdb, op, buf);
    else if (has_medium(u, d))
        medium_command(u, d, cdb, op, buf);
    else
        not_ready(d, d, op);
}
