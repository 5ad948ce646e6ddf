/* SPDX-License-Identifier: Apache-2.0 */
/* Guest time, interrupt routes, and the pump with real eventfds and the real timerfd. */
#include "fixture.h"
#include "cpu-worker/irq/pump.h"
#include "ipc/fds.h"

static struct fixture f;
static struct vclock clock_;
static struct mmu_host mem;
static struct ipc_loop loop;
static struct pump pump;
static unsigned flushes;

static void on_flush(void *opaque)
{
    (void)opaque;
    flushes++;
}

static void route_set(unsigned slot, uint32_t flags, uint32_t data)
{
    struct abi_irq_route *r = &f.page->route[slot];
    r->seq++;
    r->flags = flags;
    r->msi_addr = 0xfee00000;
    r->msi_data = data;
    r->isr_slot = 3;
    r->isr_bits = 2;
    r->seq++;
}

static void test_routes(void)
{
    lapic_on(&f);
    CHECK(route_fire(f.page, f.cs, 5)); /* no route: nothing happens */
    CHECK_EQ(ack(&f), -2);
    route_set(5, ABI_ROUTE_VALID | ABI_ROUTE_MSI, 0x61);
    CHECK(route_fire(f.page, f.cs, 5));
    CHECK_EQ(ack(&f), 0x61);
    lapic_wr(&f, 0xb0, 0);
    route_set(5, ABI_ROUTE_VALID | ABI_ROUTE_MSI | ABI_ROUTE_MASKED, 0x61);
    CHECK(route_fire(f.page, f.cs, 5));
    CHECK_EQ(ack(&f), -2);
    CHECK_EQ(f.page->route[5].pending, 1);
    route_set(5, ABI_ROUTE_VALID, 0); /* INTx */
    redir(&f, 11, 0x6b | 1 << 15);
    f.page->isr[3].gsi = 11;
    CHECK(route_fire(f.page, f.cs, 5));
    CHECK_EQ(f.page->isr[3].bits, 2);
    CHECK_EQ(ack(&f), 0x6b);
    f.page->isr[3].bits = 0;
    chipset_isr_update(f.cs, 3);
    lapic_wr(&f, 0xb0, 0);
    CHECK_EQ(ack(&f), -2);
    f.page->route[5].seq++; /* a writer that never finishes does not hang us */
    CHECK(!route_fire(f.page, f.cs, 5));
    f.page->route[5].seq++;
    f.page->route[5].isr_slot = 77; /* nonsense is refused */
    CHECK(route_fire(f.page, f.cs, 5));
    CHECK_EQ(ack(&f), -2);
}

/* Ticks of a guest whose processor has a rate of its own, against virtual time around them. */
static void test_clock_rate(void)
{
    static struct vclock k;
    f.page->cpu.tsc_khz = 1000000;
    vclock_init(&k, f.page);
    vclock_run(&k);
    CHECK_EQ(worker_tsc_hz(), 1000000000);
    uint64_t a = vclock_now(&k), t0 = vclock_guest_tsc(&k, 0), b = vclock_now(&k), c;
    while ((c = vclock_now(&k)) - b < 5 * MS)
        ;
    uint64_t t1 = vclock_guest_tsc(&k, 0), d = vclock_now(&k);
    CHECK(t1 - t0 <= (d - a) + (d - a) / 100 && t1 - t0 >= (c - b) - (c - b) / 100);
    CHECK(vclock_tsc_to_ns(&k, 0, t1 + 1000000000) - d < SECOND + MS);
    vclock_pause(&k);
    uint64_t stopped = vclock_guest_tsc(&k, 0);
    vclock_run(&k);
    CHECK(vclock_guest_tsc(&k, 0) - stopped < SECOND * 10);
    vclock_pause(&k);
    f.page->cpu.tsc_khz = 0;
}

