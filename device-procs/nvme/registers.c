/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Controller registers and doorbells (NVMe 1.4 section 3.1). Owns enabling, disabling and shutdown.
 */
#include <string.h>
#include "device-procs/nvme/nvme.h"

#define CC_EN    1u
#define CC_WRITABLE 0x00fffff1u
#define CSTS_RDY 1u
#define CSTS_CFS 2u
#define CSTS_SHST 0x0cu
#define DOORBELLS 0x1000u
/* 1024 entries, contiguous queues, 7.5 s, NVM command set, pages of 4 KiB. */
#define CAP ((uint64_t)(NVME_ENTRIES - 1) | 1ull << 16 | 15ull << 24 | 1ull << 37)

bool nvme_anything_out(void)
{
    for (unsigned i = 0; i < NVME_COMMANDS; i++)
        if (nvme.cmd[i].stage == NVME_OUT || nvme.cmd[i].stage == NVME_FLUSHING)
            return true;
    return false;
}

static void stop_now(void)
{
    memset(nvme.sq, 0, sizeof(nvme.sq));
    memset(nvme.cq, 0, sizeof(nvme.cq));
    memset(nvme.cmd, 0, sizeof(nvme.cmd));
    memset(nvme.features, 0, sizeof(nvme.features));
    nvme.features[6] = 1;
    nvme.mask = 0;
    nvme.n_post = 0;
    nvme.draining = 0;
    nvme.csts &= ~(CSTS_RDY | CSTS_SHST | CSTS_CFS);
}

void nvme_drained(struct regdev *d)
{
    (void)d;
    stop_now();
}

/* Section 7.6.1: a controller whose queues are impossible says so with a fatal status. */
static void enable(struct regdev *d)
{
    unsigned sq = (nvme.aqa & 0xfff) + 1, cq = (nvme.aqa >> 16 & 0xfff) + 1;

    if (nvme.cc >> 7 & 0xf || nvme.cc >> 4 & 7 || nvme.asq & 0xfff || nvme.acq & 0xfff || sq < 2 || cq < 2 ||
        sq > NVME_ENTRIES || cq > NVME_ENTRIES) {
        regdev_guest_error(d, "the controller was enabled with impossible settings");
        nvme.csts |= CSTS_CFS;
        return;
    }
    nvme.sq[0] = (struct nvme_sq){.base = nvme.asq, .size = (uint16_t)sq, .used = 1};
    nvme.cq[0] = (struct nvme_cq){.base = nvme.acq, .size = (uint16_t)cq, .used = 1, .ien = 1, .phase = 1};
    nvme.csts |= CSTS_RDY;
}

static void cc_write(struct regdev *d, uint32_t v)
{
    uint32_t old = nvme.cc;

    nvme.cc = v & CC_WRITABLE;
    if (v & 0xc000 && !(old & 0xc000))
        nvme.csts = (nvme.csts & ~CSTS_SHST) | 8; /* shutdown complete: FLUSH is the driver's */
    if (v & CC_EN && !(old & CC_EN)) {
        if (!nvme.draining)
            enable(d);
    } else if (old & CC_EN && !(v & CC_EN)) {
        if (nvme_anything_out()) /* RDY stays until their data has landed */
            nvme.draining = 1;
        else
            stop_now();
    }
}

static void doorbell(struct regdev *d, unsigned n, uint32_t v)
{
    unsigned q = n / 2;

    if (!(nvme.csts & CSTS_RDY) || nvme.draining || q >= NVME_QUEUES)
        return;
    if (n & 1) {
        if (!nvme.cq[q].used || v >= nvme.cq[q].size) {
            regdev_guest_error(d, "completion queue %u: head %u is not in it", q, v);
            return;
        }
        nvme.cq[q].head = (uint16_t)v;
    } else {
        if (!nvme.sq[q].used || v >= nvme.sq[q].size) {
            regdev_guest_error(d, "submission queue %u: tail %u is not in it", q, v);
            return;
        }
        nvme.sq[q].tail = (uint16_t)v;
    }
    nvme_queues_run(d);
}

static uint32_t dword_read(uint32_t off)
{
    switch (off) {
    case 0x00: return (uint32_t)CAP;
    case 0x04: return (uint32_t)(CAP >> 32);
    case 0x08: return 0x00010400;
    case 0x0c: case 0x10: return nvme.mask;
    case 0x14: return nvme.cc;
    case 0x1c: return nvme.csts;
    case 0x24: return nvme.aqa;
    case 0x28: return (uint32_t)nvme.asq;
    case 0x2c: return (uint32_t)(nvme.asq >> 32);
    case 0x30: return (uint32_t)nvme.acq;
    case 0x34: return (uint32_t)(nvme.acq >> 32);
    }
    return 0;
}

uint64_t nvme_read(struct regdev *d, unsigned region, uint32_t off, unsigned size)
{
    uint64_t v;

    (void)d;
    if (region)
        return ~0ull;
    v = (uint64_t)dword_read(off & ~3u) >> (8 * (off & 3));
    if (size == 8)
        v |= (uint64_t)dword_read((off & ~3u) + 4) << 32;
    return v;
}

static void half(uint64_t *reg, unsigned shift, uint32_t v)
{
    *reg = (*reg & ~(0xffffffffull << shift)) | (uint64_t)v << shift;
}

static void dword_write(struct regdev *d, uint32_t off, uint32_t v)
{
    switch (off) {
    case 0x0c: nvme.mask |= v; break;
    case 0x10: nvme.mask &= ~v; break;
    case 0x14: cc_write(d, v); break;
    case 0x24: nvme.aqa = v & 0x0fff0fff; break;
    case 0x28: half(&nvme.asq, 0, v & ~0xfffu); break;
    case 0x2c: half(&nvme.asq, 32, v); break;
    case 0x30: half(&nvme.acq, 0, v & ~0xfffu); break;
    case 0x34: half(&nvme.acq, 32, v); break;
    default:
        if (off >= DOORBELLS)
            doorbell(d, (off - DOORBELLS) / 4, v);
    }
}

void nvme_write(struct regdev *d, unsigned region, uint32_t off, unsigned size, uint64_t value)
{
    if (region || size < 4 || off & 3) {
        regdev_guest_error(d, "a store of %u bytes to register %#x", size, off);
        return;
    }
    dword_write(d, off, (uint32_t)value);
    if (size == 8)
        dword_write(d, off + 4, (uint32_t)(value >> 32));
}
