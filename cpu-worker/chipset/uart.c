/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Four 16550A UARTs (COM1-COM4). Owns the guest-visible registers and FIFOs; bytes go to and come
 * from the character rings of the machine page. A full ring holds bytes in the transmit FIFO and
 * THRE and TEMT stay low: output is never dropped. Must never touch a host terminal. Reference:
 * National Semiconductor PC16550D data sheet.
 */
#include <string.h>
#include "cpu-worker/chipset/chipset-internal.h"

#define FIFO ABI_UART_FIFO
enum { R_DATA, R_IER, R_IIR, R_LCR, R_MCR, R_LSR, R_MSR, R_SCR };
#define IER_RDA 1
#define IER_THRE 2
#define IER_RLS 4
#define IER_MSR 8
#define FCR_ENABLE 1
#define LCR_DLAB 0x80
#define MCR_OUT2 8
#define MCR_LOOP 0x10
#define LSR_DR 1
#define LSR_OE 2
#define LSR_BI 0x10
#define LSR_ERR 0x1e
#define LSR_THRE 0x20
#define LSR_TEMT 0x40
#define LSR_FIFO_ERR 0x80
#define MSR_READY 0xb0 /* CTS, DSR, DCD: the host end is always there */
#define RETRY_MAX_MS 256u

static const uint16_t uart_base[ABI_UART_MAX] = {0x3f8, 0x2f8, 0x3e8, 0x2e8};
static const uint8_t uart_irq[ABI_UART_MAX] = {4, 3, 4, 3};

static bool fifo_on(const struct abi_uart *u)
{
    return u->fcr & FCR_ENABLE;
}

static unsigned fifo_size(const struct abi_uart *u)
{
    return fifo_on(u) ? FIFO : 1;
}

static unsigned rx_trigger(const struct abi_uart *u)
{
    static const uint8_t level[4] = {1, 4, 8, 14};
    return fifo_on(u) ? level[u->fcr >> 6] : 1;
}

/* IIR without the FIFO bits: the highest pending source ("Interrupt control functions", table IV).
 * IIR without the FIFO bits: the highest pending source ("Interrupt control functions", table
 * IV). */
static uint8_t uart_iir(const struct abi_uart *u)
{
    if ((u->ier & IER_RLS) && (u->lsr_err & LSR_ERR))
        return 0x06;
    if ((u->ier & IER_RDA) && u->rx_len >= rx_trigger(u))
        return 0x04;
    if ((u->ier & IER_RDA) && u->rx_timeout)
        return 0x0c;
    if ((u->ier & IER_THRE) && u->thre_int)
        return 0x02;
    if ((u->ier & IER_MSR) && (u->msr & 0x0f))
        return 0x00;
    return 0x01;
}

static void uart_line(struct chipset *cs, unsigned n)
{
    const struct abi_uart *u = &cs->st->uart[n];
    /* On the PC, OUT2 drives the buffer of the interrupt line; in loop-back mode it is inactive. */
    bool open = (u->mcr & (MCR_OUT2 | MCR_LOOP)) == MCR_OUT2;
    cs_line_set(cs, uart_irq[n], SRC_UART0 + n, open && uart_iir(u) != 0x01);
}

/* ---- receiving
 * ----------------------------------------------------------------------------------- */

/* Four character times of the programmed format ("FIFO interrupt mode operation"). */
static uint64_t rx_timeout_span(const struct abi_uart *u)
{
    uint64_t divisor = u->dll | u->dlm << 8;
    unsigned bits = 1 + 5 + (u->lcr & 3) + !!(u->lcr & 8) + 1 + !!(u->lcr & 4);
    return 4 * bits * (divisor ? divisor : 1) * NS_PER_S / 115200;
}

static void uart_arm(struct chipset *cs, unsigned n)
{
    const struct abi_uart *u = &cs->st->uart[n];
    bool rx_first = u->rx_timeout_ns < u->tx_retry_ns;
    cs_deadline_set(cs, DL_UART0 + n, rx_first ? u->rx_timeout_ns : u->tx_retry_ns);
}

