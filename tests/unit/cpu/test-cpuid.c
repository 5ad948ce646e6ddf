/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every processor model of the table, through CPUID and RDMSR as a guest sees them: levels, ranges, the leaves
 * that have to agree with each other, no bit that is not carried, MSRs that exist exactly where a vendor
 * or a feature says so, and what may be written into them.
 */
#include <stdlib.h>
#include <string.h>
#include "cpu-worker/interp/cpuid.h"
#include "cpu-worker/interp/msr.h"
#include "ipc/cpu-model.h"
#include "tests/lib/bare.h"
#include "tests/lib/ctest.h"
#include "vmm/config/cpu-model.h"

static struct bare b;

static void wear(const struct abi_cpu_model *m)
{
    struct cpu *c = b.cpu;
    c->model = *m;
    memcpy(c->feat, m->feat, sizeof(c->feat));
    c->vendor = m->vendor;
}
static struct leaf at(uint32_t leaf, uint32_t sub)
{
    return cpuid_leaf(b.cpu, leaf, sub);
}
static bool same(struct leaf x, struct leaf y)
{
    return !memcmp(&x, &y, sizeof(x));
}
static const char *wrong(const struct abi_cpu_model *m)
{
    struct leaf l0 = at(0, 0), l1 = at(1, 0), zero = {0};
    bool amd = m->vendor == ABI_CPU_AMD;
    if (l0.eax != m->level || l1.eax != cpuid_signature(m))
        return "leaf 0 or signature";
    if ((l1.edx & ~(1u << 28)) != (m->feat[CPUW_1_EDX] & ~(1u << 28)) ||
        (l1.ecx & ~(1u << 27)) != m->feat[CPUW_1_ECX])
        return "leaf 1 features";
    if (!same(at(m->level + 1, 0), amd ? zero : at(m->level, 0)))
        return "basic leaf out of range";
    if (m->xlevel && (at(0x80000000, 0).eax != m->xlevel ||
                      !same(at(m->xlevel + 1, 0), amd ? zero : at(m->level, 0))))
        return "extended leaf out of range";
    if (amd && (at(0x80000001, 0).edx & 0x0183f3ff) != (m->feat[CPUW_1_EDX] & 0x0183f3ff))
        return "80000001H EDX does not repeat leaf 1";
    if (!amd && m->xlevel && at(0x80000001, 0).edx & 0x0183f3ff)
        return "80000001H EDX repeats leaf 1";
    if (m->level >= 4 && amd != same(at(4, 0), zero))
        return "leaf 4";
    if (m->xlevel >= 0x80000005 && amd == same(at(0x80000005, 0), zero))
        return "80000005H";
    if (m->xlevel >= 0x80000008 && at(0x80000008, 0).eax != (m->linear_bits << 8 | m->phys_bits))
        return "address sizes";
    if (m->level >= 0xd && (at(0xd, 0).eax != 0) != abi_cpu_has(m->feat, FEAT_XSAVE))
        return "leaf DH without XSAVE, or the reverse";
    return NULL;
}
/* Dependencies that processors keep. */
static const char *incoherent(const struct abi_cpu_model *m)
{
    static const uint16_t needs[][2] = {
        {FEAT_SSE2, FEAT_SSE}, {FEAT_SSE, FEAT_FXSR}, {FEAT_LM, FEAT_PAE}, {FEAT_AVX2, FEAT_AVX},
        {FEAT_AVX, FEAT_XSAVE}, {FEAT_FMA, FEAT_AVX}, {FEAT_F16C, FEAT_AVX}, {FEAT_XSAVEC, FEAT_XSAVE},
        {FEAT_XSAVES, FEAT_XSAVEC}, {FEAT_SSE42, FEAT_SSE41}, {FEAT_X2APIC, FEAT_APIC}};
    for (unsigned i = 0; i < sizeof(needs) / sizeof(needs[0]); i++)
        if (abi_cpu_has(m->feat, needs[i][0]) && !abi_cpu_has(m->feat, needs[i][1]))
            return cpu_feature_row(needs[i][0])->name;
    return NULL;
}
static bool words_known(const struct cpu_def *d)
{
    char name[40];
    size_t n;
    if (d->base && !cpu_def_find(d->base))
        return false;
    for (const char *s = d->change; *s; s += n + (s[n] == ' ')) {
        n = strcspn(s, " ");
        snprintf(name, sizeof(name), "%.*s", (int)n - 1, s + 1);
        if ((*s != '+' && *s != '-') || n < 2 || cpu_feature_named(name) < 0)
            return false;
    }
    return true;
}
static void models(void)
{
    for (unsigned i = 0; i < cpu_def_count; i++) {
        struct abi_cpu_model m;
        char err[160] = "";
        uint32_t missing[ABI_CPU_WORDS];
        cpu_def_model(&cpu_defs[i], &m);
        const char *odd = incoherent(&m);
        cpu_model_settle(&m);
        int bad = cpu_model_check(&m, err, sizeof(err));
        wear(&m);
        const char *why = wrong(&m);
        ok(words_known(&cpu_defs[i]) && !bad && !cpu_model_missing(&m, missing) && !why && !odd,
           "%s: %s%s%s", cpu_defs[i].name, err, why ? why : "", odd ? odd : "consistent");
    }
}

