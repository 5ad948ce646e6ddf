/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The keyboard controller at 60h/64h with a keyboard that answers its commands and never sends a
 * key, and an auxiliary port with nothing attached. Owns A20 and reset as the controller's output
 * port has them; must never hold key presses (there is no input device yet). References: IBM PS/2
 * hardware interface technical reference (keyboard and auxiliary device controller; keyboards,
 * 101- and 102-key).
 */
#include <string.h>
#include "cpu-worker/chipset/chipset-internal.h"

enum { SRC_EMPTY, SRC_CONTROLLER, SRC_KEYBOARD, SRC_AUXILIARY, SRC_AUX_ABSENT };
#define ST_OBF     0x01
#define ST_SYSTEM  0x04
#define ST_COMMAND 0x08
#define ST_UNLOCK  0x10
#define ST_AUX     0x20
#define ST_TIMEOUT 0x40
#define CMD_KBD_INT  0x01
#define CMD_AUX_INT  0x02
#define CMD_SYSTEM   0x04
#define CMD_KBD_OFF  0x10
#define CMD_AUX_OFF  0x20
#define CMD_XLATE    0x40 /* scan codes to set 1: on, as firmware leaves it */
#define OUT_RESET 0x01 /* low: the CPU is held in reset */
#define OUT_A20   0x02

static bool from_aux(const struct abi_i8042 *k)
{
    return k->out_source >= SRC_AUXILIARY;
}

static void lines_update(struct chipset *cs)
{
    const struct abi_i8042 *k = &cs->st->i8042;
    bool full = k->out_source != SRC_EMPTY;
    cs_line_set(cs, 1, SRC_KBD, full && !from_aux(k) && (k->command & CMD_KBD_INT));
    cs_line_set(cs, 12, SRC_AUX, full && from_aux(k) && (k->command & CMD_AUX_INT));
}

/* Moves the next byte into the output buffer; a disabled keyboard's bytes wait (clock held low). */
static void out_next(struct chipset *cs)
{
    struct abi_i8042 *k = &cs->st->i8042;
    for (unsigned i = 0; k->out_source == SRC_EMPTY && i < k->queue_len; i++) {
        uint8_t src = k->queue_source[i];
        if (src == SRC_KEYBOARD && (k->command & CMD_KBD_OFF))
            continue;
        k->out = k->queue[i];
        k->out_source = src;
        k->queue_len--;
        memmove(k->queue + i, k->queue + i + 1, k->queue_len - i);
        memmove(k->queue_source + i, k->queue_source + i + 1, k->queue_len - i);
    }
    lines_update(cs);
}

static void out_put(struct chipset *cs, uint8_t source, uint8_t byte)
{
    struct abi_i8042 *k = &cs->st->i8042;
    if (k->queue_len < ABI_I8042_QUEUE) {
        k->queue[k->queue_len] = byte;
        k->queue_source[k->queue_len++] = source;
    }
    out_next(cs);
}

static void output_port_set(struct chipset *cs, uint8_t v)
{
    cs->st->i8042.output_port = v;
    cs_a20_set(cs, v & OUT_A20);
    if (!(v & OUT_RESET))
        cs_event(cs, CHIPSET_EV_RESET);
}

/* ---- the keyboard
 * -------------------------------------------------------------------------------- */

static void kbd_flush(struct chipset *cs)
{
    struct abi_i8042 *k = &cs->st->i8042;
    unsigned kept = 0;
    for (unsigned i = 0; i < k->queue_len; i++) {
        if (k->queue_source[i] == SRC_KEYBOARD)
            continue;
        k->queue[kept] = k->queue[i];
        k->queue_source[kept++] = k->queue_source[i];
    }
    k->queue_len = (uint8_t)kept;
}

