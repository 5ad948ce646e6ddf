/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Options that describe the guest's hardware: memory, machine, CPU, clock. Must never touch the
 * host.
 */
#include <string.h>
#include <time.h>
#include "ipc/abi/machine-page.h"
#include "vmm/config/options.h"
#include "vmm/config/optlist.h"

#define MEM_MIN (1ull << 20)
#define MEM_MAX (1ull << 40)

static bool asks_help(const char *arg)
{
    return !strcmp(arg, "help") || !strcmp(arg, "?");
}

/* ---- -m
 * ------------------------------------------------------------------------------------------ */
static int key_mem_size(struct parse *c, void *obj, const char *key, const char *val)
{
    struct plan *p = obj;

    if (opt_size(c, key, val, 1ull << 20, &p->mem))
        return -1;
    if (p->mem < MEM_MIN)
        return parse_fail(c, "memory size '%s' is below the minimum of 1M", val);
    if (p->mem > MEM_MAX)
        return parse_fail(c, "memory size '%s' is above the maximum of 1T", val);
    p->mem = (p->mem + 4095) & ~4095ull;
    return 0;
}

int set_memory(struct parse *c, const char *arg)
{
    static const struct opt_key keys[] = {
        {"size", KEY_FN, .fn = key_mem_size},
        {"slots", KEY_REFUSE, .text = "memory cannot be added at run time"},
        {"maxmem", KEY_REFUSE, .text = "memory cannot be added at run time"},
        KEY_END,
    };
    struct optlist l;

    return optlist_split(c, &l, arg, "size") || optkeys_apply(c, keys, &l, c->p, NULL) ? -1 : 0;
}

/* ---- -machine, -accel
 * ---------------------------------------------------------------------------- */
/* One name of a fallback list such as "kvm:tcg". */
static int note_accel(struct parse *c, const char *name, size_t len)
{
    if (len == 3 && !memcmp(name, "tcg", 3))
        c->tcg_asked = true;
    else if (len == 3 && !memcmp(name, "kvm", 3))
        c->kvm_asked = true;
    else if (len == 6 && !memcmp(name, "interp", 6))
        c->interp_asked = true;
    else
        return parse_fail(c, "invalid accelerator '%.*s' (available: tcg, interp)", (int)len, name);
    return 0;
}

static int key_accel(struct parse *c, void *obj, const char *key, const char *val)
{
    size_t n;

    (void)obj;
    (void)key;
    if (!*val)
        return note_accel(c, val, 0);
    for (const char *s = val; *s; s += n + (s[n] == ':')) {
        n = strcspn(s, ":");
        if (note_accel(c, s, n))
            return -1;
    }
    return 0;
}

/* The versions QEMU 7.2 and those before it have; which one is asked for makes no difference here. */
static bool machine_named(const char *val, const char *name, const char *versions)
{
    size_t n = strlen(versions);
    unsigned major, minor;
    int used = 0;

    if (!strcmp(val, name))
        return true;
    return !strncmp(val, versions, n) && sscanf(val + n, "%2u.%2u%n", &major, &minor, &used) == 2 &&
           (!val[n + (size_t)used] || val[n + (size_t)used] == '.');
}

static int key_machine_type(struct parse *c, void *obj, const char *key, const char *val)
{
    struct plan *p = obj;
    const char *type = machine_named(val, "pc", "pc-i440fx-") ? "pc" : machine_named(val, "q35", "pc-q35-") ? "q35" : NULL;

    if (!type)
        return parse_fail(c, "unsupported machine type '%s' (available: pc, q35, pc-i440fx-N.M, pc-q35-N.M)", val);
    return opt_copy(c, key, type, p->machine, sizeof(p->machine));
}

static int key_smm(struct parse *c, void *obj, const char *key, const char *val)
{
    bool on;

    (void)obj;
    if (!strcmp(val, "auto"))
        return 0;
    if (opt_bool(c, key, val, &on))
        return -1;
    return on ? 0 : parse_fail(c, "smm=off is not built: firmware has it, and nothing else can use it");
}

