/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Arguments of the form key=value,key=value (or a JSON object) and tables of the keys an option
 * knows. Owns splitting, escaping and the typed setters; must never know what a key means.
 */
#ifndef BULKHEAD_VMM_CONFIG_OPTLIST_H
#define BULKHEAD_VMM_CONFIG_OPTLIST_H

#include "vmm/config/parse.h"

#define OPTLIST_MAX  64
#define OPTLIST_TEXT 8192

struct optlist {
    unsigned n;
    struct {
        const char *key;
        const char *val; /* NULL: a bare word, "server" or "nowait" */
    } kv[OPTLIST_MAX];
    size_t used;
    char text[OPTLIST_TEXT];
};

/* Splits arg. A first word without '=' becomes implied=word when implied is not NULL. ",," stands
 * for a comma. An argument that starts with '{' is read as JSON; nested keys become "a.b". 0 or -1
 * (reported). */
int optlist_split(struct parse *c, struct optlist *l, const char *arg, const char *implied);
/* Last value of a key, or NULL. Removes nothing. */
const char *optlist_get(const struct optlist *l, const char *key);
/* As optlist_get, and takes every pair with this key out of the list. */
const char *optlist_take(struct optlist *l, const char *key);

enum key_kind {
    KEY_STR,    /* off, size: char array in the object */
    KEY_BOOL,   /* off: bool in the object */
    KEY_FN,     /* fn decides */
    KEY_ONLY,   /* only the values named in form ("a|b") are built; nothing to store */
    KEY_REFUSE, /* a key of QEMU's that is not built; text says why */
};
struct opt_key {
    const char *name;
    enum key_kind kind;
    size_t off, size;
    int (*fn)(struct parse *c, void *obj, const char *key, const char *val);
    const char *form, *text; /* for help: "on|off", "what it does" */
};
#define KEY_END                                                                                    \
    {                                                                                              \
        .name = NULL                                                                               \
    }

/* Applies every pair of the list. owner: NULL, or a device model for QEMU's "Property" message. */
int optkeys_apply(struct parse *c, const struct opt_key *keys, const struct optlist *l, void *obj,
                  const char *owner);
void optkeys_help(FILE *out, const struct opt_key *keys);

/* Typed values. 0 or -1 (reported, naming key and value). */
int opt_bool(struct parse *c, const char *key, const char *val, bool *out);
int opt_number(struct parse *c, const char *key, const char *val, uint64_t min, uint64_t max,
               uint64_t *out);
/* Bytes; k M G T P E suffixes of 1024, fractions ("1.5G"), "b" for bytes; unit when no suffix. */
int opt_size(struct parse *c, const char *key, const char *val, uint64_t unit, uint64_t *out);
int opt_copy(struct parse *c, const char *key, const char *val, char *dst, size_t size);
/* A name for an object: a letter, then letters, digits, '-', '.', '_'. */
int opt_id(struct parse *c, const char *key, const char *val, char *dst, size_t size);

#endif
