/* SPDX-License-Identifier: Apache-2.0 */
/* The firmware configuration device: data port, DMA, writable items, and directories that lie. */
#include "fixture.h"
#include <string.h>
#include "cpu-worker/chipset/fwcfg.h"
#include "ipc/abi/fwcfg.h"

#define BOARD 0x8000u
#define DIR   0x1000u

static struct fixture f;
static uint8_t board[BOARD], guest[0x10000];
static unsigned asked;
static uint16_t asked_key;

static bool copy(void *opaque, uint64_t gpa, void *buf, uint64_t len, bool to_guest)
{
    (void)opaque;
    if (gpa > sizeof(guest) || len > sizeof(guest) - gpa)
        return false;
    memcpy(to_guest ? guest + gpa : buf, to_guest ? buf : guest + gpa, len);
    return true;
}
static void ask(void *opaque, enum abi_mbox_op op, uint16_t key)
{
    (void)opaque;
    asked = op;
    asked_key = key;
}
static const struct fwcfg_host host = {.board = board, .board_size = BOARD, .copy = copy, .ask = ask};

static struct abi_fwcfg *dir(void)
{
    return (struct abi_fwcfg *)(board + DIR);
}
static void item(uint16_t key, uint16_t flags, uint32_t size, uint64_t off)
{
    dir()->item[dir()->count++] = (struct abi_fwcfg_item){key, flags, size, off};
}
static void select_key(uint16_t key)
{
    fwcfg_write(f.cs, &host, 0x510, 2, key);
}
static uint8_t data(void)
{
    return (uint8_t)fwcfg_read(f.cs, &host, 0x511, 1);
}
static void be(uint8_t *p, uint32_t v)
{
    for (unsigned i = 0; i < 4; i++)
        p[i] = (uint8_t)(v >> (24 - 8 * i));
}
/* Runs a descriptor at 100h; its control word afterwards. */
static uint32_t dma(uint32_t control, uint32_t len, uint32_t gpa)
{
    be(guest + 0x100, control);
    be(guest + 0x104, len);
    be(guest + 0x108, 0);
    be(guest + 0x10c, gpa);
    fwcfg_write(f.cs, &host, 0x514, 4, 0);
    fwcfg_write(f.cs, &host, 0x518, 4, __builtin_bswap32(0x100));
    return (uint32_t)guest[0x100] << 24 | guest[0x103];
}

static void test_data_port(void)
{
    select_key(0x20);
    CHECK_EQ(data(), 'a');
    CHECK_EQ(data(), 'b');
    CHECK_EQ(data(), 'c');
    CHECK_EQ(data(), 0); /* beyond the end */
    select_key(0x20);
    CHECK_EQ(data(), 'a');
    select_key(0x7777);
    CHECK_EQ(data(), 0);
    CHECK_EQ(fwcfg_read(f.cs, &host, 0x514, 4), 0x554d4551); /* "QEMU" */
    CHECK_EQ(fwcfg_read(f.cs, &host, 0x518, 4), 0x47464320); /* " CFG" */
}

static void test_dma(void)
{
    memset(guest + 0x200, 0x55, 8);
    CHECK_EQ(dma(0x20 << 16 | 8 | 2, 5, 0x200), 0);
    CHECK(!memcmp(guest + 0x200, "abc\0\0\x55", 6));
    CHECK_EQ(dma(0x20 << 16 | 8 | 4, 1, 0), 0); /* skip one */
    CHECK_EQ(dma(2, 1, 0x210), 0);
    CHECK_EQ(guest[0x210], 'b');
    CHECK_EQ(dma(0x20 << 16 | 8 | 2, 3, 0xffff), 1); /* not memory */
    memcpy(guest + 0x300, "xyz", 3);
    CHECK_EQ(dma(0x20 << 16 | 8 | 16, 3, 0x300), 1); /* not writable */
    CHECK(!memcmp(board + 0x3000, "abc", 3));
    CHECK_EQ(dma(0x21 << 16 | 8 | 16, 3, 0x300), 0);
    CHECK(!memcmp(board + 0x4000, "xyz", 3));
    CHECK_EQ(asked, ABI_MBOX_FWCFG_WRITTEN);
    CHECK_EQ(asked_key, 0x21);
    CHECK_EQ(dma(0x21 << 16 | 8 | 16, 5, 0x300), 1); /* longer than the item */
}

static void test_fresh(void)
{
    asked = 0;
    select_key(0x22);
    CHECK_EQ(asked, ABI_MBOX_FWCFG);
    CHECK_EQ(asked_key, 0x22);
}

/* The directory is the vmm's, but the worker does not follow it outside its memory. */
static void test_lies(void)
{
    select_key(0x23);
    CHECK_EQ(data(), 0);
    CHECK_EQ(dma(0x24 << 16 | 8 | 2, 4, 0x200), 0);
    CHECK_EQ(guest[0x200], 0);
    dir()->count = ~0u;
    select_key(0x20);
    CHECK_EQ(data(), 'a');
    f.page->fwcfg_off = BOARD - 8;
    CHECK_EQ(data(), 0);
}

int main(void)
{
    fixture_init(&f, 0);
    CHECK(!fwcfg_claims(f.page, 0x510));
    f.page->fwcfg_off = DIR;
    CHECK(fwcfg_claims(f.page, 0x511) && !fwcfg_claims(f.page, 0x512) && fwcfg_claims(f.page, 0x51b));
    memcpy(board + 0x3000, "abc", 3);
    item(0x20, 0, 3, 0x3000);
    item(0x21, ABI_FWCFG_WRITABLE, 4, 0x4000);
    item(0x22, ABI_FWCFG_FRESH, 4, 0x4000);
    item(0x23, 0, 16, BOARD - 8);
    item(0x24, 0, 0xffffffff, ~0ull - 2);
    test_data_port();
    test_dma();
    test_fresh();
    test_lies();
    fixture_fini(&f);
    return 0;
}