static void rx_timer_set(struct chipset *cs, unsigned n)
{
    struct abi_uart *u = &cs->st->uart[n];
    bool run = fifo_on(u) && u->rx_len && (u->ier & IER_RDA);
    u->rx_timeout_ns = run ? cs_now(cs) + rx_timeout_span(u) : NEVER;
    uart_arm(cs, n);
}

static void rx_push(struct abi_uart *u, uint8_t byte, uint8_t err)
{
    if (u->rx_len == fifo_size(u)) {
        u->lsr_err |= LSR_OE; /* only loop-back can overrun: the ring waits */
        return;
    }
    u->rx[u->rx_len] = byte;
    u->rx_err[u->rx_len] = err;
    if (u->rx_len++ == 0)
        u->lsr_err |= err; /* errors show when their character is at the top */
}

static uint8_t rx_pop(struct abi_uart *u)
{
    if (!u->rx_len)
        return 0;
    uint8_t byte = u->rx[0];
    u->rx_len--;
    memmove(u->rx, u->rx + 1, u->rx_len);
    memmove(u->rx_err, u->rx_err + 1, u->rx_len);
    if (u->rx_len)
        u->lsr_err |= u->rx_err[0];
    return byte;
}

/* One byte from the ring; false when it is empty. Rings the doorbell when a full ring gets room. */
static bool ring_get(struct chipset *cs, unsigned n, uint8_t *byte)
{
    struct abi_char_ring *r = &cs->page->serial[n].rx;
    uint32_t tail = __atomic_load_n(&r->tail, __ATOMIC_RELAXED);
    if (__atomic_load_n(&r->head, __ATOMIC_ACQUIRE) == tail)
        return false;
    *byte = r->data[tail % ABI_CHAR_RING];
    __atomic_store_n(&r->tail, tail + 1, __ATOMIC_SEQ_CST);
    if (__atomic_load_n(&r->head, __ATOMIC_SEQ_CST) - tail >= ABI_CHAR_RING)
        cs->host.serial_doorbell(cs->host.opaque);
    return true;
}

static void rx_fill(struct chipset *cs, unsigned n)
{
    struct abi_uart *u = &cs->st->uart[n];
    uint8_t before = u->rx_len, byte;
    if (u->mcr & MCR_LOOP)
        return; /* the line is disconnected; the ring keeps its bytes */
    uint32_t breaks = __atomic_load_n(&cs->page->serial[n].break_req, __ATOMIC_RELAXED);
    if (breaks != u->break_seen && u->rx_len < fifo_size(u)) {
        u->break_seen = breaks;
        rx_push(u, 0, LSR_BI);
    }
    while (u->rx_len < fifo_size(u) && ring_get(cs, n, &byte))
        rx_push(u, byte, 0);
    if (u->rx_len != before)
        rx_timer_set(cs, n);
}

static uint8_t rbr_read(struct chipset *cs, unsigned n)
{
    struct abi_uart *u = &cs->st->uart[n];
    uint8_t v = rx_pop(u);
    u->rx_timeout = 0;
    rx_timer_set(cs, n);
    rx_fill(cs, n);
    return v;
}

/* ---- sending
 * ------------------------------------------------------------------------------------- */

static bool ring_put(struct chipset *cs, unsigned n, uint8_t byte)
{
    struct abi_char_ring *r = &cs->page->serial[n].tx;
    uint32_t head = __atomic_load_n(&r->head, __ATOMIC_RELAXED);
    if (head - __atomic_load_n(&r->tail, __ATOMIC_ACQUIRE) >= ABI_CHAR_RING)
        return false; /* full, or an index that makes no sense: wait */
    r->data[head % ABI_CHAR_RING] = byte;
    __atomic_store_n(&r->head, head + 1, __ATOMIC_SEQ_CST);
    if (__atomic_load_n(&r->tail, __ATOMIC_SEQ_CST) == head)
        cs->host.serial_doorbell(cs->host.opaque); /* it was empty */
    return true;
}

/* The reader rings us when a full ring gets room, but it may have looked just before it was full:
 * while bytes are held, look again, ever more rarely. */
