/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The keyboard controller at 60h/64h: its commands, the output buffer, the translation of scan codes, A20
 * and reset on its output port. Owns the queue both devices send through; must never make a scan code.
 * Reference: IBM PS/2 hardware interface technical reference (keyboard and auxiliary device controller).
 */
#include <string.h>
#include "cpu-worker/chipset/chipset-internal.h"

#define ST_OBF     0x01
#define ST_SYSTEM  0x04
#define ST_COMMAND 0x08
#define ST_UNLOCK  0x10
#define ST_AUX     0x20
#define CMD_KBD_INT  0x01
#define CMD_AUX_INT  0x02
#define CMD_SYSTEM   0x04
#define CMD_KBD_OFF  0x10
#define CMD_AUX_OFF  0x20
#define CMD_XLATE    0x40 /* scan codes to set 1: on, as firmware leaves it */
#define OUT_RESET 0x01 /* low: the CPU is held in reset */
#define OUT_A20   0x02
#define BREAK_PREFIX 0xf0

/* Set 2 to set 1, as the controller's ROM has it. */
static const uint8_t to_set1[128] = {
    0xff, 0x43, 0x41, 0x3f, 0x3d, 0x3b, 0x3c, 0x58, 0x64, 0x44, 0x42, 0x40, 0x3e, 0x0f, 0x29, 0x59,
    0x65, 0x38, 0x2a, 0x70, 0x1d, 0x10, 0x02, 0x5a, 0x66, 0x71, 0x2c, 0x1f, 0x1e, 0x11, 0x03, 0x5b,
    0x67, 0x2e, 0x2d, 0x20, 0x12, 0x05, 0x04, 0x5c, 0x68, 0x39, 0x2f, 0x21, 0x14, 0x13, 0x06, 0x5d,
    0x69, 0x31, 0x30, 0x23, 0x22, 0x15, 0x07, 0x5e, 0x6a, 0x72, 0x32, 0x24, 0x16, 0x08, 0x09, 0x5f,
    0x6b, 0x33, 0x25, 0x17, 0x18, 0x0b, 0x0a, 0x60, 0x6c, 0x34, 0x35, 0x26, 0x27, 0x19, 0x0c, 0x61,
    0x6d, 0x73, 0x28, 0x74, 0x1a, 0x0d, 0x62, 0x6e, 0x3a, 0x36, 0x1c, 0x1b, 0x75, 0x2b, 0x63, 0x76,
    0x55, 0x56, 0x77, 0x78, 0x79, 0x7a, 0x0e, 0x7b, 0x7c, 0x4f, 0x7d, 0x4b, 0x47, 0x7e, 0x7f, 0x6f,
    0x52, 0x53, 0x50, 0x4c, 0x4d, 0x48, 0x01, 0x45, 0x57, 0x4e, 0x51, 0x4a, 0x37, 0x49, 0x46, 0x54,
};

static uint8_t translated(uint8_t b)
{
    return b < 0x80 ? to_set1[b] : b == 0x83 ? 0x41 : b == 0x84 ? 0x54 : b;
}

static void lines_update(struct chipset *cs)
{
    const struct abi_i8042 *k = &cs->st->i8042;
    bool full = k->out_source != I8042_EMPTY, aux = k->out_source == I8042_AUXILIARY;
    cs_line_set(cs, 1, SRC_KBD, full && !aux && (k->command & CMD_KBD_INT));
    cs_line_set(cs, 12, SRC_AUX, full && aux && (k->command & CMD_AUX_INT));
}

static bool device_off(const struct abi_i8042 *k, uint8_t source)
{
    return (source == I8042_KEYBOARD && (k->command & CMD_KBD_OFF)) ||
           (source == I8042_AUXILIARY && (k->command & CMD_AUX_OFF));
}
static void queue_remove(struct abi_i8042 *k, unsigned i)
{
    k->queue_len--;
    memmove(k->queue + i, k->queue + i + 1, k->queue_len - i);
    memmove(k->queue_source + i, k->queue_source + i + 1, k->queue_len - i);
}

/* The translator keeps the break prefix back and sets bit 7 of the code that follows. */
static void out_take(struct abi_i8042 *k, uint8_t source, uint8_t byte)
{
    bool xlate = source == I8042_KEYBOARD && (k->command & CMD_XLATE);
    if (xlate && byte == BREAK_PREFIX) {
        k->break_next = 0x80;
        return;
    }
    k->out = xlate ? translated(byte) | k->break_next : byte;
    if (xlate)
        k->break_next = 0;
    k->out_source = source;
}

/* Moves the next byte into the output buffer; a disabled device's bytes wait (clock held low). */
static void out_next(struct chipset *cs)
{
    struct abi_i8042 *k = &cs->st->i8042;
    for (unsigned i = 0; k->out_source == I8042_EMPTY && i < k->queue_len;) {
        uint8_t source = k->queue_source[i], byte = k->queue[i];
        if (device_off(k, source)) {
            i++;
            continue;
        }
        queue_remove(k, i);
        out_take(k, source, byte);
    }
    lines_update(cs);
}

void i8042_put(struct chipset *cs, enum i8042_source source, uint8_t byte)
{
    struct abi_i8042 *k = &cs->st->i8042;
    if (k->queue_len < ABI_I8042_QUEUE) {
        k->queue[k->queue_len] = byte;
        k->queue_source[k->queue_len++] = (uint8_t)source;
    }
    out_next(cs);
}

