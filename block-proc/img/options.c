/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The options of new images (-o), one table for all formats: parsing, the "Formatting" line and `-o help` come from it.
 * Must never accept an option the format does not carry out.
 */
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include "block-proc/img/img.h"

enum kind { O_SIZE, O_POWER, O_FLAG, O_TEXT };
#define AT(field) offsetof(struct tool_options, field)
#define ROOM(field) sizeof(((struct tool_options *)0)->field)

static const struct option_about {
    const char *formats, *key; /* formats: separated by blanks, "*" = all */
    enum kind kind;
    size_t at, room;           /* POWER: at a uint32_t; SIZE: a uint64_t */
    uint64_t min, max;
    const char *values;        /* TEXT: those allowed, separated by '|'; NULL = any */
    const char *shown;         /* the "Formatting" line shows this when it was not given; NULL = nothing */
    const char *text;
} table[] = {
    {"*", "size", O_SIZE, AT(size), 8, 0, UINT64_MAX, NULL, NULL, "Virtual disk size"},
    {"qcow2 qed qcow vmdk", "backing_file", O_TEXT, AT(backing), ROOM(backing), 0, 0, NULL, NULL, "File name of a base image"},
    {"qcow2 qed qcow vmdk", "backing_fmt", O_TEXT, AT(backing_fmt), ROOM(backing_fmt), 0, 0, NULL, NULL,
     "Image format of the base image"},
    {"qcow2", "cluster_size", O_POWER, AT(cluster), 4, 512, 2u << 20, NULL, NULL, "qcow2 cluster size"},
    {"qcow2", "refcount_bits", O_POWER, AT(refcount_bits), 4, 1, 64, NULL, NULL, "Width of a reference count entry in bits"},
    {"qcow2", "compat", O_TEXT, AT(compat), ROOM(compat), 0, 0, "0.10|1.1|v2|v3", NULL,
     "Compatibility level (v2 [0.10] or v3 [1.1])"},
    {"qcow2", "lazy_refcounts", O_FLAG, AT(lazy), 1, 0, 0, NULL, NULL, "Postpone refcount updates"},
    {"qcow2", "compression_type", O_TEXT, AT(compression), ROOM(compression), 0, 0, "zlib|zstd", NULL,
     "Compression method used for image cluster compression"},
    {"qcow2 raw", "preallocation", O_TEXT, AT(preallocation), ROOM(preallocation), 0, 0, "off|metadata|falloc|full", NULL,
     "Preallocation mode (raw: off, falloc, full; qcow2: metadata as well)"},
    {"qcow2 raw", "nocow", O_FLAG, AT(nocow), 1, 0, 0, NULL, NULL, "Turn off copy-on-write (valid only on btrfs)"},
    {"qed", "cluster_size", O_POWER, AT(cluster), 4, 4096, 64u << 20, NULL, "65536", "Cluster size (in bytes)"},
    {"qed", "table_size", O_POWER, AT(table_size), 4, 1, 16, NULL, NULL, "L1/L2 table size (in clusters)"},
    {"parallels", "cluster_size", O_POWER, AT(cluster), 4, 512, 256u << 20, NULL, "1048576", "Parallels image cluster size"},
    {"vdi", "static", O_FLAG, AT(fixed), 1, 0, 0, NULL, "off", "VDI static (pre-allocated) image"},
    {"vpc", "subformat", O_TEXT, AT(subformat), ROOM(subformat), 0, 0, "dynamic|fixed", NULL, "Type of virtual hard disk format"},
    {"vpc", "force_size", O_FLAG, AT(force_size), 1, 0, 0, NULL, NULL,
     "Use the actual size specified, rather than the nearest CHS-based one"},
    {"vhdx", "log_size", O_SIZE, AT(log_size), 8, 1u << 20, 0xfffu << 20, NULL, "1048576", "Log size; min 1MB."},
    {"vhdx", "block_size", O_SIZE, AT(block_size), 8, 0, 256u << 20, NULL, "0",
     "Block Size; min 1MB, max 256MB. 0 means auto-calculate based on image size."},
    {"vhdx", "subformat", O_TEXT, AT(subformat), ROOM(subformat), 0, 0, "dynamic|fixed", NULL, "VHDX format type"},
    {"vhdx", "block_state_zero", O_FLAG, AT(state_zero), 1, 0, 0, NULL, NULL,
     "Use payload blocks of type 'ZERO' (the default)"},
    {"vmdk", "compat6", O_FLAG, AT(compat6), 1, 0, 0, NULL, "off", "VMDK version 6 image"},
    {"vmdk", "hwversion", O_TEXT, AT(hwversion), ROOM(hwversion), 0, 0, NULL, "undefined", "VMDK hardware version"},
    {"vmdk", "subformat", O_TEXT, AT(subformat), ROOM(subformat), 0, 0,
     "monolithicSparse|monolithicFlat|twoGbMaxExtentSparse|twoGbMaxExtentFlat|streamOptimized", NULL, "VMDK extent format"},
    {"vmdk", "adapter_type", O_TEXT, AT(adapter), ROOM(adapter), 0, 0, "ide|lsilogic|buslogic|legacyESX", NULL,
     "Virtual adapter type"},
    {"vmdk", "toolsversion", O_TEXT, AT(toolsversion), ROOM(toolsversion), 0, 0, NULL, NULL, "VMware guest tools version"},
    {"vmdk", "zeroed_grain", O_FLAG, AT(zeroed_grain), 1, 0, 0, NULL, NULL,
     "Enable efficient zero writes using the zeroed-grain GTE feature"},
};
#define OPTIONS (sizeof(table) / sizeof(table[0]))