static void tx_retry_set(struct chipset *cs, unsigned n)
{
    struct abi_uart *u = &cs->st->uart[n];
    u->tx_retry_ns = NEVER;
    if (u->tx_len) {
        unsigned ms = u->tx_backoff_ms ? u->tx_backoff_ms * 2 : 1;
        u->tx_backoff_ms = ms > RETRY_MAX_MS ? RETRY_MAX_MS : ms;
        u->tx_retry_ns = cs_now(cs) + u->tx_backoff_ms * 1000000ull;
    }
    uart_arm(cs, n);
}

static void tx_drain(struct chipset *cs, unsigned n)
{
    struct abi_uart *u = &cs->st->uart[n];
    unsigned sent = 0;
    if (!u->tx_len)
        return;
    if (u->mcr & MCR_LOOP) {
        for (; sent < u->tx_len; sent++)
            rx_push(u, u->tx[sent], 0);
        rx_timer_set(cs, n);
    } else {
        while (sent < u->tx_len && ring_put(cs, n, u->tx[sent]))
            sent++;
    }
    u->tx_len -= sent;
    memmove(u->tx, u->tx + sent, u->tx_len);
    if (!u->tx_len) {
        u->tx_backoff_ms = 0;
        u->thre_int = 1;
    }
    if (u->tx_len || u->tx_retry_ns != NEVER)
        tx_retry_set(cs, n);
}

static void thr_write(struct chipset *cs, unsigned n, uint8_t v)
{
    struct abi_uart *u = &cs->st->uart[n];
    u->thre_int = 0;
    if (u->tx_len < fifo_size(u))
        u->tx[u->tx_len++] = v;
    else
        u->tx[u->tx_len - 1] = v; /* written without THRE: the last byte is overwritten */
    uart_line(cs, n); /* the line falls first, so that "empty again" is an edge */
    tx_drain(cs, n);
}

/* ---- registers
 * ----------------------------------------------------------------------------------- */

static void fcr_write(struct chipset *cs, unsigned n, uint8_t v)
{
    struct abi_uart *u = &cs->st->uart[n];
    bool toggled = (u->fcr ^ v) & FCR_ENABLE;
    if (!(v & FCR_ENABLE))
        v &= 0x06; /* "bit 0 must be 1 when other FCR bits are written" */
    if (toggled || (v & 2)) {
        u->rx_len = 0;
        u->rx_timeout = 0;
    }
    if (toggled || (v & 4)) {
        u->thre_int = u->thre_int || u->tx_len;
        u->tx_len = 0;
        tx_retry_set(cs, n);
    }
    u->fcr = v & 0xc9;
    rx_timer_set(cs, n);
    rx_fill(cs, n);
}

/* Modem inputs: fixed, or in loop-back the outputs (CTS=RTS, DSR=DTR, RI=OUT1, DCD=OUT2). */
static void msr_update(struct abi_uart *u)
{
    uint8_t in = MSR_READY, m = u->mcr;
    if (m & MCR_LOOP)
        in = (m & 2) << 3 | (m & 1) << 5 | (m & 4) << 4 | (m & 8) << 4;
    uint8_t change = (u->msr ^ in) & 0xf0;
    uint8_t delta = change >> 4 & 0x0b;           /* DCTS, DDSR, DDCD */
    if ((change & 0x40) && !(in & 0x40))
        delta |= 4;                               /* TERI: trailing edge only */
    u->msr = in | (u->msr & 0x0f) | delta;
}

static void mcr_write(struct chipset *cs, unsigned n, uint8_t v)
{
    struct abi_uart *u = &cs->st->uart[n];
    u->mcr = v & 0x1f;
    msr_update(u);
    tx_drain(cs, n);
    rx_fill(cs, n);
}

static void ier_write(struct chipset *cs, unsigned n, uint8_t v)
{
    struct abi_uart *u = &cs->st->uart[n];
    if ((v & IER_THRE) && !(u->ier & IER_THRE) && !u->tx_len)
        u->thre_int = 1; /* enabling it while the register is empty interrupts at once */
    u->ier = v & 0x0f;
    rx_timer_set(cs, n);
}

