/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The admin command set (NVMe 1.4 section 5). All of it is answered at once, but for event requests, which are held.
 */
#include <string.h>
#include "device-procs/nvme/nvme.h"

#define QUEUES_IO (NVME_QUEUES - 1)

static void put16(uint8_t *p, uint16_t v)
{
    memcpy(p, &v, 2);
}

static void put32(uint8_t *p, uint32_t v)
{
    memcpy(p, &v, 4);
}

static void text_put(uint8_t *p, size_t len, const char *s)
{
    size_t n = strnlen(s, len);

    memset(p, ' ', len);
    memcpy(p, s, n);
}

static uint16_t data_put(struct regdev *d, const struct nvme_sqe *e, const uint8_t *buf, uint32_t len)
{
    struct dl_seg seg[ABI_LINK_SEGS];
    uint32_t at = 0;
    unsigned n;

    if (!nvme_prp(d, e->prp1, e->prp2, len, seg, &n))
        return NVME_INVALID_FIELD | NVME_DNR;
    for (unsigned i = 0; i < n; at += seg[i++].len)
        guestram_write(&d->ram, seg[i].gpa, buf + at, seg[i].len);
    return NVME_OK;
}

static bool ns_there(struct regdev *d, uint32_t nsid)
{
    return nsid && nsid <= ABI_DEV_UNITS && d->unit[nsid - 1].flags & ABI_DEV_UNIT_PRESENT;
}

static void identify_controller(struct regdev *d, uint8_t *b)
{
    put16(b + 0, 0x1b36);
    put16(b + 2, 0x1af4);
    text_put(b + 4, 20, d->unit[0].serial[0] ? d->unit[0].serial : "BH00001");
    text_put(b + 24, 40, d->unit[0].model[0] ? d->unit[0].model : "Bulkhead NVMe Ctrl");
    text_put(b + 64, 8, "1.0");
    b[77] = NVME_MDTS;
    put32(b + 80, 0x00010400);
    b[258] = 3;             /* aborts */
    b[259] = NVME_AERS - 1; /* event requests */
    b[260] = 0x02;          /* one firmware slot */
    put16(b + 266, 0x157);  /* temperatures */
    put16(b + 268, 0x175);
    b[512] = 0x66;
    b[513] = 0x44;
    put32(b + 516, ABI_DEV_UNITS);
    put16(b + 520, 0x0c);   /* write zeroes, dataset management */
    b[525] = 1;             /* a volatile write cache */
    strcpy((char *)b + 768, "nqn.2026-01.org.bulkhead:nvme");
    put16(b + 2048, 0x9c4);
}

static void identify_namespace(const struct regdev_unit *u, uint8_t *b)
{
    memcpy(b, &u->sectors, 8);
    memcpy(b + 8, &u->sectors, 8);
    memcpy(b + 16, &u->sectors, 8);
    b[99] = u->flags & ABI_DEV_UNIT_READONLY ? 1 : 0;
    put32(b + 128, 9u << 16); /* 512 bytes */
}

static void namespace_list(struct regdev *d, uint32_t after, uint8_t *b)
{
    for (uint32_t nsid = 1; nsid <= ABI_DEV_UNITS; nsid++)
        if (nsid > after && ns_there(d, nsid)) {
            put32(b, nsid);
            b += 4;
        }
}

/* Section 5.15.2.3: an identifier made of the serial number. */
static void descriptors(const struct regdev_unit *u, uint32_t nsid, uint8_t *b)
{
    b[0] = 3;
    b[1] = 16;
    memcpy(b + 4, u->serial, 15);
    b[19] = (uint8_t)nsid;
}

static uint16_t identify(struct regdev *d, const struct nvme_sqe *e)
{
    uint8_t b[NVME_PAGE] = {0};
    unsigned cns = e->cdw10 & 0xff;

    if ((cns == 0 || cns == 3) && !ns_there(d, e->nsid)) {
        if (cns == 3 || !e->nsid || e->nsid > ABI_DEV_UNITS)
            return NVME_INVALID_NS | NVME_DNR;
        return data_put(d, e, b, sizeof(b)); /* inactive: zeroes */
    }
    switch (cns) {
    case 0: identify_namespace(&d->unit[e->nsid - 1], b); break;
    case 1: identify_controller(d, b); break;
    case 2: namespace_list(d, e->nsid, b); break;
    case 3: descriptors(&d->unit[e->nsid - 1], e->nsid, b); break;
    default: return NVME_INVALID_FIELD | NVME_DNR;
    }
    return data_put(d, e, b, sizeof(b));
}

static uint16_t log_page(struct regdev *d, const struct nvme_sqe *e)
{
    uint8_t b[NVME_PAGE] = {0};
    uint64_t len = (((e->cdw10 >> 16) | (uint64_t)(e->cdw11 & 0xffff) << 16) + 1) * 4;
    unsigned page = e->cdw10 & 0xff;

    if (page == 0 || page > 3 || len > sizeof(b) || e->cdw12 || e->cdw13)
        return NVME_INVALID_FIELD | NVME_DNR;
    if (page == 2) {
        put16(b + 1, 0x143); /* kelvin */
        b[3] = 100;          /* spare, threshold: per cent */
        b[4] = 10;
    }
    if (page == 3) {
        b[0] = 1;
        text_put(b + 8, 8, "1.0");
    }
    return data_put(d, e, b, (uint32_t)len);
}