/* Is word one of those in list, separated by sep? */
static bool in_list(const char *list, char sep, const char *word)
{
    size_t n = strlen(word);
    for (const char *p = list; n && (p = strstr(p, word)); p++)
        if ((p == list || p[-1] == sep) && (p[n] == sep || !p[n]))
            return true;
    return false;
}

static bool is_of(const struct option_about *o, const char *fmt)
{
    return !strcmp(o->formats, "*") || in_list(o->formats, ' ', fmt);
}

static const struct option_about *find(const char *fmt, const char *key)
{
    for (unsigned i = 0; i < OPTIONS; i++)
        if (!strcmp(table[i].key, key) && is_of(&table[i], fmt))
            return &table[i];
    return NULL;
}

static bool value_set(struct tool_options *o, const struct option_about *a, const char *val)
{
    char *p = (char *)o + a->at;
    uint64_t v;
    switch (a->kind) {
    case O_FLAG:
        *(bool *)p = !strcmp(val, "on");
        return *(bool *)p || !strcmp(val, "off");
    case O_TEXT:
        return (!a->values || in_list(a->values, '|', val)) && snprintf(p, a->room, "%s", val) < (int)a->room;
    case O_POWER:
        if (!tool_size(val, &v) || v < a->min || v > a->max || v & (v - 1))
            return false;
        *(uint32_t *)(void *)p = (uint32_t)v;
        return true;
    default:
        if (!tool_size(val, &v) || v < a->min || v > a->max)
            return false;
        *(uint64_t *)(void *)p = v;
        return true;
    }
}

static int refuse_value(const char *file, const struct option_about *a, const char *val)
{
    if (a->kind == O_POWER)
        return tool_fail("%s: %s must be a power of two between %llu and %llu", file, a->key, (unsigned long long)a->min,
                         (unsigned long long)a->max);
    if (a->kind == O_SIZE)
        return tool_fail("%s: Parameter '%s' expects a size", file, a->key);
    return tool_fail("%s: Invalid parameter '%s=%s'%s%s", file, a->key, val, a->values ? ", allowed: " : "",
                     a->values ? a->values : "");
}

/* What qemu-img has and this program does not. */
static bool not_built(const char *fmt, const char *key)
{
    static const char *const keys[] = {"extended_l2", "data_file", "data_file_raw"};
    if (!strncmp(key, "encr", 4))
        return !strcmp(fmt, "qcow2") || !strcmp(fmt, "qcow");
    for (unsigned i = 0; i < 3; i++)
        if (!strcmp(key, keys[i]))
            return !strcmp(fmt, "qcow2");
    return false;
}

static int one_option(struct tool_options *o, const char *fmt, const char *file, const char *key, const char *val)
{
    const struct option_about *a = find(fmt, key);
    if (not_built(fmt, key))
        return strcmp(val, "off") ? tool_fail("%s: '%s=%s' is not built", file, key, val) : 0;
    if (!a)
        return tool_fail("%s: Invalid parameter '%s=%s'", file, key, val);
    if (!value_set(o, a, val) || (a->at == AT(preallocation) && !strcmp(fmt, "raw") && !strcmp(val, "metadata")))
        return refuse_value(file, a, val);
    o->given |= 1ull << (a - table);
    o->has_size = o->has_size || a->at == AT(size);
    o->zstd = !strcmp(o->compression, "zstd");
    return 0;
}

int tool_options_parse(struct tool_options *o, const char *fmt, const char *file, const char *list)
{
    char item[IMG_NAME_MAX + 64];
    while (*list) {
        size_t n = 0;
        for (; *list; list++) { /* ",," is a comma */
            if (*list == ',' && *++list != ',')
                break;
            if (n + 1 == sizeof(item))
                return tool_fail("%s: an option is too long", file);
            item[n++] = *list;
        }
        item[n] = '\0';
        char *val = strchr(item, '=');
        if (val)
            *val++ = '\0';
        int r = one_option(o, fmt, file, item, val ? val : "on");
        if (r)
            return r;
    }
    return 0;
}

static void show(const struct tool_options *o, const struct option_about *a, bool given)
{
    const char *p = (const char *)o + a->at;
    if (!given) {
        printf(" %s=%s", a->key, a->shown);
        return;
    }
    switch (a->kind) {
    case O_FLAG: printf(" %s=%s", a->key, *(const bool *)p ? "on" : "off"); break;
    case O_TEXT: printf(" %s=%s", a->key, p); break;
    case O_POWER: printf(" %s=%u", a->key, *(const uint32_t *)(const void *)p); break;
    default: printf(" %s=%llu", a->key, (unsigned long long)*(const uint64_t *)(const void *)p); break;
    }
}

void tool_options_show(const struct tool_options *o, const char *fmt)
{
    printf(" size=%llu", (unsigned long long)o->size);
    for (unsigned i = 1; i < OPTIONS; i++) {
        const char *text = (const char *)o + table[i].at;
        bool given = o->given & 1ull << i || (table[i].kind == O_TEXT && text[0]); /* -b and -F */
        if (is_of(&table[i], fmt) && (given || table[i].shown))
            show(o, &table[i], given);
    }
    putchar('\n');
}

bool tool_options_help(const char *fmt, const char *list)
{
    if (!list || (strcmp(list, "help") && strcmp(list, "?")))
        return false;
    static const char *const kinds[] = {"size", "size", "bool (on/off)", "str"};
    printf("Supported %s options:\n", fmt);
    for (unsigned i = 0; i < OPTIONS; i++) {
        char head[64];
        if (!is_of(&table[i], fmt))
            continue;
        snprintf(head, sizeof(head), "%s=<%s>", table[i].key, kinds[table[i].kind]);
        printf("  %-22s - %s%s%s\n", head, table[i].text, table[i].values ? ": " : "", table[i].values ? table[i].values : "");
    }
    return true;
}
