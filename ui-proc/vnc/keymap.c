/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keysyms (X11) and XT scan codes to keys of a US keyboard. Tables only.
 */
#include "ui-proc/vnc/vnc-internal.h"

#include <linux/input-event-codes.h>

/* Space to tilde: the key, and whether it is the shifted symbol. */
#define S 0x8000u
static const uint16_t ascii[95] = {
    KEY_SPACE, KEY_1 | S, KEY_APOSTROPHE | S, KEY_3 | S, KEY_4 | S, KEY_5 | S, KEY_7 | S, KEY_APOSTROPHE, KEY_9 | S,
    KEY_0 | S, KEY_8 | S, KEY_EQUAL | S, KEY_COMMA, KEY_MINUS, KEY_DOT, KEY_SLASH, KEY_0, KEY_1, KEY_2, KEY_3, KEY_4,
    KEY_5, KEY_6, KEY_7, KEY_8, KEY_9, KEY_SEMICOLON | S, KEY_SEMICOLON, KEY_COMMA | S, KEY_EQUAL, KEY_DOT | S,
    KEY_SLASH | S, KEY_2 | S, KEY_A | S, KEY_B | S, KEY_C | S, KEY_D | S, KEY_E | S, KEY_F | S, KEY_G | S, KEY_H | S,
    KEY_I | S, KEY_J | S, KEY_K | S, KEY_L | S, KEY_M | S, KEY_N | S, KEY_O | S, KEY_P | S, KEY_Q | S, KEY_R | S,
    KEY_S | S, KEY_T | S, KEY_U | S, KEY_V | S, KEY_W | S, KEY_X | S, KEY_Y | S, KEY_Z | S, KEY_LEFTBRACE,
    KEY_BACKSLASH, KEY_RIGHTBRACE, KEY_6 | S, KEY_MINUS | S, KEY_GRAVE, KEY_A, KEY_B, KEY_C, KEY_D, KEY_E, KEY_F,
    KEY_G, KEY_H, KEY_I, KEY_J, KEY_K, KEY_L, KEY_M, KEY_N, KEY_O, KEY_P, KEY_Q, KEY_R, KEY_S, KEY_T, KEY_U, KEY_V,
    KEY_W, KEY_X, KEY_Y, KEY_Z, KEY_LEFTBRACE | S, KEY_BACKSLASH | S, KEY_RIGHTBRACE | S, KEY_GRAVE | S,
};

static const uint16_t others[][2] = { /* keysymdef.h, FFxxh but for the last rows */
    {0xff08, KEY_BACKSPACE}, {0xff09, KEY_TAB}, {0xff0a, KEY_ENTER}, {0xff0d, KEY_ENTER}, {0xff13, KEY_PAUSE},
    {0xff14, KEY_SCROLLLOCK}, {0xff15, KEY_SYSRQ}, {0xff1b, KEY_ESC}, {0xff50, KEY_HOME}, {0xff51, KEY_LEFT},
    {0xff52, KEY_UP}, {0xff53, KEY_RIGHT}, {0xff54, KEY_DOWN}, {0xff55, KEY_PAGEUP}, {0xff56, KEY_PAGEDOWN},
    {0xff57, KEY_END}, {0xff61, KEY_SYSRQ}, {0xff63, KEY_INSERT}, {0xff67, KEY_COMPOSE}, {0xff6b, KEY_PAUSE},
    {0xff7f, KEY_NUMLOCK}, {0xff8d, KEY_KPENTER}, {0xff95, KEY_KP7}, {0xff96, KEY_KP4}, {0xff97, KEY_KP8},
    {0xff98, KEY_KP6}, {0xff99, KEY_KP2}, {0xff9a, KEY_KP9}, {0xff9b, KEY_KP3}, {0xff9c, KEY_KP1}, {0xff9d, KEY_KP5},
    {0xff9e, KEY_KP0}, {0xff9f, KEY_KPDOT}, {0xffaa, KEY_KPASTERISK}, {0xffab, KEY_KPPLUS}, {0xffad, KEY_KPMINUS},
    {0xffae, KEY_KPDOT}, {0xffaf, KEY_KPSLASH}, {0xffb0, KEY_KP0}, {0xffb1, KEY_KP1}, {0xffb2, KEY_KP2},
    {0xffb3, KEY_KP3}, {0xffb4, KEY_KP4}, {0xffb5, KEY_KP5}, {0xffb6, KEY_KP6}, {0xffb7, KEY_KP7}, {0xffb8, KEY_KP8},
    {0xffb9, KEY_KP9}, {0xffe1, KEY_LEFTSHIFT}, {0xffe2, KEY_RIGHTSHIFT}, {0xffe3, KEY_LEFTCTRL},
    {0xffe4, KEY_RIGHTCTRL}, {0xffe5, KEY_CAPSLOCK}, {0xffe7, KEY_LEFTMETA}, {0xffe8, KEY_RIGHTMETA},
    {0xffe9, KEY_LEFTALT}, {0xffea, KEY_RIGHTALT}, {0xffeb, KEY_LEFTMETA}, {0xffec, KEY_RIGHTMETA},
    {0xffff, KEY_DELETE}, {0xfe03, KEY_RIGHTALT}, {0xfe20, KEY_TAB},
};

