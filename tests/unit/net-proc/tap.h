/* SPDX-License-Identifier: Apache-2.0 */
/* The few lines of TAP the unit tests of net-proc need. Must never hide a failure: the exit status
 * counts them. */
#ifndef BULKHEAD_TESTS_UNIT_NET_PROC_TAP_H
#define BULKHEAD_TESTS_UNIT_NET_PROC_TAP_H

#include <stdbool.h>
#include <stdio.h>

static int tap_count, tap_failed;

static inline void ok(bool good, const char *what)
{
    tap_failed += !good;
    printf("%sok %d - %s\n", good ? "" : "not ", ++tap_count, what);
}

static inline int tap_done(void)
{
    printf("1..%d\n", tap_count);
    return tap_failed != 0;
}

#endif
