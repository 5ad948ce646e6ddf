/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keys and the mouse from the rings to port 60h: scan code sets, translation, repeating, room, reports,
 * what a producer's death releases, and rings full of nonsense.
 */
#include <linux/input-event-codes.h>
#include "tests/unit/chipset/fixture.h"

static struct fixture f;
static struct abi_input_page ui;
static uint32_t head[2];

static void event(unsigned producer, uint16_t type, uint16_t code, int32_t a, int32_t b)
{
    struct abi_input_event e = {type, code, a, b};
    CHECK(abi_input_put(producer ? &ui.ring : &f.page->input, &head[producer], &e));
    chipset_input(f.cs);
}
static void key(unsigned code, bool down)
{
    event(0, ABI_INPUT_KEY, (uint16_t)code, down, 0);
}
/* Every byte that waits, as text. */
static const char *bytes(void)
{
    static char text[1024];
    size_t n = 0;
    text[0] = 0;
    while (inb(&f, 0x64) & 1 && n < 900)
        n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%02x", n ? " " : "", inb(&f, 0x60));
    return text;
}
#define CHECK_BYTES(want)                                                                          \
    do {                                                                                           \
        const char *have_ = bytes();                                                               \
        if (strcmp(have_, want)) {                                                                 \
            fprintf(stderr, "%s:%d: '%s', not '%s'\n", __FILE__, __LINE__, have_, want);           \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

static void kbd(uint8_t v)
{
    outb(&f, 0x60, v);
}
static void aux(uint8_t v)
{
    outb(&f, 0x64, 0xd4);
    outb(&f, 0x60, v);
}
static void command_byte(uint8_t v)
{
    outb(&f, 0x64, 0x60);
    outb(&f, 0x60, v);
}

static void tap_key(unsigned code)
{
    key(code, true);
    key(code, false);
}

static void test_sets(void)
{
    command_byte(0x47); /* translated, as PCs run */
    tap_key(KEY_A);
    CHECK_BYTES("1e 9e");
    tap_key(KEY_F7);
    CHECK_BYTES("41 c1");
    tap_key(KEY_RIGHTCTRL);
    CHECK_BYTES("e0 1d e0 9d");
    tap_key(KEY_PAUSE);
    CHECK_BYTES("e1 1d 45 e1 9d c5");
    tap_key(KEY_SYSRQ);
    CHECK_BYTES("e0 2a e0 37 e0 b7 e0 aa");
    for (unsigned code = KEY_ESC; code <= KEY_KPDOT; code++) { /* the translation undoes the set-2 table */
        char want[8];
        snprintf(want, sizeof(want), "%02x %02x", code, code | 0x80);
        tap_key(code);
        CHECK_BYTES(want);
    }
    command_byte(0x07);
    tap_key(KEY_A);
    CHECK_BYTES("1c f0 1c");
    tap_key(KEY_UP);
    CHECK_BYTES("e0 75 e0 f0 75");
    tap_key(KEY_PAUSE);
    CHECK_BYTES("e1 14 77 e1 f0 14 f0 77");
    kbd(0xf0);
    kbd(0x00);
    CHECK_BYTES("fa fa 02");
    kbd(0xf0);
    kbd(0x03);
    tap_key(KEY_ENTER);
    tap_key(KEY_LEFTCTRL);
    CHECK_BYTES("fa fa 5a f0 5a 11 f0 11");
    kbd(0xf0);
    kbd(0x01);
    tap_key(KEY_DELETE);
    CHECK_BYTES("fa fa e0 53 e0 d3");
    kbd(0xf0);
    kbd(0x04);
    CHECK_BYTES("fa fe");
    kbd(0xf6);
    CHECK_BYTES("fa");
    kbd(0xf5);
    tap_key(KEY_A);
    CHECK_BYTES("fa");
    kbd(0xf4);
    kbd(0xed);
    kbd(0x02);
    CHECK_BYTES("fa fa fa");
    CHECK_EQ(ui.leds, 2);
    command_byte(0x47);
}

static void test_repeat(void)
{
    key(KEY_B, true);
    CHECK_BYTES("30");
    advance(&f, 499 * MS);
    CHECK_BYTES("");
    advance(&f, 2 * MS);
    CHECK_BYTES("30");
    advance(&f, 92 * MS);
    CHECK_BYTES("30");
    advance(&f, 5 * SECOND);
    CHECK_BYTES("30 30"); /* one in the buffer, one behind it: nobody was reading */
    key(KEY_B, true);  /* a client repeats by itself: not twice */
    CHECK_BYTES("");
    key(KEY_B, false);
    CHECK_BYTES("b0");
    advance(&f, 5 * SECOND);
    CHECK_BYTES("");
    kbd(0xf3);
    kbd(0x00); /* 250 ms, 30 a second */
    key(KEY_C, true);
    CHECK_BYTES("fa fa 2e");
    advance(&f, 251 * MS);
    CHECK_BYTES("2e");
    advance(&f, 34 * MS);
    CHECK_BYTES("2e");
    key(KEY_C, false);
    kbd(0xf6);
    CHECK_BYTES("ae fa");
}

/* Two hundred keys at once: none is lost, none waits longer than the guest makes it. */
static void test_room(void)
{
    unsigned seen = 0;
    for (unsigned i = 0; i < 100; i++)
        tap_key(KEY_X);
    while (inb(&f, 0x64) & 1)
        CHECK_EQ(inb(&f, 0x60), seen++ & 1 ? 0xad : 0x2d);
    CHECK_EQ(seen, 200);
    outb(&f, 0x64, 0xad); /* clock held low: nothing comes, nothing is lost */
    tap_key(KEY_Y);
    CHECK_BYTES("");
    outb(&f, 0x64, 0xae);
    CHECK_BYTES("15 95");
}

static void test_release(void)
{
    event(1, ABI_INPUT_KEY, KEY_LEFTSHIFT, 1, 0);
    event(1, ABI_INPUT_KEY, KEY_Q, 1, 0);
    event(0, ABI_INPUT_KEY, KEY_Q, 1, 0);
    CHECK_BYTES("2a 10");
    f.page->input_release++; /* ui-proc died; the monitor still holds Q */
    chipset_input(f.cs);
    CHECK_BYTES("aa");
    event(0, ABI_INPUT_RELEASE, 0, 0, 0);
    CHECK_BYTES("90");
}

static void aux_ack(uint8_t v)
{
    aux(v);
    CHECK_BYTES("fa");
}

static void test_mouse(void)
{
    aux(0xff);
    CHECK_BYTES("fa aa 00");
    event(0, ABI_INPUT_MOVE, 0, 5, 5);
    CHECK_BYTES(""); /* not reporting */
    aux(0xf4);
    CHECK_BYTES("fa");
    event(0, ABI_INPUT_MOVE, 0, 5, 3); /* down is negative */
    CHECK_BYTES("28 05 fd");
    event(0, ABI_INPUT_MOVE, 0, -300, 0);
    CHECK_BYTES("18 01 00 18 d3 00");
    event(0, ABI_INPUT_BUTTON, 0, 1, 0);
    event(0, ABI_INPUT_BUTTON, 0, 0, 0);
    event(0, ABI_INPUT_BUTTON, 2, 1, 0);
    event(0, ABI_INPUT_BUTTON, 2, 0, 0);
    CHECK_BYTES("09 00 00 08 00 00 0a 00 00 08 00 00");
    const uint8_t knock[6] = {0xf3, 200, 0xf3, 100, 0xf3, 80};
    for (unsigned i = 0; i < 6; i++)
        aux_ack(knock[i]);
    aux(0xf2);
    CHECK_BYTES("fa 03");
    event(0, ABI_INPUT_WHEEL, 0, 1, 0);
    CHECK_BYTES("08 00 00 ff");
    const uint8_t five[6] = {0xf3, 200, 0xf3, 200, 0xf3, 80};
    for (unsigned i = 0; i < 6; i++)
        aux_ack(five[i]);
    aux(0xf2);
    CHECK_BYTES("fa 04");
    event(0, ABI_INPUT_BUTTON, 3, 1, 0);
    event(0, ABI_INPUT_BUTTON, 3, 0, 0);
    CHECK_BYTES("08 00 00 10 08 00 00 00");
    aux(0xe9);
    CHECK_BYTES("fa 20 02 50");
    aux(0xf0);
    event(0, ABI_INPUT_MOVE, 0, 7, 0);
    CHECK_BYTES("fa");
    aux(0xeb);
    CHECK_BYTES("fa 08 07 00 00");
    aux(0xf1);
    CHECK_BYTES("fe");
    event(1, ABI_INPUT_BUTTON, 1, 1, 0);
    aux_ack(0xf6);
    aux_ack(0xf4);
    f.page->input_release++;
    chipset_input(f.cs);
    CHECK_BYTES("08 00 00 00");
}

static void test_noise(void)
{
    uint32_t x = 99;
    for (unsigned i = 0; i < 20000; i++) {
        uint8_t *p = (uint8_t *)(i & 1 ? &ui.ring : &f.page->input);
        x = x * 1664525 + 1013904223;
        if (i % 16 == 0)
            for (unsigned k = 0; k < sizeof(struct abi_input_ring); k++)
                p[k] = (uint8_t)((x = x * 1664525 + 1013904223) >> 24);
        else
            ((struct abi_input_ring *)p)->head += x >> 28;
        chipset_input(f.cs);
        if (i & 2)
            inb(&f, 0x60);
        if (i % 100 == 0)
            advance(&f, 100 * MS);
    }
}

int main(void)
{
    fixture_init(&f, 0);
    chipset_input_page(f.cs, &ui);
    test_sets();
    test_repeat();
    test_room();
    test_release();
    test_mouse();
    test_noise();
    fixture_fini(&f);
    return 0;
}