unsigned keymap_find(uint32_t keysym, bool *shift)
{
    *shift = false;
    if (keysym >= 0x20 && keysym <= 0x7e) {
        uint16_t k = ascii[keysym - 0x20];

        *shift = k & S;
        return k & ~S;
    }
    if (keysym >= 0xffbe && keysym <= 0xffc7) {
        return KEY_F1 + (keysym - 0xffbe);
    }
    if (keysym == 0xffc8 || keysym == 0xffc9) {
        return keysym == 0xffc8 ? KEY_F11 : KEY_F12;
    }
    for (unsigned i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        if (others[i][0] == keysym) {
            return others[i][1];
        }
    }
    return 0;
}

unsigned keymap_xt(uint32_t xt)
{
    static const uint16_t extended[][2] = {
        {0x1c, KEY_KPENTER}, {0x1d, KEY_RIGHTCTRL}, {0x35, KEY_KPSLASH}, {0x37, KEY_SYSRQ}, {0x38, KEY_RIGHTALT},
        {0x45, KEY_NUMLOCK}, {0x46, KEY_PAUSE}, {0x47, KEY_HOME}, {0x48, KEY_UP}, {0x49, KEY_PAGEUP}, {0x4b, KEY_LEFT},
        {0x4d, KEY_RIGHT}, {0x4f, KEY_END}, {0x50, KEY_DOWN}, {0x51, KEY_PAGEDOWN}, {0x52, KEY_INSERT},
        {0x53, KEY_DELETE}, {0x5b, KEY_LEFTMETA}, {0x5c, KEY_RIGHTMETA}, {0x5d, KEY_COMPOSE}, {0x20, KEY_MUTE},
        {0x2e, KEY_VOLUMEDOWN}, {0x30, KEY_VOLUMEUP}, {0x5e, KEY_POWER}, {0x5f, KEY_SLEEP}, {0x63, KEY_WAKEUP},
    };
    static const uint16_t rare[][2] = {{0x59, KEY_KPEQUAL}, {0x70, KEY_KATAKANAHIRAGANA}, {0x73, KEY_RO},
                                       {0x79, KEY_HENKAN}, {0x7b, KEY_MUHENKAN}, {0x7d, KEY_YEN}, {0x7e, KEY_KPCOMMA},
                                       {0x54, KEY_SYSRQ}};

    if ((xt & 0xff80) == 0xe000) { /* the other way to write it */
        xt = (xt & 0x7f) | 0x80;
    }
    if (xt > 0xff) {
        return 0;
    }
    for (unsigned i = 0; (xt & 0x80) && i < sizeof(extended) / sizeof(extended[0]); i++) {
        if (extended[i][0] == (xt & 0x7f)) {
            return extended[i][1];
        }
    }
    if (xt & 0x80) {
        return 0;
    }
    for (unsigned i = 0; i < sizeof(rare) / sizeof(rare[0]); i++) {
        if (rare[i][0] == xt) {
            return rare[i][1];
        }
    }
    return xt <= KEY_KPDOT || (xt >= KEY_102ND && xt <= KEY_F12) ? xt : 0;
}
