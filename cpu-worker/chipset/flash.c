/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See flash.h. References: JEDEC JEP137 and JESD68.01 (Common Flash Interface), Intel's 28F-series data sheets
 * for the command cycles. Programming writes the byte as given, as emulators do, where a real cell could only
 * clear bits. Must never write outside the chip.
 */
#include "cpu-worker/chipset/flash.h"

#include <string.h>
#include "cpu-worker/chipset/chipset-internal.h"

#define CMD_PROGRAM_OLD 0x10
#define CMD_ERASE       0x20
#define CMD_PROGRAM     0x40
#define CMD_CLEAR       0x50
#define CMD_LOCK        0x60
#define CMD_STATUS      0x70
#define CMD_ID          0x90
#define CMD_QUERY       0x98
#define CMD_BUFFER      0xe8
#define CMD_CONFIRM     0xd0
#define STATUS_READY 0x80
#define STATUS_ERROR 0x30 /* a command sequence that is none */
#define QUERY_FIRST 0x10

int flash_unit(const struct abi_machine_page *page, uint64_t off)
{
    for (int i = 0; i < ABI_FLASH_MAX; i++)
        if (page->flash[i].size && off - page->flash[i].off < page->flash[i].size)
            return i;
    return -1;
}

static uint64_t chip_size(const struct chipset *cs, int unit)
{
    uint64_t size = cs->page->flash[unit].size, max = (uint64_t)ABI_FLASH_SECTORS * ABI_FLASH_SECTOR;
    return size < max ? size : max;
}

/* The query structure: identification, timing of no importance, geometry of one region of equal sectors. */
static uint8_t query_byte(const struct chipset *cs, int unit, uint64_t off)
{
    uint64_t sectors = chip_size(cs, unit) / ABI_FLASH_SECTOR - 1;
    unsigned log = 63 - (unsigned)__builtin_clzll(chip_size(cs, unit));
    const uint8_t q[] = {'Q', 'R', 'Y', 1, 0, 0x31, 0, 0, 0, 0, 0, 0x45, 0x55, 0, 0, 7, 7, 10, 0, 4, 4, 4, 0,
                         (uint8_t)log, 2, 0, 11, 0, 1, (uint8_t)sectors, (uint8_t)(sectors >> 8),
                         ABI_FLASH_SECTOR >> 8 & 0xff, ABI_FLASH_SECTOR >> 16};
    return off - QUERY_FIRST < sizeof(q) ? q[off - QUERY_FIRST] : 0;
}

uint64_t flash_read(struct chipset *cs, const struct flash_access *a)
{
    uint64_t v = 0;
    cs_lock(cs);
    const struct abi_flash_state *s = &cs->st->flash[a->unit];
    if (s->cmd == ABI_FLASH_ARRAY)
        memcpy(&v, a->mem + a->off, a->size);
    else if (s->cmd == CMD_ID)
        v = (a->off & 0xff) == 0 ? 0x89 : (a->off & 0xff) == 1 ? 0x18 : 0;
    else if (s->cmd == CMD_QUERY)
        v = query_byte(cs, a->unit, a->off & 0xff);
    else
        v = s->status;
    cs_unlock(cs);
    return v;
}

static void sectors_mark(struct chipset *cs, int unit, uint64_t off, uint64_t len)
{
    bool fresh = false;
    for (uint64_t i = off / ABI_FLASH_SECTOR; i <= (off + len - 1) / ABI_FLASH_SECTOR; i++) {
        uint32_t bit = 1u << i % 32, *word = &cs->page->flash[unit].dirty[i / 32];
        fresh |= !(__atomic_fetch_or(word, bit, __ATOMIC_SEQ_CST) & bit);
    }
    if (fresh)
        cs->host.serial_doorbell(cs->host.opaque); /* "look at everything" */
}

static void command_first(struct abi_flash_state *s, uint8_t v)
{
    s->cycle = 1;
    switch (v) {
    case CMD_PROGRAM_OLD:
    case CMD_PROGRAM:
    case CMD_ERASE:
    case CMD_LOCK:
        s->cmd = v;
        return;
    case CMD_BUFFER:
        s->cmd = v;
        s->status |= STATUS_READY;
        return;
    case CMD_STATUS:
    case CMD_ID:
    case CMD_QUERY:
        s->cmd = v;
        break;
    case CMD_CLEAR:
        s->status = 0;
        s->cmd = ABI_FLASH_ARRAY;
        break;
    default: /* read array, and what the chip does not know */
        s->cmd = ABI_FLASH_ARRAY;
    }
    s->cycle = 0;
}

static void sequence_error(struct abi_flash_state *s)
{
    s->status |= STATUS_READY | STATUS_ERROR;
    s->cycle = 0;
    s->cmd = CMD_STATUS;
}

static void sequence_done(struct abi_flash_state *s)
{
    s->status |= STATUS_READY;
    s->cycle = 0;
}

/* Later stores of a command. The bytes that changed, 0 = none; *at where they begin. */
static uint64_t command_next(struct abi_flash_state *s, const struct flash_access *a, uint64_t v, uint64_t *at)
{
    *at = a->off;
    switch (s->cmd) {
    case CMD_PROGRAM_OLD:
    case CMD_PROGRAM:
        memcpy(a->mem + a->off, &v, a->size);
        sequence_done(s);
        return a->size;
    case CMD_ERASE:
        if ((uint8_t)v != CMD_CONFIRM) {
            sequence_error(s);
            return 0;
        }
        *at = a->off & ~(uint64_t)(ABI_FLASH_SECTOR - 1);
        memset(a->mem + *at, 0xff, ABI_FLASH_SECTOR);
        sequence_done(s);
        return ABI_FLASH_SECTOR;
    case CMD_LOCK: /* blocks are never locked */
        sequence_done(s);
        return 0;
    case CMD_BUFFER:
        if (s->cycle == 1) {
            s->count = (uint32_t)(v & 0xff) + 1;
            s->cycle = 2;
        } else if (s->count) {
            memcpy(a->mem + a->off, &v, a->size);
            s->count -= s->count < a->size ? s->count : a->size;
            return a->size;
        } else if ((uint8_t)v == CMD_CONFIRM) {
            sequence_done(s);
        } else {
            sequence_error(s);
        }
        return 0;
    }
    s->cycle = 0;
    return 0;
}

bool flash_write(struct chipset *cs, const struct flash_access *a, uint64_t v, uint64_t *off, uint64_t *len)
{
    *len = 0;
    if (a->off >= chip_size(cs, a->unit) || a->size > chip_size(cs, a->unit) - a->off)
        return false;
    cs_lock(cs);
    struct abi_flash_state *s = &cs->st->flash[a->unit];
    if (s->cycle == 0)
        command_first(s, (uint8_t)v);
    else
        *len = command_next(s, a, v, off);
    if (*len)
        sectors_mark(cs, a->unit, *off, *len);
    cs_unlock(cs);
    return *len;
}

void flash_reset(struct chipset *cs)
{
    for (unsigned i = 0; i < ABI_FLASH_MAX; i++)
        cs->st->flash[i] = (struct abi_flash_state){.cmd = ABI_FLASH_ARRAY, .status = STATUS_READY};
}
