/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One command of a port: from its frame to the block process and to its end. Owns ahci_slot; must never
 * touch another slot.
 */
#include <string.h>
#include "device-procs/ahci/ahci.h"

#define HDR_ATAPI 0x20u

static struct regdev_unit *unit_of(struct regdev *d, const struct ahci_port *p)
{
    return &d->unit[ahci_index(p)];
}

/* ---- ends ---------------------------------------------------------------------------------- */

static void end_register(struct regdev *d, struct ahci_port *p, unsigned slot, const struct ata_tf *tf)
{
    if (tf->status & ATA_S_ERR)
        p->halted = 1; /* the slot stays in PxCI: software reads there what failed (6.2.2.1) */
    else
        p->ci &= ~(1u << slot);
    ahci_fis_register(d, p, tf);
}

static void end_ok(struct regdev *d, struct ahci_port *p, unsigned slot)
{
    struct ahci_slot *s = &p->slot[slot];
    struct ata_tf tf = {.status = ATA_S_DRDY | ATA_S_DSC};

    s->stage = AHCI_NONE;
    if (s->ncq) {
        ahci_fis_bits(d, p, tf.status, 0, 1u << s->tag);
        return;
    }
    if (s->packet)
        tf.count = 3;
    ahci_count_put(d, p, slot, s->done);
    end_register(d, p, slot, &tf);
}

static void end_error(struct regdev *d, struct ahci_port *p, unsigned slot, uint8_t error)
{
    struct ahci_slot *s = &p->slot[slot];
    struct ata_tf tf = {.status = ATA_S_DRDY | ATA_S_DSC | ATA_S_ERR, .error = error};

    s->stage = AHCI_NONE;
    if (s->ncq) {
        p->halted = 1;
        ahci_fis_bits(d, p, tf.status, error, 0);
        return;
    }
    if (s->packet)
        tf.count = 3;
    end_register(d, p, slot, &tf);
}

static void end_sense(struct regdev *d, struct ahci_port *p, unsigned slot, uint8_t key, uint8_t asc)
{
    if (p->lun.sense.key != key || p->lun.sense.asc != asc)
        p->lun.sense = (struct scsi_sense){key, asc, 0, 0};
    end_error(d, p, slot, (uint8_t)(key << 4 | ATA_E_ABRT));
}

static void end_medium_error(struct regdev *d, struct ahci_port *p, unsigned slot)
{
    struct ahci_slot *s = &p->slot[slot];

    if (s->packet)
        end_sense(d, p, slot, SENSE_MEDIUM_ERROR, 0x11);
    else
        end_error(d, p, slot, s->out ? ATA_E_ABRT : ATA_E_UNC);
}

static void fault(struct regdev *d, struct ahci_port *p, unsigned slot, const char *what)
{
    regdev_guest_error(d, "port %u, slot %u: %s", ahci_index(p), slot, what);
    end_error(d, p, slot, ATA_E_ABRT);
}

/* ---- requests ------------------------------------------------------------------------------ */

static void ask(struct regdev *d, struct ahci_port *p, unsigned slot, enum dl_op op, uint32_t n,
                const struct dl_seg *seg, unsigned nseg)
{
    struct disklink *l = regdev_link(d, ahci_index(p));

    p->running |= 1u << slot;
    if (l && disklink_prepare(l, op, p->slot[slot].lba, n, seg, nseg, slot))
        return;
    p->running &= ~(1u << slot);
    end_medium_error(d, p, slot);
}

static void move(struct regdev *d, struct ahci_port *p, unsigned slot, const struct ahci_header *h)
{
    struct ahci_slot *s = &p->slot[slot];
    uint32_t left = s->total - s->done, over;
    struct ahci_sg sg;

    if (!ahci_sg(d, h, s->done, left < AHCI_CHUNK ? left : AHCI_CHUNK, &sg)) {
        fault(d, p, slot, "its data is not in memory");
        return;
    }
    over = sg.bytes % 512;
    sg.bytes -= over;
    while (over && sg.n) {
        uint32_t part = over < sg.seg[sg.n - 1].len ? over : sg.seg[sg.n - 1].len;

        over -= part;
        sg.seg[sg.n - 1].len -= part;
        if (!sg.seg[sg.n - 1].len)
            sg.n--;
    }
    if (!sg.bytes) {
        fault(d, p, slot, "its scatter list is too short");
        return;
    }
    s->chunk = sg.bytes;
    ask(d, p, slot, s->out ? DL_WRITE : DL_READ, 0, sg.seg, sg.n);
}

