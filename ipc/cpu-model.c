/* SPDX-License-Identifier: Apache-2.0 */
/* See cpu-model.h. */
#include "ipc/cpu-model.h"

#include <cpuid.h>
#include <stdio.h>
#include <string.h>

const struct cpu_feature_info cpu_feature_table[] = {
#define ROW(id, word, bit, kind, name, alias) {name, alias, FEAT_##id, CPUK_##kind},
    CPU_FEATURES(ROW)
#undef ROW
};
const unsigned cpu_feature_count = sizeof(cpu_feature_table) / sizeof(cpu_feature_table[0]);

const struct cpu_feature_info *cpu_feature_row(unsigned feature)
{
    for (unsigned i = 0; i < cpu_feature_count; i++)
        if (cpu_feature_table[i].feature == feature)
            return &cpu_feature_table[i];
    return NULL;
}

static const struct {
    uint32_t leaf, sub;
    uint8_t word, reg; /* reg: 0 EAX, 1 EBX, 2 ECX, 3 EDX */
} source[] = {
    {1, 0, CPUW_1_EDX, 3},          {1, 0, CPUW_1_ECX, 2},          {7, 0, CPUW_7_EBX, 1},
    {7, 0, CPUW_7_ECX, 2},          {7, 0, CPUW_7_EDX, 3},          {7, 1, CPUW_71_EAX, 0},
    {0xd, 1, CPUW_D1_EAX, 0},       {6, 0, CPUW_6_EAX, 0},          {0x80000001, 0, CPUW_X1_EDX, 3},
    {0x80000001, 0, CPUW_X1_ECX, 2}, {0x80000007, 0, CPUW_X7_EDX, 3}, {0x80000008, 0, CPUW_X8_EBX, 1},
    {0x80000021, 0, CPUW_X21_EAX, 0},
};

void cpu_features_host(uint32_t words[ABI_CPU_WORDS])
{
    memset(words, 0, ABI_CPU_WORDS * sizeof(*words));
    for (unsigned i = 0; i < sizeof(source) / sizeof(source[0]); i++) {
        uint32_t r[4] = {0};
        if (__get_cpuid_count(source[i].leaf, source[i].sub, &r[0], &r[1], &r[2], &r[3]))
            words[source[i].word] = r[source[i].reg];
    }
}

void cpu_features_carried(uint32_t words[ABI_CPU_WORDS])
{
    uint32_t host[ABI_CPU_WORDS];

    cpu_features_host(host);
    memset(words, 0, ABI_CPU_WORDS * sizeof(*words));
    for (unsigned i = 0; i < cpu_feature_count; i++) {
        const struct cpu_feature_info *f = &cpu_feature_table[i];
        if (f->kind == CPUK_OWN || (f->kind == CPUK_HOST && abi_cpu_has(host, f->feature)))
            words[f->feature >> 5] |= 1u << (f->feature & 31);
    }
}

enum abi_cpu_vendor cpu_vendor_of(const char id[12])
{
    return !memcmp(id, "AuthenticAMD", 12) || !memcmp(id, "HygonGenuine", 12) ? ABI_CPU_AMD
                                                                              : ABI_CPU_INTEL;
}

static void brand_host(struct abi_cpu_model *m)
{
    for (unsigned i = 0; i < 3; i++) {
        uint32_t r[4];
        if (__get_cpuid(0x80000002 + i, &r[0], &r[1], &r[2], &r[3]))
            memcpy(m->brand + 16 * i, r, 16);
    }
}

void cpu_identity_host(struct abi_cpu_model *m)
{
    uint32_t a = 0, b = 0, c = 0, d = 0;

    __get_cpuid(0, &a, &b, &c, &d);
    memcpy(m->vendor_id, &b, 4);
    memcpy(m->vendor_id + 4, &d, 4);
    memcpy(m->vendor_id + 8, &c, 4);
    m->vendor = cpu_vendor_of(m->vendor_id);
    __get_cpuid(1, &a, &b, &c, &d);
    m->family = (a >> 8 & 15) + ((a >> 8 & 15) == 15 ? a >> 20 & 0xff : 0);
    m->model = (a >> 4 & 15) | (a >> 12 & 0xf0);
    m->stepping = a & 15;
    brand_host(m);
}

