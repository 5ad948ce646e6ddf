/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Ctrl-a keys of a host end that a serial port and a monitor share. Must never pass the escape
 * key on by itself, nor lose a key that follows it.
 */
#include <stdio.h>
#include <string.h>
#include "vmm/monitor/chr.h"

#define ESCAPE 0x01 /* Ctrl-a */

static void say(struct chr *c, const char *text)
{
    chr_write(c, text, strlen(text));
}

static void show_help(struct chr *c)
{
    say(c, "\r\n"
           "Ctrl-a h    print this help\r\n"
           "Ctrl-a x    exit emulator\r\n"
           "Ctrl-a s    save disk data back to file (if -snapshot)\r\n"
           "Ctrl-a t    toggle console timestamps\r\n"
           "Ctrl-a b    send break (magic sysrq)\r\n"
           "Ctrl-a c    switch between console and monitor\r\n"
           "Ctrl-a Ctrl-a  sends Ctrl-a\r\n");
}

static void next_focus(struct chr *c)
{
    if (c->n_fe < 2)
        return;
    c->fe[c->focus]->event(c->fe[c->focus]->opaque, CHR_FOCUS_OUT);
    c->focus = (c->focus + 1) % c->n_fe;
    c->fe[c->focus]->event(c->fe[c->focus]->opaque, CHR_FOCUS_IN);
}

static void escape_key(struct chr *c, uint8_t key)
{
    switch (key) {
    case ESCAPE:
        chr_queue_input(c, ESCAPE);
        return;
    case 'h':
    case '?':
        show_help(c);
        return;
    case 'x':
        say(c, "Bulkhead: Terminated\r\n");
        vm_quit(c->vm);
        return;
    case 's': /* -snapshot is not built, and without it disks are always up to date */
        say(c, "\r\nno disk was opened with -snapshot: nothing to save\r\n");
        return;
    case 't':
        c->timestamps = !c->timestamps;
        c->time_zero_ns = ipc_now_ns();
        return;
    case 'b':
        if (c->n_fe)
            c->fe[c->focus]->event(c->fe[c->focus]->opaque, CHR_BREAK);
        return;
    case 'c':
        next_focus(c);
        return;
    default: /* no such command: the key is swallowed, as QEMU does */
        return;
    }
}

void mux_input(struct chr *c, uint8_t byte)
{
    if (c->escape) {
        c->escape = false;
        chr_resume(c); /* what was typed before the key comes first */
        escape_key(c, byte);
    } else if (byte == ESCAPE) {
        c->escape = true;
    } else {
        chr_queue_input(c, byte);
    }
}

/* Every line begins with the time since the timestamps were switched on. */
size_t mux_output(struct chr *c, const uint8_t *buf, size_t len)
{
    char stamp[24];

    for (size_t i = 0; i < len; i++) {
        if (CHR_OUT - c->out_len < sizeof(stamp) + 1)
            return i;
        if (c->line_start) {
            uint64_t ms = (ipc_now_ns() - c->time_zero_ns) / 1000000;
            int n = snprintf(stamp, sizeof(stamp), "[%02u:%02u:%02u.%03u] ",
                             (unsigned)(ms / 3600000 % 100), (unsigned)(ms / 60000 % 60),
                             (unsigned)(ms / 1000 % 60), (unsigned)(ms % 1000));

            chr_put(c, stamp, (size_t)n);
        }
        chr_put(c, &buf[i], 1);
        c->line_start = buf[i] == '\n';
    }
    return len;
}
