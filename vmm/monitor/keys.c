/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of keys as QEMU has them (QKeyCode) and the guest's key numbers. A table only.
 */
#include "vmm/monitor/keys.h"

#include <linux/input-event-codes.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    unsigned key;
} keys[] = {
    {"shift", KEY_LEFTSHIFT}, {"shift_r", KEY_RIGHTSHIFT}, {"alt", KEY_LEFTALT}, {"alt_r", KEY_RIGHTALT},
    {"altgr", KEY_RIGHTALT}, {"ctrl", KEY_LEFTCTRL}, {"ctrl_r", KEY_RIGHTCTRL}, {"menu", KEY_COMPOSE},
    {"compose", KEY_COMPOSE}, {"esc", KEY_ESC}, {"1", KEY_1}, {"2", KEY_2}, {"3", KEY_3}, {"4", KEY_4}, {"5", KEY_5},
    {"6", KEY_6}, {"7", KEY_7}, {"8", KEY_8}, {"9", KEY_9}, {"0", KEY_0}, {"minus", KEY_MINUS}, {"equal", KEY_EQUAL},
    {"backspace", KEY_BACKSPACE}, {"tab", KEY_TAB}, {"q", KEY_Q}, {"w", KEY_W}, {"e", KEY_E}, {"r", KEY_R},
    {"t", KEY_T}, {"y", KEY_Y}, {"u", KEY_U}, {"i", KEY_I}, {"o", KEY_O}, {"p", KEY_P},
    {"bracket_left", KEY_LEFTBRACE}, {"bracket_right", KEY_RIGHTBRACE}, {"ret", KEY_ENTER}, {"a", KEY_A}, {"s", KEY_S},
    {"d", KEY_D}, {"f", KEY_F}, {"g", KEY_G}, {"h", KEY_H}, {"j", KEY_J}, {"k", KEY_K}, {"l", KEY_L},
    {"semicolon", KEY_SEMICOLON}, {"apostrophe", KEY_APOSTROPHE}, {"grave_accent", KEY_GRAVE},
    {"backslash", KEY_BACKSLASH}, {"z", KEY_Z}, {"x", KEY_X}, {"c", KEY_C}, {"v", KEY_V}, {"b", KEY_B}, {"n", KEY_N},
    {"m", KEY_M}, {"comma", KEY_COMMA}, {"dot", KEY_DOT}, {"slash", KEY_SLASH}, {"asterisk", KEY_KPASTERISK},
    {"spc", KEY_SPACE}, {"caps_lock", KEY_CAPSLOCK}, {"f1", KEY_F1}, {"f2", KEY_F2}, {"f3", KEY_F3}, {"f4", KEY_F4},
    {"f5", KEY_F5}, {"f6", KEY_F6}, {"f7", KEY_F7}, {"f8", KEY_F8}, {"f9", KEY_F9}, {"f10", KEY_F10}, {"f11", KEY_F11},
    {"f12", KEY_F12}, {"num_lock", KEY_NUMLOCK}, {"scroll_lock", KEY_SCROLLLOCK}, {"kp_divide", KEY_KPSLASH},
    {"kp_multiply", KEY_KPASTERISK}, {"kp_subtract", KEY_KPMINUS}, {"kp_add", KEY_KPPLUS}, {"kp_enter", KEY_KPENTER},
    {"kp_decimal", KEY_KPDOT}, {"kp_equals", KEY_KPEQUAL}, {"kp_comma", KEY_KPCOMMA}, {"sysrq", KEY_SYSRQ},
    {"print", KEY_SYSRQ}, {"kp_0", KEY_KP0}, {"kp_1", KEY_KP1}, {"kp_2", KEY_KP2}, {"kp_3", KEY_KP3},
    {"kp_4", KEY_KP4}, {"kp_5", KEY_KP5}, {"kp_6", KEY_KP6}, {"kp_7", KEY_KP7}, {"kp_8", KEY_KP8}, {"kp_9", KEY_KP9},
    {"less", KEY_102ND}, {"home", KEY_HOME}, {"pgup", KEY_PAGEUP}, {"pgdn", KEY_PAGEDOWN}, {"end", KEY_END},
    {"left", KEY_LEFT}, {"up", KEY_UP}, {"down", KEY_DOWN}, {"right", KEY_RIGHT}, {"insert", KEY_INSERT},
    {"delete", KEY_DELETE}, {"meta_l", KEY_LEFTMETA}, {"meta_r", KEY_RIGHTMETA}, {"pause", KEY_PAUSE}, {"ro", KEY_RO},
    {"hiragana", KEY_KATAKANAHIRAGANA}, {"henkan", KEY_HENKAN}, {"muhenkan", KEY_MUHENKAN}, {"yen", KEY_YEN},
    {"power", KEY_POWER}, {"sleep", KEY_SLEEP}, {"wake", KEY_WAKEUP}, {"volumeup", KEY_VOLUMEUP},
    {"volumedown", KEY_VOLUMEDOWN}, {"audiomute", KEY_MUTE},
};

unsigned key_of_name(const char *name, size_t len)
{
    for (unsigned i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
        if (strlen(keys[i].name) == len && !strncmp(keys[i].name, name, len))
            return keys[i].key;
    return 0;
}

/* Scan codes of set 1 with 80h for those after E0h. */
unsigned key_of_number(unsigned long n)
{
    for (unsigned i = 0; n & 0x80 && i < sizeof(keys) / sizeof(keys[0]); i++)
        if (key_number(keys[i].key) == n)
            return keys[i].key;
    return n && n <= KEY_KPDOT ? (unsigned)n : n == 0x56 || n == 0x57 || n == 0x58 ? (unsigned)n : 0;
}

unsigned key_number(unsigned key)
{
    static const unsigned char extended[][2] = {
        {KEY_KPENTER, 0x9c}, {KEY_RIGHTCTRL, 0x9d}, {KEY_KPSLASH, 0xb5}, {KEY_SYSRQ, 0xb7}, {KEY_RIGHTALT, 0xb8},
        {KEY_HOME, 0xc7}, {KEY_UP, 0xc8}, {KEY_PAGEUP, 0xc9}, {KEY_LEFT, 0xcb}, {KEY_RIGHT, 0xcd}, {KEY_END, 0xcf},
        {KEY_DOWN, 0xd0}, {KEY_PAGEDOWN, 0xd1}, {KEY_INSERT, 0xd2}, {KEY_DELETE, 0xd3}, {KEY_LEFTMETA, 0xdb},
        {KEY_RIGHTMETA, 0xdc}, {KEY_COMPOSE, 0xdd},
    };
    for (unsigned i = 0; i < sizeof(extended) / sizeof(extended[0]); i++)
        if (extended[i][0] == key)
            return extended[i][1];
    return key;
}
