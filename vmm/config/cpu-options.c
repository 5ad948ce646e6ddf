/* SPDX-License-Identifier: Apache-2.0 */
/*
 * -cpu model[,feature...]: parsing, the list of models, and the warning about what is not carried. Must
 * never accept a property without effect: QEMU's that are not built are refused by name.
 */
#include <stdlib.h>
#include <string.h>
#include "ipc/cpu-model.h"
#include "vmm/config/cpu-model.h"
#include "vmm/config/options.h"
#include "vmm/config/optlist.h"

struct cpu_line { /* one -cpu being read */
    struct abi_cpu_model m;
    uint32_t plus[ABI_CPU_WORDS], minus[ABI_CPU_WORDS]; /* +f and -f win over f=on|off */
    bool check, enforce;
};

/* ---- -cpu help
 * -------------------------------------------------------------------------------------- */
static void list_flags(FILE *out)
{
    size_t col = 0;
    for (unsigned i = 0; i < cpu_feature_count; i++) {
        size_t n = strlen(cpu_feature_table[i].name);
        if (!col || col + n + 1 > 76) {
            fprintf(out, "%s  ", i ? "\n" : "");
            col = 1;
        }
        fprintf(out, "%s%s", col > 1 ? " " : "", cpu_feature_table[i].name);
        col += n + 1;
    }
    fprintf(out, "\n");
}
static void list_models(FILE *out)
{
    fprintf(out, "Available CPUs:\n");
    for (unsigned i = 0; i < cpu_def_count; i++) {
        const struct cpu_def *d = &cpu_defs[i];
        size_t n = strlen(d->name);
        if (n > 3 && !strcmp(d->name + n - 3, "-v1"))
            fprintf(out, "x86 %-*.*s  (alias of %s)\n", 24, (int)n - 3, d->name, d->name);
        if (d->alias)
            fprintf(out, "x86 %-24s  (alias of %s)\n", d->alias, d->name);
        fprintf(out, "x86 %-24s  %s\n", d->name, cpu_def_describe(d));
    }
    fprintf(out, "\nRecognized CPUID flags:\n");
    list_flags(out);
}

/* ---- properties
 * ------------------------------------------------------------------------------------- */
