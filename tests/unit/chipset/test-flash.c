/* SPDX-License-Identifier: Apache-2.0 */
/* The flash chip's command set: programming, erasing, buffered writes, status, identification, wrong sequences. */
#include "fixture.h"
#include <string.h>
#include "cpu-worker/chipset/flash.h"

#define SIZE 0x4000u

static struct fixture f;
static uint8_t mem[SIZE];

static uint8_t rd(uint64_t off)
{
    struct flash_access a = {.unit = 1, .mem = mem, .off = off, .size = 1};
    return (uint8_t)flash_read(f.cs, &a);
}
static uint64_t wr(uint64_t off, uint8_t v)
{
    struct flash_access a = {.unit = 1, .mem = mem, .off = off, .size = 1};
    uint64_t at = 0, len = 0;
    bool changed = flash_write(f.cs, &a, v, &at, &len);
    CHECK_EQ(changed, len != 0);
    return changed ? at << 32 | len : 0;
}
static bool array(void)
{
    return flash_shows_array(f.page, 1);
}

static void test_program(void)
{
    CHECK(array());
    wr(5, 0x50); /* clear status, as a driver probes */
    CHECK(array());
    wr(5, 0x70);
    CHECK(!array());
    CHECK_EQ(rd(5), 0);
    wr(5, 0xff);
    CHECK(array());
    CHECK_EQ(rd(5), 0x11);
    CHECK_EQ(wr(5, 0x10), 0);
    CHECK_EQ(wr(5, 0xab), 5ull << 32 | 1);
    CHECK_EQ(rd(5), 0x80); /* ready */
    wr(5, 0xff);
    CHECK_EQ(rd(5), 0xab);
    CHECK_EQ(f.page->flash[1].dirty[0], 1);
}

static void test_erase(void)
{
    wr(0x1234, 0x20);
    CHECK_EQ(wr(0x1234, 0xd0), 0x1000ull << 32 | 0x1000);
    CHECK_EQ(mem[0xfff], 0x11);
    CHECK_EQ(mem[0x1000], 0xff);
    CHECK_EQ(mem[0x1fff], 0xff);
    CHECK_EQ(mem[0x2000], 0x11);
    CHECK_EQ(f.page->flash[1].dirty[0], 3);
    wr(0x2000, 0xff);
    wr(0x2000, 0x20);
    CHECK_EQ(wr(0x2000, 0x10), 0); /* not confirmed */
    CHECK_EQ(rd(0), 0xb0);         /* ready, sequence error */
    CHECK_EQ(mem[0x2000], 0x11);
    wr(0, 0x50);
    CHECK(array());
}

static void test_buffer(void)
{
    wr(0x100, 0xe8);
    CHECK_EQ(rd(0x100), 0x80);
    wr(0x100, 2); /* three bytes */
    CHECK(wr(0x100, 1));
    CHECK(wr(0x101, 2));
    CHECK(wr(0x102, 3));
    CHECK_EQ(wr(0x100, 0xd0), 0);
    wr(0, 0xff);
    CHECK(!memcmp(mem + 0x100, "\1\2\3\x11", 4));
}

static void test_identity(void)
{
    wr(0, 0x98);
    CHECK_EQ(rd(0x10), 'Q');
    CHECK_EQ(rd(0x27), 14); /* 2^14 bytes */
    CHECK_EQ(rd(0x2d), 3);  /* four sectors of 4 KiB */
    CHECK_EQ(rd(0x2f), 0x10);
    wr(0, 0x90);
    CHECK_EQ(rd(0), 0x89);
    wr(0, 0xff);
}

static void test_bounds(void)
{
    wr(SIZE, 0x10); /* beyond the chip: not a command */
    CHECK(array());
    CHECK_EQ(flash_unit(f.page, 0x7fff), -1);
    CHECK_EQ(flash_unit(f.page, 0x8000), 1);
    CHECK_EQ(flash_unit(f.page, 0x8000 + SIZE), -1);
    wr(0, 0x70);
    chipset_reset(f.cs);
    CHECK(array());
}

int main(void)
{
    memset(mem, 0x11, sizeof(mem));
    fixture_init(&f, 0);
    f.page->flash[1].off = 0x8000;
    f.page->flash[1].size = SIZE;
    test_program();
    test_erase();
    test_buffer();
    test_identity();
    test_bounds();
    fixture_fini(&f);
    return 0;
}