int set_machine(struct parse *c, const char *arg)
{
    static const struct opt_key keys[] = {
        {"type", KEY_FN, .fn = key_machine_type},
        {"accel", KEY_FN, .fn = key_accel},
        {"acpi", KEY_ONLY, .form = "on"},
        {"usb", KEY_ONLY, .form = "off"},
        {"vmport", KEY_ONLY, .form = "off"},
        {"smm", KEY_FN, .fn = key_smm, .form = "on|auto"},
        KEY_END,
    };
    struct optlist l;

    if (asks_help(arg)) {
        fprintf(c->out,
                "Supported machines are:\n"
                "pc                   Standard PC (i440FX + PIIX, 1996) (default)\n"
                "pc-i440fx-N.M        another name of pc\n"
                "q35                  Standard PC (Q35 + ICH9, 2009)\n"
                "pc-q35-N.M           another name of q35\n");
        return 1;
    }
    return optlist_split(c, &l, arg, "type") || optkeys_apply(c, keys, &l, c->p, NULL) ? -1 : 0;
}

/* MiB, as QEMU counts; 0 = the default size. */
static int key_tb_size(struct parse *c, void *obj, const char *key, const char *val)
{
    struct plan *p = obj;
    uint64_t n;
    if (opt_number(c, key, val, 0, PLAN_TB_SIZE_MAX >> 20, &n))
        return -1;
    p->tb_size = n << 20;
    return 0;
}

int set_accel(struct parse *c, const char *arg)
{
    static const struct opt_key keys[] = {
        {"accel", KEY_FN, .fn = key_accel},
        {"thread", KEY_ONLY, .form = "multi"}, /* always one thread for each CPU */
        {"tb-size", KEY_FN, .fn = key_tb_size},
        {"one-insn-per-tb", KEY_ONLY, .form = "off"},
        KEY_END,
    };
    struct optlist l;

    if (asks_help(arg)) {
        fprintf(c->out, "Accelerators supported by bulkhead:\ntcg\ninterp\n");
        return 1;
    }
    return optlist_split(c, &l, arg, "accel") || optkeys_apply(c, keys, &l, c->p, NULL) ? -1 : 0;
}

/* ---- -smp
 * ------------------------------------------------------------------------------------------ */
struct smp {
    uint64_t cpus, maxcpus, sockets, dies, clusters, cores, threads;
};

static int key_smp(struct parse *c, void *obj, const char *key, const char *val)
{
    static const char *const names[] = {"cpus",     "maxcpus", "sockets", "dies",
                                        "clusters", "cores",   "threads"};
    uint64_t *v = obj, n;

    if (opt_number(c, key, val, 1, 4096, &n))
        return -1;
    for (unsigned i = 0; i < 7; i++)
        if (!strcmp(names[i], key))
            v[i] = n;
    return 0;
}

static uint64_t or_one(uint64_t n)
{
    return n ? n : 1;
}
/* What is left out follows from the rest; cores are preferred over sockets, threads are never guessed,
 * as since version 6.2 of the machine types. */
static void smp_complete(struct smp *s)
{
    uint64_t max = s->maxcpus ? s->maxcpus : s->cpus;

    s->dies = or_one(s->dies);
    if (!max) {
        s->sockets = or_one(s->sockets);
        s->cores = or_one(s->cores);
    } else if (!s->cores) {
        s->sockets = or_one(s->sockets);
        s->cores = or_one(max / (s->sockets * s->dies * or_one(s->threads)));
    } else if (!s->sockets) {
        s->sockets = or_one(max / (s->dies * s->cores * or_one(s->threads)));
    }
    s->threads = s->threads ? s->threads : max ? or_one(max / (s->sockets * s->dies * s->cores)) : 1;
    s->maxcpus = max ? max : s->sockets * s->dies * s->cores * s->threads;
    s->cpus = s->cpus ? s->cpus : s->maxcpus;
}

