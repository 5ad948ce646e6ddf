/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Interprocessor interrupts among twenty vCPUs: every delivery mode, shorthand and way to name a destination, in
 * xAPIC and in x2APIC mode, and the transitions between the modes (SDM volume 3, 11.6, 11.12).
 */
#include "fixture.h"

#define N 20u
#define FIXED  0x000u
#define LOWEST 0x100u
#define SMI    0x200u
#define NMI    0x400u
#define INIT   0x4500u
#define SIPI   0x4600u
#define LOGICAL 0x800u
#define SELF   0x40000u
#define ALL    0x80000u
#define OTHERS 0xc0000u

static struct fixture f;
static uint32_t everyone = (1u << N) - 1;

static void wr(unsigned vcpu, unsigned reg, uint32_t v)
{
    chipset_mmio_write(f.cs, vcpu, LAPIC + reg, 4, v);
}
/* All in xAPIC mode, enabled, with nothing pending. */
static void start(void)
{
    fixture_init_smp(&f, 0, N);
    for (unsigned i = 0; i < N; i++)
        wr(i, 0xf0, 0x1ff);
}
static void send(unsigned from, uint32_t dest, uint32_t icr)
{
    wr(from, 0x310, dest << 24);
    wr(from, 0x300, icr);
}
static void start_x2(void)
{
    start();
    for (unsigned i = 0; i < N; i++)
        CHECK(chipset_msr_write(f.cs, i, 0x1b, 0xfee00d00 | (i ? 0 : 0x100)));
}
static void send_x2(unsigned from, uint32_t dest, uint32_t icr)
{
    CHECK(chipset_msr_write(f.cs, from, 0x830, (uint64_t)dest << 32 | icr));
}
/* Which vCPUs got this vector; each acknowledges it and says EOI. */
static uint32_t got(unsigned vector)
{
    uint32_t who = 0;
    for (unsigned i = 0; i < N; i++) {
        uint64_t base;
        if (!chipset_intr_pending(f.cs, i))
            continue;
        CHECK_EQ(chipset_intr_ack(f.cs, i), vector);
        who |= 1u << i;
        chipset_msr_read(f.cs, i, 0x1b, &base);
        if (base & 0x400)
            CHECK(chipset_msr_write(f.cs, i, 0x80b, 0));
        else
            wr(i, 0xb0, 0);
    }
    return who;
}
static uint32_t got_nmi(void)
{
    uint32_t who = 0;
    for (unsigned i = 0; i < N; i++)
        who |= (uint32_t)chipset_nmi_take(f.cs, i) << i;
    return who;
}
static uint32_t got_smi(void)
{
    uint32_t who = 0;
    for (unsigned i = 0; i < N; i++) {
        who |= (uint32_t)chipset_smi_pending(f.cs, i) << i;
        chipset_smi_take(f.cs, i);
    }
    return who;
}
static uint32_t got_startup(uint32_t what, unsigned vector)
{
    uint32_t who = 0;
    for (unsigned i = 0; i < N; i++) {
        unsigned v;
        if (!chipset_startup_pending(f.cs, i))
            continue;
        CHECK_EQ(chipset_startup_take(f.cs, i, &v), what);
        CHECK(!(what & ABI_LAPIC_SIPI) || v == vector);
        who |= 1u << i;
    }
    return who;
}

