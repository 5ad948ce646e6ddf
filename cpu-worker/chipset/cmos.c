/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a PC firmware finds in the battery-backed bytes besides the clock: memory sizes, equipment
 * and the checksum. Owns their power-on contents; must never read the host's clock or memory.
 * Reference: the conventional PC/AT CMOS map.
 */
#include "cpu-worker/chipset/chipset-internal.h"

#define MIB (1ull << 20)

static void put16(uint8_t *cmos, unsigned low, unsigned high, uint64_t v)
{
    v = v > 0xffff ? 0xffff : v;
    cmos[low] = v & 0xff;
    cmos[high] = (uint8_t)(v >> 8);
}

static void checksum(uint8_t *cmos)
{
    unsigned sum = 0;
    for (unsigned i = 0x10; i <= 0x2d; i++)
        sum += cmos[i];
    put16(cmos, 0x2f, 0x2e, sum); /* high byte first */
}

void cmos_init(struct chipset *cs)
{
    uint8_t *cmos = cs->st->rtc.cmos;
    uint64_t low = cs->page->ram_below_4g, high = cs->page->ram_above_4g;
    uint64_t ext_kib = low > MIB ? (low - MIB) / 1024 : 0;
    uint64_t above16 = low > 16 * MIB ? (low - 16 * MIB) / 65536 : 0;
    cmos[0x14] = 0x06; /* equipment: coprocessor, pointing device */
    put16(cmos, 0x15, 0x16, 640);
    put16(cmos, 0x17, 0x18, ext_kib);
    put16(cmos, 0x30, 0x31, ext_kib);
    put16(cmos, 0x34, 0x35, above16); /* units of 64 KiB above 16 MiB, below 4 GiB */
    uint64_t units = high / 65536;    /* units of 64 KiB above 4 GiB, three bytes */
    units = units > 0xffffff ? 0xffffff : units;
    cmos[0x5b] = units & 0xff;
    cmos[0x5c] = (uint8_t)(units >> 8);
    cmos[0x5d] = (uint8_t)(units >> 16);
    cmos[0x5f] = (uint8_t)(cs->page->vcpus ? cs->page->vcpus - 1 : 0); /* further processors */
    checksum(cmos);
}

#define SHUTDOWN_STATUS 0x0f
#define RESUME_S3 0xfe /* what QEMU's machines leave there, and their firmware looks for */

void cmos_board_set(struct chipset *cs)
{
    uint8_t *cmos = cs->st->rtc.cmos;
    if (__atomic_load_n(&cs->page->waking, __ATOMIC_RELAXED))
        cmos[SHUTDOWN_STATUS] = RESUME_S3;
    cmos[0x38] = cmos[0x3d] = 0; /* boot order: given anew at each reset */
    for (unsigned i = 0x10; i < sizeof(cs->page->cmos_board); i++)
        if (cs->page->cmos_board[i])
            cmos[i] = cs->page->cmos_board[i];
    checksum(cmos);
}
