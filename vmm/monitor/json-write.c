/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Implements json-write.h. Must never emit a byte that is not ASCII.
 */
#include "vmm/monitor/json-write.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static void put(struct json_out *o, const char *s, size_t len)
{
    if (o->overflow || len > o->cap - o->len) {
        o->overflow = true;
        return;
    }
    memcpy(o->buf + o->len, s, len);
    o->len += len;
}

static void put_str(struct json_out *o, const char *s)
{
    put(o, s, strlen(s));
}

static void new_line(struct json_out *o)
{
    put_str(o, "\r\n"); /* as a terminal wants it, like the end of each reply */
    for (unsigned i = 0; i < o->depth; i++)
        put_str(o, "    ");
}

/* One code point of a string known to be UTF-8; a stray byte counts as U+FFFD. */
static uint32_t next_char(const unsigned char **s)
{
    uint32_t c = *(*s)++;
    int more = c < 0x80 ? 0 : c < 0xc2 ? -1 : c < 0xe0 ? 1 : c < 0xf0 ? 2 : c < 0xf5 ? 3 : -1;

    if (more < 0)
        return 0xfffd;
    c &= more ? 0x3fu >> more : 0x7f;
    for (; more; more--) {
        if ((**s & 0xc0) != 0x80)
            return 0xfffd;
        c = c << 6 | (*(*s)++ & 0x3f);
    }
    return c;
}

static void put_char(struct json_out *o, uint32_t c)
{
    static const char plain[] = "\b\f\n\r\t\"\\", letter[] = "bfnrt\"\\";
    const char *at = c && c < 0x80 ? strchr(plain, (int)c) : NULL;
    char text[16];

    if (at)
        snprintf(text, sizeof(text), "\\%c", letter[at - plain]);
    else if (c >= 0x20 && c < 0x7f)
        snprintf(text, sizeof(text), "%c", (int)c);
    else if (c < 0x10000)
        snprintf(text, sizeof(text), "\\u%04X", c);
    else
        snprintf(text, sizeof(text), "\\u%04X\\u%04X", 0xd800 + ((c - 0x10000) >> 10),
                 0xdc00 + (c & 0x3ff));
    put_str(o, text);
}

static void put_quoted(struct json_out *o, const char *s)
{
    const unsigned char *p = (const unsigned char *)s;

    put_str(o, "\"");
    while (*p)
        put_char(o, next_char(&p));
    put_str(o, "\"");
}

/* What comes before a value: comma, line, name. */
static void lead(struct json_out *o, const char *key)
{
    uint64_t bit = 1ull << o->depth;

    if (o->depth) {
        if (o->filled & bit)
            put_str(o, o->pretty ? "," : ", ");
        o->filled |= bit;
        if (o->pretty)
            new_line(o);
    }
    if (key) {
        put_quoted(o, key);
        put_str(o, ": ");
    }
}

static void open_container(struct json_out *o, const char *key, const char *mark)
{
    lead(o, key);
    put_str(o, mark);
    if (o->depth == 63) {
        o->overflow = true;
        return;
    }
    o->depth++;
    o->filled &= ~(1ull << o->depth);
}

static void close_container(struct json_out *o, const char *mark)
{
    o->depth--;
    if (o->pretty)
        new_line(o);
    put_str(o, mark);
}

void jw_init(struct json_out *o, char *buf, size_t cap, bool pretty)
{
    *o = (struct json_out){.buf = buf, .cap = cap, .pretty = pretty};
}

void jw_object(struct json_out *o, const char *key)
{
    open_container(o, key, "{");
}

void jw_array(struct json_out *o, const char *key)
{
    open_container(o, key, "[");
}

void jw_end_object(struct json_out *o)
{
    close_container(o, "}");
}

void jw_end_array(struct json_out *o)
{
    close_container(o, "]");
}

void jw_string(struct json_out *o, const char *key, const char *val)
{
    lead(o, key);
    put_quoted(o, val);
}

void jw_int(struct json_out *o, const char *key, int64_t val)
{
    char text[24];

    lead(o, key);
    snprintf(text, sizeof(text), "%" PRId64, val);
    put_str(o, text);
}

void jw_bool(struct json_out *o, const char *key, bool val)
{
    lead(o, key);
    put_str(o, val ? "true" : "false");
}

void jw_node(struct json_out *o, const char *key, const struct json_doc *d,
             const struct json_node *n)
{
    switch (n->type) {
    case JSON_NULL:
        lead(o, key);
        put_str(o, "null");
        return;
    case JSON_FALSE:
    case JSON_TRUE:
        jw_bool(o, key, n->type == JSON_TRUE);
        return;
    case JSON_INT:
    case JSON_FLOAT: /* as it was written */
        lead(o, key);
        put_str(o, json_str(d, n));
        return;
    case JSON_STRING:
        jw_string(o, key, json_str(d, n));
        return;
    case JSON_ARRAY:
        jw_array(o, key);
        for (const struct json_node *m = json_first(d, n); m; m = json_next(d, m))
            jw_node(o, NULL, d, m);
        jw_end_array(o);
        return;
    case JSON_OBJECT:
        jw_object(o, key);
        for (const struct json_node *m = json_first(d, n); m; m = json_next(d, m))
            jw_node(o, json_key(d, m), d, m);
        jw_end_object(o);
        return;
    }
}