static void test_physical(void)
{
    start();
    send(0, 5, FIXED | 0x41);
    CHECK_EQ(got(0x41), 1u << 5);
    send(7, 7, FIXED | 0x42);
    CHECK_EQ(got(0x42), 1u << 7);
    send(0, 40, FIXED | 0x43); /* nobody */
    CHECK_EQ(got(0x43), 0);
    send(3, 0xff, FIXED | 0x44);
    CHECK_EQ(got(0x44), everyone);
    fixture_fini(&f);
}
static void test_shorthands(void)
{
    start();
    send(4, 9, SELF | FIXED | 0x51); /* the destination field does not count */
    CHECK_EQ(got(0x51), 1u << 4);
    send(4, 9, ALL | FIXED | 0x52);
    CHECK_EQ(got(0x52), everyone);
    send(4, 9, OTHERS | FIXED | 0x53);
    CHECK_EQ(got(0x53), everyone & ~(1u << 4));
    send(4, 0, OTHERS | NMI);
    CHECK_EQ(got_nmi(), everyone & ~(1u << 4));
    send(4, 0, OTHERS | INIT);
    CHECK_EQ(f.event, CHIPSET_EV_RESET); /* the bootstrap processor is among them */
    fixture_fini(&f);
}
static void test_logical_flat(void)
{
    start();
    for (unsigned i = 0; i < 8; i++)
        wr(i, 0xd0, 1u << (24 + i));
    send(0, 0x26, LOGICAL | FIXED | 0x61);
    CHECK_EQ(got(0x61), 0x26);
    send(0, 0x01, LOGICAL | FIXED | 0x62);
    CHECK_EQ(got(0x62), 0x01);
    send(0, 0xff, LOGICAL | FIXED | 0x63);
    CHECK_EQ(got(0x63), everyone); /* broadcast, also to those without a logical ID */
    fixture_fini(&f);
}
static void test_logical_cluster(void)
{
    start();
    for (unsigned i = 0; i < N; i++) {
        wr(i, 0xe0, 0x0fffffff);
        wr(i, 0xd0, (i / 4) << 28 | 1u << (24 + i % 4));
    }
    send(0, 0x15, LOGICAL | FIXED | 0x64); /* cluster 1, members 0 and 2 */
    CHECK_EQ(got(0x64), 1u << 4 | 1u << 6);
    send(0, 0x4f, LOGICAL | FIXED | 0x65);
    CHECK_EQ(got(0x65), 0xfu << 16);
    send(0, 0x51, LOGICAL | FIXED | 0x66);
    CHECK_EQ(got(0x66), 0);
    fixture_fini(&f);
}
static void test_lowest(void)
{
    uint32_t all = 0;
    start();
    for (unsigned i = 0; i < 8; i++) {
        wr(i, 0xd0, 1u << (24 + i));
        wr(i, 0x80, i == 6 ? 0x20 : 0x50); /* TPR */
    }
    send(0, 0x7f, LOGICAL | LOWEST | 0x91);
    CHECK_EQ(got(0x91), 1u << 6);
    send(0, 0x3f, LOGICAL | LOWEST | 0x92);
    CHECK_EQ(__builtin_popcount(all = got(0x92)), 1);
    CHECK(!(all & ~0x3fu));
    for (unsigned k = 0; k < 40; k++) { /* equals take turns */
        send(0, 0x3f, LOGICAL | LOWEST | 0x93);
        all |= got(0x93);
    }
    CHECK_EQ(all, 0x3f);
    wr(6, 0xf0, 0xff); /* disabled by software: no candidate */
    send(0, 0x60, LOGICAL | LOWEST | 0x94);
    CHECK_EQ(got(0x94), 1u << 5);
    fixture_fini(&f);
}
static void test_modes(void)
{
    start();
    wr(3, 0xf0, 0xff);
    send(0, 3, FIXED | 0x71);
    CHECK_EQ(got(0x71), 0); /* disabled by software */
    send(0, 3, NMI | 0x71);
    CHECK_EQ(got_nmi(), 1u << 3); /* which these pass */
    send(0, 3, SMI);
    CHECK_EQ(got_smi(), 1u << 3);
    send(0, 3, INIT);
    send(0, 3, SIPI | 0x9a);
    CHECK_EQ(got_startup(ABI_LAPIC_INIT | ABI_LAPIC_SIPI, 0x9a), 1u << 3);
    send(0, 3, SIPI | 0x9b);
    send(0, 3, INIT); /* forgets the start-up IPI before it */
    CHECK_EQ(got_startup(ABI_LAPIC_INIT, 0), 1u << 3);
    send(0, 3, 0x8500); /* level de-assert */
    CHECK_EQ(got_startup(0, 0), 0);
    send(0, 2, FIXED | 0x0f);
    wr(0, 0x280, 0);
    CHECK_EQ(chipset_mmio_read(f.cs, 0, LAPIC + 0x280, 4), 0x20); /* illegal vector, told to the sender */
    CHECK_EQ(got(0x0f), 0);
    CHECK_EQ(chipset_mmio_read(f.cs, 0, LAPIC + 0x300, 4) & 0x1000, 0); /* idle */
    fixture_fini(&f);
}

