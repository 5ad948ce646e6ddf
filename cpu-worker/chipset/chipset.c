/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What joins the chips: the lock, the port and memory dispatch, the interrupt lines with their
 * sources and the timer deadlines. Every public function of chipset.h is here; must never hold a
 * chip's behaviour itself.
 */
#include <stdlib.h>
#include <string.h>
#include "cpu-worker/chipset/chipset-internal.h"

/* #syscalls:cpu-worker futex -- the mutex, only when the pump and the vCPU meet */
void cs_lock(struct chipset *cs)
{
    pthread_mutex_lock(&cs->lock);
}

void cs_unlock(struct chipset *cs)
{
    pthread_mutex_unlock(&cs->lock);
}

/* ---- lines
 * --------------------------------------------------------------------------------------- */

void chipset_line_source(struct chipset *cs, unsigned slot, const uint32_t *word)
{
    if (slot < ABI_ISR_MAX)
        cs->line_word[slot] = word;
}

void chipset_isr_update(struct chipset *cs, unsigned slot)
{
    if (slot >= ABI_ISR_MAX)
        return;
    cs_lock(cs);
    cs_intx_refresh(cs, slot);
    cs_unlock(cs);
}

void chipset_gsi_set(struct chipset *cs, unsigned gsi, bool level)
{
    if (gsi >= ABI_GSI_MAX)
        return;
    cs_lock(cs);
    cs_line_set(cs, gsi, SRC_GSI, level);
    cs_unlock(cs);
}

void chipset_board_changed(struct chipset *cs)
{
    cs_lock(cs);
    acpi_move(cs);
    for (unsigned slot = 0; slot < ABI_ISR_MAX; slot++)
        cs_intx_refresh(cs, slot);
    cs_unlock(cs);
}

/* ---- deadlines
 * ----------------------------------------------------------------------------------- */

void cs_deadline_set(struct chipset *cs, unsigned id, uint64_t ns)
{
    __atomic_store_n(&cs->deadline_at[id], ns, __ATOMIC_SEQ_CST);
    uint64_t old = __atomic_load_n(&cs->deadline, __ATOMIC_SEQ_CST);
    do {
        if (ns >= old)
            return; /* moved later: the pump finds out when it wakes */
    } while (!__atomic_compare_exchange_n(&cs->deadline, &old, ns, false, __ATOMIC_SEQ_CST,
                                          __ATOMIC_SEQ_CST));
    cs->host.timer_rearm(cs->host.opaque);
}

uint64_t chipset_deadline(struct chipset *cs)
{
    return __atomic_load_n(&cs->deadline, __ATOMIC_SEQ_CST);
}

static void deadline_run(struct chipset *cs, unsigned id)
{
    switch (id) {
    case DL_PIT:  pit_run(cs); break;
    case DL_HPET: hpet_run(cs); break;
    case DL_RTC:  rtc_run(cs); break;
    case DL_ACPI: acpi_run(cs); break;
    case DL_KBD:  kbd_run(cs); break;
    default:
        if (id >= DL_LAPIC0)
            lapic_timer_run(cs, id - DL_LAPIC0);
        else
            uart_run(cs, id - DL_UART0);
    }
}

static uint64_t deadline_min(struct chipset *cs)
{
    uint64_t best = NEVER;
    for (unsigned i = 0; i < DL_LAPIC0 + cs->vcpus; i++) {
        uint64_t at = __atomic_load_n(&cs->deadline_at[i], __ATOMIC_SEQ_CST);
        best = at < best ? at : best;
    }
    return best;
}

uint64_t chipset_timers_run(struct chipset *cs)
{
    cs_lock(cs);
    uint64_t now = cs_now(cs), best;
    /* Nothing below needs timer_rearm: the caller takes the result. */
    __atomic_store_n(&cs->deadline, 0, __ATOMIC_SEQ_CST);
    for (unsigned i = 0; i < DL_LAPIC0 + cs->vcpus; i++)
        if (__atomic_load_n(&cs->deadline_at[i], __ATOMIC_SEQ_CST) <= now)
            deadline_run(cs, i);
    best = deadline_min(cs);
    __atomic_store_n(&cs->deadline, best, __ATOMIC_SEQ_CST);
    /* A LAPIC sets its deadline without the lock, and saw 0 until a moment ago: look once more. */
    uint64_t again = deadline_min(cs);
    if (again < best)
        __atomic_store_n(&cs->deadline, best = again, __ATOMIC_SEQ_CST);
    cs_unlock(cs);
    return best;
}

