/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The PS/2 keyboard: commands, scan code sets 1 to 3, repeating keys, indicators. Owns which keys are held;
 * must never decide when a byte reaches the CPU. Reference: IBM PS/2 hardware interface technical
 * reference (keyboards, 101- and 102-key).
 */
#include <string.h>
#include <linux/input-event-codes.h>
#include "cpu-worker/chipset/chipset-internal.h"

#define ACK    0xfa
#define RESEND 0xfe
#define TYPEMATIC_DEFAULT 0x2b /* 500 ms, then 10.9 a second */
#define CODES_MAX 8u /* bytes of one key at most: Pause */
#define EXT 0x100u

/* Set 1 code of a key (Linux' numbers up to 88 are that code), EXT = after E0h, 0 = no such key. */
static unsigned set1_code(unsigned key)
{
    static const uint16_t more[][2] = {
        {KEY_KPENTER, EXT | 0x1c}, {KEY_RIGHTCTRL, EXT | 0x1d}, {KEY_KPSLASH, EXT | 0x35}, {KEY_SYSRQ, EXT | 0x37},
        {KEY_RIGHTALT, EXT | 0x38}, {KEY_HOME, EXT | 0x47}, {KEY_UP, EXT | 0x48}, {KEY_PAGEUP, EXT | 0x49},
        {KEY_LEFT, EXT | 0x4b}, {KEY_RIGHT, EXT | 0x4d}, {KEY_END, EXT | 0x4f}, {KEY_DOWN, EXT | 0x50},
        {KEY_PAGEDOWN, EXT | 0x51}, {KEY_INSERT, EXT | 0x52}, {KEY_DELETE, EXT | 0x53}, {KEY_MUTE, EXT | 0x20},
        {KEY_VOLUMEDOWN, EXT | 0x2e}, {KEY_VOLUMEUP, EXT | 0x30}, {KEY_POWER, EXT | 0x5e}, {KEY_LEFTMETA, EXT | 0x5b},
        {KEY_RIGHTMETA, EXT | 0x5c}, {KEY_COMPOSE, EXT | 0x5d}, {KEY_SLEEP, EXT | 0x5f}, {KEY_WAKEUP, EXT | 0x63},
        {KEY_KPEQUAL, 0x59}, {KEY_RO, 0x73}, {KEY_KATAKANAHIRAGANA, 0x70}, {KEY_HENKAN, 0x79}, {KEY_MUHENKAN, 0x7b},
        {KEY_YEN, 0x7d}, {KEY_KPCOMMA, 0x7e},
    };
    if (key <= KEY_KPDOT || (key >= KEY_102ND && key <= KEY_F12))
        return key;
    for (unsigned i = 0; i < sizeof(more) / sizeof(more[0]); i++)
        if (more[i][0] == key)
            return more[i][1];
    return 0;
}

/* Set 2 for the codes of set 1: what the controller translates back. */
static const uint8_t set2_of[128] = {
    0x00, 0x76, 0x16, 0x1e, 0x26, 0x25, 0x2e, 0x36, 0x3d, 0x3e, 0x46, 0x45, 0x4e, 0x55, 0x66, 0x0d,
    0x15, 0x1d, 0x24, 0x2d, 0x2c, 0x35, 0x3c, 0x43, 0x44, 0x4d, 0x54, 0x5b, 0x5a, 0x14, 0x1c, 0x1b,
    0x23, 0x2b, 0x34, 0x33, 0x3b, 0x42, 0x4b, 0x4c, 0x52, 0x0e, 0x12, 0x5d, 0x1a, 0x22, 0x21, 0x2a,
    0x32, 0x31, 0x3a, 0x41, 0x49, 0x4a, 0x59, 0x7c, 0x11, 0x29, 0x58, 0x05, 0x06, 0x04, 0x0c, 0x03,
    0x0b, 0x83, 0x0a, 0x01, 0x09, 0x77, 0x7e, 0x6c, 0x75, 0x7d, 0x7b, 0x6b, 0x73, 0x74, 0x79, 0x69,
    0x72, 0x7a, 0x70, 0x71, 0x7f, 0x60, 0x61, 0x78, 0x07, 0x0f, 0x17, 0x1f, 0x27, 0x2f, 0x37, 0x3f,
    0x47, 0x4f, 0x56, 0x5e, 0x08, 0x10, 0x18, 0x20, 0x28, 0x30, 0x38, 0x40, 0x48, 0x50, 0x57, 0x6f,
    0x13, 0x19, 0x39, 0x51, 0x53, 0x5c, 0x5f, 0x62, 0x63, 0x64, 0x65, 0x67, 0x68, 0x6a, 0x6d, 0x6e,
};

