/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When a dead child may come back: the crash budget and the growing delay. Pure arithmetic on the
 * times it is given; knows no process and no clock. Reasons: docs/decisions/0003-crash-budget.md.
 */
#ifndef BULKHEAD_VMM_SUPERVISE_RESTART_POLICY_H
#define BULKHEAD_VMM_SUPERVISE_RESTART_POLICY_H

#include <stdbool.h>
#include <stdint.h>

#define RP_BUDGET       5u             /* this many crashes ... */
#define RP_WINDOW_NS    60000000000ull /* ... within 60 s: given up */
#define RP_STABLE_NS    60000000000ull /* this long without a death: delays start over */
#define RP_SHORT_NS     20000000ull    /* a life shorter than this is paced even if not charged, */
#define RP_PACE_NS      10000000ull    /* by this much */
#define RP_DELAY_MAX_NS 10000000000ull

struct restart_policy {        /* zero-initialised */
    uint64_t crash[RP_BUDGET]; /* times of the latest charged deaths, oldest first */
    unsigned n_crash;
    unsigned step; /* index into the delays */
    uint64_t last_death;
};

enum rp_verdict { RP_NOW, RP_LATER, RP_GIVE_UP };

/* A child died at now_ns. charged: it counts as a crash of its own (false: someone outside killed
 * it, or it was asked to go). lived_ns: how long it had been serving, 0 if it never did. *delay_ns
 * is set for RP_LATER. */
enum rp_verdict rp_death(struct restart_policy *rp, uint64_t now_ns, bool charged,
                         uint64_t lived_ns, uint64_t *delay_ns);
void rp_forgive(struct restart_policy *rp); /* by order of the user: budget and delays start over */

#endif