/* ---- events
 * -------------------------------------------------------------------------------------- */

void cs_event(struct chipset *cs, enum chipset_event ev)
{
    cs->host.event(cs->host.opaque, ev);
}

/* Port 92h and the keyboard controller drive one gate: the last write wins and both show it. */
void cs_a20_set(struct chipset *cs, bool on)
{
    struct abi_chipset_state *st = cs->st;
    st->ports.port92 = (st->ports.port92 & ~2) | (on ? 2 : 0);
    st->i8042.output_port = (st->i8042.output_port & ~2) | (on ? 2 : 0);
    if (cs->host.a20)
        cs->host.a20(cs->host.opaque, on);
}

bool chipset_a20(struct chipset *cs)
{
    return __atomic_load_n(&cs->st->ports.port92, __ATOMIC_RELAXED) & 2;
}

bool chipset_ferr_raise(struct chipset *cs)
{
    cs_lock(cs);
    bool ignore = ports_ferr_raise(cs);
    cs_unlock(cs);
    return ignore;
}

void chipset_ferr_clear(struct chipset *cs)
{
    cs_lock(cs);
    ports_ferr_clear(cs);
    cs_unlock(cs);
}

void chipset_mce_look(struct chipset *cs)
{
    for (unsigned i = 0; i < cs->vcpus; i++)
        if (__atomic_load_n(&cs->page->mce[i].seq, __ATOMIC_ACQUIRE) !=
            __atomic_load_n(&cs->page->run[i].mce_seen, __ATOMIC_RELAXED))
            cs->host.vcpu_kick(cs->host.opaque, i);
}

void chipset_power_button(struct chipset *cs)
{
    cs_lock(cs);
    acpi_power_button(cs);
    cs_unlock(cs);
}

void chipset_serial_input(struct chipset *cs)
{
    cs_lock(cs);
    for (unsigned n = 0; n < ABI_UART_MAX; n++)
        uart_host(cs, n);
    cs_unlock(cs);
}

void chipset_input(struct chipset *cs)
{
    cs_lock(cs);
    input_pull(cs);
    cs_unlock(cs);
}

void chipset_input_page(struct chipset *cs, struct abi_input_page *p)
{
    cs->input[1].ring = &p->ring;
    cs->leds_shown = &p->leds;
}

/* ---- ports
 * --------------------------------------------------------------------------------------- */

void cs_ports_claim(struct chipset *cs, unsigned first, unsigned count, enum chipset_port_owner o)
{
    memset(cs->port_owner + first, o, count);
}

bool chipset_io_claims(struct chipset *cs, uint16_t port)
{
    return cs->port_owner[port] != PORT_NONE;
}

static uint8_t byte_read(struct chipset *cs, uint16_t port)
{
    switch (cs->port_owner[port]) {
    case PORT_PIC:   return pic_port_read(cs, port);
    case PORT_PIT:   return pit_port_read(cs, port);
    case PORT_RTC:   return rtc_port_read(cs, port);
    case PORT_UART:  return uart_port_read(cs, port);
    case PORT_I8042: return i8042_port_read(cs, port);
    case PORT_ACPI:  return acpi_port_read(cs, port, 1);
    case PORT_MISC:  return ports_read(cs, port);
    case PORT_DEBUG: return debug_port_read();
    }
    return 0xff;
}

static void byte_write(struct chipset *cs, uint16_t port, uint8_t v)
{
    switch (cs->port_owner[port]) {
    case PORT_PIC:   pic_port_write(cs, port, v); break;
    case PORT_PIT:   pit_port_write(cs, port, v); break;
    case PORT_RTC:   rtc_port_write(cs, port, v); break;
    case PORT_UART:  uart_port_write(cs, port, v); break;
    case PORT_I8042: i8042_port_write(cs, port, v); break;
    case PORT_ACPI:  acpi_port_write(cs, port, 1, v); break;
    case PORT_MISC:  ports_write(cs, port, v); break;
    case PORT_DEBUG: debug_port_write(cs, v); break;
    }
}

/* The ACPI blocks take wide accesses as one, if they stay inside a doubleword; the rest of the
 * board is eight bits wide and the bus splits. */
static bool wide(const struct chipset *cs, uint16_t port, unsigned size)
{
    return cs->port_owner[port] == PORT_ACPI && size > 1 && (port & 3) + size <= 4 && port != 0xb2 && port != 0xb3;
}