static void test_x2_destinations(void)
{
    uint64_t v;
    start_x2();
    for (unsigned i = 0; i < N; i++) {
        CHECK(chipset_msr_read(f.cs, i, 0x80d, &v));
        CHECK_EQ(v, (i >> 4) << 16 | 1u << (i & 15));
        CHECK(!chipset_msr_write(f.cs, i, 0x80d, v)); /* read-only */
    }
    send_x2(0, 17, FIXED | 0x81);
    CHECK_EQ(got(0x81), 1u << 17);
    send_x2(0, 0xff, FIXED | 0x82); /* no broadcast here */
    CHECK_EQ(got(0x82), 0);
    send_x2(0, 0xffffffff, FIXED | 0x83);
    CHECK_EQ(got(0x83), everyone);
    send_x2(0, 1u << 16 | 0x5, LOGICAL | FIXED | 0x84);
    CHECK_EQ(got(0x84), 1u << 16 | 1u << 18);
    send_x2(0, 0x8001, LOGICAL | FIXED | 0x85);
    CHECK_EQ(got(0x85), 1u << 15 | 1u);
    send_x2(9, 0, SELF | FIXED | 0x86);
    CHECK_EQ(got(0x86), 1u << 9);
    CHECK(chipset_msr_write(f.cs, 11, 0x83f, 0x87));
    CHECK_EQ(got(0x87), 1u << 11);
    send_x2(9, 0, OTHERS | FIXED | 0x88);
    CHECK_EQ(got(0x88), everyone & ~(1u << 9));
    send_x2(0, 18, NMI);
    CHECK_EQ(got_nmi(), 1u << 18);
    send_x2(0, 18, SMI);
    CHECK_EQ(got_smi(), 1u << 18);
    send_x2(0, 18, INIT);
    send_x2(0, 18, SIPI | 0x12);
    CHECK_EQ(got_startup(ABI_LAPIC_INIT | ABI_LAPIC_SIPI, 0x12), 1u << 18);
    CHECK(chipset_msr_read(f.cs, 18, 0x1b, &v));
    CHECK_EQ(v, 0xfee00c00); /* INIT leaves the mode */
    CHECK(!chipset_msr_read(f.cs, 0, 0x831, &v));
    CHECK(!chipset_msr_write(f.cs, 0, 0x830, 1ull << 13)); /* reserved */
    fixture_fini(&f);
}

/* 11.12.5: from each mode to each. */
static void test_transitions(void)
{
    static const uint64_t mode[] = {0xfee00000, 0xfee00800, 0xfee00c00, 0xfee00400}; /* off, xAPIC, x2APIC, none */
    static const bool legal[3][4] = {{true, true, false, false}, {true, true, true, false}, {true, false, true, false}};
    for (unsigned from = 0; from < 3; from++)
        for (unsigned to = 0; to < 4; to++) {
            uint64_t now;
            start();
            CHECK(from != 0 || chipset_msr_write(f.cs, 1, 0x1b, mode[0]));
            CHECK(from != 2 || chipset_msr_write(f.cs, 1, 0x1b, mode[2]));
            if (chipset_msr_write(f.cs, 1, 0x1b, mode[to]) != legal[from][to]) {
                fprintf(stderr, "from %#llx to %#llx\n", (unsigned long long)mode[from], (unsigned long long)mode[to]);
                exit(1);
            }
            CHECK(chipset_msr_read(f.cs, 1, 0x1b, &now));
            CHECK_EQ(now, legal[from][to] ? mode[to] : mode[from]);
            fixture_fini(&f);
        }
}

int main(void)
{
    test_physical();
    test_shorthands();
    test_logical_flat();
    test_logical_cluster();
    test_lowest();
    test_modes();
    test_x2_destinations();
    test_transitions();
    return 0;
}
