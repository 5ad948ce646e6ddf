/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the chips share: the lock's owner, sources and lines, deadlines, and each chip's entry
 * points. Included by cpu-worker/chipset only. Every function here is called with the lock held
 * and takes no lock itself, except lapic_*: those are called with or without it and take only the
 * timer's lock of one LAPIC, or the chipset's where a comment says so. Host callbacks are made under
 * the lock and must not call back into the chipset.
 */
#ifndef BULKHEAD_CPU_WORKER_CHIPSET_INTERNAL_H
#define BULKHEAD_CPU_WORKER_CHIPSET_INTERNAL_H

#include <pthread.h>
#include "cpu-worker/chipset/chipset.h"

#define NS_PER_S 1000000000ull
#define NEVER    UINT64_MAX
/* A guest may program a period shorter than the host can serve; ticks closer than this merge. */
#define PERIOD_FLOOR_NS 50000ull
/* Ticks a busy host owes: how many at most, and how far apart they are sent. */
#define CATCH_UP_MAX 64u
#define CATCH_UP_NS  200000ull

enum chipset_source { /* bit numbers in abi_chipset_state.line[] */
    SRC_PIT = 0,
    SRC_HPET0 = 1, /* to SRC_HPET0 + 2 */
    SRC_RTC = 4,
    SRC_UART0 = 5, /* to SRC_UART0 + 3 */
    SRC_KBD = 9,
    SRC_AUX = 10,
    SRC_ACPI = 11,
    SRC_GSI = 12,  /* chipset_gsi_set */
    SRC_FERR = 13,
    SRC_INTX0 = 32 /* to SRC_INTX0 + 31: isr[] slots */
};
enum chipset_deadline_id {
    DL_PIT,
    DL_HPET,
    DL_RTC,
    DL_ACPI,
    DL_KBD,
    DL_UART0,
    DL_LAPIC0 = DL_UART0 + ABI_UART_MAX,
    DL_COUNT = DL_LAPIC0 + ABI_VCPU_MAX
};
enum chipset_port_owner {
    PORT_NONE,
    PORT_PIC,
    PORT_PIT,
    PORT_RTC,
    PORT_UART,
    PORT_I8042,
    PORT_ACPI,
    PORT_MISC,
    PORT_DEBUG
};

struct chipset {
    struct abi_machine_page *page;
    struct abi_chipset_state *st;
    struct chipset_host host;
    pthread_mutex_t lock;
    unsigned vcpus;
    uint32_t apic_id[ABI_VCPU_MAX];
    uint32_t intr[ABI_VCPU_MAX]; /* hint: an interrupt may be deliverable. Atomic */
    uint32_t arb_next;           /* lowest priority: where the search among equals begins. Atomic */
    struct { /* the timer's fields of one LAPIC: its vCPU and the pump */
        pthread_mutex_t m;
    } timer_lock[ABI_VCPU_MAX] __attribute__((aligned(64)));
    bool pic_out;                /* derived: INT of the master PIC. Atomic */
    struct { /* producers of input: the vmm, ui-proc (NULL: there is none) */
        struct abi_input_ring *ring;
        uint32_t tail;
    } input[2];
    uint32_t *leds_shown;         /* NULL, or where ui-proc reads them */
    uint32_t input_release_seen;
    uint64_t deadline_at[DL_COUNT]; /* derived from st, virtual ns */
    uint64_t deadline;              /* minimum, or earlier. Atomic */
    bool debug_lost;                /* the debug port's ring was full and stayed so */
    const uint32_t *line_word[ABI_ISR_MAX]; /* of device pages, NULL = none */
    uint32_t line_seen[ABI_ISR_MAX];
    uint8_t port_owner[65536];
};

static inline uint64_t cs_now(struct chipset *cs)
{
    return cs->host.now_ns(cs->host.opaque);
}
/* a * b / c without overflow of the product, rounded down or up. */
static inline uint64_t muldiv(uint64_t a, uint64_t b, uint64_t c)
{
    return (uint64_t)((unsigned __int128)a * b / c);
}
static inline uint64_t muldiv_up(uint64_t a, uint64_t b, uint64_t c)
{
    return (uint64_t)(((unsigned __int128)a * b + c - 1) / c);
}

/* lines.c */
void cs_line_set(struct chipset *cs, unsigned line, unsigned source, bool level);
void cs_line_pulse(struct chipset *cs, unsigned line, unsigned source); /* one edge */
void cs_line_refresh(struct chipset *cs, unsigned line); /* HPET legacy routing changed */
void cs_intx_refresh(struct chipset *cs, unsigned slot);

/* chipset.c */
void cs_lock(struct chipset *cs);
void cs_unlock(struct chipset *cs);
void cs_deadline_set(struct chipset *cs, unsigned id, uint64_t ns);
void cs_event(struct chipset *cs, enum chipset_event ev);
void cs_a20_set(struct chipset *cs, bool on);
void cs_ports_claim(struct chipset *cs, unsigned first, unsigned count, enum chipset_port_owner o);

