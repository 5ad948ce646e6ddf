/* SPDX-License-Identifier: Apache-2.0 */
/* See cpu-model.h. */
#include "vmm/config/cpu-model.h"

#include <stdio.h>
#include <string.h>
#include "ipc/cpu-model.h"

/* Equal up to the end of b's n characters, '_' as '-'. */
static bool same_name(const char *a, const char *b, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        char x = a[i] == '_' ? '-' : a[i], y = b[i] == '_' ? '-' : b[i];
        if (x != y || !x)
            return false;
    }
    return !a[n];
}
static int feature_named(const char *name, size_t n)
{
    for (unsigned i = 0; i < cpu_feature_count; i++) {
        const struct cpu_feature_info *f = &cpu_feature_table[i];
        if (same_name(f->name, name, n) || (f->alias && same_name(f->alias, name, n)))
            return f->feature;
    }
    return -1;
}
int cpu_feature_named(const char *name)
{
    return feature_named(name, strlen(name));
}
bool cpu_feature_elsewhere(const char *name)
{
    static const char *const prefix[] = {"vmx-", "kvm-", "kvm_", "sgx", "hv-", NULL};
    static const char *const whole[] = {
        "npt", "lbrv", "svm-lock", "nrip-save", "tsc-scale", "vmcb-clean", "flushbyasid",
        "decodeassists", "pause-filter", "pfthreshold", "avic", "v-vmsave-vmload", "vgif",
        "svme-addr-chk", "xstore", "xstore-en", "xcrypt", "xcrypt-en", "ace2", "ace2-en", "phe",
        "phe-en", "pmm", "pmm-en", "kvmclock", "split-lock-detect", "full-width-write",
        "intel-pt-lip", NULL};
    for (unsigned i = 0; prefix[i]; i++)
        if (!strncmp(name, prefix[i], strlen(prefix[i])))
            return true;
    for (unsigned i = 0; whole[i]; i++)
        if (same_name(whole[i], name, strlen(name)))
            return true;
    return false;
}

static bool is_version(const char *s)
{
    return s[0] == '-' && s[1] == 'v' && s[2] >= '1' && s[2] <= '9' && !s[3];
}
const struct cpu_def *cpu_def_find(const char *name)
{
    size_t n = strlen(name);
    for (unsigned i = 0; i < cpu_def_count; i++) {
        const struct cpu_def *d = &cpu_defs[i];
        if (!strcmp(d->name, name) || (d->alias && !strcmp(d->alias, name)))
            return d;
        if (!strncmp(d->name, name, n) && is_version(d->name + n) && d->name[n + 2] == '1')
            return d;
    }
    return NULL;
}

static void apply(const char *change, uint32_t *words)
{
    size_t n;
    for (const char *s = change; *s; s += n + (s[n] == ' ')) {
        n = strcspn(s, " ");
        int f = feature_named(s + 1, n - 1);
        if (f < 0)
            continue; /* a unit test keeps such names out of the table */
        if (*s == '+')
            words[f >> 5] |= 1u << (f & 31);
        else
            words[f >> 5] &= ~(1u << (f & 31));
    }
}
static void def_features(const struct cpu_def *d, uint32_t *words)
{
    if (d->base)
        def_features(cpu_def_find(d->base), words);
    apply(d->change, words);
}

/* What processors of the family had, in round figures that the leaves can say. */
static void caches(struct abi_cpu_model *m)
{
    bool amd = m->vendor == ABI_CPU_AMD;
    if (m->family < 6 || (m->family == 6 && m->model < 14)) {
        m->cache[0] = m->cache[1] = (struct abi_cpu_cache){16 << 10, 4, 32};
        m->cache[2] = (struct abi_cpu_cache){512 << 10, 4, 32};
        if (m->family < 6)
            m->cache[2] = (struct abi_cpu_cache){0};
        return;
    }
    m->cache[0] = m->cache[1] = (struct abi_cpu_cache){32 << 10, 8, 64};
    m->cache[2] = (struct abi_cpu_cache){amd ? 512 << 10 : 4 << 20, amd ? 8 : 16, 64};
    m->cache[3] = (struct abi_cpu_cache){16 << 20, 16, 64};
}
static void defaults(struct abi_cpu_model *m)
{
    m->sockets = m->dies = m->cores = m->threads = 1;
    m->hv_leaves = 1;
    m->linear_bits = 48;
    m->ucode_rev = m->vendor == ABI_CPU_AMD ? 0x01000065 : 1ull << 32;
    caches(m);
}
/* max: everything carried, under one name on every host. */
static void model_max(struct abi_cpu_model *m)
{
    cpu_model_host(m);
    memcpy(m->vendor_id, "GenuineIntel", sizeof(m->vendor_id));
    m->vendor = cpu_vendor_of(m->vendor_id);
    m->family = 6;
    m->model = 0x6a;
    m->stepping = 6;
    m->level = 0xd;
    m->xlevel = 0x80000008;
    m->feat[CPUW_X21_EAX] = 0;
    memset(m->brand, 0, sizeof(m->brand));
    memcpy(m->brand, "Bulkhead x86-64 processor", 25);
    defaults(m);
}
/* host: the host's own bits as far as they are carried, and what only a virtual processor has. */
static void model_host(struct abi_cpu_model *m)
{
    static const uint16_t extra[] = {FEAT_X2APIC, FEAT_TSC_DEADLINE, FEAT_ARAT, FEAT_TSC_ADJUST};
    uint32_t host[ABI_CPU_WORDS], own[ABI_CPU_WORDS];
    cpu_model_host(m);
    cpu_features_host(host);
    memcpy(own, m->feat, sizeof(own));
    for (unsigned w = 0; w < CPUW_ARCH_CAPS; w++)
        m->feat[w] &= host[w];
    for (unsigned i = 0; i < sizeof(extra) / sizeof(extra[0]); i++)
        m->feat[extra[i] >> 5] |= own[extra[i] >> 5] & 1u << (extra[i] & 31);
    if (!abi_cpu_has(m->feat, FEAT_ARCH_CAPABILITIES))
        m->feat[CPUW_ARCH_CAPS] = 0;
    defaults(m);
}
void cpu_def_model(const struct cpu_def *d, struct abi_cpu_model *m)
{
    memset(m, 0, sizeof(*m));
    if (!strcmp(d->name, "max")) {
        model_max(m);
    } else if (!strcmp(d->name, "host")) {
        model_host(m);
    } else {
        if (d->vendor)
            memcpy(m->vendor_id, d->vendor, sizeof(m->vendor_id));
        m->vendor = cpu_vendor_of(m->vendor_id);
        m->family = d->family;
        m->model = d->model;
        m->stepping = d->stepping;
        m->level = d->level ? d->level : 1;
        m->xlevel = d->xlevel;
        memcpy(m->brand, d->brand, strnlen(d->brand, sizeof(m->brand)));
        def_features(d, m->feat);
        defaults(m);
    }
    if (strcmp(d->name, "base"))
        m->feat[CPUW_1_ECX] |= 1u << 31; /* hypervisor */
}
const char *cpu_def_describe(const struct cpu_def *d)
{
    if (d->vendor)
        return d->brand;
    return !strcmp(d->name, "max")    ? "every feature this version carries on this host"
           : !strcmp(d->name, "host") ? "this host's processor, as far as it is carried"
                                      : "no feature at all, to start from";
}