uint32_t chipset_io_read(struct chipset *cs, uint16_t port, unsigned size)
{
    uint32_t v = 0;
    cs_lock(cs);
    if (wide(cs, port, size))
        v = acpi_port_read(cs, port, size);
    else
        for (unsigned i = 0; i < size; i++)
            v |= (uint32_t)byte_read(cs, (uint16_t)(port + i)) << (8 * i);
    cs_unlock(cs);
    return v;
}

void chipset_io_write(struct chipset *cs, uint16_t port, unsigned size, uint32_t value)
{
    cs_lock(cs);
    if (wide(cs, port, size))
        acpi_port_write(cs, port, size, value);
    else
        for (unsigned i = 0; i < size; i++)
            byte_write(cs, (uint16_t)(port + i), (uint8_t)(value >> (8 * i)));
    cs_unlock(cs);
}

/* ---- memory
 * -------------------------------------------------------------------------------------- */

static bool in_page(uint64_t gpa, uint64_t base)
{
    return (gpa & ~0xfffull) == base;
}

static uint64_t lapic_page(struct chipset *cs, unsigned vcpu)
{
    uint64_t base = cs->st->lapic[vcpu].apic_base;
    return base & APIC_BASE_EN && !(base & APIC_BASE_EXTD) ? base & ~0xfffull : ~0ull;
}

bool chipset_mmio_claims(struct chipset *cs, unsigned vcpu, uint64_t gpa)
{
    return in_page(gpa, lapic_page(cs, vcpu)) || in_page(gpa, IOAPIC_BASE) ||
           (in_page(gpa, HPET_BASE) && (gpa & 0xfff) < 0x400);
}

uint64_t chipset_mmio_read(struct chipset *cs, unsigned vcpu, uint64_t gpa, unsigned size)
{
    uint64_t v = ~0ull;
    uint32_t off = gpa & 0xfff;
    if (in_page(gpa, lapic_page(cs, vcpu)))
        return lapic_mmio_read(cs, vcpu, off, size);
    cs_lock(cs);
    if (in_page(gpa, IOAPIC_BASE))
        v = ioapic_read(cs, off, size);
    else if (in_page(gpa, HPET_BASE))
        v = hpet_read(cs, off, size);
    cs_unlock(cs);
    return v;
}

void chipset_mmio_write(struct chipset *cs, unsigned vcpu, uint64_t gpa, unsigned size,
                        uint64_t value)
{
    uint32_t off = gpa & 0xfff;
    if (in_page(gpa, lapic_page(cs, vcpu))) {
        lapic_mmio_write(cs, vcpu, off, size, value);
        return;
    }
    cs_lock(cs);
    if (in_page(gpa, IOAPIC_BASE))
        ioapic_write(cs, off, size, value);
    else if (in_page(gpa, HPET_BASE))
        hpet_write(cs, off, size, value);
    cs_unlock(cs);
}

/* ---- the processor's side
 * ------------------------------------------------------------------------ */

bool chipset_msr_read(struct chipset *cs, unsigned vcpu, uint32_t msr, uint64_t *value)
{
    return lapic_msr_read(cs, vcpu, msr, value);
}

bool chipset_msr_write(struct chipset *cs, unsigned vcpu, uint32_t msr, uint64_t value)
{
    return lapic_msr_write(cs, vcpu, msr, value);
}

uint64_t chipset_cr8_read(struct chipset *cs, unsigned vcpu)
{
    return __atomic_load_n(&cs->st->lapic[vcpu].tpr, __ATOMIC_RELAXED) >> 4 & 15; /* own thread's */
}

void chipset_cr8_write(struct chipset *cs, unsigned vcpu, uint64_t value)
{
    __atomic_store_n(&cs->st->lapic[vcpu].tpr, (value & 15) << 4, __ATOMIC_RELAXED);
    lapic_update(cs, vcpu);
}

bool chipset_intr_pending(struct chipset *cs, unsigned vcpu)
{
    return __atomic_load_n(&cs->intr[vcpu], __ATOMIC_RELAXED) && lapic_evaluate(cs, vcpu);
}

bool chipset_startup_pending(struct chipset *cs, unsigned vcpu)
{
    return __atomic_load_n(&cs->st->lapic[vcpu].pending, __ATOMIC_SEQ_CST) & ~ABI_LAPIC_SMI;
}

