/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The PS/2 mouse: commands, stream and remote mode, three bytes a report, four for a wheel and for five
 * buttons. Owns what has moved and was not reported; must never keep a report that the CPU cannot take.
 * References: IBM PS/2 hardware interface technical reference (mouse); Microsoft's wheel and five-button
 * extensions.
 */
#include <string.h>
#include "cpu-worker/chipset/chipset-internal.h"

#define ACK    0xfa
#define RESEND 0xfe
#define REPORT_MAX 4u

static void send(struct chipset *cs, uint8_t b)
{
    i8042_put(cs, I8042_AUXILIARY, b);
}

static bool room(const struct chipset *cs)
{
    return i8042_waiting(cs, I8042_AUXILIARY) + REPORT_MAX <= PS2_FIFO;
}

static int32_t clamp(int32_t v, int32_t most)
{
    return v > most ? most : v < -most ? -most : v;
}

/* Scaling 2:1 of stream mode. */
static int32_t scaled(const struct abi_ps2_mouse *m, int32_t v)
{
    static const uint8_t small[6] = {0, 1, 1, 3, 6, 9};
    int32_t n = v < 0 ? -v : v;
    if (!m->scaling2 || m->remote)
        return v;
    n = n < 6 ? small[n] : 2 * n;
    return clamp(v < 0 ? -n : n, 255);
}

/* Right and up are positive; a report carries at most 255 either way, the rest stays for the next. */
static void report_send(struct chipset *cs)
{
    struct abi_ps2_mouse *m = &cs->st->mouse;
    int32_t dx = clamp(m->dx, m->scaling2 ? 127 : 255), dy = clamp(-m->dy, m->scaling2 ? 127 : 255);
    int32_t dz = clamp(m->id ? -m->dz : 0, 7), x = scaled(m, dx), y = scaled(m, dy);
    send(cs, (uint8_t)(0x08 | (m->buttons & 1) | (m->buttons >> 2 & 1) << 1 | (m->buttons >> 1 & 1) << 2 |
                       (x < 0) << 4 | (y < 0) << 5));
    send(cs, (uint8_t)x);
    send(cs, (uint8_t)y);
    if (m->id == 3)
        send(cs, (uint8_t)dz);
    else if (m->id == 4)
        send(cs, (uint8_t)((dz & 15) | (m->buttons >> 3 & 3) << 4));
    m->dx -= dx;
    m->dy += dy;
    m->dz = m->id ? m->dz + dz : 0;
    m->buttons_sent = m->buttons;
}

static bool anything_new(const struct abi_ps2_mouse *m)
{
    return m->dx || m->dy || (m->dz && m->id) || m->buttons != m->buttons_sent;
}
static bool streams(const struct abi_ps2_mouse *m)
{
    return m->reporting && !m->remote && !m->wrap;
}

void mouse_pull(struct chipset *cs)
{
    const struct abi_ps2_mouse *m = &cs->st->mouse;
    while (streams(m) && anything_new(m) && room(cs))
        report_send(cs);
}

static void buttons_set(struct abi_ps2_mouse *m)
{
    m->buttons = m->held[0] | m->held[1];
}

/* A button that changes while an earlier change is unsent has to wait, or the click is lost. */
bool mouse_event(struct chipset *cs, unsigned producer, const struct abi_input_event *e)
{
    struct abi_ps2_mouse *m = &cs->st->mouse;
    uint8_t bit = (uint8_t)(1u << (e->code & 7));
    if (e->type == ABI_INPUT_MOVE) {
        m->dx = clamp(m->dx + e->a, 32767);
        m->dy = clamp(m->dy + e->b, 32767);
    } else if (e->type == ABI_INPUT_WHEEL) {
        m->dz = clamp(m->dz + e->a, 32767);
    } else if (e->type == ABI_INPUT_BUTTON && e->code < 5) {
        if (streams(m) && m->buttons != m->buttons_sent)
            return false;
        m->held[producer & 1] = e->a ? m->held[producer & 1] | bit : m->held[producer & 1] & ~bit;
        buttons_set(m);
    }
    mouse_pull(cs);
    return true;
}