static void test_clock(void)
{
    vclock_init(&clock_, f.page);
    CHECK_EQ(vclock_now(&clock_), 0);
    CHECK_EQ(vclock_guest_tsc(&clock_, 0), 0);
    vclock_run(&clock_);
    CHECK(worker_tsc_hz() > 100000000ull && worker_tsc_hz() < 20000000000ull);
    uint64_t a = vclock_now(&clock_), b = vclock_now(&clock_);
    CHECK(b >= a && b < 60 * SECOND);
    uint64_t tsc = vclock_guest_tsc(&clock_, 0);
    int64_t ahead = (int64_t)(vclock_tsc_to_ns(&clock_, 0, tsc + worker_tsc_hz()) -
                              vclock_now(&clock_));
    CHECK(ahead > -60 * (int64_t)SECOND && ahead <= (int64_t)(SECOND + MS));
    CHECK_EQ(vclock_tsc_to_ns(&clock_, 0, UINT64_MAX), UINT64_MAX);
    vclock_pause(&clock_);
    a = vclock_now(&clock_);
    tsc = vclock_guest_tsc(&clock_, 0);
    for (volatile unsigned i = 0; i < 1000000; i++)
        ;
    CHECK_EQ(vclock_now(&clock_), a); /* frozen */
    CHECK_EQ(vclock_guest_tsc(&clock_, 0), tsc);
    vclock_run(&clock_);
    CHECK(vclock_now(&clock_) >= a);
    CHECK(vclock_guest_tsc(&clock_, 0) >= tsc);
    CHECK(vclock_guest_tsc(&clock_, 0) - tsc < worker_tsc_hz() * 10);
    vclock_pause(&clock_);
}

static void pump_start(void)
{
    CHECK_EQ(ipc_loop_init(&loop), 0);
    f.page->ram_below_4g = 1 << 20;
    mmio_host_init(&mem, f.page, NULL, 0);
    pump = (struct pump){.loop = &loop, .page = f.page, .cs = f.cs, .mem = &mem, .clock = &clock_,
                         .flush = on_flush};
    for (unsigned i = 0; i < ABI_CALL_MAX; i++)
        pump.call[i] = -1;
    pump.call[5] = ipc_eventfd_create();
    pump.doorbell = ipc_eventfd_create();
    CHECK_EQ(pump_init(&pump), 0);
}

static void test_pump(void)
{
    pump_start();
    route_set(5, ABI_ROUTE_VALID | ABI_ROUTE_MSI, 0x62);
    ipc_eventfd_signal(pump.call[5]);
    CHECK_EQ(ipc_loop_run_once(&loop, 5000), 0);
    CHECK_EQ(ack(&f), 0x62);
    lapic_wr(&f, 0xb0, 0);
    outw(&f, 0x602, 0x0100);
    outb(&f, 0xb2, 0xf1);
    redir(&f, 9, 0x49 | 1 << 15);
    f.page->power_button++;
    f.page->map.seq += 2;
    ipc_eventfd_signal(pump.doorbell);
    CHECK_EQ(ipc_loop_run_once(&loop, 5000), 0);
    CHECK_EQ(ack(&f), 0x49);
    CHECK_EQ(flushes, 1);
    outw(&f, 0x600, 0x0100);
    lapic_wr(&f, 0xb0, 0);
}

/* The fixture's clock is the real one here: now_ns is set from it before every look. */
static void test_timer(void)
{
    f.now = vclock_now(&clock_);
    chipset_timers_run(f.cs);
    vclock_run(&clock_);
    f.now = vclock_now(&clock_);
    lapic_wr(&f, 0x320, 0x45);
    lapic_wr(&f, 0x3e0, 0xb);
    lapic_wr(&f, 0x380, 2000000); /* 2 ms */
    pump_rearm(&pump);
    CHECK(pump.armed_ns != 0);
    int got = -2;
    for (unsigned i = 0; i < 1000 && got < 0; i++) {
        CHECK_EQ(ipc_loop_run_once(&loop, 10), 0);
        f.now = vclock_now(&clock_);
        got = ack(&f);
    }
    CHECK_EQ(got, 0x45);
    vclock_pause(&clock_);
    lapic_wr(&f, 0x380, 2000000);
    pump_rearm(&pump); /* paused: nothing is armed */
    CHECK_EQ(pump.armed_ns, 0);
}

int main(void)
{
    fixture_init(&f, 0);
    test_routes();
    test_clock();
    test_pump();
    test_timer();
    test_clock_rate();
    fixture_fini(&f);
    return 0;
}
