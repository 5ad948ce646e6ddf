/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Processor models over QMP, in the shapes of QEMU's schema: the list, and one model with every property
 * spelled out. Must never change anything.
 */
#include <stdio.h>
#include <string.h>
#include "ipc/cpu-model.h"
#include "vmm/config/cpu-model.h"
#include "vmm/monitor/json-write.h"
#include "vmm/monitor/qmp-commands.h"

static int refuse(struct qmp_call *c, const char *text)
{
    c->error_class = "GenericError";
    snprintf(c->error, sizeof(c->error), "%.250s", text);
    return -1;
}

static void unavailable(struct json_out *o, const struct cpu_def *d)
{
    struct abi_cpu_model m;
    uint32_t missing[ABI_CPU_WORDS];

    cpu_def_model(d, &m);
    cpu_model_missing(&m, missing);
    jw_array(o, "unavailable-features");
    for (unsigned i = 0; i < cpu_feature_count; i++)
        if (abi_cpu_has(missing, cpu_feature_table[i].feature))
            jw_string(o, NULL, cpu_feature_table[i].name);
    jw_end_array(o);
}
/* alias: what the name stands for, or NULL. */
static void definition(struct json_out *o, const char *name, const struct cpu_def *d, const char *alias)
{
    char type[96];

    snprintf(type, sizeof(type), "%s-x86_64-cpu", name);
    jw_object(o, NULL);
    jw_string(o, "name", name);
    jw_string(o, "typename", type);
    unavailable(o, d);
    if (alias)
        jw_string(o, "alias-of", alias);
    jw_bool(o, "static", !strcmp(name, "base"));
    jw_bool(o, "migration-safe", strcmp(name, "max") && strcmp(name, "host"));
    jw_bool(o, "deprecated", false);
    jw_end_object(o);
}
int query_cpu_definitions(struct qmp_call *c)
{
    jw_array(c->out, "return");
    for (unsigned i = 0; i < cpu_def_count; i++) {
        const struct cpu_def *d = &cpu_defs[i];
        size_t n = strlen(d->name);
        char plain[64];

        if (n > 3 && !strcmp(d->name + n - 3, "-v1")) {
            snprintf(plain, sizeof(plain), "%.*s", (int)n - 3, d->name);
            definition(c->out, plain, d, d->name);
        }
        if (d->alias)
            definition(c->out, d->alias, d, d->name);
        definition(c->out, d->name, d, NULL);
    }
    jw_end_array(c->out);
    return 0;
}

/* The model argument as a -cpu argument: "name,prop=value". False: too long, or not of these types. */
static bool model_text(struct qmp_call *c, const struct json_node *model, char *text, size_t size)
{
    const struct json_node *name = json_member(c->doc, model, "name");
    const struct json_node *props = json_member(c->doc, model, "props");
    size_t n;

    if (!name || name->type != JSON_STRING || (props && props->type != JSON_OBJECT))
        return false;
    n = (size_t)snprintf(text, size, "%s", json_str(c->doc, name));
    if (strchr(text, ',') || n >= size)
        return false;
    for (const struct json_node *p = props ? json_first(c->doc, props) : NULL; p; p = json_next(c->doc, p)) {
        const char *val = p->type == JSON_TRUE ? "on" : p->type == JSON_FALSE ? "off" : json_str(c->doc, p);
        if (p->type == JSON_OBJECT || p->type == JSON_ARRAY || strpbrk(json_key(c->doc, p), ",=") ||
            strchr(val, ','))
            return false;
        n += (size_t)snprintf(text + n, size - n, ",%s=%s", json_key(c->doc, p), val);
        if (n >= size)
            return false;
    }
    return true;
}
static void props_write(struct json_out *o, const struct abi_cpu_model *m)
{
    char text[64];

    jw_object(o, "props");
    for (unsigned i = 0; i < cpu_feature_count; i++)
        jw_bool(o, cpu_feature_table[i].name, abi_cpu_has(m->feat, cpu_feature_table[i].feature));
    snprintf(text, sizeof(text), "%.12s", m->vendor_id);
    jw_string(o, "vendor", text);
    jw_int(o, "family", m->family);
    jw_int(o, "model", m->model);
    jw_int(o, "stepping", m->stepping);
    snprintf(text, sizeof(text), "%.48s", m->brand);
    jw_string(o, "model-id", text);
    jw_int(o, "level", m->level);
    jw_int(o, "xlevel", m->xlevel);
    jw_end_object(o);
}
int query_cpu_model_expansion(struct qmp_call *c)
{
    static char text[4096];
    const char *type = json_str(c->doc, json_member(c->doc, c->args, "type"));
    const struct json_node *model = json_member(c->doc, c->args, "model");
    bool full = !strcmp(type, "full");
    struct abi_cpu_model m;
    char err[200];

    if (!full && strcmp(type, "static"))
        return refuse(c, "Parameter 'type' expects 'static' or 'full'");
    if (!model_text(c, model, text, sizeof(text)))
        return refuse(c, "Parameter 'model' expects 'name' and 'props' of plain values");
    if (cpu_model_read(text, &m, err, sizeof(err)))
        return refuse(c, strncmp(err, "bulkhead: cpu: ", 15) ? err : err + 15);
    text[strcspn(text, ",")] = 0;
    jw_object(c->out, "return");
    jw_object(c->out, "model");
    jw_string(c->out, "name", full ? text : "base");
    props_write(c->out, &m);
    jw_end_object(c->out);
    jw_end_object(c->out);
    return 0;
}

