/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The data of a command: PIO blocks through the window, and requests to the block process. A request is
 * always a function of the state, so a successor can ask again; nothing leaves before the state is
 * committed (regdev sees to that).
 */
#include <string.h>
#include "device-procs/ide/ide.h"

static uint64_t data_port(const struct ide_channel *c)
{
    return (uint64_t)(IDE_REGION_CMD + 2 * ide_index(c)) << ABI_DEV_REGION_SHIFT;
}

static struct disklink *link_of(struct regdev *d, struct ide_channel *c)
{
    return regdev_link(d, ide_unit_index(c));
}

void ide_disk_error(struct ide_channel *c)
{
    if (c->packet)
        ide_packet_error(c, SENSE_MEDIUM_ERROR, 0x11);
    else
        ide_finish(c, ATA_S_DRDY | ATA_S_DSC | ATA_S_ERR, c->out ? ATA_E_ABRT : ATA_E_UNC);
}

static void request(struct regdev *d, struct ide_channel *c, enum dl_op op, uint64_t lba, uint32_t bytes)
{
    struct disklink *l = link_of(d, c);
    struct dl_seg seg = {DL_BUFFER_GPA, bytes};

    c->phase = IDE_DISK;
    ide_busy_drive(c)->status = ATA_S_BSY;
    if (!l || !disklink_prepare(l, op, lba, 0, &seg, bytes ? 1 : 0, ide_index(c)))
        ide_disk_error(c);
}

/* The next entry of the range list that lies in the link's buffer (ACS-3 section 7.5.3). */
bool ide_trim_next(struct regdev *d, struct ide_channel *c)
{
    const struct regdev_unit *u = ide_unit(d, c, c->unit);
    struct disklink *l = link_of(d, c);

    for (; l && c->pos + 8 <= c->total; c->pos += 8) {
        uint64_t entry, lba;
        uint32_t n;

        memcpy(&entry, disklink_buffer(l) + c->pos, 8);
        lba = entry & 0xffffffffffffull;
        n = (uint32_t)(entry >> 48);
        if (!n)
            continue;
        if (lba >= u->sectors || n > u->sectors - lba)
            return false;
        c->phase = IDE_DISK;
        return disklink_prepare(l, DL_DISCARD, lba, n, NULL, 0, ide_index(c));
    }
    if (l)
        ide_finish(c, ATA_S_DRDY | ATA_S_DSC, 0);
    return l;
}

void ide_data_again(struct regdev *d, struct ide_channel *c)
{
    switch (c->step) {
    case IDE_STEP_PIO_READ:
        request(d, c, DL_READ, c->lba, c->chunk);
        break;
    case IDE_STEP_PIO_WRITE:
        request(d, c, DL_WRITE, c->lba, c->chunk);
        break;
    case IDE_STEP_VERIFY:
        c->chunk = c->total - c->done < IDE_PIO_CHUNK ? c->total - c->done : IDE_PIO_CHUNK;
        request(d, c, DL_READ, c->lba, c->chunk);
        break;
    case IDE_STEP_FLUSH:
        request(d, c, DL_FLUSH, 0, 0);
        break;
    case IDE_STEP_TRIM:
        if (!ide_trim_next(d, c))
            ide_disk_error(c);
        break;
    case IDE_STEP_DMA:
        ide_dma_go(d, c);
        break;
    }
}

/* ---- PIO ----------------------------------------------------------------------------------- */

/* ATA/ATAPI-7 9.8: a packet command's block is what its byte count register says. */
static void block_open(struct regdev *d, struct ide_channel *c)
{
    struct ide_drive *v = ide_busy_drive(c);
    unsigned w = ide_index(c);
    uint32_t left = c->chunk - c->pos;

    c->block = left < c->block_max ? left : c->block_max;
    if (!c->out)
        memcpy(d->page->data[w],
               (c->source == IDE_SMALL ? c->small : disklink_buffer(link_of(d, c))) + c->pos, c->block);
    if (c->packet) {
        v->count[0] = 2; /* to the host, data */
        v->lbam[0] = (uint8_t)c->block;
        v->lbah[0] = (uint8_t)(c->block >> 8);
    }
    v->status = ATA_S_DRDY | ATA_S_DSC | ATA_S_DRQ;
    c->phase = IDE_WINDOW;
    regdev_window_open(d, w, c->out ? ABI_DEV_WINDOW_OUT : ABI_DEV_WINDOW_IN, data_port(c), c->block);
}

