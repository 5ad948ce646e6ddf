/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Implements json.h by recursive descent with a depth counter. Never reads past len, never trusts a
 * NUL.
 */
#include "vmm/config/json.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct reader {
    struct json_doc *d;
    const unsigned char *p, *end;
    unsigned depth;
};

static int fail(struct reader *r, const char *what)
{
    snprintf(r->d->err, sizeof(r->d->err), "JSON parse error, %s", what);
    return -1;
}

static void skip_space(struct reader *r)
{
    while (r->p < r->end && (*r->p == ' ' || *r->p == '\t' || *r->p == '\n' || *r->p == '\r'))
        r->p++;
}

/* The text area is twice the input, and every byte written stems from at least one byte read plus
 * one terminator per token, so it cannot run out; the check keeps that a local fact. */
static int put(struct reader *r, unsigned char c)
{
    if (r->d->used >= sizeof(r->d->text))
        return fail(r, "value too large");
    r->d->text[r->d->used++] = (char)c;
    return 0;
}

static int put_utf8(struct reader *r, uint32_t u)
{
    if (u < 0x80)
        return put(r, (unsigned char)u);
    if (u < 0x800)
        return put(r, 0xc0 | u >> 6) || put(r, 0x80 | (u & 0x3f)) ? -1 : 0;
    if (u < 0x10000)
        return put(r, 0xe0 | u >> 12) || put(r, 0x80 | (u >> 6 & 0x3f)) || put(r, 0x80 | (u & 0x3f))
                   ? -1
                   : 0;
    return put(r, 0xf0 | u >> 18) || put(r, 0x80 | (u >> 12 & 0x3f)) ||
                   put(r, 0x80 | (u >> 6 & 0x3f)) || put(r, 0x80 | (u & 0x3f))
               ? -1
               : 0;
}

static int read_hex4(struct reader *r, uint32_t *out)
{
    uint32_t v = 0;

    if (r->end - r->p < 4)
        return fail(r, "short \\u escape");
    for (int i = 0; i < 4; i++) {
        unsigned char c = *r->p++;

        if (c >= '0' && c <= '9')
            v = v << 4 | (uint32_t)(c - '0');
        else if ((c | 32) >= 'a' && (c | 32) <= 'f')
            v = v << 4 | (uint32_t)((c | 32) - 'a' + 10);
        else
            return fail(r, "bad \\u escape");
    }
    *out = v;
    return 0;
}

/* RFC 8259 section 7: characters outside the basic plane are written as a surrogate pair. */
static int read_unicode(struct reader *r)
{
    uint32_t u, low;

    if (read_hex4(r, &u))
        return -1;
    if (u >= 0xdc00 && u <= 0xdfff)
        return fail(r, "lone surrogate");
    if (u >= 0xd800 && u <= 0xdbff) {
        if (r->end - r->p < 2 || r->p[0] != '\\' || r->p[1] != 'u')
            return fail(r, "lone surrogate");
        r->p += 2;
        if (read_hex4(r, &low))
            return -1;
        if (low < 0xdc00 || low > 0xdfff)
            return fail(r, "lone surrogate");
        u = 0x10000 + ((u - 0xd800) << 10) + (low - 0xdc00);
    }
    if (!u)
        return fail(r, "\\u0000 is not allowed");
    return put_utf8(r, u);
}

static int read_escape(struct reader *r)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    const char *at;

    if (r->p == r->end)
        return fail(r, "unterminated string");
    if (*r->p == 'u') {
        r->p++;
        return read_unicode(r);
    }
    at = *r->p ? strchr(from, *r->p) : NULL;
    if (!at)
        return fail(r, "bad escape");
    r->p++;
    return put(r, (unsigned char)to[at - from]);
}

/* Unicode table 3-7, well-formed UTF-8 byte sequences. */
static int utf8_length(const unsigned char *p, size_t left)
{
    unsigned lo = 0x80, hi = 0xbf;
    int n = p[0] < 0xc2 ? 0 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : p[0] < 0xf5 ? 4 : 0;

    if (!n || left < (size_t)n)
        return 0;
    if (p[0] == 0xe0)
        lo = 0xa0;
    if (p[0] == 0xed)
        hi = 0x9f;
    if (p[0] == 0xf0)
        lo = 0x90;
    if (p[0] == 0xf4)
        hi = 0x8f;
    if (p[1] < lo || p[1] > hi)
        return 0;
    for (int i = 2; i < n; i++)
        if (p[i] < 0x80 || p[i] > 0xbf)
            return 0;
    return n;
}

static int read_plain(struct reader *r)
{
    int n = 1;

    if (*r->p < 0x20)
        return fail(r, "control character in string");
    if (*r->p >= 0x80) {
        n = utf8_length(r->p, (size_t)(r->end - r->p));
        if (!n)
            return fail(r, "invalid UTF-8 sequence in string");
    }
    while (n--)
        if (put(r, *r->p++))
            return -1;
    return 0;
}

static int read_string(struct reader *r, uint32_t *out)
{
    uint32_t start = (uint32_t)r->d->used;
    int rc;

    r->p++; /* the quote */
    for (;;) {
        if (r->p == r->end)
            return fail(r, "unterminated string");
        if (*r->p == '"')
            break;
        if (*r->p == '\\') {
            r->p++;
            rc = read_escape(r);
        } else {
            rc = read_plain(r);
        }
        if (rc)
            return -1;
    }
    r->p++;
    *out = start;
    return put(r, 0);
}