static void kbd_command(struct chipset *cs, uint8_t v)
{
    struct abi_i8042 *k = &cs->st->i8042;
    kbd_flush(cs); /* a command ends whatever the keyboard was sending */
    switch (v) {
    case 0xee: /* echo */
        out_put(cs, SRC_KEYBOARD, 0xee);
        return;
    case 0xed: /* indicators */
    case 0xf0: /* scan code set */
    case 0xf3: /* typematic rate */
    case 0xfb: case 0xfc: case 0xfd: /* key types: followed by scan codes */
        k->kbd_expect = v;
        break;
    case 0xf2: /* identify */
        out_put(cs, SRC_KEYBOARD, 0xfa);
        out_put(cs, SRC_KEYBOARD, 0xab);
        out_put(cs, SRC_KEYBOARD, 0x83);
        return;
    case 0xf4: k->kbd_scanning = 1; break;
    case 0xf5: k->kbd_scanning = 0; break;
    case 0xf6: k->kbd_scanning = 1; break;
    case 0xf7: case 0xf8: case 0xf9: case 0xfa: break; /* all keys: type */
    case 0xff: /* reset: acknowledge, then the basic assurance test's result */
        k->kbd_scanning = 1;
        out_put(cs, SRC_KEYBOARD, 0xfa);
        out_put(cs, SRC_KEYBOARD, 0xaa);
        return;
    default:
        out_put(cs, SRC_KEYBOARD, 0xfe); /* resend: not a command */
        return;
    }
    out_put(cs, SRC_KEYBOARD, 0xfa);
}

static void kbd_write(struct chipset *cs, uint8_t v)
{
    struct abi_i8042 *k = &cs->st->i8042;
    uint8_t command = k->kbd_expect;
    if (!command || v >= 0xed) { /* a command byte takes the place of a parameter */
        k->kbd_expect = 0;
        kbd_command(cs, v);
        return;
    }
    k->kbd_expect = 0;
    out_put(cs, SRC_KEYBOARD, 0xfa);
    if (command == 0xf0 && v == 0)
        out_put(cs, SRC_KEYBOARD, 2); /* which set: 2 */
}

/* ---- the controller
 * ------------------------------------------------------------------------------ */

static void controller_command(struct chipset *cs, uint8_t v)
{
    struct abi_i8042 *k = &cs->st->i8042;
    k->expect = 0;
    switch (v) {
    case 0x20: out_put(cs, SRC_CONTROLLER, k->command); break;
    case 0x60: case 0xd1: case 0xd2: case 0xd3: case 0xd4: k->expect = v; break;
    case 0xa7: k->command |= CMD_AUX_OFF; break;
    case 0xa8: k->command &= ~CMD_AUX_OFF; break;
    case 0xa9: out_put(cs, SRC_CONTROLLER, 0x00); break; /* auxiliary interface test: no error */
    case 0xaa: /* self test */
        k->status |= ST_SYSTEM;
        k->command |= CMD_SYSTEM;
        out_put(cs, SRC_CONTROLLER, 0x55);
        break;
    case 0xab: out_put(cs, SRC_CONTROLLER, 0x00); break; /* keyboard interface test */
    case 0xad: k->command |= CMD_KBD_OFF; break;
    case 0xae:
        k->command &= ~CMD_KBD_OFF;
        out_next(cs);
        break;
    case 0xc0: out_put(cs, SRC_CONTROLLER, 0x80); break; /* input port: keyboard not locked */
    case 0xd0: out_put(cs, SRC_CONTROLLER, k->output_port); break;
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
        break;
    case 0xd1: output_port_set(cs, v); break;
    case 0xd2: out_put(cs, SRC_KEYBOARD, v); break;
    case 0xd3: out_put(cs, SRC_AUXILIARY, v); break;
    case 0xd4: out_put(cs, SRC_AUX_ABSENT, 0xfe); break; /* nobody answers: time-out, "resend" */
    }
}

uint8_t i8042_port_read(struct chipset *cs, uint16_t port)
{
    struct abi_i8042 *k = &cs->st->i8042;
    if (port == 0x64) {
        uint8_t v = (k->status & (ST_SYSTEM | ST_COMMAND)) | ST_UNLOCK;
        if (k->out_source != SRC_EMPTY)
            v |= ST_OBF | (from_aux(k) ? ST_AUX : 0) |
                 (k->out_source == SRC_AUX_ABSENT ? ST_TIMEOUT : 0);
        return v;
    }
    uint8_t v = k->out; /* an empty buffer still reads its last byte */
    k->out_source = SRC_EMPTY;
    lines_update(cs);
    out_next(cs);
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
                                       .output_port = 0xcc | OUT_A20 | OUT_RESET,
                                       .kbd_scanning = 1};
    cs_ports_claim(cs, 0x60, 1, PORT_I8042);
    cs_ports_claim(cs, 0x64, 1, PORT_I8042);
    lines_update(cs);
}