void mouse_release(struct chipset *cs, unsigned producer)
{
    cs->st->mouse.held[producer & 1] = 0;
    buttons_set(&cs->st->mouse);
    mouse_pull(cs);
}

/* ---- commands ---- */

static void defaults_set(struct abi_ps2_mouse *m)
{
    m->rate = 100;
    m->resolution = 2;
    m->scaling2 = m->reporting = m->remote = m->wrap = 0;
    m->dx = m->dy = m->dz = 0;
}

/* 200, 100, 80 asks for a wheel; 200, 200, 80 then for five buttons. */
static void rate_set(struct abi_ps2_mouse *m, uint8_t v)
{
    m->rate = v;
    m->rates[0] = m->rates[1];
    m->rates[1] = m->rates[2];
    m->rates[2] = v;
    if (m->rates[0] == 200 && m->rates[1] == 100 && v == 80)
        m->id = 3;
    else if (m->id && m->rates[0] == 200 && m->rates[1] == 200 && v == 80)
        m->id = 4;
}

static void status_send(struct chipset *cs)
{
    const struct abi_ps2_mouse *m = &cs->st->mouse;
    send(cs, (uint8_t)(m->remote << 6 | m->reporting << 5 | m->scaling2 << 4 | (m->buttons & 1) << 2 |
                       (m->buttons >> 1 & 1) << 1 | (m->buttons >> 2 & 1)));
    send(cs, m->resolution);
    send(cs, m->rate);
}

static bool known(uint8_t v)
{
    return (v >= 0xe6 && v <= 0xf6 && v != 0xed && v != 0xef && v != 0xf1) || v == 0xff;
}

static void command(struct chipset *cs, uint8_t v)
{
    struct abi_ps2_mouse *m = &cs->st->mouse;
    i8042_drop(cs, I8042_AUXILIARY);
    send(cs, known(v) ? ACK : RESEND);
    switch (v) {
    case 0xe6: m->scaling2 = 0; break;
    case 0xe7: m->scaling2 = 1; break;
    case 0xe8: case 0xf3: m->expect = v; break; /* resolution, sample rate */
    case 0xe9: status_send(cs); break;
    case 0xea: m->remote = 0; break;
    case 0xeb: report_send(cs); break;
    case 0xec: m->wrap = 0; break;
    case 0xee: m->wrap = 1; break;
    case 0xf0: m->remote = 1; break;
    case 0xf2: send(cs, m->id); break;
    case 0xf4:
        m->reporting = 1;
        m->buttons_sent = m->buttons;
        m->dx = m->dy = m->dz = 0;
        break;
    case 0xf5: m->reporting = 0; break;
    case 0xf6: defaults_set(m); break;
    case 0xff:
        defaults_set(m);
        m->id = 0;
        send(cs, 0xaa);
        send(cs, 0x00);
        break;
    }
}

void mouse_write(struct chipset *cs, uint8_t v)
{
    struct abi_ps2_mouse *m = &cs->st->mouse;
    uint8_t what = m->expect;
    m->expect = 0;
    if (m->wrap && v != 0xff && v != 0xec) {
        send(cs, v);
    } else if (what == 0xe8) {
        m->resolution = v & 3;
        send(cs, ACK);
    } else if (what == 0xf3) {
        rate_set(m, v);
        send(cs, ACK);
    } else {
        command(cs, v);
    }
}

void mouse_reset(struct chipset *cs)
{
    struct abi_ps2_mouse *m = &cs->st->mouse;
    m->expect = m->id = 0;
    memset(m->rates, 0, sizeof(m->rates));
    defaults_set(m);
    m->buttons_sent = m->buttons;
}