static void feature_off(struct abi_cpu_model *m, unsigned f)
{
    m->feat[f >> 5] &= ~(1u << (f & 31));
}
static void msr_gates(void)
{
    static const struct {
        uint32_t msr;
        int feature;
    } gate[] = {{0x10, FEAT_TSC}, {0x1b, FEAT_APIC}, {0x3b, FEAT_TSC_ADJUST}, {0xfe, FEAT_MTRR},
                {0x10a, FEAT_ARCH_CAPABILITIES}, {0x174, FEAT_SEP}, {0x179, FEAT_MCA}, {0x200, FEAT_MTRR},
                {0x26f, FEAT_MTRR}, {0x277, FEAT_PAT}, {0x401, FEAT_MCA}, {0x6e0, FEAT_TSC_DEADLINE}};
    for (unsigned i = 0; i < sizeof(gate) / sizeof(gate[0]); i++) {
        struct abi_cpu_model m;
        uint64_t v;
        cpu_def_model(cpu_def_find("max"), &m);
        cpu_model_settle(&m);
        wear(&m);
        bool with = msr_read(b.cpu, gate[i].msr, &v);
        feature_off(&m, (unsigned)gate[i].feature);
        wear(&m);
        ok(with && !msr_read(b.cpu, gate[i].msr, &v), "MSR %xH exists with %s only", gate[i].msr,
           cpu_feature_row((unsigned)gate[i].feature)->name);
    }
}
static void msr_vendor(void)
{
    static const uint32_t intel[] = {0x17, 0x3a, 0xce, 0x1a0}, amd[] = {0xc0010010, 0xc0010015, 0xc001001f,
                                                                        0xc0011029, 0xc0010140};
    struct abi_cpu_model m[2];
    uint64_t v;
    cpu_def_model(cpu_def_find("Haswell"), &m[0]);
    cpu_def_model(cpu_def_find("EPYC"), &m[1]);
    for (unsigned k = 0; k < 2; k++) {
        bool good = true;
        cpu_model_settle(&m[k]);
        wear(&m[k]);
        for (unsigned i = 0; i < 4; i++)
            good &= msr_read(b.cpu, intel[i], &v) == !k;
        for (unsigned i = 0; i < 5; i++)
            good &= msr_read(b.cpu, amd[i], &v) == k;
        ok(good && !msr_read(b.cpu, 0xdead, &v) && !msr_write(b.cpu, 0xdead, 0),
           "%s registers exist on %s processors only, unknown ones nowhere", k ? "AMD's" : "Intel's",
           k ? "AMD" : "Intel");
    }
}
static void msr_values(void)
{
    static const struct {
        uint32_t msr;
        uint64_t v;
        bool good;
    } t[] = {{0x277, 0x0007040600070406, true}, {0x277, 0x0007040600070402, false}, {0x2ff, 0xc06, true},
             {0x2ff, 0x806, true}, {0x2ff, 0xc02, false}, {0x2ff, 0x1000c06, false},
             {0x250, 0x0606060606060606, true}, {0x250, 0x0606060606060607, false}, {0x200, 0xc0000006, true},
             {0x200, 0xc0000002, false}, {0x200, 1ull << 45, false}, {0x201, 0xff00000800, true},
             {0x201, 0xff00000801, false}, {0x400, ~0ull, true}, {0x401, 0, true}, {0x401, 1, false},
             {0x402, 1, false}, {0x179, 1, false}, {0x17a, 7, true}, {0x17a, 8, false}, {0x3a, 5, false},
             {0x1a0, 1, true}, {0x1a0, 1ull << 50, false}, {0x1b, 0xfee00900, true}, {0x1b, 0xfee00901, false},
             {0x1b, 1ull << 45 | 0x900, false}, {0x49, 1, true}, {0x49, 2, false}, {0x174, 8, true},
             {0x140, 0, true}, {0x140, 1, false}};
    struct abi_cpu_model m;
    cpu_def_model(cpu_def_find("max"), &m);
    m.phys_bits = 40;
    cpu_model_settle(&m);
    wear(&m);
    for (unsigned i = 0; i < sizeof(t) / sizeof(t[0]); i++)
        ok(msr_write(b.cpu, t[i].msr, t[i].v) == t[i].good, "WRMSR %xH %llx: %s", t[i].msr,
           (unsigned long long)t[i].v, t[i].good ? "done" : "#GP");
}
static void tsc(void)
{
    uint64_t adjust = 0, before, after;
    msr_write(b.cpu, 0x3b, 1000000);
    msr_read(b.cpu, 0x10, &before);
    msr_write(b.cpu, 0x10, before + (1ull << 40));
    msr_read(b.cpu, 0x3b, &adjust);
    msr_read(b.cpu, 0x10, &after);
    ok(adjust - 1000000 <= 1ull << 40 && adjust - 1000000 > (1ull << 40) - 100000000 &&
           after - before >= 1ull << 40, "a write to the TSC moves TSC_ADJUST by as much");
}

