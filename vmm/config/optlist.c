/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Implements optlist.h. Must never print: errors go through parse_fail.
 */
#include "vmm/config/optlist.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include "vmm/config/json.h"

static char *list_put(struct parse *c, struct optlist *l, const char *s, size_t len)
{
    char *at = l->text + l->used;

    if (len >= sizeof(l->text) - l->used) {
        parse_fail(c, "argument too long");
        return NULL;
    }
    memcpy(at, s, len);
    at[len] = 0;
    l->used += len + 1;
    return at;
}

static int list_add(struct parse *c, struct optlist *l, const char *key, const char *val)
{
    if (l->n == OPTLIST_MAX)
        return parse_fail(c, "too many parameters");
    l->kv[l->n].key = key;
    l->kv[l->n].val = val;
    l->n++;
    return 0;
}

/* One word up to an unescaped comma, with ",," made ",". *s moves behind the comma. */
static char *next_word(struct parse *c, struct optlist *l, const char **s)
{
    char *at = l->text + l->used;
    const char *p = *s;

    for (; *p; p++) {
        if (*p == ',') {
            if (p[1] != ',')
                break;
            p++;
        }
        if (l->used + 1 >= sizeof(l->text)) {
            parse_fail(c, "argument too long");
            return NULL;
        }
        l->text[l->used++] = *p;
    }
    l->text[l->used++] = 0;
    *s = *p ? p + 1 : p;
    return at;
}

/* ---- JSON form
 * ----------------------------------------------------------------------------------- */
static const char *json_word(const struct json_doc *d, const struct json_node *n)
{
    switch (n->type) {
    case JSON_NULL:
        return "null";
    case JSON_FALSE:
        return "off";
    case JSON_TRUE:
        return "on";
    default:
        return json_str(d, n);
    }
}

static int flatten(struct parse *c, struct optlist *l, const struct json_doc *d,
                   const struct json_node *n, const char *prefix)
{
    char key[256];
    unsigned i = 0;
    int len;

    for (const struct json_node *m = json_first(d, n); m; m = json_next(d, m), i++) {
        char *k, *v;

        if (n->type == JSON_ARRAY)
            len = snprintf(key, sizeof(key), "%s%s%u", prefix, *prefix ? "." : "", i);
        else
            len = snprintf(key, sizeof(key), "%s%s%s", prefix, *prefix ? "." : "", json_key(d, m));
        if (len < 0 || (size_t)len >= sizeof(key))
            return parse_fail(c, "parameter name too long");
        if (m->type == JSON_OBJECT || m->type == JSON_ARRAY) {
            if (flatten(c, l, d, m, key))
                return -1;
            continue;
        }
        k = list_put(c, l, key, (size_t)len);
        v = k ? list_put(c, l, json_word(d, m), strlen(json_word(d, m))) : NULL;
        if (!v || list_add(c, l, k, v))
            return -1;
    }
    return 0;
}

static int split_json(struct parse *c, struct optlist *l, const char *arg)
{
    static struct json_doc doc; /* too large for the stack; the parser runs once, in one thread */

    if (json_parse(&doc, arg, strlen(arg)))
        return parse_fail(c, "%s", doc.err);
    return flatten(c, l, &doc, json_root(&doc), "");
}

int optlist_split(struct parse *c, struct optlist *l, const char *arg, const char *implied)
{
    const char *s = arg;
    bool first = true;

    l->n = 0;
    l->used = 0;
    if (arg[0] == '{')
        return split_json(c, l, arg);
    while (*s) {
        char *word = next_word(c, l, &s), *eq;

        if (!word)
            return -1;
        eq = strchr(word, '=');
        if (eq)
            *eq = 0;
        if (!*word && !(first && implied && !eq))
            return parse_fail(c, "a parameter without a name");
        if (first && !eq && implied) {
            if (list_add(c, l, implied, word))
                return -1;
        } else if (list_add(c, l, word, eq ? eq + 1 : NULL)) {
            return -1;
        }
        first = false;
    }
    return 0;
}

const char *optlist_get(const struct optlist *l, const char *key)
{
    const char *val = NULL;

    for (unsigned i = 0; i < l->n; i++)
        if (!strcmp(l->kv[i].key, key))
            val = l->kv[i].val ? l->kv[i].val : "on";
    return val;
}

const char *optlist_take(struct optlist *l, const char *key)
{
    const char *val = optlist_get(l, key);
    unsigned n = 0;

    for (unsigned i = 0; i < l->n; i++)
        if (strcmp(l->kv[i].key, key))
            l->kv[n++] = l->kv[i];
    l->n = n;
    return val;
}

/* ---- typed values
 * -------------------------------------------------------------------------------- */
int opt_bool(struct parse *c, const char *key, const char *val, bool *out)
{
    static const char *const yes[] = {"on", "yes", "true", "y"};
    static const char *const no[] = {"off", "no", "false", "n"};

    for (unsigned i = 0; i < 4; i++) {
        if (!strcmp(val, yes[i]) || !strcmp(val, no[i])) {
            *out = !strcmp(val, yes[i]);
            return 0;
        }
    }
    return parse_fail(c, "Parameter '%s' expects 'on' or 'off', not '%s'", key, val);
}

int opt_number(struct parse *c, const char *key, const char *val, uint64_t min, uint64_t max,
               uint64_t *out)
{
    char *end;
    unsigned long long v;

    if (!isdigit((unsigned char)*val))
        return parse_fail(c, "Parameter '%s' expects a number, not '%s'", key, val);
    v = strtoull(val, &end, 0);
    if (*end)
        return parse_fail(c, "Parameter '%s' expects a number, not '%s'", key, val);
    if (v < min || v > max)
        return parse_fail(c, "Parameter '%s' must be from %llu to %llu, not '%s'", key,
                          (unsigned long long)min, (unsigned long long)max, val);
    *out = v;
    return 0;
}

