/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A chipset with a fake clock: time moves only when a test says so, and timers run at exactly their
 * deadlines. Owns the machine page of the test; must never sleep or read a host clock.
 */
#ifndef BULKHEAD_TESTS_CHIPSET_FIXTURE_H
#define BULKHEAD_TESTS_CHIPSET_FIXTURE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "cpu-worker/chipset/chipset.h"

#define MS 1000000ull
#define US 1000ull
#define SECOND 1000000000ull
#define LAPIC 0xfee00000ull
#define IOAPIC 0xfec00000ull
#define HPET 0xfed00000ull

struct fixture {
    struct abi_machine_page *page;
    struct chipset *cs;
    uint64_t now;
    unsigned kicks, rearms, doorbells, timer_runs;
    int event; /* last enum chipset_event, -1 none */
    bool a20;
};

/* present: bit n = UART n exists. */
void fixture_init(struct fixture *f, unsigned present);
void fixture_init_smp(struct fixture *f, unsigned present, unsigned vcpus); /* APIC IDs 0, 1, ... */
void fixture_fini(struct fixture *f);
void advance(struct fixture *f, uint64_t ns); /* runs every timer that is due on the way */

uint8_t inb(struct fixture *f, uint16_t port);
uint32_t inl(struct fixture *f, uint16_t port);
void outb(struct fixture *f, uint16_t port, uint8_t v);
void outw(struct fixture *f, uint16_t port, uint16_t v);
uint32_t lapic_rd(struct fixture *f, unsigned reg);
void lapic_wr(struct fixture *f, unsigned reg, uint32_t v);
void ioapic_wr(struct fixture *f, unsigned reg, uint32_t v);
uint32_t ioapic_rd(struct fixture *f, unsigned reg);
void redir(struct fixture *f, unsigned pin, uint64_t v);
void pic_setup(struct fixture *f, uint8_t icw4); /* vectors 20h and 28h, everything unmasked */
void lapic_on(struct fixture *f);                /* software enabled, LINT0 masked */
int ack(struct fixture *f);                      /* vector, or -1; -2 if none was pending */

#define CHECK(cond)                                                                                \
    do {                                                                                           \
        if (!(cond)) {                                                                             \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #cond);                             \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)
#define CHECK_EQ(a, b)                                                                             \
    do {                                                                                           \
        long long a_ = (long long)(a), b_ = (long long)(b);                                        \
        if (a_ != b_) {                                                                            \
            fprintf(stderr, "%s:%d: %s is %#llx, not %#llx\n", __FILE__, __LINE__, #a, a_, b_);    \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

#endif