/* Set 3: one byte for every key. By set 1 code, then by what follows E0h. */
static unsigned set3_code(unsigned code, unsigned key)
{
    static const uint8_t plain[0x59] = {
        0,    0x08, 0x16, 0x1e, 0x26, 0x25, 0x2e, 0x36, 0x3d, 0x3e, 0x46, 0x45, 0x4e, 0x55, 0x66, 0x0d,
        0x15, 0x1d, 0x24, 0x2d, 0x2c, 0x35, 0x3c, 0x43, 0x44, 0x4d, 0x54, 0x5b, 0x5a, 0x11, 0x1c, 0x1b,
        0x23, 0x2b, 0x34, 0x33, 0x3b, 0x42, 0x4b, 0x4c, 0x52, 0x0e, 0x12, 0x5c, 0x1a, 0x22, 0x21, 0x2a,
        0x32, 0x31, 0x3a, 0x41, 0x49, 0x4a, 0x59, 0x7e, 0x19, 0x29, 0x14, 0x07, 0x0f, 0x17, 0x1f, 0x27,
        0x2f, 0x37, 0x3f, 0x47, 0x4f, 0x76, 0x5f, 0x6c, 0x75, 0x7d, 0x84, 0x6b, 0x73, 0x74, 0x7c, 0x69,
        0x72, 0x7a, 0x70, 0x71, 0,    0,    0x13, 0x56, 0x5e,
    };
    static const uint8_t extended[][2] = {
        {0x1c, 0x79}, {0x1d, 0x58}, {0x35, 0x77}, {0x37, 0x57}, {0x38, 0x39}, {0x47, 0x6e}, {0x48, 0x63},
        {0x49, 0x6f}, {0x4b, 0x61}, {0x4d, 0x6a}, {0x4f, 0x65}, {0x50, 0x60}, {0x51, 0x6d}, {0x52, 0x67},
        {0x53, 0x64}, {0x5b, 0x8b}, {0x5c, 0x8c}, {0x5d, 0x8d},
    };
    if (key == KEY_PAUSE)
        return 0x62;
    if (!(code & EXT))
        return code < sizeof(plain) ? plain[code] : 0;
    for (unsigned i = 0; i < sizeof(extended) / sizeof(extended[0]); i++)
        if (extended[i][0] == (code & 0xff))
            return extended[i][1];
    return 0;
}

static void send(struct chipset *cs, uint8_t b)
{
    i8042_put(cs, I8042_KEYBOARD, b);
}
static void send_all(struct chipset *cs, const uint8_t *b, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        send(cs, b[i]);
}

/* Pause sends make and break at once; Print Screen has a shift of its own around it. */
static bool special_send(struct chipset *cs, unsigned key, bool down)
{
    static const uint8_t pause1[] = {0xe1, 0x1d, 0x45, 0xe1, 0x9d, 0xc5};
    static const uint8_t pause2[] = {0xe1, 0x14, 0x77, 0xe1, 0xf0, 0x14, 0xf0, 0x77};
    static const uint8_t print1[2][4] = {{0xe0, 0xb7, 0xe0, 0xaa}, {0xe0, 0x2a, 0xe0, 0x37}};
    static const uint8_t print2[2][6] = {{0xe0, 0xf0, 0x7c, 0xe0, 0xf0, 0x12}, {0xe0, 0x12, 0xe0, 0x7c}};
    bool set1 = cs->st->kbd.set == 1;
    if (key == KEY_PAUSE && down)
        send_all(cs, set1 ? pause1 : pause2, set1 ? sizeof(pause1) : sizeof(pause2));
    else if (key == KEY_SYSRQ)
        send_all(cs, set1 ? print1[down] : print2[down], set1 || down ? 4 : 6);
    return key == KEY_PAUSE || key == KEY_SYSRQ;
}

static void key_send(struct chipset *cs, unsigned key, bool down)
{
    unsigned set = cs->st->kbd.set, code = set1_code(key);
    if (set == 3) {
        unsigned c = set3_code(code, key);
        if (c && !down)
            send(cs, 0xf0);
        if (c)
            send(cs, (uint8_t)c);
        return;
    }
    if (special_send(cs, key, down) || !code)
        return;
    if (code & EXT)
        send(cs, 0xe0);
    if (set == 1) {
        send(cs, (uint8_t)((code & 0x7f) | (down ? 0 : 0x80)));
        return;
    }
    if (!down)
        send(cs, 0xf0);
    send(cs, set2_of[code & 0x7f]);
}

/* ---- holding and repeating ---- */

static uint64_t repeat_delay(const struct abi_ps2_kbd *k)
{
    return ((k->typematic >> 5 & 3) + 1) * 250000000ull;
}
static uint64_t repeat_period(const struct abi_ps2_kbd *k)
{
    return (8 + (k->typematic & 7)) * (1ull << (k->typematic >> 3 & 3)) * NS_PER_S / 240;
}
static void repeat_set(struct chipset *cs, unsigned key, uint64_t in_ns)
{
    struct abi_ps2_kbd *k = &cs->st->kbd;
    k->repeat = (uint16_t)key;
    k->repeat_ns = key ? cs_now(cs) + in_ns : NEVER;
    cs_deadline_set(cs, DL_KBD, k->repeat_ns);
}