static void verify(struct regdev *d, struct ahci_port *p, unsigned slot)
{
    struct ahci_slot *s = &p->slot[slot];
    struct dl_seg seg = {DL_BUFFER_GPA, 0};
    uint32_t left = s->total - s->done;

    s->chunk = left < ABI_LINK_BUFFER ? left : ABI_LINK_BUFFER;
    seg.len = s->chunk;
    ask(d, p, slot, DL_READ, 0, &seg, 1);
}

/* ACS-3 section 7.5.3: entries of eight bytes; one request each. */
static void trim(struct regdev *d, struct ahci_port *p, unsigned slot, const struct ahci_header *h)
{
    struct ahci_slot *s = &p->slot[slot];
    const struct regdev_unit *u = unit_of(d, p);

    for (; s->done + 8 <= s->total; s->done += 8) {
        struct ahci_sg sg;
        uint64_t e = 0, n;

        if (!ahci_sg(d, h, s->done, 8, &sg) || sg.n != 1 || sg.bytes != 8 ||
            !guestram_read(&d->ram, sg.seg[0].gpa, &e, 8)) {
            fault(d, p, slot, "its range list is not in memory");
            return;
        }
        n = e >> 48;
        s->lba = e & 0xffffffffffffull;
        s->chunk = 8;
        if (n && (s->lba >= u->sectors || n > u->sectors - s->lba)) {
            end_error(d, p, slot, ATA_E_ABRT);
            return;
        }
        if (n) {
            ask(d, p, slot, DL_DISCARD, (uint32_t)n, NULL, 0);
            return;
        }
    }
    end_ok(d, p, slot);
}

void ahci_again(struct regdev *d, struct ahci_port *p, unsigned slot)
{
    struct ahci_slot *s = &p->slot[slot];
    struct ahci_header h;

    if (!ahci_header(d, p, slot, &h)) {
        fault(d, p, slot, "its command is not in memory");
        return;
    }
    switch (s->stage) {
    case AHCI_MOVE: move(d, p, slot, &h); break;
    case AHCI_FLUSH: ask(d, p, slot, DL_FLUSH, 0, NULL, 0); break;
    case AHCI_VERIFY: verify(d, p, slot); break;
    case AHCI_TRIM: trim(d, p, slot, &h); break;
    }
}

static void stage_done(struct regdev *d, struct ahci_port *p, unsigned slot)
{
    struct ahci_slot *s = &p->slot[slot];

    if (s->stage != AHCI_FLUSH) {
        s->done += s->chunk;
        if (s->stage != AHCI_TRIM)
            s->lba += s->chunk / 512;
        if (s->done < s->total || s->stage == AHCI_TRIM) {
            ahci_again(d, p, slot);
            return;
        }
        if (s->stage == AHCI_MOVE && s->out && s->fua) {
            s->stage = AHCI_FLUSH;
            ahci_again(d, p, slot);
            return;
        }
    }
    end_ok(d, p, slot);
}

void ahci_request_done(struct regdev *d, struct ahci_port *p, unsigned slot, bool ok)
{
    p->running &= ~(1u << slot);
    if (p->draining) {
        if (!p->running)
            ahci_port_drained(d, p);
        return;
    }
    if (ok)
        stage_done(d, p, slot);
    else
        end_medium_error(d, p, slot);
    ahci_port_run(d, p);
}

/* ---- commands ------------------------------------------------------------------------------ */

static void tf_of_fis(const uint8_t *f, struct ata_tf *tf)
{
    *tf = (struct ata_tf){
        .command = f[2],
        .feature = (uint16_t)(f[3] | f[11] << 8),
        .lba = f[4] | (uint64_t)f[5] << 8 | (uint64_t)f[6] << 16 | (uint64_t)f[8] << 24 |
               (uint64_t)f[9] << 32 | (uint64_t)f[10] << 40,
        .device = f[7],
        .count = (uint16_t)(f[12] | f[13] << 8),
    };
}

static void small_data(struct regdev *d, struct ahci_port *p, unsigned slot, const struct ahci_header *h,
                       struct ata_tf *tf, const uint8_t *buf)
{
    if (!ahci_data_put(d, h, buf, 512)) {
        fault(d, p, slot, "its data is not in memory");
        return;
    }
    ahci_count_put(d, p, slot, 512);
    p->ci &= ~(1u << slot);
    ahci_fis_pio(d, p, tf, 512);
}

