/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bus mastering: the registers of one channel and its PRD table (82371SB sections 2.6 and 3.5). Data goes
 * straight between guest memory and the block process; only what a drive says about itself is copied
 * here. Must never hand on an address that was not checked.
 */
#include <string.h>
#include "device-procs/ide/ide.h"

#define PRD_EOT     0x80000000u
#define PRD_ENTRIES 8192u /* a table does not cross 64 KiB */

struct prd_walk {
    struct dl_seg seg[ABI_LINK_SEGS];
    unsigned n;
    uint32_t bytes;
};

static bool part_add(struct regdev *d, struct prd_walk *w, uint64_t addr, uint32_t len)
{
    if (!guestram_has(&d->ram, addr, len))
        return false;
    w->seg[w->n++] = (struct dl_seg){addr, len};
    w->bytes += len;
    return true;
}

/* Up to `want` bytes of the table's memory from byte `skip` on. false: not guest memory. */
static bool prd_collect(struct regdev *d, uint32_t table, uint32_t skip, uint32_t want, struct prd_walk *w)
{
    w->n = 0;
    w->bytes = 0;
    for (unsigned i = 0; i < PRD_ENTRIES && w->bytes < want && w->n < ABI_LINK_SEGS; i++) {
        uint32_t e[2], len, left = want - w->bytes;

        if (!guestram_read(&d->ram, (table & ~3u) + 8ull * i, e, 8))
            return false;
        len = e[1] & 0xfffe ? e[1] & 0xfffe : 65536;
        if (skip >= len) {
            skip -= len;
        } else {
            if (!part_add(d, w, (e[0] & ~1u) + (uint64_t)skip, len - skip < left ? len - skip : left))
                return false;
            skip = 0;
        }
        if (e[1] & PRD_EOT)
            break;
    }
    return true;
}

/* Whole sectors only. */
static void prd_trim(struct prd_walk *w)
{
    uint32_t over = w->bytes % 512;

    w->bytes -= over;
    while (over && w->n) {
        struct dl_seg *s = &w->seg[w->n - 1];
        uint32_t part = over < s->len ? over : s->len;

        s->len -= part;
        over -= part;
        if (!s->len)
            w->n--;
    }
}

static void dma_fault(struct regdev *d, struct ide_channel *c, const char *what)
{
    regdev_guest_error(d, "bus master of channel %u: %s", ide_index(c), what);
    c->bm_status = (uint8_t)((c->bm_status & ~BM_S_ACTIVE) | BM_S_ERROR);
    if (c->packet)
        ide_packet_error(c, SENSE_ILLEGAL_REQUEST, 0);
    else
        ide_finish(c, ATA_S_DRDY | ATA_S_DSC | ATA_S_ERR, ATA_E_ABRT);
}

static void dma_small(struct regdev *d, struct ide_channel *c)
{
    struct prd_walk w;
    uint32_t at = 0;
    bool ok = prd_collect(d, c->bm_prd, 0, c->total, &w);

    for (unsigned i = 0; ok && i < w.n; at += w.seg[i++].len)
        ok = guestram_write(&d->ram, w.seg[i].gpa, c->small + at, w.seg[i].len);
    if (!ok) {
        dma_fault(d, c, "the PRD table does not lead to memory");
        return;
    }
    c->done = c->total;
    c->bm_status &= (uint8_t)~BM_S_ACTIVE;
    if (c->packet)
        ide_packet_end(c);
    else
        ide_finish(c, ATA_S_DRDY | ATA_S_DSC, 0);
}

/* The range list of a TRIM is copied to the link's buffer, where a successor finds it. */
static void trim_fetch(struct regdev *d, struct ide_channel *c)
{
    struct disklink *l = regdev_link(d, ide_unit_index(c));
    struct prd_walk w;
    uint32_t at = 0;

    if (!l || !prd_collect(d, c->bm_prd, 0, c->total, &w) || w.bytes < c->total) {
        dma_fault(d, c, "the PRD table is too short");
        return;
    }
    for (unsigned i = 0; i < w.n; at += w.seg[i++].len)
        guestram_read(&d->ram, w.seg[i].gpa, disklink_buffer(l) + at, w.seg[i].len);
    c->bm_status &= (uint8_t)~BM_S_ACTIVE;
    c->pos = 0;
    ide_data_again(d, c);
}

static void dma_medium(struct regdev *d, struct ide_channel *c)
{
    struct disklink *l = regdev_link(d, ide_unit_index(c));
    uint32_t want = c->total - c->done < IDE_DMA_CHUNK ? c->total - c->done : IDE_DMA_CHUNK;
    struct prd_walk w;
    bool ok = prd_collect(d, c->bm_prd, c->done, want, &w);

    prd_trim(&w);
    if (!ok || !w.bytes) {
        dma_fault(d, c, ok ? "the PRD table is too short" : "the PRD table does not lead to memory");
        return;
    }
    c->chunk = w.bytes;
    c->step = IDE_STEP_DMA;
    c->phase = IDE_DISK;
    ide_busy_drive(c)->status = ATA_S_BSY;
    if (!l || !disklink_prepare(l, c->out ? DL_WRITE : DL_READ, c->lba, 0, w.seg, w.n, ide_index(c)))
        ide_disk_error(c);
}

void ide_dma_go(struct regdev *d, struct ide_channel *c)
{
    if (!regdev_bus_master(d))
        dma_fault(d, c, "bus mastering is off");
    else if (c->source == IDE_SMALL)
        dma_small(d, c);
    else if (c->step == IDE_STEP_TRIM)
        trim_fetch(d, c);
    else
        dma_medium(d, c);
}

uint64_t ide_bm_read(struct ide_channel *c, unsigned off, unsigned size)
{
    uint8_t reg[16] = {c->bm_cmd, 0, c->bm_status, 0};
    uint64_t v = 0;

    memcpy(reg + 4, &c->bm_prd, 4);
    memcpy(&v, reg + off, size < 4 ? size : 4);
    return v;
}

static void bm_command(struct regdev *d, struct ide_channel *c, uint8_t v)
{
    bool start = v & BM_START && !(c->bm_cmd & BM_START);

    c->bm_cmd = v & 0x09;
    if (start)
        c->bm_status |= BM_S_ACTIVE;
    else if (!(v & BM_START))
        c->bm_status &= (uint8_t)~BM_S_ACTIVE;
    if (start && c->phase == IDE_DMA_WAIT)
        ide_dma_go(d, c);
}

static void prd_write(struct ide_channel *c, unsigned at, unsigned size, uint32_t v)
{
    uint32_t mask = (size >= 4 ? ~0u : (1u << (8 * size)) - 1) << (8 * at);

    c->bm_prd = ((c->bm_prd & ~mask) | (v << (8 * at) & mask)) & ~3u;
}

void ide_bm_write(struct regdev *d, struct ide_channel *c, unsigned off, unsigned size, uint64_t value)
{
    uint32_t v = (uint32_t)value;

    if (off == 0)
        bm_command(d, c, (uint8_t)v);
    else if (off == 2) /* error and interrupt are cleared by ones */
        c->bm_status = (uint8_t)((v & BM_S_RW) | (c->bm_status & BM_S_ACTIVE) |
                                 (c->bm_status & ~v & (BM_S_ERROR | BM_S_INTR)));
    else if (off >= 4)
        prd_write(c, off - 4, size, v);
}
