/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A strict reader for one JSON value (RFC 8259) in a fixed arena: no allocation, bounded depth,
 * nodes and bytes. Input is hostile. Owns the syntax; must never know what a member means.
 */
#ifndef BULKHEAD_VMM_CONFIG_JSON_H
#define BULKHEAD_VMM_CONFIG_JSON_H

#include <stddef.h>
#include <stdint.h>

#define JSON_NODES 1024
#define JSON_DEPTH 32
#define JSON_INPUT 65536 /* most bytes of one value */

enum json_type {
    JSON_NULL,
    JSON_FALSE,
    JSON_TRUE,
    JSON_INT,
    JSON_FLOAT,
    JSON_STRING,
    JSON_ARRAY,
    JSON_OBJECT
};
struct json_node {
    enum json_type type;
    uint16_t child, next; /* index of first member / next sibling; 0 = none (0 is the root) */
    uint32_t key;         /* offset in text of the member's name; 0 = "" */
    uint32_t str;         /* strings: decoded, numbers: as written; NUL-terminated */
    int64_t i;            /* JSON_INT */
};
struct json_doc {
    unsigned n;
    size_t used;
    struct json_node node[JSON_NODES];
    char text[2 * JSON_INPUT];
    char err[96];
};

/* 0, or -1 with a description in err. Text after the value other than white space is an error, and
 * so are a name used twice in one object, \u0000, lone surrogates and bytes that are not UTF-8. */
int json_parse(struct json_doc *d, const char *buf, size_t len);
const struct json_node *json_member(const struct json_doc *d, const struct json_node *obj,
                                    const char *name); /* or NULL */
static inline const struct json_node *json_root(const struct json_doc *d)
{
    return &d->node[0];
}
static inline const struct json_node *json_first(const struct json_doc *d,
                                                 const struct json_node *n)
{
    return n->child ? &d->node[n->child] : NULL;
}
static inline const struct json_node *json_next(const struct json_doc *d, const struct json_node *n)
{
    return n->next ? &d->node[n->next] : NULL;
}
static inline const char *json_key(const struct json_doc *d, const struct json_node *n)
{
    return d->text + n->key;
}
static inline const char *json_str(const struct json_doc *d, const struct json_node *n)
{
    return d->text + n->str;
}

#endif
