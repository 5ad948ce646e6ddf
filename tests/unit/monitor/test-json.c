/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The JSON reader and writer: what is read, what is refused, and that a value written again is the
 * same.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "vmm/monitor/monitor.h"

static struct json_doc doc;
static int failed;

static void check(int ok, const char *what)
{
    printf("%sok - %s\n", ok ? "" : "not ", what);
    failed |= !ok;
}

/* Text, and what writing the value again gives; NULL = refused. */
static const struct {
    const char *in, *out;
} cases[] = {
    {"{}", "{}"},
    {" [ 1 , -2.5e3, \"a\" ,null,true,false ] ", "[1, -2.5e3, \"a\", null, true, false]"},
    {"{\"a\":{\"b\":[{}]},\"c\":\"\\u00e9\\n\\\"\\\\\\/\"}",
     "{\"a\": {\"b\": [{}]}, \"c\": \"\\u00E9\\n\\\"\\\\/\"}"},
    {"\"\\ud83d\\ude00\"", "\"\\uD83D\\uDE00\""},
    {"\"\xf0\x9f\x98\x80\"", "\"\\uD83D\\uDE00\""},
    {"9223372036854775807", "9223372036854775807"},
    {"99999999999999999999", "99999999999999999999"},
    {"-0", "-0"},
    {"", NULL},
    {"{", NULL},
    {"[1,]", NULL},
    {"[1 2]", NULL},
    {"{\"a\":1,}", NULL},
    {"{\"a\" 1}", NULL},
    {"{a:1}", NULL},
    {"{\"a\":1,\"a\":2}", NULL},
    {"{'a':1}", NULL},
    {"{\"a\":1]", NULL},
    {"01", NULL},
    {"1.", NULL},
    {"1e", NULL},
    {"-", NULL},
    {"+1", NULL},
    {"nul", NULL},
    {"1 2", NULL},
    {"\"\\ud83d\"", NULL},
    {"\"\\ude00\"", NULL},
    {"\"\\ud83dx\"", NULL},
    {"\"\\u0000\"", NULL},
    {"\"\\u12g4\"", NULL},
    {"\"\\x\"", NULL},
    {"\"\\", NULL},
    {"\"a\nb\"", NULL},
    {"\"\xc0\xaf\"", NULL},
    {"\"\xed\xa0\x80\"", NULL},
    {"\"\xf5\x80\x80\x80\"", NULL},
    {"\"\xe2\x82\"", NULL},
    {"\"\x80\"", NULL},
};

static void check_cases(void)
{
    static char buf[1024];
    struct json_out o;

    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int rc = json_parse(&doc, cases[i].in, strlen(cases[i].in));

        if (!cases[i].out) {
            check(rc == -1 && doc.err[0], cases[i].in);
            continue;
        }
        jw_init(&o, buf, sizeof(buf), false);
        if (!rc)
            jw_node(&o, NULL, &doc, json_root(&doc));
        check(!rc && o.len == strlen(cases[i].out) && !memcmp(buf, cases[i].out, o.len),
              cases[i].in);
    }
}

static int parse_repeated(const char *unit, unsigned n)
{
    size_t len = strlen(unit);
    char *text = malloc(len * n + 1);
    int rc;

    for (unsigned i = 0; i < n; i++)
        memcpy(text + i * len, unit, len);
    rc = json_parse(&doc, text, len * n);
    free(text);
    return rc;
}

static int parse_list(unsigned n)
{
    char *text = malloc(2 * n + 2), *p = text;
    int rc;

    *p++ = '[';
    for (unsigned i = 0; i < n; i++) {
        *p++ = '1';
        *p++ = i + 1 < n ? ',' : ']';
    }
    rc = json_parse(&doc, text, (size_t)(p - text));
    free(text);
    return rc;
}

static void check_limits(void)
{
    char deep[2 * JSON_DEPTH + 1];

    memset(deep, '[', JSON_DEPTH);
    memset(deep + JSON_DEPTH, ']', JSON_DEPTH);
    check(json_parse(&doc, deep, 2 * JSON_DEPTH) == 0, "greatest depth");
    check(parse_repeated("[", 100000) == -1, "too deep");
    check(parse_repeated("{\"a\":", 5000) == -1, "too deep in objects");
    check(parse_list(JSON_NODES - 1) == 0, "most values");
    check(parse_list(JSON_NODES) == -1 && strstr(doc.err, "too many"), "too many values");
    check(parse_repeated(" ", JSON_INPUT + 1) == -1, "too long");
    check(parse_repeated("\"", 1) == -1, "one quote");
}

static void check_overflow(void)
{
    char small[8];
    struct json_out o;

    jw_init(&o, small, sizeof(small), false);
    jw_object(&o, NULL);
    jw_string(&o, "key", "value");
    jw_end_object(&o);
    check(o.overflow && o.len <= sizeof(small), "the writer stops at the end of its buffer");
}

/* Values in a stream, with and without white space between them. */
static void check_frames(void)
{
    static struct qmp_frame f;
    static const char text[] = "{\"a\":\"}\\\"\"} [1]{}\n12 \"x\"{\"open\n{}]";
    char got[64] = "";
    size_t n = 0;

    for (const char *s = text; *s; s++) {
        switch (qmp_frame_byte(&f, (uint8_t)*s)) {
        case FRAME_VALUE:
            n += (size_t)snprintf(got + n, sizeof(got) - n, "%.*s;", (int)f.len, f.buf);
            qmp_frame_reset(&f);
            break;
        case FRAME_BAD:
            n += (size_t)snprintf(got + n, sizeof(got) - n, "BAD;");
            break;
        case FRAME_MORE:
            break;
        }
    }
    check(!strcmp(got, "{\"a\":\"}\\\"\"};[1];{};12 ;\"x\";BAD;{};];") ||
              !strcmp(got, "{\"a\":\"}\\\"\"};[1];{};12;\"x\";BAD;{};];"),
          got);
}

int main(void)
{
    check_cases();
    check_limits();
    check_overflow();
    check_frames();
    return failed;
}
