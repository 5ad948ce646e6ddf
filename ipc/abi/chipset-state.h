/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Guest-visible state of the chipset, in the machine page. Only writer: the cpu-worker. Owns the
 * layout; must never hold anything that a restored machine could not use (no host pointers, no host
 * times: every time here is virtual nanoseconds or ticks of the chip's own clock).
 */
#ifndef BULKHEAD_IPC_ABI_CHIPSET_STATE_H
#define BULKHEAD_IPC_ABI_CHIPSET_STATE_H

#include <stddef.h>
#include <stdint.h>

#define ABI_CHIPSET_VERSION 3u
#define ABI_LAPIC_MAX       64
#define ABI_GSI_MAX         24 /* pins of the IOAPIC */
#define ABI_UART_MAX        4
#define ABI_UART_FIFO       16
#define ABI_I8042_QUEUE     48 /* 16 bytes of each device, and the controller's answers */
#define ABI_INTX_MAX        32 /* INTx sources: one per isr[] slot of the machine page */

struct abi_pic { /* one 8259A */
    uint8_t irr, isr, imr;
    uint8_t lines;       /* level of the eight inputs */
    uint8_t elcr;        /* 1 = level triggered (ports 4D0, 4D1) */
    uint8_t ltim;        /* ICW1: all inputs level triggered */
    uint8_t icw_next;    /* 0 = initialised, else number of the ICW expected next */
    uint8_t icw4_needed, single;
    uint8_t base;        /* vector of IR0 */
    uint8_t icw3;
    uint8_t top;         /* the input that has the highest priority now */
    uint8_t read_isr, poll, special_mask, sfnm, auto_eoi, rotate_aeoi;
    uint8_t pad[6];
};
struct abi_ioapic {
    uint32_t id;         /* bits 24-27 as in the ID register */
    uint32_t index;      /* IOREGSEL */
    uint32_t pins;       /* level of each pin */
    uint32_t pad;
    uint64_t redir[ABI_GSI_MAX];
};
struct abi_lapic {
    uint64_t apic_base;  /* IA32_APIC_BASE */
    uint32_t id;         /* APIC ID, not shifted */
    uint32_t tpr, ldr, dfr, svr;
    uint32_t esr, esr_next; /* what software reads; what the next write to ESR makes visible */
    uint32_t icr_lo, icr_hi;
    uint32_t isr[8], tmr[8], irr[8];
    uint32_t lvt[6];     /* timer, thermal, performance, LINT0, LINT1, error */
    uint32_t timer_init, timer_divide;
    uint64_t timer_start_ns; /* when the count began */
    uint64_t timer_next_ns;  /* next expiry, UINT64_MAX = none */
    uint64_t tsc_deadline;   /* guest TSC value, 0 = disarmed */
    uint32_t nmi;        /* an NMI waits to be taken */
    uint32_t pending;    /* ABI_LAPIC_*: messages that wait to be taken. Atomic */
    uint32_t sipi_vector;
    uint32_t pad[11];
};
#define ABI_LAPIC_INIT 0x1u
#define ABI_LAPIC_SIPI 0x2u
#define ABI_LAPIC_SMI  0x4u
struct abi_pit_channel {
    uint64_t start;      /* PIT tick at which the current count began */
    uint64_t reported;   /* modes 2, 3: tick of the last rising edge that was sent, 0 none */
    uint64_t switch_at;  /* modes 2, 3: tick at which next_count takes over, 0 = none */
    uint32_t count;      /* 1 - 65536 (10000 in BCD) */
    uint32_t next_count;
    uint32_t held;       /* ticks already counted when the gate stopped the count */
    uint16_t latched;
    uint8_t mode, bcd, access; /* access: 1 low, 2 high, 3 both */
    uint8_t gate, running;     /* running: a count was loaded (and triggered, modes 1 and 5) */
    uint8_t armed;             /* modes 0, 1, 4, 5: the terminal count has not been reported yet */
    uint8_t write_high, write_low_byte; /* second byte expected; the first one */
    uint8_t read_high;                  /* next read returns the high byte */
    uint8_t latch_bytes;                /* bytes of the latched count left to read */
    uint8_t status_latched, status;
    uint8_t null_count;
    uint8_t owed;                       /* edges that passed while nobody could send them */
    uint8_t pad[2];
};
struct abi_pit {
    struct abi_pit_channel ch[3];
    uint8_t port61;      /* bits 0 (gate 2) and 1 (speaker) */
    uint8_t pad[7];
};
struct abi_hpet_timer {
    uint64_t config;     /* writable bits only */
    uint64_t comparator;
    uint64_t period;     /* last value written with periodic mode on */
    uint64_t owed;       /* matches that passed while nobody could send them */
};
struct abi_hpet {
    uint64_t config;     /* bit 0 enable, bit 1 legacy replacement */
    uint64_t status;
    uint64_t counter;    /* value while stopped; while running: value at virtual time 0 */
    uint64_t checked;    /* counter value up to which comparators have been examined */
    struct abi_hpet_timer timer[3];
};
struct abi_rtc {
    uint8_t cmos[128];
    int64_t offset_ns;   /* clock = rtc_base_s + virtual time + offset_ns */
    uint64_t checked_ns; /* virtual time up to which flags C are exact */
    uint8_t index;       /* last value written to port 70 */
    uint8_t pad[15];
};
struct abi_uart { /* 16550A */
    uint8_t ier, fcr, lcr, mcr, msr, scr, dll, dlm;
    uint8_t lsr_err;     /* OE PE FE BI as LSR will show them */
    uint8_t thre_int;    /* transmitter-empty interrupt pending */
    uint8_t rx_timeout;  /* character time-out pending */
    uint8_t rx_len, tx_len;
    uint8_t pad[3];
    uint8_t rx[ABI_UART_FIFO], rx_err[ABI_UART_FIFO], tx[ABI_UART_FIFO];
    uint32_t break_seen; /* break conditions taken from the machine page */
    uint32_t tx_backoff_ms;
    uint64_t rx_timeout_ns; /* when the time-out fires, UINT64_MAX = not running */
    uint64_t tx_retry_ns;   /* when to look at the full ring again, UINT64_MAX = nothing is held */
};
struct abi_i8042 {
    uint8_t status;      /* bits 2 (system flag), 3 (last write was a command), 6 (time-out) */
    uint8_t command;     /* controller command byte */
    uint8_t output_port; /* bit 1 = A20 */
    uint8_t expect;      /* controller command waiting for its data byte, 0 = none */
    uint8_t break_next; /* 80h: the translator has taken a break prefix */
    uint8_t pad0;
    uint8_t out, out_source; /* output buffer; 0 = empty, else enum of i8042.c */
    uint8_t queue_len;
    uint8_t pad[7];
    uint8_t queue[ABI_I8042_QUEUE], queue_source[ABI_I8042_QUEUE];
};
struct abi_ps2_kbd {
    uint8_t expect;    /* command waiting for its parameter, 0 = none */
    uint8_t scanning;
    uint8_t set;       /* scan code set 1 to 3 */
    uint8_t leds;
    uint8_t typematic; /* rate and delay as set by F3h */
    uint8_t pad[3];
    uint16_t repeat;   /* key that repeats, 0 = none */
    uint16_t pad2[3];
    uint64_t repeat_ns; /* when it does next */
    uint8_t held[2][32]; /* by producer: a bit for each key */
};
struct abi_ps2_mouse {
    uint8_t expect;
    uint8_t reporting, remote, wrap, scaling2;
    uint8_t resolution, rate, id; /* id 0, 3 (wheel) or 4 (five buttons) */
    uint8_t rates[3];  /* the last three sample rates: the knock that changes the id */
    uint8_t buttons, buttons_sent;
    uint8_t held[2];   /* by producer */
    uint8_t pad;
    int32_t dx, dy, dz; /* moved and not reported */
    int32_t pad2;
};
struct abi_acpi_pm {
    uint16_t pm1_sts, pm1_en, pm1_cnt;
    uint16_t gpe_sts, gpe_en;
    uint16_t pad;
    uint32_t power_button_seen;
    uint64_t tmr_checked; /* PM timer tick up to which TMR_STS is exact */
    uint8_t apm_cnt, apm_sts;
    uint8_t pad2[2];
    uint32_t base;       /* first port of the PM blocks, 0 = not decoded */
    uint32_t glbctl;     /* PIIX4 global control, ICH9 SMI_EN */
    uint32_t asleep;     /* suspended to RAM: an enabled wake event ends it */
};
struct abi_ports {
    uint32_t pci_address; /* latch of port CF8 */
    uint8_t port92;       /* bit 1 = A20 */
    uint8_t cf9;
    uint8_t post;         /* last byte written to port 80 */
    uint8_t ferr;         /* bit 0 = IRQ 13 is latched, bit 1 = IGNNE# */
};

#define ABI_FLASH_ARRAY 0xffu /* cmd of a chip that shows its contents */
struct abi_flash_state { /* command interface of one flash chip */
    uint8_t cmd;     /* command in force: what loads show */
    uint8_t cycle;   /* stores of that command seen so far */
    uint8_t status;
    uint8_t pad;
    uint32_t count;  /* bytes that a buffered write still takes */
};
struct abi_fwcfg_state { /* firmware configuration device */
    uint16_t key;
    uint8_t pad[2];
    uint32_t offset;   /* of the next byte */
    uint32_t dma_high; /* upper half of the DMA address */
    uint32_t pad2;
};

struct abi_chipset_state {
    uint32_t version;    /* ABI_CHIPSET_VERSION */
    uint32_t size;       /* sizeof(struct abi_chipset_state) */
    uint32_t clock_running; /* guest time runs: it is then CLOCK_MONOTONIC - clock_offset_ns */
    uint32_t pad;
    /* Guest time while the machine is paused; the worker keeps them up to date at each pause. */
    uint64_t paused_ns;
    uint64_t paused_tsc[ABI_LAPIC_MAX];
    /* Which sources assert each line; bit numbers are enum chipset_source. The line is their OR. */
    uint64_t line[ABI_GSI_MAX];
    uint8_t intx_line[ABI_INTX_MAX]; /* 0, or 1 + the line on which this slot is asserted */
    struct abi_pic pic[2];           /* master, slave */
    struct abi_ioapic ioapic;
    struct abi_pit pit;
    struct abi_hpet hpet;
    struct abi_rtc rtc;
    struct abi_uart uart[ABI_UART_MAX];
    struct abi_i8042 i8042;
    struct abi_ps2_kbd kbd;
    struct abi_ps2_mouse mouse;
    struct abi_acpi_pm pm;
    struct abi_ports ports;
    struct abi_fwcfg_state fwcfg;
    struct abi_flash_state flash[2];
    struct abi_lapic lapic[ABI_LAPIC_MAX];
};

_Static_assert(sizeof(struct abi_pic) == 24, "ABI");
_Static_assert(sizeof(struct abi_ioapic) == 208, "ABI");
_Static_assert(sizeof(struct abi_lapic) == 256, "ABI");
_Static_assert(sizeof(struct abi_pit_channel) == 56, "ABI");
_Static_assert(sizeof(struct abi_pit) == 176, "ABI");
_Static_assert(sizeof(struct abi_hpet) == 128, "ABI");
_Static_assert(sizeof(struct abi_rtc) == 160, "ABI");
_Static_assert(sizeof(struct abi_uart) == 88, "ABI");
_Static_assert(sizeof(struct abi_i8042) == 112, "ABI");
_Static_assert(sizeof(struct abi_ps2_kbd) == 88, "ABI");
_Static_assert(sizeof(struct abi_ps2_mouse) == 32, "ABI");
_Static_assert(sizeof(struct abi_acpi_pm) == 40, "ABI");
_Static_assert(offsetof(struct abi_chipset_state, line) == 536, "ABI");
_Static_assert(sizeof(struct abi_chipset_state) <= 32768, "ABI: at most 32 KiB");

#endif
