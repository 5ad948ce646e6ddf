/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One SCSI request: header checked, command carried out, data moved between the guest's buffers and the drive. Must never
 * read a header twice.
 */
#include <string.h>
#include "device-procs/scsi/scsi.h"

static struct scsi_lun *lun_of(const struct vscsi_req *r)
{
    return &vscsi_state.lun[r->unit];
}

static void fail(struct vscsi_req *r, uint8_t key, uint8_t asc)
{
    lun_of(r)->sense = (struct scsi_sense){key, asc, 0, 0};
    vscsi_finish(r, VSCSI_S_OK, SCSI_CHECK_CONDITION);
}

/* Physical address of a buffer the queue translated: each piece lies in one region. */
static bool gpa_of(const void *p, uint64_t *gpa)
{
    const struct vu_mem *m = vu_backend_mem(vscsi.be);

    for (unsigned i = 0; i < m->n; i++) {
        uint64_t off = (uint64_t)((const uint8_t *)p - m->r[i].host);

        if ((const uint8_t *)p >= m->r[i].host && off < m->r[i].size) {
            *gpa = m->r[i].gpa + off;
            return true;
        }
    }
    return false;
}

/* The data part of the request: what follows its header or its response. */
static unsigned data_segments(const struct vscsi_req *r, bool to_guest, uint32_t want, struct dl_seg *seg)
{
    const struct vq_elem *e = &r->elem;
    const struct iovec *v = to_guest ? &e->iov[e->n_out] : e->iov;
    unsigned n = to_guest ? e->n_in : e->n_out, out = 0;
    size_t skip = to_guest ? sizeof(struct vscsi_response) : sizeof(struct vscsi_header);

    for (unsigned i = 0; i < n && want && out < ABI_LINK_SEGS; i++) {
        size_t len = v[i].iov_len;
        uint64_t gpa;

        if (skip >= len) {
            skip -= len;
            continue;
        }
        if (!gpa_of((const uint8_t *)v[i].iov_base + skip, &gpa))
            return 0;
        len -= skip;
        skip = 0;
        seg[out] = (struct dl_seg){gpa, len < want ? (uint32_t)len : want};
        want -= seg[out++].len;
    }
    return want ? 0 : out;
}

static void ask(struct vscsi_req *r, enum dl_op op, uint64_t lba, uint32_t n, const struct dl_seg *seg,
                unsigned nseg)
{
    struct disklink *l = regdev_link(vscsi.dev, r->unit);

    if (!l || !disklink_prepare(l, op, lba, n, seg, nseg, (uint32_t)(r - vscsi.req)))
        fail(r, SENSE_MEDIUM_ERROR, 0x11);
}

static void move(struct vscsi_req *r)
{
    struct dl_seg seg[ABI_LINK_SEGS];
    bool to_guest = r->op.kind == SCSI_READ;
    uint64_t bytes = r->op.nsect * 512ull;
    unsigned n = bytes <= UINT32_MAX ? data_segments(r, to_guest, (uint32_t)bytes, seg) : 0;

    if (!n) {
        vscsi_finish(r, VSCSI_S_OVERRUN, SCSI_GOOD); /* less room than data, or too many pieces */
        return;
    }
    r->moved = (uint32_t)bytes;
    ask(r, to_guest ? DL_READ : DL_WRITE, r->op.lba, 0, seg, n);
}

/* SBC-3 section 5.28: ranges of sixteen bytes after a header of eight. */
static bool unmap_parse(struct vscsi_req *r)
{
    const struct regdev_unit *u = &vscsi.dev->unit[r->unit];
    uint8_t b[8 + 16 * VSCSI_RANGES];
    size_t len = iov_to_buf(r->elem.iov, r->elem.n_out, sizeof(struct vscsi_header), b, sizeof(b));
    uint32_t bytes = len >= 8 ? (uint32_t)b[2] << 8 | b[3] : 0;

    r->n_range = r->at = 0;
    if (len < 8 || bytes / 16 > VSCSI_RANGES || bytes / 16 * 16 + 8 > len)
        return false;
    for (unsigned i = 0; i < bytes / 16; i++) {
        uint64_t lba = 0;
        uint32_t n = 0;

        for (unsigned k = 0; k < 8; k++)
            lba = lba << 8 | b[8 + 16 * i + k];
        for (unsigned k = 0; k < 4; k++)
            n = n << 8 | b[16 + 16 * i + k];
        if (lba > u->sectors || n > u->sectors - lba || n > 0x3fffff)
            return false;
        r->range[r->n_range++] = (struct vscsi_range){lba, n};
    }
    return true;
}