static int smp_check(struct parse *c, const struct smp *s)
{
    uint64_t product = s->sockets * s->dies * s->cores * s->threads;

    if (s->clusters > 1)
        return parse_fail(c, "clusters=%llu: a PC has no clusters",
                          (unsigned long long)s->clusters);
    if (product != s->maxcpus)
        return parse_fail(c,
                          "invalid CPU topology: sockets (%llu) * dies (%llu) * cores (%llu) * "
                          "threads (%llu) is not maxcpus (%llu)",
                          (unsigned long long)s->sockets, (unsigned long long)s->dies,
                          (unsigned long long)s->cores, (unsigned long long)s->threads,
                          (unsigned long long)s->maxcpus);
    if (s->cpus > s->maxcpus)
        return parse_fail(c, "invalid CPU topology: maxcpus (%llu) is smaller than cpus (%llu)",
                          (unsigned long long)s->maxcpus, (unsigned long long)s->cpus);
    if (s->cpus > ABI_VCPU_MAX)
        return parse_fail(c, "%llu CPUs: this machine has at most %u", (unsigned long long)s->cpus,
                          ABI_VCPU_MAX);
    if (s->cpus < s->maxcpus)
        return parse_fail(c, "maxcpus=%llu: CPUs cannot be added at run time, only cpus=%llu",
                          (unsigned long long)s->maxcpus, (unsigned long long)s->cpus);
    return 0;
}

int set_smp(struct parse *c, const char *arg)
{
    static const struct opt_key keys[] = {
        {"cpus", KEY_FN, .fn = key_smp},     {"maxcpus", KEY_FN, .fn = key_smp},
        {"sockets", KEY_FN, .fn = key_smp},  {"dies", KEY_FN, .fn = key_smp},
        {"clusters", KEY_FN, .fn = key_smp}, {"cores", KEY_FN, .fn = key_smp},
        {"threads", KEY_FN, .fn = key_smp},  KEY_END,
    };
    struct optlist l;
    struct smp s = {0};
    struct abi_topology *t = &c->p->topology;

    if (optlist_split(c, &l, arg, "cpus") || optkeys_apply(c, keys, &l, &s, NULL))
        return -1;
    smp_complete(&s);
    if (smp_check(c, &s))
        return -1;
    *t = (struct abi_topology){(uint32_t)s.sockets, (uint32_t)s.dies, (uint32_t)s.cores,
                               (uint32_t)s.threads};
    c->p->smp = (unsigned)s.cpus;
    if (topo_apic_id(t, c->p->smp - 1) > 254)
        return parse_fail(c, "APIC ID %u: this topology needs IDs above 254",
                          topo_apic_id(t, c->p->smp - 1));
    return 0;
}

/* ---- -rtc
 * --------------------------------------------------------------------------------- */
static int key_rtc_base(struct parse *c, void *obj, const char *key, const char *val)
{
    struct plan *p = obj;
    struct tm tm = {0}, check;
    const char *end;
    time_t t;

    if (!strcmp(val, "utc") || !strcmp(val, "localtime"))
        return opt_copy(c, key, val, p->rtc_base, sizeof(p->rtc_base));
    end = strptime(val, "%Y-%m-%dT%H:%M:%S", &tm);
    if (!end || *end) {
        memset(&tm, 0, sizeof(tm));
        end = strptime(val, "%Y-%m-%d", &tm);
    }
    if (!end || *end)
        return parse_fail(c,
                          "invalid datetime '%s' (valid: utc, localtime, 2006-06-17T16:01:21, "
                          "2006-06-17)",
                          val);
    check = tm;
    t = timegm(&check);
    if (check.tm_mday != tm.tm_mday || check.tm_mon != tm.tm_mon || tm.tm_year < 70)
        return parse_fail(c, "no such date since 1970: '%s'", val);
    p->rtc_start_s = t;
    return opt_copy(c, key, val, p->rtc_base, sizeof(p->rtc_base));
}

int set_rtc(struct parse *c, const char *arg)
{
    static const struct opt_key keys[] = {
        {"base", KEY_FN, .fn = key_rtc_base},
        {"clock", KEY_ONLY, .form = "host"},
        {"driftfix", KEY_ONLY, .form = "none"},
        KEY_END,
    };
    struct optlist l;

    return optlist_split(c, &l, arg, "base") || optkeys_apply(c, keys, &l, c->p, NULL) ? -1 : 0;
}

int64_t plan_rtc_base(const struct plan *p)
{
    time_t now = time(NULL);
    struct tm tm;

    if (!strcmp(p->rtc_base, "utc"))
        return now;
    if (strcmp(p->rtc_base, "localtime"))
        return p->rtc_start_s;
    return localtime_r(&now, &tm) ? (int64_t)now + tm.tm_gmtoff : (int64_t)now;
}