static bool digits(struct reader *r)
{
    const unsigned char *start = r->p;

    while (r->p < r->end && *r->p >= '0' && *r->p <= '9')
        r->p++;
    return r->p > start;
}

/* RFC 8259 section 6. Returns 0 for an integer, 1 for a fraction or exponent, -1 for neither. */
static int scan_number(struct reader *r)
{
    int kind = 0;

    if (*r->p == '-')
        r->p++;
    if (r->p < r->end && *r->p == '0')
        r->p++;
    else if (!digits(r))
        return -1;
    if (r->p < r->end && *r->p == '.') {
        kind = 1;
        r->p++;
        if (!digits(r))
            return -1;
    }
    if (r->p < r->end && (*r->p | 32) == 'e') {
        kind = 1;
        r->p++;
        if (r->p < r->end && (*r->p == '+' || *r->p == '-'))
            r->p++;
        if (!digits(r))
            return -1;
    }
    return kind;
}

static int read_number(struct reader *r, struct json_node *n)
{
    const unsigned char *start = r->p;
    int kind = scan_number(r);

    if (kind < 0)
        return fail(r, "bad number");
    n->str = (uint32_t)r->d->used;
    for (; start < r->p; start++)
        if (put(r, *start))
            return -1;
    if (put(r, 0))
        return -1;
    errno = 0;
    n->i = strtoll(r->d->text + n->str, NULL, 10);
    n->type = kind || errno ? JSON_FLOAT : JSON_INT;
    return 0;
}

static int read_word(struct reader *r, struct json_node *n)
{
    static const struct {
        const char *word;
        enum json_type type;
    } words[] = {{"true", JSON_TRUE}, {"false", JSON_FALSE}, {"null", JSON_NULL}};

    for (unsigned i = 0; i < 3; i++) {
        size_t len = strlen(words[i].word);

        if ((size_t)(r->end - r->p) >= len && !memcmp(r->p, words[i].word, len)) {
            r->p += len;
            n->type = words[i].type;
            return 0;
        }
    }
    return fail(r, "unexpected character");
}

static int read_value(struct reader *r, unsigned *index);

static int read_member_name(struct reader *r, unsigned obj, uint32_t *key)
{
    const struct json_node *n;

    if (r->p == r->end || *r->p != '"')
        return fail(r, "expected a member name");
    if (read_string(r, key))
        return -1;
    for (n = json_first(r->d, &r->d->node[obj]); n; n = json_next(r->d, n))
        if (!strcmp(json_key(r->d, n), r->d->text + *key))
            return fail(r, "duplicate member name");
    skip_space(r);
    if (r->p == r->end || *r->p != ':')
        return fail(r, "expected ':'");
    r->p++;
    skip_space(r);
    return 0;
}

static int read_items(struct reader *r, unsigned parent, unsigned char close)
{
    unsigned last = 0, index;
    uint32_t key = 0;

    skip_space(r);
    if (r->p < r->end && *r->p == close) {
        r->p++;
        return 0;
    }
    for (;;) {
        skip_space(r);
        if (close == '}' && read_member_name(r, parent, &key))
            return -1;
        if (read_value(r, &index))
            return -1;
        r->d->node[index].key = key;
        if (last)
            r->d->node[last].next = (uint16_t)index;
        else
            r->d->node[parent].child = (uint16_t)index;
        last = index;
        skip_space(r);
        if (r->p == r->end)
            return fail(r, "unexpected end");
        if (*r->p == close)
            break;
        if (*r->p != ',')
            return fail(r, close == '}' ? "expected ',' or '}'" : "expected ',' or ']'");
        r->p++;
    }
    r->p++;
    return 0;
}

static int read_value(struct reader *r, unsigned *index)
{
    struct json_node *n;
    unsigned char c;
    int rc;

    if (r->p == r->end)
        return fail(r, "unexpected end");
    if (r->d->n == JSON_NODES)
        return fail(r, "too many values");
    if (r->depth == JSON_DEPTH)
        return fail(r, "nested too deeply");
    *index = r->d->n++;
    n = &r->d->node[*index];
    memset(n, 0, sizeof(*n));
    c = *r->p;
    if (c == '{' || c == '[') {
        r->p++;
        r->depth++;
        n->type = c == '{' ? JSON_OBJECT : JSON_ARRAY;
        rc = read_items(r, *index, c == '{' ? '}' : ']');
        r->depth--;
        return rc;
    }
    if (c == '"') {
        n->type = JSON_STRING;
        return read_string(r, &n->str);
    }
    if (c == '-' || (c >= '0' && c <= '9'))
        return read_number(r, n);
    return read_word(r, n);
}

int json_parse(struct json_doc *d, const char *buf, size_t len)
{
    struct reader r = {
        .d = d, .p = (const unsigned char *)buf, .end = (const unsigned char *)buf + len};
    unsigned root;

    d->n = 0;
    d->used = 1; /* offset 0 is the empty string */
    d->text[0] = 0;
    d->err[0] = 0;
    if (len > JSON_INPUT)
        return fail(&r, "value too large");
    skip_space(&r);
    if (read_value(&r, &root))
        return -1;
    skip_space(&r);
    return r.p == r.end ? 0 : fail(&r, "text after the value");
}

const struct json_node *json_member(const struct json_doc *d, const struct json_node *obj,
                                    const char *name)
{
    if (obj->type != JSON_OBJECT)
        return NULL;
    for (const struct json_node *n = json_first(d, obj); n; n = json_next(d, n))
        if (!strcmp(json_key(d, n), name))
            return n;
    return NULL;
}
