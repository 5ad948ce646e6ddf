/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The NVM command set (NVMe 1.4 section 6) and PRP lists (4.3). Data goes straight between guest memory and the block
 * process. Must never hand on an address that was not checked.
 */
#include <string.h>
#include "device-procs/nvme/nvme.h"

#define OP_FLUSH 0x00u
#define OP_WRITE 0x01u
#define OP_READ  0x02u
#define OP_ZERO  0x08u
#define OP_DSM   0x09u
#define RANGES_MAX 256u

struct prp_walk {
    struct dl_seg *seg;
    unsigned n;
    uint32_t left;
};

static bool page_add(struct regdev *d, struct prp_walk *w, uint64_t gpa)
{
    uint32_t len = NVME_PAGE - (gpa & (NVME_PAGE - 1));

    len = len < w->left ? len : w->left;
    if (!guestram_has(&d->ram, gpa, len))
        return false;
    if (w->n && w->seg[w->n - 1].gpa + w->seg[w->n - 1].len == gpa) {
        w->seg[w->n - 1].len += len;
    } else {
        if (w->n == ABI_LINK_SEGS)
            return false;
        w->seg[w->n++] = (struct dl_seg){gpa, len};
    }
    w->left -= len;
    return true;
}

/* The last entry of a list page leads to the next page if more is to come. */
static bool list_walk(struct regdev *d, struct prp_walk *w, uint64_t list)
{
    for (unsigned hops = 0; w->left; hops++) {
        uint32_t room = (NVME_PAGE - (list & (NVME_PAGE - 1))) / 8;
        uint64_t e = 0;

        if (hops > 4 || list & 7)
            return false;
        for (uint32_t i = 0; i < room && w->left; i++, list += 8) {
            if (!guestram_read(&d->ram, list, &e, 8))
                return false;
            if (i + 1 == room && w->left > NVME_PAGE)
                break;
            if (e & (NVME_PAGE - 1) || !page_add(d, w, e))
                return false;
        }
        list = e;
    }
    return true;
}

bool nvme_prp(struct regdev *d, uint64_t prp1, uint64_t prp2, uint32_t want, struct dl_seg *seg, unsigned *n)
{
    struct prp_walk w = {seg, 0, want};
    bool ok = !(prp1 & 3) && page_add(d, &w, prp1);

    if (ok && w.left && w.left <= NVME_PAGE)
        ok = !(prp2 & (NVME_PAGE - 1)) && page_add(d, &w, prp2);
    else if (ok && w.left)
        ok = list_walk(d, &w, prp2);
    *n = w.n;
    return ok && !w.left;
}

static void ask(struct regdev *d, struct nvme_cmd *c, enum dl_op op, uint64_t lba, uint32_t n,
                const struct dl_seg *seg, unsigned nseg)
{
    struct disklink *l = regdev_link(d, c->unit);

    if (!l || !disklink_prepare(l, op, lba, n, seg, nseg, (uint32_t)(c - nvme.cmd)))
        nvme_complete(d, c, c->opcode == OP_READ ? NVME_READ_ERROR : NVME_WRITE_FAULT, 0);
}

static void move(struct regdev *d, struct nvme_cmd *c)
{
    struct dl_seg seg[ABI_LINK_SEGS];
    unsigned n;

    if (!nvme_prp(d, c->prp1, c->prp2, c->nsect * 512u, seg, &n)) {
        regdev_guest_error(d, "queue %u, command %u: its PRPs do not lead to memory", c->sqid, c->cid);
        nvme_complete(d, c, NVME_DATA_ERROR, 0);
        return;
    }
    ask(d, c, c->opcode == OP_READ ? DL_READ : DL_WRITE, c->lba, 0, seg, n);
}

static bool range_ok(struct regdev *d, const struct nvme_cmd *c, uint64_t lba, uint64_t n)
{
    uint64_t all = d->unit[c->unit].sectors;

    return lba < all && n <= all - lba;
}