static int size_shift(char suffix)
{
    static const char order[] = "bkmgtpe";
    const char *at = suffix ? strchr(order, tolower((unsigned char)suffix)) : NULL;

    return at ? (int)(at - order) * 10 : -1;
}

static int bad_size(struct parse *c, const char *key, const char *val)
{
    return parse_fail(
        c, "Parameter '%s' expects a size (a number and k, M, G, T, P or E), not '%s'", key, val);
}

int opt_size(struct parse *c, const char *key, const char *val, uint64_t unit, uint64_t *out)
{
    uint64_t whole = 0, mult = unit;
    double fraction = 0, place = 0.1;
    const char *s = val;

    if (!isdigit((unsigned char)*s))
        return bad_size(c, key, val);
    for (; isdigit((unsigned char)*s); s++) {
        if (whole > (UINT64_MAX >> 4) / 10)
            return bad_size(c, key, val);
        whole = whole * 10 + (uint64_t)(*s - '0');
    }
    if (*s == '.') {
        for (s++; isdigit((unsigned char)*s); s++, place /= 10)
            fraction += (*s - '0') * place;
    }
    if (*s) {
        if (size_shift(*s) < 0 || s[1])
            return bad_size(c, key, val);
        mult = 1ull << size_shift(*s);
    }
    if (whole > (UINT64_MAX >> 2) / mult)
        return parse_fail(c, "Parameter '%s' is too large: '%s'", key, val);
    *out = whole * mult + (uint64_t)(fraction * (double)mult);
    return 0;
}

int opt_copy(struct parse *c, const char *key, const char *val, char *dst, size_t size)
{
    if (strlen(val) >= size)
        return parse_fail(c, "Parameter '%s' is too long (limit %zu characters)", key, size - 1);
    memcpy(dst, val, strlen(val) + 1);
    return 0;
}

int opt_id(struct parse *c, const char *key, const char *val, char *dst, size_t size)
{
    if (!isalpha((unsigned char)*val))
        return parse_fail(c, "Parameter '%s' expects an identifier, not '%s'", key, val);
    for (const char *s = val; *s; s++)
        if (!isalnum((unsigned char)*s) && !strchr("-._", *s))
            return parse_fail(c, "Parameter '%s' expects an identifier, not '%s'", key, val);
    return opt_copy(c, key, val, dst, size);
}

/* ---- key tables
 * ---------------------------------------------------------------------------------- */
static bool is_negative(const char *s)
{
    return !strcmp(s, "off") || !strcmp(s, "no") || !strcmp(s, "false") || !strcmp(s, "n");
}

static bool in_form(const char *form, const char *val)
{
    size_t len;

    for (const char *s = form; *s; s += len + (s[len] == '|')) {
        len = strcspn(s, "|");
        if (strlen(val) == len && !strncmp(s, val, len))
            return true;
        if (len == 3 && !strncmp(s, "off", 3) && is_negative(val))
            return true;
        if (len == 2 && !strncmp(s, "on", 2) && (!strcmp(val, "yes") || !strcmp(val, "true")))
            return true;
    }
    return false;
}

static int apply_one(struct parse *c, const struct opt_key *k, const char *val, void *obj)
{
    char *field = (char *)obj + k->off;
    bool b;

    switch (k->kind) {
    case KEY_STR:
        return opt_copy(c, k->name, val, field, k->size);
    case KEY_BOOL:
        if (opt_bool(c, k->name, val, &b))
            return -1;
        memcpy(field, &b, sizeof(b));
        return 0;
    case KEY_FN:
        return k->fn(c, obj, k->name, val);
    case KEY_ONLY:
        if (in_form(k->form, val))
            return 0;
        return parse_fail(c, "%s=%s is not built (built: %s)", k->name, val, k->form);
    case KEY_REFUSE:
        break;
    }
    return parse_fail(c, "'%s' is not built%s%s", k->name, k->text ? ": " : "",
                      k->text ? k->text : "");
}

static const struct opt_key *find_key(const struct opt_key *keys, const char *name)
{
    for (; keys->name; keys++)
        if (!strcmp(keys->name, name))
            return keys;
    return NULL;
}

int optkeys_apply(struct parse *c, const struct opt_key *keys, const struct optlist *l, void *obj,
                  const char *owner)
{
    for (unsigned i = 0; i < l->n; i++) {
        const char *name = l->kv[i].key, *val = l->kv[i].val;
        const struct opt_key *k = find_key(keys, name);

        if (!k && !val && !strncmp(name, "no", 2)) { /* "nowait" is "wait=off" */
            k = find_key(keys, name + 2);
            val = "off";
        }
        if (!k && owner)
            return parse_fail(c, "Property '%s.%s' not found", owner, name);
        if (!k)
            return parse_fail(c, "Invalid parameter '%s'", name);
        if (apply_one(c, k, val ? val : "on", obj))
            return -1;
    }
    return 0;
}

void optkeys_help(FILE *out, const struct opt_key *keys)
{
    char left[80];

    for (; keys->name; keys++) {
        if (keys->kind == KEY_REFUSE)
            continue;
        snprintf(left, sizeof(left), "%s=<%s>", keys->name, keys->form ? keys->form : "str");
        fprintf(out, "  %-32s - %s\n", left, keys->text ? keys->text : "");
    }
}
