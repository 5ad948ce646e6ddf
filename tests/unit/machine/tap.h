/* SPDX-License-Identifier: Apache-2.0 */
/* TAP lines of these tests: one per check; the status says whether all held. */
#ifndef BULKHEAD_TESTS_MACHINE_TAP_H
#define BULKHEAD_TESTS_MACHINE_TAP_H

#include <stdbool.h>
#include <stdio.h>

static unsigned tap_n, tap_bad;

static inline void tap_ok(bool good, const char *what, int line)
{
    printf("%sok %u - %s (line %d)\n", good ? "" : "not ", ++tap_n, what, line);
    tap_bad += !good;
}
#define ok(cond, what) tap_ok((cond), (what), __LINE__)

static inline int tap_end(void)
{
    printf("1..%u\n", tap_n);
    return tap_bad ? 1 : 0;
}

#endif