void chipset_smi_request(struct chipset *cs, unsigned vcpu)
{
    lapic_smi(cs, vcpu);
}
bool chipset_smi_pending(struct chipset *cs, unsigned vcpu)
{
    return __atomic_load_n(&cs->st->lapic[vcpu].pending, __ATOMIC_SEQ_CST) & ABI_LAPIC_SMI;
}
void chipset_smi_take(struct chipset *cs, unsigned vcpu)
{
    __atomic_fetch_and(&cs->st->lapic[vcpu].pending, ~ABI_LAPIC_SMI, __ATOMIC_SEQ_CST);
}
uint32_t chipset_startup_take(struct chipset *cs, unsigned vcpu, unsigned *vector)
{
    return lapic_signal_take(cs, vcpu, vector);
}

int chipset_intr_ack(struct chipset *cs, unsigned vcpu)
{
    return lapic_ack(cs, vcpu);
}

bool chipset_nmi_pending(struct chipset *cs, unsigned vcpu)
{
    return __atomic_load_n(&cs->st->lapic[vcpu].nmi, __ATOMIC_RELAXED);
}

bool chipset_nmi_take(struct chipset *cs, unsigned vcpu)
{
    return chipset_nmi_pending(cs, vcpu) &&
           __atomic_exchange_n(&cs->st->lapic[vcpu].nmi, 0, __ATOMIC_SEQ_CST);
}

/* A store to FEExxxxxh by a device: SDM volume 3, 11.11. */
void chipset_msi(struct chipset *cs, uint64_t addr, uint32_t data)
{
    if (addr >> 20 != 0xfee)
        return; /* not the interrupt window: an MSI into memory is not modelled */
    struct apic_msg m = {.dest = addr >> 12 & 0xff, .logical = addr & 4, .mode = data >> 8 & 7,
                         .vector = data & 0xff, .level = (data & 0xc000) == 0xc000};
    lapic_deliver(cs, &m);
}

/* ---- life
 * ---------------------------------------------------------------------------------------- */

struct chipset *chipset_init(struct abi_machine_page *page, const struct chipset_host *host)
{
    struct chipset *cs = aligned_alloc(64, (sizeof(*cs) + 63) & ~(size_t)63);
    if (!cs)
        return NULL;
    memset(cs, 0, sizeof(*cs));
    cs->page = page;
    cs->st = &page->chipset;
    cs->host = *host;
    cs->deadline = NEVER;
    cs->input[0].ring = &page->input;
    pthread_mutex_init(&cs->lock, NULL);
    cs->vcpus = page->vcpus >= 1 && page->vcpus <= ABI_VCPU_MAX ? page->vcpus : 1;
    for (unsigned i = 0; i < cs->vcpus; i++) {
        cs->apic_id[i] = page->run[i].apic_id;
        pthread_mutex_init(&cs->timer_lock[i].m, NULL);
    }
    for (unsigned i = 0; i < DL_COUNT; i++)
        cs->deadline_at[i] = NEVER;
    if (cs->st->version != ABI_CHIPSET_VERSION) {
        memset(cs->st, 0, sizeof(*cs->st));
        cs->st->version = ABI_CHIPSET_VERSION;
        cs->st->size = sizeof(*cs->st);
        rtc_init(cs);
    }
    return cs;
}

void chipset_fini(struct chipset *cs)
{
    pthread_mutex_destroy(&cs->lock);
    free(cs);
}

void chipset_reset(struct chipset *cs)
{
    cs_lock(cs);
    memset(cs->st->line, 0, sizeof(cs->st->line));
    memset(cs->st->intx_line, 0, sizeof(cs->st->intx_line));
    cs->st->pic[0].lines = cs->st->pic[1].lines = 0;
    cs->st->ioapic.pins = 0;
    for (unsigned i = 0; i < cs->vcpus; i++)
        lapic_reset(cs, i);
    pic_reset(cs);
    ioapic_reset(cs);
    pit_reset(cs);
    hpet_reset(cs);
    rtc_reset(cs);
    cmos_board_set(cs);
    for (unsigned n = 0; n < ABI_UART_MAX; n++)
        uart_reset(cs, n);
    i8042_reset(cs);
    kbd_reset(cs);
    mouse_reset(cs);
    acpi_reset(cs);
    ports_reset(cs);
    debug_port_reset(cs);
    flash_reset(cs);
    cs->st->fwcfg = (struct abi_fwcfg_state){0};
    cs_a20_set(cs, true); /* as firmware hands over */
    for (unsigned slot = 0; slot < ABI_ISR_MAX; slot++)
        cs_intx_refresh(cs, slot);
    cs_unlock(cs);
}