static int number(struct parse *c, const char *key, const char *val, uint64_t min, uint64_t max,
                  uint32_t *out)
{
    char *end;
    unsigned long long n = strtoull(val, &end, 0);
    if (!*val || *end || n < min || n > max)
        return parse_fail(c, "%s expects a number from %#llx to %#llx, not '%s'", key,
                          (unsigned long long)min, (unsigned long long)max, val);
    *out = (uint32_t)n;
    return 0;
}
static int key_number(struct parse *c, void *obj, const char *key, const char *val)
{
    static const struct {
        const char *name;
        size_t off;
        uint64_t min, max;
    } field[] = {
        {"family", offsetof(struct abi_cpu_model, family), 0, 15 + 255},
        {"model", offsetof(struct abi_cpu_model, model), 0, 255},
        {"stepping", offsetof(struct abi_cpu_model, stepping), 0, 15},
        {"level", offsetof(struct abi_cpu_model, level), 1, 0x20},
        {"xlevel", offsetof(struct abi_cpu_model, xlevel), 0x80000000u, 0x80000021u},
        {"phys-bits", offsetof(struct abi_cpu_model, phys_bits), 32, 52},
    };
    struct cpu_line *l = obj;
    for (unsigned i = 0; i < sizeof(field) / sizeof(field[0]); i++)
        if (!strcmp(field[i].name, key))
            return number(c, key, val, field[i].min, field[i].max,
                          (uint32_t *)((char *)&l->m + field[i].off));
    return -1;
}
static int key_vendor(struct parse *c, void *obj, const char *key, const char *val)
{
    struct cpu_line *l = obj;
    (void)key;
    if (strlen(val) != sizeof(l->m.vendor_id))
        return parse_fail(c, "vendor expects 12 characters, as GenuineIntel or AuthenticAMD");
    memcpy(l->m.vendor_id, val, sizeof(l->m.vendor_id));
    l->m.vendor = cpu_vendor_of(l->m.vendor_id);
    return 0;
}
static int key_brand(struct parse *c, void *obj, const char *key, const char *val)
{
    struct cpu_line *l = obj;
    (void)key;
    if (strlen(val) >= sizeof(l->m.brand))
        return parse_fail(c, "model-id is longer than 47 characters");
    memset(l->m.brand, 0, sizeof(l->m.brand));
    memcpy(l->m.brand, val, strlen(val));
    return 0;
}
/* In Hz; K, M and G are powers of 1000. */
static int key_tsc(struct parse *c, void *obj, const char *key, const char *val)
{
    static const char unit[] = "KMGkmg";
    struct cpu_line *l = obj;
    char *end;
    double hz = strtod(val, &end);
    const char *u = *end ? strchr(unit, *end) : NULL;
    for (long n = u ? (u - unit) % 3 : -1; n >= 0; n--)
        hz *= 1000;
    if (!*val || (*end && (!u || end[1])) || !(hz >= 1e6 && hz <= 1e11))
        return parse_fail(c, "%s expects a rate from 1M to 100G (Hz), not '%s'", key, val);
    l->m.tsc_khz = (uint32_t)(hz / 1000 + 0.5);
    return 0;
}
static int key_host_phys(struct parse *c, void *obj, const char *key, const char *val)
{
    struct cpu_line *l = obj;
    bool on;
    if (opt_bool(c, key, val, &on))
        return -1;
    if (on)
        l->m.phys_bits = cpu_phys_bits_host();
    return 0;
}
static int key_l3(struct parse *c, void *obj, const char *key, const char *val)
{
    struct cpu_line *l = obj;
    bool on;
    if (opt_bool(c, key, val, &on))
        return -1;
    if (!on)
        l->m.cache[3] = (struct abi_cpu_cache){0};
    return 0;
}
static const struct opt_key keys[] = {
    {"model", KEY_FN, .fn = key_number},
    {"family", KEY_FN, .fn = key_number},
    {"stepping", KEY_FN, .fn = key_number},
    {"level", KEY_FN, .fn = key_number},
    {"xlevel", KEY_FN, .fn = key_number},
    {"phys-bits", KEY_FN, .fn = key_number},
    {"vendor", KEY_FN, .fn = key_vendor},
    {"model-id", KEY_FN, .fn = key_brand},
    {"host-phys-bits", KEY_FN, .fn = key_host_phys},
    {"check", KEY_BOOL, .off = offsetof(struct cpu_line, check)},
    {"enforce", KEY_BOOL, .off = offsetof(struct cpu_line, enforce)},
    {"l3-cache", KEY_FN, .fn = key_l3},
    {"kvm", KEY_ONLY, .form = "off"},
    {"pmu", KEY_ONLY, .form = "off"},
    {"migratable", KEY_ONLY, .form = "on"},
    {"host-cache-info", KEY_ONLY, .form = "off"},
    {"tsc-frequency", KEY_FN, .fn = key_tsc},
    {"tsc-freq", KEY_FN, .fn = key_tsc},
    {"legacy-cache", KEY_REFUSE, .text = "caches are those of the model"},
    {"ucode-rev", KEY_REFUSE, .text = "the revision is that of the model"},
    {"lmce", KEY_ONLY, .form = "off"},
    KEY_END,
};

