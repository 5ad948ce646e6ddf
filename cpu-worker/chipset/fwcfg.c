/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See fwcfg.h. Reference: QEMU's docs/specs/fw_cfg. Owns selector, offset and the DMA command; the items
 * are the vmm's. A selector is worth what the directory says at the moment of each access; must never
 * follow it outside board memory.
 */
#include "cpu-worker/chipset/fwcfg.h"

#include <string.h>
#include "cpu-worker/chipset/chipset-internal.h"
#include "ipc/abi/fwcfg.h"

#define DMA_ERROR  1u
#define DMA_READ   2u
#define DMA_SKIP   4u
#define DMA_SELECT 8u
#define DMA_WRITE  16u
#define KEY_MASK   0xbfffu /* bit 14 was the write channel of old */
#define SIGNATURE_HIGH 0x51454d55u /* "QEMU", as the big-endian register reads */
#define SIGNATURE_LOW  0x20434647u /* " CFG" */

/* The selected item, checked against the memory it claims. False: there is none, or it is empty. */
static bool item_find(struct chipset *cs, const struct fwcfg_host *h, struct abi_fwcfg_item *out)
{
    uint64_t at = cs->page->fwcfg_off;
    if (at > h->board_size || h->board_size - at < sizeof(struct abi_fwcfg))
        return false;
    const struct abi_fwcfg *dir = (const struct abi_fwcfg *)(h->board + at);
    uint32_t n = dir->count < ABI_FWCFG_MAX ? dir->count : ABI_FWCFG_MAX;
    for (uint32_t i = 0; i < n; i++) {
        *out = dir->item[i];
        if (out->key == cs->st->fwcfg.key)
            return out->off <= h->board_size && out->size <= h->board_size - out->off;
    }
    return false;
}

static void select_item(struct chipset *cs, const struct fwcfg_host *h, uint16_t key)
{
    struct abi_fwcfg_item it;
    cs->st->fwcfg.key = key & KEY_MASK;
    cs->st->fwcfg.offset = 0;
    if (item_find(cs, h, &it) && it.flags & ABI_FWCFG_FRESH)
        h->ask(h->opaque, ABI_MBOX_FWCFG, it.key);
}

static uint8_t byte_next(struct chipset *cs, const struct fwcfg_host *h)
{
    struct abi_fwcfg_item it;
    struct abi_fwcfg_state *s = &cs->st->fwcfg;
    if (!item_find(cs, h, &it) || s->offset >= it.size)
        return 0; /* beyond the end */
    return h->board[it.off + s->offset++];
}

/* ---- DMA
 * ------------------------------------------------------------------------------------------ */
static bool zero_fill(const struct fwcfg_host *h, uint64_t gpa, uint64_t len)
{
    uint8_t zeros[4096] = {0};
    for (uint64_t n; len; gpa += n, len -= n) {
        n = len < sizeof(zeros) ? len : sizeof(zeros);
        if (!h->copy(h->opaque, gpa, zeros, n, true))
            return false;
    }
    return true;
}

static bool dma_move(struct chipset *cs, const struct fwcfg_host *h, uint32_t cmd, uint32_t len, uint64_t gpa)
{
    struct abi_fwcfg_state *s = &cs->st->fwcfg;
    struct abi_fwcfg_item it;
    uint32_t have = item_find(cs, h, &it) && s->offset < it.size ? it.size - s->offset : 0;
    uint32_t n = len < have ? len : have;
    void *at = n ? (uint8_t *)(uintptr_t)h->board + it.off + s->offset : NULL; /* without n there may be no item */
    bool good = true;
    if (cmd & DMA_READ) {
        good = (!n || h->copy(h->opaque, gpa, at, n, true)) && zero_fill(h, gpa + n, len - n);
    } else if (cmd & DMA_WRITE) {
        good = n == len && n && it.flags & ABI_FWCFG_WRITABLE && h->copy(h->opaque, gpa, at, n, false);
        if (good)
            h->ask(h->opaque, ABI_MBOX_FWCFG_WRITTEN, it.key);
    }
    s->offset += n;
    return good;
}

static uint32_t be32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* struct FWCfgDmaAccess: control, length, address, all big-endian; control answers. */
static void dma_run(struct chipset *cs, const struct fwcfg_host *h, uint64_t at)
{
    uint8_t d[16], answer[4] = {0};
    if (!h->copy(h->opaque, at, d, sizeof(d), false))
        return;
    uint32_t cmd = be32(d);
    if (cmd & DMA_SELECT)
        select_item(cs, h, (uint16_t)(cmd >> 16));
    if (!dma_move(cs, h, cmd, be32(d + 4), (uint64_t)be32(d + 8) << 32 | be32(d + 12)))
        answer[3] = DMA_ERROR;
    h->copy(h->opaque, at, answer, sizeof(answer), true);
}

/* ---- ports
 * ---------------------------------------------------------------------------------------- */
uint32_t fwcfg_read(struct chipset *cs, const struct fwcfg_host *h, uint16_t port, unsigned size)
{
    uint32_t v = 0;
    if (port == 0x510)
        return cs->st->fwcfg.key;
    for (unsigned i = 0; i < size; i++) {
        unsigned reg = port - 0x514u + i; /* the DMA register shows a signature, its first byte first */
        if (port == 0x511)
            v |= (uint32_t)(i ? 0 : byte_next(cs, h)) << (8 * i);
        else if (reg < 8)
            v |= ((reg < 4 ? SIGNATURE_HIGH : SIGNATURE_LOW) >> (8 * (3 - reg % 4)) & 0xff) << (8 * i);
    }
    return v;
}

void fwcfg_write(struct chipset *cs, const struct fwcfg_host *h, uint16_t port, unsigned size, uint32_t v)
{
    if (port == 0x510 && size >= 2) {
        select_item(cs, h, (uint16_t)v);
    } else if (port == 0x514 && size == 4) {
        cs->st->fwcfg.dma_high = __builtin_bswap32(v);
    } else if (port == 0x518 && size == 4) {
        uint64_t at = (uint64_t)cs->st->fwcfg.dma_high << 32 | __builtin_bswap32(v);
        cs->st->fwcfg.dma_high = 0;
        dma_run(cs, h, at);
    }
}