/* One range of a deallocation (6.7) after the other; the list is read again each time. */
static void dsm_next(struct regdev *d, struct nvme_cmd *c)
{
    struct dl_seg seg[ABI_LINK_SEGS];
    struct {
        uint32_t attributes, n;
        uint64_t lba;
    } r[RANGES_MAX];
    uint32_t bytes = c->ranges * 16u, at = 0;
    unsigned n;

    if (!nvme_prp(d, c->prp1, c->prp2, bytes, seg, &n)) {
        nvme_complete(d, c, NVME_DATA_ERROR, 0);
        return;
    }
    for (unsigned i = 0; i < n; at += seg[i++].len)
        guestram_read(&d->ram, seg[i].gpa, (uint8_t *)r + at, seg[i].len);
    for (; c->at < c->ranges; c->at++) {
        if (!r[c->at].n)
            continue;
        if (!range_ok(d, c, r[c->at].lba, r[c->at].n)) {
            nvme_complete(d, c, NVME_LBA_RANGE | NVME_DNR, 0);
            return;
        }
        if (r[c->at].n <= (4u << 20)) { /* longer ones are kept: a hint may be ignored */
            ask(d, c, DL_DISCARD, r[c->at].lba, r[c->at].n, NULL, 0);
            return;
        }
    }
    nvme_complete(d, c, NVME_OK, 0);
}

void nvme_io_again(struct regdev *d, struct nvme_cmd *c)
{
    if (c->stage == NVME_FLUSHING || c->opcode == OP_FLUSH)
        ask(d, c, DL_FLUSH, 0, 0, NULL, 0);
    else if (c->opcode == OP_DSM)
        dsm_next(d, c);
    else if (c->opcode == OP_ZERO)
        ask(d, c, DL_ZERO, c->lba, c->nsect, NULL, 0);
    else
        move(d, c);
}

void nvme_io_done(struct regdev *d, struct nvme_cmd *c, bool ok)
{
    if (!ok) {
        nvme_complete(d, c, c->opcode == OP_READ ? NVME_READ_ERROR : NVME_WRITE_FAULT, 0);
    } else if (c->stage == NVME_OUT && c->opcode == OP_DSM) {
        c->at++;
        dsm_next(d, c);
    } else if (c->stage == NVME_OUT && c->fua) {
        c->stage = NVME_FLUSHING;
        nvme_io_again(d, c);
    } else {
        nvme_complete(d, c, NVME_OK, 0);
    }
}

static uint16_t io_check(struct regdev *d, struct nvme_cmd *c, const struct nvme_sqe *e)
{
    bool writes = c->opcode == OP_WRITE || c->opcode == OP_ZERO || c->opcode == OP_DSM;

    if (c->opcode != OP_FLUSH && c->opcode != OP_READ && !writes)
        return NVME_INVALID_OPCODE | NVME_DNR;
    if (e->nsid == 0 || e->nsid > ABI_DEV_UNITS || !(d->unit[e->nsid - 1].flags & ABI_DEV_UNIT_PRESENT))
        return NVME_INVALID_NS | NVME_DNR;
    c->unit = (uint8_t)(e->nsid - 1);
    if (writes && d->unit[c->unit].flags & ABI_DEV_UNIT_READONLY)
        return 0x182 | NVME_DNR; /* attempted write to read only range */
    if (c->opcode == OP_DSM) {
        c->ranges = (uint16_t)((e->cdw10 & 0xff) + 1);
        return e->cdw11 & 4 ? NVME_OK : NVME_INVALID_FIELD | NVME_DNR;
    }
    if (c->opcode == OP_FLUSH)
        return NVME_OK;
    c->lba = e->cdw10 | (uint64_t)e->cdw11 << 32;
    c->nsect = (e->cdw12 & 0xffff) + 1;
    c->fua = writes && e->cdw12 >> 30 & 1;
    if (!range_ok(d, c, c->lba, c->nsect))
        return NVME_LBA_RANGE | NVME_DNR;
    return c->opcode != OP_ZERO && c->nsect * 512u > NVME_PAGE << NVME_MDTS ? NVME_INVALID_FIELD | NVME_DNR
                                                                          : NVME_OK;
}

void nvme_io(struct regdev *d, struct nvme_cmd *c, const struct nvme_sqe *e)
{
    uint16_t bad;

    c->prp1 = e->prp1;
    c->prp2 = e->prp2;
    bad = io_check(d, c, e);
    if (bad)
        nvme_complete(d, c, bad, 0);
    else if (c->opcode == OP_DSM && d->unit[c->unit].sectors == 0)
        nvme_complete(d, c, NVME_OK, 0);
    else
        nvme_io_again(d, c);
}