static void feature_put(uint32_t *words, int f, bool on)
{
    if (on)
        words[f >> 5] |= 1u << (f & 31);
    else
        words[f >> 5] &= ~(1u << (f & 31));
}
static int unknown(struct parse *c, const char *name)
{
    return parse_fail(c, "no property or feature '%s' ('-cpu help' lists the features)", name);
}
/* +f, -f or f=on|off. 0 applied, 1 not a feature's name, -1 reported. */
static int feature_word(struct parse *c, struct cpu_line *l, const char *key, const char *val)
{
    bool sign = !val && (key[0] == '+' || key[0] == '-'), on = key[0] != '-';
    const char *name = sign ? key + 1 : key;
    int f = cpu_feature_named(name);
    if (f < 0 && !cpu_feature_elsewhere(name))
        return sign ? unknown(c, name) : 1;
    if (!sign && val && opt_bool(c, key, val, &on))
        return -1;
    if (f < 0)
        return on ? parse_fail(c, "feature '%s' is not carried in this version", name) : 0;
    if (!sign)
        feature_put(l->m.feat, f, on);
    else
        feature_put(on ? l->plus : l->minus, f, true);
    return 0;
}
static bool is_key(const char *name)
{
    for (const struct opt_key *k = keys; k->name; k++)
        if (!strcmp(k->name, name))
            return true;
    return false;
}
static int property(struct parse *c, struct cpu_line *l, const char *key, const char *val)
{
    struct optlist one = {.n = 1};
    char name[64];
    int r = feature_word(c, l, key, val);
    if (r <= 0)
        return r;
    snprintf(name, sizeof(name), "%s", key);
    for (char *s = name; *s; s++)
        *s = *s == '_' ? '-' : *s;
    if (!is_key(name))
        return unknown(c, key);
    one.kv[0].key = name;
    one.kv[0].val = val ? val : "on";
    return optkeys_apply(c, keys, &one, l, NULL);
}

static int missing_report(struct parse *c, const struct cpu_line *l, const char *name)
{
    uint32_t missing[ABI_CPU_WORDS];
    char names[400];
    if (!cpu_model_missing(&l->m, missing))
        return 0;
    cpu_feature_names(missing, names, sizeof(names));
    if (l->enforce)
        return parse_fail_at(c, "-cpu", name, "not carried on this host: %s", names);
    if (l->check)
        parse_warn(c, "-cpu %s: left out, because not carried on this host: %s", name, names);
    return 0;
}
/* The model with its properties applied, features not carried included. name: the model's, as written. */
static int line_read(struct parse *c, struct cpu_line *l, const char *arg, char *name, size_t size)
{
    static struct optlist words; /* too large for the stack; one thread reads command lines */
    const struct cpu_def *def;

    if (optlist_split(c, &words, arg, "") || !words.n ||
        opt_copy(c, "model", words.kv[0].val, name, size))
        return -1;
    def = cpu_def_find(name);
    if (!def)
        return parse_fail(c, "unable to find CPU model '%s' ('-cpu help' lists them)", name);
    cpu_def_model(def, &l->m);
    for (unsigned i = 1; i < words.n; i++)
        if (property(c, l, words.kv[i].key, words.kv[i].val))
            return -1;
    for (unsigned w = 0; w < ABI_CPU_WORDS; w++)
        l->m.feat[w] = (l->m.feat[w] | l->plus[w]) & ~l->minus[w];
    return 0;
}
int cpu_model_read(const char *arg, struct abi_cpu_model *m, char *err, size_t errlen)
{
    static struct parse c;
    struct cpu_line l = {.check = false};
    char name[64];

    c = (struct parse){.out = stdout, .err = err, .errlen = errlen, .opt = "cpu"};
    err[0] = 0;
    if (line_read(&c, &l, arg, name, sizeof(name)))
        return -1;
    *m = l.m;
    return 0;
}

int set_cpu(struct parse *c, const char *arg)
{
    struct cpu_line l = {.check = true};

    if (!strcmp(arg, "help") || !strcmp(arg, "?")) {
        list_models(c->out);
        return 1;
    }
    if (line_read(c, &l, arg, c->p->cpu, sizeof(c->p->cpu)))
        return -1;
    if (missing_report(c, &l, c->p->cpu))
        return -1;
    cpu_model_settle(&l.m);
    c->p->cpu_model = l.m;
    return 0;
}

void cpu_default(struct plan *p)
{
    cpu_def_model(cpu_def_find("qemu64"), &p->cpu_model);
    cpu_model_settle(&p->cpu_model);
    strcpy(p->cpu, "qemu64");
}