/* ---- two models: comparison and baseline ---------------------------------------------------- */

/* The argument called key as a model. False: reported. */
static bool model_arg(struct qmp_call *c, const char *key, struct abi_cpu_model *m)
{
    static char text[4096];
    char err[200];

    if (!model_text(c, json_member(c->doc, c->args, key), text, sizeof(text))) {
        snprintf(err, sizeof(err), "Parameter '%s' expects 'name' and 'props' of plain values", key);
        refuse(c, err);
        return false;
    }
    if (cpu_model_read(text, m, err, sizeof(err))) {
        refuse(c, strncmp(err, "bulkhead: cpu: ", 15) ? err : err + 15);
        return false;
    }
    return true;
}
/* What is not a feature and may differ all the same. */
static bool identity_differs(const struct abi_cpu_model *a, const struct abi_cpu_model *b, unsigned i)
{
    switch (i) {
    case 0:
        return memcmp(a->vendor_id, b->vendor_id, sizeof(a->vendor_id));
    case 1:
        return a->family != b->family;
    case 2:
        return a->model != b->model;
    default:
        return a->stepping != b->stepping;
    }
}
static const char *const identity_name[] = {"vendor", "family", "model", "stepping"};

int query_cpu_model_comparison(struct qmp_call *c)
{
    struct abi_cpu_model a, b;
    bool more = false, less = false, other = false;

    if (!model_arg(c, "modela", &a) || !model_arg(c, "modelb", &b))
        return -1;
    for (unsigned w = 0; w < ABI_CPU_WORDS; w++) {
        more |= a.feat[w] & ~b.feat[w];
        less |= b.feat[w] & ~a.feat[w];
    }
    for (unsigned i = 0; i < 4; i++)
        other |= identity_differs(&a, &b, i);
    jw_object(c->out, "return");
    jw_string(c->out, "result", other || (more && less) ? "incompatible" : more ? "superset" : less ? "subset" : "identical");
    jw_array(c->out, "responsible-properties");
    for (unsigned i = 0; i < cpu_feature_count; i++) {
        unsigned f = cpu_feature_table[i].feature;
        if (abi_cpu_has(a.feat, f) != abi_cpu_has(b.feat, f))
            jw_string(c->out, NULL, cpu_feature_table[i].name);
    }
    for (unsigned i = 0; i < 4; i++)
        if (identity_differs(&a, &b, i))
            jw_string(c->out, NULL, identity_name[i]);
    jw_end_array(c->out);
    jw_end_object(c->out);
    return 0;
}
/* What both have, under the identity of the older one. */
int query_cpu_model_baseline(struct qmp_call *c)
{
    struct abi_cpu_model a, b;

    if (!model_arg(c, "modela", &a) || !model_arg(c, "modelb", &b))
        return -1;
    if (identity_differs(&a, &b, 0))
        return refuse(c, "there is no baseline of models of two vendors");
    for (unsigned w = 0; w < ABI_CPU_WORDS; w++)
        a.feat[w] &= b.feat[w];
    if (b.family < a.family || (b.family == a.family && b.model < a.model)) {
        a.family = b.family;
        a.model = b.model;
        a.stepping = b.stepping;
        memcpy(a.brand, b.brand, sizeof(a.brand));
    }
    a.level = b.level < a.level ? b.level : a.level;
    a.xlevel = b.xlevel < a.xlevel ? b.xlevel : a.xlevel;
    jw_object(c->out, "return");
    jw_object(c->out, "model");
    jw_string(c->out, "name", "base");
    props_write(c->out, &a);
    jw_end_object(c->out);
    jw_end_object(c->out);
    return 0;
}