/* -cpu model,tsc-frequency=: the leaves that tell it, and the counter itself. */
static void tsc_rate(void)
{
    struct abi_cpu_model m;
    cpu_model_host(&m);
    memcpy(m.vendor_id, "GenuineIntel", 12);
    m.vendor = ABI_CPU_INTEL;
    m.level = 0x1f;
    m.tsc_khz = 2500000;
    m.feat[CPUW_1_ECX] |= 1u << 31;
    wear(&m);
    struct leaf l = at(0x15, 0), none = {0};
    ok(l.eax && (uint64_t)l.ecx * l.ebx / l.eax == 2500000000u && l.ecx == 1000000000, "leaf 15H: the rate, from the local APIC's");
    ok(same(at(0x16, 0), (struct leaf){2500, 2500, 100, 0}), "leaf 16H: MHz");
    ok(at(0x40000000, 0).eax == 0x40000010 && same(at(0x40000010, 0), (struct leaf){2500000, 1000000, 0, 0}),
       "leaf 40000010H: kHz of the TSC and of the local APIC's timer");
    m.vendor = ABI_CPU_AMD;
    wear(&m);
    ok(same(at(0x15, 0), none) && same(at(0x16, 0), none), "AMD has neither 15H nor 16H");
    m.tsc_khz = 0;
    m.vendor = ABI_CPU_INTEL;
    wear(&m);
    ok(same(at(0x15, 0), none) && at(0x40000000, 0).eax == 0x40000000, "a rate that is the host's is not told");
    b.cpu->tsc_ratio = 1ull << 31;
    uint64_t h0 = __builtin_ia32_rdtsc(), g0 = cpu_guest_tsc(b.cpu), h1 = __builtin_ia32_rdtsc();
    while (__builtin_ia32_rdtsc() - h1 < 10000000)
        ;
    uint64_t h2 = __builtin_ia32_rdtsc(), g1 = cpu_guest_tsc(b.cpu), h3 = __builtin_ia32_rdtsc();
    b.cpu->tsc_ratio = 0;
    ok(g1 - g0 <= (h3 - h0) / 2 + 1 && g1 - g0 >= (h2 - h1) / 2 - 1, "half the rate: half the ticks");
}

int main(void)
{
    if (bare_init(&b, 32u << 20))
        return 1;
    bare_long_mode(&b, 0x100000, 0x80000);
    models();
    msr_gates();
    msr_vendor();
    msr_values();
    tsc();
    tsc_rate();
    return ctest_done();
}
