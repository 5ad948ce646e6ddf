/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TAP for unit tests in C. Must never hide a failure: the exit status of ctest_done says whether there
 * was one.
 */
#ifndef BULKHEAD_TESTS_LIB_CTEST_H
#define BULKHEAD_TESTS_LIB_CTEST_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

static int ctest_count, ctest_failed;

static inline void __attribute__((format(printf, 2, 3))) ok(bool good, const char *fmt, ...)
{
    va_list ap;

    ctest_failed += !good;
    printf("%sok %d - ", good ? "" : "not ", ++ctest_count);
    va_start(ap, fmt);
    vprintf(fmt, ap);
    va_end(ap);
    printf("\n");
    fflush(stdout);
}

static inline int ctest_done(void)
{
    printf("1..%d\n", ctest_count);
    return ctest_failed != 0;
}

#endif
