/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Guest time. Virtual nanoseconds run with CLOCK_MONOTONIC and stand still while the machine is
 * paused; the guest's time-stamp counters stop with them. Owns page->clock_offset_ns, the paused_*
 * fields of the chipset state and, at run and pause, vcpu[].tsc_offset; must never be set from the
 * guest.
 */
#ifndef BULKHEAD_CPU_WORKER_CLOCK_H
#define BULKHEAD_CPU_WORKER_CLOCK_H

#include <stdbool.h>
#include <stdint.h>
#include "ipc/abi/machine-page.h"

struct vclock {
    struct abi_machine_page *page;
    uint32_t running;   /* atomic */
    uint64_t hz;        /* of the guest's TSC, 0 = not measured yet. Atomic */
    uint64_t base_tsc, base_ns; /* first sample of the measurement */
};

/* Starts paused, at the time recorded in the page (zero for a new machine). After chipset_init,
 * which clears what an unknown version left there. */
void vclock_init(struct vclock *k, struct abi_machine_page *page);
/* Let time run; the vCPUs must be parked. The first call may take 10 ms: it ends the measurement.
 * Let time run; the vCPUs must be parked. The first call may take 10 ms: it ends the
 * measurement. */
void vclock_run(struct vclock *k);
void vclock_pause(struct vclock *k);      /* the vCPUs must be parked */
void vclock_tsc_reset(struct vclock *k);  /* machine reset, while paused: TSCs start from zero */

/* Any thread: */
uint64_t vclock_now(const struct vclock *k);                   /* virtual ns */
uint64_t vclock_to_monotonic(const struct vclock *k, uint64_t virt); /* while running */
uint64_t vclock_guest_tsc(const struct vclock *k, unsigned vcpu);
uint64_t vclock_tsc_to_ns(const struct vclock *k, unsigned vcpu, uint64_t tsc); /* virtual ns */

/* Ticks per second of the guest's TSC: valid from the first run on, 0 before. */
uint64_t worker_tsc_hz(void);
/* Guest ticks per host tick, times 2^32; 0: the guest's TSC runs at the host's rate. */
uint64_t worker_tsc_ratio(void);

#endif