uint32_t cpu_phys_bits_host(void)
{
    uint32_t a = 0, b, c, d;

    __get_cpuid(0x80000008, &a, &b, &c, &d);
    return (a & 0xff) < 32 ? 36 : (a & 0xff) > 52 ? 52 : a & 0xff;
}

void cpu_model_host(struct abi_cpu_model *m)
{
    memset(m, 0, sizeof(*m));
    cpu_identity_host(m);
    cpu_features_carried(m->feat);
    m->feat[FEAT_LA57 >> 5] &= ~(1u << (FEAT_LA57 & 31)); /* only for those who ask for it */
    m->level = m->vendor == ABI_CPU_AMD ? 0x10 : 0x1f;
    m->xlevel = m->vendor == ABI_CPU_AMD ? 0x80000021 : 0x80000008;
    m->phys_bits = 40;
    m->linear_bits = 48;
    m->sockets = m->dies = m->cores = m->threads = 1;
    m->hv_leaves = 1;
    m->ucode_rev = m->vendor == ABI_CPU_AMD ? 0x01000065 : 1ull << 32;
    m->cache[0] = (struct abi_cpu_cache){32 << 10, 8, 64};
    m->cache[1] = (struct abi_cpu_cache){32 << 10, 8, 64};
    m->cache[2] = (struct abi_cpu_cache){1 << 20, 16, 64};
    m->cache[3] = (struct abi_cpu_cache){16 << 20, 16, 64};
}

static int features_check(const struct abi_cpu_model *m, char *err, size_t errlen)
{
    uint32_t carried[ABI_CPU_WORDS];

    cpu_features_carried(carried);
    for (unsigned f = 0; f < ABI_CPU_WORDS * 32; f++) {
        const struct cpu_feature_info *row;
        if (!abi_cpu_has(m->feat, f) || abi_cpu_has(carried, f))
            continue;
        row = cpu_feature_row(f);
        snprintf(err, errlen, "CPU model: feature '%s' (word %u, bit %u) is not carried on this host",
                 row ? row->name : "without a name", f >> 5, f & 31);
        return -1;
    }
    return 0;
}
static int caches_check(const struct abi_cpu_model *m)
{
    for (unsigned i = 0; i < ABI_CPU_CACHES; i++) {
        const struct abi_cpu_cache *k = &m->cache[i];
        if (k->size && (!k->ways || !k->line || k->size % ((uint32_t)k->ways * k->line)))
            return -1;
    }
    return 0;
}
static bool in_range(uint32_t v, uint32_t min, uint32_t max)
{
    return v >= min && v <= max;
}
int cpu_model_check(const struct abi_cpu_model *m, char *err, size_t errlen)
{
    const char *bad = NULL;

    if (m->vendor != cpu_vendor_of(m->vendor_id))
        bad = "vendor";
    else if (m->family > 15 + 255 || m->model > 255 || m->stepping > 15)
        bad = "family, model or stepping";
    else if (!in_range(m->level, 1, 0x20) ||
             (m->xlevel && !in_range(m->xlevel, 0x80000000u, 0x80000021u)))
        bad = "level or xlevel";
    else if (!in_range(m->phys_bits, 32, 52) || !in_range(m->linear_bits, 32, 57))
        bad = "address sizes";
    else if (!in_range(m->sockets, 1, 255) || !in_range(m->dies, 1, 255) ||
             !in_range(m->cores, 1, 255) || !in_range(m->threads, 1, 255))
        bad = "topology";
    else if (caches_check(m))
        bad = "caches";
    if (!bad)
        return features_check(m, err, errlen);
    snprintf(err, errlen, "CPU model: %s out of range", bad);
    return -1;
}