static void transfer(struct regdev *d, struct ahci_port *p, unsigned slot, const struct ata_op *op)
{
    static const uint8_t stages[] = {
        [ATA_READ] = AHCI_MOVE, [ATA_WRITE] = AHCI_MOVE, [ATA_FLUSH] = AHCI_FLUSH,
        [ATA_VERIFY] = AHCI_VERIFY, [ATA_TRIM] = AHCI_TRIM,
    };
    struct ahci_slot *s = &p->slot[slot];

    *s = (struct ahci_slot){.lba = op->lba, .total = op->nsect * 512u, .stage = stages[op->kind],
                            .out = op->kind == ATA_WRITE, .ncq = op->proto == ATA_NCQ, .fua = op->fua,
                            .tag = op->tag};
    if (s->ncq) { /* accepted: the drive is free for the next one (SATA 3 11.15) */
        p->ci &= ~(1u << slot);
        p->tfd = ATA_S_DRDY | ATA_S_DSC;
    } else {
        p->tfd = ATA_S_BSY | ATA_S_DRDY;
    }
    ahci_again(d, p, slot);
}

static void disk_command(struct regdev *d, struct ahci_port *p, unsigned slot, const struct ahci_header *h,
                         struct ata_tf *tf)
{
    uint8_t buf[512];
    struct ata_op op;

    ata_decode(unit_of(d, p), &p->ata, tf, true, &op, buf);
    p->slot[slot].ncq = op.proto == ATA_NCQ;
    p->slot[slot].packet = 0;
    if (op.proto == ATA_NCQ && tf->status & ATA_S_ERR)
        end_error(d, p, slot, tf->error);
    else if (op.kind == ATA_DONE)
        end_register(d, p, slot, tf);
    else if (op.kind == ATA_DATA)
        small_data(d, p, slot, h, tf, buf);
    else
        transfer(d, p, slot, &op);
}

static void packet(struct regdev *d, struct ahci_port *p, unsigned slot, const struct ahci_header *h)
{
    struct ahci_slot *s = &p->slot[slot];
    uint8_t cdb[16], buf[SCSI_DATA_MAX];
    struct scsi_op op;

    *s = (struct ahci_slot){.packet = 1};
    guestram_read(&d->ram, (h->table & ~127ull) + 0x40, cdb, sizeof(cdb));
    cd_command(unit_of(d, p), &p->lun, cdb, &op, buf);
    if (op.kind == SCSI_READ && op.nsect) {
        s->lba = op.lba;
        s->total = op.nsect * 512u;
        s->stage = AHCI_MOVE;
        p->tfd = ATA_S_BSY | ATA_S_DRDY;
        ahci_again(d, p, slot);
    } else if (op.kind == SCSI_DONE && op.status != SCSI_GOOD) {
        end_sense(d, p, slot, p->lun.sense.key, p->lun.sense.asc);
    } else if (op.kind == SCSI_DATA && !ahci_data_put(d, h, buf, op.len)) {
        fault(d, p, slot, "its data is not in memory");
    } else {
        s->done = op.kind == SCSI_DATA ? op.len : 0;
        end_ok(d, p, slot);
    }
}

static void cd_drive_command(struct regdev *d, struct ahci_port *p, unsigned slot,
                             const struct ahci_header *h, struct ata_tf *tf)
{
    uint8_t buf[512];

    ata_ok(tf);
    p->slot[slot].ncq = p->slot[slot].packet = 0;
    switch (tf->command) {
    case ATA_C_PACKET:
        packet(d, p, slot, h);
        return;
    case ATA_C_IDENTIFY_PACKET:
        ata_identify_packet(unit_of(d, p), &p->ata, true, buf);
        small_data(d, p, slot, h, tf, buf);
        return;
    case 0xef:
        ata_set_features(&p->ata, tf);
        break;
    case 0xe0: case 0xe1: case 0xe2: case 0xe3: case 0xe5: case 0xe6:
        break;
    default:
        ata_abort(tf);
    }
    end_register(d, p, slot, tf);
}

/* A control frame: SRST set, then cleared (SATA 3 11.4). */
static void control(struct regdev *d, struct ahci_port *p, unsigned slot, uint8_t v)
{
    bool was = p->srst;

    p->srst = v & 4;
    p->ci &= ~(1u << slot);
    if (was && !p->srst)
        ahci_port_announce(d, p);
}

void ahci_command(struct regdev *d, struct ahci_port *p, unsigned slot)
{
    const struct regdev_unit *u = unit_of(d, p);
    struct ahci_header h;
    struct ata_tf tf;
    uint8_t fis[20];

    if (!ahci_header(d, p, slot, &h) || !guestram_read(&d->ram, h.table & ~127ull, fis, sizeof(fis)) ||
        fis[0] != 0x27) {
        p->slot[slot].ncq = p->slot[slot].packet = 0;
        fault(d, p, slot, "there is no command");
        return;
    }
    if (!(fis[1] & 0x80)) {
        control(d, p, slot, fis[15]);
        return;
    }
    tf_of_fis(fis, &tf);
    if (u->flags & ABI_DEV_UNIT_CD)
        cd_drive_command(d, p, slot, &h, &tf);
    else
        disk_command(d, p, slot, &h, &tf);
}