void i8042_drop(struct chipset *cs, enum i8042_source source)
{
    struct abi_i8042 *k = &cs->st->i8042;
    for (unsigned i = k->queue_len; i-- > 0;)
        if (k->queue_source[i] == source)
            queue_remove(k, i);
    if (source == I8042_KEYBOARD)
        k->break_next = 0;
}

unsigned i8042_waiting(const struct chipset *cs, enum i8042_source source)
{
    const struct abi_i8042 *k = &cs->st->i8042;
    unsigned n = 0;
    for (unsigned i = 0; i < k->queue_len && i < ABI_I8042_QUEUE; i++)
        n += k->queue_source[i] == source;
    return n;
}

static void output_port_set(struct chipset *cs, uint8_t v)
{
    cs->st->i8042.output_port = v;
    cs_a20_set(cs, v & OUT_A20);
    if (!(v & OUT_RESET))
        cs_event(cs, CHIPSET_EV_RESET);
}

/* ---- commands ---- */

static void enable(struct chipset *cs, uint8_t off_bit, bool on)
{
    struct abi_i8042 *k = &cs->st->i8042;
    k->command = on ? k->command & ~off_bit : k->command | off_bit;
    out_next(cs);
    input_pull(cs);
}

static void controller_command(struct chipset *cs, uint8_t v)
{
    struct abi_i8042 *k = &cs->st->i8042;
    k->expect = 0;
    switch (v) {
    case 0x20: i8042_put(cs, I8042_CONTROLLER, k->command); break;
    case 0x60: case 0xd1: case 0xd2: case 0xd3: case 0xd4: k->expect = v; break;
    case 0xa7: enable(cs, CMD_AUX_OFF, false); break;
    case 0xa8: enable(cs, CMD_AUX_OFF, true); break;
    case 0xa9: i8042_put(cs, I8042_CONTROLLER, 0x00); break; /* auxiliary interface test: no error */
    case 0xaa: /* self test */
        k->status |= ST_SYSTEM;
        k->command |= CMD_SYSTEM;
        i8042_put(cs, I8042_CONTROLLER, 0x55);
        break;
    case 0xab: i8042_put(cs, I8042_CONTROLLER, 0x00); break; /* keyboard interface test */
    case 0xad: enable(cs, CMD_KBD_OFF, false); break;
    case 0xae: enable(cs, CMD_KBD_OFF, true); break;
    case 0xc0: i8042_put(cs, I8042_CONTROLLER, 0x80); break; /* input port: keyboard not locked */
    case 0xd0: i8042_put(cs, I8042_CONTROLLER, k->output_port); break;
    case 0xdd: output_port_set(cs, k->output_port & ~OUT_A20); break;
    case 0xdf: output_port_set(cs, k->output_port | OUT_A20); break;
    default:
        if (v >= 0xf0 && !(v & OUT_RESET)) /* pulse output bits that are zero in the command */
            cs_event(cs, CHIPSET_EV_RESET);
    }
}

static void controller_data(struct chipset *cs, uint8_t command, uint8_t v)
{
    struct abi_i8042 *k = &cs->st->i8042;
    switch (command) {
    case 0x60:
        k->command = v & 0x7f;
        k->status = (k->status & ~ST_SYSTEM) | (v & CMD_SYSTEM);
        out_next(cs);
        input_pull(cs);
        break;
    case 0xd1: output_port_set(cs, v); break;
    case 0xd2: i8042_put(cs, I8042_CONTROLLER, v); break; /* as from the keyboard, not translated */
    case 0xd3: i8042_put(cs, I8042_AUXILIARY, v); break;
    case 0xd4:
        k->command &= ~CMD_AUX_OFF; /* sending to the device enables it */
        mouse_write(cs, v);
        break;
    }
}

uint8_t i8042_port_read(struct chipset *cs, uint16_t port)
{
    struct abi_i8042 *k = &cs->st->i8042;
    if (port == 0x64) {
        uint8_t v = (k->status & (ST_SYSTEM | ST_COMMAND)) | ST_UNLOCK;
        if (k->out_source != I8042_EMPTY)
            v |= ST_OBF | (k->out_source == I8042_AUXILIARY ? ST_AUX : 0);
        return v;
    }
    uint8_t v = k->out; /* an empty buffer still reads its last byte */
    k->out_source = I8042_EMPTY;
    lines_update(cs);
    out_next(cs);
    input_pull(cs);
    return v;
}

void i8042_port_write(struct chipset *cs, uint16_t port, uint8_t v)
{
    struct abi_i8042 *k = &cs->st->i8042;
    if (port == 0x64) {
        k->status |= ST_COMMAND;
        controller_command(cs, v);
        return;
    }
    k->status &= ~ST_COMMAND;
    uint8_t command = k->expect;
    k->expect = 0;
    if (command) {
        controller_data(cs, command, v);
    } else {
        k->command &= ~CMD_KBD_OFF; /* sending to the keyboard enables it */
        kbd_write(cs, v);
    }
}

void i8042_reset(struct chipset *cs)
{
    cs->st->i8042 = (struct abi_i8042){.status = ST_SYSTEM,
                                       .command = CMD_SYSTEM | CMD_KBD_INT | CMD_XLATE,
                                       .output_port = 0xcc | OUT_A20 | OUT_RESET};
    cs_ports_claim(cs, 0x60, 1, PORT_I8042);
    cs_ports_claim(cs, 0x64, 1, PORT_I8042);
    lines_update(cs);
}
