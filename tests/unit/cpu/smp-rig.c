/* SPDX-License-Identifier: Apache-2.0 */
/* See smp-rig.h. */
#include "tests/unit/cpu/smp-rig.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include "tests/lib/xl-engine.h"

struct bare smp_bare;
struct cpu *smp_cpu[SMP_MAX];
static struct mmu_host mem[SMP_MAX];
static struct team *team;
static int result[SMP_MAX];

static void h_kick(void *op, unsigned vcpu)
{
    (void)op;
    if (smp_cpu[vcpu])
        cpu_kick(smp_cpu[vcpu]);
}
static void h_nothing(void *op)
{
    (void)op;
}
static void h_event(void *op, enum chipset_event ev)
{
    (void)op;
    printf("# chipset event %d\n", (int)ev);
}
static uint64_t h_now(void *op)
{
    struct timespec ts;
    (void)op;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}
static uint64_t h_tsc(void *op, unsigned vcpu)
{
    (void)op;
    (void)vcpu;
    return __builtin_ia32_rdtsc();
}
static uint64_t h_tsc_to_ns(void *op, unsigned vcpu, uint64_t tsc)
{
    (void)op;
    (void)vcpu;
    return tsc;
}

void smp_init(unsigned n)
{
    const struct chipset_host host = {.vcpu_kick = h_kick, .timer_rearm = h_nothing,
                                      .event = h_event, .serial_doorbell = h_nothing,
                                      .now_ns = h_now, .guest_tsc = h_tsc,
                                      .tsc_to_ns = h_tsc_to_ns};
    if (bare_init(&smp_bare, SMP_RAM))
        exit(1);
    smp_bare.page->vcpus = n;
    for (unsigned i = 0; i < n; i++)
        smp_bare.page->run[i].apic_id = i;
    free(smp_bare.cs); /* the one of a single vCPU */
    smp_bare.cs = chipset_init(smp_bare.page, &host);
    chipset_reset(smp_bare.cs);
    team = team_create(n, SMP_RAM, smp_bare.cp);
    size_t size = (cpu_size() + 4095) & ~4095ul;
    for (unsigned i = 0; i < n; i++) {
        struct cpu *c = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        mem[i] = smp_bare.mem;
        if (c == MAP_FAILED ||
            cpu_init_member(c, i, smp_bare.page, &mem[i], smp_bare.cs, team))
            exit(1);
        xl_engine_attach(c);
        smp_cpu[i] = c;
    }
}

void smp_idt_gate(unsigned vector, uint64_t to)
{
    uint64_t *g = (uint64_t *)(smp_bare.ram + SMP_IDT + vector * 16);
    g[0] = (to & 0xffff) | 0x10ull << 16 | 0x8eull << 40 | (to & 0xffff0000) << 32;
    g[1] = to >> 32;
}

void smp_load(unsigned i, const uint8_t *code, const uint8_t *end)
{
    struct bare b = smp_bare;
    memcpy(smp_bare.ram + SMP_CODE + i * 0x10000, code, (size_t)(end - code));
    b.cpu = smp_cpu[i];
    bare_long_mode(&b, SMP_CODE + i * 0x10000, SMP_STACK - i * 0x4000);
    struct abi_vcpu_state *s = smp_cpu[i]->s;
    s->idtr = (struct abi_dtable){.base = SMP_IDT, .limit = 0xfff};
    s->gpr[15] = SMP_DATA;
    s->gpr[14] = i;
    s->wait_sipi = 0;
}

static void *thread(void *arg)
{
    struct cpu *c = arg;
    result[c->index] = cpu_run(c);
    return NULL;
}
/* All halted, with nothing on the way: none of them can wake another. */
static bool all_done(unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        if (!__atomic_load_n(&smp_cpu[i]->asleep, __ATOMIC_SEQ_CST) || __atomic_load_n(&smp_cpu[i]->mwait, __ATOMIC_SEQ_CST))
            return false;
    return true;
}
bool smp_run(unsigned n, unsigned seconds)
{
    pthread_t t[SMP_MAX];
    struct timespec tick = {0, 200000};
    bool ok = true;
    for (unsigned i = 0; i < n; i++) {
        smp_cpu[i]->pause_req = 0;
        cpu_state_load(smp_cpu[i]);
    }
    for (unsigned i = 0; i < n; i++)
        pthread_create(&t[i], NULL, thread, smp_cpu[i]);
    uint64_t end = h_now(NULL) + seconds * 1000000000ull;
    while (!all_done(n) && h_now(NULL) < end)
        nanosleep(&tick, NULL);
    ok = all_done(n);
    for (unsigned i = 0; i < n; i++) {
        smp_cpu[i]->pause_req = 1;
        cpu_kick(smp_cpu[i]);
    }
    for (unsigned i = 0; i < n; i++) {
        pthread_join(t[i], NULL);
        if (!ok || result[i] != CPU_EXIT_PAUSED)
            printf("# vCPU %u: exit %d rip %llx cr2 %llx\n", i, result[i],
                   (unsigned long long)smp_cpu[i]->rip, (unsigned long long)smp_cpu[i]->s->cr2);
        ok &= result[i] == CPU_EXIT_PAUSED;
    }
    return ok;
}
