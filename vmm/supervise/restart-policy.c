/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Owns the crash budget and the restart delays. Must never read a clock: the caller says what time
 * it is.
 */
#include "vmm/supervise/restart-policy.h"

#include <string.h>

/* The first comes back at once: a single crash should cost the guest nothing it can see. */
static const uint64_t delays_ns[] = {
    0, 10000000ull, 50000000ull, 250000000ull, 1250000000ull, 5000000000ull, RP_DELAY_MAX_NS,
};
#define STEPS (sizeof(delays_ns) / sizeof(delays_ns[0]))

static bool budget_spent(struct restart_policy *rp, uint64_t now)
{
    if (rp->n_crash == RP_BUDGET) {
        memmove(rp->crash, rp->crash + 1, (RP_BUDGET - 1) * sizeof(rp->crash[0]));
        rp->n_crash--;
    }
    rp->crash[rp->n_crash++] = now;
    return rp->n_crash == RP_BUDGET && now - rp->crash[0] <= RP_WINDOW_NS;
}

static uint64_t next_delay(struct restart_policy *rp)
{
    uint64_t d = delays_ns[rp->step];

    if (rp->step + 1 < STEPS)
        rp->step++;
    return d;
}

enum rp_verdict rp_death(struct restart_policy *rp, uint64_t now_ns, bool charged,
                         uint64_t lived_ns, uint64_t *delay_ns)
{
    if (rp->last_death && now_ns - rp->last_death > RP_STABLE_NS)
        rp->step = 0;
    rp->last_death = now_ns;
    if (charged && budget_spent(rp, now_ns))
        return RP_GIVE_UP;
    if (!charged && lived_ns >= RP_SHORT_NS)
        return RP_NOW;
    *delay_ns = charged ? next_delay(rp) : RP_PACE_NS;
    return *delay_ns ? RP_LATER : RP_NOW;
}

void rp_forgive(struct restart_policy *rp)
{
    memset(rp, 0, sizeof(*rp));
}