/* pic.c */
void pic_reset(struct chipset *cs);
void pic_line_set(struct chipset *cs, unsigned irq, bool level);
int pic_ack(struct chipset *cs); /* vector; a spurious one if the request went away */
uint8_t pic_port_read(struct chipset *cs, uint16_t port);
void pic_port_write(struct chipset *cs, uint16_t port, uint8_t v);

/* ioapic.c */
#define IOAPIC_BASE 0xfec00000ull
void ioapic_reset(struct chipset *cs);
void ioapic_pin_set(struct chipset *cs, unsigned pin, bool level);
void ioapic_eoi(struct chipset *cs, uint8_t vector);
void ioapic_retry(struct chipset *cs); /* a local APIC began to accept interrupts */
bool ioapic_extint_open(struct chipset *cs, unsigned vcpu); /* pin 0 passes the PIC through */
uint64_t ioapic_read(struct chipset *cs, uint32_t off, unsigned size);
void ioapic_write(struct chipset *cs, uint32_t off, unsigned size, uint64_t v);

/* lapic.c: interrupts. lapic-regs.c: registers. lapic-timer.c */
#define APIC_BASE_BSP  0x100ull
#define APIC_BASE_EXTD 0x400ull
#define APIC_BASE_EN   0x800ull
enum { LVT_TIMER, LVT_THERMAL, LVT_PERF, LVT_LINT0, LVT_LINT1, LVT_ERROR, LVT_COUNT };
#define LVT_MASKED 0x10000u
enum { DM_FIXED, DM_LOWEST, DM_SMI, DM_NMI = 4, DM_INIT, DM_SIPI, DM_EXTINT };
struct apic_msg { /* an interrupt message on the way to the local APICs */
    uint32_t dest;
    bool logical, level;
    uint8_t mode, vector;
    bool wide; /* dest is 32 bits (x2APIC ICR), else 8 */
};
void lapic_reset(struct chipset *cs, unsigned vcpu);
void lapic_smi(struct chipset *cs, unsigned vcpu); /* any thread, with or without the lock */
void lapic_init(struct chipset *cs, unsigned vcpu); /* INIT taken */
/* The vCPU's own thread, or while it is parked: is something deliverable; update also kicks. */
bool lapic_evaluate(struct chipset *cs, unsigned vcpu);
void lapic_update(struct chipset *cs, unsigned vcpu);
void lapic_attention(struct chipset *cs, unsigned vcpu); /* any thread: evaluate soon */
/* Own thread: pending INIT and SIPI (ABI_LAPIC_* bits), and the LAPIC's part of INIT. */
uint32_t lapic_signal_take(struct chipset *cs, unsigned vcpu, unsigned *sipi_vector);
bool lapic_accept_direct(struct chipset *cs, unsigned vcpu, const struct apic_msg *m);
bool lapic_deliver(struct chipset *cs, const struct apic_msg *m); /* false: nobody accepted */
bool lapic_matches(const struct abi_lapic *l, const struct apic_msg *m);
void lapic_irq_set(struct chipset *cs, unsigned vcpu, uint8_t vector, bool level);
void lapic_lvt_fire(struct chipset *cs, unsigned vcpu, unsigned lvt);
void lapic_pic_changed(struct chipset *cs, bool level);
void lapic_eoi(struct chipset *cs, unsigned vcpu); /* takes the lock for a level-triggered vector */
uint8_t lapic_ppr(const struct abi_lapic *l);
void lapic_error_set(struct chipset *cs, unsigned vcpu, uint32_t bit);
int lapic_ack(struct chipset *cs, unsigned vcpu); /* takes the lock for the PIC */
uint64_t lapic_mmio_read(struct chipset *cs, unsigned vcpu, uint32_t off, unsigned size);
void lapic_mmio_write(struct chipset *cs, unsigned vcpu, uint32_t off, unsigned size, uint64_t v);
bool lapic_msr_read(struct chipset *cs, unsigned vcpu, uint32_t msr, uint64_t *v);
bool lapic_msr_write(struct chipset *cs, unsigned vcpu, uint32_t msr, uint64_t v);
static inline bool lapic_x2(const struct abi_lapic *l)
{
    return l->apic_base & APIC_BASE_EXTD;
}
static inline uint32_t lapic_x2_ldr(uint32_t id)
{ /* 11.12.10.2 */
    return (id >> 4) << 16 | 1u << (id & 15);
}
static inline bool lapic_enabled(const struct abi_lapic *l)
{
    return l->apic_base & APIC_BASE_EN;
}
void lapic_timer_init_set(struct chipset *cs, unsigned vcpu, uint32_t count);
void lapic_timer_divide_set(struct chipset *cs, unsigned vcpu, uint32_t v);
void lapic_timer_lvt_set(struct chipset *cs, unsigned vcpu, uint32_t v);
uint32_t lapic_timer_current(struct chipset *cs, unsigned vcpu);
uint64_t lapic_tsc_deadline_get(struct chipset *cs, unsigned vcpu);
void lapic_tsc_deadline_set(struct chipset *cs, unsigned vcpu, uint64_t tsc);
void lapic_timer_run(struct chipset *cs, unsigned vcpu); /* deadline reached, or state changed */

