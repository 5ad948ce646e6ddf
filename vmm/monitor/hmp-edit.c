/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Line editing on a VT100-like terminal: cursor keys, history, the usual control keys. Must never
 * hold more than the line and a bounded history.
 */
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include "vmm/monitor/monitor.h"

typedef void (*say_fn)(void *opaque, const char *s, size_t len);
#define CTRL(c) ((c)&0x1f)

void hmp_edit_redraw(struct hmp_edit *e, say_fn say, void *opaque)
{
    char back[16];

    say(opaque, "\r" HMP_PROMPT, 1 + sizeof(HMP_PROMPT) - 1);
    say(opaque, e->line, e->len);
    say(opaque, "\033[K", 3);
    if (e->pos < e->len) {
        int n = snprintf(back, sizeof(back), "\033[%uD", e->len - e->pos);

        say(opaque, back, (size_t)n);
    }
}

static void insert_byte(struct hmp_edit *e, char b, say_fn say, void *opaque)
{
    if (e->len + 1 >= HMP_LINE)
        return;
    memmove(e->line + e->pos + 1, e->line + e->pos, e->len - e->pos);
    e->line[e->pos++] = b;
    e->line[++e->len] = 0;
    if (e->pos == e->len)
        say(opaque, &b, 1);
    else
        hmp_edit_redraw(e, say, opaque);
}

void hmp_edit_insert(struct hmp_edit *e, const char *s, say_fn say, void *opaque)
{
    while (*s)
        insert_byte(e, *s++, say, opaque);
}

static void cut(struct hmp_edit *e, unsigned from, unsigned to, say_fn say, void *opaque)
{
    memmove(e->line + from, e->line + to, e->len - to + 1);
    e->len -= to - from;
    e->pos = from;
    hmp_edit_redraw(e, say, opaque);
}

static void move(struct hmp_edit *e, unsigned to, say_fn say, void *opaque)
{
    e->pos = to;
    hmp_edit_redraw(e, say, opaque);
}

static void show_line(struct hmp_edit *e, const char *text, say_fn say, void *opaque)
{
    e->len = e->pos = (unsigned)strlen(text);
    memmove(e->line, text, e->len + 1); /* both arrays have HMP_LINE bytes */
    hmp_edit_redraw(e, say, opaque);
}

static void go_up(struct hmp_edit *e, say_fn say, void *opaque)
{
    if (!e->at)
        return;
    if (e->at == e->n_history)
        memcpy(e->kept, e->line, sizeof(e->kept));
    show_line(e, e->history[--e->at], say, opaque);
}

static void go_down(struct hmp_edit *e, say_fn say, void *opaque)
{
    if (e->at == e->n_history)
        return;
    e->at++;
    show_line(e, e->at == e->n_history ? e->kept : e->history[e->at], say, opaque);
}

static unsigned word_start(const struct hmp_edit *e)
{
    unsigned i = e->pos;

    while (i && isspace((unsigned char)e->line[i - 1]))
        i--;
    while (i && !isspace((unsigned char)e->line[i - 1]))
        i--;
    return i;
}

/* One command of the editor, by its control key; the escape sequences are turned into these. */
static void edit_key(struct hmp_edit *e, uint8_t b, say_fn say, void *opaque)
{
    switch (b) {
    case CTRL('A'):
        move(e, 0, say, opaque);
        return;
    case CTRL('E'):
        move(e, e->len, say, opaque);
        return;
    case CTRL('B'):
        move(e, e->pos ? e->pos - 1 : 0, say, opaque);
        return;
    case CTRL('F'):
        move(e, e->pos < e->len ? e->pos + 1 : e->len, say, opaque);
        return;
    case CTRL('D'):
        if (e->pos < e->len)
            cut(e, e->pos, e->pos + 1, say, opaque);
        return;
    case CTRL('H'):
    case 0x7f:
        if (e->pos)
            cut(e, e->pos - 1, e->pos, say, opaque);
        return;
    case CTRL('K'):
        cut(e, e->pos, e->len, say, opaque);
        return;
    case CTRL('U'):
        cut(e, 0, e->pos, say, opaque);
        return;
    case CTRL('W'):
        cut(e, word_start(e), e->pos, say, opaque);
        return;
    case CTRL('P'):
        go_up(e, say, opaque);
        return;
    case CTRL('N'):
        go_down(e, say, opaque);
        return;
    case CTRL('L'):
        say(opaque, "\033[2J\033[H", 7);
        hmp_edit_redraw(e, say, opaque);
        return;
    default:
        return;
    }
}

/* ESC [ A, ESC O A, ESC [ 3 ~ and their like (ECMA-48, section 5.4) */
static void escape_byte(struct hmp_edit *e, uint8_t b, say_fn say, void *opaque)
{
    static const struct {
        char seq[4];
        uint8_t key;
    } keys[] = {
        {"A", CTRL('P')},  {"B", CTRL('N')},  {"C", CTRL('F')},  {"D", CTRL('B')},
        {"H", CTRL('A')},  {"F", CTRL('E')},  {"1~", CTRL('A')}, {"7~", CTRL('A')},
        {"4~", CTRL('E')}, {"8~", CTRL('E')}, {"3~", CTRL('D')},
    };

    if (e->n_esc == 1) {
        if (b == '[' || b == 'O')
            e->n_esc = 2;
        else
            e->n_esc = 0;
        return;
    }
    e->esc[e->n_esc++ - 2] = b;
    e->esc[e->n_esc - 2] = 0;
    if (b < 0x40 && e->n_esc < sizeof(e->esc))
        return; /* a parameter */
    e->n_esc = 0;
    for (unsigned i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
        if (!strcmp((const char *)e->esc, keys[i].seq))
            edit_key(e, keys[i].key, say, opaque);
}

enum hmp_edit_result hmp_edit_byte(struct hmp_edit *e, uint8_t b, say_fn say, void *opaque)
{
    bool second = e->after_cr && b == '\n'; /* "\r\n" is one line end */

    e->after_cr = b == '\r';
    if (second)
        return EDIT_MORE;
    if (e->n_esc) {
        escape_byte(e, b, say, opaque);
    } else if (b == '\r' || b == '\n') {
        say(opaque, "\r\n", 2);
        return EDIT_LINE;
    } else if (b == '\t') {
        return EDIT_TAB;
    } else if (b == 0x1b) {
        e->n_esc = 1;
    } else if (b < 0x20 || b == 0x7f) {
        edit_key(e, b, say, opaque);
    } else {
        insert_byte(e, (char)b, say, opaque);
    }
    return EDIT_MORE;
}

void hmp_edit_next(struct hmp_edit *e)
{
    bool again = e->n_history && !strcmp(e->history[e->n_history - 1], e->line);

    if (e->len && !again) {
        if (e->n_history == HMP_HISTORY) {
            memmove(e->history[0], e->history[1], sizeof(e->history) - HMP_LINE);
            e->n_history--;
        }
        memcpy(e->history[e->n_history++], e->line, HMP_LINE);
    }
    e->at = e->n_history;
    e->len = e->pos = 0;
    e->line[0] = e->kept[0] = 0;
}