void kbd_run(struct chipset *cs)
{
    struct abi_ps2_kbd *k = &cs->st->kbd;
    if (!k->repeat || cs_now(cs) < k->repeat_ns) {
        cs_deadline_set(cs, DL_KBD, k->repeat ? k->repeat_ns : NEVER);
        return;
    }
    if (k->scanning && !i8042_waiting(cs, I8042_KEYBOARD)) /* nobody reads: repeats do not pile up */
        key_send(cs, k->repeat, true);
    repeat_set(cs, k->repeat, repeat_period(k));
}

static bool held(const struct abi_ps2_kbd *k, unsigned key)
{
    return (k->held[0][key / 8] | k->held[1][key / 8]) >> key % 8 & 1;
}

bool kbd_room(const struct chipset *cs)
{
    return !cs->st->kbd.scanning || i8042_waiting(cs, I8042_KEYBOARD) + CODES_MAX <= PS2_FIFO;
}

void kbd_key(struct chipset *cs, unsigned producer, unsigned key, bool down)
{
    struct abi_ps2_kbd *k = &cs->st->kbd;
    bool was = held(k, key);
    uint8_t *byte = &k->held[producer & 1][key / 8], bit = (uint8_t)(1u << key % 8);
    *byte = down ? *byte | bit : *byte & ~bit;
    if (held(k, key) == was)
        return; /* a client's own repeats, or held by somebody else as well */
    if (k->repeat == key || down)
        repeat_set(cs, down && key != KEY_PAUSE ? key : 0, repeat_delay(k));
    if (k->scanning)
        key_send(cs, key, down);
}

void kbd_release(struct chipset *cs, unsigned producer)
{
    const uint8_t *mine = cs->st->kbd.held[producer & 1];
    for (unsigned key = 0; key < ABI_INPUT_KEYS; key++)
        if (mine[key / 8] >> key % 8 & 1)
            kbd_key(cs, producer, key, false);
}

/* ---- commands ---- */

static void leds_set(struct chipset *cs, uint8_t v)
{
    cs->st->kbd.leds = v & 7;
    if (cs->leds_shown)
        __atomic_store_n(cs->leds_shown, v & 7, __ATOMIC_RELAXED);
}
static void defaults_set(struct chipset *cs)
{
    struct abi_ps2_kbd *k = &cs->st->kbd;
    k->set = 2;
    k->typematic = TYPEMATIC_DEFAULT;
    repeat_set(cs, 0, 0);
}

static void command(struct chipset *cs, uint8_t v)
{
    struct abi_ps2_kbd *k = &cs->st->kbd;
    i8042_drop(cs, I8042_KEYBOARD); /* a command ends whatever the keyboard was sending */
    switch (v) {
    case 0xee: send(cs, 0xee); return; /* echo */
    case 0xed: case 0xf0: case 0xf3:   /* indicators, scan code set, typematic rate */
    case 0xfb: case 0xfc: case 0xfd:   /* key types: followed by scan codes */
        k->expect = v;
        break;
    case 0xf2: send_all(cs, (const uint8_t[]){ACK, 0xab, 0x83}, 3); return; /* identify */
    case 0xf4: k->scanning = 1; break;
    case 0xf5:
        defaults_set(cs);
        k->scanning = 0;
        break;
    case 0xf6: defaults_set(cs); break;
    case 0xf7: case 0xf8: case 0xf9: case 0xfa: break; /* all keys: type */
    case 0xff: /* reset: acknowledge, then the basic assurance test's result */
        defaults_set(cs);
        leds_set(cs, 0);
        k->scanning = 1;
        send_all(cs, (const uint8_t[]){ACK, 0xaa}, 2);
        return;
    default:
        send(cs, RESEND); /* not a command */
        return;
    }
    send(cs, ACK);
}

static void parameter(struct chipset *cs, uint8_t what, uint8_t v)
{
    struct abi_ps2_kbd *k = &cs->st->kbd;
    if (what == 0xf0 && v > 3) {
        send(cs, RESEND);
        return;
    }
    send(cs, ACK);
    if (what == 0xed)
        leds_set(cs, v);
    else if (what == 0xf3)
        k->typematic = v & 0x7f;
    else if (what == 0xf0 && v)
        k->set = v;
    else if (what == 0xf0)
        send(cs, k->set);
}

void kbd_write(struct chipset *cs, uint8_t v)
{
    struct abi_ps2_kbd *k = &cs->st->kbd;
    uint8_t what = k->expect;
    k->expect = 0;
    if (!what || v >= 0xed) /* a command byte takes the place of a parameter */
        command(cs, v);
    else
        parameter(cs, what, v);
}

/* Held keys stay held: a finger does not notice a reset. */
void kbd_reset(struct chipset *cs)
{
    struct abi_ps2_kbd *k = &cs->st->kbd;
    k->expect = 0;
    k->scanning = 1;
    leds_set(cs, 0);
    defaults_set(cs);
}