static void pio_start(struct regdev *d, struct ide_channel *c)
{
    uint32_t left = c->total - c->done;

    c->chunk = left < IDE_PIO_CHUNK ? left : IDE_PIO_CHUNK;
    c->pos = 0;
    if (c->source == IDE_MEDIUM && !link_of(d, c)) {
        ide_disk_error(c);
    } else if (c->source == IDE_MEDIUM && !c->out) {
        c->step = IDE_STEP_PIO_READ;
        ide_data_again(d, c);
    } else {
        block_open(d, c);
        if (!c->out)
            ide_intrq(c);
    }
}

static void chunk_end(struct regdev *d, struct ide_channel *c)
{
    c->done += c->chunk;
    c->lba += c->chunk / 512;
    if (c->done < c->total) {
        pio_start(d, c);
        if (c->out)
            ide_intrq(c);
    } else if (c->packet) {
        ide_packet_end(c);
    } else {
        uint8_t before = c->intrq;

        ide_finish(c, ATA_S_DRDY | ATA_S_DSC, 0);
        if (!c->out) /* the last block's own interrupt was the last one (ATA/ATAPI-7 9.5) */
            c->intrq = before;
    }
}

void ide_data_window(struct regdev *d, struct ide_channel *c)
{
    uint8_t cdb[12];

    if (c->phase != IDE_WINDOW)
        return;
    if (c->cdb_wait) {
        memcpy(cdb, d->page->data[ide_index(c)], sizeof(cdb));
        c->cdb_wait = 0;
        ide_packet_cdb(d, c, cdb);
        return;
    }
    if (c->out && link_of(d, c))
        memcpy(disklink_buffer(link_of(d, c)) + c->pos, d->page->data[ide_index(c)], c->block);
    c->pos += c->block;
    if (c->pos < c->chunk) {
        block_open(d, c);
        ide_intrq(c);
    } else if (c->out) {
        c->step = IDE_STEP_PIO_WRITE;
        ide_data_again(d, c);
    } else {
        chunk_end(d, c);
    }
}

/* ---- from the block process ---------------------------------------------------------------- */

static void dma_done(struct regdev *d, struct ide_channel *c)
{
    c->done += c->chunk;
    c->lba += c->chunk / 512;
    if (c->done < c->total) {
        ide_dma_go(d, c);
        return;
    }
    c->bm_status &= (uint8_t)~BM_S_ACTIVE;
    if (c->packet)
        ide_packet_end(c);
    else
        ide_finish(c, ATA_S_DRDY | ATA_S_DSC, 0);
}

static void verify_done(struct regdev *d, struct ide_channel *c)
{
    c->done += c->chunk;
    c->lba += c->chunk / 512;
    if (c->done < c->total)
        ide_data_again(d, c);
    else
        ide_finish(c, ATA_S_DRDY | ATA_S_DSC, 0);
}

static void request_done(struct regdev *d, struct ide_channel *c)
{
    switch (c->step) {
    case IDE_STEP_PIO_READ:
        block_open(d, c);
        ide_intrq(c);
        break;
    case IDE_STEP_PIO_WRITE:
        chunk_end(d, c);
        break;
    case IDE_STEP_DMA:
        dma_done(d, c);
        break;
    case IDE_STEP_VERIFY:
        verify_done(d, c);
        break;
    case IDE_STEP_TRIM:
        c->pos += 8;
        ide_data_again(d, c);
        break;
    default:
        ide_finish(c, ATA_S_DRDY | ATA_S_DSC, 0);
    }
}

void ide_data_disk(struct regdev *d, struct ide_channel *c, bool ok)
{
    if (c->phase != IDE_DISK)
        return;
    if (c->resetting) {
        c->phase = IDE_IDLE;
        ide_soft_reset(d, c);
    } else if (ok) {
        request_done(d, c);
    } else {
        c->bm_status &= (uint8_t)~BM_S_ACTIVE;
        ide_disk_error(c);
    }
}

void ide_data_start(struct regdev *d, struct ide_channel *c)
{
    ide_busy_drive(c)->status = ATA_S_BSY;
    if (!c->dma) {
        pio_start(d, c);
        return;
    }
    c->phase = IDE_DMA_WAIT;
    if (c->bm_status & BM_S_ACTIVE)
        ide_dma_go(d, c);
}