bool cpu_model_missing(const struct abi_cpu_model *m, uint32_t missing[ABI_CPU_WORDS])
{
    uint32_t carried[ABI_CPU_WORDS], any = 0;
    cpu_features_carried(carried);
    for (unsigned w = 0; w < ABI_CPU_WORDS; w++)
        any |= missing[w] = m->feat[w] & ~carried[w];
    return any;
}

static void level_at_least(uint32_t *level, uint32_t n, bool when)
{
    if (when && *level < n)
        *level = n;
}
/* A leaf in which something is advertised has to be in range. */
static void levels(struct abi_cpu_model *m)
{
    const uint32_t *f = m->feat;
    level_at_least(&m->level, 6, f[CPUW_6_EAX]);
    level_at_least(&m->level, 7, f[CPUW_7_EBX] | f[CPUW_7_ECX] | f[CPUW_7_EDX] | f[CPUW_71_EAX]);
    level_at_least(&m->level, 0xd, abi_cpu_has(f, FEAT_XSAVE));
    level_at_least(&m->xlevel, 0x80000001, f[CPUW_X1_EDX] | f[CPUW_X1_ECX]);
    level_at_least(&m->xlevel, 0x80000007, f[CPUW_X7_EDX]);
    level_at_least(&m->xlevel, 0x80000008, f[CPUW_X8_EBX] || abi_cpu_has(f, FEAT_LM));
    level_at_least(&m->xlevel, 0x80000021, f[CPUW_X21_EAX]);
}
void cpu_model_settle(struct abi_cpu_model *m)
{
    uint32_t missing[ABI_CPU_WORDS];
    cpu_model_missing(m, missing);
    for (unsigned w = 0; w < ABI_CPU_WORDS; w++)
        m->feat[w] &= ~missing[w];
    if (!abi_cpu_has(m->feat, FEAT_ARCH_CAPABILITIES))
        m->feat[CPUW_ARCH_CAPS] = 0;
    levels(m);
    if (!m->phys_bits)
        m->phys_bits = abi_cpu_has(m->feat, FEAT_LM) ? 40 : abi_cpu_has(m->feat, FEAT_PAE) ||
                                                           abi_cpu_has(m->feat, FEAT_PSE36) ? 36 : 32;
    m->linear_bits = abi_cpu_has(m->feat, FEAT_LA57) ? 57 : abi_cpu_has(m->feat, FEAT_LM) ? 48 : 32;
}

void cpu_feature_names(const uint32_t words[ABI_CPU_WORDS], char *buf, size_t size)
{
    size_t n = 0;
    buf[0] = 0;
    for (unsigned i = 0; i < cpu_feature_count; i++) {
        const struct cpu_feature_info *f = &cpu_feature_table[i];
        if (!abi_cpu_has(words, f->feature) || n + strlen(f->name) + 2 > size)
            continue;
        n += (size_t)snprintf(buf + n, size - n, "%s%s", n ? " " : "", f->name);
    }
}

void plan_cpu_model(const struct plan *p, struct abi_cpu_model *m)
{
    const struct abi_topology *t = &p->topology;

    *m = p->cpu_model;
    m->sockets = topo_some(t->sockets);
    m->dies = topo_some(t->dies);
    m->cores = topo_some(t->cores);
    m->threads = topo_some(t->threads);
}
