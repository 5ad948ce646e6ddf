/* SPDX-License-Identifier: Apache-2.0 */
/* The crash budget and the delays, on a clock made of numbers. */
#include <string.h>
#include "tests/unit/supervise/tap.h"
#include "vmm/supervise/restart-policy.h"

#define S 1000000000ull

static void test_first_is_immediate(void)
{
    struct restart_policy rp = {.n_crash = 0};
    uint64_t d = 0;

    ok(rp_death(&rp, 100 * S, true, 0, &d) == RP_NOW, "first crash: at once");
    ok(rp_death(&rp, 101 * S, true, 0, &d) == RP_LATER && d == S / 100, "second: 10 ms");
    ok(rp_death(&rp, 102 * S, true, 0, &d) == RP_LATER && d == S / 20, "third: 50 ms");
    ok(rp_death(&rp, 103 * S, true, 0, &d) == RP_LATER && d == S / 4, "fourth: 250 ms");
    ok(rp_death(&rp, 104 * S, true, 0, &d) == RP_GIVE_UP, "fifth within 60 s: given up");
}

static void test_window_slides(void)
{
    struct restart_policy rp = {.n_crash = 0};
    uint64_t d = 0, t = 100 * S, last = 0;
    bool gave_up = false;

    for (unsigned i = 0; i < 20; i++, t += 16 * S) {
        gave_up |= rp_death(&rp, t, true, S, &d) == RP_GIVE_UP;
        last = d;
    }
    ok(!gave_up, "one crash every 16 s never spends the budget");
    ok(last == RP_DELAY_MAX_NS, "but the delay grows to its maximum");
    ok(rp_death(&rp, t + 61 * S, true, S, &d) == RP_NOW,
       "after 60 quiet seconds delays start over");
}

static void test_external_kills(void)
{
    struct restart_policy rp = {.n_crash = 0};
    uint64_t d = 0, t = 100 * S;
    bool always_now = true;

    for (unsigned i = 0; i < 100; i++, t += S / 10)
        always_now &= rp_death(&rp, t, false, S / 10, &d) == RP_NOW;
    ok(always_now, "100 external kills of a serving process: each back at once");
    for (unsigned i = 0; i < 50; i++)
        always_now &= rp_death(&rp, t, false, 0, &d) == RP_LATER && d == RP_PACE_NS;
    ok(always_now, "kills before it serves are paced, evenly, and never given up");
}

static void test_forgive(void)
{
    struct restart_policy rp = {.n_crash = 0};
    uint64_t d = 0;

    for (unsigned i = 0; i < 5; i++)
        rp_death(&rp, 100 * S, true, 0, &d);
    rp_forgive(&rp);
    ok(rp_death(&rp, 101 * S, true, 0, &d) == RP_NOW, "device_restart clears the budget");
}

int main(void)
{
    test_first_is_immediate();
    test_window_slides();
    test_external_kills();
    test_forgive();
    return tap_end();
}
