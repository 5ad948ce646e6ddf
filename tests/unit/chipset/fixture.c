/* SPDX-License-Identifier: Apache-2.0 */
/* A chipset with a fake clock: see fixture.h. */
#include "fixture.h"

static void on_kick(void *opaque, unsigned vcpu)
{
    struct fixture *f = opaque;
    (void)vcpu;
    f->kicks++;
}
static void on_rearm(void *opaque)
{
    struct fixture *f = opaque;
    f->rearms++;
}
static void on_event(void *opaque, enum chipset_event ev)
{
    struct fixture *f = opaque;
    f->event = ev;
}
static void on_doorbell(void *opaque)
{
    struct fixture *f = opaque;
    f->doorbells++;
}
static uint64_t on_now(void *opaque)
{
    struct fixture *f = opaque;
    return f->now;
}
static uint64_t on_tsc(void *opaque, unsigned vcpu) /* 2 GHz */
{
    struct fixture *f = opaque;
    (void)vcpu;
    return f->now * 2;
}
static uint64_t on_tsc_to_ns(void *opaque, unsigned vcpu, uint64_t tsc)
{
    (void)opaque;
    (void)vcpu;
    return (tsc + 1) / 2;
}
static void on_a20(void *opaque, bool enabled)
{
    struct fixture *f = opaque;
    f->a20 = enabled;
}

void fixture_init(struct fixture *f, unsigned present)
{
    fixture_init_smp(f, present, 1);
}
void fixture_init_smp(struct fixture *f, unsigned present, unsigned vcpus)
{
    *f = (struct fixture){.event = -1, .now = 5 * SECOND};
    f->page = aligned_alloc(4096, sizeof(*f->page));
    CHECK(f->page);
    memset(f->page, 0, sizeof(*f->page));
    f->page->vcpus = vcpus;
    for (unsigned i = 0; i < vcpus; i++)
        f->page->run[i].apic_id = i;
    f->page->ram_below_4g = 3ull << 30;
    f->page->ram_above_4g = 5ull << 30;
    f->page->rtc_base_s = 1700000000; /* 2023-11-14 22:13:20 UTC, a Tuesday */
    f->page->acpi_sci_gsi = 9;
    f->page->pm_base = 0x600;
    for (unsigned n = 0; n < ABI_SERIAL_MAX; n++)
        f->page->serial[n].present = present >> n & 1;
    const struct chipset_host host = {
        .opaque = f, .vcpu_kick = on_kick, .timer_rearm = on_rearm, .event = on_event,
        .serial_doorbell = on_doorbell, .now_ns = on_now, .guest_tsc = on_tsc,
        .tsc_to_ns = on_tsc_to_ns, .a20 = on_a20,
    };
    f->cs = chipset_init(f->page, &host);
    CHECK(f->cs);
    chipset_reset(f->cs);
}

void fixture_fini(struct fixture *f)
{
    chipset_fini(f->cs);
    free(f->page);
}

void advance(struct fixture *f, uint64_t ns)
{
    uint64_t target = f->now + ns, at;
    while ((at = chipset_deadline(f->cs)) <= target) {
        f->now = at > f->now ? at : f->now;
        uint64_t next = chipset_timers_run(f->cs);
        f->timer_runs++;
        CHECK(next > f->now); /* a timer that is due again at once would spin the pump */
    }
    f->now = target;
}

uint8_t inb(struct fixture *f, uint16_t port)
{
    return (uint8_t)chipset_io_read(f->cs, port, 1);
}
uint32_t inl(struct fixture *f, uint16_t port)
{
    return chipset_io_read(f->cs, port, 4);
}
void outb(struct fixture *f, uint16_t port, uint8_t v)
{
    chipset_io_write(f->cs, port, 1, v);
}
void outw(struct fixture *f, uint16_t port, uint16_t v)
{
    chipset_io_write(f->cs, port, 2, v);
}
uint32_t lapic_rd(struct fixture *f, unsigned reg)
{
    return (uint32_t)chipset_mmio_read(f->cs, 0, LAPIC + reg, 4);
}
void lapic_wr(struct fixture *f, unsigned reg, uint32_t v)
{
    chipset_mmio_write(f->cs, 0, LAPIC + reg, 4, v);
}
void ioapic_wr(struct fixture *f, unsigned reg, uint32_t v)
{
    chipset_mmio_write(f->cs, 0, IOAPIC, 4, reg);
    chipset_mmio_write(f->cs, 0, IOAPIC + 0x10, 4, v);
}
uint32_t ioapic_rd(struct fixture *f, unsigned reg)
{
    chipset_mmio_write(f->cs, 0, IOAPIC, 4, reg);
    return (uint32_t)chipset_mmio_read(f->cs, 0, IOAPIC + 0x10, 4);
}
void redir(struct fixture *f, unsigned pin, uint64_t v)
{
    ioapic_wr(f, 0x11 + 2 * pin, (uint32_t)(v >> 32));
    ioapic_wr(f, 0x10 + 2 * pin, (uint32_t)v);
}
void pic_setup(struct fixture *f, uint8_t icw4)
{
    static const uint8_t base[2] = {0x20, 0x28}, icw3[2] = {4, 2};
    for (unsigned i = 0; i < 2; i++) {
        uint16_t port = i ? 0xa0 : 0x20;
        outb(f, port, 0x11);
        outb(f, port + 1, base[i]);
        outb(f, port + 1, icw3[i]);
        outb(f, port + 1, icw4);
        outb(f, port + 1, 0);
    }
}
void lapic_on(struct fixture *f)
{
    lapic_wr(f, 0xf0, 0x1ff);
    lapic_wr(f, 0x350, 0x10000);
}
int ack(struct fixture *f)
{
    return chipset_intr_pending(f->cs, 0) ? chipset_intr_ack(f->cs, 0) : -2;
}