/* pit.c */
void pit_reset(struct chipset *cs);
void pit_run(struct chipset *cs);
uint8_t pit_port_read(struct chipset *cs, uint16_t port);
void pit_port_write(struct chipset *cs, uint16_t port, uint8_t v);
void pit_gate2_set(struct chipset *cs, bool gate);
bool pit_out(struct chipset *cs, unsigned channel);

/* hpet.c */
#define HPET_BASE 0xfed00000ull
void hpet_reset(struct chipset *cs);
void hpet_run(struct chipset *cs);
bool hpet_legacy(const struct chipset *cs);
uint64_t hpet_read(struct chipset *cs, uint32_t off, unsigned size);
void hpet_write(struct chipset *cs, uint32_t off, unsigned size, uint64_t v);

/* rtc.c: the clock. cmos.c: memory sizes in the battery-backed bytes */
void cmos_init(struct chipset *cs);
void cmos_board_set(struct chipset *cs); /* at each reset: what the vmm wants there */
void rtc_init(struct chipset *cs);
void rtc_reset(struct chipset *cs);
void rtc_run(struct chipset *cs);
uint8_t rtc_port_read(struct chipset *cs, uint16_t port);
void rtc_port_write(struct chipset *cs, uint16_t port, uint8_t v);

/* uart.c */
void uart_reset(struct chipset *cs, unsigned n);
void uart_run(struct chipset *cs, unsigned n);  /* deadline reached */
void uart_host(struct chipset *cs, unsigned n); /* the character rings changed */
uint8_t uart_port_read(struct chipset *cs, uint16_t port);
void uart_port_write(struct chipset *cs, uint16_t port, uint8_t v);

/* i8042.c: the controller */
enum i8042_source { I8042_EMPTY, I8042_CONTROLLER, I8042_KEYBOARD, I8042_AUXILIARY };
void i8042_reset(struct chipset *cs);
uint8_t i8042_port_read(struct chipset *cs, uint16_t port);
void i8042_port_write(struct chipset *cs, uint16_t port, uint8_t v);
void i8042_put(struct chipset *cs, enum i8042_source source, uint8_t byte);
void i8042_drop(struct chipset *cs, enum i8042_source source); /* what a device has not sent yet */
unsigned i8042_waiting(const struct chipset *cs, enum i8042_source source); /* bytes of it */
#define PS2_FIFO 16u

/* ps2-kbd.c, ps2-mouse.c: the devices. input.c: what reaches them. */
void kbd_reset(struct chipset *cs);
void kbd_write(struct chipset *cs, uint8_t v);
void kbd_key(struct chipset *cs, unsigned producer, unsigned key, bool down);
bool kbd_room(const struct chipset *cs); /* for any key's codes */
void kbd_run(struct chipset *cs);
void kbd_release(struct chipset *cs, unsigned producer);
void mouse_reset(struct chipset *cs);
void mouse_write(struct chipset *cs, uint8_t v);
bool mouse_event(struct chipset *cs, unsigned producer, const struct abi_input_event *e); /* false: not now */
void mouse_pull(struct chipset *cs); /* there is room: report what has moved */
void mouse_release(struct chipset *cs, unsigned producer);
void input_pull(struct chipset *cs);

/* acpi-pm.c */
void acpi_reset(struct chipset *cs);
void acpi_move(struct chipset *cs); /* pm_base in the machine page may have changed */
void acpi_run(struct chipset *cs);
void acpi_rtc_alarm(struct chipset *cs);
void acpi_power_button(struct chipset *cs);
uint32_t acpi_port_read(struct chipset *cs, uint16_t port, unsigned size);
void acpi_port_write(struct chipset *cs, uint16_t port, unsigned size, uint32_t v);

/* flash.c: its other functions are in flash.h */
void flash_reset(struct chipset *cs);

/* debug-port.c */
void debug_port_reset(struct chipset *cs);
uint8_t debug_port_read(void);
void debug_port_write(struct chipset *cs, uint8_t v);

/* ports.c */
void ports_reset(struct chipset *cs);
bool ports_ferr_raise(struct chipset *cs); /* true: IGNNE# */
void ports_ferr_clear(struct chipset *cs);
uint8_t ports_read(struct chipset *cs, uint16_t port);
void ports_write(struct chipset *cs, uint16_t port, uint8_t v);

#endif