static uint8_t lsr_read(struct abi_uart *u)
{
    uint8_t v = u->lsr_err | (u->rx_len ? LSR_DR : 0) | (u->tx_len ? 0 : LSR_THRE | LSR_TEMT);
    for (unsigned i = 0; fifo_on(u) && i < u->rx_len; i++)
        if (u->rx_err[i])
            v |= LSR_FIFO_ERR;
    u->lsr_err = 0;
    if (u->rx_len)
        u->rx_err[0] = 0; /* reported */
    return v;
}

static uint8_t iir_read(struct abi_uart *u)
{
    uint8_t v = uart_iir(u);
    if (v == 0x02)
        u->thre_int = 0;
    return v | (fifo_on(u) ? 0xc0 : 0);
}

static unsigned uart_index(uint16_t port)
{
    for (unsigned n = 0; n < ABI_UART_MAX; n++)
        if ((port & ~7u) == uart_base[n])
            return n;
    return 0;
}

static uint8_t reg_read(struct chipset *cs, unsigned n, unsigned reg)
{
    struct abi_uart *u = &cs->st->uart[n];
    bool dlab = u->lcr & LCR_DLAB;
    uint8_t v;
    switch (reg) {
    case R_DATA: return dlab ? u->dll : rbr_read(cs, n);
    case R_IER:  return dlab ? u->dlm : u->ier;
    case R_IIR:  return iir_read(u);
    case R_LCR:  return u->lcr;
    case R_MCR:  return u->mcr;
    case R_LSR:  return lsr_read(u);
    case R_MSR:
        v = u->msr;
        u->msr &= 0xf0;
        return v;
    default:     return u->scr;
    }
}

static void reg_write(struct chipset *cs, unsigned n, unsigned reg, uint8_t v)
{
    struct abi_uart *u = &cs->st->uart[n];
    bool dlab = u->lcr & LCR_DLAB;
    switch (reg) {
    case R_DATA: dlab ? (void)(u->dll = v) : thr_write(cs, n, v); break;
    case R_IER:  dlab ? (void)(u->dlm = v) : ier_write(cs, n, v); break;
    case R_IIR: fcr_write(cs, n, v); break;
    case R_LCR: u->lcr = v; break;
    case R_MCR: mcr_write(cs, n, v); break;
    case R_SCR: u->scr = v; break;
    default:    break; /* LSR and MSR: writing is for factory tests */
    }
}

uint8_t uart_port_read(struct chipset *cs, uint16_t port)
{
    unsigned n = uart_index(port);
    uint8_t v = reg_read(cs, n, port & 7);
    uart_line(cs, n);
    return v;
}

void uart_port_write(struct chipset *cs, uint16_t port, uint8_t v)
{
    unsigned n = uart_index(port);
    reg_write(cs, n, port & 7, v);
    uart_line(cs, n);
}

void uart_host(struct chipset *cs, unsigned n)
{
    if (cs->port_owner[uart_base[n]] != PORT_UART)
        return;
    cs->st->uart[n].tx_backoff_ms = 0;
    tx_drain(cs, n);
    rx_fill(cs, n);
    uart_line(cs, n);
}

void uart_run(struct chipset *cs, unsigned n)
{
    struct abi_uart *u = &cs->st->uart[n];
    if (cs_now(cs) >= u->rx_timeout_ns) {
        u->rx_timeout = u->rx_len != 0;
        u->rx_timeout_ns = NEVER;
    }
    tx_drain(cs, n);
    uart_arm(cs, n);
    uart_line(cs, n);
}

void uart_reset(struct chipset *cs, unsigned n)
{
    struct abi_uart *u = &cs->st->uart[n];
    if (!cs->page->serial[n].present)
        return; /* nobody answers: reads are all-ones */
    uint32_t seen = __atomic_load_n(&cs->page->serial[n].break_req, __ATOMIC_RELAXED);
    *u = (struct abi_uart){.msr = MSR_READY, .dll = 12, .break_seen = seen,
                            .rx_timeout_ns = NEVER, .tx_retry_ns = NEVER};
    cs_deadline_set(cs, DL_UART0 + n, NEVER);
    cs_ports_claim(cs, uart_base[n], 8, PORT_UART);
    uart_line(cs, n);
}
