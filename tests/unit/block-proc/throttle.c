/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rate limits on a clock of the test's own: how much is let in per second, bursts, directions, refusals.
 */
#include "block-proc/throttle.h"

#include <errno.h>
#include <string.h>
#include "tests/lib/ctest.h"

#define SECOND 1000000000ull

/* Requests let in within `seconds`, each as soon as it may. */
static unsigned let_in(struct throttle *t, bool write, uint64_t bytes, uint64_t from, unsigned seconds)
{
    uint64_t now = from;
    unsigned n = 0;
    while (now < from + seconds * SECOND && n < 200000) {
        uint64_t wait = throttle_wait(t, write, now);
        if (wait) {
            now += wait;
            continue;
        }
        throttle_count(t, write, bytes);
        n++;
    }
    return n;
}

static bool near(unsigned n, unsigned want)
{
    return n >= want * 97 / 100 && n <= want * 103 / 100 + 2;
}

static void set(struct throttle *t, unsigned at, uint64_t v, unsigned at2, uint64_t v2)
{
    uint64_t all[THROTTLE_VALUES] = {0};
    all[at] = v;
    all[at2] = v2;
    ok(throttle_set(t, all, THROTTLE_VALUES) == 0, "value %u = %llu", at, (unsigned long long)v);
}

static int refused(unsigned at, uint64_t v, unsigned at2, uint64_t v2)
{
    struct throttle t;
    uint64_t all[THROTTLE_VALUES] = {0};
    all[at] = v;
    all[at2] = v2;
    return throttle_set(&t, all, THROTTLE_VALUES);
}

int main(void)
{
    struct throttle t = {0};
    unsigned n;
    ok(throttle_wait(&t, true, SECOND) == 0 && !t.on, "no limit, no wait");
    set(&t, 6, 100, 6, 100);
    n = let_in(&t, false, 4096, SECOND, 10);
    ok(near(n, 1000 + 10), "iops=100: %u requests in 10 s", n);
    set(&t, 0, 1 << 20, 0, 1 << 20);
    n = let_in(&t, true, 64 << 10, SECOND, 10);
    ok(near(n, 160 + 2), "bps=1M: %u requests of 64 KiB in 10 s", n);
    set(&t, 8, 50, 8, 50);
    n = let_in(&t, false, 512, SECOND, 1);
    ok(t.bucket[5].level == 0 && n > 100000, "iops_wr does not hold reads back");
    n = let_in(&t, true, 512, 3 * SECOND, 10);
    ok(near(n, 500 + 5), "iops_wr=50: %u writes in 10 s", n);
    set(&t, 6, 10, 9, 500);
    n = let_in(&t, false, 512, SECOND, 1);
    ok(near(n, 500 + 10), "iops_max=500: a burst of %u", n);
    n = let_in(&t, false, 512, 2 * SECOND, 10);
    ok(near(n, 100), "then iops=10: %u in 10 s", n);
    set(&t, 6, 100, 12, 4096);
    n = let_in(&t, false, 16384, SECOND, 10);
    ok(near(n, 250 + 3), "iops_size=4096: requests of 16 KiB count four times: %u in 10 s", n);
    ok(refused(0, 5, 1, 5) == -EINVAL && refused(6, 5, 8, 5) == -EINVAL, "a total beside its parts is refused");
    ok(refused(9, 5, 9, 5) == -EINVAL && refused(6, 9, 9, 5) == -EINVAL, "a burst without or below its rate is refused");
    ok(refused(12, 512, 12, 512) == -EINVAL && throttle_set(&t, NULL, 3) == -EINVAL, "iops_size alone, too few values");
    return ctest_done();
}
