/* SPDX-License-Identifier: Apache-2.0 */
/* Guest time: see clock.h. Must never go backwards while the guest runs. */
#include "cpu-worker/irq/clock.h"

#include <time.h>

#define NS_PER_S   1000000000ull
#define MEASURE_NS 10000000ull

static uint64_t tsc_hz_published, tsc_ratio_published;

uint64_t worker_tsc_hz(void)
{
    return __atomic_load_n(&tsc_hz_published, __ATOMIC_RELAXED);
}

uint64_t worker_tsc_ratio(void)
{
    return __atomic_load_n(&tsc_ratio_published, __ATOMIC_RELAXED);
}
/* The host's counter at the guest's rate. */
static uint64_t tsc_now(void)
{
    uint64_t ratio = worker_tsc_ratio(), host = __builtin_ia32_rdtsc();
    return ratio ? (uint64_t)((unsigned __int128)host * ratio >> 32) : host;
}

/* #syscalls:cpu-worker clock_gettime -- where the vDSO cannot answer */
static uint64_t monotonic_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

/* Both clocks at one moment: the tightest of a few tries. */
static void sample(uint64_t *tsc, uint64_t *ns)
{
    uint64_t best = UINT64_MAX;
    for (unsigned i = 0; i < 8; i++) {
        uint64_t a = __builtin_ia32_rdtsc(), t = monotonic_ns(), b = __builtin_ia32_rdtsc();
        if (b - a < best) {
            best = b - a;
            *tsc = a + (b - a) / 2;
            *ns = t;
        }
    }
}

/* #syscalls:cpu-worker clock_nanosleep */
static void measure(struct vclock *k)
{
    uint64_t tsc, ns;
    sample(&tsc, &ns);
    if (ns - k->base_ns < MEASURE_NS) {
        uint64_t rest = MEASURE_NS - (ns - k->base_ns);
        struct timespec ts = {.tv_nsec = (long)rest};
        clock_nanosleep(CLOCK_MONOTONIC, 0, &ts, NULL);
        sample(&tsc, &ns);
    }
    uint64_t span = ns > k->base_ns ? ns - k->base_ns : 1;
    uint64_t hz = (uint64_t)((unsigned __int128)(tsc - k->base_tsc) * NS_PER_S / span);
    hz = hz ? hz : NS_PER_S;
    if (k->page->cpu.tsc_khz) { /* -cpu ...,tsc-frequency= */
        uint64_t guest = k->page->cpu.tsc_khz * 1000ull;
        __atomic_store_n(&tsc_ratio_published, (uint64_t)(((unsigned __int128)guest << 32) / hz), __ATOMIC_RELAXED);
        hz = guest;
    }
    __atomic_store_n(&k->hz, hz, __ATOMIC_RELAXED);
    __atomic_store_n(&tsc_hz_published, hz, __ATOMIC_RELAXED);
}

void vclock_init(struct vclock *k, struct abi_machine_page *page)
{
    *k = (struct vclock){.page = page};
    if (page->chipset.clock_running) /* a worker died while time ran: go on from now */
        page->chipset.paused_ns = monotonic_ns() - (uint64_t)page->clock_offset_ns;
    page->chipset.clock_running = 0;
    sample(&k->base_tsc, &k->base_ns);
}

void vclock_run(struct vclock *k)
{
    struct abi_machine_page *p = k->page;
    if (__atomic_load_n(&k->running, __ATOMIC_RELAXED))
        return;
    if (!k->hz)
        measure(k);
    uint64_t tsc = tsc_now(); /* one moment for all: their difference is the guest's */
    for (unsigned i = 0; i < ABI_VCPU_MAX; i++)
        p->vcpu[i].tsc_offset = p->chipset.paused_tsc[i] - tsc;
    int64_t offset = (int64_t)(monotonic_ns() - p->chipset.paused_ns);
    __atomic_store_n(&p->clock_offset_ns, offset, __ATOMIC_RELAXED);
    p->chipset.clock_running = 1;
    __atomic_store_n(&k->running, 1, __ATOMIC_RELEASE);
}

void vclock_pause(struct vclock *k)
{
    struct abi_machine_page *p = k->page;
    if (!__atomic_load_n(&k->running, __ATOMIC_RELAXED))
        return;
    uint64_t tsc = tsc_now();
    for (unsigned i = 0; i < ABI_VCPU_MAX; i++)
        p->chipset.paused_tsc[i] = tsc + p->vcpu[i].tsc_offset;
    __atomic_store_n(&p->chipset.paused_ns, vclock_now(k), __ATOMIC_RELAXED);
    p->chipset.clock_running = 0;
    __atomic_store_n(&k->running, 0, __ATOMIC_RELEASE);
}

void vclock_tsc_reset(struct vclock *k)
{
    for (unsigned i = 0; i < ABI_VCPU_MAX; i++)
        k->page->chipset.paused_tsc[i] = 0;
}

uint64_t vclock_now(const struct vclock *k)
{
    const struct abi_machine_page *p = k->page;
    if (!__atomic_load_n(&k->running, __ATOMIC_ACQUIRE))
        return __atomic_load_n(&p->chipset.paused_ns, __ATOMIC_RELAXED);
    return monotonic_ns() - (uint64_t)__atomic_load_n(&p->clock_offset_ns, __ATOMIC_RELAXED);
}

uint64_t vclock_to_monotonic(const struct vclock *k, uint64_t virt)
{
    return virt + (uint64_t)__atomic_load_n(&k->page->clock_offset_ns, __ATOMIC_RELAXED);
}

uint64_t vclock_guest_tsc(const struct vclock *k, unsigned vcpu)
{
    if (!__atomic_load_n(&k->running, __ATOMIC_ACQUIRE))
        return k->page->chipset.paused_tsc[vcpu];
    return tsc_now() +
           __atomic_load_n(&k->page->vcpu[vcpu].tsc_offset, __ATOMIC_RELAXED);
}

uint64_t vclock_tsc_to_ns(const struct vclock *k, unsigned vcpu, uint64_t tsc)
{
    uint64_t hz = __atomic_load_n(&k->hz, __ATOMIC_RELAXED);
    uint64_t now = vclock_now(k), now_tsc = vclock_guest_tsc(k, vcpu);
    if (tsc <= now_tsc || !hz)
        return now;
    unsigned __int128 ns = (unsigned __int128)(tsc - now_tsc) * NS_PER_S / hz + 1 + now;
    return ns > UINT64_MAX / 4 ? UINT64_MAX : (uint64_t)ns; /* a lifetime ahead: never */
}