/* ---- queues -------------------------------------------------------------------------------- */

static uint16_t cq_create(struct regdev *d, const struct nvme_sqe *e)
{
    unsigned qid = e->cdw10 & 0xffff, size = (e->cdw10 >> 16) + 1, iv = e->cdw11 >> 16;

    if (!qid || qid > QUEUES_IO || nvme.cq[qid].used)
        return NVME_QID_INVALID | NVME_DNR;
    if (size < 2 || size > NVME_ENTRIES)
        return NVME_QSIZE_INVALID | NVME_DNR;
    if (iv >= NVME_QUEUES)
        return NVME_VECTOR_INVALID | NVME_DNR;
    if (!(e->cdw11 & 1) || e->prp1 & (NVME_PAGE - 1) || !guestram_has(&d->ram, e->prp1, size * 16ull))
        return NVME_INVALID_FIELD | NVME_DNR;
    nvme.cq[qid] = (struct nvme_cq){.base = e->prp1, .size = (uint16_t)size, .iv = (uint16_t)iv, .used = 1,
                                    .ien = e->cdw11 >> 1 & 1, .phase = 1};
    return NVME_OK;
}

static uint16_t sq_create(struct regdev *d, const struct nvme_sqe *e)
{
    unsigned qid = e->cdw10 & 0xffff, size = (e->cdw10 >> 16) + 1, cqid = e->cdw11 >> 16;

    if (!qid || qid > QUEUES_IO || nvme.sq[qid].used)
        return NVME_QID_INVALID | NVME_DNR;
    if (!cqid || cqid > QUEUES_IO || !nvme.cq[cqid].used)
        return NVME_CQ_INVALID | NVME_DNR;
    if (size < 2 || size > NVME_ENTRIES)
        return NVME_QSIZE_INVALID | NVME_DNR;
    if (!(e->cdw11 & 1) || e->prp1 & (NVME_PAGE - 1) || !guestram_has(&d->ram, e->prp1, size * 64ull))
        return NVME_INVALID_FIELD | NVME_DNR;
    nvme.sq[qid] = (struct nvme_sq){.base = e->prp1, .size = (uint16_t)size, .cqid = (uint16_t)cqid,
                                    .used = 1};
    return NVME_OK;
}

static uint16_t sq_delete(const struct nvme_sqe *e)
{
    unsigned qid = e->cdw10 & 0xffff;

    if (!qid || qid > QUEUES_IO || !nvme.sq[qid].used)
        return NVME_QID_INVALID | NVME_DNR;
    nvme.sq[qid].used = 0;
    for (unsigned i = 0; i < NVME_COMMANDS; i++) /* what is out ends unheard */
        if (nvme.cmd[i].sqid == qid)
            nvme.cmd[i].sqid = NVME_QUEUES;
    return NVME_OK;
}

static uint16_t cq_delete(const struct nvme_sqe *e)
{
    unsigned qid = e->cdw10 & 0xffff;

    if (!qid || qid > QUEUES_IO || !nvme.cq[qid].used)
        return NVME_QID_INVALID | NVME_DNR;
    for (unsigned i = 1; i < NVME_QUEUES; i++)
        if (nvme.sq[i].used && nvme.sq[i].cqid == qid)
            return NVME_Q_DELETION | NVME_DNR;
    nvme.cq[qid].used = 0;
    return NVME_OK;
}

/* ---- features ------------------------------------------------------------------------------ */

static uint16_t feature(const struct nvme_sqe *e, bool set, uint32_t *result)
{
    unsigned id = e->cdw10 & 0xff;

    if (id == 0 || id > 0x0b || id == 3)
        return NVME_INVALID_FIELD | NVME_DNR;
    if (id == 7) {
        if (set && ((e->cdw11 & 0xffff) == 0xffff || e->cdw11 >> 16 == 0xffff))
            return NVME_INVALID_FIELD | NVME_DNR;
        *result = (QUEUES_IO - 1) | (QUEUES_IO - 1) << 16;
        return NVME_OK;
    }
    if (set)
        nvme.features[id] = e->cdw11;
    else
        *result = nvme.features[id];
    return NVME_OK;
}

static bool event_hold(struct nvme_cmd *c)
{
    unsigned n = 0;

    for (unsigned i = 0; i < NVME_COMMANDS; i++)
        n += nvme.cmd[i].stage == NVME_HELD;
    if (n >= NVME_AERS)
        return false;
    c->stage = NVME_HELD;
    return true;
}

void nvme_admin(struct regdev *d, struct nvme_cmd *c, const struct nvme_sqe *e)
{
    uint16_t status = NVME_OK;
    uint32_t result = 0;

    switch (c->opcode) {
    case 0x00: status = sq_delete(e); break;
    case 0x01: status = sq_create(d, e); break;
    case 0x02: status = log_page(d, e); break;
    case 0x04: status = cq_delete(e); break;
    case 0x05: status = cq_create(d, e); break;
    case 0x06: status = identify(d, e); break;
    case 0x08: result = 1; break; /* ABORT: it was too late */
    case 0x09: status = feature(e, true, &result); break;
    case 0x0a: status = feature(e, false, &result); break;
    case 0x0c:
        if (event_hold(c))
            return;
        status = NVME_AER_LIMIT | NVME_DNR;
        break;
    default: status = NVME_INVALID_OPCODE | NVME_DNR;
    }
    nvme_complete(d, c, status, result);
}