static void unmap_next(struct vscsi_req *r)
{
    while (r->at < r->n_range && !r->range[r->at].n)
        r->at++;
    if (r->at == r->n_range)
        vscsi_finish(r, VSCSI_S_OK, SCSI_GOOD);
    else
        ask(r, DL_DISCARD, r->range[r->at].lba, r->range[r->at].n, NULL, 0);
}

void vscsi_disk_done(struct vscsi_req *r, bool ok)
{
    if (!ok) {
        fail(r, SENSE_MEDIUM_ERROR, r->op.kind == SCSI_READ ? 0x11 : 0x0c);
    } else if (r->op.kind == SCSI_UNMAP) {
        r->at++;
        unmap_next(r);
    } else if (r->op.kind == SCSI_WRITE && r->op.fua && !r->flushing) {
        r->flushing = true;
        ask(r, DL_FLUSH, 0, 0, NULL, 0);
    } else {
        vscsi_finish(r, VSCSI_S_OK, SCSI_GOOD);
    }
}

static void small_data(struct vscsi_req *r, const uint8_t *buf)
{
    const struct vq_elem *e = &r->elem;

    r->moved = (uint32_t)buf_to_iov(&e->iov[e->n_out], e->n_in, sizeof(struct vscsi_response), buf, r->op.len);
    vscsi_finish(r, VSCSI_S_OK, SCSI_GOOD);
}

static void carry_out(struct vscsi_req *r, const uint8_t *buf)
{
    switch (r->op.kind) {
    case SCSI_DONE: vscsi_finish(r, VSCSI_S_OK, r->op.status); break;
    case SCSI_DATA: small_data(r, buf); break;
    case SCSI_FLUSH: ask(r, DL_FLUSH, 0, 0, NULL, 0); break;
    case SCSI_UNMAP:
        if (unmap_parse(r))
            unmap_next(r);
        else
            fail(r, SENSE_ILLEGAL_REQUEST, 0x26);
        break;
    default: move(r);
    }
}

/* SPC-4 section 6.33: one unit, number 0. */
static void report_luns(struct vscsi_req *r, const uint8_t *cdb)
{
    uint8_t b[16] = {0, 0, 0, 8};
    uint32_t room = (uint32_t)cdb[6] << 24 | (uint32_t)cdb[7] << 16 | (uint32_t)cdb[8] << 8 | cdb[9];

    r->op = (struct scsi_op){.kind = SCSI_DATA, .len = room < sizeof(b) ? room : sizeof(b)};
    small_data(r, b);
}

static void other_unit(struct vscsi_req *r, const uint8_t *cdb)
{
    uint8_t b[36] = {0x7f, 0, 5, 2, 31};

    if (cdb[0] != 0x12) {
        fail(r, SENSE_ILLEGAL_REQUEST, 0x25);
        return;
    }
    r->op = (struct scsi_op){.kind = SCSI_DATA, .len = cdb[4] < sizeof(b) ? cdb[4] : sizeof(b)};
    small_data(r, b);
}

void vscsi_command(struct vscsi_req *r)
{
    uint8_t buf[SCSI_DATA_MAX];
    const struct regdev_unit *u;
    struct vscsi_header h;

    r->moved = 0;
    r->flushing = false;
    r->unit = 0;
    memset(&r->op, 0, sizeof(r->op));
    iov_to_buf(r->elem.iov, r->elem.n_out, 0, &h, sizeof(h));
    if (h.lun[0] != 1 || h.lun[1] >= ABI_DEV_UNITS ||
        !(vscsi.dev->unit[h.lun[1]].flags & ABI_DEV_UNIT_PRESENT)) {
        vscsi_finish(r, VSCSI_S_BAD_TARGET, SCSI_GOOD);
        return;
    }
    r->unit = h.lun[1];
    u = &vscsi.dev->unit[r->unit];
    if (h.cdb[0] == 0xa0) {
        report_luns(r, h.cdb);
    } else if ((h.lun[2] & 0x3f) || h.lun[3]) {
        other_unit(r, h.cdb);
    } else {
        if (u->flags & ABI_DEV_UNIT_CD)
            cd_command(u, lun_of(r), h.cdb, &r->op, buf);
        else
            scsi_disk_command(u, lun_of(r), h.cdb, &r->op, buf);
        carry_out(r, buf);
    }
}
